#pragma once

#include "base/strong.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

// Which records arrive late or again, as far as this worker knows, and why. Pure.
//
// Late: the event was committed before its lane's first look for events after a delay had ended.
// The first look counts because what was committed during the delay is in it; the few events that
// were committed between the end and that look are late too. A snapshot decides, not a clock:
// writers' clocks differ.
//
// Again: this worker has handed the event to Kafka's client before.
namespace txstream::relay {

/// The value of the header txstream-delay-reason. Empty: none. Has static lifetime.
using DelayReason = std::string_view;

// Besides these each blockage has one (header_word() in blockages.hpp).
inline constexpr DelayReason kBreakerOpen = "breaker-open";
// Only of records that are sent again.
inline constexpr DelayReason kRecordRefused = "record-refused";
inline constexpr DelayReason kBatchRefused = "batch-refused";
inline constexpr DelayReason kWaitedTooLong = "waited-too-long";
inline constexpr DelayReason kLaneLost = "lane-lost";
inline constexpr DelayReason kProducerRestart = "producer-restart";

/// What a record that is late or sent again says of it.
struct Mark {
    unsigned attempt = 1;  ///< 1: this worker hands it over for the first time
    DelayReason reason;
};

/// A cause of delay of one lane, and which of the lane's looks for events find late ones.
class LaneDelay {
public:
    /// Looks are counted (LaneMachine::looks()).
    using Look = std::uint64_t;

    void begin(DelayReason reason) {
        is_active_ = true;
        reason_ = reason;
    }
    /// The look after the `newest` finds what was committed during the delay. There may have been
    /// looks meanwhile, but not up to the end: a probe that is under way stops them.
    void end(Look newest) {
        if (is_active_) late_until_ = newest + 1;
        is_active_ = false;
    }
    /// Why the events that this look found, and that have not been handed over, are late.
    DelayReason of(Look look) const noexcept {
        return is_active_ || look <= late_until_ ? reason_ : DelayReason();
    }

private:
    bool is_active_ = false;
    DelayReason reason_;
    Look late_until_ = 0;
};

/// The events of a lane that were handed over before and are not acknowledged, with how often.
class EarlierTries {
public:
    /// More are not remembered; their records go without a mark. Four times what a lane has in
    /// flight by default.
    static constexpr std::size_t kEventsMax = 16'384;

    struct Tries {
        unsigned count = 0;
        DelayReason reason;  ///< why the last one did not do
    };

    bool empty() const noexcept { return tries_.empty(); }
    void add(EventSeq id, DelayReason reason);
    /// The event's page is acknowledged.
    void forget(EventSeq id) { tries_.erase(id); }
    std::optional<Tries> of(EventSeq id) const;

private:
    std::map<EventSeq, Tries> tries_;
};

}  // namespace txstream::relay
