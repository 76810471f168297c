#pragma once

#include "outbox/event_detail.hpp"

#include <span>

namespace txstream::outbox {

/// A count that ends at a limit: there may be more.
struct CappedCount {
    std::uint64_t value = 0;
    bool is_exact = true;
};

struct DeadLetter {
    EventRow event;  ///< of what is kept of it
    Time first_attempt_at;
    Time last_attempt_at;
    std::string resolved_by;
    std::string resolved_reason;
    bool holds = true;  ///< later events of its key wait behind it
};

/// What went wrong with which events: an operator repairs causes, not rows.
struct Cause {
    std::string error_class;
    std::string event_type;
    std::string topic;  ///< empty: the default one
    EventState state = EventState::parked;
};
struct DeadLetterGroup {
    Cause cause;
    CappedCount events;
    CappedCount keys;
    Time first_at;  ///< the first attempt of its oldest event
    Time last_at;   ///< the last one of its newest
    DeadLetter example;
};
struct DeadLetterGroups {
    std::vector<DeadLetterGroup> groups;  ///< the largest first
    bool is_complete = true;
};
struct GroupLimits {
    std::size_t groups = 100;
    std::size_t counted = 10'000;  ///< events of a group that are counted
    std::size_t keyed = 200;       ///< of its newest events whose keys are counted
};
Task<Result<DeadLetterGroups>> dead_letter_groups(
    pg::Connection& connection, GroupLimits limits, Deadline deadline
);

/// Members without a value want all. With the first four the index of causes serves it, otherwise
/// all dead letters are walked through, newest first.
struct DeadLetterFilter {
    std::optional<std::string> error_class;
    std::optional<std::string> event_type;
    std::optional<std::string> topic;
    std::optional<EventState> state;
    std::optional<std::string> key;
};
struct DeadLettersFound {
    std::vector<DeadLetter> letters;  ///< newest first
    /// Of the next page. A page may be short, or empty, and not the last.
    std::optional<EventSeq> before;
};
struct LetterLimits {
    std::size_t rows = 50;
    std::size_t walked_max = 10'000;
};
Task<Result<DeadLettersFound>> dead_letters(
    pg::Connection& connection,
    DeadLetterFilter filter,
    std::optional<EventSeq> before,
    LetterLimits limits,
    Deadline deadline
);

/// What a dead letter keeps of its event, for an export.
struct DeadLetterContent {
    EventSeq seq;
    bool has_payload = false;
    bool is_json = false;
    std::string payload;
    std::string content_type;
    std::string metadata;
    std::string headers;
};
/// In no order. The caller bounds the sizes.
Task<Result<std::vector<DeadLetterContent>>> dead_letter_contents(
    pg::Connection& connection, std::span<const EventSeq> letters, Deadline deadline
);

}  // namespace txstream::outbox
