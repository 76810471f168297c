#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::config {

/// The known word that somebody who wrote `typed` most likely meant: one that begins so, one with a
/// slip or two, one with all the parts between `_`, one that is still like it; else nothing.
std::optional<std::string> suggest(std::string_view typed, const std::vector<std::string>& known);

}  // namespace txstream::config
