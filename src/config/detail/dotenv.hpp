#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::config {

struct Dotenv {
    std::map<std::string, std::string> values;
    std::vector<std::string> complaints;  ///< "line 3: …"; never a value
};

/// NAME=value lines. `export` in front, comments (`#` at the start, or after a blank behind an
/// unquoted value), 'literal' and "with \n \t \" \\ \$ escapes" quotes, which may span lines.
/// `$NAME` is not replaced: a password may hold a dollar. The last of two equal names wins.
Dotenv parse_dotenv(std::string_view text);

}  // namespace txstream::config
