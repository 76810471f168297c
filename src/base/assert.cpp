#include "base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace txstream {

void assertion_failed(const char* condition, const char* why, const char* file, int line) noexcept {
    std::fprintf(stderr, "%s:%d: assertion failed: %s (%s)\n", file, line, condition, why);
    std::fflush(stderr);
    std::abort();
}

}  // namespace txstream
