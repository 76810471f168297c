#pragma once

#include "console/ports.hpp"

#include <memory>

namespace txstream::app {

/// The console's port to the orders.
std::unique_ptr<console::OrdersPort> make_orders_port();

}  // namespace txstream::app
