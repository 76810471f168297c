#include "console/masking.hpp"

#include "console/json_walk.hpp"

#include <algorithm>
#include <utility>

namespace txstream::console {

namespace {

constexpr std::string_view kMask = "\"\u2022\u2022\u2022\"";
constexpr std::string_view kEnvelope = "event_data";

using Span = std::pair<std::size_t, std::size_t>;  // begin, end

}  // namespace

Result<Masks> Masks::parse(const std::vector<std::string>& paths) {
    Masks masks;
    for (const auto& text : paths) {
        JsonPath path;
        std::size_t at = text.starts_with('$') ? 1 : 0;
        std::string error = at == 0 ? "a path begins with $" : parse_json_steps(text, at, path);
        if (error.empty() && at < text.size()) error = "unexpected character";
        if (error.empty() && path.steps.empty()) error = "the path selects the whole payload";
        if (!error.empty()) {
            return fail(
                Code::invalid_input,
                "path " + text + ", column " + std::to_string(at + 1) + ": " + error +
                    " (expected a path such as $.shipping_address.*)"
            );
        }
        JsonPath wrapped = path;
        wrapped.steps.insert(
            wrapped.steps.begin(), {.kind = JsonPath::Kind::member, .name = std::string(kEnvelope)}
        );
        masks.paths_.push_back(std::move(path));
        masks.paths_.push_back(std::move(wrapped));
    }
    return masks;
}

std::optional<std::string> Masks::apply(std::string_view payload) const {
    std::vector<Span> spans;
    for (const auto& path : paths_) {
        const bool is_good = walk_json(payload, path, [&](const JsonFound& found) {
            const auto begin = static_cast<std::size_t>(found.text.data() - payload.data());
            spans.emplace_back(begin, begin + found.text.size());
        });
        if (!is_good) return std::nullopt;
    }
    // Of two that begin at one place the longer first: it swallows the other.
    std::ranges::sort(spans, [](const Span& left, const Span& right) {
        return left.first != right.first ? left.first < right.first : left.second > right.second;
    });
    std::string masked;
    masked.reserve(payload.size());
    std::size_t copied = 0;
    for (const auto& [begin, end] : spans) {
        if (begin < copied) continue;
        masked.append(payload.substr(copied, begin - copied)).append(kMask);
        copied = end;
    }
    return masked.append(payload.substr(copied));
}

bool Masks::may_reveal(const JsonPath& path) const {
    return std::ranges::any_of(paths_, [&](const JsonPath& mask) {
        return may_overlap(mask, path);
    });
}

}  // namespace txstream::console
