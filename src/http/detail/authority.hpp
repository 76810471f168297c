#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace txstream::http::detail {

/// "host[:port]" as in Host, in an absolute target, and behind the scheme of an Origin.
struct Authority {
    std::string host;  ///< lower case, without the dot of a complete name and without brackets
    std::optional<std::uint16_t> port;
    bool is_address = false;

    bool operator==(const Authority&) const = default;
};

/// Nothing if it is empty or has a character that belongs to neither: a user name, a path, a list.
std::optional<Authority> parse_authority(std::string_view text);

}  // namespace txstream::http::detail
