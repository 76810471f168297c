#include "relay/keeper.hpp"

#include "base/assert.hpp"
#include "telemetry/log.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>
#include <utility>

namespace txstream::relay {

namespace {

constexpr std::string_view kComponent = "relay";
constexpr std::chrono::milliseconds kReconnectMin{100};
constexpr std::chrono::milliseconds kReconnectMax{2000};
// Of the lease: how long before its end we stop.
constexpr int kMarginPart = 5;
constexpr std::chrono::seconds kReleaseTimeout{2};
// As txstream.positions says.
constexpr std::chrono::seconds kNameInterval{10};
// Of acknowledging: lanes that always have something in flight are acknowledged at each fifth.
constexpr int kOfAllIntervals = 5;

}  // namespace

Keeper::Keeper(
    Delivery& delivery,
    Replay& replay,
    LaneKeeper& lanes,
    const Metrics& metrics,
    runtime::Wakeup& wakeup,
    runtime::Wakeup& reader,
    WorkerLimits limits,
    OnStatus on_status,
    std::uint64_t seed,
    Pulse* pulse
)
    : delivery_(delivery),
      replay_(replay),
      lanes_(lanes),
      metrics_(metrics),
      wakeup_(wakeup),
      reader_(reader),
      limits_(limits),
      on_status_(std::move(on_status)),
      pulse_(pulse != nullptr ? *pulse : own_pulse_),
      random_(seed),
      blockages_(delivery.blockages(2)) {
}

void Keeper::stop(Deadline deadline) {
    if (!stop_at_) stop_at_ = deadline;
    wakeup_.notify();
}

Task<> Keeper::run() {
    while (!is_over()) {
        pulse_.beat();
        lose_expired();
        if (!lanes_.is_open()) {
            if (auto opened = co_await lanes_.open(deadline()); !opened) {
                co_await recover(opened.error());
                continue;
            }
        }
        if (auto done = co_await step(); !done) {
            co_await recover(done.error());
            continue;
        }
        failures_ = 0;
        for (const auto blockage : kOfDatabase) blockages_.clear(blockage);
        delivery_.look(Clock::now());
        if (!is_over()) co_await wait(next_due());
    }
    co_await hand_back();
    pulse_.end();
}

Task<> Keeper::wait(Clock::time_point until) {
    pulse_.expect(until);
    co_await wakeup_.wait(until);
    pulse_.beat();
}

bool Keeper::is_over() const {
    if (!stop_at_) return false;
    if (stop_at_->passed()) return true;
    if (replay_.expects_reports()) return false;
    if (delivery_.is_idle() || delivery_.needs_restart()) return true;
    return !delivery_.expects_reports() && under_way_.empty() && !delivery_.has_acknowledgements();
}

Task<Result<>> Keeper::step() {
    const auto now = Clock::now();
    const bool has_lanes = delivery_.lane_count() > 0;
    if (((has_lanes || is_enlisted_) && now >= renew_at_) || (has_lanes && delivery_.is_in_doubt()))
        TXS_CO_CHECK(co_await renew());
    // Before lanes are claimed: of what is paused nothing must leave.
    if (!stop_at_ && now >= pauses_at_ && (delivery_.lane_count() > 0 || now >= claim_at_))
        TXS_CO_CHECK(co_await look_for_pauses());
    if (!stop_at_ && now >= claim_at_) TXS_CO_CHECK(co_await claim());
    const bool has_something = !under_way_.empty() || delivery_.has_acknowledgements();
    if (has_something &&
        (now >= acknowledge_at_ || stop_at_ || delivery_.is_acknowledgement_urgent())) {
        TXS_CO_CHECK(co_await acknowledge());
    }
    if (!stop_at_ && !leaving_.empty()) TXS_CO_CHECK(co_await hand_over());
    if (!stop_at_ && delivery_.lane_count() > 0 && now >= idle_at_)
        TXS_CO_CHECK(co_await name_idle());
    if (const auto due = replay_.due(); replay_.is_busy() || (!stop_at_ && due && *due <= now))
        TXS_CO_CHECK(co_await replay_.step(lanes_, !stop_at_, deadline()));
    co_return Result<>();
}

Keeper::Clock::time_point Keeper::next_due() const {
    auto due = Clock::time_point::max();
    if (!stop_at_) due = claim_at_;
    if (delivery_.lane_count() > 0) {
        due = std::min(due, delivery_.is_in_doubt() ? Clock::now() : renew_at_);
    } else if (is_enlisted_) {
        due = std::min(due, renew_at_);
    }
    if (!stop_at_)
        for (const auto& [lane, leaving] : leaving_)
            due = std::min(due, leaving.since + limits_.leave_patience);
    if (delivery_.lane_count() > 0 && !stop_at_) due = std::min({due, idle_at_, pauses_at_});
    if (const auto expiry = delivery_.first_expiry()) due = std::min(due, *expiry);
    if (delivery_.has_acknowledgements()) due = std::min(due, acknowledge_at_);
    if (const auto replay = replay_.due(); replay && (!stop_at_ || replay_.is_busy()))
        due = std::min(due, *replay);
    if (const auto put_off = delivery_.acknowledgement_due()) due = std::min(due, *put_off);
    if (stop_at_) due = std::min(due, stop_at_->at());
    return due;
}

Deadline Keeper::deadline() {
    return pulse_.expect(statement_deadline());
}

// A statement may not outlast the leases: what it holds up includes prolonging them, and giving up
// the lanes whose lease ends.
Deadline Keeper::statement_deadline() const {
    auto whole = Deadline::in(limits_.statement_timeout);
    if (const auto expiry = delivery_.first_expiry()) whole = whole.sooner(Deadline(*expiry));
    if (stop_at_) return stop_at_->sooner(whole);
    return Deadline::in(limits_.lease / kRenewalsPerLease).sooner(whole);
}

Keeper::Clock::time_point Keeper::publish_until(Clock::time_point asked) const {
    return asked + limits_.lease - limits_.lease / kMarginPart;
}

void Keeper::lose_expired() {
    const auto lost = delivery_.lose_expired(Clock::now());
    if (lost == 0) return;
    metrics_.lost(Lost::lease_expired, lost);
    is_alive_ = false;
    forget_lost();
    tell();
    claim_at_ = Clock::now();
    log::warn(
        kComponent,
        "leases ended before they could be prolonged; publishing of these lanes stops",
        {{"lanes", lost}}
    );
}

// See Delivery about trust.
void Keeper::lose_all() {
    const auto lanes = delivery_.lane_count();
    is_alive_ = false;
    if (lanes == 0) return tell();
    metrics_.lost(Lost::session_lost, lanes);
    delivery_.lose_all();
    forget_lost();
    tell();
    claim_at_ = Clock::now();
    log::warn(
        kComponent,
        "the session of the lanes is lost; they start again at the cursors in the table",
        {{"lanes", lanes}}
    );
}

// What was to be done with a lane that is gone, or that came back under another epoch.
void Keeper::forget_lost() {
    std::erase_if(leaving_, [&](const auto& one) {
        return !delivery_.owns(one.first) ||
               delivery_.machine(one.first).epoch() != one.second.epoch;
    });
    std::erase_if(under_way_, [&](const auto& one) {
        return !delivery_.owns(one.progress.lane) ||
               delivery_.machine(one.progress.lane).epoch() != one.progress.epoch;
    });
}

void Keeper::tell() {
    told_target_ = target_;
    on_status_({delivery_.lanes(), is_alive_, expects_, target_});
}

// --- lanes

Task<Result<>> Keeper::claim() {
    const auto asked = Clock::now();
    const double factor = std::uniform_real_distribution<double>(0.75, 1.25)(random_);
    claim_at_ =
        asked + std::chrono::duration_cast<Clock::duration>(
                    std::chrono::duration<double, std::milli>(limits_.claim_interval) * factor
                );
    if (delivery_.lane_count() >= limits_.lanes_max && asked < look_at_) co_return Result<>();
    look_at_ = asked + limits_.lease / kRenewalsPerLease;
    const auto doubts = delivery_.doubts();
    TXS_CO_TRY(const auto claimable, co_await look());
    std::vector<outbox::ClaimedLane> claimed;
    if (claimable > 0) {
        TXS_CO_TRY(
            claimed, co_await lanes_.claim(delivery_.lanes(), claimable, limits_.lease, deadline())
        );
    }
    if (expects_ && claimed.empty())
        claim_at_ = std::min(claim_at_, asked + Clock::duration(limits_.expect_interval));
    if (!claimed.empty()) {
        // Should it fail they are claimed again, after the pause that failures make.
        const auto next_claim = std::exchange(claim_at_, asked);
        TXS_CO_TRY(claimed, co_await proven(std::move(claimed)));
        claim_at_ = next_claim;
    }
    delivery_.trust(doubts);
    const bool is_alive_again = !std::exchange(is_alive_, true);
    const bool is_news = std::exchange(did_expect_, expects_) != expects_ || is_alive_again ||
                         told_target_ != target_;
    if (claimed.empty()) {
        if (is_news) tell();
        // Who has the lanes tells how it is with them.
        if (delivery_.lane_count() == 0) blockages_.clear(Blockage::cannot_acknowledge);
        co_return Result<>();
    }
    const bool was_empty = delivery_.lane_count() == 0;
    if (was_empty) renew_at_ = asked + limits_.lease / kRenewalsPerLease;
    if (was_empty) idle_at_ = asked + limits_.idle_interval;
    const auto count = claimed.size();
    for (auto& lane : claimed) {
        // We thought it lost, and the database did not: what we know of it is stale.
        if (delivery_.owns(lane.lane)) delivery_.lose(lane.lane);
        replay_.add(lane.lane, lane.due_keys);
        delivery_.add_lane(std::move(lane), publish_until(asked));
    }
    metrics_.lanes_claimed.add(static_cast<double>(count));
    metrics_.handed_over(HandOver::taken, std::min(handed_, count));
    // The rest of what is ours need not wait.
    const auto wanted = want();
    is_proven_ = true;
    if (want() != wanted) claim_at_ = asked;
    forget_lost();
    tell();
    log::info(
        kComponent, "claimed lanes", {{"lanes", count}, {"lanes_owned", delivery_.lane_count()}}
    );
    reader_.notify();
    co_return Result<>();
}

Task<Result<>> Keeper::look_for_pauses() {
    TXS_CO_TRY(auto pauses, co_await lanes_.pauses(deadline()));
    const auto now = Clock::now();
    pauses_at_ = now + limits_.pauses_interval;
    delivery_.pause(std::move(pauses), now);
    co_return Result<>();
}

// What is sent and cannot be acknowledged is sent again by whoever has the lane next, and so on:
// nothing is, before a write of the kind has gone through. It moves nothing and publishes nothing,
// but takes the same locks and needs the same rights.
Task<Result<std::vector<outbox::ClaimedLane>>> Keeper::proven(
    std::vector<outbox::ClaimedLane> claimed
) {
    std::vector<outbox::LaneProgress> where_they_are;
    for (const auto& lane : claimed)
        where_they_are.push_back({lane.lane, lane.epoch, lane.cursor, lane.target, lane.last_id, 0}
        );
    is_proving_ = true;
    TXS_CO_TRY(
        const auto moved, co_await lanes_.advance(std::move(where_they_are), {}, deadline())
    );
    is_proving_ = false;
    blockages_.clear(Blockage::cannot_acknowledge);
    std::erase_if(claimed, [&](const auto& lane) {
        return std::ranges::find(moved, lane.lane) == moved.end();
    });
    co_return claimed;
}

Task<Result<>> Keeper::renew() {
    const auto asked = Clock::now();
    const auto doubts = delivery_.doubts();
    lanes_.want(want());
    TXS_CO_TRY(
        const auto renewed, co_await lanes_.renew(delivery_.lanes(), limits_.lease, deadline())
    );
    delivery_.trust(doubts);
    renew_at_ = asked + limits_.lease / kRenewalsPerLease;
    is_alive_ = true;
    const auto before = delivery_.lane_count();
    delivery_.renewed(renewed, publish_until(asked));
    forget_lost();
    tell();
    if (const auto lost = before - delivery_.lane_count(); lost > 0) {
        metrics_.lost(Lost::taken_over, lost);
        metrics_.failed(Failure::lock_error, "", lost);
        log::warn(kComponent, "another relay has taken lanes over", {{"lanes", lost}});
    }
    co_return Result<>();
}

// --- acknowledging

Task<Result<>> Keeper::acknowledge() {
    acknowledge_at_ = Clock::now() + limits_.acknowledge_interval;
    // What failed before goes again as it was: it may have been applied, and applying it twice
    // changes nothing.
    if (under_way_.empty()) {
        // A lane with more in flight is somewhere else than the others, and would need a row of
        // its own; soon it will have come as far as they.
        const auto now = Clock::now();
        const bool of_all = stop_at_ || now >= of_all_at_ || delivery_.is_acknowledgement_urgent();
        if (of_all) of_all_at_ = now + kOfAllIntervals * limits_.acknowledge_interval;
        under_way_ = delivery_.take_acknowledgements(of_all);
    }
    TXS_CO_CHECK(co_await move_cursors());
    co_return co_await park();
}

// Of the lanes without a parked event, all at once.
Task<Result<>> Keeper::move_cursors() {
    std::vector<const LaneMachine::Acknowledgement*> plain;
    for (const auto& one : under_way_) {
        if (one.parked.empty()) plain.push_back(&one);
    }
    if (plain.empty()) co_return Result<>();
    std::vector<outbox::LaneProgress> progress;
    for (const auto* one : plain) progress.push_back(one->progress);
    // Lanes without events share the row of those that are at the same position, so that none is
    // far back in the log; those that are at another are named now and then for the same reason.
    const auto now = Clock::now();
    const bool names_all = now >= name_at_;
    std::ranges::copy(delivery_.positions(names_all), std::back_inserter(progress));
    TXS_CO_TRY(
        const auto moved, co_await lanes_.advance(std::move(progress), grouped(plain), deadline())
    );
    if (names_all) name_at_ = now + kNameInterval;
    if (names_all) idle_at_ = now + limits_.idle_interval;
    blockages_.clear(Blockage::cannot_acknowledge);
    is_proven_ = true;
    std::size_t lost = 0;
    for (const auto* one : plain) {
        if (std::ranges::find(moved, one->progress.lane) != moved.end()) {
            delivery_.acknowledged(*one);
        } else {
            delivery_.lose(one->progress.lane);
            ++lost;
        }
    }
    metrics_.lost(Lost::taken_over, lost);
    std::erase_if(under_way_, [](const auto& one) { return one.parked.empty(); });
    co_return Result<>();
}

// A look that finds nothing moves a lane in memory only.
Task<Result<>> Keeper::name_idle() {
    idle_at_ = Clock::now() + limits_.idle_interval;
    auto all = delivery_.positions(true);
    if (all.empty()) co_return Result<>();
    // Whoever is not named has lost its lane, which renewing finds out.
    TXS_CO_TRY(
        [[maybe_unused]] const auto named, co_await lanes_.advance(std::move(all), {}, deadline())
    );
    co_return Result<>();
}

// Lane by lane: where it fails, the others go on. A failure may have waited for a lock, so the rest
// comes after the leases and cursors have had their turn.
Task<Result<>> Keeper::park() {
    bool has_failed = false;
    while (!under_way_.empty()) {
        const auto lane = under_way_.back().progress.lane;
        if (has_failed) {
            delivery_.take_back(lane);
            acknowledge_at_ = Clock::now();
            under_way_.pop_back();
            continue;
        }
        const auto parked = co_await park(under_way_.back());
        if (!parked && !lanes_.is_open()) co_return tl::unexpected<Error>(parked.error());
        if (!parked) {
            has_failed = true;
            delivery_.put_off(lane);
            metrics_.failed(Failure::update_error, "");
            log::error(
                kComponent,
                "cannot put events among the dead letters; their lane waits, the others go on",
                {{"lane", lane.value()},
                 {"events", under_way_.back().parked.size()},
                 {"error", parked.error().what()},
                 {"error_type", parked.error().origin()}}
            );
        } else if (*parked) {
            delivery_.acknowledged(under_way_.back());
        } else {
            delivery_.lose(lane);
            metrics_.lost(Lost::taken_over, 1);
        }
        under_way_.pop_back();
    }
    co_return Result<>();
}

Task<Result<bool>> Keeper::park(const LaneMachine::Acknowledgement& one) {
    using outbox::LetterForm;
    auto whole = co_await lanes_.park(
        one.progress, one.parked, one.publication, LetterForm::whole, deadline()
    );
    if (whole || whole.error().retryable() || !lanes_.is_open()) co_return whole;
    // Something in it cannot be stored there. Then at least its key must be held.
    auto parked = one.parked;
    for (auto& event : parked)
        event.error += "; its content could not be copied and is in txstream.outbox only (" +
                       whole.error().what() + ")";
    co_return co_await lanes_.park(
        one.progress, std::move(parked), one.publication, LetterForm::bare, deadline()
    );
}

// Lanes that went from the same cursor to the same position share one publication.
std::vector<outbox::Publication> Keeper::grouped(
    const std::vector<const LaneMachine::Acknowledgement*>& all
) {
    std::map<std::tuple<std::string, std::string, std::string, EventSeq>, outbox::Publication>
        groups;
    for (const auto* one : all) {
        const auto& next = one->publication;
        const auto& to = one->progress;
        const auto [place, is_new] = groups.try_emplace(
            {next.cursor.text(),
             to.cursor.text(),
             to.target ? to.target->text() : std::string(),
             to.last_id},
            next
        );
        if (is_new) continue;
        auto& group = place->second;
        group.lanes.insert(group.lanes.end(), next.lanes.begin(), next.lanes.end());
        group.first_id = std::min(group.first_id, next.first_id);
        group.last_id = std::max(group.last_id, next.last_id);
        group.events += next.events;
        for (const auto& range : next.records) outbox::add_records(group.records, range);
    }
    std::vector<outbox::Publication> publications;
    for (auto& [position, publication] : groups) publications.push_back(std::move(publication));
    return publications;
}

// --- the end

Task<> Keeper::hand_back() {
    const auto lanes = delivery_.lane_count();
    // Before anybody else can have the lanes; the reader may be in the middle of a statement.
    delivery_.close();
    // What Kafka has acknowledged need not go again.
    if (lanes_.is_open() && (!under_way_.empty() || delivery_.has_acknowledgements()))
        (void)co_await acknowledge();
    co_await replay_.end(lanes_, deadline());
    if (!delivery_.is_idle()) {
        log::warn(
            kComponent,
            "stopped with events in flight; their lanes are given back and they are published "
            "again",
            {{"events", delivery_.events_in_flight()}}
        );
    }
    const auto released = co_await release();
    if (!released) {
        log::warn(
            kComponent,
            "could not give lanes back; others wait for the leases to end",
            {{"error", released.error().what()}}
        );
    } else if (lanes > 0) {
        metrics_.lanes_released.add(static_cast<double>(lanes));
        log::info(kComponent, "gave lanes back", {{"lanes", lanes}});
    }
}

Task<Result<>> Keeper::release() {
    const auto deadline = pulse_.expect(Deadline::in(kReleaseTimeout));
    if (!lanes_.is_open()) TXS_CO_CHECK(co_await lanes_.open(deadline));
    co_return co_await lanes_.release(deadline);
}

Task<> Keeper::recover(const Error& error) {
    metrics_.failed(under_way_.empty() ? Failure::database_error : Failure::update_error, "");
    const bool is_acknowledging = std::exchange(is_proving_, false) || !under_way_.empty();
    if (is_acknowledging) is_proven_ = false;
    if (!lanes_.is_open()) lose_all();
    if (stop_at_ && (stop_at_->passed() || delivery_.lane_count() == 0)) co_return;
    ++failures_;
    if (is_acknowledging && (lanes_.is_open() || error.code() == Code::timed_out)) {
        blockages_.set(Blockage::cannot_acknowledge, error.what());
    } else {
        tell_of(error, failures_, blockages_);
    }
    delivery_.look(Clock::now());
    const auto pause = std::min(kReconnectMax, kReconnectMin * (1U << std::min(failures_ - 1, 5U)));
    log::warn(
        kComponent,
        "cannot reach the lanes; trying again",
        {{"error", error.what()}, {"error_type", error.origin()}, {"delay_ms", pause.count()}}
    );
    auto until = Clock::now() + pause;
    if (const auto expiry = delivery_.first_expiry()) until = std::min(until, *expiry);
    // What cannot be acknowledged must not cost the lanes, or it would be sent again.
    if (delivery_.lane_count() > 0 && Clock::now() < renew_at_) until = std::min(until, renew_at_);
    if (stop_at_) until = std::min(until, stop_at_->at());
    while (Clock::now() < until && !(stop_at_ && stop_at_->passed())) co_await wait(until);
}

}  // namespace txstream::relay
