#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace txstream::http {

/// What a caller may do. Each role includes those before it, so roles are compared with `<`.
enum class Role : std::uint8_t { none, viewer, operator_ };

std::string_view to_string(Role role) noexcept;  ///< "none", "viewer", "operator"

/// Who sends a request, as far as the server knows.
struct Caller {
    std::string name;  ///< of the token; empty for an anonymous caller
    Role role = Role::none;
};

}  // namespace txstream::http
