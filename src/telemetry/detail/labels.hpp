#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>

namespace txstream::telemetry {

/// Values of labels come from writers and clients; each becomes a series that lives for ever, on a
/// page that Prometheus reads as a whole. So they are bounded in number and in length.

/// At most kLabelBytesMax bytes of UTF-8. Control characters but the line break, which the format
/// can escape, and bytes that are no UTF-8 become U+FFFD: Prometheus refuses the whole page for one
/// of the latter.
std::string bounded_text(std::string_view value);

/// The first `max` distinct values keep their names; later ones share "other". Not thread-safe.
class LabelGuard {
public:
    explicit LabelGuard(std::size_t max) : max_(max) {}

    /// `value` as a label, valid as long as the guard.
    std::string_view admit(std::string_view value);

private:
    std::string_view admit_bounded(std::string_view value);

    std::size_t max_;
    std::set<std::string, std::less<>> seen_;
};

}  // namespace txstream::telemetry
