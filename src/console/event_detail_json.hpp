#pragma once

#include "console/event_json.hpp"
#include "outbox/event_detail.hpp"

namespace txstream::console {

/// All that is known of an event, as whoever asks may see it (`masks`: as of payload()). `topic` is
/// the default one.
Json event_detail(const outbox::EventDetail& detail, const Masks* masks, std::string_view topic);

}  // namespace txstream::console
