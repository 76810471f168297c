#include "outbox/dead_letter_groups.hpp"

#include <algorithm>
#include <functional>

namespace txstream::outbox {

namespace {

#define TXS_LETTER                             \
    TXS_DEAD_LETTER_ROW                        \
    ", d.first_attempt_at, d.last_attempt_at," \
    " coalesce(d.resolved_by, ''), coalesce(d.resolved_reason, ''), d.holds"
constexpr int kFirstAttempt = 16;
constexpr int kLastAttempt = 17;
constexpr int kResolvedBy = 18;
constexpr int kResolvedReason = 19;
constexpr int kHolds = 20;

#define TXS_CAUSE "d.error_class, d.event_type, coalesce(d.topic, ''), d.state"
#define TXS_OF_CAUSE                                                \
    "d.error_class = c.error_class AND d.event_type = c.event_type" \
    " AND coalesce(d.topic, '') = c.topic AND d.state = c.state"

// The index of causes is walked from one cause to the next: one probe for each, however many events
// it has. $1 causes, $2 events of each that are counted, $3 events whose keys are.
const pg::Statement kGroups{
    "txs_dead_letter_groups",
    R"(
WITH RECURSIVE c(error_class, event_type, topic, state, n) AS (
(SELECT )" TXS_CAUSE R"(, 1::bigint FROM txstream.dead_letters d ORDER BY )" TXS_CAUSE R"( LIMIT 1)
UNION ALL
SELECT x.*, c.n + 1 FROM c CROSS JOIN LATERAL (SELECT )" TXS_CAUSE R"(
 FROM txstream.dead_letters d WHERE ()" TXS_CAUSE
    R"() > (c.error_class, c.event_type, c.topic, c.state) ORDER BY )" TXS_CAUSE R"(
 LIMIT 1) x WHERE c.n < $1::bigint)
SELECT newest.*, c.topic, oldest.first_attempt_at,
 (SELECT count(*) FROM (SELECT 1 FROM txstream.dead_letters d WHERE )" TXS_OF_CAUSE R"(
   LIMIT $2::bigint) counted),
 (SELECT count(DISTINCT key) FROM (SELECT d.key FROM txstream.dead_letters d WHERE )" TXS_OF_CAUSE
    R"(
   ORDER BY d.id DESC, d.xid DESC LIMIT $3::bigint) keyed)
FROM c CROSS JOIN LATERAL (SELECT )" TXS_LETTER
    R"( FROM txstream.dead_letters d WHERE )" TXS_OF_CAUSE R"(
  ORDER BY d.id DESC, d.xid DESC LIMIT 1) newest
CROSS JOIN LATERAL (SELECT d.first_attempt_at FROM txstream.dead_letters d WHERE )" TXS_OF_CAUSE R"(
  ORDER BY d.id, d.xid LIMIT 1) oldest)"
};
constexpr int kTopic = 21;
constexpr int kOldest = 22;
constexpr int kCounted = 23;
constexpr int kKeys = 24;

// $1, $2 the place (id, xid) below which it looks, $3 rows, $4 dead letters that are walked over,
// $5 to $9 the filter. Planned for its values: with a whole cause the index of causes is walked.
const pg::Statement kLetters{
    "txs_dead_letters",
    R"(
WITH walked AS MATERIALIZED (SELECT d.id, d.xid, d.event_id, d.key,
  row_number() OVER (ORDER BY d.id DESC, d.xid DESC) AS place,
  d.error_class, d.event_type, d.topic, d.state
 FROM txstream.dead_letters d WHERE (d.id, d.xid) < ($1::bigint, $2::xid8)
  AND (($5::text IS NULL OR $6::text IS NULL OR $7::text IS NULL OR $8::text IS NULL)
   OR (d.error_class = $5 AND d.event_type = $6 AND coalesce(d.topic, '') = $7
    AND d.state = $8))
 ORDER BY d.id DESC, d.xid DESC LIMIT $4::bigint),
hits AS MATERIALIZED (SELECT w.id, w.xid, w.event_id FROM walked w
 WHERE ($5::text IS NULL OR w.error_class = $5) AND ($6::text IS NULL OR w.event_type = $6)
 AND ($7::text IS NULL OR coalesce(w.topic, '') = $7) AND ($8::text IS NULL OR w.state = $8)
 AND ($9::text IS NULL OR w.key = $9) ORDER BY w.id DESC, w.xid DESC LIMIT $3::bigint)
SELECT r.*, c.id, c.xid FROM (SELECT 1) one
LEFT JOIN (SELECT id, xid FROM walked WHERE place = $4::bigint) c ON true
LEFT JOIN LATERAL (SELECT )" TXS_LETTER R"(
 FROM hits h JOIN txstream.dead_letters d ON d.id = h.id AND d.xid = h.xid
  AND d.event_id = h.event_id) r ON true ORDER BY r.id DESC, r.xid DESC)",
    pg::Planning::each_time
};
constexpr int kCutId = 21;
constexpr int kCutXid = 22;

constexpr pg::Statement kContents{
    "txs_dead_letter_contents",
    R"(
SELECT d.id, d.xid, d.payload IS NOT NULL OR d.payload_bytes IS NOT NULL,
d.payload IS NOT NULL, coalesce(convert_to(d.payload::text, 'UTF8'), d.payload_bytes, ''),
d.content_type, coalesce(d.metadata::text, ''), coalesce(d.headers::text, '')
FROM unnest($1::bigint[], $2::xid8[]) AS w(id, xid)
JOIN txstream.dead_letters d ON d.id = w.id AND d.xid = w.xid)"
};

DeadLetter letter_at(const pg::Rows& rows, std::size_t row) {
    return {
        event_row_at(rows, row),
        rows.time(row, kFirstAttempt),
        rows.time(row, kLastAttempt),
        std::string(rows.bytes(row, kResolvedBy)),
        std::string(rows.bytes(row, kResolvedReason)),
        rows.boolean(row, kHolds)
    };
}

CappedCount capped(std::int64_t counted, std::size_t cap) {
    const auto value = static_cast<std::uint64_t>(counted);
    return value > cap ? CappedCount{cap, false} : CappedCount{value, true};
}

}  // namespace

Task<Result<DeadLetterGroups>> dead_letter_groups(
    pg::Connection& connection, GroupLimits limits, Deadline deadline
) {
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(
            kGroups, pg::Params::of(limits.groups + 1, limits.counted + 1, limits.keyed), deadline
        )
    );
    DeadLetterGroups result;
    result.is_complete = rows.size() <= limits.groups;
    for (std::size_t i = 0; i < std::min(rows.size(), limits.groups); ++i) {
        DeadLetterGroup group;
        group.example = letter_at(rows, i);
        group.cause = {
            group.example.event.error_class,
            group.example.event.event_type,
            std::string(rows.bytes(i, kTopic)),
            group.example.event.state
        };
        group.first_at = rows.time(i, kOldest);
        group.last_at = group.example.last_attempt_at;
        group.events = capped(rows.integer(i, kCounted), limits.counted);
        group.keys = {
            static_cast<std::uint64_t>(rows.integer(i, kKeys)), group.events.value <= limits.keyed
        };
        result.groups.push_back(std::move(group));
    }
    std::ranges::sort(result.groups, std::ranges::greater(), [](const auto& group) {
        return group.events.value;
    });
    co_return result;
}

Task<Result<DeadLettersFound>> dead_letters(
    pg::Connection& connection,
    DeadLetterFilter filter,
    std::optional<EventSeq> before,
    LetterLimits limits,
    Deadline deadline
) {
    const auto top = before.value_or(EventSeq(std::numeric_limits<std::int64_t>::max(), 0));
    std::optional<std::string_view> state;
    if (filter.state) state = to_string(*filter.state);
    const auto given = filter.error_class.has_value() + filter.event_type.has_value() +
                       filter.topic.has_value() + filter.state.has_value();
    // Where nothing that is walked over can be left out, a page is all that is read.
    if ((given == 0 || given == 4) && !filter.key) limits.walked_max = limits.rows + 1;
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(
            kLetters,
            pg::Params::of(
                top.id(),
                std::to_string(top.xid()),
                limits.rows + 1,
                limits.walked_max,
                filter.error_class,
                filter.event_type,
                filter.topic,
                state,
                filter.key
            ),
            deadline
        )
    );
    DeadLettersFound found;
    for (std::size_t i = 0; i < rows.size() && !rows.is_null(i, 0); ++i) {
        if (found.letters.size() == limits.rows) {
            found.before = found.letters.back().event.seq;
            co_return found;
        }
        found.letters.push_back(letter_at(rows, i));
    }
    if (!rows.is_null(0, kCutId))
        found.before = EventSeq(rows.integer(0, kCutId), rows.integer(0, kCutXid));
    co_return found;
}

Task<Result<std::vector<DeadLetterContent>>> dead_letter_contents(
    pg::Connection& connection, std::span<const EventSeq> letters, Deadline deadline
) {
    pg::Params params;
    params.add_integers(letters, [](EventSeq seq) { return seq.id(); });
    params.add_integers(letters, [](EventSeq seq) { return seq.xid(); });
    TXS_CO_TRY(const auto rows, co_await connection.run(kContents, std::move(params), deadline));
    std::vector<DeadLetterContent> contents;
    for (std::size_t i = 0; i < rows.size(); ++i)
        contents.push_back(
            {EventSeq(rows.integer(i, 0), rows.integer(i, 1)),
             rows.boolean(i, 2),
             rows.boolean(i, 3),
             std::string(rows.bytes(i, 4)),
             std::string(rows.bytes(i, 5)),
             std::string(rows.bytes(i, 6)),
             std::string(rows.bytes(i, 7))}
        );
    co_return contents;
}

}  // namespace txstream::outbox
