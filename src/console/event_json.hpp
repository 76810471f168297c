#pragma once

#include "console/json.hpp"
#include "console/masking.hpp"
#include "console/settings.hpp"
#include "outbox/dead_letter_groups.hpp"

#include <string_view>

/// How events and dead letters look in answers. The shapes are those of openapi.yaml.
namespace txstream::console {

constexpr std::size_t kPayloadShownMax = std::size_t{64} << 10;

/// `topic` is the default one, of events that name none.
Json event_row(const outbox::EventRow& event, std::string_view topic);
Json dead_letter(const outbox::DeadLetter& letter, std::string_view topic);

Json dead_letter_group(const outbox::DeadLetterGroup& group, const Settings& settings);

/// A payload, as whoever asks may see it. `masks`: null for callers who see everything. Of one that
/// is masked the whole must be there: what is cut off cannot be understood.
Json payload(std::string_view beginning, std::uint64_t size, const Masks* masks);

/// What a class of errors means. Null for one that is not known.
Json explanation_text(std::string_view error_class);
/// What repairs the cause of a parked event, with the values that this event needs.
Json remedy(const outbox::EventRow& parked, const Settings& settings);

}  // namespace txstream::console
