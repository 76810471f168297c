#include "http/role.hpp"

#include <array>
#include <cstddef>

namespace txstream::http {

std::string_view to_string(Role role) noexcept {
    constexpr std::array<std::string_view, 3> kNames = {"none", "viewer", "operator"};
    return kNames[static_cast<std::size_t>(role)];
}

}  // namespace txstream::http
