#pragma once

#include "console/json.hpp"
#include "console/masking.hpp"
#include "outbox/dead_letter_groups.hpp"

#include <string_view>

/// How events and dead letters look in answers. The shapes are those of openapi.yaml.
namespace txstream::console {

constexpr std::size_t kPayloadShownMax = std::size_t{64} << 10;

/// `topic` is the default one, of events that name none.
Json event_row(const outbox::EventRow& event, std::string_view topic);
Json dead_letter(const outbox::DeadLetter& letter, std::string_view topic);

/// A payload, as whoever asks may see it. `masks`: null for callers who see everything. Of one that
/// is masked the whole must be there: what is cut off cannot be understood.
Json payload(std::string_view beginning, std::uint64_t size, const Masks* masks);

/// What a class of errors means and what repairs it.
struct Explanation {
    std::string_view text;
    std::string_view remedy_kind;  ///< command, sql or text
    std::string_view remedy;
};
/// Nothing for a class that is not known.
const Explanation* explanation_of(std::string_view error_class) noexcept;
Json explanation_text(std::string_view error_class);
Json remedy(std::string_view error_class);

}  // namespace txstream::console
