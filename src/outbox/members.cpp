#include "outbox/members.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

namespace txstream::outbox {

namespace {

constexpr pg::Statement kAsynchronousCommit{
    "txs_member_async", "SELECT set_config('synchronous_commit', 'off', true)"
};

#define TXS_TIME(parameter) "to_timestamp(" parameter "::bigint / 1000000.0)"
// clang-format off
constexpr pg::Statement kWrite{
    "txs_member_write",
    R"(
INSERT INTO txstream.members (name, host, pid, version, revision, started_at, seen_at, lanes,
workers, workers_alive, breaker, breaker_failures, breaker_failures_max, breaker_since,
breaker_probe_at, blockages, settings, config_digest, published, failed, parked,
published_rate, in_flight, pending_by_lane, topics, leases_lost, lease_lost_at, lease_lost_how)
VALUES ($1, $2, $3, $4, $5, )" TXS_TIME("$6") R"(, clock_timestamp(), $7::smallint[], $8, $9,
$10, $11, $12, )" TXS_TIME("$13") R"(, )" TXS_TIME("$14") R"(, $15::json, $16::json, $17, $18, $19,
$20, $21, $22, $23::bigint[], $24::json, $25, )" TXS_TIME("$26") R"(, $27)
ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at, lanes = excluded.lanes,
workers = excluded.workers, workers_alive = excluded.workers_alive,
breaker = excluded.breaker, breaker_failures = excluded.breaker_failures,
breaker_failures_max = excluded.breaker_failures_max,
breaker_since = excluded.breaker_since, breaker_probe_at = excluded.breaker_probe_at,
blockages = excluded.blockages, settings = excluded.settings,
config_digest = excluded.config_digest, published = excluded.published,
failed = excluded.failed, parked = excluded.parked,
published_rate = excluded.published_rate, in_flight = excluded.in_flight,
pending_by_lane = excluded.pending_by_lane, topics = excluded.topics,
 leases_lost = excluded.leases_lost, lease_lost_at = excluded.lease_lost_at,
 lease_lost_how = excluded.lease_lost_how)"
};
// clang-format on
#undef TXS_TIME

constexpr pg::Statement kRemove{
    "txs_member_remove", "DELETE FROM txstream.members WHERE name = $1"
};

// SKIP LOCKED: relays that start at the same time must not wait for each other.
constexpr pg::Statement kRemoveDead{
    "txs_member_remove_dead",
    R"(
DELETE FROM txstream.members WHERE name IN (SELECT name FROM txstream.members
WHERE seen_at < clock_timestamp() - interval '1 day' OR name IN (
 SELECT name FROM txstream.members
 WHERE seen_at < clock_timestamp() - $1::bigint * interval '1 second'
 ORDER BY seen_at DESC OFFSET $2::bigint) FOR UPDATE SKIP LOCKED))"
};

constexpr pg::Statement kCount{
    "txs_member_count",
    R"(
SELECT count(*) FILTER (WHERE is_alive), count(*) FILTER (WHERE NOT is_alive)
FROM (SELECT seen_at >= clock_timestamp() - $1::bigint * interval '1 second' AS is_alive
 FROM txstream.members) m)"
};

constexpr pg::Statement kRead{
    "txs_member_read",
    R"(
SELECT name, host, pid, version, revision, started_at, seen_at, lanes::text, workers,
workers_alive, breaker, breaker_failures, breaker_failures_max, breaker_since,
breaker_probe_at, blockages, settings, config_digest, published, failed, parked,
published_rate, in_flight, pending_by_lane::text,
greatest(extract(epoch FROM clock_timestamp() - seen_at) * 1000, 0)::bigint,
topics, leases_lost, lease_lost_at, lease_lost_how
FROM txstream.members ORDER BY seen_at DESC, name LIMIT $1)"
};

// "{1,2,3}"
std::vector<std::int64_t> integers(std::string_view array) {
    std::vector<std::int64_t> all;
    const char* at = array.data();
    const char* const end = array.data() + array.size();
    while (at != end) {
        std::int64_t value = 0;
        const auto [next, error] = std::from_chars(at, end, value);
        if (error == std::errc()) {
            all.push_back(value);
            at = next;
        } else {
            ++at;
        }
    }
    return all;
}

Member member_of(const pg::Rows& rows, std::size_t row) {
    const auto text = [&](int column) { return std::string(rows.bytes(row, column)); };
    Member member;
    member.name = text(0);
    member.host = text(1);
    member.pid = rows.integer(row, 2);
    member.version = text(3);
    member.revision = text(4);
    member.started_at = rows.time(row, 5);
    for (const auto lane : integers(rows.bytes(row, 7)))
        member.lanes.emplace_back(static_cast<std::int16_t>(lane));
    member.workers = rows.integer(row, 8);
    member.workers_alive = rows.integer(row, 9);
    member.breaker = text(10);
    member.breaker_failures = rows.integer(row, 11);
    member.breaker_failures_max = rows.integer(row, 12);
    member.breaker_since = rows.time(row, 13);
    if (!rows.is_null(row, 14)) member.breaker_probe_at = rows.time(row, 14);
    member.blockages = text(15);
    member.settings = text(16);
    member.config_digest = text(17);
    member.published = rows.integer(row, 18);
    member.failed = rows.integer(row, 19);
    member.parked = rows.integer(row, 20);
    member.published_milli_per_s = rows.integer(row, 21);
    member.in_flight = rows.integer(row, 22);
    if (!rows.is_null(row, 23)) {
        auto& pending = member.pending_by_lane.emplace();
        for (const auto events : integers(rows.bytes(row, 23)))
            pending.push_back(static_cast<std::uint64_t>(std::max<std::int64_t>(events, 0)));
    }
    member.topics = text(25);
    member.leases_lost = rows.integer(row, 26);
    if (!rows.is_null(row, 27)) member.lease_lost_at = rows.time(row, 27);
    if (!rows.is_null(row, 28)) member.lease_lost_how = text(28);
    return member;
}

std::int64_t micros(Member::Time time) {
    return time.time_since_epoch().count();
}

}  // namespace

bool SeenMember::is_alive() const {
    return silent <= kMemberSilenceMax;
}

Task<Result<>> write_member(pg::Connection& connection, Member member, Deadline deadline) {
    pg::Params params;
    params.add(std::move(member.name)).add(std::move(member.host)).add(member.pid);
    params.add(std::move(member.version)).add(std::move(member.revision));
    params.add(micros(member.started_at));
    params.add_integers(member.lanes, [](LaneId lane) { return lane.value(); });
    params.add(member.workers).add(member.workers_alive).add(std::move(member.breaker));
    params.add(member.breaker_failures).add(member.breaker_failures_max);
    params.add(micros(member.breaker_since));
    if (member.breaker_probe_at) {
        params.add(micros(*member.breaker_probe_at));
    } else {
        params.add(std::nullopt);
    }
    params.add(std::move(member.blockages)).add(std::move(member.settings));
    params.add(std::move(member.config_digest));
    params.add(member.published).add(member.failed).add(member.parked);
    params.add(member.published_milli_per_s).add(member.in_flight);
    if (member.pending_by_lane) {
        params.add_integers(*member.pending_by_lane, [](std::uint64_t events) { return events; });
    } else {
        params.add(std::nullopt);
    }
    params.add(std::move(member.topics)).add(member.leases_lost);
    if (member.lease_lost_at) {
        params.add(micros(*member.lease_lost_at)).add(std::move(member.lease_lost_how));
    } else {
        params.add(std::nullopt).add(std::nullopt);
    }
    std::vector<pg::Connection::Step> steps;
    steps.push_back({kAsynchronousCommit, {}});
    steps.push_back({kWrite, std::move(params)});
    TXS_CO_CHECK(co_await connection.transact(std::move(steps), deadline));
    co_return Result<>();
}

Task<Result<>> remove_member(pg::Connection& connection, std::string name, Deadline deadline) {
    TXS_CO_CHECK(co_await connection.run(kRemove, pg::Params::of(std::move(name)), deadline));
    co_return Result<>();
}

Task<Result<>> remove_dead_members(pg::Connection& connection, Deadline deadline) {
    auto params = pg::Params::of(std::int64_t{kMemberSilenceMax.count()}, kDeadMembersMax);
    TXS_CO_CHECK(co_await connection.run(kRemoveDead, std::move(params), deadline));
    co_return Result<>();
}

Task<Result<MemberCount>> count_members(pg::Connection& connection, Deadline deadline) {
    auto params = pg::Params::of(std::int64_t{kMemberSilenceMax.count()});
    TXS_CO_TRY(const auto rows, co_await connection.run(kCount, std::move(params), deadline));
    co_return MemberCount{
        .alive = static_cast<std::uint64_t>(rows.integer(0, 0)),
        .silent = static_cast<std::uint64_t>(rows.integer(0, 1))
    };
}

Task<Result<std::vector<SeenMember>>> read_members(
    pg::Connection& connection, std::size_t limit, Deadline deadline
) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kRead, pg::Params::of(limit), deadline));
    std::vector<SeenMember> all;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        all.push_back(
            {.member = member_of(rows, row),
             .seen_at = rows.time(row, 6),
             .silent = std::chrono::milliseconds(rows.integer(row, 24))}
        );
    }
    co_return all;
}

}  // namespace txstream::outbox
