#include "cli/event_listing.hpp"

#include "console/event_detail_json.hpp"

namespace txstream::cli {

Listing events_listing(const Matches& matches, const Config& config) {
    Listing listing{
        .columns =
            {{"EVENT", "/ref"},
             {"WRITTEN", "/created_at", Shown::ago},
             {"STATE", "/state"},
             {"TYPE", "/event_type"},
             {"KEY", "/key"},
             {"TOPIC", "/topic"},
             {"PUBLISHED", "/published_at", Shown::ago},
             {"ERROR", "/error_class"}},
        .rows = {},
        .none = "no such events",
        .note = matches.limit
    };
    for (const auto& event : matches.events)
        listing.rows.push_back(console::event_row(event, config.kafka.topic));
    return listing;
}

Task<Result<Answer>> event_answer(Look look, outbox::EventRow event) {
    const auto found = co_await outbox::event_detail(look.session, event.seq, {}, look.deadline);
    if (!found && found.error().code() == Code::not_found)
        co_return fail(Code::not_found, outbox::event_ref(event.seq) + " was dropped meanwhile");
    if (!found) co_return tl::unexpected<Error>(found.error());
    Answer answer;
    answer.listing = {
        .columns =
            {{"event", "/event/ref"},
             {"event_id", "/event/event_id"},
             {"state", "/event/state"},
             {"type", "/event/event_type"},
             {"aggregate", "/event/aggregate_type"},
             {"aggregate_id", "/event/aggregate_id"},
             {"key", "/event/key"},
             {"lane", "/event/lane"},
             {"topic", "/event/topic"},
             {"written", "/event/created_at", Shown::ago},
             {"published", "/publication/acknowledged_at", Shown::ago},
             {"records", "/publication/ranges"},
             {"error", "/dead_letter/error_class"},
             {"error_text", "/dead_letter/error"},
             {"explanation", "/dead_letter/explanation"},
             {"attempts", "/dead_letter/attempts", Shown::number},
             {"last_attempt", "/dead_letter/last_attempt_at", Shown::ago},
             {"holds_key", "/dead_letter/holds"},
             {"resolved_by", "/dead_letter/resolved_by"},
             {"resolved_reason", "/dead_letter/resolved_reason"},
             {"held_behind", "/held_behind/ref"},
             {"size", "/event/size", Shown::bytes},
             {"trace_id", "/trace_id"},
             {"content_type", "/content_type"},
             {"metadata", "/metadata/data"},
             {"payload", "/payload/data"}},
        .rows = {console::event_detail(*found, nullptr, look.config.kafka.topic)},
        .is_one = true
    };
    co_return answer;
}

}  // namespace txstream::cli
