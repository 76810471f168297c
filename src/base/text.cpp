#include "base/text.hpp"

#include "base/utf8.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <netinet/in.h>

namespace txstream {

namespace {

constexpr std::string_view kBlanks = " \t";
constexpr std::string_view kHexDigits = "0123456789abcdef";

char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Bytes that go through in runs, unlooked at.
constexpr auto kIsPlain = [] {
    std::array<bool, 256> plain{};
    for (std::size_t i = 0x20; i < 0x7f; ++i) plain[i] = i != '"' && i != '\\';
    return plain;
}();

void append_escaped(std::string& out, char c) {
    constexpr std::string_view kNamed = "\"\\\b\f\n\r\t";
    constexpr std::string_view kNames = "\"\\bfnrt";
    out += '\\';
    if (const auto at = kNamed.find(c); at != std::string_view::npos) {
        out += kNames[at];
        return;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += "u00";
    out += kHexDigits[byte >> 4U];
    out += kHexDigits[byte & 15U];
}

}  // namespace

std::string_view trimmed(std::string_view text) noexcept {
    text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

std::vector<std::string_view> split(std::string_view text, char mark) {
    std::vector<std::string_view> parts;
    while (true) {
        const auto at = text.find(mark);
        parts.push_back(text.substr(0, at));
        if (at == std::string_view::npos) return parts;
        text.remove_prefix(at + 1);
    }
}

std::string lowered(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), lower);
    return out;
}

bool same_word(std::string_view left, std::string_view right) noexcept {
    return std::ranges::equal(left, right, {}, lower, lower);
}

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string to_hex(std::span<const unsigned char> bytes) {
    std::string text(2 * bytes.size(), '\0');
    char* out = text.data();
    for (const auto byte : bytes) {
        *out++ = kHexDigits[byte >> 4U];
        *out++ = kHexDigits[byte & 15U];
    }
    return text;
}

bool is_uuid(std::string_view text) noexcept {
    if (text.size() != 36) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool is_dash_place = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash_place ? text[i] != '-' : hex_digit(text[i]) < 0) return false;
    }
    return true;
}

bool is_loopback(const std::string& host) noexcept {
    if (host == "localhost") return true;
    in_addr v4{};
    if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24U == 127;
    in6_addr v6{};
    return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return std::nullopt;
        const int high = hex_digit(text[i + 1]);
        const int low = hex_digit(text[i + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    std::size_t run = 0;  // where what is not yet appended begins
    std::size_t at = 0;
    const auto append_run = [&] { out.append(text, run, at - run); };
    while (at < text.size()) {
        const auto byte = static_cast<unsigned char>(text[at]);
        if (kIsPlain[byte]) {
            ++at;
        } else if (const auto length = byte < 0x80 ? 0 : utf8_length(text.substr(at)); length > 0) {
            at += length;
        } else {
            append_run();
            if (byte < 0x80) {
                append_escaped(out, text[at]);
            } else {
                out += kReplacement;
            }
            run = ++at;
        }
    }
    append_run();
    out += '"';
}

std::string json_string(std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
}

}  // namespace txstream
