#pragma once

#include "domain/order.hpp"
#include "pg/connection.hpp"
#include "telemetry/trace_context.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace txstream::orders {

/// SQL on orders and order_items. All functions run on a session that the caller has leased.

/// An order with the data of the event that tells of it.
struct NewOrder {
    domain::Order order;
    std::string event_data;
    std::string headers = {};  ///< the event's, a JSON object; empty: none
};
/// The event belongs to the trace of the request that placed the order.
NewOrder with_event(domain::Order order, const std::optional<telemetry::Trace>& trace = {});
/// What Kafka counts of its event, and a little more: value, key, headers and the batch around
/// them.
std::size_t record_bytes(const NewOrder& order);

/// Inserts orders, their items and events: one statement, one transaction, one round trip. Says of
/// each in its place whether it was inserted, and then fills in its items' ids; it was not when its
/// number exists. When the call fails nothing was written (Code::timed_out: unknown) and `orders`
/// are as they were. An order has at least one item.
Task<Result<std::vector<bool>>> insert_orders(
    pg::Connection& connection, std::vector<NewOrder>& orders, Deadline deadline
);

/// Code::not_found with an empty text; the caller knows what was asked for.
Task<Result<domain::Order>> order_by_id(
    pg::Connection& connection, std::string id, Deadline deadline
);
Task<Result<domain::Order>> order_by_number(
    pg::Connection& connection, std::string number, Deadline deadline
);

struct OrderWindow {
    std::size_t limit;
    std::size_t offset;
    std::size_t bytes_max;  ///< of their items, about; one order is told whatever its size
};
struct OrderPage {
    std::vector<domain::Order> orders;
    bool is_cut = false;  ///< by bytes_max: the next page begins behind the orders that are here
};
/// Newest first. Items beyond bytes_max are not read.
Task<Result<OrderPage>> newest_orders(
    pg::Connection& connection, OrderWindow window, Deadline deadline
);

}  // namespace txstream::orders
