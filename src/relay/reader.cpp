#include "relay/reader.hpp"

#include "base/assert.hpp"
#include "telemetry/log.hpp"

#include <algorithm>
#include <utility>

namespace txstream::relay {

namespace {

constexpr std::string_view kComponent = "relay";
constexpr auto kForever = Deadline::Clock::time_point::max();
// A worker spends at most a quarter of its time in polls: on a busy server, where they take longer,
// they become rarer and find more.
constexpr int kPauseOfPoll = 3;
constexpr std::chrono::milliseconds kReconnectMin{100};
constexpr std::chrono::milliseconds kReconnectMax{5000};
// The lanes asked for may have no event for a long way: a page ends after so many ids, and after
// more where the last one was empty. Skipping a row of another lane costs the server half a
// microsecond.
constexpr std::int64_t kSpan = 1'000'000;
constexpr std::int64_t kSpanMax = 16 * kSpan;

}  // namespace

Reader::Reader(
    Delivery& delivery,
    DeliveryGate& gate,
    EventSource& source,
    const Metrics& metrics,
    runtime::Wakeup& wakeup,
    WorkerLimits limits,
    std::uint64_t seed,
    Pulse* pulse
)
    : delivery_(delivery),
      gate_(gate),
      source_(source),
      metrics_(metrics),
      wakeup_(wakeup),
      limits_(limits),
      pulse_(pulse != nullptr ? *pulse : own_pulse_),
      random_(seed),
      pause_(limits.poll_min),
      blockages_(delivery.blockages(1)),
      span_(kSpan),
      by_lane_(outbox::kLanesMax) {
}

void Reader::stop() {
    stopping_ = true;
    wakeup_.notify();
}

void Reader::nudge() {
    is_nudged_ = true;
    if (poll_at_ <= earliest_poll_) return;
    poll_at_ = std::min(poll_at_, earliest_poll_);
    wakeup_.notify();
}

Task<> Reader::run() {
    while (!stopping_) {
        pulse_.beat();
        // What a dead producer has in flight is never reported: nothing else would end the wait.
        delivery_.replace_careful();
        if (delivery_.needs_restart()) {
            co_await restart_delivery();
            continue;
        }
        if (!source_.is_open()) {
            request_.reset();
            if (auto opened = co_await source_.open(deadline()); !opened) {
                co_await recover(opened.error());
                continue;
            }
            delivery_.doubt();
        }
        auto stepped = co_await step();
        if (!stepped) {
            co_await recover(stepped.error());
            continue;
        }
        database_failures_ = 0;
        for (const auto blockage : kOfDatabase) blockages_.clear(blockage);
    }
    // The answer of a page that nobody wants any more ends with the session.
    pulse_.end();
}

Task<> Reader::wait(Clock::time_point until) {
    pulse_.expect(until);
    co_await wakeup_.wait(until);
    pulse_.beat();
}

// One reading, or one wait. True: something was read.
Task<Result<bool>> Reader::step() {
    const auto now = Clock::now();
    if (const auto timeout = gate_.times_out_at(); timeout && now >= *timeout) {
        delivery_.fail(
            "publish_timeout",
            Error(Code::timed_out, "Kafka acknowledges nothing; the records stay queued")
        );
    }
    if (const auto stale = delivery_.stale_at(); stale && now >= *stale) {
        delivery_.take_back_stale();
        co_return true;
    }
    if (delivery_.lane_count() == 0) {
        gate_.nothing_sent();
        TXS_CO_CHECK(co_await drop_request());
        co_await wait(gate_.times_out_at().value_or(kForever));
        co_return false;
    }
    const bool poll_is_due = now >= poll_at_;
    const bool may_send = gate_.may_send(now);
    const bool may_read = may_send && delivery_.has_room();
    bool has_read = false;
    // Also when nothing may be sent: an answer that nobody takes keeps the server's snapshot, and
    // with it the rows that vacuum would remove.
    if (request_) {
        TXS_CO_CHECK(co_await receive_page());
        has_read = true;
    }
    if (may_read) {
        if (poll_is_due) {
            TXS_CO_TRY(const bool found, co_await poll());
            has_read = has_read || found;
        }
        // Before the pages just read are handed over: the server works while we do.
        if (delivery_.has_room() && !delivery_.needs_restart()) {
            TXS_CO_TRY(const bool requested, co_await request_page());
            has_read = has_read || requested;
        }
    }
    // Also without room: what is to be sent again makes some.
    if (may_send) {
        delivery_.pump();
        if (!has_read) gate_.nothing_sent();
    }
    if (has_read || stopping_ || delivery_.needs_restart()) co_return has_read;
    auto until = gate_.times_out_at().value_or(kForever);
    if (const auto again = gate_.ask_again_at()) until = std::min(until, *again);
    if (const auto stale = delivery_.stale_at()) until = std::min(until, *stale);
    if (may_read || gate_.state() == DeliveryGate::State::flowing)
        until = std::min(until, poll_at_);
    // Without room only a report or an acknowledgement changes anything, and both wake us.
    if (!delivery_.has_room()) until = std::max(until, now + limits_.poll_min);
    co_await wait(until);
    co_return false;
}

// --- windows

Task<Result<bool>> Reader::poll() {
    const auto begun = Clock::now();
    metrics_.reader_polls.add();
    is_nudged_ = false;
    life_ = delivery_.lives();
    const auto groups = delivery_.lanes_to_poll();
    bool any = false;
    if (!groups.empty()) {
        TXS_CO_TRY(const auto target, co_await source_.current_snapshot(deadline()));
        for (const auto& [text, group] : groups) {
            if (delivery_.lives() != life_) continue;
            if (text == target.text()) {
                nothing_since(group.lanes, target);
                continue;
            }
            TXS_CO_TRY(const bool found, co_await poll_group(group.lanes, group.cursor, target));
            any = any || found;
        }
    }
    plan_next_poll(begun, any);
    co_return any;
}

void Reader::plan_next_poll(Clock::time_point begun, bool found) {
    const auto now = Clock::now();
    const auto shortest = std::clamp<Clock::duration>(
        kPauseOfPoll * (now - begun), limits_.poll_min, limits_.poll_max
    );
    pause_ = found ? shortest : std::clamp<Clock::duration>(2 * pause_, shortest, limits_.poll_max);
    earliest_poll_ = now + shortest;
    // Jitter, so that workers do not poll in step.
    const double factor = std::uniform_real_distribution<double>(0.75, 1.25)(random_);
    poll_at_ = now + std::chrono::duration_cast<Clock::duration>(factor * pause_);
    // An event that came too late for this poll's target.
    if (is_nudged_) poll_at_ = earliest_poll_;
}

Task<Result<bool>> Reader::poll_group(
    std::vector<LaneId> lanes, outbox::Snapshot cursor, outbox::Snapshot target
) {
    keep_those_at(lanes, cursor);
    if (lanes.empty()) co_return false;
    if (auto begun = delivery_.target_from(cursor))
        co_return co_await begin_paging(std::move(lanes), cursor, *std::move(begun));
    auto limit = page_limit();
    ++limit.rows;  // a full page that is the whole window is not cut
    TXS_CO_TRY(auto events, co_await source_.read_window(lanes, cursor, target, limit, deadline()));
    if (sizes_left_out(events, limit)) {
        limit.count = outbox::PageLimit::Count::sum;
        TXS_CO_TRY(events, co_await source_.read_window(lanes, cursor, target, limit, deadline()));
    }
    if (delivery_.lives() != life_) co_return false;
    keep_those_at(lanes, cursor);
    if (outbox::is_cut(events, limit))
        co_return co_await begin_paging(std::move(lanes), cursor, target);
    give_window(events, std::move(lanes), target);
    co_return !events.empty();
}

void Reader::nothing_since(std::vector<LaneId> lanes, const outbox::Snapshot& target) {
    keep_those_at(lanes, target);
    for (const auto lane : lanes) delivery_.machine(lane).skip_to(target);
}

void Reader::give_window(
    const outbox::Events& events, std::vector<LaneId> lanes, const outbox::Snapshot& target
) {
    if (!events.empty()) metrics_.reader_pages.add();
    sort_by_lane(events, events.size());
    for (const auto lane : lanes) {
        const auto& own = of_lane(lane);
        if (own.empty()) {
            delivery_.machine(lane).skip_to(target);
        } else {
            delivery_.add_page(lane, events, own, target, events.id(own.back()), true);
        }
    }
}

void Reader::sort_by_lane(const outbox::Events& events, std::size_t count) {
    for (auto& lane : by_lane_) lane.clear();
    for (std::size_t i = 0; i < count; ++i)
        by_lane_.at(static_cast<std::size_t>(events.lane(i).value()))
            .push_back(static_cast<std::uint32_t>(i));
}

const std::vector<std::uint32_t>& Reader::of_lane(LaneId lane) const {
    return by_lane_.at(static_cast<std::size_t>(lane.value()));
}

// While a statement runs, lanes may be lost, and come back elsewhere.
void Reader::keep_those_at(std::vector<LaneId>& lanes, const outbox::Snapshot& cursor) {
    std::erase_if(lanes, [&](LaneId lane) {
        if (!delivery_.owns(lane)) return true;
        const auto& machine = delivery_.machine(lane);
        return machine.is_paging() || !(machine.cursor() == cursor);
    });
}

Task<Result<bool>> Reader::begin_paging(
    std::vector<LaneId> lanes, outbox::Snapshot cursor, outbox::Snapshot target
) {
    if (lanes.empty()) co_return false;
    // So many statements as the backlog needs, each with a deadline.
    pulse_.expect(kForever);
    TXS_CO_TRY(const auto first, co_await first_of(cursor, target));
    if (delivery_.lives() != life_) co_return false;
    // Also those that were claimed while it was looked for.
    lanes = delivery_.lanes();
    keep_those_at(lanes, cursor);
    for (const auto lane : lanes) {
        if (first) {
            delivery_.machine(lane).begin_paging(target, *first);
        } else {
            delivery_.machine(lane).skip_to(target);
        }
    }
    co_return true;
}

// A look at the whole window: those that begin it later need not wait for another one.
Task<Result<std::optional<EventSeq>>> Reader::first_of(
    outbox::Snapshot cursor, outbox::Snapshot target
) {
    if (begin_ && begin_->life == life_ && begin_->cursor == cursor && begin_->target == target)
        co_return begin_->id;
    TXS_CO_TRY(
        const auto first, co_await source_.first_id(cursor, target, limits_.statement_timeout)
    );
    if (first) begin_ = WindowBegin{life_, std::move(cursor), std::move(target), *first};
    co_return first;
}

// --- pages

Task<Result<bool>> Reader::request_page() {
    auto group = delivery_.group_to_page();
    if (!group) co_return false;
    TXS_CO_TRY(const auto end, co_await end_of(group->target));
    PageRequest request;
    for (const auto lane : group->lanes) {
        if (!delivery_.owns(lane)) continue;
        const auto& machine = delivery_.machine(lane);
        // It may have been lost while the end was asked for, and have come back elsewhere.
        if (!group->is_place_of(machine)) continue;
        request.lanes.push_back({lane, machine.epoch()});
    }
    if (request.lanes.empty() || delivery_.needs_restart()) co_return false;
    request.is_short = group->is_ahead;
    const auto span = group->is_ahead ? static_cast<std::int64_t>(limits_.page.rows) : span_;
    const auto reach = EventSeq(group->after.id() + span, group->after.xid());
    request.target = group->target;
    request.limit = page_limit();
    request.up_to = std::max(std::min({reach, end, group->joins_at.value_or(end)}), group->after);
    request.is_last = request.up_to >= end;
    outbox::PageQuery query{
        .lanes = {},
        .cursor = std::move(group->cursor),
        .target = std::move(group->target),
        .after = group->after,
        .up_to = request.up_to,
        .limit = request.limit
    };
    for (const auto& asked : request.lanes) query.lanes.push_back(asked.lane);
    TXS_CO_CHECK(source_.send_page(query));
    request_ = std::move(request);
    co_return true;
}

// Asked for once in each window: without it the last page of lanes that others have left behind
// would read on to the end of the table.
Task<Result<EventSeq>> Reader::end_of(const outbox::Snapshot& target) {
    if (!end_ || !(end_->target == target)) {
        TXS_CO_TRY(const auto highest, co_await source_.highest_id(deadline()));
        end_ = WindowEnd{target, highest};
    }
    co_return end_->id;
}

Task<Result<>> Reader::receive_page() {
    const auto request = *std::exchange(request_, std::nullopt);
    TXS_CO_TRY(const auto events, co_await source_.receive_page(deadline()));
    // What was left out comes with the next page.
    const auto whole = sizes_left_out(events, request.limit)
                           ? outbox::whole_events(events, request.limit)
                           : events.size();
    const bool is_cut = outbox::is_cut(events, request.limit);
    if (is_cut && whole == 0) co_return Result<>();
    if (!request.is_short) span_ = events.empty() ? std::min(2 * span_, kSpanMax) : kSpan;
    give_page(events, whole, request, is_cut);
    co_return Result<>();
}

void Reader::give_page(
    const outbox::Events& events, std::size_t whole, const PageRequest& request, bool is_cut
) {
    const auto end = is_cut ? events.id(whole - 1) : request.up_to;
    const bool ends_window = !is_cut && request.is_last;
    if (whole > 0) metrics_.reader_pages.add();
    sort_by_lane(events, whole);
    for (const auto& asked : request.lanes) {
        if (!is_wanted(asked)) continue;
        const auto& own = of_lane(asked.lane);
        if (!own.empty()) {
            delivery_.add_page(asked.lane, events, own, request.target, end, ends_window);
        } else if (ends_window) {
            delivery_.machine(asked.lane).end_window();
        } else {
            delivery_.machine(asked.lane).read_to(end);
        }
    }
}

outbox::PageLimit Reader::page_limit() const {
    auto limit = limits_.page;
    if (are_large_) limit.count = outbox::PageLimit::Count::sum;
    return limit;
}

// Remembers how large events are at the moment. True: some that can be sent were not fetched.
bool Reader::sizes_left_out(const outbox::Events& events, const outbox::PageLimit& limit) {
    if (limit.count == outbox::PageLimit::Count::shares) {
        are_large_ = outbox::whole_events(events, limit) < events.size();
        return are_large_;
    }
    are_large_ = false;
    for (std::size_t i = 0; i < events.size() && !are_large_; ++i)
        are_large_ = events.size_of(i) > limit.share();
    return false;
}

// Lanes may have been lost meanwhile, and have come back.
bool Reader::is_wanted(const PageRequest::Lane& asked) const {
    if (!delivery_.owns(asked.lane)) return false;
    return delivery_.machine(asked.lane).epoch() == asked.epoch;
}

Task<Result<>> Reader::drop_request() {
    if (!request_) co_return Result<>();
    request_.reset();
    TXS_CO_TRY(const auto ignored, co_await source_.receive_page(deadline()));
    co_return Result<>();
}

// --- trouble

Task<> Reader::restart_delivery() {
    if (Clock::now() < delivery_.restart_at()) {
        co_await wait(delivery_.restart_at());
        co_return;
    }
    delivery_.restart();
}

Task<> Reader::recover(const Error& error) {
    request_.reset();
    if (stopping_) co_return;
    gate_.nothing_sent();
    ++database_failures_;
    metrics_.failed(Failure::database_error, "");
    tell_of(error, database_failures_, blockages_);
    const auto pause =
        std::min(kReconnectMax, kReconnectMin * (1U << std::min(database_failures_ - 1, 6U)));
    log::warn(
        kComponent,
        "cannot read the outbox; trying again",
        {{"error", error.what()}, {"error_type", error.origin()}, {"delay_ms", pause.count()}}
    );
    const auto until = Clock::now() + pause;
    while (!stopping_ && Clock::now() < until) co_await wait(until);
}

}  // namespace txstream::relay
