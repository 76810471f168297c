#pragma once

#include "cli/event_lookup.hpp"

// How events look on the command line. In JSON as the console's API has them.
namespace txstream::cli {

/// A list of events.
Listing events_listing(const Matches& matches, const Config& config);
/// One event with all that is known of it.
Task<Result<Answer>> event_answer(Look look, outbox::EventRow event);

}  // namespace txstream::cli
