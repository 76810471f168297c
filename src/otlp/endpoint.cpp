#include "otlp/endpoint.hpp"

#include "base/text.hpp"
#include "base/utf8.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace txstream::otlp {

namespace {

constexpr std::string_view kPort = "4318";
constexpr std::size_t kUrlBytesMax = 2048;
constexpr std::size_t kPairsMax = 128;
constexpr std::size_t kPairsBytesMax = std::size_t{16} * 1024;

tl::unexpected<Error> bad(std::string what) {
    return fail(Code::invalid_input, std::move(what));
}

bool is_printable(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

bool is_token(std::string_view text) {
    constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::ranges::all_of(text, [&](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               kMarks.find(c) != std::string_view::npos;
    });
}

bool is_port(std::string_view text) {
    std::uint32_t port = 0;
    const auto* const end = text.data() + text.size();
    return !text.empty() && std::from_chars(text.data(), end, port).ptr == end && port > 0 &&
           port <= 65535;
}

}  // namespace

std::string Endpoint::authority() const {
    const bool is_v6 = host.find(':') != std::string::npos;
    return is_v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

std::string Endpoint::url() const {
    return fmt::format("{}://{}{}", is_https ? "https" : "http", authority(), target);
}

Result<Endpoint> parse_endpoint(std::string_view url, std::string_view below) {
    Endpoint made;
    if (url.size() > kUrlBytesMax) return bad("it is longer than 2 KiB");
    if (!is_printable(url) || url.find(' ') != std::string_view::npos)
        return bad("it has characters that must be percent-encoded");
    if (url.starts_with("https://")) {
        made.is_https = true;
    } else if (!url.starts_with("http://")) {
        return bad("it must begin with http:// or https://");
    }
    url.remove_prefix(url.find("//") + 2);
    const auto end = std::min(url.find_first_of("/?#"), url.size());
    auto authority = url.substr(0, end);
    auto path = url.substr(end);
    if (path.find_first_of("?#") != std::string_view::npos)
        return bad("it may have a path, but no query and no fragment");
    if (authority.find('@') != std::string_view::npos)
        return bad("it must hold no login; OTEL_EXPORTER_OTLP_HEADERS takes an authorization");
    std::string_view port = kPort;
    const bool is_v6 = authority.starts_with('[');
    const auto bracket = authority.find(']');
    if (is_v6 && bracket == std::string_view::npos) return bad("its host has no closing bracket");
    const auto host_end = is_v6 ? bracket + 1 : std::min(authority.find(':'), authority.size());
    if (host_end < authority.size()) {
        port = authority.substr(host_end + 1);
        if (authority[host_end] != ':' || !is_port(port)) return bad("its port is none");
    }
    made.host = is_v6 ? authority.substr(1, bracket - 1) : authority.substr(0, host_end);
    if (made.host.empty()) return bad("it has no host");
    made.port = port;
    while (!below.empty() && path.ends_with('/')) path.remove_suffix(1);
    made.target.append(path).append(below);
    if (made.target.empty()) made.target = "/";
    return made;
}

Result<Pairs> parse_pairs(std::string_view text) {
    Pairs pairs;
    if (text.size() > kPairsBytesMax) return bad("it is longer than 16 KiB");
    for (std::size_t place = 1; !text.empty(); ++place) {
        const auto end = std::min(text.find(','), text.size());
        const auto member = trimmed(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (member.empty()) continue;
        const auto equals = member.find('=');
        if (equals == std::string_view::npos)
            return bad(fmt::format("member {} is not of the form name=value", place));
        auto name = percent_decoded(trimmed(member.substr(0, equals)));
        auto value = percent_decoded(trimmed(member.substr(equals + 1)));
        if (!name || !value || !is_utf8(*name) || !is_utf8(*value) || name->empty())
            return bad(fmt::format(
                "member {} has no name, a broken percent-encoding, or is not UTF-8", place
            ));
        pairs.emplace_back(std::move(*name), std::move(*value));
        if (pairs.size() > kPairsMax)
            return bad(fmt::format("it has more than {} members", kPairsMax));
    }
    return pairs;
}

Result<> check_headers(const Pairs& headers) {
    constexpr std::array kOurs{
        "host", "content-type", "content-length", "connection", "transfer-encoding"
    };
    std::size_t place = 0;
    for (const auto& [name, value] : headers) {
        ++place;
        const auto lower = lowered(name);
        if (!is_token(name) || !is_printable(value))
            return bad(fmt::format("member {} cannot be a header", place));
        if (std::ranges::find(kOurs, lower) != kOurs.end())
            return bad(fmt::format("member {} is a header that is ours ({})", place, lower));
    }
    return {};
}

}  // namespace txstream::otlp
