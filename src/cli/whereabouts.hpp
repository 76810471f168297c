#pragma once

#include "cli/look.hpp"
#include "console/record_place.hpp"
#include "outbox/event_detail.hpp"

// Where an event is: in the outbox, behind what; among the dead letters; or in Kafka, at which
// offset.
namespace txstream::cli {

/// As JSON: the event as lists have it, with "since", "where" (a sentence), "behind" (an event, or
/// null), "record" ({"topic", "partition", "offset"}, or null) and "ranges".
/// `relays`: console::read_relays(). An event that is published has no record yet.
Json whereabouts(const outbox::EventDetail& detail, const Json& relays, std::string_view topic);

/// Looks for the records of those that are published, where their publication leaves several
/// offsets. Blocks, until the deadline at the latest; a Kafka that is away is no failure: the row
/// says between which offsets the record is, and why no more is known.
void find_records(std::vector<Json>& rows, const Config& config, Deadline deadline);

}  // namespace txstream::cli
