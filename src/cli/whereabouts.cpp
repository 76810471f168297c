#include "cli/whereabouts.hpp"

#include "console/event_detail_json.hpp"
#include "kafka/record_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace txstream::cli {

namespace {

using outbox::EventDetail;
using outbox::EventState;

std::string text_at(const Json& row, const char* name) {
    const auto found = row.find(name);
    return found != row.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const Json* lane_of(const Json& relays, std::int16_t lane) {
    for (const auto& one : relays["lanes"])
        if (one["lane"].get<std::int16_t>() == lane) return &one;
    return nullptr;
}

/// Whose lane it is; a lane's owner is "<relay>/<worker>".
const Json* relay_of(const Json& relays, const std::string& owner) {
    for (const auto& one : relays["members"]) {
        if (one["is_alive"].get<bool>() && owner.starts_with(text_at(one, "name") + "/"))
            return &one;
    }
    return nullptr;
}

std::string held_by(const outbox::EventRow& first) {
    return fmt::format(
        "event {} of its key, which is {} ({})",
        outbox::event_ref(first.seq),
        outbox::to_string(first.state),
        first.error_class
    );
}

/// Why an event that is committed is not published.
std::string waits_for(const EventDetail& detail, const Json& relays, const std::string& topic) {
    if (detail.held_behind) return "it waits behind " + held_by(*detail.held_behind);
    for (const auto& one : relays["topics"]) {
        if (text_at(one, "name") == topic && text_at(one, "state") == "closed")
            return fmt::format("topic {} accepts no record: {}", topic, text_at(one, "error"));
    }
    const auto lane = detail.event.lane.value();
    const auto* const found = lane_of(relays, lane);
    if (found == nullptr) return "it waits; the lanes cannot be read, a table of theirs is locked";
    if (text_at(*found, "state") == "unowned")
        return fmt::format("no relay owns its lane {}", lane);
    const auto* const relay = relay_of(relays, text_at(*found, "owner"));
    if (relay != nullptr && text_at((*relay)["breaker"], "state") == "open")
        return fmt::format("the circuit breaker of relay {} is open", text_at(*relay, "name"));
    if (relay != nullptr && text_at(*found, "state") == "waiting" && !(*relay)["blocked"].empty()) {
        const auto& blocked = (*relay)["blocked"].front();
        return fmt::format(
            "relay {} cannot deliver: {} {}",
            text_at(*relay, "name"),
            text_at(blocked, "code"),
            text_at(blocked, "text")
        );
    }
    const auto& pending = (*found)["pending"];
    return fmt::format(
        "it is in line in lane {}{}",
        lane,
        pending.is_null() ? "" : ", where " + text_at(pending, "value") + " wait"
    );
}

std::string resolved(const EventDetail& detail) {
    const auto& dead = *detail.dead_letter;
    if (dead.resolved_by.empty()) return "";
    return fmt::format(" by {}: {}", dead.resolved_by, dead.resolved_reason);
}

std::string sentence(const EventDetail& detail, const Json& relays, const std::string& topic) {
    switch (detail.event.state) {
        case EventState::pending:
            return waits_for(detail, relays, topic);
        case EventState::published:
            return "published; where is no longer kept";
        case EventState::parked:
            if (detail.dead_letter->error_class == "held" && detail.held_behind)
                return "held behind " + held_by(*detail.held_behind);
            return fmt::format(
                "parked, {}: {}", detail.dead_letter->error_class, detail.dead_letter->error
            );
        case EventState::replaying:
            return "to be sent again" + resolved(detail);
        case EventState::replayed:
            return "sent again" + resolved(detail);
        case EventState::discarded:
            return "discarded" + resolved(detail);
    }
    return "";
}

std::string since_of(const EventDetail& detail) {
    if (detail.event.state == EventState::published && detail.publication)
        return console::rfc3339(detail.publication->acknowledged_at);
    if (detail.dead_letter) return console::rfc3339(detail.dead_letter->last_attempt_at);
    return console::rfc3339(detail.event.created_at);
}

void set_record(Json& row, std::int32_t partition, std::int64_t offset) {
    const auto topic = text_at(row, "topic");
    row["record"] = {
        {"topic", topic}, {"partition", partition}, {"offset", std::to_string(offset)}
    };
    row["where"] = fmt::format("{}, partition {}, offset {}", topic, partition, offset);
}

void say_ranges(Json& row, const std::vector<kafka::ReadRange>& ranges, std::string_view why) {
    std::string places;
    for (const auto& one : ranges)
        places += fmt::format(
            "{}partition {} from {} to {}",
            places.empty() ? "" : ", ",
            one.partition,
            one.from,
            one.to - 1
        );
    row["where"] = fmt::format("{}, in {}: {}", text_at(row, "topic"), places, why);
}

std::vector<kafka::ReadRange> ranges_of(const Json& row) {
    return console::record_ranges(row["ranges"].dump(), text_at(row, "topic"));
}

bool is_one_offset(const std::vector<kafka::ReadRange>& ranges) {
    return ranges.size() == 1 && ranges.front().to == ranges.front().from + 1;
}

}  // namespace

Json whereabouts(const EventDetail& detail, const Json& relays, std::string_view topic) {
    auto row = console::event_row(detail.event, topic);
    row["since"] = since_of(detail);
    row["where"] = sentence(detail, relays, text_at(row, "topic"));
    row["behind"] =
        detail.held_behind ? console::event_row(*detail.held_behind, topic) : Json(nullptr);
    row["record"] = nullptr;
    row["ranges"] = nullptr;
    if (detail.event.state != EventState::published || !detail.publication) return row;
    auto ranges_json = Json::parse(detail.publication->records, nullptr, false);
    if (ranges_json.is_array()) row["ranges"] = std::move(ranges_json);
    const auto ranges = ranges_of(row);
    if (is_one_offset(ranges)) set_record(row, ranges.front().partition, ranges.front().from);
    return row;
}

void find_records(std::vector<Json>& rows, const Config& config, Deadline deadline) {
    // Opened for the first that needs it.
    Result<std::unique_ptr<kafka::RecordReader>> reader = nullptr;
    for (auto& row : rows) {
        if (!row["record"].is_null() || row["ranges"].is_null()) continue;
        auto ranges = ranges_of(row);
        if (ranges.empty()) continue;
        if (reader && *reader == nullptr) {
            const auto renewed = config.kafka.renewed();
            if (renewed)
                reader = kafka::RecordReader::open(to_kafka(renewed->client), nullptr);
            else
                reader = tl::unexpected<Error>(renewed.error());
        }
        if (!reader) {
            say_ranges(row, ranges, reader.error().what());
            continue;
        }
        const auto place = console::find_record(
            **reader, text_at(row, "topic"), ranges, text_at(row, "event_id"), deadline
        );
        if (!place) {
            say_ranges(row, ranges, place.error().what());
        } else if (place->partition) {
            set_record(row, *place->partition, place->offset);
        } else {
            say_ranges(row, ranges, console::why_not_found(*place));
        }
    }
}

}  // namespace txstream::cli
