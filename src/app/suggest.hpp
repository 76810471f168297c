#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::app {

/// The known word that somebody who wrote `typed` most likely meant; nothing when none is near.
std::optional<std::string> suggest(std::string_view typed, const std::vector<std::string>& known);

}  // namespace txstream::app
