#include "console/event_detail_json.hpp"

#include "outbox/wire_format.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace txstream::console {

namespace {

using outbox::EventDetail;
using outbox::EventState;
using outbox::Time;

Json timeline(const EventDetail& detail) {
    auto steps = Json::array();
    std::optional<Time> previous;
    const auto add = [&](std::string_view step, std::optional<Time> at, std::string text) {
        Json since = nullptr;
        // Two clocks may disagree: then there is no time between them, never a negative one.
        if (at && previous)
            since =
                std::max(std::chrono::duration<double, std::milli>(*at - *previous).count(), 0.0);
        steps.push_back(
            {{"step", step},
             {"at", time_or_null(at)},
             {"since_previous_ms", since},
             {"text", std::move(text)}}
        );
        if (at) previous = at;
    };
    add("committed", detail.event.created_at, "written, by its writer's clock");
    if (detail.dead_letter) {
        const auto& dead = *detail.dead_letter;
        add("parked",
            dead.last_attempt_at,
            dead.attempts == 0 ? "held behind an earlier event of its key"
                               : fmt::format(
                                     "{}, after {} attempt{}",
                                     dead.error_class,
                                     dead.attempts,
                                     dead.attempts == 1 ? "" : "s"
                                 ));
        if (dead.state == EventState::replayed) add("replayed", std::nullopt, dead.resolved_reason);
        if (dead.state == EventState::discarded)
            add("discarded", std::nullopt, dead.resolved_reason);
    }
    if (detail.event.state == EventState::published) {
        add("published",
            detail.publication ? std::optional(detail.publication->acknowledged_at)
                               : detail.event.published_at,
            "acknowledged by Kafka");
    }
    return steps;
}

Json publication(const EventDetail& detail) {
    if (!detail.publication) return nullptr;
    const auto& facts = *detail.publication;
    auto ranges = Json::array();
    const auto records = Json::parse(facts.records, nullptr, false);
    if (records.is_array()) {
        for (const auto& record : records) {
            if (!record.is_object()) continue;
            ranges.push_back(
                {{"topic", record.value("topic", "")},
                 {"partition", record.value("partition", 0)},
                 {"first", number(record.value("first", std::int64_t{0}))},
                 {"last", number(record.value("last", std::int64_t{0}))}}
            );
        }
    }
    return Json{
        {"id", number(facts.id)},
        {"acknowledged_at", rfc3339(facts.acknowledged_at)},
        {"events", facts.events},
        {"ranges", std::move(ranges)},
    };
}

Json dead_letter_facts(const EventDetail& detail) {
    if (!detail.dead_letter) return nullptr;
    const auto& dead = *detail.dead_letter;
    const auto text_or_null = [](const std::string& text) {
        return text.empty() ? Json(nullptr) : Json(text);
    };
    return Json{
        {"state", outbox::to_string(dead.state)},
        {"attempts", dead.attempts},
        {"error_class", dead.error_class},
        {"error", dead.error},
        {"explanation", explanation_text(dead.error_class)},
        {"first_attempt_at", rfc3339(dead.first_attempt_at)},
        {"last_attempt_at", rfc3339(dead.last_attempt_at)},
        {"resolved_by", text_or_null(dead.resolved_by)},
        {"resolved_reason", text_or_null(dead.resolved_reason)},
        {"holds", dead.holds},
    };
}

/// The record's value as it is sent, with what the caller may see of payload and metadata.
Json value_json(const EventDetail& detail, const Masks* masks) {
    const bool is_masked = masks != nullptr && !masks->empty();
    const bool is_whole = detail.payload.size() == detail.payload_size &&
                          detail.metadata.size() == detail.metadata_size;
    // Nothing: a tombstone, or a payload that is too large to be read.
    if (!detail.has_payload || (detail.payload.empty() && detail.payload_size > 0)) return nullptr;
    std::optional<std::string> payload = detail.payload;
    std::optional<std::string> metadata = detail.metadata;
    if (is_masked) {
        if (is_whole) payload = masks->apply(detail.payload);
        if (is_whole && !detail.metadata.empty()) metadata = masks->apply(detail.metadata);
        // What cannot be masked in part is hidden.
        if (!is_whole || !payload || !metadata) {
            auto hidden = bytes("", 0, detail.payload_size);
            hidden["is_masked"] = true;
            return hidden;
        }
    }
    outbox::Event event;
    event.event_id = pg::Uuid(detail.event.event_id);
    event.aggregate_type = detail.event.aggregate_type;
    event.aggregate_id = detail.event.aggregate_id;
    event.event_type = detail.event.event_type;
    event.payload = *payload;
    event.payload_is_json = detail.is_json;
    event.metadata = *metadata;
    event.created_at = detail.event.created_at;
    std::string created_at;
    outbox::append_created_at(event.created_at, created_at);
    std::string value;
    outbox::txstream_format().append_value(event, created_at, value);
    // Beginnings of payload and metadata stand for the whole: the size is that of the whole.
    const auto size =
        is_masked ? value.size()
                  : value.size() + detail.payload_size - detail.payload.size() +
                        (detail.is_json ? detail.metadata_size - detail.metadata.size() : 0);
    auto json = bytes(value, kPayloadShownMax, size);
    if (is_masked) json["is_masked"] = true;
    return json;
}

}  // namespace

Json event_detail(const EventDetail& detail, const Masks* masks, std::string_view topic) {
    auto headers = Json::array();
    for (const auto& [name, value] : detail.headers)
        headers.push_back({{"name", name}, {"value", bytes(value, kPayloadShownMax)}});
    auto neighbours = Json::array();
    for (const auto& event : detail.neighbours) neighbours.push_back(event_row(event, topic));
    const auto& event = detail.event;
    const auto id = std::to_string(event.seq.id());
    const auto xid = std::to_string(event.seq.xid());
    return Json{
        {"event", event_row(event, topic)},
        {"payload",
         detail.has_payload ? payload(detail.payload, detail.payload_size, masks) : Json(nullptr)},
        {"value", value_json(detail, masks)},
        {"content_type", detail.content_type},
        {"headers", std::move(headers)},
        {"metadata",
         detail.metadata_size > 0 ? payload(detail.metadata, detail.metadata_size, masks)
                                  : Json(nullptr)},
        {"timeline", timeline(detail)},
        {"publication", publication(detail)},
        {"held_behind", detail.held_behind ? event_row(*detail.held_behind, topic) : Json(nullptr)},
        {"neighbours", std::move(neighbours)},
        {"trace_id", detail.trace_id.empty() ? Json(nullptr) : Json(detail.trace_id)},
        {"sql",
         detail.is_in_outbox
             ? "SELECT * FROM txstream.events WHERE lane = " + std::to_string(event.lane.value()) +
                   " AND id = " + id + " AND xid = '" + xid + "';"
             : "SELECT * FROM txstream.dead_letters WHERE id = " + id + " AND xid = '" + xid + "';"
        },
        {"dead_letter", dead_letter_facts(detail)},
    };
}

}  // namespace txstream::console
