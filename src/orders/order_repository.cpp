#include "orders/order_repository.hpp"

#include "base/assert.hpp"
#include "domain/json_writer.hpp"
#include "domain/order_json.hpp"

#include <array>
#include <functional>
#include <map>
#include <string_view>
#include <utility>

namespace txstream::orders {

namespace {

// Amounts travel as whole hundredths in both directions: numeric has no binary form that is simple
// to read, and no amount may pass through binary floating point.
//
// An order whose number exists makes no row of `placed`, and so no items and no event: it fails
// alone. ON CONFLICT waits for a number that another transaction has just written; in the order of
// the numbers two batches cannot wait for each other.
constexpr pg::Statement kInsert{
    "txs_insert_orders",
    R"(
WITH placed AS (INSERT INTO public.orders (id, customer_id, order_number, status,
total_amount, currency, shipping_street, shipping_number, shipping_complement, shipping_city,
shipping_state, shipping_zip_code, shipping_country, billing_street, billing_number,
billing_complement, billing_city, billing_state, billing_zip_code, billing_country,
created_at, updated_at)
SELECT id, customer_id, order_number, status, total_amount / 100.0, currency,
s_street, s_number, nullif(s_complement, ''), s_city, s_state, s_zip_code, s_country,
b_street, b_number, nullif(b_complement, ''), b_city, b_state, b_zip_code, b_country,
'epoch'::timestamptz + created_at * interval '1 microsecond',
'epoch'::timestamptz + updated_at * interval '1 microsecond'
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[],
 $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
 $14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[], $20::text[],
 $21::bigint[], $22::bigint[])
 AS o(id, customer_id, order_number, status, total_amount, currency,
  s_street, s_number, s_complement, s_city, s_state, s_zip_code, s_country,
  b_street, b_number, b_complement, b_city, b_state, b_zip_code, b_country,
  created_at, updated_at)
ORDER BY order_number COLLATE "C" ON CONFLICT (order_number) DO NOTHING RETURNING id),
told AS (INSERT INTO txstream.outbox
 (aggregate_type, aggregate_id, event_type, payload, metadata, headers)
SELECT 'Order', id::text, 'OrderCreated', payload::json, metadata::json,
 nullif(headers, '')::json
FROM unnest($1::uuid[], $23::text[], $24::text[], $31::text[])
 WITH ORDINALITY AS e(id, payload, metadata, headers, place)
 JOIN placed USING (id) ORDER BY place),
listed AS (INSERT INTO public.order_items
 (order_id, product_id, product_name, quantity, unit_price, total_price)
SELECT id, product_id, product_name, quantity, unit_price / 100.0, total_price / 100.0
FROM unnest($25::uuid[], $26::text[], $27::text[], $28::integer[], $29::bigint[],
 $30::bigint[]) WITH ORDINALITY
 AS i(id, product_id, product_name, quantity, unit_price, total_price, place)
JOIN placed USING (id) ORDER BY place RETURNING order_id, id)
SELECT order_id, id FROM listed ORDER BY id)"
};

#define TXS_ORDER_COLUMNS                                                                     \
    "SELECT o.id, o.customer_id, o.order_number, o.status, (o.total_amount * 100)::bigint,"   \
    " o.currency, o.shipping_street, o.shipping_number, coalesce(o.shipping_complement, '')," \
    " o.shipping_city, o.shipping_state, o.shipping_zip_code, o.shipping_country,"            \
    " o.billing_street, o.billing_number, coalesce(o.billing_complement, ''),"                \
    " o.billing_city, o.billing_state, o.billing_zip_code, o.billing_country, o.created_at,"  \
    " o.updated_at"

constexpr pg::Statement kById{
    "txs_order_by_id", TXS_ORDER_COLUMNS " FROM public.orders o WHERE o.id = $1::uuid"
};
constexpr pg::Statement kByNumber{
    "txs_order_by_number", TXS_ORDER_COLUMNS " FROM public.orders o WHERE o.order_number = $1"
};
// What the items of an order will take, so that those which are too many are not brought: the texts
// and, for each item, the JSON around them. Planned each time, as outbox::kNewestEvents and for its
// reason.
constexpr pg::Statement kNewest{
    "txs_newest_orders",
    TXS_ORDER_COLUMNS R"(
, (SELECT coalesce(sum(octet_length(i.product_id) + octet_length(i.product_name) + 120), 0)
 FROM public.order_items i WHERE i.order_id = o.id)
FROM (SELECT * FROM public.orders ORDER BY created_at DESC, id DESC
 LIMIT $1::bigint OFFSET $2::bigint) o ORDER BY o.created_at DESC, o.id DESC)",
    pg::Planning::each_time
};
constexpr pg::Statement kItems{
    "txs_order_items",
    R"(
SELECT order_id, id, product_id, product_name, quantity, (unit_price * 100)::bigint,
(total_price * 100)::bigint FROM public.order_items
WHERE order_id = ANY ($1::uuid[]) ORDER BY order_id, id)"
};

using domain::Address;
using domain::Order;

constexpr auto kAddressTexts = std::to_array(
    {&Address::street,
     &Address::number,
     &Address::complement,
     &Address::city,
     &Address::state,
     &Address::zip_code,
     &Address::country}
);

void add_addresses(
    pg::Params& params, const std::vector<NewOrder>& orders, Address Order::* address
) {
    for (const auto text : kAddressTexts)
        params.add_texts(orders, [&](const NewOrder& o) -> std::string_view {
            return o.order.*address.*text;
        });
}

void add_items(pg::Params& params, const std::vector<NewOrder>& orders) {
    using domain::OrderItem;
    std::vector<std::pair<std::string_view, const OrderItem*>> items;
    for (const auto& [order, event, headers] : orders)
        for (const auto& item : order.items) items.emplace_back(order.id, &item);
    const auto item = [](auto get) {
        return [get](const auto& pair) { return std::invoke(get, *pair.second); };
    };
    params.add_texts(items, [](const auto& pair) { return pair.first; });
    params.add_texts(items, item(&OrderItem::product_id));
    params.add_texts(items, item(&OrderItem::product_name));
    params.add_integers(items, item(&OrderItem::quantity));
    params.add_integers(items, item([](const OrderItem& i) { return i.unit_price.cents(); }));
    params.add_integers(items, item([](const OrderItem& i) { return i.total_price.cents(); }));
}

pg::Params params_of(const std::vector<NewOrder>& orders) {
    pg::Params params;
    const auto texts = [&](auto get) {
        params.add_texts(orders, [&](const NewOrder& o) -> std::string_view {
            return std::invoke(get, o.order);
        });
    };
    const auto integers = [&](auto get) {
        params.add_integers(orders, [&](const NewOrder& o) { return get(o.order); });
    };
    texts(&Order::id);
    texts(&Order::customer_id);
    texts(&Order::order_number);
    texts([](const Order& o) { return domain::to_string(o.status); });
    integers([](const Order& o) { return o.total_amount.cents(); });
    texts(&Order::currency);
    add_addresses(params, orders, &Order::shipping_address);
    add_addresses(params, orders, &Order::billing_address);
    integers([](const Order& o) { return o.created_at.time_since_epoch().count(); });
    integers([](const Order& o) { return o.updated_at.time_since_epoch().count(); });
    params.add_texts(orders, &NewOrder::event_data);
    params.add_texts(orders, [](const NewOrder& o) {
        return domain::order_created_metadata(o.order.id);
    });
    add_items(params, orders);
    params.add_texts(orders, &NewOrder::headers);
    return params;
}

Address address_at(const pg::Rows& rows, std::size_t row, int column) {
    Address address;
    for (const auto text : kAddressTexts) address.*text = rows.bytes(row, column++);
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

/// The first `count` orders of `rows` with their items, which a second statement brings.
Task<Result<std::vector<domain::Order>>> with_items(
    pg::Connection& connection, pg::Rows rows, std::size_t count, Deadline deadline
) {
    std::vector<domain::Order> orders;
    std::map<std::string, std::size_t> place;
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < count; ++i) {
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
        orders[place.at(std::string(items.uuid(i, 0)))].items.push_back(std::move(item));
    }
    co_return orders;
}

Task<Result<domain::Order>> the_one(
    pg::Connection& connection, pg::Statement statement, std::string key, Deadline deadline
) {
    TXS_CO_TRY(auto rows, co_await connection.run(statement, pg::Params::of(key), deadline));
    const auto count = rows.size();
    TXS_CO_TRY(auto orders, co_await with_items(connection, std::move(rows), count, deadline));
    if (orders.empty()) co_return fail(Code::not_found, "");
    co_return std::move(orders.front());
}

}  // namespace

NewOrder with_event(Order order, const std::optional<telemetry::Trace>& trace) {
    NewOrder made;
    made.event_data = domain::order_created_event_data(order);
    made.order = std::move(order);
    if (!trace) return made;
    domain::JsonWriter out(made.headers);
    out.begin_object().key("traceparent").string(trace->context.traceparent());
    if (!trace->state.empty()) out.key("tracestate").string(trace->state);
    out.end_object();
    return made;
}

std::size_t record_bytes(const NewOrder& order) {
    // The envelope and its times take 220 bytes, our headers 180, the key 36, and a batch of one
    // record 90. The rest is for a header more.
    constexpr std::size_t kOverhead = 640;
    return order.event_data.size() + domain::order_created_metadata(order.order.id).size() +
           order.headers.size() + kOverhead;
}

Task<Result<std::vector<bool>>> insert_orders(
    pg::Connection& connection, std::vector<NewOrder>& orders, Deadline deadline
) {
    auto rows = co_await connection.run(kInsert, params_of(orders), deadline);
    if (!rows)
        co_return tl::unexpected<Error>(std::move(rows).error().while_doing("insert orders"));
    std::map<std::string, std::vector<std::int64_t>> item_ids;
    for (std::size_t i = 0; i < rows->size(); ++i)
        item_ids[std::string(rows->uuid(i, 0))].push_back(rows->integer(i, 1));
    std::vector<bool> inserted;
    for (auto& [order, event, headers] : orders) {
        const auto ids = item_ids.find(order.id);
        inserted.push_back(ids != item_ids.end());
        if (!inserted.back()) continue;
        TXS_ASSERT(ids->second.size() == order.items.size(), "each item was inserted");
        for (std::size_t i = 0; i < order.items.size(); ++i) order.items[i].id = ids->second[i];
    }
    co_return inserted;
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

Task<Result<OrderPage>> newest_orders(
    pg::Connection& connection, OrderWindow window, Deadline deadline
) {
    TXS_CO_TRY(
        auto rows,
        co_await connection.run(kNewest, pg::Params::of(window.limit, window.offset), deadline)
    );
    std::size_t count = 0;
    std::size_t bytes = 0;
    while (count < rows.size()) {
        bytes += static_cast<std::size_t>(rows.integer(count, 22));
        if (count > 0 && bytes > window.bytes_max) break;
        ++count;
    }
    OrderPage page;
    page.is_cut = count < rows.size();
    TXS_CO_TRY(page.orders, co_await with_items(connection, std::move(rows), count, deadline));
    co_return page;
}

}  // namespace txstream::orders
