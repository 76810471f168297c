#pragma once

#include "kafka/producer.hpp"

#include <librdkafka/rdkafka.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace txstream::kafka::detail {

template <auto destroy>
struct Destroy {
    template <class T>
    void operator()(T* handle) const noexcept {
        destroy(handle);
    }
};

using Conf = std::unique_ptr<rd_kafka_conf_t, Destroy<rd_kafka_conf_destroy>>;
using Client = std::unique_ptr<rd_kafka_t, Destroy<rd_kafka_destroy>>;
using Queue = std::unique_ptr<rd_kafka_queue_t, Destroy<rd_kafka_queue_destroy>>;
using Topic = std::unique_ptr<rd_kafka_topic_t, Destroy<rd_kafka_topic_destroy>>;
using Event = std::unique_ptr<rd_kafka_event_t, Destroy<rd_kafka_event_destroy>>;

/// Earlier versions repeat their nonce, which Kafka 4 checks (librdkafka #4895).
inline constexpr int kScramWorksSince = 0x020601ff;

/// A configuration with the properties set; `log` must outlive every client made from it.
Result<Conf> make_conf(const Properties& properties, LogCallback* log);
Result<Client> make_client(rd_kafka_type_t type, Conf conf);

/// Of the connections of a client since it was made: what is wrong with the one that failed last.
class Connections {
public:
    /// Whether it is wrong in another way than before.
    bool failed(int code, std::string_view text);
    void worked() { trouble_.reset(); }
    const std::optional<Error>& trouble() const noexcept { return trouble_; }
    bool is_login_refused() const;

private:
    std::optional<Error> trouble_;
};

}  // namespace txstream::kafka::detail
