#include "http/detail/authority.hpp"

#include "base/text.hpp"

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <charconv>

namespace txstream::http::detail {
namespace {

bool is_name(std::string_view text) noexcept {
    constexpr std::string_view kMarks = "-._~";
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
               kMarks.find(c) != std::string_view::npos;
    });
}

}  // namespace

std::optional<Authority> parse_authority(std::string_view text) {
    Authority found;
    std::string_view port;
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == std::string_view::npos) return std::nullopt;
        boost::system::error_code error;
        const auto address =
            boost::asio::ip::make_address_v6(std::string(text.substr(1, end - 1)), error);
        if (error) return std::nullopt;
        // One spelling for each address: "[0:0::1]" is "::1".
        found.host = address.to_string();
        found.is_address = true;
        port = text.substr(end + 1);
        if (!port.empty() && port.front() != ':') return std::nullopt;
    } else {
        const auto end = std::min(text.find(':'), text.size());
        found.host = lowered(text.substr(0, end));
        port = text.substr(end);
        if (found.host.ends_with('.')) found.host.pop_back();
        if (!is_name(found.host)) return std::nullopt;
        boost::system::error_code error;
        boost::asio::ip::make_address_v4(found.host, error);
        found.is_address = !error;
    }
    if (port.size() <= 1) return found;  // "host:" has no port
    port.remove_prefix(1);
    std::uint16_t number = 0;
    const auto* const end = port.data() + port.size();
    const auto [rest, error] = std::from_chars(port.data(), end, number);
    if (rest != end || error != std::errc()) return std::nullopt;
    found.port = number;
    return found;
}

}  // namespace txstream::http::detail
