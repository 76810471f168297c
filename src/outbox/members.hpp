#pragma once

#include "base/error.hpp"
#include "base/strong.hpp"
#include "pg/connection.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace txstream::outbox {

/// A relay process as it describes itself in txstream.members.
///
/// For people and the console: delivery neither reads nor needs it. Times are the relay's, but for
/// `seen_at`, which is the server's.
struct Member {
    using Time = std::chrono::sys_time<std::chrono::microseconds>;

    std::string name;  ///< lanes.owner begins with it, and a slash
    std::string host;
    std::int64_t pid = 0;
    std::string version;
    std::string revision;
    Time started_at;
    std::vector<LaneId> lanes;
    std::int64_t workers = 0;
    std::int64_t workers_alive = 0;
    std::string breaker = "closed";  ///< closed, half_open, open
    std::int64_t breaker_failures = 0;
    std::int64_t breaker_failures_max = 0;
    Time breaker_since;
    std::optional<Time> breaker_probe_at;
    /// JSON array of {"code", "since", "detail", "lanes": [{"lane", "topic"}]}.
    std::string blockages = "[]";
    /// JSON array of {"name", "state", "error", "since", "until", "events", "keys", "next_try"}.
    std::string topics = "[]";
    std::int64_t leases_lost = 0;
    std::optional<Time> lease_lost_at;
    std::string lease_lost_how;   ///< the last time; empty: never
    std::string settings = "{}";  ///< JSON object of texts
    std::string config_digest;
    std::int64_t published = 0;
    std::int64_t failed = 0;
    std::int64_t parked = 0;
    std::int64_t published_milli_per_s = 0;
    std::int64_t in_flight = 0;
    /// Only from the relay that measures the outbox as a whole.
    std::optional<std::vector<std::uint64_t>> pending_by_lane;

    bool operator==(const Member&) const = default;
};

/// A member and what the server knows of it.
struct SeenMember {
    Member member;
    Member::Time seen_at;
    std::chrono::milliseconds silent{};  ///< since then, by the server's clock

    bool is_alive() const;
};

/// A member that is silent for longer is dead, or cut off. Four times the longest interval between
/// two reports, so that one lost write and a slow server are no death.
inline constexpr std::chrono::seconds kMemberSilenceMax{20};
/// Rows of the dead that are kept, for a day: a process that dies at each start must not fill the
/// table.
inline constexpr int kDeadMembersMax = 200;

/// Writes the member's row. Nothing is waited for on disk.
Task<Result<>> write_member(pg::Connection& connection, Member member, Deadline deadline);
/// The process ends.
Task<Result<>> remove_member(pg::Connection& connection, std::string name, Deadline deadline);
/// Removes rows of the dead that are older than a day, or too many.
Task<Result<>> remove_dead_members(pg::Connection& connection, Deadline deadline);

struct MemberCount {
    std::uint64_t alive = 0;
    std::uint64_t silent = 0;  ///< that ended uncleanly within a day, or are cut off
};
Task<Result<MemberCount>> count_members(pg::Connection& connection, Deadline deadline);

/// The newest first. At most kDeadMembersMax dead ones and `limit` in all.
Task<Result<std::vector<SeenMember>>> read_members(
    pg::Connection& connection, std::size_t limit, Deadline deadline
);

}  // namespace txstream::outbox
