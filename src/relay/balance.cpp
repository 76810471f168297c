#include "relay/balance.hpp"

#include <algorithm>

namespace txstream::relay {

namespace {

// What each may have: those that stand by nothing while others are there, those that an operator
// drains nothing while anybody else is.
std::vector<std::size_t> most_of(const outbox::Shares& shares) {
    const auto rank = [](const outbox::Share& one) { return one.drains ? 2 : one.want.stands_by; };
    int first = 2;
    for (const auto& one : shares.owners)
        if (one.want.lanes > 0) first = std::min<int>(first, rank(one));
    std::vector<std::size_t> most;
    for (const auto& one : shares.owners) most.push_back(rank(one) > first ? 0 : one.want.lanes);
    return most;
}

std::size_t sum_up_to(const std::vector<std::size_t>& most, std::size_t level) {
    std::size_t sum = 0;
    for (const auto one : most) sum += std::min(one, level);
    return sum;
}

}  // namespace

// Each has as many as all others, or all that it wants; what is left over, one lane for each of
// some, goes to those that have it already.
std::vector<std::size_t> targets_of(const outbox::Shares& shares) {
    const auto most = most_of(shares);
    std::size_t level = 0;
    while (level < shares.lanes && sum_up_to(most, level + 1) <= shares.lanes) ++level;
    std::vector<std::size_t> targets;
    std::size_t sum = 0;
    for (std::size_t i = 0; i < most.size(); ++i) {
        const auto least = std::min(most[i], level);
        const auto greatest = std::min(most[i], level + 1);
        targets.push_back(std::clamp(shares.owners[i].lanes, least, greatest));
        sum += targets.back();
    }
    for (std::size_t i = most.size(); i-- > 0 && sum > shares.lanes;) {
        if (targets[i] <= level) continue;
        --targets[i];
        --sum;
    }
    for (std::size_t i = 0; i < most.size() && sum < shares.lanes; ++i) {
        if (targets[i] > level || most[i] <= targets[i]) continue;
        ++targets[i];
        ++sum;
    }
    return targets;
}

Balance balance_of(const outbox::Shares& shares) {
    const auto targets = targets_of(shares);
    // A place for each lane that somebody lacks. The first ones are for lanes without an owner, the
    // next for those of the owners with too many, in their order.
    std::vector<std::int64_t> places;
    for (std::size_t i = 0; i < targets.size(); ++i) {
        const auto& one = shares.owners[i];
        if (one.lanes < targets[i]) places.insert(places.end(), targets[i] - one.lanes, one.lease);
    }
    const auto unowned = shares.unowned();
    Balance balance;
    if (unowned > places.size()) balance.unwanted = unowned - places.size();
    auto place = std::min(unowned, places.size());
    for (std::size_t i = 0; i < targets.size(); ++i) {
        const auto& one = shares.owners[i];
        const auto surplus = one.lanes > targets[i] ? one.lanes - targets[i] : 0;
        const auto end = std::min(place + surplus, places.size());
        if (one.is_ours) {
            balance.target = targets[i];
            const auto lacks = one.lanes < targets[i] ? targets[i] - one.lanes : 0;
            balance.take = std::min(lacks, unowned);
            balance.expects = lacks > balance.take;
            for (auto at = place; at < end; ++at) balance.heirs.push_back(places[at]);
        }
        place = end;
    }
    return balance;
}

}  // namespace txstream::relay
