#include "telemetry/detail/labels.hpp"

#include "base/utf8.hpp"
#include "telemetry/registry.hpp"

#include <algorithm>

namespace txstream::telemetry {

namespace {

constexpr std::string_view kOther = "other";

bool is_control(char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7F;
}

// What bounded_text() would not change, without copying it.
bool is_plain(std::string_view value) {
    return value.size() <= kLabelBytesMax &&
           std::ranges::all_of(value, [](char c) { return c >= 0x20 && c < 0x7F; });
}

}  // namespace

std::string bounded_text(std::string_view value) {
    std::string text;
    while (!value.empty()) {
        const auto length = utf8_length(value);
        const bool is_kept = length > 0 && !is_control(value.front());
        const auto shown = is_kept ? value.substr(0, length) : kReplacement;
        if (text.size() + shown.size() > kLabelBytesMax) break;
        text += shown;
        value.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return text;
}

std::string_view LabelGuard::admit(std::string_view value) {
    return is_plain(value) ? admit_bounded(value) : admit_bounded(bounded_text(value));
}

std::string_view LabelGuard::admit_bounded(std::string_view value) {
    if (const auto seen = seen_.find(value); seen != seen_.end()) return *seen;
    return seen_.size() < max_ ? std::string_view(*seen_.emplace(value).first) : kOther;
}

}  // namespace txstream::telemetry
