#include "console/json_walk.hpp"

#include "base/text.hpp"
#include "base/utf8.hpp"

#include <array>
#include <bitset>

namespace txstream::console {

namespace {

using Step = JsonPath::Step;
using Kind = JsonPath::Kind;

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

/// The four digits of `\uXXXX` at `at`; negative where there are none.
int unit_at(std::string_view text, std::size_t at) noexcept {
    if (at + 4 > text.size()) return -1;
    int unit = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        const int digit = hex_digit(text[at + i]);
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

// Bytes that end the run of plain characters in a string: quote, backslash, control, not ASCII.
constexpr auto kSpecial = [] {
    std::array<bool, 256> special{};
    for (std::size_t i = 0; i < 256; ++i)
        special[i] = i < 0x20 || i >= 0x80 || i == '"' || i == '\\';
    return special;
}();

/// Steps of the path that a value may still have to match: bit i says that the steps from i on
/// apply to it. Bit steps.size() says that the value itself is selected. One path needs a set of
/// them only for `..`.
using States = std::bitset<2 * kJsonPathStepsMax + 2>;

class Walk {
public:
    Walk(std::string_view text, const JsonPath& path, detail::JsonVisit visit, void* context)
        : text_(text), path_(path), visit_(visit), context_(context) {}

    bool document() {
        States states;
        states.set(0);
        skip_space();
        if (!value(closed(states), 0)) return false;
        skip_space();
        return at_ == text_.size();
    }

private:
    /// A `..` applies to the value that it stands at, too.
    States closed(States states) const {
        for (std::size_t i = 0; i < path_.steps.size(); ++i) {
            if (states[i] && path_.steps[i].kind == Kind::descendant) states.set(i + 1);
        }
        return states;
    }

    template <class Matches>
    States step(const States& states, Matches matches) const {
        States next;
        if (states.none()) return next;
        for (std::size_t i = 0; i < path_.steps.size(); ++i) {
            if (!states[i]) continue;
            const auto& step = path_.steps[i];
            if (step.kind == Kind::descendant) {
                next.set(i);
            } else if (matches(step)) {
                next.set(i + 1);
            }
        }
        return closed(next);
    }

    bool value(const States& states, std::size_t level) {
        if (at_ >= text_.size()) return false;
        const auto begin = at_;
        JsonType type = JsonType::literal;
        bool is_good = false;
        switch (text_[at_]) {
            case '{':
                type = JsonType::object;
                is_good = level < kJsonLevelsMax && object(states, level + 1);
                break;
            case '[':
                type = JsonType::array;
                is_good = level < kJsonLevelsMax && array(states, level + 1);
                break;
            case '"':
                type = JsonType::string;
                is_good = string();
                break;
            case 't':
                is_good = word("true");
                break;
            case 'f':
                is_good = word("false");
                break;
            case 'n':
                is_good = word("null");
                break;
            default:
                type = JsonType::number;
                is_good = number();
        }
        if (is_good && states[path_.steps.size()])
            visit_(context_, {.type = type, .text = text_.substr(begin, at_ - begin)});
        return is_good;
    }

    bool object(const States& states, std::size_t level) {
        ++at_;
        skip_space();
        if (take('}')) return true;
        do {
            skip_space();
            const auto begin = at_;
            if (!string()) return false;
            const auto name = text_.substr(begin, at_ - begin);
            skip_space();
            if (!take(':')) return false;
            skip_space();
            const auto next = step(states, [&](const Step& wanted) {
                return wanted.kind == Kind::any ||
                       (wanted.kind == Kind::member && is_named(name, wanted.name));
            });
            if (!value(next, level)) return false;
            skip_space();
        } while (take(','));
        return take('}');
    }

    bool array(const States& states, std::size_t level) {
        ++at_;
        skip_space();
        if (take(']')) return true;
        std::size_t index = 0;
        do {
            skip_space();
            const auto next = step(states, [&](const Step& wanted) {
                return wanted.kind == Kind::any ||
                       (wanted.kind == Kind::element && wanted.index == index);
            });
            if (!value(next, level)) return false;
            skip_space();
            ++index;
        } while (take(','));
        return take(']');
    }

    static bool is_named(std::string_view quoted, std::string_view name) {
        const auto inside = quoted.substr(1, quoted.size() - 2);
        if (inside.find('\\') == std::string_view::npos) return inside == name;
        return json_string_text(quoted) == name;
    }

    bool string() {
        if (!take('"')) return false;
        while (at_ < text_.size()) {
            const auto c = static_cast<unsigned char>(text_[at_]);
            if (!kSpecial[c]) {
                ++at_;
            } else if (c == '"') {
                ++at_;
                return true;
            } else if (c == '\\') {
                if (!escape()) return false;
            } else if (c < 0x20) {
                return false;
            } else {
                const auto length = utf8_length(text_.substr(at_));
                if (length == 0) return false;
                at_ += length;
            }
        }
        return false;
    }

    bool escape() {
        if (at_ + 1 >= text_.size()) return false;
        const char c = text_[at_ + 1];
        at_ += 2;
        if (c != 'u') return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
        if (unit_at(text_, at_) < 0) return false;
        at_ += 4;
        return true;
    }

    bool number() {
        (void)take('-');
        if (!take('0') && digits() == 0) return false;
        if (take('.') && digits() == 0) return false;
        if (take('e') || take('E')) {
            if (!take('+')) (void)take('-');
            return digits() != 0;
        }
        return true;
    }

    std::size_t digits() {
        const auto begin = at_;
        while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
        return at_ - begin;
    }

    bool word(std::string_view expected) {
        if (!text_.substr(at_).starts_with(expected)) return false;
        at_ += expected.size();
        return true;
    }

    bool take(char c) {
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }

    void skip_space() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' ||
                                      text_[at_] == '\r' || text_[at_] == '\t'))
            ++at_;
    }

    std::string_view text_;
    const JsonPath& path_;
    detail::JsonVisit visit_;
    void* context_;
    std::size_t at_ = 0;
};

void append_utf8(std::string& out, std::uint32_t point) {
    if (point < 0x80) {
        out += static_cast<char>(point);
    } else if (point < 0x800) {
        out += static_cast<char>(0xC0 | (point >> 6));
        out += static_cast<char>(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        out += static_cast<char>(0xE0 | (point >> 12));
        out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
        out += static_cast<char>(0x80 | (point & 0x3F));
    } else {
        out += static_cast<char>(0xF0 | (point >> 18));
        out += static_cast<char>(0x80 | ((point >> 12) & 0x3F));
        out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
        out += static_cast<char>(0x80 | (point & 0x3F));
    }
}

/// `\uXXXX` at `at`, with its other half if it has one; afterwards behind it.
std::uint32_t point_at(std::string_view text, std::size_t& at) {
    const auto first = static_cast<std::uint32_t>(unit_at(text, at));
    at += 4;
    if (first < 0xD800 || first > 0xDFFF) return first;
    if (first < 0xDC00 && text.substr(at).starts_with("\\u")) {
        const auto second = static_cast<std::uint32_t>(unit_at(text, at + 2));
        if (second >= 0xDC00 && second <= 0xDFFF) {
            at += 6;
            return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        }
    }
    return 0xFFFD;
}

}  // namespace

bool detail::walk_json(
    std::string_view text, const JsonPath& path, JsonVisit visit, void* context
) {
    return Walk(text, path, visit, context).document();
}

bool is_json(std::string_view text) {
    static const JsonPath document;
    return walk_json(text, document, [](const JsonFound&) {});
}

std::string json_string_text(std::string_view quoted) {
    const auto inside = quoted.substr(1, quoted.size() - 2);
    std::string out;
    out.reserve(inside.size());
    for (std::size_t at = 0; at < inside.size();) {
        if (inside[at] != '\\') {
            out += inside[at++];
            continue;
        }
        const char c = inside[at + 1];
        at += 2;
        switch (c) {
            case 'b':
                out += '\b';
                break;
            case 'f':
                out += '\f';
                break;
            case 'n':
                out += '\n';
                break;
            case 'r':
                out += '\r';
                break;
            case 't':
                out += '\t';
                break;
            case 'u':
                append_utf8(out, point_at(inside, at));
                break;
            default:
                out += c;
        }
    }
    return out;
}

}  // namespace txstream::console
