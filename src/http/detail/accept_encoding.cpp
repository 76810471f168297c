#include "http/detail/accept_encoding.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace txstream::http::detail {
namespace {

std::string_view cut(std::string_view& text, char separator) {
    const auto end = std::min(text.find(separator), text.size());
    const auto piece = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    return piece;
}

// "0.5" is 500; at most three digits follow the point.
std::optional<int> parse_weight(std::string_view text) {
    if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
    int weight = (text[0] - '0') * 1000;
    text.remove_prefix(1);
    if (!text.empty() && text[0] != '.') return std::nullopt;
    int place = 100;
    for (std::size_t i = 1; i < text.size(); ++i, place /= 10) {
        if (text[i] < '0' || text[i] > '9') return std::nullopt;
        weight += (text[i] - '0') * place;
    }
    if (weight > 1000) return std::nullopt;
    return weight;
}

}  // namespace

AcceptEncoding::AcceptEncoding(std::string_view sent) {
    while (!sent.empty()) {
        auto member = cut(sent, ',');
        const auto name = cut(member, ';');
        std::optional<int> weight = 1000;
        if (!member.empty()) {
            const auto key = cut(member, '=');
            weight = same_word(key, "q") ? parse_weight(trimmed(member)) : std::nullopt;
        }
        if (!weight) continue;
        if (same_word(name, "gzip") || same_word(name, "x-gzip")) gzip_ = weight;
        if (same_word(name, "br")) brotli_ = weight;
        if (same_word(name, "identity")) identity_ = weight;
        if (name == "*") any_ = weight;
    }
}

Encoding AcceptEncoding::best(bool has_gzip, bool has_brotli) const noexcept {
    const int gzip = has_gzip ? gzip_.value_or(any_.value_or(0)) : 0;
    const int brotli = has_brotli ? brotli_.value_or(any_.value_or(0)) : 0;
    const int most = std::max(gzip, brotli);
    // Not mentioned, identity is acceptable and the last choice.
    if (most == 0 || identity_.value_or(0) > most) return Encoding::identity;
    return brotli == most ? Encoding::brotli : Encoding::gzip;
}

}  // namespace txstream::http::detail
