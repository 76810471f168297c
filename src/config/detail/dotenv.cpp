#include "config/detail/dotenv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace txstream::config {
namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

bool is_name_char(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
}

class Reader {
public:
    explicit Reader(std::string_view text) : text_(text) {
        constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
        if (text_.substr(0, 3) == kByteOrderMark) at_ = 3;
    }

    Dotenv read() {
        while (at_ < text_.size()) {
            read_line();
            skip_line();
        }
        return std::move(result_);
    }

private:
    void read_line() {
        skip_blanks();
        if (at_end_of_line() || text_[at_] == '#') return;
        std::string_view name = read_name();
        if (name == "export" && at_ < text_.size() && is_blank(text_[at_])) {
            skip_blanks();
            name = read_name();
        }
        skip_blanks();
        if (name.empty() || at_ >= text_.size() || text_[at_] != '=') {
            complain("expected NAME=value");
            return;
        }
        ++at_;
        skip_blanks();
        const auto value = read_value();
        if (value) result_.values[std::string(name)] = *value;
    }

    std::string_view read_name() {
        const std::size_t begin = at_;
        while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
        return text_.substr(begin, at_ - begin);
    }

    std::optional<std::string> read_value() {
        if (at_end_of_line()) return std::string();
        const char quote = text_[at_];
        if (quote != '"' && quote != '\'') return read_unquoted();
        const std::size_t opened_in = line_;
        std::string value;
        for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
            char c = text_[at_];
            if (c == '\n') ++line_;
            if (quote == '"' && c == '\\' && at_ + 1 < text_.size()) c = escaped();
            value += c;
        }
        if (at_ >= text_.size()) {
            line_ = opened_in;
            complain("the quote is never closed");
            return std::nullopt;
        }
        ++at_;
        skip_blanks();
        if (!at_end_of_line() && text_[at_] != '#') {
            complain("something follows the closing quote");
            return std::nullopt;
        }
        return value;
    }

    // Unknown escapes keep their backslash.
    char escaped() {
        const char next = text_[at_ + 1];
        switch (next) {
            case 'n':
                ++at_;
                return '\n';
            case 'r':
                ++at_;
                return '\r';
            case 't':
                ++at_;
                return '\t';
            case '"':
            case '\\':
            case '$':
                ++at_;
                return next;
            default:
                return '\\';
        }
    }

    std::string read_unquoted() {
        const std::size_t begin = at_;
        std::size_t end = at_;
        for (; at_ < text_.size() && text_[at_] != '\n'; ++at_) {
            if (text_[at_] == '#' && (at_ == begin || is_blank(text_[at_ - 1]))) break;
            if (!is_blank(text_[at_])) end = at_ + 1;
        }
        return std::string(text_.substr(begin, end - begin));
    }

    bool at_end_of_line() const { return at_ >= text_.size() || text_[at_] == '\n'; }
    void skip_blanks() {
        while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
    }
    void skip_line() {
        at_ = std::min(text_.find('\n', at_), text_.size());
        if (at_ < text_.size()) ++at_;
        ++line_;
    }
    void complain(std::string_view what) {
        result_.complaints.push_back(fmt::format("line {}: {}", line_, what));
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t line_ = 1;
    Dotenv result_;
};

}  // namespace

Dotenv parse_dotenv(std::string_view text) {
    return Reader(text).read();
}

}  // namespace txstream::config
