#pragma once

#include "base/error.hpp"
#include "http/detail/digest.hpp"
#include "http/role.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::http::detail {

struct TokenLine {
    std::string name;
    Role role = Role::none;
    Digest digest{};
};

struct TokenFile {
    std::vector<TokenLine> lines;
    bool has_plain_tokens = false;
};

inline constexpr std::size_t kTokenLinesMax = 1000;
inline constexpr std::size_t kTokenFileBytesMax = std::size_t{256} * 1024;
/// Of a token; a shorter one can be guessed.
inline constexpr std::size_t kTokenBytesMin = 16;

/// `source` is what errors call the text. They name the line and the remedy and quote nothing: the
/// fields may be in the wrong order.
Result<TokenFile> parse_token_file(std::string_view text, std::string_view source);

/// Also refuses a file that others could change, or from which they could read a token.
Result<TokenFile> read_token_file(const std::string& path);

}  // namespace txstream::http::detail
