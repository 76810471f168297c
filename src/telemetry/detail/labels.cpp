#include "telemetry/detail/labels.hpp"

#include "base/utf8.hpp"
#include "telemetry/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace txstream::telemetry {

namespace {

constexpr std::string_view kOther = "other";
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool is_control(char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7F;
}

// What bounded_text() would not change, without copying it.
bool is_plain(std::string_view value) {
    return value.size() <= kLabelBytesMax &&
           std::ranges::all_of(value, [](char c) { return c >= 0x20 && c < 0x7F; });
}

}  // namespace

std::string bounded_count(unsigned n) {
    return n > 10 ? "10+" : fmt::to_string(n);
}

std::string_view bounded_method(std::string_view method) {
    for (const std::string_view known :
         {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}) {
        if (method == known) return known;
    }
    return "other";
}

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
    if (!has_room_for(value)) return kOther;
    return *seen_.find(value);
}

bool LabelGuard::has_room_for(std::string_view value) {
    if (seen_.contains(value)) return true;
    if (seen_.size() >= max_) return false;
    seen_.emplace(value);
    return true;
}

}  // namespace txstream::telemetry
