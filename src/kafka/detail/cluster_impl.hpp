#pragma once

#include "kafka/cluster.hpp"
#include "kafka/detail/handles.hpp"
#include "kafka/detail/requests.hpp"

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace txstream::kafka {

class Cluster::Impl {
public:
    static Result<std::unique_ptr<Impl>> open(
        Properties properties, LogCallback log, Limits limits
    );

    /// Reads committed only: its end of a partition is the last stable offset.
    rd_kafka_t* client() const noexcept { return client_.get(); }
    /// Made when it is asked for the first time: two clients are twice the connections.
    Result<rd_kafka_t*> uncommitted_client();

    const Limits& limits() const noexcept { return limits_; }
    /// Whether the cluster's controller is one of its brokers, as far as is known.
    bool is_controller_known();
    void remember(const std::vector<BrokerState>& brokers);

    /// What a call's failure says, or what the client's connections say where that is more.
    Error because(Error error);
    /// What is wrong with the connection to this broker, if it failed last.
    std::optional<Error> trouble_with(std::int32_t broker);
    void worked(std::int32_t broker);
    /// No broker could be connected to since one worked last.
    bool is_all_down();
    void worked();
    std::optional<Error> refused_login();

private:
    void drain_errors();
    void drain_errors(rd_kafka_t* client);

    LogCallback log_;  // before the clients: librdkafka's threads call it until they are gone
    Properties properties_;
    Limits limits_;
    detail::Client client_;
    std::mutex mutex_;  // of what follows
    detail::Client uncommitted_client_;
    detail::Connections connections_;
    std::optional<Error> refused_login_;
    bool is_all_down_ = false;
    std::vector<std::int32_t> broker_ids_;
    std::map<std::int32_t, Error> troubles_;  // by broker
};

}  // namespace txstream::kafka
