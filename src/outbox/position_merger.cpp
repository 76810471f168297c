#include "outbox/position_merger.hpp"

#include <utility>

namespace txstream::outbox {

namespace {

// $1 the id behind which it looks, $2 how many rows, $3 their least age in ms.
//
// `ready`: whole minutes of rows that are not merged; where the limit cut through the last minute,
// and there are others, it waits for the next step. Of each lane the first and the last row of a
// minute say from where to where it came; lanes that came from and to the same are one part.
constexpr pg::Statement kMerge{
    "txs_merge_positions",
    R"(
WITH turn AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(hashtext('txstream.positions'), 'txstream.positions'::regclass::oid::integer) AS is_ours
), chunk AS MATERIALIZED (
    SELECT p.*, date_trunc('minute', p.written_at) AS minute FROM turn CROSS JOIN LATERAL (
        SELECT * FROM txstream.positions WHERE id > $1::bigint ORDER BY id LIMIT $2::bigint) p
    WHERE turn.is_ours
), old AS MATERIALIZED (
    SELECT * FROM chunk
    WHERE minute + interval '1 minute' < clock_timestamp() - $3::bigint * interval '1 millisecond' AND lease IS NOT NULL
        AND id NOT IN (SELECT position FROM txstream.lane_positions)
), cut AS (
    SELECT CASE WHEN (SELECT count(*) FROM chunk) = $2::bigint AND min(minute) < max(minute) THEN max(minute)
        ELSE 'infinity' END AS minute FROM old
), ready AS MATERIALIZED (
    SELECT old.* FROM old JOIN cut ON old.minute < cut.minute
), minutes AS MATERIALIZED (
    SELECT minute, max(id) FILTER (WHERE active > 0) AS id, max(written_at) AS written_at, sum(events)::integer AS events,
        min(first_event) FILTER (WHERE events > 0) AS first_event,
        max(last_event) FILTER (WHERE events > 0) AS last_event
    FROM ready GROUP BY minute HAVING count(*) > 1 OR sum(active) = 0
), lane_steps AS (
    SELECT r.minute, x.lane,
        (array_agg(x.since ORDER BY r.id))[1] AS since, (array_agg(r.cursor ORDER BY r.id DESC))[1] AS cursor,
        (array_agg(r.target ORDER BY r.id DESC))[1] AS target, (array_agg(r.last_id ORDER BY r.id DESC))[1] AS last_id,
        (array_agg(r.last_xid ORDER BY r.id DESC))[1] AS last_xid,
        min(x.first_event) FILTER (WHERE r.events > 0) AS first_event,
        max(x.last_event) FILTER (WHERE r.events > 0) AS last_event
    FROM ready r CROSS JOIN LATERAL (
        SELECT l.lane, r.since, r.first_event, r.last_event FROM unnest(r.lanes[:r.active]) AS l(lane) WHERE r.parts IS NULL
        UNION ALL
        SELECT l.lane, p.since, p.first_event, p.last_event
        FROM json_to_recordset(r.parts) AS p(lanes smallint[], since pg_snapshot, first_event bigint, last_event bigint)
            CROSS JOIN LATERAL unnest(p.lanes) AS l(lane)) x
    GROUP BY r.minute, x.lane
), parts AS (
    SELECT minute, array_agg(lane ORDER BY lane) AS lanes, since::text AS since, cursor::text AS cursor,
        target::text AS target, last_id, last_xid::text AS last_xid, min(first_event) AS first_event,
        max(last_event) AS last_event
    FROM lane_steps GROUP BY minute, since::text, cursor::text, target::text, last_id, last_xid::text
), minute_parts AS (
    SELECT minute, json_agg(json_build_object('lanes', lanes, 'since', since, 'cursor', cursor, 'target', target,
        'last_id', last_id, 'last_xid', last_xid, 'first_event', first_event, 'last_event', last_event)) AS parts
    FROM parts GROUP BY minute
), minute_lanes AS (
    SELECT minute, array_agg(DISTINCT lane ORDER BY lane) AS lanes FROM lane_steps GROUP BY minute
), ranges AS (
    SELECT r.minute, x.topic, x.partition, min(x.first) AS first, max(x.last) AS last
    FROM ready r CROSS JOIN LATERAL json_to_recordset(r.records) AS x(topic text, partition integer, first bigint, last bigint)
    GROUP BY r.minute, x.topic, x.partition
), minute_records AS (
    SELECT minute, json_agg(json_build_object('topic', topic, 'partition', partition, 'first', first, 'last', last)
        ORDER BY topic, partition) AS records
    FROM ranges GROUP BY minute
), merged AS (
    UPDATE txstream.positions p SET lease = NULL, written_at = m.written_at, lanes = l.lanes,
        active = cardinality(l.lanes), published = NULL, parked = NULL, events = m.events, first_event = coalesce(m.first_event, 0),
        last_event = coalesce(m.last_event, 0), records = coalesce(r.records, '[]'), parts = s.parts
    FROM minutes m JOIN minute_parts s USING (minute) JOIN minute_lanes l USING (minute)
        LEFT JOIN minute_records r USING (minute)
    WHERE p.id = m.id
), gone AS (
    DELETE FROM txstream.positions p USING ready r JOIN minutes m USING (minute)
    WHERE p.id = r.id AND p.id IS DISTINCT FROM m.id RETURNING 1
)
SELECT (SELECT count(*) FROM gone), (SELECT count(*) = $2::bigint FROM chunk),
    coalesce((SELECT min(c.id) - 1 FROM chunk c CROSS JOIN cut WHERE c.minute >= cut.minute
        OR c.minute + interval '1 minute' >= clock_timestamp() - $3::bigint * interval '1 millisecond'),
        (SELECT max(id) FROM chunk), $1::bigint),
    coalesce((SELECT min(id) - 1 FROM chunk
        WHERE minute + interval '1 minute' >= clock_timestamp() - $3::bigint * interval '1 millisecond'),
        (SELECT max(id) FROM chunk), $1::bigint)
)",
    pg::Planning::each_time
};

}  // namespace

Task<Result<bool>> PositionMerger::step(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(
            kMerge, pg::Params::of(done_, limits_.rows, std::int64_t{limits_.age.count()}), deadline
        )
    );
    const bool is_full = rows.boolean(0, 1);
    const bool has_merged = rows.integer(0, 0) > 0;
    merged_ += static_cast<std::uint64_t>(rows.integer(0, 0));
    const auto before = std::exchange(done_, rows.integer(0, 2));
    // A minute that waits for the next step may lie before one in which nothing is to be done. What
    // is too young stays to be done.
    if (is_full && !has_merged && done_ == before) done_ = rows.integer(0, 3);
    co_return is_full && (has_merged || done_ > before);
}

}  // namespace txstream::outbox
