#include "app/orders_port.hpp"

#include "base/text.hpp"
#include "domain/order_json.hpp"
#include "orders/order_repository.hpp"
#include "orders/order_search.hpp"

#include <utility>

namespace txstream::app {

namespace {

console::OrderRow row_of(orders::FoundOrder order) {
    return {
        std::move(order.id),
        std::move(order.order_number),
        std::move(order.customer_id),
        std::move(order.status),
        to_string(order.total_amount),
        std::move(order.currency),
        order.items,
        order.created_at
    };
}

std::vector<std::string> lines_of(const domain::Address& address) {
    std::vector<std::string> lines{address.street + ", " + address.number};
    if (!address.complement.empty()) lines.push_back(address.complement);
    lines.push_back(address.city + ", " + address.state);
    lines.push_back(address.zip_code);
    lines.push_back(address.country);
    return lines;
}

console::OrderView view_of(const domain::Order& order) {
    console::OrderView view{
        .order =
            {order.id,
             order.order_number,
             order.customer_id,
             std::string(domain::to_string(order.status)),
             to_string(order.total_amount),
             order.currency,
             static_cast<std::int64_t>(order.items.size()),
             order.created_at},
        .json = domain::order_to_json(order),
        .items = {},
        .shipping_address = lines_of(order.shipping_address),
        .billing_address = lines_of(order.billing_address)
    };
    for (const auto& item : order.items)
        view.items.push_back(
            {item.product_id,
             item.product_name,
             item.quantity,
             to_string(item.unit_price),
             to_string(item.total_price)}
        );
    return view;
}

class Orders final : public console::OrdersPort {
public:
    Task<Result<console::OrdersFound>> list(
        pg::Connection& connection,
        std::string q,
        std::optional<console::OrderPlace> before,
        std::size_t rows,
        Deadline deadline
    ) override {
        TXS_CO_TRY(auto filter, orders::parse_order_filter(q));
        std::optional<orders::OrderPlace> place;
        if (before) place = orders::OrderPlace{before->created_at, std::move(before->id)};
        TXS_CO_TRY(
            auto page,
            co_await orders::search_orders(
                connection, std::move(filter), std::move(place), rows, deadline
            )
        );
        console::OrdersFound found;
        for (auto& order : page.orders) found.orders.push_back(row_of(std::move(order)));
        if (page.before)
            found.before = console::OrderPlace{page.before->created_at, page.before->id};
        co_return found;
    }

    Task<Result<console::OrderView>> order(
        pg::Connection& connection, std::string id_or_number, Deadline deadline
    ) override {
        if (is_uuid(id_or_number)) {
            auto by_id = co_await orders::order_by_id(connection, id_or_number, deadline);
            if (by_id) co_return view_of(*by_id);
            // A number may look like an id.
            if (by_id.error().code() != Code::not_found)
                co_return tl::unexpected<Error>(std::move(by_id).error());
        }
        TXS_CO_TRY(
            const auto by_number,
            co_await orders::order_by_number(connection, std::move(id_or_number), deadline)
        );
        co_return view_of(by_number);
    }
};

}  // namespace

std::unique_ptr<console::OrdersPort> make_orders_port() {
    return std::make_unique<Orders>();
}

}  // namespace txstream::app
