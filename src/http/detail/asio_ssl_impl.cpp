// The one place where the non-template code of Asio's TLS is compiled (see runtime/asio_impl.cpp).
#include <boost/asio/ssl/impl/src.hpp>
