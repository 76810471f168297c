#include "outbox/lane_store.hpp"

#include "base/assert.hpp"
#include "base/utf8.hpp"
#include "domain/json_writer.hpp"
#include "outbox/detail/lane_statements.hpp"
#include "outbox/instance.hpp"

#include <algorithm>
#include <utility>

namespace txstream::outbox {

namespace {

constexpr pg::Statement kLaneCount{"txs_lane_count", "SELECT count(*) FROM txstream.lanes"};

constexpr pg::Statement kUnowned{
    "txs_unowned_lanes",
    R"(
SELECT EXISTS (SELECT FROM txstream.lanes l LEFT JOIN txstream.leases e ON e.number = l.lease
WHERE e.number IS NULL OR e.ends_at < clock_timestamp()))"
};

// Whether there is something to claim; else nothing is written. $1 the number of our lease, $2 our
// lanes.
constexpr pg::Statement kFree{
    "txs_free_lanes",
    R"(
SELECT EXISTS (SELECT FROM txstream.lanes l LEFT JOIN txstream.leases e ON e.number = l.lease
WHERE e.number IS NULL OR e.ends_at < clock_timestamp()
 OR (e.number = $1::bigint AND NOT l.lane = ANY ($2::smallint[]))))"
};

// In a statement of its own: the next one must see what was acknowledged until then. Those that
// are acknowledging in this moment are left for the next time.
constexpr pg::Statement kFence{
    "txs_fence",
    R"(
DELETE FROM txstream.leases WHERE owner IN (SELECT owner FROM txstream.leases
WHERE ends_at < clock_timestamp() FOR UPDATE SKIP LOCKED))"
};

#define TXS_PROLONG                                                             \
    "UPDATE txstream.leases"                                                    \
    " SET ends_at = clock_timestamp() + $3::bigint * interval '1 millisecond'," \
    "  lanes_wanted = $4::smallint, stands_by = $5::boolean"                    \
    " WHERE owner = $1 AND number = $2::bigint AND ends_at >= clock_timestamp()"

constexpr pg::Statement kProlong{"txs_prolong", TXS_PROLONG " RETURNING number"};

constexpr pg::Statement kDropLease{
    "txs_drop_lease", "DELETE FROM txstream.leases WHERE owner = $1"
};

constexpr pg::Statement kOurLease{
    "txs_our_lease", "SELECT number FROM txstream.leases WHERE owner = $1"
};

constexpr pg::Statement kEndLease{
    "txs_end_lease", "DELETE FROM txstream.leases WHERE owner = $1 AND number = $2::bigint"
};

constexpr pg::Statement kNewLease{
    "txs_new_lease",
    R"(
INSERT INTO txstream.leases (owner, ends_at, lanes_wanted, stands_by, drains)
VALUES ($1, clock_timestamp() + $2::bigint * interval '1 millisecond', $3::smallint, $4::boolean,
 $5::boolean) ON CONFLICT (owner) DO NOTHING RETURNING number)"
};

// $1 our lease, $2 how many, $3 the lanes that we know of.
//
// SKIP LOCKED: ten relays that start at once share the lanes instead of queueing for the same rows.
// Who comes later may lock the row that the faster one has written, while his snapshot does not
// show him the other's lease: so the row must still have the epoch under which it was seen.
// Lanes of our own that we do not know of (they were handed over to us, or their claim's answer was
// lost) come first: others may not take them as long as we prolong our lease.
constexpr pg::Statement kClaim{
    "txs_claim",
    R"(
WITH free AS MATERIALIZED (SELECT l.lane FROM txstream.lanes l
  JOIN txstream.lanes seen ON seen.lane = l.lane AND seen.epoch = l.epoch
  LEFT JOIN txstream.leases e ON e.number = seen.lease
 WHERE e.number IS NULL OR (e.number = $1::bigint AND NOT seen.lane = ANY ($3::smallint[]))
 ORDER BY seen.lease = $1::bigint DESC, l.lane LIMIT $2::bigint
 FOR UPDATE OF l SKIP LOCKED)
UPDATE txstream.lanes l SET lease = $1::bigint, epoch = l.epoch + 1, cursor = p.cursor,
 target = p.target, last_id = p.last_id, last_xid = p.last_xid, published = p.published,
 parked = p.parked, advanced_at = p.advanced_at,
 taken_at = CASE WHEN l.lease = $1::bigint THEN l.taken_at ELSE clock_timestamp() END,
 position = (SELECT coalesce(max(id), 0) FROM txstream.positions)
FROM free JOIN txstream.lane_positions p ON p.lane = free.lane WHERE l.lane = free.lane
RETURNING l.lane, l.epoch, l.cursor::text, l.target::text, l.last_id, l.last_xid,
 l.published, l.parked)"
};

// The third says whether the key's first letter may be sent (outbox/letters.hpp).
constexpr pg::Statement kHeldKeys{
    "txs_held_keys",
    R"(
SELECT DISTINCT ON (lane, hashtextextended(key, 0), key) lane, key,
 state = 'replaying' OR error_class = 'held'
FROM txstream.dead_letters
WHERE lane = ANY($1::smallint[]) AND holds AND state IN ('parked', 'replaying')
ORDER BY lane, hashtextextended(key, 0), key, id, xid)"
};

constexpr pg::Statement kRenew{
    "txs_renew",
    R"(
WITH lease AS ()" TXS_PROLONG R"( RETURNING number)
SELECT l.lane FROM lease JOIN txstream.lanes l ON l.lease = lease.number
WHERE l.lane = ANY ($6::smallint[]))"
};

// The lease's row is what makes a late acknowledgement harmless (see LaneStore); the epochs are for
// lanes that an operator moved. A row is written when all its lanes are ours. A repeated write (the
// first one's answer was lost) finds that the newest row that names its first lane is the same.
//
// $1 owner, $2 lease; $3, $4 lanes and epochs; then of each row: $5 its lanes, $6 how many of them
// have events, $7, $8 totals, $9 to $12 the position, $13 events, $14 since, $15, $16 first and
// last id, $17 records, $18 parts.
#define TXS_APPEND                                                                                 \
    "WITH lease AS MATERIALIZED (SELECT number FROM txstream.leases"                               \
    "  WHERE owner = $1 AND number = $2::bigint FOR SHARE),"                                       \
    " owned AS MATERIALIZED (SELECT l.lane, l.position"                                            \
    "  FROM lease JOIN txstream.lanes l ON l.lease = lease.number"                                 \
    "   JOIN unnest($3::smallint[], $4::bigint[]) AS m(lane, epoch)"                               \
    "    ON m.lane = l.lane AND m.epoch = l.epoch),"                                               \
    " ours AS MATERIALIZED (SELECT r.*, r.lanes::smallint[] AS named"                              \
    "  FROM unnest($5::text[], $6::smallint[], $7::text[], $8::text[], $9::text[], $10::text[],"   \
    "   $11::bigint[], $12::text[], $13::integer[], $14::text[], $15::bigint[], $16::bigint[],"    \
    "   $17::text[], $18::text[]) AS r(lanes, active, published, parked, cursor,"                  \
    "    target, last_id, last_xid,"                                                               \
    "    events, since, first_event, last_event, records, parts)"                                  \
    "  WHERE (SELECT count(*) FROM owned o WHERE o.lane = ANY (r.lanes::smallint[]))"              \
    "   = cardinality(r.lanes::smallint[])),"                                                      \
    " appended AS (INSERT INTO txstream.positions (lease, lanes, active, published, parked,"       \
    "   cursor, target, last_id, last_xid, events, since, first_event, last_event,"                \
    "   records, parts)"                                                                           \
    "  SELECT $2::bigint, r.named, r.active, r.published::bigint[], r.parked::bigint[],"           \
    "   r.cursor::pg_snapshot, r.target::pg_snapshot, r.last_id, r.last_xid::xid8, r.events,"      \
    "   r.since::pg_snapshot, r.first_event, r.last_event, r.records::json, r.parts::json"         \
    "  FROM ours r WHERE r.active = 0 OR NOT EXISTS (SELECT FROM ("                                \
    "    SELECT p.cursor, p.target, p.last_id, p.last_xid FROM txstream.positions p"               \
    "    WHERE p.id > (SELECT min(position) FROM owned) AND coalesce(p.lease = $2::bigint, false)" \
    "     AND r.named[1] = ANY (p.lanes) ORDER BY p.id DESC LIMIT 1) newest"                       \
    "   WHERE newest.cursor::text = r.cursor AND newest.target::text IS NOT DISTINCT FROM"         \
    "    r.target"                                                                                 \
    "    AND (newest.last_id, newest.last_xid) = (r.last_id, r.last_xid::xid8)))"

constexpr pg::Statement kAdvance{"txs_advance", TXS_APPEND " SELECT unnest(named) FROM ours"};

// $24: with all they hold. Without it the copy cannot fail for what a writer wrote.
//
// ON CONFLICT: the same event, parked by a write whose answer was lost; since then an operator may
// have decided about it.
constexpr pg::Statement kPark{"txs_park", TXS_APPEND R"(
, aside AS (INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type,
  aggregate_id, event_type, topic, key, payload, payload_bytes, content_type, metadata,
  headers, created_at, attempts, error_class, error, waits, holds, to_copy)
 SELECT o.id, o.xid, o.event_id, o.lane, o.aggregate_type, o.aggregate_id, o.event_type,
  o.topic, coalesce(o.key, o.aggregate_id), CASE WHEN $24::boolean THEN o.payload END,
  CASE WHEN $24::boolean THEN o.payload_bytes END, o.content_type,
  CASE WHEN $24::boolean THEN o.metadata END, CASE WHEN $24::boolean THEN o.headers END,
  o.created_at, p.attempts, p.error_class, p.error, p.waits, p.holds, p.to_copy
 FROM ours, unnest($19::bigint[], $20::text[], $21::integer[], $22::text[], $23::text[],
   $25::boolean[], $26::boolean[], $27::boolean[])
   AS p(id, xid, attempts, error_class, error, waits, holds, to_copy)
 JOIN txstream.outbox o ON o.id = p.id AND o.xid = p.xid::xid8
ON CONFLICT (id, xid, event_id) DO NOTHING)
SELECT unnest(named) FROM ours)"};

std::string records_json(const std::vector<RecordRange>& records) {
    std::string json;
    domain::JsonWriter out(json);
    out.begin_array();
    for (const auto& range : records) {
        out.begin_object();
        out.key("topic").string(range.topic);
        out.key("partition").integer(range.partition);
        out.key("first").integer(range.first);
        out.key("last").integer(range.last);
        out.end_object();
    }
    out.end_array();
    return json;
}

/// A row of the log: the publications that led there, and the lanes that are there.
struct Row {
    const LaneProgress* position;
    std::vector<const Publication*> publications{};
    std::vector<const LaneProgress*> lanes{};  ///< those with events first
    std::size_t active = 0;

    std::int64_t events() const {
        std::int64_t sum = 0;
        for (const auto* one : publications) sum += one->events;
        return sum;
    }
    std::int64_t first_event() const {
        std::int64_t first = publications.empty() ? 0 : publications[0]->first_id.id();
        for (const auto* one : publications) first = std::min(first, one->first_id.id());
        return first;
    }
    std::int64_t last_event() const {
        std::int64_t last = 0;
        for (const auto* one : publications) last = std::max(last, one->last_id.id());
        return last;
    }
    const Snapshot& since() const {
        return publications.empty() ? position->cursor : publications[0]->cursor;
    }
    std::string records() const {
        std::vector<RecordRange> all;
        for (const auto* one : publications)
            for (const auto& range : one->records) add_records(all, range);
        return records_json(all);
    }
    /// Where the lanes did not come from the same snapshot: which of them came from which.
    std::optional<std::string> parts() const;
};

std::optional<std::string> Row::parts() const {
    if (publications.size() < 2) return std::nullopt;
    std::string json;
    domain::JsonWriter out(json);
    out.begin_array();
    for (const auto* one : publications) {
        out.begin_object().key("lanes").begin_array();
        for (const auto lane : one->lanes) out.integer(lane.value());
        out.end_array();
        out.key("since").string(one->cursor.text());
        out.key("cursor").string(position->cursor.text());
        if (position->target) out.key("target").string(position->target->text());
        out.key("last_id").integer(position->last_id.id());
        out.key("last_xid").integer(position->last_id.xid());
        out.key("first_event").integer(one->first_id.id());
        out.key("last_event").integer(one->last_id.id());
        out.end_object();
    }
    out.end_array();
    return json;
}

bool is_same_position(const LaneProgress& a, const LaneProgress& b) {
    return a.last_id == b.last_id && a.cursor == b.cursor && a.target == b.target;
}

// One row for each position: of the publications that led there, then of lanes that are there.
std::vector<Row> rows_of(
    const std::vector<LaneProgress>& lanes, const std::vector<Publication>& publications
) {
    std::map<LaneId, const LaneProgress*> named;
    for (const auto& lane : lanes) named.emplace(lane.lane, &lane);
    std::vector<Row> rows;
    const auto row_at = [&](const LaneProgress& position) -> Row& {
        const auto place = std::ranges::find_if(rows, [&](const Row& row) {
            return is_same_position(*row.position, position);
        });
        return place != rows.end() ? *place : rows.emplace_back(Row{&position});
    };
    for (const auto& publication : publications) {
        auto& row = row_at(*named.at(publication.lanes.at(0)));
        row.publications.push_back(&publication);
        for (const auto lane : publication.lanes) {
            const auto found = named.find(lane);
            TXS_ASSERT(
                found != named.end() && is_same_position(*found->second, *row.position),
                "the lanes of a publication came to one position, each in one publication"
            );
            row.lanes.push_back(found->second);
            named.erase(found);
        }
        row.active = row.lanes.size();
    }
    for (const auto& [id, lane] : named) row_at(*lane).lanes.push_back(lane);
    return rows;
}

}  // namespace

Task<Result<std::size_t>> lane_count(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kLaneCount, {}, deadline));
    co_return static_cast<std::size_t>(rows.integer(0, 0));
}

Task<Result<bool>> has_unowned_lanes(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kUnowned, {}, deadline));
    co_return rows.boolean(0, 0);
}

LaneStore::LaneStore(std::string owner) : owner_(std::move(owner)) {
}

void LaneStore::forget() {
    lease_ = 0;
    totals_.clear();
    decided_after_ = {};
}

Task<Result<std::vector<ClaimedLane>>> LaneStore::claim(
    pg::Connection& connection,
    std::vector<LaneId> owned,
    std::size_t limit,
    std::chrono::milliseconds lease,
    Deadline deadline
) {
    TXS_CO_CHECK(co_await check_instance(connection, deadline));
    const auto lane_number = [](LaneId lane) { return lane.value(); };
    auto known = pg::Params::of(lease_);
    known.add_integers(owned, lane_number);
    TXS_CO_TRY(const auto free, co_await connection.run(kFree, std::move(known), deadline));
    if (!free.boolean(0, 0)) co_return std::vector<ClaimedLane>();
    TXS_CO_CHECK(co_await enlist(connection, lease, deadline));
    auto params = pg::Params::of(lease_, limit);
    params.add_integers(owned, lane_number);
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
        totals_[lane.lane] = {rows.integer(i, 6), rows.integer(i, 7)};
        lanes.push_back(std::move(lane));
    }
    if (lanes.empty()) co_return lanes;
    std::ranges::sort(lanes, {}, &ClaimedLane::lane);
    for (std::size_t i = 0; i < lanes.size(); ++i) place[lanes[i].lane] = i;
    pg::Params which;
    which.add_integers(lanes, [](const ClaimedLane& lane) { return lane.lane.value(); });
    TXS_CO_TRY(auto held, co_await connection.run(kHeldKeys, std::move(which), deadline));
    for (std::size_t i = 0; i < held.size(); ++i) {
        const LaneId lane(static_cast<std::int16_t>(held.integer(i, 0)));
        auto& claimed = lanes[place.at(lane)];
        claimed.held_keys.emplace_back(held.bytes(i, 1));
        if (held.boolean(i, 2)) claimed.due_keys.push_back(claimed.held_keys.back());
    }
    co_return lanes;
}

// The lease that we have, for its whole time from now on; else a new one, which refuses whatever
// was begun under the old. Of a session that nobody waits for any more a statement may still be
// under way: it must not replace the lease of the one that came after it, so a lease is replaced
// only where it is the one that was seen.
Task<Result<>> LaneStore::enlist(
    pg::Connection& connection, std::chrono::milliseconds lease, Deadline deadline
) {
    TXS_CO_TRY(const auto fenced, co_await connection.run(kFence, {}, deadline));
    auto seen = lease_;
    if (seen != 0) {
        TXS_CO_TRY(
            const auto prolonged,
            co_await connection.run(
                kProlong,
                pg::Params::of(owner_, seen, lease.count(), want_.lanes, want_.stands_by),
                deadline
            )
        );
        if (!prolonged.empty()) co_return Result<>();
        lease_ = 0;
    } else {
        TXS_CO_TRY(
            const auto ours, co_await connection.run(kOurLease, pg::Params::of(owner_), deadline)
        );
        if (!ours.empty()) seen = ours.integer(0, 0);
    }
    std::vector<pg::Connection::Step> steps;
    steps.push_back({kEndLease, pg::Params::of(owner_, seen)});
    steps.push_back(
        {kNewLease, pg::Params::of(owner_, lease.count(), want_.lanes, want_.stands_by, drains_)}
    );
    TXS_CO_TRY(const auto results, co_await connection.transact(std::move(steps), deadline));
    if (results.at(1).empty())
        co_return fail(Code::unavailable, "another session has taken this owner's lease");
    lease_ = results.at(1).integer(0, 0);
    co_return Result<>();
}

Task<Result<std::vector<LaneId>>> LaneStore::renew(
    pg::Connection& connection,
    std::vector<LaneId> lanes,
    std::chrono::milliseconds lease,
    Deadline deadline
) {
    auto params = pg::Params::of(owner_, lease_, lease.count(), want_.lanes, want_.stands_by);
    params.add_integers(lanes, [](LaneId lane) { return lane.value(); });
    std::vector<pg::Connection::Step> steps;
    steps.push_back({kAsynchronousCommit, pg::Params()});
    steps.push_back({kRenew, std::move(params)});
    TXS_CO_TRY(const auto results, co_await connection.transact(std::move(steps), deadline));
    co_return lanes_of(results.at(1));
}

LaneStore::Totals LaneStore::totals_of(LaneId lane) const {
    const auto found = totals_.find(lane);
    return found == totals_.end() ? Totals() : found->second;
}

pg::Params LaneStore::rows_params(
    const std::vector<LaneProgress>& lanes,
    const std::vector<Publication>& publications,
    std::int64_t parked
) const {
    const auto rows = rows_of(lanes, publications);
    const auto numbers = [](const Row& row, const auto& number) {
        std::string text = "{";
        for (const auto* lane : row.lanes) {
            if (text.size() > 1) text += ',';
            text += std::to_string(number(*lane));
        }
        return text + "}";
    };
    auto params = pg::Params::of(owner_, lease_);
    params.add_integers(lanes, [](const LaneProgress& lane) { return lane.lane.value(); });
    params.add_integers(lanes, [](const LaneProgress& lane) { return lane.epoch.value(); });
    params.add_texts(rows, [&](const Row& row) {
        return numbers(row, [](const LaneProgress& lane) { return lane.lane.value(); });
    });
    params.add_integers(rows, [](const Row& row) { return row.active; });
    params.add_texts(rows, [&](const Row& row) {
        return numbers(row, [&](const LaneProgress& lane) {
            return totals_of(lane.lane).published + lane.published;
        });
    });
    params.add_texts(rows, [&](const Row& row) -> std::optional<std::string> {
        const auto total = [&](const LaneProgress& lane) {
            return totals_of(lane.lane).parked + parked;
        };
        if (std::ranges::none_of(row.lanes, [&](const auto* lane) { return total(*lane) > 0; }))
            return std::nullopt;
        return numbers(row, total);
    });
    params.add_texts(rows, [](const Row& row) { return row.position->cursor.text(); });
    params.add_texts(rows, [](const Row& row) -> std::optional<std::string> {
        if (!row.position->target) return std::nullopt;
        return row.position->target->text();
    });
    params.add_integers(rows, [](const Row& row) { return row.position->last_id.id(); });
    params.add_texts(rows, [](const Row& row) {
        return std::to_string(row.position->last_id.xid());
    });
    params.add_integers(rows, [](const Row& row) { return row.events(); });
    params.add_texts(rows, [](const Row& row) { return row.since().text(); });
    params.add_integers(rows, [](const Row& row) { return row.first_event(); });
    params.add_integers(rows, [](const Row& row) { return row.last_event(); });
    params.add_texts(rows, [](const Row& row) { return row.records(); });
    params.add_texts(rows, [](const Row& row) { return row.parts(); });
    return params;
}

Task<Result<std::vector<LaneId>>> LaneStore::advance(
    pg::Connection& connection,
    std::vector<LaneProgress> lanes,
    std::vector<Publication> publications,
    Deadline deadline
) {
    std::vector<pg::Connection::Step> steps;
    steps.push_back({kAsynchronousCommit, pg::Params()});
    steps.push_back({kAdvance, rows_params(lanes, publications, 0)});
    TXS_CO_TRY(auto results, co_await connection.transact(std::move(steps), deadline));
    auto moved = lanes_of(results.at(1));
    for (const auto& lane : lanes) {
        if (std::ranges::find(moved, lane.lane) != moved.end())
            totals_[lane.lane].published += lane.published;
    }
    co_return moved;
}

Task<Result<bool>> LaneStore::park(
    pg::Connection& connection,
    LaneProgress lane,
    std::vector<ParkedEvent> parked,
    Publication publication,
    LetterForm form,
    Deadline deadline
) {
    const auto id = lane.lane;
    const auto published = lane.published;
    std::vector<LaneProgress> lanes;
    lanes.push_back(std::move(lane));
    std::vector<Publication> publications;
    publications.push_back(std::move(publication));
    auto params = rows_params(lanes, publications, static_cast<std::int64_t>(parked.size()));
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
    params.add(form == LetterForm::whole);
    params.add_texts(parked, [](const ParkedEvent& event) {
        return std::string(event.waits ? "t" : "f");
    });
    params.add_texts(parked, [](const ParkedEvent& event) {
        return std::string(event.holds ? "t" : "f");
    });
    params.add_texts(parked, [](const ParkedEvent& event) {
        return std::string(event.is_copied ? "t" : "f");
    });
    TXS_CO_TRY(auto rows, co_await connection.run(kPark, std::move(params), deadline));
    if (rows.size() != 1) co_return false;
    auto& totals = totals_[id];
    totals.published += published;
    totals.parked += static_cast<std::int64_t>(parked.size());
    co_return true;
}

Task<Result<>> LaneStore::release(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(auto rows, co_await connection.run(kDropLease, pg::Params::of(owner_), deadline));
    forget();
    co_return Result<>();
}

}  // namespace txstream::outbox
