#include "outbox/lane_store.hpp"

#include "base/utf8.hpp"
#include "outbox/instance.hpp"

#include <map>
#include <utility>

namespace txstream::outbox {

namespace {

// What a broker says has no bound.
constexpr std::size_t kErrorClassBytesMax = 100;
constexpr std::size_t kErrorBytesMax = 2000;

// SKIP LOCKED: ten relays that start at once share the lanes instead of queueing for the same rows.
// Our own lanes too, if we do not know of them: we gave them up, or never had the answer.
constexpr pg::Statement kClaim{
    "txs_claim",
    "UPDATE txstream.lanes l SET owner = $1, epoch = epoch + 1,"
    " lease_ends_at = clock_timestamp() + $3::bigint * interval '1 millisecond'"
    " FROM (SELECT lane FROM txstream.lanes"
    "       WHERE (owner IS NULL OR lease_ends_at < clock_timestamp()"
    "         OR (owner = $1 AND NOT lane = ANY($4::smallint[])))"
    "       ORDER BY lane LIMIT $2::bigint FOR UPDATE SKIP LOCKED) free"
    " WHERE l.lane = free.lane"
    " RETURNING l.lane, l.epoch, l.cursor::text, l.target::text, l.last_id, l.last_xid"
};

constexpr pg::Statement kLaneCount{"txs_lane_count", "SELECT count(*) FROM txstream.lanes"};

constexpr pg::Statement kUnowned{
    "txs_unowned_lanes",
    "SELECT EXISTS (SELECT FROM txstream.lanes"
    " WHERE owner IS NULL OR lease_ends_at < clock_timestamp())"
};

constexpr pg::Statement kHeldKeys{
    "txs_held_keys",
    "SELECT DISTINCT lane, key FROM txstream.dead_letters"
    " WHERE lane = ANY($1::smallint[]) AND state IN ('parked', 'replaying')"
};

// The lanes by name: one whose claim never reached us would have an owner for ever, and no reader.
constexpr pg::Statement kRenew{
    "txs_renew",
    "UPDATE txstream.lanes SET lease_ends_at = clock_timestamp() + $2::bigint * interval '1 "
    "millisecond'"
    " WHERE owner = $1 AND lane = ANY($3::smallint[]) AND lease_ends_at >= clock_timestamp()"
    " RETURNING lane"
};

constexpr pg::Statement kRelease{
    "txs_release", "UPDATE txstream.lanes SET owner = NULL, lease_ends_at = NULL WHERE owner = $1"
};

constexpr pg::Statement kAsynchronousCommit{
    "txs_async_commit", "SELECT set_config('synchronous_commit', 'off', true)"
};

// The epoch in the WHERE clause is what makes a late acknowledgement harmless: if another relay
// took the lane after our lease ended, no row matches and we learn it here instead of overwriting
// its progress. A repeated write (the first one's answer was lost) finds the lane where it is to
// go, and counts nothing again.
#define TXS_MOVE_LANES                                                                 \
    "UPDATE txstream.lanes l SET cursor = m.cursor::pg_snapshot,"                      \
    " target = nullif(m.target, '')::pg_snapshot, last_id = m.last_id,"                \
    " last_xid = m.last_xid::xid8,"                                                    \
    " published = l.published + CASE WHEN l.cursor::text = m.cursor"                   \
    "  AND coalesce(l.target::text, '') = m.target"                                    \
    "  AND (l.last_id, l.last_xid) = (m.last_id, m.last_xid::xid8)"                    \
    "  THEN 0 ELSE m.published END,"                                                   \
    " parked = l.parked + CASE WHEN l.cursor::text = m.cursor"                         \
    "  AND coalesce(l.target::text, '') = m.target"                                    \
    "  AND (l.last_id, l.last_xid) = (m.last_id, m.last_xid::xid8)"                    \
    "  THEN 0 ELSE $8::bigint END,"                                                    \
    " advanced_at = clock_timestamp()"                                                 \
    " FROM unnest($1::smallint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[]," \
    "   $6::text[], $7::bigint[])"                                                     \
    "   AS m(lane, epoch, cursor, target, last_id, last_xid, published)"               \
    " WHERE l.lane = m.lane AND l.epoch = m.epoch RETURNING l.lane"

// Of each publication only the lanes that moved are told; where one was lost, the count of events
// and the offsets still tell of all.
#define TXS_RECORD_PUBLICATIONS                                                                   \
    "INSERT INTO txstream.publications"                                                           \
    " (lanes, first_id, last_id, events, cursor, target, records)"                                \
    " SELECT kept.lanes, p.first_id, p.last_id, p.events, p.cursor::pg_snapshot,"                 \
    "  p.target::pg_snapshot, p.records::json"                                                    \
    " FROM unnest($9::text[], $10::bigint[], $11::bigint[], $12::integer[], $13::text[],"         \
    "  $14::text[], $15::text[]) AS p(lanes, first_id, last_id, events, cursor, target, records)" \
    " CROSS JOIN LATERAL (SELECT array_agg(moved.lane ORDER BY moved.lane) AS lanes FROM moved"   \
    "  WHERE moved.lane = ANY (p.lanes::smallint[])) kept"                                        \
    " WHERE kept.lanes IS NOT NULL AND p.events > 0"

constexpr pg::Statement kAdvance{
    "txs_advance",
    "WITH moved AS (" TXS_MOVE_LANES "), recorded AS (" TXS_RECORD_PUBLICATIONS
    ") SELECT lane FROM moved"
};

// $21: with all they hold. Without it the copy cannot fail for what a writer wrote.
constexpr pg::Statement kPark{
    "txs_park",
    "WITH moved AS (" TXS_MOVE_LANES "), recorded AS (" TXS_RECORD_PUBLICATIONS
    "),"
    " aside AS (INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type,"
    "   aggregate_id, event_type, topic, key, payload, payload_bytes, content_type, metadata,"
    "   headers, created_at, attempts, error_class, error)"
    "  SELECT o.id, o.xid, o.event_id, o.lane, o.aggregate_type, o.aggregate_id, o.event_type,"
    "   o.topic, coalesce(o.key, o.aggregate_id), CASE WHEN $21::boolean THEN o.payload END,"
    "   CASE WHEN $21::boolean THEN o.payload_bytes END, o.content_type,"
    "   CASE WHEN $21::boolean THEN o.metadata END, CASE WHEN $21::boolean THEN o.headers END,"
    "   o.created_at, p.attempts, p.error_class, p.error"
    "  FROM moved, unnest($16::bigint[], $17::text[], $18::integer[], $19::text[], $20::text[])"
    "    AS p(id, xid, attempts, error_class, error)"
    "  JOIN txstream.outbox o ON o.id = p.id AND o.xid = p.xid::xid8"
    // The same event, parked by a write whose answer was lost; since then an operator may have
    // decided about it.
    "  ON CONFLICT (id, xid, event_id) DO NOTHING)"
    " SELECT lane FROM moved"
};

std::string array_text(const std::vector<LaneId>& lanes) {
    std::string text = "{";
    for (const auto lane : lanes) {
        if (text.size() > 1) text += ',';
        text += std::to_string(lane.value());
    }
    return text + "}";
}

pg::Params progress_params(
    const std::vector<LaneProgress>& lanes,
    const std::vector<Publication>& publications,
    std::size_t parked
) {
    pg::Params params;
    params.add_integers(lanes, [](const LaneProgress& lane) { return lane.lane.value(); });
    params.add_integers(lanes, [](const LaneProgress& lane) { return lane.epoch.value(); });
    params.add_texts(lanes, [](const LaneProgress& lane) { return lane.cursor.text(); });
    params.add_texts(lanes, [](const LaneProgress& lane) {
        return lane.target ? lane.target->text() : std::string();
    });
    params.add_integers(lanes, [](const LaneProgress& lane) { return lane.last_id.id(); });
    params.add_texts(lanes, [](const LaneProgress& lane) {
        return std::to_string(lane.last_id.xid());
    });
    params.add_integers(lanes, [](const LaneProgress& lane) { return lane.published; });
    params.add(parked);
    params.add_texts(publications, [](const Publication& p) { return array_text(p.lanes); });
    params.add_integers(publications, [](const Publication& p) { return p.first_id.id(); });
    params.add_integers(publications, [](const Publication& p) { return p.last_id.id(); });
    params.add_integers(publications, [](const Publication& p) { return p.events; });
    params.add_texts(publications, [](const Publication& p) { return p.cursor.text(); });
    params.add_texts(publications, [](const Publication& p) { return p.target.text(); });
    params.add_texts(publications, [](const Publication& p) { return p.records; });
    return params;
}

std::vector<LaneId> lanes_of(const pg::Rows& rows) {
    std::vector<LaneId> lanes;
    for (std::size_t i = 0; i < rows.size(); ++i)
        lanes.emplace_back(static_cast<std::int16_t>(rows.integer(i, 0)));
    return lanes;
}

}  // namespace

Task<Result<std::vector<ClaimedLane>>> claim_lanes(
    pg::Connection& connection,
    std::string owner,
    std::vector<LaneId> owned,
    std::size_t limit,
    std::chrono::milliseconds lease,
    Deadline deadline
) {
    TXS_CO_CHECK(co_await check_instance(connection, deadline));
    auto params = pg::Params::of(owner, limit, lease.count());
    params.add_integers(owned, [](LaneId lane) { return lane.value(); });
    TXS_CO_TRY(auto rows, co_await connection.run(kClaim, std::move(params), deadline));
    std::vector<ClaimedLane> lanes;
    std::map<LaneId, std::size_t> place;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        ClaimedLane lane;
        lane.lane = LaneId(static_cast<std::int16_t>(rows.integer(i, 0)));
        lane.epoch = Epoch(rows.integer(i, 1));
        TXS_CO_TRY(lane.cursor, Snapshot::parse(rows.bytes(i, 2)));
        if (!rows.is_null(i, 3)) {
            TXS_CO_TRY(lane.target, Snapshot::parse(rows.bytes(i, 3)));
        }
        lane.last_id = EventSeq(rows.integer(i, 4), rows.integer(i, 5));
        place[lane.lane] = lanes.size();
        lanes.push_back(std::move(lane));
    }
    if (lanes.empty()) co_return lanes;
    pg::Params which;
    which.add_integers(lanes, [](const ClaimedLane& lane) { return lane.lane.value(); });
    TXS_CO_TRY(auto held, co_await connection.run(kHeldKeys, std::move(which), deadline));
    for (std::size_t i = 0; i < held.size(); ++i) {
        const LaneId lane(static_cast<std::int16_t>(held.integer(i, 0)));
        lanes[place.at(lane)].held_keys.emplace_back(held.bytes(i, 1));
    }
    co_return lanes;
}

Task<Result<std::size_t>> lane_count(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kLaneCount, {}, deadline));
    co_return static_cast<std::size_t>(rows.integer(0, 0));
}

Task<Result<bool>> has_unowned_lanes(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kUnowned, {}, deadline));
    co_return rows.boolean(0, 0);
}

Task<Result<std::vector<LaneId>>> renew_lanes(
    pg::Connection& connection,
    std::string owner,
    std::vector<LaneId> lanes,
    std::chrono::milliseconds lease,
    Deadline deadline
) {
    auto params = pg::Params::of(owner, lease.count());
    params.add_integers(lanes, [](LaneId lane) { return lane.value(); });
    TXS_CO_TRY(const auto rows, co_await connection.run(kRenew, std::move(params), deadline));
    co_return lanes_of(rows);
}

Task<Result<std::vector<LaneId>>> advance_lanes(
    pg::Connection& connection,
    std::vector<LaneProgress> lanes,
    std::vector<Publication> publications,
    Deadline deadline
) {
    std::vector<pg::Connection::Step> steps;
    steps.push_back({kAsynchronousCommit, pg::Params()});
    steps.push_back({kAdvance, progress_params(lanes, publications, 0)});
    TXS_CO_TRY(auto results, co_await connection.transact(std::move(steps), deadline));
    co_return lanes_of(results.at(1));
}

Task<Result<bool>> park_and_advance(
    pg::Connection& connection,
    LaneProgress lane,
    std::vector<ParkedEvent> parked,
    Publication publication,
    DeadLetter form,
    Deadline deadline
) {
    std::vector<LaneProgress> lanes;
    lanes.push_back(std::move(lane));
    std::vector<Publication> publications;
    publications.push_back(std::move(publication));
    auto params = progress_params(lanes, publications, parked.size());
    params.add_integers(parked, [](const ParkedEvent& event) { return event.id.id(); });
    params.add_texts(parked, [](const ParkedEvent& event) {
        return std::to_string(event.id.xid());
    });
    params.add_integers(parked, [](const ParkedEvent& event) { return event.attempts; });
    params.add_texts(parked, [](const ParkedEvent& event) {
        return storable_text(event.error_class, kErrorClassBytesMax);
    });
    params.add_texts(parked, [](const ParkedEvent& event) {
        return storable_text(event.error, kErrorBytesMax);
    });
    params.add(form == DeadLetter::whole);
    TXS_CO_TRY(auto rows, co_await connection.run(kPark, std::move(params), deadline));
    co_return rows.size() == 1;
}

Task<Result<>> release_lanes(pg::Connection& connection, std::string owner, Deadline deadline) {
    TXS_CO_TRY(auto rows, co_await connection.run(kRelease, pg::Params::of(owner), deadline));
    co_return Result<>();
}

}  // namespace txstream::outbox
