#include "base/version.hpp"

namespace txstream {

std::string_view version() noexcept {
    return TXS_VERSION;
}
std::string_view compiler() noexcept {
    return __VERSION__;
}

}  // namespace txstream
