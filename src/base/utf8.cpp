#include "base/utf8.hpp"

namespace txstream {

namespace {

constexpr std::string_view kCut = "...";

}  // namespace

std::size_t utf8_length(std::string_view text) noexcept {
    if (text.empty()) return 0;
    const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned first = byte(0);
    if (first < 0x80) return 1;
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
    // The second byte's range excludes longer forms than needed, surrogates, and what is beyond
    // U+10FFFF.
    const unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (byte(1) < low || byte(1) > high) return 0;
    for (std::size_t i = 2; i < length; ++i) {
        if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
    }
    return length;
}

bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const auto length = utf8_length(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

std::string storable_text(std::string_view text, std::size_t bytes_max) {
    std::string out;
    std::size_t cut_at = 0;  // the last place where kCut still fits
    while (!text.empty()) {
        const auto length = utf8_length(text);
        const bool is_fit = length > 0 && text.front() != '\0';
        const auto next = is_fit ? text.substr(0, length) : kReplacement;
        if (out.size() + next.size() > bytes_max) {
            out.resize(cut_at);
            return out += kCut.substr(0, bytes_max - cut_at);
        }
        out += next;
        if (out.size() + kCut.size() <= bytes_max) cut_at = out.size();
        text.remove_prefix(is_fit ? length : 1);
    }
    return out;
}

}  // namespace txstream
