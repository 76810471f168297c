#pragma once

#include "domain/order.hpp"
#include "pg/connection.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace txstream::orders {

/// SQL on orders and order_items. All functions run on a session that the caller has leased.

/// Inserts order, items and the event that tells of them: one transaction, one round trip. Fills in
/// the items' ids. Code::conflict when the order number exists.
Task<Result<domain::Order>> insert_order(
    pg::Connection& connection, domain::Order order, Deadline deadline
);

/// Code::not_found with an empty text; the caller knows what was asked for.
Task<Result<domain::Order>> order_by_id(
    pg::Connection& connection, std::string id, Deadline deadline
);
Task<Result<domain::Order>> order_by_number(
    pg::Connection& connection, std::string number, Deadline deadline
);
/// Newest first.
Task<Result<std::vector<domain::Order>>> newest_orders(
    pg::Connection& connection, std::size_t limit, std::size_t offset, Deadline deadline
);

}  // namespace txstream::orders
