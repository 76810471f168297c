#pragma once

#include "domain/order.hpp"

#include <string>
#include <string_view>

namespace txstream::domain {

/// The answer of the API: the earlier system's fields in its order, amounts as numbers with two
/// decimals, `complement` only when there is one.
std::string order_to_json(const Order& order);

/// What the event says when an order was made: the earlier system's members, then the items
/// (without their ids, which mean nothing outside the database) and both addresses.
std::string order_created_event_data(const Order& order);
std::string order_created_metadata(std::string_view order_id);

}  // namespace txstream::domain
