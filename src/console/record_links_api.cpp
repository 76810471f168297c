#include "console/record_links_api.hpp"

#include "base/text.hpp"
#include "console/event_json.hpp"
#include "console/record_place.hpp"
#include "domain/order.hpp"
#include "domain/timestamp.hpp"
#include "outbox/event_detail.hpp"
#include "outbox/event_times.hpp"

#include <nlohmann/json.hpp>

#include <charconv>
#include <utility>

namespace txstream::console {

namespace {

constexpr std::chrono::milliseconds kKept{5000};
constexpr std::chrono::milliseconds kAnswerTime{500};

http::Response record_answer(std::string_view topic, const RecordPlace& match, Json reason) {
    const bool is_found = match.partition.has_value();
    return ok(Json{
        {"topic", is_found ? Json(topic) : Json(nullptr)},
        {"partition", is_found ? Json(*match.partition) : Json(nullptr)},
        {"offset", is_found ? number(match.offset) : Json(nullptr)},
        {"reason", std::move(reason)},
        {"searched", number(match.searched)}
    });
}

http::Response event_answer(Json event, Json reason) {
    return ok(Json{{"event", std::move(event)}, {"reason", std::move(reason)}});
}

template <class Integer>
std::optional<Integer> integer(std::string_view text) {
    Integer value = -1;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || value < 0)
        return std::nullopt;
    return value;
}

}  // namespace

void RecordLinksApi::add_routes(http::Router& router) {
    router.add(
        http::Method::get,
        "/api/console/v1/events/{ref}/record",
        [this](http::Request request) { return record_of_event(std::move(request)); },
        http::Role::viewer
    );
    router.add(
        http::Method::get,
        "/api/console/v1/records/{topic}/{partition}/{offset}/event",
        [this](http::Request request) { return event_of_record(std::move(request)); },
        http::Role::viewer
    );
}

Task<http::Response> RecordLinksApi::record_of_event(http::Request request) {
    const auto seq = outbox::parse_event_ref(request.param("ref"));
    if (!seq) co_return invalid("ref", "ref is ID.XID, as the list of events has it");
    co_return co_await context_.cache.answer(
        "record of event " + outbox::event_ref(*seq),
        kKept,
        [this, seq = *seq]() { return find_record(seq, Deadline::in(kTime)); }
    );
}

Task<http::Response> RecordLinksApi::find_record(EventSeq seq, Deadline deadline) {
    Result<outbox::EventDetail> found = fail(Code::unavailable, "");
    {
        // The session is for others while Kafka is asked.
        auto session = co_await context_.pool.acquire(deadline);
        if (!session) co_return problem_of(session.error());
        found = co_await outbox::event_detail(
            **session, seq, {.payload_bytes = 1, .event_bytes_max = 0, .neighbours = 0}, deadline
        );
    }
    if (!found && found.error().code() == Code::not_found)
        co_return problem(404, "not_found", "there is no event " + outbox::event_ref(seq));
    if (!found) co_return problem_of(found.error());
    const auto& event = found->event;
    if (event.state != outbox::EventState::published)
        co_return record_answer(
            "",
            {},
            "the event is " + std::string(outbox::to_string(event.state)) + ", not published"
        );
    if (!found->publication)
        co_return record_answer("", {}, "its publication is no longer kept, or is too far away");
    const auto topic = event.topic.empty() ? context_.settings.topic : event.topic;
    auto ranges = record_ranges(found->publication->records, topic);
    if (ranges.empty())
        co_return record_answer("", {}, "its publication names no offsets of topic " + topic);
    // Before the caller gives up, so that the answer says how far the search came.
    const Deadline until(deadline.at() - kAnswerTime);
    const auto match = co_await messages_.read(
        [topic, ranges = std::move(ranges), id = event.event_id, until](kafka::RecordReader& reader
        ) { return console::find_record(reader, topic, ranges, id, until); },
        deadline
    );
    if (!match) co_return problem_of(match.error());
    co_return record_answer(
        topic, *match, match->partition ? Json(nullptr) : Json(why_not_found(*match))
    );
}

Task<http::Response> RecordLinksApi::event_of_record(http::Request request) {
    const auto partition = integer<std::int32_t>(request.param("partition"));
    const auto offset = integer<std::int64_t>(request.param("offset"));
    MessagesApi::Place place{
        std::string(request.param("topic")), partition.value_or(0), offset.value_or(0)
    };
    if (!is_topic_name(place.topic)) co_return invalid("topic", "this is no name of a topic");
    if (!partition) co_return invalid("partition", "partition is a whole number");
    if (!offset) co_return invalid("offset", "offset is a whole number");
    co_return co_await context_.cache.answer(
        "event of record " + place.topic + "/" + std::to_string(*partition) + "/" +
            std::to_string(*offset),
        kKept,
        [this, place = std::move(place)]() { return find_event(place, Deadline::in(kTime)); }
    );
}

Task<http::Response> RecordLinksApi::find_event(MessagesApi::Place place, Deadline deadline) {
    const auto answer = co_await messages_.find_record(std::move(place), deadline);
    if (!answer) co_return problem_of(answer.error());
    if (!answer->record)
        co_return event_answer(nullptr, "there is no record at this offset: " + answer->reason);
    const auto& record = *answer->record;
    const auto event_id = record_header(record, "event_id");
    const auto created_at = record_header(record, "created_at");
    const auto time = domain::parse_rfc3339(created_at.value_or(""));
    if (!event_id || !is_uuid(*event_id) || !record.key)
        co_return event_answer(
            nullptr, "the record does not come from this outbox: it has no key, or no event_id"
        );
    if (!time)
        co_return event_answer(
            nullptr, "the record does not say when its event was written, so it cannot be found"
        );
    auto session = co_await context_.pool.acquire(deadline);
    if (!session) co_return problem_of(session.error());
    const std::vector<outbox::Trail> trails{{*record.key, *time, std::string(*event_id)}};
    const auto events = co_await outbox::events_near(**session, trails, kEventsMax, deadline);
    if (!events) co_return problem_of(events.error());
    if (!events->front())
        co_return event_answer(
            nullptr,
            "no event with its event_id is among those of its key's lane that were written at that "
            "time: retention has dropped it, or another outbox wrote the record"
        );
    co_return event_answer(event_row(*events->front(), context_.settings.topic), nullptr);
}

}  // namespace txstream::console
