#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::outbox {

/// PostgreSQL's pg_snapshot: which transactions had ended at a moment.
///
/// Everything below xmin had ended, nothing from xmax on had, and of those between only the ones
/// that are not in `running`. See "System Information Functions" in PostgreSQL's manual for the
/// text form `xmin:xmax:xip,…`.
class Snapshot {
public:
    Snapshot() = default;
    static Result<Snapshot> parse(std::string_view text);

    std::int64_t xmin() const noexcept { return xmin_; }
    std::int64_t xmax() const noexcept { return xmax_; }
    /// Sorted ascending.
    const std::vector<std::int64_t>& running() const noexcept { return running_; }
    /// Same answer as pg_visible_in_snapshot: the transaction had ended.
    bool sees(std::int64_t xid) const noexcept;
    const std::string& text() const noexcept { return text_; }

    friend bool operator==(const Snapshot& a, const Snapshot& b) noexcept {
        return a.text_ == b.text_;
    }

private:
    std::int64_t xmin_ = 0;
    std::int64_t xmax_ = 0;
    std::vector<std::int64_t> running_;
    std::string text_;
};

}  // namespace txstream::outbox
