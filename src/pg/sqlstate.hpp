#pragma once

#include "base/error.hpp"

#include <string_view>

namespace txstream::pg {

/// What a SQLSTATE means for the one who gets it: the only table of its kind. A state that is not
/// listed means what its class means; an unknown class is Code::rejected.
Code code_of(std::string_view sqlstate) noexcept;

}  // namespace txstream::pg
