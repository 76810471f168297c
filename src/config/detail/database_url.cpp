#include "config/detail/database_url.hpp"

#include "pg/conn_info.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace txstream::config {
namespace {

tl::unexpected<std::string> complaint(std::string what) {
    return tl::unexpected<std::string>(std::move(what));
}

/// Behind the / or ? that ends login and hosts.
bool has_at_behind_host(std::string_view url) {
    const auto end = url.find_first_of("/?", url.find("://") + 3);
    return end != std::string_view::npos && url.find('@', end) != std::string_view::npos;
}

constexpr std::string_view kMasked =
    "in a password : / ? # [ ] @ % must be written %3A %2F %3F %23 %5B %5D %40 %25";

}  // namespace

tl::expected<DatabaseUrl, std::string> parse_database_url(std::string_view url) {
    if (!url.starts_with("postgres://") && !url.starts_with("postgresql://"))
        return complaint("does not begin with postgres:// or postgresql://");
    // Then a / or ? of the password ended it, and what follows is the rest of the password.
    if (has_at_behind_host(url))
        return complaint("has an @ behind the host, where it is %40; " + std::string(kMasked));
    auto said = pg::parse_conninfo(std::string(url));
    if (!said) {
        auto what = said.error().what();
        if (said.error().code() != Code::not_found) what.append("; ").append(kMasked);
        return complaint(std::move(what));
    }

    const auto take = [&said](const char* name) {
        auto found = said->extract(name);
        return found ? std::move(found.mapped()) : std::string();
    };
    DatabaseUrl result;
    result.host = take("host");
    result.port = take("port");
    result.user = take("user");
    result.password = take("password");
    result.name = take("dbname");
    result.ssl_mode = take("sslmode");
    if (result.port.find_first_not_of("0123456789,") != std::string::npos)
        return complaint("has a port that is no number; " + std::string(kMasked));
    // "h1,h2" without ports: one empty port for all, as libpq has it.
    if (result.port.find_first_not_of(',') == std::string::npos) result.port.clear();
    // What would make the session something else, or take the place of what was said.
    for (const char* name : {"replication", "service"}) {
        if (said->contains(name))
            return complaint(
                "has the parameter " + std::string(name) + ", which has no place here"
            );
    }
    result.parameters = std::move(*said);
    return result;
}

}  // namespace txstream::config
