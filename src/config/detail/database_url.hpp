#pragma once

#include <tl/expected.hpp>

#include <map>
#include <string>
#include <string_view>

namespace txstream::config {

/// What a URL says; an empty string where it says nothing.
struct DatabaseUrl {
    std::string host;  ///< or several, separated by commas
    std::string port;
    std::string user;
    std::string password;
    std::string name;
    std::string ssl_mode;
    std::map<std::string, std::string> parameters;  ///< the others, as libpq names them
};

/// postgres:// or postgresql://[user[:password]@][host[:port][,…]][/name][?parameter=value&…].
/// The complaint never holds a value of the URL, since any part may be a misplaced password.
tl::expected<DatabaseUrl, std::string> parse_database_url(std::string_view url);

}  // namespace txstream::config
