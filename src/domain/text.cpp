#include "domain/text.hpp"

#include <algorithm>

namespace txstream::domain {
namespace {

bool starts_character(char c) noexcept {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

}  // namespace

std::size_t count_characters(std::string_view utf8) noexcept {
    return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), starts_character));
}

std::string excerpt(std::string_view utf8, std::size_t characters_max) {
    std::size_t characters = 0;
    for (std::size_t i = 0; i < utf8.size(); ++i) {
        if (!starts_character(utf8[i]) || ++characters <= characters_max) continue;
        return std::string(utf8.substr(0, i)) + "…";
    }
    return std::string(utf8);
}

bool is_blank(std::string_view text) noexcept {
    return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) <= ' '; });
}

}  // namespace txstream::domain
