#include "cli/threshold.hpp"

#include "cli/output.hpp"
#include "config/suggest.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

namespace txstream::cli {

namespace {

using enum Threshold::Comparison;

// Those of two characters first.
constexpr std::array kComparisons = {
    std::pair{std::string_view(">="), at_least},
    std::pair{std::string_view("<="), at_most},
    std::pair{std::string_view("!="), unequal},
    std::pair{std::string_view("=="), equal},
    std::pair{std::string_view(">"), more},
    std::pair{std::string_view("<"), less},
    std::pair{std::string_view("="), equal},
};

std::optional<double> limit_of(std::string_view text, bool is_span) {
    if (is_span) {
        const auto span = parse_span(text);
        if (!span) return std::nullopt;
        return std::chrono::duration<double>(*span).count();
    }
    std::int64_t number = 0;
    const auto* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || rest != end || number < 0) return std::nullopt;
    return static_cast<double>(number);
}

}  // namespace

Result<Threshold> parse_threshold(std::string_view text, std::span<const Figure> figures) {
    std::string bare(text);
    std::erase(bare, ' ');
    const auto refuse = [&](std::string_view why) {
        return fail(Code::invalid_input, fmt::format("{} is not allowed; {}", text, why));
    };
    const auto at = bare.find_first_of("<>!=");
    if (at == std::string::npos)
        return refuse("it needs a comparison, as in oldest_pending>60s or pending>=1000");
    const auto rest = std::string_view(bare).substr(at);
    const auto* const comparison = std::ranges::find_if(kComparisons, [&](const auto& one) {
        return rest.starts_with(one.first);
    });
    if (comparison == kComparisons.end()) return refuse("a comparison is <, <=, =, !=, >= or >");
    const auto name = bare.substr(0, at);
    const auto figure = std::ranges::find(figures, name, &Figure::name);
    if (figure == figures.end()) {
        std::vector<std::string> names;
        for (const auto& one : figures) names.emplace_back(one.name);
        const auto near = name.empty() ? std::nullopt : config::suggest(name, names);
        return refuse(
            near ? fmt::format("did you mean {}?", *near)
                 : fmt::format("the figures are {}", fmt::join(names, ", "))
        );
    }
    const auto limit = limit_of(rest.substr(comparison->first.size()), figure->is_span);
    if (!limit)
        return refuse(
            figure->is_span ? "the limit of a time is 500ms, 60s, 5m, 2h or 1d"
                            : "the limit is a whole number"
        );
    return Threshold{name, comparison->second, *limit, bare};
}

bool is_beyond(const Threshold& threshold, double value) noexcept {
    switch (threshold.comparison) {
        case less:
            return value < threshold.limit;
        case at_most:
            return value <= threshold.limit;
        case equal:
            return value == threshold.limit;
        case unequal:
            return value != threshold.limit;
        case at_least:
            return value >= threshold.limit;
        case more:
            return value > threshold.limit;
    }
    return false;
}

}  // namespace txstream::cli
