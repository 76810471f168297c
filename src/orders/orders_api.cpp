#include "orders/orders_api.hpp"

#include "domain/json_writer.hpp"
#include "domain/order_json.hpp"
#include "domain/order_request.hpp"
#include "http/problem.hpp"
#include "orders/order_repository.hpp"
#include "outbox/event_log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <random>
#include <utility>

namespace txstream::orders {

namespace {

constexpr std::size_t kLimitDefault = 10;
constexpr std::size_t kLimitMax = 100;
// What lies before a page is read and thrown away, for events in each lane.
constexpr std::int64_t kOffsetMax = 100'000;
// An answer stays in memory until a slow client has taken it.
constexpr std::size_t kListBytesMax = std::size_t{4} << 20;

struct Window {
    std::size_t limit;
    std::size_t offset;
};

std::int64_t number_or(
    const http::Request& request, std::string_view name, std::int64_t otherwise
) {
    const auto text = request.query(name);
    if (!text) return otherwise;
    std::int64_t number = 0;
    const auto* const end = text->data() + text->size();
    const auto [rest, error] = std::from_chars(text->data(), end, number);
    if (rest != end) return otherwise;
    if (error == std::errc::result_out_of_range && text->front() != '-')
        return std::numeric_limits<std::int64_t>::max();
    return error == std::errc() ? number : otherwise;
}

// As the earlier system: nonsense means the default, and too much the most there is. Not so for an
// offset: who pages on would get the same page for ever.
Result<Window> window_of(const http::Request& request) {
    const auto limit = number_or(request, "limit", 0);
    const auto offset = number_or(request, "offset", 0);
    if (offset > kOffsetMax)
        return fail(Code::invalid_input, fmt::format("offset is {} at most", kOffsetMax));
    return Window{
        limit <= 0 ? kLimitDefault : std::min(static_cast<std::size_t>(limit), kLimitMax),
        offset < 0 ? 0 : static_cast<std::size_t>(offset)
    };
}

/// A page that kListBytesMax cut short says where the next begins: a client cannot see that there
/// is more.
http::Response page_of(
    std::string json, std::string_view path, Window window, std::size_t rows, bool is_cut
) {
    auto response = http::json(200, std::move(json));
    if (is_cut)
        response.with(
            "Link",
            fmt::format(
                "<{}?limit={}&offset={}>; rel=\"next\"", path, window.limit, window.offset + rows
            )
        );
    return response;
}

// Version 4, from the system's randomness: ids of several API processes must not meet.
std::string random_uuid() {
    static thread_local std::random_device random;  // opening it costs more than asking it
    std::uint32_t words[4];
    for (auto& word : words) word = random();
    words[1] = (words[1] & 0xffff0fffU) | 0x00004000U;
    words[2] = (words[2] & 0x3fffffffU) | 0x80000000U;
    return fmt::format(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:04x}{:08x}",
        words[0],
        words[1] >> 16,
        words[1] & 0xffffU,
        words[2] >> 16,
        words[2] & 0xffffU,
        words[3]
    );
}

domain::Timestamp now() {
    return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
}

/// For what is not the client's fault, whatever the database calls it.
http::Response database_problem(const Error& error) {
    if (error.retryable()) return http::problem(error);
    http::Response response(500);
    response.failure = error.what();
    return response;
}

http::Response order_or_problem(const Result<domain::Order>& order, const std::string& missing) {
    if (order) return http::json(200, domain::order_to_json(*order));
    if (order.error().code() == Code::not_found && order.error().origin().empty())
        return http::problem(404, "failed to get order: order not found with " + missing);
    return database_problem(order.error());
}

void write_event(domain::JsonWriter& out, const outbox::LoggedEvent& event) {
    out.begin_object();
    out.key("id").string(event.event_id);
    out.key("aggregate_id").string(event.aggregate_id);
    out.key("aggregate_type").string(event.aggregate_type);
    out.key("event_type").string(event.event_type);
    event.payload.empty() ? out.key("event_data").null() : out.key("event_data").raw(event.payload);
    event.metadata.empty() ? out.key("event_metadata").null()
                           : out.key("event_metadata").raw(event.metadata);
    out.key("status").string(event.status);
    out.key("created_at").timestamp(event.created_at);
    event.published_at ? out.key("published_at").timestamp(*event.published_at)
                       : out.key("published_at").null();
    out.key("retry_count").integer(event.attempts);
    event.last_error.empty() ? out.key("error_message").null()
                             : out.key("error_message").string(event.last_error);
    out.end_object();
}

}  // namespace

OrdersApi::OrdersApi(pg::Pool& pool, OrderWriter& writer) : pool_(pool), writer_(writer) {
}

void OrdersApi::add_routes(http::Router& router) {
    using http::Method;
    using http::Request;
    router.add(Method::post, "/api/v1/orders", [this](Request r) { return create(std::move(r)); });
    router.add(Method::get, "/api/v1/orders", [this](Request r) { return list(std::move(r)); });
    router.add(Method::get, "/api/v1/orders/{id}", [this](Request r) {
        return by_id(std::move(r));
    });
    router.add(Method::get, "/api/v1/orders/number/{number}", [this](Request r) {
        return by_number(std::move(r));
    });
    router.add(Method::get, "/api/v1/events", [this](Request r) { return events(std::move(r)); });
}

Task<http::Response> OrdersApi::create(http::Request request) {
    auto wanted = domain::parse_create_order(request.body);
    if (!wanted) co_return http::problem(wanted.error());
    std::string().swap(request.body);  // thousands may wait for the database
    auto order = domain::place_order(std::move(*wanted), random_uuid(), now());
    if (!order) co_return http::problem(order.error());
    auto placed = co_await writer_.place(std::move(*order), request.deadline);
    if (!placed) {
        if (placed.error().code() == Code::conflict && placed.error().origin().empty())
            co_return http::problem(placed.error());
        co_return database_problem(placed.error());
    }
    co_return http::json(201, domain::order_to_json(*placed))
        .with("Location", "/api/v1/orders/" + placed->id);
}

Task<http::Response> OrdersApi::list(http::Request request) {
    const auto window = window_of(request);
    if (!window) co_return http::problem(window.error());
    auto session = co_await pool_.acquire(request.deadline);
    if (!session) co_return database_problem(session.error());
    const auto page = co_await newest_orders(
        **session, {window->limit, window->offset, kListBytesMax}, request.deadline
    );
    if (!page) co_return database_problem(page.error());
    // Escapes make texts up to six times longer than they were when the page was measured.
    std::string json = "[";
    std::size_t told = 0;
    for (const auto& order : page->orders) {
        const auto text = domain::order_to_json(order);
        if (told > 0 && json.size() + text.size() > kListBytesMax) break;
        if (told++ > 0) json += ',';
        json += text;
    }
    json += ']';
    const bool is_cut = page->is_cut || told < page->orders.size();
    co_return page_of(std::move(json), "/api/v1/orders", *window, told, is_cut);
}

Task<http::Response> OrdersApi::by_id(http::Request request) {
    const std::string id(request.param("id"));
    const auto missing = "id: " + id;
    if (!domain::is_uuid(id)) co_return order_or_problem(fail(Code::not_found, ""), missing);
    auto session = co_await pool_.acquire(request.deadline);
    if (!session) co_return database_problem(session.error());
    const auto order = co_await order_by_id(**session, id, request.deadline);
    co_return order_or_problem(order, missing);
}

Task<http::Response> OrdersApi::by_number(http::Request request) {
    const std::string number(request.param("number"));
    auto session = co_await pool_.acquire(request.deadline);
    if (!session) co_return database_problem(session.error());
    const auto order = co_await order_by_number(**session, number, request.deadline);
    co_return order_or_problem(order, "order number: " + number);
}

Task<http::Response> OrdersApi::events(http::Request request) {
    const auto window = window_of(request);
    if (!window) co_return http::problem(window.error());
    auto session = co_await pool_.acquire(request.deadline);
    if (!session) co_return database_problem(session.error());
    const auto page = co_await outbox::newest_events(
        **session, {window->limit, window->offset, kListBytesMax}, request.deadline
    );
    if (!page) co_return database_problem(page.error());
    std::string json;
    domain::JsonWriter out(json);
    out.begin_array();
    for (const auto& event : page->events) write_event(out, event);
    out.end_array();
    co_return page_of(
        std::move(json), "/api/v1/events", *window, page->events.size(), page->is_cut
    );
}

}  // namespace txstream::orders
