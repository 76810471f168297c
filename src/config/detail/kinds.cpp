#include "config/detail/kinds.hpp"

#include "base/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace txstream::config::kinds {
namespace {

using std::chrono::nanoseconds;

struct Unit {
    std::string_view name;
    std::int64_t size;
};

constexpr std::array<Unit, 8> kDurationUnits{
    {{"d", 86'400'000'000'000},
     {"h", 3'600'000'000'000},
     {"m", 60'000'000'000},
     {"s", 1'000'000'000},
     {"ms", 1'000'000},
     {"us", 1'000},
     {"\xC2\xB5s", 1'000},
     {"ns", 1}}
};
constexpr std::array<Unit, 6> kByteUnits{
    {{"GiB", 1 << 30},
     {"MiB", 1 << 20},
     {"KiB", 1 << 10},
     {"GB", 1'000'000'000},
     {"MB", 1'000'000},
     {"kB", 1'000}}
};
constexpr double kLargest = 9.2e18;  // below what a 64-bit integer holds

std::size_t number_length(std::string_view text) {
    std::size_t length = 0;
    while (length < text.size() &&
           ((text[length] >= '0' && text[length] <= '9') || text[length] == '.')) {
        ++length;
    }
    return length;
}

std::optional<std::int64_t> scaled(double number, std::int64_t unit) {
    const double value = number * static_cast<double>(unit);
    if (!(value >= 0 && value <= kLargest)) return std::nullopt;
    return std::llround(value);
}

template <class Value>
Kind ranged(
    std::string allowed,
    std::optional<Value> (*parse)(std::string_view),
    Value least,
    Value most,
    Set<Value> set
) {
    return {
        std::move(allowed),
        [=, set = std::move(set)](Config& config, std::string_view text) -> Complaint {
            const auto value = parse(text);
            if (!value || !(least <= *value && *value <= most)) return "";
            set(config, *value);
            return std::nullopt;
        }
    };
}

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<double> parse_real(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
        return std::nullopt;
    }
    return value;
}

std::optional<bool> parse_bool(std::string_view text) {
    const std::string word = lowered(text);
    for (const std::string_view yes : {"true", "1", "t", "yes", "on"}) {
        if (word == yes) return true;
    }
    for (const std::string_view no : {"false", "0", "f", "no", "off"}) {
        if (word == no) return false;
    }
    return std::nullopt;
}

std::optional<std::int64_t> parse_bytes(std::string_view text) {
    const std::size_t digits = number_length(text);
    const std::string_view unit = text.substr(digits);
    if (unit.empty()) return parse_integer(text);
    const auto number = parse_real(text.substr(0, digits));
    if (!number) return std::nullopt;
    for (const Unit& known : kByteUnits) {
        if (lowered(unit) == lowered(known.name)) return scaled(*number, known.size);
    }
    return std::nullopt;
}

std::optional<nanoseconds> parse_duration(std::string_view text) {
    if (text == "0") return nanoseconds(0);
    if (text.empty()) return std::nullopt;
    nanoseconds total{0};
    while (!text.empty()) {
        const std::size_t digits = number_length(text);
        const auto number = parse_real(text.substr(0, digits));
        text.remove_prefix(digits);
        const std::size_t letters = std::min(text.find_first_of("0123456789."), text.size());
        const std::string_view unit = text.substr(0, letters);
        text.remove_prefix(letters);
        const auto* const known =
            std::find_if(kDurationUnits.begin(), kDurationUnits.end(), [&](const Unit& u) {
                return u.name == unit;
            });
        if (!number || known == kDurationUnits.end()) return std::nullopt;
        const auto part = scaled(*number, known->size);
        if (!part || *part > static_cast<std::int64_t>(kLargest) - total.count()) {
            return std::nullopt;
        }
        total += nanoseconds(*part);
    }
    return total;
}

std::string format_duration(nanoseconds duration) {
    std::int64_t rest = duration.count();
    if (rest == 0) return "0s";
    std::string out;
    for (const Unit& unit : kDurationUnits) {
        if (unit.name == "\xC2\xB5s") continue;
        if (unit.name == "d" && rest < 2 * unit.size) continue;  // a day is 24h
        if (rest >= unit.size) {
            out += fmt::format("{}{}", rest / unit.size, unit.name);
            rest %= unit.size;
        }
    }
    return out;
}

std::string format_bytes(std::int64_t bytes) {
    for (const Unit& unit : kByteUnits) {
        if (bytes >= unit.size && bytes % unit.size == 0) {
            return fmt::format("{}{}", bytes / unit.size, unit.name);
        }
    }
    return fmt::to_string(bytes);
}

Kind number(std::string noun, std::int64_t least, std::int64_t most, Set<std::int64_t> set) {
    auto allowed = fmt::format("{} {} \u2026 {}", noun, least, most);
    return ranged(std::move(allowed), parse_integer, least, most, std::move(set));
}

Kind port(Set<std::int64_t> set) {
    return number("a port", 0, 65535, std::move(set));
}

Kind bytes(std::int64_t least, std::int64_t most, Set<std::int64_t> set) {
    auto allowed = fmt::format(
        "a size {} \u2026 {}, in bytes or with KiB, MiB, GiB",
        format_bytes(least),
        format_bytes(most)
    );
    return ranged(std::move(allowed), parse_bytes, least, most, std::move(set));
}

Kind real(double least, double most, Set<double> set) {
    auto allowed = fmt::format("a number {} \u2026 {}", least, most);
    return ranged(std::move(allowed), parse_real, least, most, std::move(set));
}

Kind duration_in(nanoseconds unit, nanoseconds least, nanoseconds most, Set<nanoseconds> set) {
    auto allowed = fmt::format(
        "a duration {} \u2026 {}, such as 200ms, 5s or 1m30s",
        format_duration(least),
        format_duration(most)
    );
    const auto in_range = ranged(allowed, parse_duration, least, most, std::move(set));
    return {allowed, [=](Config& config, std::string_view text) -> Complaint {
                const auto parsed = parse_duration(text);
                if (!parsed && parse_real(text))
                    return fmt::format(
                        "a unit is missing ({}ms? {}s?); allowed is {}", text, text, allowed
                    );
                if (parsed && *parsed % unit != nanoseconds(0))
                    return fmt::format(
                        "finer than {}; allowed is {}", format_duration(unit), allowed
                    );
                return in_range.apply(config, text);
            }};
}

Kind boolean(Set<bool> set) {
    return ranged("true or false", parse_bool, false, true, std::move(set));
}

Kind choice(std::vector<std::string> words, Set<std::string_view> set) {
    auto allowed = fmt::format("{}", fmt::join(words, ", "));
    return {std::move(allowed), [=](Config& config, std::string_view value) -> Complaint {
                for (const std::string& word : words) {
                    if (lowered(word) != lowered(value)) continue;
                    set(config, word);
                    return std::nullopt;
                }
                return "";
            }};
}

Kind text(std::string allowed, Set<std::string_view> set) {
    return {std::move(allowed), [=](Config& config, std::string_view value) -> Complaint {
                set(config, value);
                return std::nullopt;
            }};
}

Kind not_empty(std::string allowed, Set<std::string_view> set) {
    return {std::move(allowed), [=](Config& config, std::string_view value) -> Complaint {
                if (value.empty()) return "";
                set(config, value);
                return std::nullopt;
            }};
}

Kind list(
    std::string allowed,
    std::function<Complaint(std::string_view)> judge,
    Set<std::vector<std::string>> set
) {
    return {std::move(allowed), [=](Config& config, std::string_view value) -> Complaint {
                std::vector<std::string> texts;
                if (trimmed(value).empty()) {
                    set(config, texts);
                    return std::nullopt;
                }
                for (const auto part : split(value, ',')) {
                    const auto one = trimmed(part);
                    if (one.empty()) return "";
                    if (auto complaint = judge(one)) return complaint;
                    texts.emplace_back(one);
                }
                set(config, texts);
                return std::nullopt;
            }};
}

Kind anything() {
    return text("anything", [](Config&, std::string_view) {});
}

}  // namespace txstream::config::kinds
