#include "orders/orders_api.hpp"

#include "base/text.hpp"
#include "domain/json_writer.hpp"
#include "domain/order_json.hpp"
#include "domain/order_request.hpp"
#include "domain/text.hpp"
#include "http/problem.hpp"
#include "orders/order_repository.hpp"
#include "outbox/event_log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
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
// About what Kafka takes. Other applications write events of any size; a larger one is listed
// without its payload.
constexpr std::size_t kEventBytesMax = std::size_t{1} << 20;

struct Window {
    std::size_t limit;
    std::size_t offset;
};

tl::unexpected<Error> bad_query(std::string what) {
    return fail(Code::invalid_input, std::move(what));
}

/// For a path that takes no parameters. A client that sends one expects an effect; ignoring it
/// would hide that there is none.
Result<> check_no_query(const http::Request& request) {
    if (request.query_pairs().empty()) return {};
    return bad_query(fmt::format(
        "unknown query parameter '{}'; this path takes none",
        domain::excerpt(request.query_pairs().front().first)
    ));
}

// Digits with a sign in front or not. What 64 bits cannot hold is as large, or as small, as they
// can: the clamps make the same of it.
Result<std::int64_t> number_of(std::string_view name, std::string_view text) {
    std::int64_t number = 0;
    const auto* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (rest != end || error == std::errc::invalid_argument) {
        return bad_query(
            fmt::format("{} must be a whole number, not '{}'", name, domain::excerpt(text))
        );
    }
    if (error == std::errc()) return number;
    return text.front() == '-' ? std::numeric_limits<std::int64_t>::min()
                               : std::numeric_limits<std::int64_t>::max();
}

// As the earlier system: what is not positive means the default, and too much the most there is.
// Not so for an offset beyond the largest: who pages on would get the same page for ever.
Result<Window> window_of(const http::Request& request) {
    std::optional<std::int64_t> limit;
    std::optional<std::int64_t> offset;
    for (const auto& [name, text] : request.query_pairs()) {
        if (name != "limit" && name != "offset") {
            return bad_query(fmt::format(
                "unknown query parameter '{}'; this path takes limit and offset",
                domain::excerpt(name)
            ));
        }
        auto& number = name == "limit" ? limit : offset;
        if (number) return bad_query(fmt::format("{} appears more than once", name));
        TXS_TRY(number, number_of(name, text));
    }
    if (offset > kOffsetMax)
        return fail(Code::invalid_input, fmt::format("offset is {} at most", kOffsetMax));
    const auto asked = limit.value_or(0);
    return Window{
        asked <= 0 ? kLimitDefault : std::min(static_cast<std::size_t>(asked), kLimitMax),
        static_cast<std::size_t>(std::max<std::int64_t>(offset.value_or(0), 0))
    };
}

/// A page that kListBytesMax cut short says where the next begins: a client cannot see that there
/// is more. `is_cut`: the database did so already. Escapes make texts up to six times longer than
/// they were when it measured them.
template <class Row>
http::Response page_of(
    std::string_view path,
    Window window,
    const std::vector<Row>& rows,
    bool is_cut,
    std::string (*to_json)(const Row&)
) {
    std::string json = "[";
    std::size_t told = 0;
    for (const auto& row : rows) {
        const auto text = to_json(row);
        if (told > 0 && json.size() + text.size() > kListBytesMax) break;
        if (told++ > 0) json += ',';
        json += text;
    }
    json += ']';
    auto response = http::json(200, std::move(json));
    if (is_cut || told < rows.size())
        response.with(
            "Link",
            fmt::format(
                "<{}?limit={}&offset={}>; rel=\"next\"", path, window.limit, window.offset + told
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
    // A login that is refused while its password is rotated: the next session may have the new one.
    const bool is_login = error.origin().starts_with("28");
    http::Response response(is_login ? 503 : 500);
    if (is_login) response.with("Retry-After", "1");
    response.failure = error.what();
    return response;
}

// The contract's words, and for a text that is not JSON where and why.
http::Response refusal(const Error& error) {
    if (error.origin().empty()) return http::problem(error);
    std::string json;
    domain::JsonWriter(json)
        .begin_object()
        .key("error")
        .string(error.what())
        .key("detail")
        .string(error.origin())
        .end_object();
    return http::json(http::status_of(error.code()), std::move(json));
}

// Texts are checked before they are stored. Should the database still refuse a value (a column that
// somebody made narrower), it is the order's and not a failure of ours.
bool is_refused_value(const Error& error) {
    constexpr std::array kStates = {"22001", "22003", "22021", "22P05"};
    return std::ranges::find(kStates, error.origin()) != kStates.end();
}

http::Response not_placed(const Error& error) {
    if (error.code() == Code::conflict && error.origin().empty()) return http::problem(error);
    if (error.origin() == kRecordTooLarge) return http::problem(413, error.what());
    if (!is_refused_value(error)) return database_problem(error);
    auto response = http::problem(
        400, "validation error: a text or a number of the order does not fit into its column"
    );
    response.failure = error.what();
    return response;
}

http::Response order_or_problem(const Result<domain::Order>& order, const std::string& missing) {
    if (order) return http::json(200, domain::order_to_json(*order));
    if (order.error().code() == Code::not_found && order.error().origin().empty())
        return http::problem(404, "failed to get order: order not found with " + missing);
    return database_problem(order.error());
}

std::string event_to_json(const outbox::LoggedEvent& event) {
    std::string json;
    domain::JsonWriter out(json);
    out.begin_object();
    out.key("id").string(event.event_id);
    out.key("aggregate_id").string(event.aggregate_id);
    out.key("aggregate_type").string(event.aggregate_type);
    out.key("event_type").string(event.event_type);
    event.payload.empty() ? out.key("event_data").null() : out.key("event_data").raw(event.payload);
    event.metadata.empty() ? out.key("event_metadata").null()
                           : out.key("event_metadata").raw(event.metadata);
    out.key("size").integer(event.size);
    out.key("omitted").boolean(event.is_omitted);
    out.key("status").string(event.status);
    out.key("created_at").timestamp(event.created_at);
    event.published_at ? out.key("published_at").timestamp(*event.published_at)
                       : out.key("published_at").null();
    out.key("retry_count").integer(event.attempts);
    event.last_error.empty() ? out.key("error_message").null()
                             : out.key("error_message").string(event.last_error);
    out.end_object();
    return json;
}

}  // namespace

OrdersApi::OrdersApi(pg::Pool& pool, OrderWriter& writer, DeliveryStatement delivery)
    : pool_(pool), writer_(writer), delivery_(std::move(delivery)) {
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
    if (const auto query = check_no_query(request); !query) co_return http::problem(query.error());
    auto wanted = domain::parse_create_order(request.body);
    if (!wanted) co_return refusal(wanted.error());
    std::string().swap(request.body);  // thousands may wait for the database
    auto order = domain::place_order(std::move(*wanted), random_uuid(), now());
    if (!order) co_return http::problem(order.error());
    auto placed = co_await writer_.place(std::move(*order), request.deadline, request.trace);
    if (!placed) co_return not_placed(placed.error());
    auto response = http::json(201, domain::order_to_json(*placed));
    response.with("Location", "/api/v1/orders/" + placed->id);
    if (const auto& delivery = delivery_(); !delivery.empty())
        response.with("TxStream-Delivery", delivery);
    co_return response;
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
    co_return page_of(
        "/api/v1/orders", *window, page->orders, page->is_cut, &domain::order_to_json
    );
}

Task<http::Response> OrdersApi::by_id(http::Request request) {
    if (const auto query = check_no_query(request); !query) co_return http::problem(query.error());
    const std::string id(request.param("id"));
    const auto missing = "id: " + domain::excerpt(id);
    if (!is_uuid(id)) co_return order_or_problem(fail(Code::not_found, ""), missing);
    auto session = co_await pool_.acquire(request.deadline);
    if (!session) co_return database_problem(session.error());
    const auto order = co_await order_by_id(**session, id, request.deadline);
    co_return order_or_problem(order, missing);
}

Task<http::Response> OrdersApi::by_number(http::Request request) {
    if (const auto query = check_no_query(request); !query) co_return http::problem(query.error());
    const std::string number(request.param("number"));
    const auto missing = "order number: " + domain::excerpt(number);
    if (domain::count_characters(number) > domain::kOrderNumberMax)
        co_return order_or_problem(fail(Code::not_found, ""), missing);
    auto session = co_await pool_.acquire(request.deadline);
    if (!session) co_return database_problem(session.error());
    const auto order = co_await order_by_number(**session, number, request.deadline);
    co_return order_or_problem(order, missing);
}

Task<http::Response> OrdersApi::events(http::Request request) {
    const auto window = window_of(request);
    if (!window) co_return http::problem(window.error());
    auto session = co_await pool_.acquire(request.deadline);
    if (!session) co_return database_problem(session.error());
    const auto page = co_await outbox::newest_events(
        **session, {window->limit, window->offset, kListBytesMax, kEventBytesMax}, request.deadline
    );
    if (!page) co_return database_problem(page.error());
    co_return page_of("/api/v1/events", *window, page->events, page->is_cut, &event_to_json);
}

}  // namespace txstream::orders
