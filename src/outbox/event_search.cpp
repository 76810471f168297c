#include "outbox/event_search.hpp"

#include "outbox/event_times.hpp"
#include "outbox/waiting_sql.hpp"

#include <algorithm>
#include <iterator>

namespace txstream::outbox {

namespace {

using enum EventState;

constexpr EventSeq kNewest(std::numeric_limits<std::int64_t>::max(), 0);

constexpr pg::Statement kLanes{
    "txs_search_lanes",
    R"(
SELECT lane, coalesce(lane = txstream.lane_of($1::text), false) FROM txstream.lanes
ORDER BY lane)"
};

// Of each lane how many events lie behind its position, at most about $2.
// clang-format off
const pg::Statement kMaybePending{
    "txs_search_maybe_pending",
    R"(
WITH)" TXS_POSITIONS("lane = ANY ($1::smallint[])") R"(
SELECT unnest(p.lanes), n.events FROM p CROSS JOIN LATERAL (SELECT count(*) AS events FROM
(SELECT 1 FROM )" TXS_BEHIND("o.id", "$2::bigint") R"( s UNION ALL SELECT 1 FROM )" TXS_LATE("o.id", "$2::bigint") R"(
s) e) n)"
};
// clang-format on

// The statements of a step. Their parameters: $1, $2 the place (id, xid) below which it looks; $3
// how many rows it returns; $4 how many it may walk over; $5 to $15 the filter; then their own.
//
// Planned for its values: what the filter says nothing about is a constant NULL then, and costs
// nothing.
#define TXS_WANTED                                                        \
    "($5::text[] IS NULL OR o.event_type = ANY ($5))"                     \
    " AND ($6::text[] IS NULL OR o.aggregate_type = ANY ($6))"            \
    " AND ($7::text[] IS NULL OR coalesce(o.topic, $8::text) = ANY ($7))" \
    " AND ($9::text IS NULL OR o.aggregate_id = $9)"                      \
    " AND ($10::text IS NULL OR coalesce(o.key, o.aggregate_id) = $10)"   \
    " AND ($11::uuid IS NULL OR o.event_id = $11)"                        \
    " AND ($12::text IS NULL OR o.traceparent LIKE '__-' || $12 || '-%')" \
    " AND ($13::timestamptz IS NULL OR o.created_at >= $13)"              \
    " AND ($14::timestamptz IS NULL OR o.created_at <= $14)"
#define TXS_TRACEPARENT \
    "CASE WHEN $12::text IS NOT NULL THEN headers ->> 'traceparent' END AS traceparent"
#define TXS_WALKED                                                                          \
    "lane, id, xid, created_at, event_id, aggregate_type, aggregate_id, event_type, topic," \
    " key, size, " TXS_TRACEPARENT
#define TXS_HITS(source)                                                                   \
    " hits AS MATERIALIZED (SELECT o.* FROM " source                                       \
    " o JOIN txstream.lane_positions l ON l.lane = o.lane"                                 \
    "  WHERE ($16::smallint[] IS NULL OR o.lane = ANY ($16)) AND " TXS_WANTED              \
    " AND ($15::text[] IS NULL OR " TXS_EVENT_STATE(                                       \
        "(SELECT d.state FROM txstream.dead_letters d WHERE d.id = o.id AND d.xid = o.xid" \
        " AND d.event_id = o.event_id)"                                                    \
    ) " = ANY ($15)) ORDER BY o.id DESC, o.xid DESC LIMIT $3::bigint)"
// Rows, and in each: how much was walked over, and down to the last row; the oldest time of it; the
// cut, where a limit ended the walk. Without rows one of nulls that says the latter.
#define TXS_FOUND(row, joins, back_to)                                             \
    " SELECT r.*, s.walked, s.to_last, s.back_to, c.id, c.xid FROM"                \
    " (SELECT count(*) AS walked, " back_to                                        \
    " AS back_to,"                                                                 \
    "  count(*) FILTER (WHERE id >= (SELECT min(h.id) FROM hits h)) AS to_last"    \
    "  FROM walked) s"                                                             \
    " LEFT JOIN cut c ON true LEFT JOIN LATERAL (SELECT " row " FROM hits o" joins \
    ") r ON true ORDER BY r.id DESC, r.xid DESC"
constexpr int kWalked = 16;
constexpr int kWalkedToLast = 17;
constexpr int kBackTo = 18;
constexpr int kCutId = 19;
constexpr int kCutXid = 20;

// $16 lanes or NULL, $17 the id below which nothing is wanted. The primary key alone says where the
// walk ends, so that of the events on the way only those are formed that are found.
// clang-format off
const pg::Statement kWalk{
    "txs_search_walk",
    R"(
WITH walked AS MATERIALIZED (SELECT id, xid FROM txstream.outbox
 WHERE (id, xid) < ($1::bigint, $2::xid8) AND id >= $17::bigint
 ORDER BY id DESC, xid DESC LIMIT $4::bigint),
cut AS MATERIALIZED (SELECT id, xid FROM walked OFFSET $4::bigint - 1 LIMIT 1),)" TXS_HITS(
        "(SELECT " TXS_WALKED " FROM txstream.outbox WHERE (id, xid) < ($1::bigint, $2::xid8)"
        "  AND (id, xid) >= (coalesce((SELECT id FROM cut), $17::bigint),"
        "   coalesce((SELECT xid FROM cut), '0'::xid8)))"
    ) TXS_FOUND(
            TXS_EVENT_ROW,
            TXS_EVENT_JOINS,
            "(SELECT created_at FROM txstream.outbox WHERE id >= (SELECT min(id) FROM walked)"
            " ORDER BY id, xid LIMIT 1)"
        ),
    pg::Planning::each_time
};
// clang-format on

// $16 lanes; of each position $4 events hold all that is behind it.
// clang-format off
const pg::Statement kPending{
    "txs_search_pending",
    R"(
WITH)" TXS_POSITIONS("lane = ANY ($16::smallint[])") R"(, walked AS MATERIALIZED (SELECT w.* FROM p CROSS JOIN LATERAL )" TXS_WAITING(TXS_WALKED, "$4::bigint") R"(
w WHERE (w.id, w.xid) < ($1::bigint, $2::xid8)),
cut AS (SELECT NULL::bigint AS id, NULL::xid8 AS xid),)" TXS_HITS("walked") TXS_FOUND(TXS_EVENT_ROW, TXS_EVENT_JOINS, "min(created_at)"),
    pg::Planning::each_time
};
// clang-format on

// $16 lanes or NULL, $17 classes of errors or NULL.
// clang-format off
const pg::Statement kDead{
    "txs_search_dead",
    R"(
WITH walked AS MATERIALIZED (SELECT lane, id, xid, created_at, event_id, aggregate_type,
  aggregate_id, event_type, topic, key, state, error_class, )" TXS_TRACEPARENT R"(, row_number() OVER (ORDER BY id DESC, xid DESC) AS place
  FROM txstream.dead_letters WHERE (id, xid) < ($1::bigint, $2::xid8)
  ORDER BY id DESC, xid DESC LIMIT $4::bigint),
cut AS (SELECT id, xid FROM walked WHERE place = $4::bigint),
hits AS MATERIALIZED (SELECT o.* FROM walked o WHERE )" TXS_WANTED R"(
 AND ($15::text[] IS NULL OR o.state = ANY ($15))
 AND ($16::smallint[] IS NULL OR o.lane = ANY ($16))
 AND ($17::text[] IS NULL OR o.error_class = ANY ($17))
 ORDER BY o.id DESC, o.xid DESC LIMIT $3::bigint))" TXS_FOUND(
        TXS_DEAD_LETTER_ROW,
        " JOIN txstream.dead_letters d ON d.id = o.id AND d.xid = o.xid AND d.event_id = "
        "o.event_id",
        "min(created_at)"
    ),
    pg::Planning::each_time
};
// clang-format on

bool is_dead(EventState state) {
    return state != pending && state != published;
}

/// What one source of events knows: rows, newest first, that are all above `edge`.
struct Slice {
    std::vector<EventRow> rows;
    std::optional<EventSeq> edge;  ///< the next look begins below; nothing: there is no more
    std::size_t walked = 0;
    std::size_t walked_to_last = 0;  ///< of these, down to the last row
    std::optional<Time> back_to;
};

class Search {
public:
    Search(pg::Connection& connection, EventSearch search, Deadline deadline)
        : connection_(connection), search_(std::move(search)), deadline_(deadline) {}

    Task<Result<EventsFound>> run();

private:
    const EventFilter& filter() const { return search_.filter; }
    const SearchLimits& limits() const { return search_.limits; }
    bool wants(bool (*which)(EventState)) const {
        return std::ranges::any_of(filter().states, which);
    }
    /// Parked and the like, by the error that only they have or by their state.
    bool wants_only_dead() const {
        if (!filter().error_classes.empty()) return true;
        return !filter().states.empty() && std::ranges::all_of(filter().states, is_dead);
    }
    bool wants_published() const {
        return filter().states.empty() ||
               wants([](EventState state) { return state == published; });
    }
    /// A walk leaves nothing out then.
    bool wants_all() const {
        const auto& f = filter();
        return f.types.empty() && f.aggregate_types.empty() && f.topics.empty() &&
               f.states.empty() && f.error_classes.empty() && f.lanes.empty() && !f.aggregate &&
               !f.key && !f.event_id && !f.trace && !f.created_from && !f.created_to;
    }
    bool wants_one_id() const { return filter().id || filter().ref; }

    Task<Result<>> choose_lanes();
    Task<Result<>> bound_by_time();
    Task<Result<>> sort_pending_lanes();
    Task<Result<>> step(std::vector<Slice>& slices);
    Task<Result<Slice>> walk(const std::vector<std::int16_t>& lanes, bool only_pending);
    Task<Result<Slice>> pending_of(const std::vector<std::int16_t>& lanes);
    Task<Result<Slice>> dead();
    void bound_by_id();
    void take(std::vector<Slice> slices);

    /// NULL: all.
    void add_lanes(pg::Params& params, const std::vector<std::int16_t>& lanes) const {
        lanes.size() == all_lanes_ ? params.add(std::nullopt)
                                   : params.add_integers(lanes, std::identity());
    }
    pg::Params params(std::size_t walked_max, const std::vector<EventState>& states) const;
    Slice slice_of(const pg::Rows& rows) const;

    pg::Connection& connection_;
    EventSearch search_;
    Deadline deadline_;
    std::size_t all_lanes_ = 0;
    std::vector<std::int16_t> lanes_;         ///< to be searched
    std::vector<std::int16_t> short_, long_;  ///< of these: with few that are pending, with many
    EventSeq before_ = kNewest;
    std::int64_t lowest_ = std::numeric_limits<std::int64_t>::min() + 1;
    bool is_done_ = false;
    EventsFound found_;
};

void add_texts_or_null(pg::Params& params, const std::vector<std::string>& texts) {
    texts.empty() ? params.add(std::nullopt) : params.add_texts(texts);
}

std::optional<std::string> text_of(const std::optional<Time>& time) {
    if (!time) return std::nullopt;
    return timestamptz_text(*time);
}

pg::Params Search::params(std::size_t walked_max, const std::vector<EventState>& states) const {
    const auto left = limits().rows - std::min(limits().rows, found_.events.size());
    auto params = pg::Params::of(before_.id(), std::to_string(before_.xid()), left + 1, walked_max);
    add_texts_or_null(params, filter().types);
    add_texts_or_null(params, filter().aggregate_types);
    add_texts_or_null(params, filter().topics);
    params.add(search_.default_topic).add(filter().aggregate).add(filter().key);
    params.add(filter().event_id).add(filter().trace);
    params.add(text_of(filter().created_from)).add(text_of(filter().created_to));
    states.empty() ? params.add(std::nullopt)
                   : params.add_texts(states, [](EventState state) { return to_string(state); });
    return params;
}

Slice Search::slice_of(const pg::Rows& rows) const {
    Slice slice;
    slice.walked = static_cast<std::size_t>(rows.integer(0, kWalked));
    if (!rows.is_null(0, kBackTo)) slice.back_to = rows.time(0, kBackTo);
    slice.walked_to_last = static_cast<std::size_t>(rows.integer(0, kWalkedToLast));
    for (std::size_t i = 0; i < rows.size() && !rows.is_null(i, 0); ++i)
        slice.rows.push_back(event_row_at(rows, i));
    if (!rows.is_null(0, kCutId))
        slice.edge = EventSeq(rows.integer(0, kCutId), rows.integer(0, kCutXid));
    return slice;
}

Task<Result<Slice>> Search::walk(const std::vector<std::int16_t>& lanes, bool only_pending) {
    auto values = params(limits().step_rows, only_pending ? std::vector{pending} : filter().states);
    add_lanes(values, lanes);
    values.add(lowest_);
    TXS_CO_TRY(const auto rows, co_await connection_.run(kWalk, std::move(values), deadline_));
    co_return slice_of(rows);
}

Task<Result<Slice>> Search::pending_of(const std::vector<std::int16_t>& lanes) {
    auto values = params(limits().pending_rows, {pending});
    values.add_integers(lanes, std::identity());
    TXS_CO_TRY(const auto rows, co_await connection_.run(kPending, std::move(values), deadline_));
    co_return slice_of(rows);
}

Task<Result<Slice>> Search::dead() {
    std::vector<EventState> states;
    std::ranges::copy_if(filter().states, std::back_inserter(states), is_dead);
    auto values = params(limits().step_rows, states);
    add_lanes(values, lanes_);
    add_texts_or_null(values, filter().error_classes);
    TXS_CO_TRY(const auto rows, co_await connection_.run(kDead, std::move(values), deadline_));
    co_return slice_of(rows);
}

Task<Result<>> Search::choose_lanes() {
    // The lane of an aggregate is that of its events without a key of their own. Whoever looks for
    // the others names their key, or lanes, or wants every lane.
    const bool is_by_aggregate = filter().aggregate && !filter().key && filter().lanes.empty() &&
                                 !search_.in_every_lane;
    const auto& key = is_by_aggregate ? filter().aggregate : filter().key;
    TXS_CO_TRY(const auto rows, co_await connection_.run(kLanes, pg::Params::of(key), deadline_));
    all_lanes_ = rows.size();
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto lane = static_cast<std::int16_t>(rows.integer(i, 0));
        const bool is_named = filter().lanes.empty() ||
                              std::ranges::find(filter().lanes, lane) != filter().lanes.end();
        if (is_named && (!key || rows.boolean(i, 1))) lanes_.push_back(lane);
    }
    if (lanes_.size() < all_lanes_) found_.lanes = lanes_;
    co_return Result<>();
}

void Search::bound_by_id() {
    const auto top = filter().ref
                         ? EventSeq(filter().ref->id(), filter().ref->xid() + 1)
                         : EventSeq(*filter().id, std::numeric_limits<std::int64_t>::max());
    before_ = std::min(before_, top);
    lowest_ = top.id();
}

Task<Result<>> Search::bound_by_time() {
    if (filter().created_from) {
        TXS_CO_TRY(
            const auto from,
            co_await ids_at(connection_, *filter().created_from - limits().clock_slack, deadline_)
        );
        if (from) lowest_ = from->first;
    }
    if (filter().created_to) {
        TXS_CO_TRY(
            const auto to,
            co_await ids_at(connection_, *filter().created_to + limits().clock_slack, deadline_)
        );
        if (to) before_ = std::min(before_, EventSeq(to->behind, 0));
    }
    co_return Result<>();
}

Task<Result<>> Search::sort_pending_lanes() {
    pg::Params values;
    values.add_integers(lanes_, std::identity()).add(limits().pending_rows + 1);
    TXS_CO_TRY(
        const auto rows, co_await connection_.run(kMaybePending, std::move(values), deadline_)
    );
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const bool is_short = std::cmp_less_equal(rows.integer(i, 1), limits().pending_rows);
        (is_short ? short_ : long_).push_back(static_cast<std::int16_t>(rows.integer(i, 0)));
    }
    co_return Result<>();
}

Task<Result<>> Search::step(std::vector<Slice>& slices) {
    const auto add = [&](Result<Slice> slice) -> Result<> {
        TXS_TRY(auto good, std::move(slice));
        slices.push_back(std::move(good));
        return {};
    };
    if (wants_only_dead()) co_return add(co_await dead());
    if (wants_published()) co_return add(co_await walk(lanes_, false));
    if (wants(is_dead)) TXS_CO_CHECK(add(co_await dead()));
    if (!short_.empty()) TXS_CO_CHECK(add(co_await pending_of(short_)));
    if (!long_.empty()) TXS_CO_CHECK(add(co_await walk(long_, true)));
    co_return Result<>();
}

// All sources are known down to the highest of their edges.
void Search::take(std::vector<Slice> slices) {
    std::optional<EventSeq> edge;
    for (const auto& slice : slices) edge = std::max(edge, slice.edge);
    std::vector<EventRow> rows;
    for (auto& slice : slices)
        for (auto& row : slice.rows)
            if (!edge || row.seq >= *edge) rows.push_back(std::move(row));
    // One that was parked between two statements is in both.
    std::ranges::sort(rows, std::ranges::greater(), &EventRow::seq);
    const auto repeated = std::ranges::unique(rows, {}, &EventRow::event_id);
    rows.erase(repeated.begin(), repeated.end());
    // Dead letters are read by their place, from there on downwards.
    if (filter().ref)
        std::erase_if(rows, [&](const auto& row) { return row.seq != *filter().ref; });
    if (filter().id)
        std::erase_if(rows, [&](const auto& row) { return row.seq.id() != *filter().id; });
    const auto left = limits().rows - found_.events.size();
    const bool is_full = rows.size() > left;
    if (is_full) rows.resize(left);
    std::ranges::move(rows, std::back_inserter(found_.events));
    if (is_full) edge = found_.events.back().seq;

    for (const auto& slice : slices) {
        found_.searched += is_full ? slice.walked_to_last : slice.walked;
        const auto back_to =
            is_full ? std::optional(found_.events.back().created_at) : slice.back_to;
        if (back_to && (!found_.back_to || *back_to < *found_.back_to)) found_.back_to = back_to;
    }
    is_done_ = !edge || *edge <= EventSeq(lowest_, 0);
    found_.before = is_done_ ? std::nullopt : edge;
    if (edge) before_ = *edge;
}

Task<Result<EventsFound>> Search::run() {
    const auto stop = Deadline::in(limits().time);
    if (search_.before) before_ = *search_.before;
    TXS_CO_CHECK(co_await choose_lanes());
    if (lanes_.empty() || limits().rows == 0) {
        found_.is_exact = true;
        co_return std::move(found_);
    }
    if (wants_one_id()) bound_by_id();
    TXS_CO_CHECK(co_await bound_by_time());
    if (!wants_only_dead() && !wants_published()) TXS_CO_CHECK(co_await sort_pending_lanes());
    do {
        std::vector<Slice> slices;
        TXS_CO_CHECK(co_await step(slices));
        take(std::move(slices));
    } while (!is_done_ && found_.events.size() < limits().rows &&
             found_.searched < limits().walked_max && !stop.passed());
    const bool is_served =
        wants_all() || wants_one_id() || wants_only_dead() || (!wants_published() && long_.empty());
    found_.is_exact = is_served && (is_done_ || found_.events.size() == limits().rows);
    co_return std::move(found_);
}

}  // namespace

Task<Result<EventsFound>> search_events(
    pg::Connection& connection, EventSearch search, Deadline deadline
) {
    co_return co_await Search(connection, std::move(search), deadline).run();
}

}  // namespace txstream::outbox
