// Asio's bodies for TLS, compiled once; see runtime/asio_impl.cpp.
#include <boost/asio/ssl/impl/src.hpp>
