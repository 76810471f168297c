#pragma once

#include "relay/ports.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

/// What the relay is promised by the ports that PostgreSQL fills, as tests of any of them: of the
/// simulation's model and of a server, so that the model stays honest.
///
/// A `World` has
///     int begin();                                        a transaction
///     std::int64_t insert(int, std::string key, std::string payload);  its event's id
///     void commit(int);  void roll_back(int);
///     std::unique_ptr<relay::EventSource> source();       open
///     std::unique_ptr<relay::LaneKeeper> keeper(std::string owner);    open
///     T run(Task<Result<T>>);                             its value, or the test fails
namespace txstream::tests {

using namespace std::chrono_literals;

template <class World>
class OutboxContract : public testing::Test {
protected:
    using Ids = std::vector<std::int64_t>;
    using Claimed = std::vector<outbox::ClaimedLane>;

    static Deadline soon() { return Deadline::in(30s); }
    std::int64_t write(const std::string& key, const std::string& payload = "{}") {
        const auto transaction = world.begin();
        const auto id = world.insert(transaction, key, payload);
        world.commit(transaction);
        return id;
    }
    outbox::Snapshot look() { return world.run(source->current_snapshot(soon())); }
    static outbox::PageLimit rows(std::size_t count) {
        return {count, std::size_t{1} << 29U, std::size_t{1} << 29U};
    }
    outbox::Events window(
        const outbox::Snapshot& cursor, const outbox::Snapshot& target, outbox::PageLimit limit
    ) {
        return world.run(source->read_window(lanes(), cursor, target, limit, soon()));
    }
    Ids ids(const outbox::Snapshot& cursor, const outbox::Snapshot& target) {
        const auto events = window(cursor, target, rows(100));
        Ids all;
        for (std::size_t i = 0; i < events.size(); ++i) all.push_back(events.id(i).id());
        std::ranges::sort(all);
        return all;
    }
    /// All that a snapshot sees, with the lane and place of each.
    std::map<std::int64_t, std::pair<LaneId, EventSeq>> places(const outbox::Snapshot& target) {
        const auto events = window(start, target, rows(100));
        std::map<std::int64_t, std::pair<LaneId, EventSeq>> all;
        for (std::size_t i = 0; i < events.size(); ++i)
            all[events.id(i).id()] = {events.lane(i), events.id(i)};
        return all;
    }
    std::vector<LaneId> lanes() {
        std::vector<LaneId> all;
        for (std::int16_t i = 0; i < World::kLanes; ++i) all.emplace_back(i);
        return all;
    }
    Claimed claim(relay::LaneKeeper& keeper, std::chrono::milliseconds lease = 600s) {
        return world.run(keeper.claim({}, 100, lease, soon()));
    }
    /// Once the lanes' leases have ended.
    Claimed claim_after_lease(relay::LaneKeeper& keeper) {
        const auto until = soon();
        while (!until.passed()) {
            auto claimed = claim(keeper);
            if (claimed.size() == static_cast<std::size_t>(World::kLanes)) return claimed;
        }
        ADD_FAILURE() << "the leases do not end";
        return {};
    }
    static outbox::LaneProgress to(
        const outbox::ClaimedLane& lane, const outbox::Snapshot& cursor
    ) {
        return {lane.lane, lane.epoch, cursor, std::nullopt, EventSeq(), 1};
    }
    static outbox::Publication publication(
        const outbox::ClaimedLane& lane, EventSeq id, const outbox::Snapshot& target
    ) {
        outbox::Publication one;
        one.lanes = {lane.lane};
        one.first_id = one.last_id = id;
        one.events = 1;
        one.cursor = lane.cursor;
        one.target = target;
        return one;
    }

    World world;
    std::unique_ptr<relay::EventSource> source = world.source();
    outbox::Snapshot start = look();
};

TYPED_TEST_SUITE_P(OutboxContract);

TYPED_TEST_P(OutboxContract, AWindowHasWhatEndedInItAndNothingElse) {
    const auto slow = this->world.begin();
    const auto of_slow = this->world.insert(slow, "a", "{}");
    const auto undone = this->world.begin();
    (void)this->world.insert(undone, "b", "{}");
    const auto first = this->write("c");
    const auto middle = this->look();
    const auto second = this->write("c");
    this->world.roll_back(undone);
    this->world.commit(slow);
    const auto end = this->look();
    using Ids = typename TestFixture::Ids;
    EXPECT_EQ(this->ids(this->start, middle), Ids({first}));
    EXPECT_EQ(this->ids(middle, end), Ids({of_slow, second})) << "the slow one, and once";
    EXPECT_EQ(this->ids(end, this->look()), Ids());
}

TYPED_TEST_P(OutboxContract, AKeyKeepsItsLaneAndItsEventsTheirOrder) {
    for (int i = 0; i < 3; ++i) this->write("a"), this->write("b");
    const auto events = this->window(this->start, this->look(), this->rows(100));
    std::map<std::string, std::pair<LaneId, EventSeq>> last;
    for (std::size_t i = 0; i < events.size(); ++i) {
        const auto event = events.at(i);
        const auto [place, is_new] = last.try_emplace(std::string(event.key), event.lane, event.id);
        if (is_new) continue;
        EXPECT_EQ(place->second.first, event.lane);
        EXPECT_LT(place->second.second, event.id);
        place->second.second = event.id;
    }
    EXPECT_EQ(last.size(), 2U);
}

TYPED_TEST_P(OutboxContract, APageKeepsToItsLimit) {
    for (int i = 0; i < 4; ++i) this->write("a");
    const auto large = this->write("a", "\"" + std::string(5000, 'x') + "\"");
    const auto target = this->look();
    EXPECT_EQ(this->window(this->start, target, this->rows(3)).size(), 3U);
    // Of 10,000 bytes for ten events each may have a thousand.
    const auto shared = this->window(this->start, target, {10, 10'000, 1U << 20U});
    ASSERT_EQ(shared.size(), 5U);
    for (std::size_t i = 0; i < shared.size(); ++i)
        EXPECT_EQ(shared.has_content(i), shared.id(i).id() != large);
    // By their sum they come as long as there is room.
    const auto summed =
        this->window(this->start, target, {10, 500, 1U << 20U, outbox::PageLimit::Count::sum});
    ASSERT_LT(summed.size(), 5U);
    for (std::size_t i = 0; i < summed.size(); ++i) EXPECT_TRUE(summed.has_content(i));
}

TYPED_TEST_P(OutboxContract, ALaneHasOneOwnerUntilItIsGivenBack) {
    auto one = this->world.keeper("one");
    auto two = this->world.keeper("two");
    const auto first = this->claim(*one);
    ASSERT_EQ(first.size(), static_cast<std::size_t>(TypeParam::kLanes));
    EXPECT_TRUE(this->claim(*two).empty());
    EXPECT_EQ(this->world.run(one->renew(this->lanes(), 600s, this->soon())).size(), first.size());
    EXPECT_TRUE(this->world.run(two->renew(this->lanes(), 600s, this->soon())).empty());
    this->world.run(one->release(this->soon()));
    const auto second = this->claim(*two);
    ASSERT_EQ(second.size(), first.size());
    EXPECT_TRUE(this->world.run(one->renew(this->lanes(), 600s, this->soon())).empty());
}

TYPED_TEST_P(OutboxContract, ANewOwnerBeginsWhereTheLastOneCame) {
    const auto id = this->write("a");
    const auto target = this->look();
    const auto [lane, place] = this->places(target).at(id);
    auto one = this->world.keeper("one");
    const auto claimed = this->claim(*one);
    const auto found = std::ranges::find(claimed, lane, &outbox::ClaimedLane::lane);
    ASSERT_NE(found, claimed.end());
    const std::vector<outbox::LaneProgress> progress{this->to(*found, target)};
    const std::vector<outbox::Publication> told{this->publication(*found, place, target)};
    for (int times = 0; times < 2; ++times) {
        EXPECT_EQ(
            this->world.run(one->advance(progress, told, this->soon())), std::vector<LaneId>({lane})
        ) << "it may be repeated";
    }
    this->world.run(one->release(this->soon()));
    auto two = this->world.keeper("two");
    for (const auto& next : this->claim(*two)) {
        EXPECT_EQ(next.cursor == target, next.lane == lane);
        EXPECT_TRUE(next.held_keys.empty());
    }
}

TYPED_TEST_P(OutboxContract, AFormerOwnerChangesNothing) {
    const auto id = this->write("a");
    const auto target = this->look();
    const auto [lane, place] = this->places(target).at(id);
    auto one = this->world.keeper("one");
    const auto old = this->claim(*one, 1ms);
    const auto found = std::ranges::find(old, lane, &outbox::ClaimedLane::lane);
    ASSERT_NE(found, old.end());
    auto two = this->world.keeper("two");
    (void)this->claim_after_lease(*two);
    const auto told = this->publication(*found, place, target);
    EXPECT_TRUE(
        this->world.run(one->advance({this->to(*found, target)}, {told}, this->soon())).empty()
    );
    const outbox::ParkedEvent letter{place, 1, "TEST", "a test"};
    EXPECT_FALSE(this->world.run(
        one->park(this->to(*found, target), {letter}, told, outbox::DeadLetter::whole, this->soon())
    ));
    this->world.run(two->release(this->soon()));
    auto three = this->world.keeper("three");
    for (const auto& next : this->claim(*three)) {
        EXPECT_FALSE(next.cursor == target);
        EXPECT_TRUE(next.held_keys.empty());
    }
}

TYPED_TEST_P(OutboxContract, AParkedEventHoldsItsKeyForTheNextOwner) {
    const auto id = this->write("a");
    const auto target = this->look();
    const auto [lane, place] = this->places(target).at(id);
    auto one = this->world.keeper("one");
    const auto claimed = this->claim(*one);
    const auto found = std::ranges::find(claimed, lane, &outbox::ClaimedLane::lane);
    ASSERT_NE(found, claimed.end());
    const outbox::ParkedEvent letter{place, 2, "TEST", "a test"};
    auto told = this->publication(*found, place, target);
    told.events = 0;
    EXPECT_TRUE(this->world.run(
        one->park(this->to(*found, target), {letter}, told, outbox::DeadLetter::whole, this->soon())
    ));
    this->world.run(one->release(this->soon()));
    auto two = this->world.keeper("two");
    for (const auto& next : this->claim(*two)) {
        EXPECT_EQ(next.cursor == target, next.lane == lane) << "the position moved with it";
        EXPECT_EQ(
            next.held_keys,
            next.lane == lane ? std::vector<std::string>{"a"} : std::vector<std::string>()
        );
    }
}

REGISTER_TYPED_TEST_SUITE_P(
    OutboxContract,
    AWindowHasWhatEndedInItAndNothingElse,
    AKeyKeepsItsLaneAndItsEventsTheirOrder,
    APageKeepsToItsLimit,
    ALaneHasOneOwnerUntilItIsGivenBack,
    ANewOwnerBeginsWhereTheLastOneCame,
    AFormerOwnerChangesNothing,
    AParkedEventHoldsItsKeyForTheNextOwner
);

}  // namespace txstream::tests
