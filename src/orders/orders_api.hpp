#pragma once

#include "http/router.hpp"
#include "orders/order_writer.hpp"
#include "pg/pool.hpp"

#include <functional>
#include <string>

namespace txstream::orders {

/// The routes of the orders API. Belongs to the thread of the pool and the writer, which outlive
/// it.
///
///     POST /api/v1/orders                  201 and Location, 400, 409, 413
///     GET  /api/v1/orders?limit&offset     a bare array, newest first
///     GET  /api/v1/orders/{id}             404 for an id that is no UUID too
///     GET  /api/v1/orders/number/{number}
///     GET  /api/v1/events?limit&offset     the newest events with what became of them
///
/// A query parameter that a path does not know is 400: ignored, it would give another page than was
/// asked for.
///
/// A database that cannot be reached is 503 with Retry-After. What else goes wrong in it is 500:
/// its words go to the log and not to the client.
class OrdersApi {
public:
    /// What 201 says of the delivery of events, in the header TxStream-Delivery; empty: nothing.
    using DeliveryStatement = std::function<const std::string&()>;

    OrdersApi(pg::Pool& pool, OrderWriter& writer, DeliveryStatement delivery);

    void add_routes(http::Router& router);

private:
    Task<http::Response> create(http::Request request);
    Task<http::Response> list(http::Request request);
    Task<http::Response> by_id(http::Request request);
    Task<http::Response> by_number(http::Request request);
    Task<http::Response> events(http::Request request);

    pg::Pool& pool_;
    OrderWriter& writer_;
    DeliveryStatement delivery_;
};

}  // namespace txstream::orders
