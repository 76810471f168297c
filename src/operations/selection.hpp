#pragma once

#include "base/error.hpp"
#include "outbox/dead_letter_decisions.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace txstream::operations {

/// Which dead letters an operator means: one event, all, or those that match every other member.
struct Selection {
    std::optional<std::string> id{};        ///< "ID", or "ID.XID" where an id was given twice
    std::optional<std::string> event_id{};  ///< a UUID
    std::optional<std::string> key{};
    std::optional<std::string> error_class{};
    std::optional<std::string> event_type{};
    std::optional<std::string> topic{};  ///< empty text: the default one
    bool is_all = false;

    bool is_one_event() const noexcept { return id || event_id; }
};

/// Code::invalid_input where it means nothing, or two things at once.
Result<> check(const Selection& selection);

/// The place that `id` names; xid() is 0 where only the id was given.
Result<EventSeq> parse_id(const std::string& text);

/// What the conditions select.
outbox::LetterSelection letters_of(Selection selection);

/// JSON, for the audit and a job: only the members that were given.
std::string target_json(const Selection& selection);
/// The reverse: the conditions of a job that relays decide. Code::corrupt: it is not such a text,
/// or names one event.
Result<outbox::LetterSelection> parse_target(std::string_view json);

}  // namespace txstream::operations
