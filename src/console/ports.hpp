#pragma once

#include "outbox/event_filter.hpp"
#include "pg/connection.hpp"

#include <optional>
#include <string>
#include <vector>

namespace txstream::console {

/// An order as a list shows it. Amounts are exact decimals, as text.
struct OrderRow {
    std::string id;
    std::string order_number;
    std::string customer_id;
    std::string status;
    std::string total_amount;
    std::string currency;
    std::int64_t items = 0;
    outbox::Time created_at;
};

struct OrderItemRow {
    std::string product_id;
    std::string product_name;
    std::int64_t quantity = 0;
    std::string unit_price;
    std::string total_price;
};

struct OrderView {
    OrderRow order;
    std::string json;  ///< as the orders API tells it
    std::vector<OrderItemRow> items;
    std::vector<std::string> shipping_address;  ///< lines
    std::vector<std::string> billing_address;
};

/// Where a list of orders goes on: created_at and id of its last one.
struct OrderPlace {
    outbox::Time created_at;
    std::string id;
};

struct OrdersFound {
    std::vector<OrderRow> orders;
    std::optional<OrderPlace> before;  ///< of the next page
};

/// The orders, which the console knows nothing of: they are a sibling. app fills it.
class OrdersPort {
public:
    virtual ~OrdersPort() = default;

    /// Newest first. `q`: `number:` (exact, or a beginning with *), `id:`, `customer:`, or a bare
    /// word, which is any of them. Code::invalid_input says what cannot be understood.
    virtual Task<Result<OrdersFound>> list(
        pg::Connection& connection,
        std::string q,
        std::optional<OrderPlace> before,
        std::size_t rows,
        Deadline deadline
    ) = 0;
    /// By id or by number. Code::not_found with an empty text.
    virtual Task<Result<OrderView>> order(
        pg::Connection& connection, std::string id_or_number, Deadline deadline
    ) = 0;
};

}  // namespace txstream::console
