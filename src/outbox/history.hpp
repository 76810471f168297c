#pragma once

#include "base/error.hpp"
#include "pg/connection.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace txstream::outbox {

inline constexpr std::chrono::seconds kHistorySlot{10};
inline constexpr int kHistorySlots = 8640;  ///< a day

/// What one relay knows of the outbox as a whole, for txstream.history.
struct HistoryEntry {
    std::uint64_t pending = 0;
    bool is_estimate = false;
    std::optional<std::int64_t> oldest_pending_ms;  ///< its age
    std::int64_t appended = 0;
    std::int64_t settled = 0;
    std::uint64_t parked = 0;
    int breaker = 0;                     ///< of this relay: policy::BreakerState's value
    std::vector<std::string> blockages;  ///< of this relay, since the last entry
    std::optional<std::int64_t> p50_us;
    std::optional<std::int64_t> p95_us;
    std::optional<std::int64_t> p99_us;

    bool operator==(const HistoryEntry&) const = default;
};

/// Writes the slot of this moment, by the server's clock, together with what the living members
/// report: their blockages, the worst breaker, and how many lanes have an owner. A relay that is
/// not the `reporter` (it does not own the first lane) only fills a slot that nobody else writes:
/// none does while the first lane has no owner. Nothing is waited for on disk.
Task<Result<>> write_history(
    pg::Connection& connection, HistoryEntry entry, bool is_reporter, Deadline deadline
);

/// A slot as it was written.
struct HistorySlot {
    using Time = std::chrono::sys_time<std::chrono::microseconds>;

    Time at;
    std::chrono::milliseconds age{};  ///< by the server's clock
    std::uint64_t pending = 0;
    bool is_estimate = false;
    std::optional<std::int64_t> oldest_pending_ms;
    std::int64_t appended = 0;
    std::int64_t settled = 0;
    std::uint64_t parked = 0;
    int breaker = 0;
    std::vector<std::string> blockages;
    std::optional<std::int64_t> p50_us;
    std::optional<std::int64_t> p95_us;
    std::optional<std::int64_t> p99_us;
    int lanes_owned = 0;
    int relays = 0;
};

/// The newest slots, the newest first; none older than a day.
Task<Result<std::vector<HistorySlot>>> read_newest_history(
    pg::Connection& connection, std::size_t slots, Deadline deadline
);

/// One point of the series: some slots in one. Of a gauge it has the largest value, of a total the
/// last one.
struct HistoryPoint {
    std::int64_t at = 0;  ///< Unix seconds, a multiple of the step
    HistorySlot::Time last_at;
    std::uint64_t pending = 0;
    std::optional<std::int64_t> oldest_pending_ms;
    std::int64_t appended = 0;
    std::int64_t settled = 0;
    std::uint64_t parked = 0;
    std::optional<std::int64_t> p50_us;
    std::optional<std::int64_t> p95_us;
    std::optional<std::int64_t> p99_us;
};

/// Points of the last `hours` hours, one for each `step` (a multiple of a slot) in which something
/// was written, the oldest first. One statement; it never reads more than the table's 8,640 rows.
Task<Result<std::vector<HistoryPoint>>> read_history(
    pg::Connection& connection,
    std::chrono::hours hours,
    std::chrono::seconds step,
    Deadline deadline
);

/// The slots that differ from the one before in what an incident is made of (breaker, blockages, a
/// gap, more dead letters, lanes without an owner), each after its predecessor; the oldest first.
/// Of more than `limit` the newest.
struct HistoryChange {
    std::optional<HistorySlot> before;
    HistorySlot now;
};
Task<Result<std::vector<HistoryChange>>> read_history_changes(
    pg::Connection& connection, std::size_t limit, Deadline deadline
);

}  // namespace txstream::outbox
