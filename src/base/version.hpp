#pragma once

#include <string_view>

namespace txstream {

std::string_view version() noexcept;   ///< "0.1.0"
std::string_view revision() noexcept;  ///< of the source, as git describes it
std::string_view compiler() noexcept;

}  // namespace txstream
