// LaneStore: dead letters that are sent after all.

#include "base/utf8.hpp"
#include "outbox/detail/lane_statements.hpp"
#include "outbox/lane_store.hpp"

#include <utility>

namespace txstream::outbox {

namespace {

// $1 lanes, $2 to $4 the decision after which to look, $5 how many.
constexpr pg::Statement kDecisions{
    "txs_decisions",
    R"(
SELECT lane, key, id, xid, state = 'replaying', holds FROM txstream.dead_letters
WHERE decided AND lane = ANY ($1::smallint[])
 AND (lane, id, xid) > ($2::smallint, $3::bigint, $4::xid8)
ORDER BY lane, id, xid LIMIT $5::bigint)"
};

// What is replaying stays decided until it was sent. All else asked only that its key be looked at,
// which no claim forgets: it looks at what is in front of each key. Only the lanes' owner may say
// so; who is that no more would take the word from the next one. $1 owner, $2 lease, $3, $4 events.
constexpr pg::Statement kNoticed{
    "txs_decisions_noticed",
    R"(
WITH lease AS MATERIALIZED (SELECT number FROM txstream.leases
  WHERE owner = $1 AND number = $2::bigint FOR SHARE)
UPDATE txstream.dead_letters d SET decided = false
FROM lease JOIN txstream.lanes l ON l.lease = lease.number,
 unnest($3::bigint[], $4::text[]) AS n(id, xid)
WHERE d.lane = l.lane AND d.id = n.id AND d.xid = n.xid::xid8 AND d.decided
 AND d.state <> 'replaying')"
};

// $1, $2 lanes and keys, $3 rows, $4 bytes, $5 bytes of an event that can be sent, $6 of each key
// whether the letters that hold it. The columns of Events, then which key and whether the queue
// stops there.
//
// The outbox's own row counts where it is still there: a letter may have been stored without its
// content.
constexpr pg::Statement kLetters{
    "txs_letters",
    R"(
WITH queue AS MATERIALIZED (
 SELECT k.number, d.* FROM unnest($1::smallint[], $2::text[], $6::boolean[])
  WITH ORDINALITY AS k(lane, key, holds, number)
 CROSS JOIN LATERAL (SELECT l.* FROM txstream.dead_letters l
  WHERE l.lane = k.lane AND hashtextextended(l.key, 0) = hashtextextended(k.key, 0)
   AND l.key = k.key AND l.holds = k.holds AND l.state IN ('parked', 'replaying')
   AND (k.holds OR l.state = 'replaying')
  ORDER BY l.id, l.xid LIMIT $3::bigint) d
 ORDER BY k.number, d.id, d.xid LIMIT $3::bigint),
whole AS (
 SELECT q.number, q.lane, q.id, q.xid, q.event_id, q.aggregate_type, q.aggregate_id, q.event_type,
  q.topic, q.key, q.content_type, q.created_at, q.state = 'parked' AND q.error_class <> 'held' AS stops,
  coalesce(o.size, octet_length(q.aggregate_id)::bigint + octet_length(q.key)
   + coalesce(octet_length(q.headers::text), 0) + coalesce(octet_length(q.payload::text), 0)
   + coalesce(octet_length(q.metadata::text), 0) + coalesce(octet_length(q.payload_bytes), 0)) AS size,
  CASE WHEN o.id IS NULL THEN q.payload ELSE o.payload END AS payload,
  CASE WHEN o.id IS NULL THEN q.payload_bytes ELSE o.payload_bytes END AS payload_bytes,
  CASE WHEN o.id IS NULL THEN q.metadata ELSE o.metadata END AS metadata,
  CASE WHEN o.id IS NULL THEN q.headers ELSE o.headers END AS headers
 FROM queue q LEFT JOIN txstream.outbox o
  ON o.id = q.id AND o.xid = q.xid AND o.event_id = q.event_id),
summed AS (SELECT *, sum(CASE WHEN size <= $5::bigint THEN size ELSE 0 END) OVER w AS bytes_before,
  count(*) OVER () AS rows
 FROM whole WINDOW w AS (ORDER BY number, id, xid ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
SELECT lane, id, xid, size, size <= $5::bigint, event_id, aggregate_type, aggregate_id, event_type,
 topic, key, CASE WHEN size <= $5::bigint THEN payload END,
 CASE WHEN size <= $5::bigint THEN payload_bytes END, content_type,
 CASE WHEN size <= $5::bigint AND payload IS NOT NULL THEN metadata END,
 CASE WHEN size <= $5::bigint THEN headers END, created_at, number - 1, stops, rows
FROM summed WHERE coalesce(bytes_before, 0) < $4::bigint ORDER BY number, id, xid)"
};
// Behind the columns of Events.
enum LetterColumn { kNumber = 17, kStops, kRows };

// $1 owner, $2 lease, $3 lanes; of each letter $4, $5, $6 its event, $7 attempts, $8 class of the
// error (null: Kafka has it), $9 its text, $10 whether it waits for its topic, $11 whether it may
// go on holding its key, $12 whether it is to be copied.
constexpr pg::Statement kSettle{
    "txs_settle_letters",
    R"(
WITH lease AS MATERIALIZED (SELECT number FROM txstream.leases
  WHERE owner = $1 AND number = $2::bigint FOR SHARE),
ours AS MATERIALIZED (SELECT l.lane FROM lease JOIN txstream.lanes l ON l.lease = lease.number
 WHERE l.lane = ANY ($3::smallint[])),
settled AS (UPDATE txstream.dead_letters d SET decided = false,
  state = CASE WHEN s.error_class IS NULL THEN 'replayed' ELSE 'parked' END,
  attempts = d.attempts + s.attempts, error_class = coalesce(s.error_class, d.error_class),
  error = coalesce(s.error, d.error), waits = s.waits, holds = d.holds AND s.holds,
  to_copy = d.to_copy OR s.to_copy,
  last_attempt_at = clock_timestamp(),
  resolved_by = CASE WHEN s.error_class IS NULL THEN d.resolved_by END,
  resolved_at = CASE WHEN s.error_class IS NULL THEN d.resolved_at END,
  resolved_reason = CASE WHEN s.error_class IS NULL THEN d.resolved_reason END
 FROM ours, unnest($4::bigint[], $5::text[], $6::text[], $7::integer[], $8::text[], $9::text[],
   $10::boolean[], $11::boolean[], $12::boolean[])
   AS s(id, xid, event_id, attempts, error_class, error, waits, holds, to_copy)
 WHERE d.id = s.id AND d.xid = s.xid::xid8 AND d.event_id = s.event_id::uuid AND d.lane = ours.lane
  AND d.state IN ('parked', 'replaying'))
SELECT lane FROM ours)"
};

// A topic that takes nothing may have a million letters, and they are not looked at for one: by the
// index from topic to topic, and of each lane the first ones. $1 owner, $2 lease, $3 lanes, $4
// topics or null, $5 letters of each topic, $6 topics and $7 keys that are paused.
constexpr pg::Statement kRevive{
    "txs_revive",
    R"(
WITH RECURSIVE lease AS MATERIALIZED (SELECT number FROM txstream.leases
  WHERE owner = $1 AND number = $2::bigint FOR SHARE),
ours AS MATERIALIZED (SELECT l.lane FROM lease JOIN txstream.lanes l ON l.lease = lease.number
 WHERE l.lane = ANY ($3::smallint[])),
waiting(topic) AS (
 SELECT min(coalesce(topic, '')) FROM txstream.dead_letters WHERE waits AND state = 'parked'
 UNION ALL
 SELECT (SELECT min(coalesce(d.topic, '')) FROM txstream.dead_letters d
  WHERE d.waits AND d.state = 'parked' AND coalesce(d.topic, '') > w.topic)
 FROM waiting w WHERE w.topic IS NOT NULL),
tried AS (SELECT topic FROM waiting
 WHERE topic IS NOT NULL AND ($4::text[] IS NULL OR topic = ANY ($4::text[]))
  AND topic <> ALL ($6::text[]) LIMIT 1000),
first AS MATERIALIZED (SELECT f.* FROM tried t CROSS JOIN LATERAL (
 SELECT of_lane.* FROM ours CROSS JOIN LATERAL (
  SELECT d.id, d.xid, d.event_id FROM txstream.dead_letters d
  WHERE d.waits AND d.state = 'parked' AND coalesce(d.topic, '') = t.topic AND d.lane = ours.lane
   AND d.key <> ALL ($7::text[])
  ORDER BY d.id, d.xid LIMIT $5::bigint) of_lane
 LIMIT $5::bigint) f)
UPDATE txstream.dead_letters d SET state = 'replaying', decided = true,
 resolved_by = 'txstream', resolved_at = clock_timestamp(),
 resolved_reason = 'its topic is tried again'
FROM first f WHERE d.id = f.id AND d.xid = f.xid AND d.event_id = f.event_id AND d.state = 'parked'
RETURNING coalesce(d.topic, ''))"
};

}  // namespace

Task<Result<Decisions>> LaneStore::decisions(
    pg::Connection& connection, std::vector<LaneId> lanes, std::size_t limit, Deadline deadline
) {
    pg::Params params;
    params.add_integers(lanes, [](LaneId lane) { return lane.value(); });
    params.add(decided_after_.lane.value());
    params.add(decided_after_.id.id());
    params.add(std::to_string(decided_after_.id.xid()));
    params.add(limit);
    TXS_CO_TRY(const auto rows, co_await connection.run(kDecisions, std::move(params), deadline));
    Decisions found;
    std::vector<EventSeq> noticed;
    EventSeq last;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        found.keys.push_back(
            {LaneId(static_cast<std::int16_t>(rows.integer(i, 0))),
             std::string(rows.bytes(i, 1)),
             rows.boolean(i, 5)}
        );
        last = EventSeq(rows.integer(i, 2), rows.integer(i, 3));
        if (!rows.boolean(i, 4)) noticed.push_back(last);
    }
    found.is_cut = rows.size() == limit;
    // Those of keys that cannot be worked off stay: the next look begins behind them.
    decided_after_ = found.is_cut ? Decided{found.keys.back().lane, last} : Decided();
    if (!noticed.empty()) {
        auto which = pg::Params::of(owner_, lease_);
        which.add_integers(noticed, [](EventSeq id) { return id.id(); });
        which.add_texts(noticed, [](EventSeq id) { return std::to_string(id.xid()); });
        TXS_CO_CHECK(co_await connection.run(kNoticed, std::move(which), deadline));
    }
    co_return found;
}

Task<Result<Letters>> LaneStore::letters(
    pg::Connection& connection, std::vector<LaneKey> keys, LetterLimit limit, Deadline deadline
) {
    pg::Params params;
    params.add_integers(keys, [](const LaneKey& key) { return key.lane.value(); });
    params.add_texts(keys, [](const LaneKey& key) { return key.key; });
    params.add(limit.rows);
    params.add(limit.bytes);
    params.add(limit.event_bytes);
    params.add_texts(keys, [](const LaneKey& key) { return std::string(key.holds ? "t" : "f"); });
    TXS_CO_TRY(auto rows, co_await connection.run(kLetters, std::move(params), deadline));
    Letters found;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        found.key.push_back(static_cast<std::size_t>(rows.integer(i, kNumber)));
        found.stops.push_back(rows.boolean(i, kStops));
    }
    if (!rows.empty()) {
        const auto counted = static_cast<std::size_t>(rows.integer(0, kRows));
        found.is_cut = counted == limit.rows || counted > rows.size();
    }
    found.events = Events(std::move(rows));
    co_return found;
}

Task<Result<std::vector<LaneId>>> LaneStore::settle(
    pg::Connection& connection,
    std::vector<LaneId> lanes,
    std::vector<SettledLetter> letters,
    Deadline deadline
) {
    auto params = pg::Params::of(owner_, lease_);
    params.add_integers(lanes, [](LaneId lane) { return lane.value(); });
    params.add_integers(letters, [](const SettledLetter& one) { return one.id.id(); });
    params.add_texts(letters, [](const SettledLetter& one) {
        return std::to_string(one.id.xid());
    });
    params.add_texts(letters, [](const SettledLetter& one) { return one.event_id; });
    params.add_integers(letters, [](const SettledLetter& one) { return one.attempts; });
    const auto text = [](const SettledLetter& one, const std::string& what, std::size_t most) {
        return one.error_class.empty() ? std::optional<std::string>()
                                       : std::optional(storable_text(what, most));
    };
    params.add_texts(letters, [&](const SettledLetter& one) {
        return text(one, one.error_class, kErrorClassBytesMax);
    });
    params.add_texts(letters, [&](const SettledLetter& one) {
        return text(one, one.error, kErrorBytesMax);
    });
    params.add_texts(letters, [](const SettledLetter& one) {
        return std::string(one.waits ? "t" : "f");
    });
    params.add_texts(letters, [](const SettledLetter& one) {
        return std::string(one.holds ? "t" : "f");
    });
    params.add_texts(letters, [](const SettledLetter& one) {
        return std::string(one.is_copied ? "t" : "f");
    });
    std::vector<pg::Connection::Step> steps;
    steps.push_back({kAsynchronousCommit, pg::Params()});
    steps.push_back({kSettle, std::move(params)});
    TXS_CO_TRY(const auto results, co_await connection.transact(std::move(steps), deadline));
    co_return lanes_of(results.at(1));
}

Task<Result<std::vector<std::string>>> LaneStore::revive(
    pg::Connection& connection, std::vector<LaneId> lanes, Revival which, Deadline deadline
) {
    auto params = pg::Params::of(owner_, lease_);
    params.add_integers(lanes, [](LaneId lane) { return lane.value(); });
    if (which.topics.empty()) {
        params.add(std::nullopt);
    } else {
        params.add_texts(which.topics, [](const std::string& topic) { return topic; });
    }
    params.add(which.letters);
    params.add_texts(which.paused_topics);
    params.add_texts(which.paused_keys);
    TXS_CO_TRY(const auto rows, co_await connection.run(kRevive, std::move(params), deadline));
    std::vector<std::string> topics;
    for (std::size_t i = 0; i < rows.size(); ++i) topics.emplace_back(rows.bytes(i, 0));
    co_return topics;
}

Task<Result<std::vector<Pause>>> LaneStore::pauses(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(auto entries, co_await pause_entries(connection, deadline));
    std::vector<Pause> all;
    for (auto& entry : entries) all.push_back(std::move(entry.pause));
    co_return all;
}

}  // namespace txstream::outbox
