#include "domain/json_members.hpp"

#include <algorithm>

namespace txstream::domain {

namespace {

constexpr std::string_view kSpace = " \t\r\n";

// Bytes of the string at the front, quotes included; 0 when it does not end.
std::size_t string_length(std::string_view text) {
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (text[i] == '\\') {
            ++i;
        } else if (text[i] == '"') {
            return i + 1;
        }
    }
    return 0;
}

// Bytes of the object or array at the front; 0 when it does not end. Kinds of brackets are not
// compared: the text is JSON, or it does not matter where it ends.
std::size_t container_length(std::string_view text) {
    std::size_t depth = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '"') {
            const auto length = string_length(text.substr(i));
            if (length == 0) return 0;
            i += length - 1;
        } else if (c == '{' || c == '[') {
            ++depth;
        } else if (c == '}' || c == ']') {
            if (--depth == 0) return i + 1;
        }
    }
    return 0;
}

}  // namespace

JsonMembers::JsonMembers(std::string_view text) : left_(text) {
    is_open_ = take('{');
}

bool JsonMembers::next() {
    if (!is_open_) return false;
    if (take('}')) {
        is_open_ = false;
        skip_space();
        is_whole_ = left_.empty();
        return false;
    }
    is_open_ = is_first_ || take(',');
    is_first_ = false;
    if (is_open_) name_ = string_token();
    is_open_ = is_open_ && !name_.empty() && take(':');
    if (is_open_) value_ = value_token();
    is_open_ = is_open_ && !value_.empty();
    return is_open_;
}

void JsonMembers::skip_space() {
    left_.remove_prefix(std::min(left_.find_first_not_of(kSpace), left_.size()));
}

bool JsonMembers::take(char c) {
    skip_space();
    if (!left_.starts_with(c)) return false;
    left_.remove_prefix(1);
    return true;
}

std::string_view JsonMembers::string_token() {
    skip_space();
    if (!left_.starts_with('"')) return {};
    const auto token = left_.substr(0, string_length(left_));
    left_.remove_prefix(token.size());
    return token;
}

std::string_view JsonMembers::value_token() {
    skip_space();
    if (left_.starts_with('"')) return string_token();
    const bool is_container = left_.starts_with('{') || left_.starts_with('[');
    const auto end = is_container ? container_length(left_)
                                  : std::min(left_.find_first_of(" \t\r\n,}]"), left_.size());
    const auto token = left_.substr(0, end);
    left_.remove_prefix(token.size());
    return token;
}

}  // namespace txstream::domain
