#pragma once

namespace txstream {

/// Writes one line to standard error and aborts. Dying is safe for this product (the lease ends,
/// another relay takes the lane); continuing with broken state is not.
[[noreturn]] void assertion_failed(
    const char* condition, const char* why, const char* file, int line
) noexcept;

}  // namespace txstream

/// A broken invariant in code we own; always on, also in release builds.
#define TXS_ASSERT(condition, why) \
    ((condition) ? void(0) : ::txstream::assertion_failed(#condition, why, __FILE__, __LINE__))
