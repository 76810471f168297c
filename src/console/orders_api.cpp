#include "console/orders_api.hpp"

#include "base/utf8.hpp"
#include "console/event_json.hpp"
#include "outbox/event_times.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace txstream::console {

namespace {

using namespace std::chrono_literals;
using outbox::EventRow;
using outbox::EventState;

constexpr std::chrono::milliseconds kListKept{1000};
constexpr std::chrono::milliseconds kDetailKept{1000};
/// For each order of a page so many events are looked through, on either side of its time. Beyond
/// it the state of its event is not known.
constexpr std::size_t kNearMax = 4'000;

http::Response no_orders() {
    return problem(
        404,
        "not_supported",
        "this database has no orders: txstream migrate up makes their tables, and they are not "
        "needed for the outbox"
    );
}

// Without the tables, or the right to read them, everything else works.
http::Response problem_of_orders(const Error& error) {
    constexpr std::string_view kUndefinedTable = "42P01";
    constexpr std::string_view kInsufficientPrivilege = "42501";
    if (error.origin() == kUndefinedTable) return no_orders();
    if (error.origin() == kInsufficientPrivilege)
        return problem(
            403,
            "forbidden",
            "the console's login may not read the orders: GRANT SELECT ON public.orders, "
            "public.order_items TO it"
        );
    return problem_of(error);
}

Json order_row(const OrderRow& order, std::optional<EventState> state) {
    return Json{
        {"id", order.id},
        {"order_number", order.order_number},
        {"customer_id", order.customer_id},
        {"status", order.status},
        {"total_amount", order.total_amount},
        {"currency", order.currency},
        {"items", order.items},
        {"created_at", rfc3339(order.created_at)},
        {"event_state", state ? Json(outbox::to_string(*state)) : Json(nullptr)},
    };
}

/// {"t": microseconds, "i": id or number of the last order}
Result<OrderPlace> list_cursor(std::string_view text) {
    TXS_TRY(const auto json, read_cursor(text));
    if (!json.is_object() || !json.contains("t") || !json.contains("i") ||
        !json["t"].is_number_integer() || !json["i"].is_string())
        return fail(Code::invalid_input, "cursor is not one of this list's");
    return OrderPlace{
        outbox::Time(std::chrono::microseconds(json["t"].get<std::int64_t>())),
        json["i"].get<std::string>()
    };
}

/// The way of an order, told by its first event. What lies in Kafka the page asks for itself.
Json stations(const OrderView& view, const std::vector<EventRow>& events) {
    auto all = Json::array();
    std::optional<outbox::Time> previous;
    const auto add = [&](std::string_view name,
                         std::string_view state,
                         std::optional<outbox::Time> at,
                         std::string_view text,
                         Json link,
                         Json params = Json::object()) {
        Json since = nullptr;
        if (at && previous)
            since =
                std::max(std::chrono::duration<double, std::milli>(*at - *previous).count(), 0.0);
        if (at) previous = at;
        all.push_back(
            {{"name", name},
             {"state", state},
             {"at", time_or_null(at)},
             {"since_previous_ms", since},
             {"text", text},
             {"link", std::move(link)},
             {"params", std::move(params)}}
        );
    };
    add("request",
        "done",
        std::nullopt,
        "POST /api/v1/orders was answered with 201 after the commit",
        nullptr);
    add("order",
        "done",
        view.order.created_at,
        "the order, in one transaction with its event",
        "/orders/" + view.order.id);
    if (events.empty()) {
        add("event", "unknown", std::nullopt, "no event was found near the order's time", nullptr);
        add("record", "unknown", std::nullopt, "", nullptr);
        add("groups", "unknown", std::nullopt, "", nullptr);
        return all;
    }
    const auto& event = events.front();
    const auto ref = outbox::event_ref(event.seq);
    const Json params{
        {"ref", ref},
        {"state", outbox::to_string(event.state)},
        {"event_type", event.event_type},
        {"error_class", event.error_class}
    };
    const bool is_parked =
        event.state == EventState::parked || event.state == EventState::discarded;
    add("event",
        is_parked ? "failed" : "done",
        event.created_at,
        is_parked ? "the event is parked" : "the event is in the outbox",
        "/outbox/" + ref,
        params);
    const bool is_published =
        event.state == EventState::published || event.state == EventState::replayed;
    add("record",
        is_published ? "done"
        : is_parked  ? "failed"
                     : "waiting",
        event.published_at,
        is_published ? "Kafka has acknowledged the record" : "not in Kafka",
        nullptr,
        params);
    add("groups", is_published ? "unknown" : "waiting", std::nullopt, "", nullptr, params);
    return all;
}

}  // namespace

OrdersApi::OrdersApi(Context& context, OrdersPort* orders)
    : context_(context),
      orders_(orders),
      masks_(Masks::parse(context.settings.masks).value_or(Masks())) {
}

void OrdersApi::add_routes(http::Router& router) {
    using http::Method;
    const auto add = [&](const char* route, auto handler) {
        router.add(
            Method::get,
            std::string("/api/console/v1/orders") + route,
            [this, handler](http::Request request) { return (this->*handler)(std::move(request)); },
            http::Role::viewer
        );
    };
    add("", &OrdersApi::list);
    add("/{id}", &OrdersApi::detail);
}

Task<http::Response> OrdersApi::list(http::Request request) {
    if (orders_ == nullptr) co_return no_orders();
    const auto size = query_number(request, "size", 1, 100, 50);
    if (!size) co_return invalid("size", size.error().what());
    std::optional<OrderPlace> before;
    if (const auto text = request.query("cursor")) {
        auto cursor = list_cursor(*text);
        if (!cursor) co_return invalid("cursor", cursor.error().what());
        before = std::move(*cursor);
    }
    co_return co_await context_.cache.answer(
        "orders " + request.target,
        kListKept,
        [this,
         q = std::string(request.query("q").value_or("")),
         before = std::move(before),
         rows = static_cast<std::size_t>(*size)]() {
            return make_list(q, before, rows, Deadline::in(kListTime));
        }
    );
}

Task<http::Response> OrdersApi::make_list(
    std::string q, std::optional<OrderPlace> before, std::size_t rows, Deadline deadline
) {
    auto session = co_await context_.pool.acquire(deadline);
    if (!session) co_return problem_of(session.error());
    const auto found =
        co_await orders_->list(**session, std::move(q), std::move(before), rows, deadline);
    if (!found && found.error().code() == Code::invalid_input && found.error().origin().empty())
        co_return problem(
            400, "invalid", found.error().what(), Json{{"field", "q"}, {"column", 0}}
        );
    if (!found) co_return problem_of_orders(found.error());
    std::vector<outbox::Trail> trails;
    for (const auto& order : found->orders) trails.push_back({order.id, order.created_at, {}});
    auto events = co_await outbox::events_near(**session, trails, kNearMax, deadline);
    // The list is worth more than the states of its events.
    if (!events) events = std::vector<std::optional<EventRow>>(trails.size());
    auto items = Json::array();
    for (std::size_t i = 0; i < found->orders.size(); ++i) {
        const auto& event = (*events)[i];
        items.push_back(
            order_row(found->orders[i], event ? std::optional(event->state) : std::nullopt)
        );
    }
    Json next = nullptr;
    if (found->before)
        next = cursor_of(Json{
            {"t", found->before->created_at.time_since_epoch().count()}, {"i", found->before->id}
        });
    co_return ok(Json{{"items", std::move(items)}, {"next_cursor", std::move(next)}});
}

Task<http::Response> OrdersApi::detail(http::Request request) {
    if (orders_ == nullptr) co_return no_orders();
    const bool is_masked = request.caller.role != http::Role::operator_ && !masks_.empty();
    const std::string id(request.param("id"));
    if (id.size() > 200 || storable_text(id, id.size()) != id)
        co_return invalid("id", "id is an order's id or number");
    co_return co_await context_.cache.answer(
        std::string("order ") + (is_masked ? "masked " : "") + id,
        kDetailKept,
        [this, id, is_masked]() { return make_detail(id, is_masked, Deadline::in(kListTime)); }
    );
}

Task<http::Response> OrdersApi::make_detail(std::string id, bool is_masked, Deadline deadline) {
    auto session = co_await context_.pool.acquire(deadline);
    if (!session) co_return problem_of(session.error());
    const auto view = co_await orders_->order(**session, id, deadline);
    if (!view && view.error().code() == Code::not_found && view.error().what().empty())
        co_return problem(404, "not_found", "there is no order with this id or number");
    if (!view) co_return problem_of_orders(view.error());

    auto found = co_await outbox::events_of_key(
        **session, {view->order.id, view->order.created_at, {}}, deadline
    );
    if (!found) co_return problem_of(found.error());
    auto events = Json::array();
    for (const auto& event : *found) events.push_back(event_row(event, context_.settings.topic));
    auto items = Json::array();
    for (const auto& item : view->items)
        items.push_back(
            {{"product_id", item.product_id},
             {"product_name", item.product_name},
             {"quantity", item.quantity},
             {"unit_price", item.unit_price},
             {"total_price", item.total_price}}
        );
    Json json = payload(view->json, view->json.size(), is_masked ? &masks_ : nullptr);
    const auto state = found->empty() ? std::nullopt : std::optional(found->front().state);
    // What masks hide of an order they hide of its lines, too: which of them cannot be told from
    // the lines, so all go.
    const auto lines = [&](const std::vector<std::string>& address) {
        return is_masked ? Json::array({"•••"}) : Json(address);
    };
    co_return ok(Json{
        {"order", order_row(view->order, state)},
        {"json", std::move(json)},
        {"items", std::move(items)},
        {"shipping_address", lines(view->shipping_address)},
        {"billing_address", lines(view->billing_address)},
        {"events", std::move(events)},
        {"stations", stations(*view, *found)}
    });
}

}  // namespace txstream::console
