#include "console/json_path.hpp"

#include <algorithm>
#include <charconv>
#include <span>

namespace txstream::console {

namespace {

using Step = JsonPath::Step;
using Kind = JsonPath::Kind;

// What ends a name without quotes: the characters of the grammars that names stand in.
constexpr std::string_view kNameEnds = ".[]=!<>~|:\"' \t\r\n";

std::string parse_name(std::string_view text, std::size_t& at, std::string& out) {
    if (at < text.size() && (text[at] == '"' || text[at] == '\''))
        return parse_quoted(text, at, out);
    const auto end = std::min(text.find_first_of(kNameEnds, at), text.size());
    if (end == at) return "a member's name is missing";
    out = text.substr(at, end - at);
    at = end;
    return {};
}

std::string parse_member(std::string_view text, std::size_t& at, JsonPath& path) {
    ++at;
    if (at < text.size() && text[at] == '.') {
        ++at;
        path.steps.push_back({.kind = Kind::descendant, .name = {}});
    }
    if (at < text.size() && text[at] == '*') {
        ++at;
        path.steps.push_back({.kind = Kind::any, .name = {}});
        return {};
    }
    Step step{.kind = Kind::member, .name = {}};
    auto error = parse_name(text, at, step.name);
    if (error.empty()) path.steps.push_back(std::move(step));
    return error;
}

std::string parse_bracket(std::string_view text, std::size_t& at, JsonPath& path) {
    ++at;
    Step step{.kind = Kind::element, .name = {}};
    if (at < text.size() && text[at] == '*') {
        ++at;
        step.kind = Kind::any;
    } else if (at < text.size() && (text[at] == '"' || text[at] == '\'')) {
        step.kind = Kind::member;
        if (auto error = parse_quoted(text, at, step.name); !error.empty()) return error;
    } else {
        const auto parsed =
            std::from_chars(text.data() + at, text.data() + text.size(), step.index);
        if (parsed.ec != std::errc()) return "expected [*], an index such as [0], or a quoted name";
        at = static_cast<std::size_t>(parsed.ptr - text.data());
    }
    if (at >= text.size() || text[at] != ']') return "expected ]";
    ++at;
    path.steps.push_back(std::move(step));
    return {};
}

bool overlap(std::span<const Step> left, std::span<const Step> right) {
    // One selects the value, the other something around or inside it.
    if (left.empty() || right.empty()) return true;
    if (left.front().kind == Kind::descendant) {
        return overlap(left.subspan(1), right) || overlap(left, right.subspan(1));
    }
    if (right.front().kind == Kind::descendant) return overlap(right, left);
    const auto& a = left.front();
    const auto& b = right.front();
    if (a.kind != Kind::any && b.kind != Kind::any && a != b) return false;
    return overlap(left.subspan(1), right.subspan(1));
}

}  // namespace

std::string parse_json_steps(std::string_view text, std::size_t& at, JsonPath& path) {
    while (at < text.size() && (text[at] == '.' || text[at] == '[')) {
        if (path.steps.size() >= kJsonPathStepsMax)
            return "the path has more than " + std::to_string(kJsonPathStepsMax) + " steps";
        auto error = text[at] == '.' ? parse_member(text, at, path) : parse_bracket(text, at, path);
        if (!error.empty()) return error;
    }
    return {};
}

std::string parse_quoted(std::string_view text, std::size_t& at, std::string& out) {
    const auto opened = at;
    const char quote = text[at++];
    for (; at < text.size() && text[at] != quote; ++at) {
        char c = text[at];
        if (c == '\\' && at + 1 < text.size()) {
            c = text[++at];
            if (c == 'n') c = '\n';
            if (c == 't') c = '\t';
            if (c == 'r') c = '\r';
        }
        out += c;
    }
    if (at >= text.size()) {
        at = opened;
        return "the quote is not closed";
    }
    ++at;
    return {};
}

bool may_overlap(const JsonPath& left, const JsonPath& right) {
    return overlap(left.steps, right.steps);
}

}  // namespace txstream::console
