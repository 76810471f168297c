#include "console/events_api.hpp"

#include "console/event_detail_json.hpp"
#include "outbox/event_times.hpp"
#include "telemetry/log.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace txstream::console {

namespace {

using namespace std::chrono_literals;
using outbox::Time;

constexpr std::chrono::milliseconds kListKept{1000};
constexpr std::chrono::milliseconds kDetailKept{1000};
constexpr std::size_t kPiece = std::size_t{1} << 20;
/// A payload that is masked is read whole.
constexpr std::size_t kMaskedMax = std::size_t{4} << 20;

Time now() {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now()
    );
}

http::Response no_event(std::string_view ref) {
    return problem(
        404,
        "not_found",
        "there is no event " + std::string(ref) +
            ": retention may have dropped it, or the database was restored"
    );
}

/// {"b": [id, xid] below which the page lies, "n": when the first page was asked for}
struct ListCursor {
    EventSeq before;
    std::int64_t now = 0;
};
Result<ListCursor> list_cursor(std::string_view text) {
    TXS_TRY(const auto json, read_cursor(text));
    const auto is_number = [](const Json& value) { return value.is_number_integer(); };
    if (!json.is_object() || !json.contains("b") || !json.contains("n") || !json["b"].is_array() ||
        json["b"].size() != 2 || !std::ranges::all_of(json["b"], is_number) ||
        !is_number(json["n"]))
        return fail(Code::invalid_input, "cursor is not one of this list's");
    return ListCursor{
        EventSeq(json["b"][0].get<std::int64_t>(), json["b"][1].get<std::int64_t>()),
        json["n"].get<std::int64_t>()
    };
}

}  // namespace

EventsApi::EventsApi(Context& context, OrdersPort* orders)
    : context_(context),
      orders_(orders),
      masks_(Masks::parse(context.settings.masks).value_or(Masks())) {
}

void EventsApi::add_routes(http::Router& router) {
    using http::Method;
    using enum http::Router::Answer;
    const auto add = [&](const char* route, auto handler, http::Router::Answer answer = whole) {
        router.add(
            Method::get,
            std::string("/api/console/v1/events") + route,
            [this, handler](http::Request request) { return (this->*handler)(std::move(request)); },
            http::Role::viewer,
            answer
        );
    };
    add("", &EventsApi::list);
    add("/{ref}", &EventsApi::detail);
    add("/{ref}/payload", &EventsApi::download, stream);
}

const Masks* EventsApi::masks_for(const http::Request& request) const {
    return request.caller.role == http::Role::operator_ || masks_.empty() ? nullptr : &masks_;
}

// ---- the list

Task<http::Response> EventsApi::list(http::Request request) {
    const auto size = query_number(request, "size", 1, 100, 50);
    if (!size) co_return invalid("size", size.error().what());
    auto asked_at = now();
    std::optional<EventSeq> before;
    if (const auto text = request.query("cursor")) {
        const auto cursor = list_cursor(*text);
        if (!cursor) co_return invalid("cursor", cursor.error().what());
        before = cursor->before;
        asked_at = Time(std::chrono::microseconds(cursor->now));
    }
    auto parsed = outbox::parse_event_filter(request.query("q").value_or(""), asked_at);
    if (parsed.error)
        co_return problem(
            400,
            "invalid",
            parsed.error->text,
            Json{{"field", "q"}, {"column", parsed.error->column}}
        );
    outbox::EventSearch search{
        .filter = std::move(parsed.filter),
        .default_topic = context_.settings.topic,
        .before = before
    };
    search.limits.rows = static_cast<std::size_t>(*size);
    co_return co_await context_.cache.answer(
        "events " + request.target,
        kListKept,
        [this, search = std::move(search), asked_at]() -> Task<http::Response> {
            return make_list(search, asked_at.time_since_epoch().count(), Deadline::in(kListTime));
        }
    );
}

Task<http::Response> EventsApi::make_list(
    outbox::EventSearch search, std::int64_t now, Deadline deadline
) {
    auto session = co_await context_.pool.acquire(deadline);
    if (!session) co_return problem_of(session.error());
    if (search.filter.order) {
        if (orders_ == nullptr)
            co_return problem(400, "not_supported", "this database has no orders");
        auto order = co_await orders_->order(**session, *search.filter.order, deadline);
        if (!order && order.error().code() != Code::not_found) co_return problem_of(order.error());
        if (!order)
            co_return ok(Json{
                {"items", Json::array()},
                {"next_cursor", nullptr},
                {"search",
                 {{"is_exact", true}, {"searched", "0"}, {"back_to", nullptr}, {"is_complete", true}
                 }}
            });
        // Its events are where its time is: from its last one down to its first the walk is short.
        search.filter.key = order->order.id;
        const auto events = co_await outbox::events_of_key(
            **session, {order->order.id, order->order.created_at, {}}, deadline
        );
        if (!events) co_return problem_of(events.error());
        if (!events->empty()) {
            search.filter.created_from = events->front().created_at;
            const auto& last = events->back().seq;
            if (!search.before) search.before = EventSeq(last.id(), last.xid() + 1);
        }
    }
    const auto topic = search.default_topic;
    const auto found = co_await outbox::search_events(**session, std::move(search), deadline);
    if (!found) co_return problem_of(found.error());
    auto items = Json::array();
    for (const auto& event : found->events) items.push_back(event_row(event, topic));
    Json next = nullptr;
    if (found->before)
        next = cursor_of(Json{{"b", {found->before->id(), found->before->xid()}}, {"n", now}});
    co_return ok(Json{
        {"items", std::move(items)},
        {"next_cursor", std::move(next)},
        {"search",
         {{"is_exact", found->is_exact},
          {"searched", number(static_cast<std::uint64_t>(found->searched))},
          {"back_to", time_or_null(found->back_to)},
          {"is_complete", !found->before}}}
    });
}

// ---- one event

Task<http::Response> EventsApi::detail(http::Request request) {
    const auto seq = outbox::parse_event_ref(request.param("ref"));
    if (!seq) co_return invalid("ref", "ref is ID.XID, as the list of events has it");
    const auto* masks = masks_for(request);
    co_return co_await context_.cache.answer(
        std::string("event ") + (masks ? "masked " : "") + outbox::event_ref(*seq),
        kDetailKept,
        [this, seq = *seq, masks]() -> Task<http::Response> {
            return make_detail(seq, masks, Deadline::in(kListTime));
        }
    );
}

Task<http::Response> EventsApi::make_detail(EventSeq seq, const Masks* masks, Deadline deadline) {
    auto session = co_await context_.pool.acquire(deadline);
    if (!session) co_return problem_of(session.error());
    outbox::DetailLimits limits;
    limits.payload_bytes = masks ? kMaskedMax : kPayloadShownMax;
    const auto detail = co_await outbox::event_detail(**session, seq, limits, deadline);
    if (detail) co_return ok(event_detail(*detail, masks, context_.settings.topic));
    if (detail.error().code() == Code::not_found && detail.error().what().empty())
        co_return no_event(outbox::event_ref(seq));
    co_return problem_of(detail.error());
}

// ---- its payload

Task<http::Response> EventsApi::download(http::Request request) {
    const auto seq = outbox::parse_event_ref(request.param("ref"));
    if (!seq) co_return invalid("ref", "ref is ID.XID, as the list of events has it");
    const auto* masks = masks_for(request);
    const outbox::DetailLimits limits{.payload_bytes = masks ? kMaskedMax : 1, .neighbours = 0};
    auto session = co_await context_.pool.acquire(request.deadline);
    if (!session) co_return problem_of(session.error());
    const auto found = co_await outbox::event_detail(**session, *seq, limits, request.deadline);
    if (!found && found.error().code() != Code::not_found) co_return problem_of(found.error());
    if (!found) co_return no_event(outbox::event_ref(*seq));
    if (!found->has_payload) co_return problem(404, "not_found", "this event has no payload");
    http::Response response(200, "application/octet-stream", {});
    response.with(
        "Content-Disposition", "attachment; filename=\"event-" + outbox::event_ref(*seq) + ".bin\""
    );
    if (masks) {
        auto masked = found->payload.size() == found->payload_size ? masks->apply(found->payload)
                                                                   : std::nullopt;
        if (!masked)
            co_return problem(
                403, "forbidden", "this payload is hidden: it cannot be masked (CONSOLE_MASK)"
            );
        response.body = std::move(*masked);
        co_return response;
    }
    if (found->payload_size > 0 && found->payload.empty())
        co_return problem(
            413,
            "invalid",
            "the payload has " + std::to_string(found->payload_size) +
                " bytes; the console reads 16 MiB at most: read it with psql"
        );
    response.stream = [this, seq = *seq, size = found->payload_size](http::BodyWriter& body) {
        return write_payload(body, seq, size);
    };
    co_return response;
}

Task<> EventsApi::write_payload(http::BodyWriter& body, EventSeq seq, std::uint64_t size) {
    for (std::uint64_t at = 0; at < size && body.is_open();) {
        const auto deadline = Deadline::in(kListTime);
        auto session = co_await context_.pool.acquire(deadline);
        if (!session) throw std::runtime_error("no session for the rest of a payload");
        const auto part = co_await outbox::event_payload(**session, seq, at, kPiece, deadline);
        // The client must see that something is missing.
        if (!part || part->empty()) throw std::runtime_error("a payload ended early");
        at += part->size();
        if (!co_await body.write(*part)) co_return;
    }
}

}  // namespace txstream::console
