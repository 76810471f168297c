#include "policy/retry_policy.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <cmath>

namespace txstream::policy {

std::chrono::milliseconds RetryPolicy::delay(unsigned attempt, double uniform) const {
    TXS_ASSERT(uniform >= 0.0 && uniform < 1.0, "jitter needs a number in [0, 1)");
    if (!exponential) return fixed_delay;
    const auto cap = static_cast<double>(max_delay.count());
    // pow() overflows to infinity for a large attempt, which the cap turns into max_delay.
    const double grown = static_cast<double>(base_delay.count()) * std::pow(multiplier, attempt);
    const double jittered = std::min(grown * (0.5 + uniform), cap);
    return std::chrono::milliseconds(static_cast<std::chrono::milliseconds::rep>(jittered));
}

}  // namespace txstream::policy
