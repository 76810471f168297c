#pragma once

#include "relay/ports.hpp"
#include "tests/sim/simulation.hpp"

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::sim {

/// A record that Kafka has stored.
struct Stored {
    std::int64_t event = 0;
    std::string topic;
    std::string key;
    std::string value;
    std::int32_t partition = 0;
    std::int64_t offset = 0;
};

/// A cluster with its topics, as far as its producers notice.
class Kafka {
public:
    struct Topic {
        bool exists = true;
        bool is_allowed = true;
        std::size_t bytes_max = 100'000;  ///< of a batch
        bool tells_limit = true;          ///< clients know bytes_max before they send
        std::array<std::vector<Stored>, 2> log{};
        std::array<Clock::time_point, 2> leader_back{};
    };
    struct Limits {
        Clock::duration travel_max = 500us;
        Clock::duration linger_max = 2ms;
        Clock::duration retry_pause = 20ms;
        std::int64_t batch_records_max = 6;
        std::size_t batch_bytes_max = 100'000;
        std::size_t queue_max = 40;
        std::optional<std::chrono::milliseconds> waiting_max{};
    };
    /// Probabilities for each request; all 0 when nothing goes wrong.
    struct Faults {
        double lost_request = 0;
        double lost_answer = 0;  ///< after the batch was stored
        double late = 0;
        Clock::duration late_max = 700ms;
        double fatal = 0;      ///< the producer gives up
        double transient = 0;  ///< a batch is given up, for a reason that may pass
    };
    /// What the clients of one process remember of topics.
    struct Known {
        std::size_t batch_bytes_max = 100'000;
    };

    explicit Kafka(Simulation& world) : world_(world) {}

    Topic& topic(std::string_view name);
    static std::int32_t partition_of(std::string_view key);

    void vanish(Clock::time_point back) { back_ = back; }
    void cut_off(const Process& process, Clock::time_point until) { cut_off_[&process] = until; }
    void heal();
    bool is_reachable(const Process& process) const;

    /// What its producer says of an event's record that leaves the process, or is handed over.
    struct Sender {
        const Process& process;
        const std::string& owner;  ///< as the lanes name it
        std::int64_t event;
    };

    /// The broker's word on a batch of one partition.
    struct Verdict {
        relay::Outcome outcome = relay::Outcome::acknowledged;
        const char* error = "";
        bool is_final = true;  ///< false: the client asks again
        std::int64_t offset = 0;
    };
    Verdict append(const std::vector<Stored>& batch);

    std::function<void(const Stored&)> on_store;
    /// A record was refused alone, or with others.
    std::function<void(std::int64_t event, bool is_alone)> on_refuse;
    /// `attempt`: as the record says; 0: it does not.
    std::function<void(const Sender& sender, int attempt)> on_hand_over;
    std::function<void(const Sender& sender)> on_send;
    /// Something went wrong for which records may have to be sent again.
    std::function<void(std::string_view what)> on_incident;

    Simulation& world() noexcept { return world_; }

    Limits limits;
    Faults faults;
    int producers = 0;

private:
    Simulation& world_;
    std::map<std::string, Topic, std::less<>> topics_;
    Clock::time_point back_{};
    std::map<const Process*, Clock::time_point> cut_off_;
};

std::unique_ptr<relay::Publisher> make_publisher(
    Kafka& kafka,
    Process& process,
    std::string owner,
    relay::Path path,
    std::shared_ptr<Kafka::Known> known,
    relay::PublisherEvents events
);

/// The word in an event's payload that makes the broker refuse its record.
inline constexpr std::string_view kPoison = "poison";
/// The same, for a reason that may pass, and does not.
inline constexpr std::string_view kDamaged = "damaged";

}  // namespace txstream::sim
