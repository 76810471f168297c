#pragma once

#include <cstddef>
#include <string_view>

namespace txstream::domain {

/// Walks over the members of a JSON object as they were written, without decoding anything.
///
/// For texts that PostgreSQL accepted as `json` and parse_json() may refuse (half a surrogate pair,
/// a number beyond double, deep nesting): one bad member must not cost the others. Trusts nothing:
/// text that is no object ends the walk, and is_whole() is false.
class JsonMembers {
public:
    explicit JsonMembers(std::string_view text);

    /// False at the end. Otherwise name() and value() are the next member's tokens.
    bool next();
    std::string_view name() const noexcept { return name_; }  ///< with its quotes
    std::string_view value() const noexcept { return value_; }
    /// After next() was false: nothing of the text was left out.
    bool is_whole() const noexcept { return is_whole_; }

private:
    void skip_space();
    bool take(char c);
    std::string_view string_token();
    std::string_view value_token();

    std::string_view left_;
    std::string_view name_;
    std::string_view value_;
    bool is_open_ = false;
    bool is_first_ = true;
    bool is_whole_ = false;
};

}  // namespace txstream::domain
