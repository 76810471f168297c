// Keeper: how the lanes are shared out, and the lanes that it hands over.

#include "relay/keeper.hpp"
#include "telemetry/log.hpp"

#include <algorithm>
#include <utility>

namespace txstream::relay {

namespace {

constexpr std::string_view kComponent = "relay";

}  // namespace

// Before a position could be written a single lane is asked for: one that cannot be published here
// need not take along the others.
outbox::Want Keeper::want() const {
    const auto most = is_proven_ ? limits_.lanes_max : std::max<std::size_t>(owned_, 1);
    return {stop_at_ ? 0 : std::min(most, limits_.lanes_max), limits_.stands_by};
}

// With a lease of ours among them; without one, where that has ended with lanes in hand.
Task<Result<outbox::Shares>> Keeper::shares() {
    const auto asked = Clock::now();
    lanes_.want(want());
    TXS_CO_TRY(auto shares, co_await lanes_.shares(deadline()));
    const auto* const ours = shares.ours();
    if (ours != nullptr && ours->want == want()) co_return shares;
    if (ours == nullptr && delivery_.lane_count() > 0) {
        renew_at_ = asked;  // which finds that they are lost
        co_return shares;
    }
    TXS_CO_CHECK(co_await lanes_.enlist(limits_.lease, deadline()));
    // Lanes in hand have to be prolonged, too, and when they are due.
    if (delivery_.lane_count() == 0) renew_at_ = asked + limits_.lease / kRenewalsPerLease;
    is_enlisted_ = true;
    co_return co_await lanes_.shares(deadline());
}

Task<Result<std::size_t>> Keeper::look() {
    TXS_CO_TRY(const auto all, co_await shares());
    const auto now = Clock::now();
    const auto balance = balance_of(all);
    const auto* const ours = all.ours();
    const auto owned = ours == nullptr ? 0 : ours->lanes;
    std::vector<std::int64_t> owners;
    for (const auto& one : all.owners) owners.push_back(one.lease);
    if (owners != owners_ || owned != owned_) expect_until_ = now + limits_.lease;
    owners_ = std::move(owners);
    owned_ = owned;
    expects_ = balance.expects && now < expect_until_;
    target_ = balance.target;
    choose_leaving(balance);
    co_return ours == nullptr ? 0 : claimable(all, balance);
}

// What others have handed over to us nobody else can claim, however many they are.
std::size_t Keeper::claimable(const outbox::Shares& shares, const Balance& balance) {
    const auto known = delivery_.lane_count();
    handed_ = owned_ > known ? owned_ - known : 0;
    const bool had_unwanted = std::exchange(has_unwanted_, balance.unwanted > 0);
    if (has_unwanted_ && !had_unwanted) {
        log::warn(
            kComponent,
            "lanes have no owner: every relay has as many as WORKER_MAX_LANES lets it have",
            {{"lanes", balance.unwanted}}
        );
    }
    const auto of_others = shares.unowned() - balance.take - balance.unwanted;
    const bool may_have_more = balance.target > 0 && known + handed_ < limits_.lanes_max;
    const auto now = Clock::now();
    if (of_others == 0 || !may_have_more) {
        unowned_since_.reset();
        return handed_ + balance.take;
    }
    if (!unowned_since_) unowned_since_ = now;
    if (now < *unowned_since_ + limits_.unowned_patience) return handed_ + balance.take;
    return handed_ + std::min(balance.take + of_others, limits_.lanes_max - known - handed_);
}

void Keeper::choose_leaving(const Balance& balance) {
    const auto now = Clock::now();
    heirs_ = balance.heirs;
    std::erase_if(stays_until_, [&](const auto& one) { return one.second <= now; });
    while (leaving_.size() > heirs_.size()) {
        delivery_.stay(leaving_.begin()->first);
        leaving_.erase(leaving_.begin());
    }
    if (leaving_.size() == heirs_.size()) return;
    for (const auto lane : delivery_.lanes_by_ease()) {
        if (leaving_.size() == heirs_.size()) break;
        if (leaving_.contains(lane) || stays_until_.contains(lane) || delivery_.is_held_up(lane))
            continue;
        leaving_.emplace(lane, Leaving{delivery_.machine(lane).epoch(), now});
        delivery_.begin_leaving(lane);
    }
}

void Keeper::stay(LaneId lane) {
    delivery_.stay(lane);
    leaving_.erase(lane);
    stays_until_[lane] = Clock::now() + limits_.stay_times * limits_.leave_patience;
}

Task<Result<>> Keeper::hand_over() {
    const auto now = Clock::now();
    std::vector<outbox::Gift> gifts;
    std::vector<LaneId> late;
    for (const auto& [lane, leaving] : leaving_) {
        if (gifts.size() < heirs_.size() && delivery_.has_come_to_its_end(lane) &&
            !replay_.is_busy_with(lane)) {
            gifts.push_back({lane, leaving.epoch, heirs_[gifts.size()]});
        } else if (delivery_.is_held_up(lane) || leaving.since + limits_.leave_patience <= now) {
            // Strangers in the lane must not wait for it.
            late.push_back(lane);
        }
    }
    for (const auto lane : late) stay(lane);
    if (gifts.empty()) co_return Result<>();
    heirs_.erase(heirs_.begin(), heirs_.begin() + static_cast<std::ptrdiff_t>(gifts.size()));
    // Before anybody else can have them: a page of theirs may be on its way to us.
    for (const auto& gift : gifts) {
        leaving_.erase(gift.lane);
        delivery_.lose(gift.lane);
    }
    tell();
    const auto count = gifts.size();
    TXS_CO_TRY(const auto given, co_await lanes_.give(std::move(gifts), deadline()));
    metrics_.handed_over(HandOver::given, given.size());
    metrics_.lost(Lost::taken_over, count - given.size());
    log::info(
        kComponent,
        "handed lanes over to relays that have fewer",
        {{"lanes", given.size()}, {"lanes_owned", delivery_.lane_count()}}
    );
    co_return Result<>();
}

}  // namespace txstream::relay
