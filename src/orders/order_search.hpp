#pragma once

#include "domain/order.hpp"
#include "pg/connection.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::orders {

// Orders for people: what the console asks. Each question is served by an index of public.orders
// and ends at its limit.

/// Which orders are wanted; one member at most has a value.
struct OrderFilter {
    std::optional<std::string> number;
    std::optional<std::string> number_prefix;
    std::optional<std::string> id;
    std::optional<std::string> customer;
    std::optional<std::string> word;  ///< a number, an id or a customer
};

/// Reads `number:N-1`, `number:N-*`, `id:UUID`, `customer:C`, or a bare word; nothing wants all.
/// A text with blanks may stand in double quotes. Code::invalid_input says what is wrong.
Result<OrderFilter> parse_order_filter(std::string_view text);

/// An order without its items and addresses.
struct FoundOrder {
    std::string id;
    std::string order_number;
    std::string customer_id;
    std::string status;
    domain::Money total_amount;
    std::string currency;
    std::int64_t items = 0;
    domain::Timestamp created_at;
};

/// created_at and id of an order: where a page ended.
struct OrderPlace {
    domain::Timestamp created_at;
    std::string id;
};

struct FoundOrders {
    std::vector<FoundOrder> orders;    ///< newest first; of a prefix, in the order of the numbers
    std::optional<OrderPlace> before;  ///< of the next page
};

/// With a prefix, `before` is the last number of the page before, as its id.
Task<Result<FoundOrders>> search_orders(
    pg::Connection& connection,
    OrderFilter filter,
    std::optional<OrderPlace> before,
    std::size_t rows,
    Deadline deadline
);

}  // namespace txstream::orders
