#pragma once

#include "base/error.hpp"
#include "outbox/situation.hpp"
#include "pg/connection.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::outbox {

/// How long what is kept. Zero: for ever.
struct RetentionAges {
    std::chrono::milliseconds events{};
    std::chrono::milliseconds positions{};
    std::chrono::milliseconds dead_letters{};  ///< that are done, from then on
    std::chrono::milliseconds audit{};
    std::chrono::milliseconds jobs{};  ///< that have ended, from then on

    bool operator==(const RetentionAges&) const = default;
};

/// Drops old partitions of the outbox, makes new ones ahead, and deletes old rows of the tables
/// beside it (migrations/outbox/0002_retention.sql, ADR 0006). Each step is a statement of its own
/// that waits for no lock for long; any number of relays may take steps, one at a time works.
class Retention {
public:
    /// Kinds of old rows, by their names in txstream.forget.
    static constexpr std::array<std::string_view, 4> kTables{
        "positions", "dead_letters", "audit", "jobs"
    };
    static constexpr int kRowsPerStep = 1000;
    static constexpr std::int64_t kIdsMin = 100'000;

    /// `ids_min`: the least number of transaction ids that a partition spans.
    explicit Retention(RetentionAges ages, std::int64_t ids_min = kIdsMin)
        : ages_(ages), ids_min_(ids_min) {}

    enum class Action : std::uint8_t {
        nothing,  ///< is due
        busy,     ///< another relay is at it
        locked,   ///< somebody uses the outbox for long; to be tried again
        foreign,  ///< the outbox is not this cluster's: retention rests
        made,     ///< partitions ahead
        ending,   ///< a part of ending a partition whose bound is too far ahead
        dropped,
    };
    struct Step {
        Action action = Action::nothing;
        std::string partitions;  ///< that were dropped, or where transaction ids are

        /// More may be due.
        bool has_worked() const noexcept { return action >= Action::made; }
    };
    /// Nothing is done where events are kept for ever.
    Task<Result<Step>> step(pg::Connection& connection, Deadline deadline) const;
    /// Deletes old rows of a table; how many, kRowsPerStep at most.
    Task<Result<std::int64_t>> forget(
        pg::Connection& connection, std::string_view table, Deadline deadline
    ) const;

    const RetentionAges& ages() const noexcept { return ages_; }

private:
    RetentionAges ages_;
    std::int64_t ids_min_;
};
std::string_view to_string(Retention::Action action) noexcept;

/// A partition of the outbox that has rows, and why it is not dropped.
struct PartitionState {
    enum class Kept : std::uint8_t {
        no,      ///< the next step drops it
        in_use,  ///< transaction ids are in it, or before it
        age,
        cursor,  ///< the one that is furthest behind has not passed it
        letter,  ///< an event of it is parked, held or replaying
        always,  ///< events are kept for ever
    };
    std::string name;
    std::uint64_t bytes = 0;
    /// When transaction ids were first seen beyond it: nothing in it is younger.
    std::optional<Moment> closed_at;
    Kept kept = Kept::no;
};

struct RetentionState {
    Moment now;                          ///< the server's clock
    std::int64_t partitions = 0;         ///< empty ones too
    std::uint64_t bytes = 0;             ///< of all, with indexes
    std::vector<PartitionState> filled;  ///< with rows, the oldest first; below a hundred
    /// The lane whose cursor is furthest behind, and its owner.
    struct {
        LaneId lane;
        std::optional<std::string> owner;
        std::optional<Moment> advanced_at;
    } last_lane;
    /// A letter that keeps the oldest partition that a letter keeps.
    struct Letter {
        std::int64_t id = 0;
        std::string event_id;
        std::string state;
        Moment parked_at;
    };
    std::optional<Letter> letter;

    /// Of the oldest partition with rows since it ended; zero while it is in use.
    std::chrono::seconds oldest_age() const;
    /// For how long the oldest partition with rows is past its age and not dropped.
    std::chrono::seconds overdue(std::chrono::milliseconds age) const;
};
/// Reads the catalogue, the lanes and two small tables. `age` zero: for ever.
Task<Result<RetentionState>> read_retention(
    pg::Connection& connection, std::chrono::milliseconds age, Deadline deadline
);
/// What keeps the oldest partition with rows, in a sentence for an operator.
std::string why_kept(const RetentionState& state);

}  // namespace txstream::outbox
