#include "orders/order_repository.hpp"

#include "base/assert.hpp"
#include "domain/order_json.hpp"
#include "outbox/append.hpp"

#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

namespace txstream::orders {

namespace {

constexpr std::string_view kUniqueViolation = "23505";

// Amounts travel as whole hundredths in both directions: numeric has no binary form that is simple
// to read, and no amount may pass through binary floating point.
constexpr pg::Statement kInsertOrder{
    "txs_insert_order",
    "INSERT INTO orders (id, customer_id, order_number, status, total_amount, currency,"
    " shipping_street, shipping_number, shipping_complement, shipping_city, shipping_state,"
    " shipping_zip_code, shipping_country,"
    " billing_street, billing_number, billing_complement, billing_city, billing_state,"
    " billing_zip_code, billing_country, created_at, updated_at)"
    " VALUES ($1::uuid, $2, $3, $4, $5::bigint / 100.0, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
    " $15, $16, $17, $18, $19, $20,"
    " 'epoch'::timestamptz + $21::bigint * interval '1 microsecond',"
    " 'epoch'::timestamptz + $22::bigint * interval '1 microsecond')"
};

constexpr pg::Statement kInsertItems{
    "txs_insert_items",
    "INSERT INTO order_items (order_id, product_id, product_name, quantity, unit_price,"
    " total_price)"
    " SELECT $1::uuid, i.product_id, i.product_name, i.quantity, i.unit_price / 100.0,"
    " i.total_price / 100.0"
    " FROM unnest($2::text[], $3::text[], $4::integer[], $5::bigint[], $6::bigint[])"
    "  WITH ORDINALITY AS i(product_id, product_name, quantity, unit_price, total_price, place)"
    " ORDER BY i.place RETURNING id"
};

#define TXS_ORDER_COLUMNS                                                                     \
    "SELECT o.id, o.customer_id, o.order_number, o.status, (o.total_amount * 100)::bigint,"   \
    " o.currency, o.shipping_street, o.shipping_number, coalesce(o.shipping_complement, '')," \
    " o.shipping_city, o.shipping_state, o.shipping_zip_code, o.shipping_country,"            \
    " o.billing_street, o.billing_number, coalesce(o.billing_complement, ''),"                \
    " o.billing_city, o.billing_state, o.billing_zip_code, o.billing_country, o.created_at,"  \
    " o.updated_at FROM orders o "

constexpr pg::Statement kById{"txs_order_by_id", TXS_ORDER_COLUMNS "WHERE o.id = $1::uuid"};
constexpr pg::Statement kByNumber{
    "txs_order_by_number", TXS_ORDER_COLUMNS "WHERE o.order_number = $1"
};
constexpr pg::Statement kNewest{
    "txs_newest_orders",
    TXS_ORDER_COLUMNS "ORDER BY o.created_at DESC, o.id DESC LIMIT $1::bigint OFFSET $2::bigint"
};
constexpr pg::Statement kItems{
    "txs_order_items",
    "SELECT order_id, id, product_id, product_name, quantity, (unit_price * 100)::bigint,"
    " (total_price * 100)::bigint FROM order_items WHERE order_id = ANY ($1::uuid[])"
    " ORDER BY order_id, id"
};

std::optional<std::string> if_any(const std::string& text) {
    return text.empty() ? std::nullopt : std::optional(text);
}

void add_address(pg::Params& params, const domain::Address& address) {
    params.add(address.street);
    params.add(address.number);
    params.add(if_any(address.complement));
    params.add(address.city);
    params.add(address.state);
    params.add(address.zip_code);
    params.add(address.country);
}

pg::Connection::Step order_step(const domain::Order& order) {
    pg::Params params;
    params.add(order.id);
    params.add(order.customer_id);
    params.add(order.order_number);
    params.add(domain::to_string(order.status));
    params.add(order.total_amount.cents());
    params.add(order.currency);
    add_address(params, order.shipping_address);
    add_address(params, order.billing_address);
    params.add(order.created_at.time_since_epoch().count());
    params.add(order.updated_at.time_since_epoch().count());
    return {kInsertOrder, std::move(params)};
}

pg::Connection::Step items_step(const domain::Order& order) {
    std::vector<std::string> product_ids;
    std::vector<std::string> product_names;
    for (const auto& item : order.items) {
        product_ids.push_back(item.product_id);
        product_names.push_back(item.product_name);
    }
    pg::Params params;
    params.add(order.id);
    params.add_texts(product_ids);
    params.add_texts(product_names);
    params.add_integers(order.items, [](const auto& item) { return item.quantity; });
    params.add_integers(order.items, [](const auto& item) { return item.unit_price.cents(); });
    params.add_integers(order.items, [](const auto& item) { return item.total_price.cents(); });
    return {kInsertItems, std::move(params)};
}

outbox::NewEvent order_created(const domain::Order& order) {
    outbox::NewEvent event;
    event.aggregate_type = "Order";
    event.aggregate_id = order.id;
    event.event_type = "OrderCreated";
    event.payload = domain::order_created_event_data(order);
    event.metadata = domain::order_created_metadata(order.id);
    return event;
}

domain::Address address_at(const pg::Rows& rows, std::size_t row, int column) {
    domain::Address address;
    for (auto* part :
         {&address.street,
          &address.number,
          &address.complement,
          &address.city,
          &address.state,
          &address.zip_code,
          &address.country}) {
        *part = rows.bytes(row, column++);
    }
    return address;
}

Result<domain::Order> order_at(const pg::Rows& rows, std::size_t row) {
    domain::Order order;
    order.id = rows.uuid(row, 0);
    order.customer_id = rows.bytes(row, 1);
    order.order_number = rows.bytes(row, 2);
    TXS_TRY(order.status, domain::parse_order_status(rows.bytes(row, 3)));
    order.total_amount = domain::Money::from_cents(rows.integer(row, 4));
    order.currency = rows.bytes(row, 5);
    order.shipping_address = address_at(rows, row, 6);
    order.billing_address = address_at(rows, row, 13);
    order.created_at = rows.time(row, 20);
    order.updated_at = rows.time(row, 21);
    return order;
}

/// The orders of `rows` with their items, which a second statement brings.
Task<Result<std::vector<domain::Order>>> with_items(
    pg::Connection& connection, pg::Rows rows, Deadline deadline
) {
    std::vector<domain::Order> orders;
    std::map<std::string, std::size_t> place;
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        TXS_CO_TRY(auto order, order_at(rows, i));
        place[order.id] = i;
        ids.push_back(order.id);
        orders.push_back(std::move(order));
    }
    if (orders.empty()) co_return orders;
    pg::Params params;
    params.add_texts(ids);
    TXS_CO_TRY(const auto items, co_await connection.run(kItems, std::move(params), deadline));
    for (std::size_t i = 0; i < items.size(); ++i) {
        domain::OrderItem item;
        item.id = items.integer(i, 1);
        item.product_id = items.bytes(i, 2);
        item.product_name = items.bytes(i, 3);
        item.quantity = static_cast<std::int32_t>(items.integer(i, 4));
        item.unit_price = domain::Money::from_cents(items.integer(i, 5));
        item.total_price = domain::Money::from_cents(items.integer(i, 6));
        orders[place.at(items.uuid(i, 0))].items.push_back(std::move(item));
    }
    co_return orders;
}

Task<Result<domain::Order>> the_one(
    pg::Connection& connection, pg::Statement statement, std::string key, Deadline deadline
) {
    TXS_CO_TRY(auto rows, co_await connection.run(statement, pg::Params::of(key), deadline));
    TXS_CO_TRY(auto orders, co_await with_items(connection, std::move(rows), deadline));
    if (orders.empty()) co_return fail(Code::not_found, "");
    co_return std::move(orders.front());
}

}  // namespace

Task<Result<domain::Order>> insert_order(
    pg::Connection& connection, domain::Order order, Deadline deadline
) {
    std::vector<pg::Connection::Step> steps;
    steps.push_back(order_step(order));
    steps.push_back(items_step(order));
    steps.push_back(outbox::append_step(order_created(order)));
    auto results = co_await connection.transact(std::move(steps), deadline);
    if (!results) {
        auto error = std::move(results).error();
        // The id is random: what exists already is the number.
        if (error.origin() == kUniqueViolation) {
            co_return fail(
                Code::conflict, "order with number " + order.order_number + " already exists"
            );
        }
        co_return tl::unexpected<Error>(std::move(error).while_doing("insert order"));
    }
    const auto& ids = results->at(1);
    TXS_ASSERT(ids.size() == order.items.size(), "each item was inserted");
    for (std::size_t i = 0; i < ids.size(); ++i) order.items[i].id = ids.integer(i, 0);
    co_return order;
}

Task<Result<domain::Order>> order_by_id(
    pg::Connection& connection, std::string id, Deadline deadline
) {
    return the_one(connection, kById, std::move(id), deadline);
}

Task<Result<domain::Order>> order_by_number(
    pg::Connection& connection, std::string number, Deadline deadline
) {
    return the_one(connection, kByNumber, std::move(number), deadline);
}

Task<Result<std::vector<domain::Order>>> newest_orders(
    pg::Connection& connection, std::size_t limit, std::size_t offset, Deadline deadline
) {
    TXS_CO_TRY(
        auto rows, co_await connection.run(kNewest, pg::Params::of(limit, offset), deadline)
    );
    co_return co_await with_items(connection, std::move(rows), deadline);
}

}  // namespace txstream::orders
