#include "config/config.hpp"

#include <fmt/format.h>

#include <string_view>

namespace txstream {
namespace {

void append_option(std::string& out, std::string_view name, std::string_view value) {
    if (value.empty()) return;
    if (!out.empty()) out += ' ';
    out.append(name).append("='");
    for (const char c : value) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    out += '\'';
}

}  // namespace

std::string Config::Database::conninfo() const {
    std::string out;
    append_option(out, "host", host);
    append_option(out, "port", port);
    append_option(out, "user", user);
    append_option(out, "password", password);
    append_option(out, "dbname", name);
    append_option(out, "sslmode", ssl_mode);
    append_option(
        out,
        "connect_timeout",
        fmt::format("{}", std::chrono::duration<double>(connect_timeout).count())
    );
    for (const auto& [parameter, value] : parameters) append_option(out, parameter, value);
    return out;
}

pg::ConnInfo Config::Database::connect_info() const {
    if (!renew) return conninfo();
    return pg::ConnInfo::Source([renew = renew]() -> Result<std::string> {
        TXS_TRY(const auto now, renew());
        return now.conninfo();
    });
}

Result<Config::Kafka> Config::Kafka::renewed() const {
    if (!renew) return *this;
    return renew();
}

std::string Config::Database::where() const {
    return fmt::format("{}:{}, database {}, user {}", host, port, name, user);
}

std::vector<std::pair<std::string, std::string>> to_kafka(const Config::Properties& properties) {
    return {properties.begin(), properties.end()};
}

}  // namespace txstream
