#pragma once

#include "console/context.hpp"
#include "console/masking.hpp"
#include "console/ports.hpp"
#include "http/router.hpp"

namespace txstream::console {

/// Orders: the list, and one with its whole way to Kafka.
class OrdersApi {
public:
    static constexpr std::chrono::seconds kListTime{6};

    /// `orders` may be null: the database has none.
    OrdersApi(Context& context, OrdersPort* orders);
    void add_routes(http::Router& router);

private:
    Task<http::Response> list(http::Request request);
    Task<http::Response> make_list(
        std::string q, std::optional<OrderPlace> before, std::size_t rows, Deadline deadline
    );
    Task<http::Response> detail(http::Request request);
    Task<http::Response> make_detail(std::string id, bool is_masked, Deadline deadline);

    Context& context_;
    OrdersPort* orders_;
    Masks masks_;
};

}  // namespace txstream::console
