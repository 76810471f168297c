#pragma once

#include "base/error.hpp"
#include "base/strong.hpp"
#include "runtime/deadline.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::relay {

/// Each way in which committed events are not delivered. The names are labels of
/// txstream_delivery_blocked and reasons in /health.
enum class Blockage : std::uint8_t {
    database_unavailable,  ///< no session, or its statements fail
    foreign_instance,      ///< the outbox was restored or copied (outbox/instance.hpp)
    outbox_unusable,       ///< its tables, or our rights on them, are not what they must be
    cannot_acknowledge,    ///< cursors cannot be moved: nothing new is sent
    cannot_park,           ///< an event cannot be put among the dead letters: its lane stands still
    kafka_unavailable,     ///< no broker, or none that acknowledges
    topic_missing,         ///< the configured topic does not exist and cannot be made
    topic_refused,         ///< an event's own topic is unknown or refuses us: its keys wait
    no_worker,             ///< no worker of this relay is alive, or for an API: lanes have no owner
    paused,                ///< an operator has paused all of it, a topic or a key
    stalled,               ///< events wait, nothing is published, and none of the others is known
};
inline constexpr std::array kBlockages{
    Blockage::database_unavailable,
    Blockage::foreign_instance,
    Blockage::outbox_unusable,
    Blockage::cannot_acknowledge,
    Blockage::cannot_park,
    Blockage::kafka_unavailable,
    Blockage::topic_missing,
    Blockage::topic_refused,
    Blockage::no_worker,
    Blockage::paused,
    Blockage::stalled,
};

std::string_view to_string(Blockage blockage);
/// The same as a word of our headers: with hyphens. Has static lifetime.
std::string_view header_word(Blockage blockage);
/// What it means and what to do, in a sentence; names no host, user or key.
std::string_view explain(Blockage blockage);
/// It holds up every lane, and not one or some.
bool concerns_all_lanes(Blockage blockage);
/// It ends when a server is back, without an operator, or is what an operator wants.
bool heals_by_itself(Blockage blockage);

/// Those that an error of the database may be.
inline constexpr std::array kOfDatabase{
    Blockage::database_unavailable, Blockage::foreign_instance, Blockage::outbox_unusable
};

/// A lane that stands still, or of which some keys wait, while everything else goes on.
struct HeldLane {
    LaneId lane;
    Blockage why;
    std::string topic;  ///< the event's own that is refused; empty: for another reason

    bool operator==(const HeldLane&) const = default;
};

/// What keeps this process from delivering, as its workers and its owner tell it. Thread-safe.
///
/// A blockage begins when the first tells of it and ends when the last has taken it back. Beginning
/// and end are logged once each, with the detail, and shown as a metric.
class Blockages {
public:
    /// Called under the lock, in the order of the changes; it must not come back here.
    using OnChange = std::function<void(Blockage, bool is_blocked)>;
    /// Who tells: a worker's number, or kOwner.
    using Teller = std::size_t;
    static constexpr Teller kOwner = ~Teller{0};

    explicit Blockages(OnChange on_change) : on_change_(std::move(on_change)) {}

    void set(Teller teller, Blockage blockage, std::string_view detail);
    void clear(Teller teller, Blockage blockage);
    /// For a blockage that only says that there is one: told of while `is_blocked` and nothing else
    /// is known.
    void set_unless_explained(
        bool is_blocked, Teller teller, Blockage blockage, std::string_view detail
    );
    /// The teller has ended.
    void forget(Teller teller);
    /// Which lanes of the teller stand still or wait in part; each call says all of them.
    void hold_lanes(Teller teller, std::vector<HeldLane> lanes);

    struct Current {
        Blockage blockage;
        std::chrono::system_clock::time_point since;
        std::string detail{
        };  ///< of the first teller, as it is now; may name hosts, topics and keys
    };
    std::vector<Current> current() const;
    /// Of all tellers, in no order.
    std::vector<HeldLane> held_lanes() const;
    bool contains(Blockage blockage) const;
    /// What keeps all lanes of these tellers, [first, first + count), from being delivered: they
    /// say it, or the owner says it of Kafka.
    std::optional<Blockage> holding_up(Teller first, std::size_t count) const;

private:
    struct Entry {
        std::chrono::system_clock::time_point since;
        std::vector<Teller> tellers;
        std::string detail;
    };
    void erase(std::map<Blockage, Entry>::iterator entry, Teller teller);

    OnChange on_change_;
    mutable std::mutex mutex_;
    std::map<Blockage, Entry> entries_;               // guarded by mutex_
    std::map<Teller, std::vector<HeldLane>> held_{};  // guarded by mutex_; none is empty
};

/// One worker's side of it.
class WorkerBlockages {
public:
    WorkerBlockages(Blockages& all, Blockages::Teller teller) : all_(all), teller_(teller) {}
    ~WorkerBlockages() { all_.forget(teller_); }
    WorkerBlockages(const WorkerBlockages&) = delete;
    WorkerBlockages& operator=(const WorkerBlockages&) = delete;

    void set(Blockage blockage, std::string_view detail);
    /// True when it was told.
    bool clear(Blockage blockage);
    void set_if(bool is_blocked, Blockage blockage, std::string_view detail);
    void hold_lanes(std::vector<HeldLane> lanes);

private:
    Blockages& all_;
    Blockages::Teller teller_;
    std::uint32_t told_ = 0;      ///< a bit for each, so that what is as before costs nothing
    std::vector<HeldLane> held_;  ///< for the same
};

/// Of a statement that failed, the `failures`th in a row. One that may pass is told of when it
/// does not.
void tell_of(const Error& error, unsigned failures, WorkerBlockages& blockages);

}  // namespace txstream::relay
