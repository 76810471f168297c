#pragma once

#include "base/error.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace txstream {

namespace asio = boost::asio;

/// What every function that waits returns.
template <class T = void>
using Task = asio::awaitable<T>;

}  // namespace txstream
