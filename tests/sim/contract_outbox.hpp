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
///     void decide(std::int64_t id, bool discards);        an operator, of a parked event
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
    outbox::Shares shares(relay::LaneKeeper& keeper) { return world.run(keeper.shares(soon())); }
    /// The number of its lease.
    std::int64_t enlist(
        relay::LaneKeeper& keeper, outbox::Want want, std::chrono::milliseconds lease = 600s
    ) {
        keeper.want(want);
        world.run(keeper.enlist(lease, soon()));
        const auto all = shares(keeper);
        return all.ours() == nullptr ? 0 : all.ours()->lease;
    }
    std::vector<LaneId> give(
        relay::LaneKeeper& keeper, const outbox::ClaimedLane& lane, std::int64_t heir
    ) {
        return world.run(keeper.give({{lane.lane, lane.epoch, heir}}, soon()));
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

    /// Parks these events of key `a`, the first for its own sake.
    void park(
        relay::LaneKeeper& keeper,
        const Claimed& claimed,
        const Ids& events,
        bool waits = false,
        bool holds = true
    ) {
        const auto target = look();
        const auto all = places(target);
        const auto lane = all.at(events.front()).first;
        const auto found = std::ranges::find(claimed, lane, &outbox::ClaimedLane::lane);
        ASSERT_NE(found, claimed.end());
        std::vector<outbox::ParkedEvent> letters;
        for (const auto id : events) {
            letters.push_back({all.at(id).second, 0, "held", "an earlier one is parked"});
        }
        letters.front().attempts = 1;
        letters.front().error_class = "TEST";
        letters.front().waits = waits;
        letters.front().holds = holds;
        auto told = publication(*found, letters.front().id, target);
        told.events = 0;
        EXPECT_TRUE(world.run(
            keeper.park(to(*found, target), letters, told, outbox::LetterForm::whole, soon())
        ));
    }
    std::vector<outbox::LaneKey> decided(relay::LaneKeeper& keeper) {
        return world.run(keeper.decisions(lanes(), 100, soon())).keys;
    }
    outbox::Letters letters(relay::LaneKeeper& keeper, const outbox::LaneKey& key) {
        return world.run(keeper.letters({key}, {100, 1U << 20U, 1U << 20U}, soon()));
    }
    std::vector<LaneId> settle(
        relay::LaneKeeper& keeper, LaneId lane, const outbox::Letters& letters, std::size_t which
    ) {
        const auto event = letters.events.at(which);
        const outbox::SettledLetter one{
            event.id, std::string(std::string_view(event.event_id)), 0, {}, {}
        };
        return world.run(keeper.settle({lane}, {one}, soon()));
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
        one->park(this->to(*found, target), {letter}, told, outbox::LetterForm::whole, this->soon())
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
        one->park(this->to(*found, target), {letter}, told, outbox::LetterForm::whole, this->soon())
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

TYPED_TEST_P(OutboxContract, OwnersThatLiveSeeEachOtherAndWhatEachWants) {
    constexpr auto kLanes = static_cast<std::size_t>(TypeParam::kLanes);
    auto one = this->world.keeper("one");
    auto two = this->world.keeper("two");
    EXPECT_TRUE(this->shares(*one).owners.empty());
    EXPECT_EQ(this->shares(*one).unowned(), kLanes);
    const auto of_one = this->enlist(*one, {.lanes = 7, .stands_by = false});
    const auto of_two = this->enlist(*two, {.lanes = 3, .stands_by = true});
    EXPECT_LT(of_one, of_two);
    EXPECT_EQ(this->enlist(*one, {.lanes = 8, .stands_by = false}), of_one) << "it is prolonged";
    (void)this->claim(*one);
    const auto all = this->shares(*two);
    EXPECT_EQ(all.lanes, kLanes);
    EXPECT_EQ(all.unowned(), 0U);
    ASSERT_EQ(all.owners.size(), 2U);
    EXPECT_EQ(all.owners[0].lanes, kLanes);
    EXPECT_EQ(all.owners[0].want, (outbox::Want{.lanes = 8, .stands_by = false}));
    EXPECT_EQ(all.owners[1].lanes, 0U);
    EXPECT_EQ(all.owners[1].want, (outbox::Want{.lanes = 3, .stands_by = true}));
    EXPECT_EQ(all.ours(), &all.owners[1]);
    // What a renewal writes, and what a release takes away.
    one->want({.lanes = 0, .stands_by = false});
    (void)this->world.run(one->renew(this->lanes(), 600s, this->soon()));
    EXPECT_EQ(this->shares(*two).owners[0].want.lanes, 0U);
    this->world.run(one->release(this->soon()));
    EXPECT_EQ(this->shares(*two).owners.size(), 1U);
    EXPECT_EQ(this->shares(*two).unowned(), kLanes);
}

TYPED_TEST_P(OutboxContract, AnOwnerWhoseLeaseHasEndedIsNoneAndItsLanesAreNobodys) {
    auto one = this->world.keeper("one");
    auto two = this->world.keeper("two");
    (void)this->claim(*one, 1ms);
    (void)this->enlist(*two, {.lanes = 3, .stands_by = false});
    const auto until = this->soon();
    while (this->shares(*two).owners.size() > 1 && !until.passed()) {
    }
    const auto all = this->shares(*two);
    EXPECT_EQ(all.owners.size(), 1U);
    EXPECT_EQ(all.unowned(), static_cast<std::size_t>(TypeParam::kLanes));
}

TYPED_TEST_P(OutboxContract, ALaneThatIsHandedOverIsItsHeirsWhereTheLastOwnerCame) {
    const auto id = this->write("a");
    const auto target = this->look();
    const auto [lane, place] = this->places(target).at(id);
    auto one = this->world.keeper("one");
    auto two = this->world.keeper("two");
    auto three = this->world.keeper("three");
    const auto heir = this->enlist(*two, {.lanes = 1, .stands_by = false});
    const auto claimed = this->claim(*one);
    const auto found = std::ranges::find(claimed, lane, &outbox::ClaimedLane::lane);
    ASSERT_NE(found, claimed.end());
    const std::vector<outbox::LaneProgress> progress{this->to(*found, target)};
    (void)this->world.run(
        one->advance(progress, {this->publication(*found, place, target)}, this->soon())
    );
    EXPECT_EQ(this->give(*one, *found, heir), std::vector<LaneId>({lane}));
    EXPECT_EQ(this->shares(*one).unowned(), 0U) << "it has an owner at every moment";
    EXPECT_TRUE(this->give(*one, *found, heir).empty()) << "it is another's";
    EXPECT_EQ(
        this->world.run(one->renew(this->lanes(), 600s, this->soon())).size(), claimed.size() - 1
    );
    EXPECT_TRUE(this->world.run(one->advance(progress, {}, this->soon())).empty());
    EXPECT_TRUE(this->claim(*three).empty()) << "no third can have it";
    const auto next = this->claim(*two);
    ASSERT_EQ(next.size(), 1U);
    EXPECT_EQ(next[0].lane, lane);
    EXPECT_GT(next[0].epoch.value(), found->epoch.value());
    EXPECT_EQ(next[0].cursor, target);
}

TYPED_TEST_P(OutboxContract, ALaneWhoseHeirIsGoneIsFreeAndAFormerOwnerHandsNothingOver) {
    auto one = this->world.keeper("one");
    auto two = this->world.keeper("two");
    auto three = this->world.keeper("three");
    const auto gone = this->enlist(*two, {.lanes = 1, .stands_by = false});
    this->world.run(two->release(this->soon()));
    const auto claimed = this->claim(*one);
    ASSERT_FALSE(claimed.empty());
    EXPECT_EQ(this->give(*one, claimed[0], gone).size(), 1U);
    const auto next = this->claim(*three);
    ASSERT_EQ(next.size(), 1U);
    EXPECT_EQ(next[0].lane, claimed[0].lane);
    this->world.run(one->release(this->soon()));
    EXPECT_TRUE(this->give(*one, claimed[1], this->shares(*three).ours()->lease).empty());
}

TYPED_TEST_P(OutboxContract, AReplayIsDecidedUntilItsLetterIsSettled) {
    const auto first = this->write("a");
    const auto second = this->write("a");
    auto one = this->world.keeper("one");
    this->park(*one, this->claim(*one), {first, second});
    EXPECT_TRUE(this->decided(*one).empty());
    this->world.decide(first, false);
    const auto keys = this->decided(*one);
    ASSERT_EQ(keys.size(), 1U);
    EXPECT_EQ(this->decided(*one), keys) << "a look changes nothing";
    const auto letters = this->letters(*one, keys[0]);
    ASSERT_EQ(letters.events.size(), 2U);
    EXPECT_EQ(letters.events.id(0).id(), first);
    EXPECT_EQ(letters.stops, std::vector<bool>({false, false})) << "the second is only held";
    EXPECT_FALSE(letters.is_cut);
    for (int times = 0; times < 2; ++times)
        EXPECT_EQ(this->settle(*one, keys[0].lane, letters, 0).size(), 1U) << "it may be repeated";
    EXPECT_TRUE(this->decided(*one).empty());
    EXPECT_EQ(this->letters(*one, keys[0]).events.size(), 1U);
    // Whoever comes next finds what is left to do.
    this->world.run(one->release(this->soon()));
    auto two = this->world.keeper("two");
    for (const auto& next : this->claim(*two)) {
        const std::vector<std::string> due(next.lane == keys[0].lane ? 1 : 0, "a");
        EXPECT_EQ(next.held_keys, due);
        EXPECT_EQ(next.due_keys, due);
    }
}

TYPED_TEST_P(OutboxContract, ADiscardIsNoticedByTheOwnerOfItsLaneAlone) {
    const auto first = this->write("a");
    const auto second = this->write("a");
    auto one = this->world.keeper("one");
    this->park(*one, this->claim(*one, 1ms), {first, second});
    auto two = this->world.keeper("two");
    const auto claimed = this->claim_after_lease(*two);
    for (const auto& next : claimed) EXPECT_TRUE(next.due_keys.empty()) << "nobody has decided";
    this->world.decide(first, true);
    EXPECT_EQ(this->decided(*one).size(), 1U) << "a former owner, who changes nothing";
    const auto keys = this->decided(*two);
    ASSERT_EQ(keys.size(), 1U);
    EXPECT_TRUE(this->decided(*two).empty());
    const auto letters = this->letters(*two, keys[0]);
    ASSERT_EQ(letters.events.size(), 1U);
    EXPECT_EQ(letters.events.id(0).id(), second);
    EXPECT_FALSE(letters.stops[0]);
    EXPECT_TRUE(this->settle(*one, keys[0].lane, letters, 0).empty());
    EXPECT_EQ(this->letters(*two, keys[0]).events.size(), 1U) << "a former owner settles nothing";
}

TYPED_TEST_P(OutboxContract, ALetterThatIsParkedAgainStopsItsKey) {
    const auto first = this->write("a");
    auto one = this->world.keeper("one");
    this->park(*one, this->claim(*one), {first});
    this->world.decide(first, false);
    const auto keys = this->decided(*one);
    ASSERT_EQ(keys.size(), 1U);
    auto letters = this->letters(*one, keys[0]);
    const auto event = letters.events.at(0);
    const outbox::SettledLetter again{
        event.id, std::string(std::string_view(event.event_id)), 1, "AGAIN", "refused again"
    };
    (void)this->world.run(one->settle({keys[0].lane}, {again}, this->soon()));
    EXPECT_TRUE(this->decided(*one).empty());
    letters = this->letters(*one, keys[0]);
    ASSERT_EQ(letters.events.size(), 1U);
    EXPECT_TRUE(letters.stops[0]);
}

TYPED_TEST_P(OutboxContract, ALetterThatDoesNotHoldItsKeyIsReadAloneAndHoldsNothing) {
    const auto id = this->write("a");
    auto one = this->world.keeper("one");
    this->park(*one, this->claim(*one), {id}, false, false);
    this->world.run(one->release(this->soon()));
    auto two = this->world.keeper("two");
    for (const auto& next : this->claim(*two)) EXPECT_TRUE(next.held_keys.empty());
    this->world.decide(id, false);
    const auto keys = this->decided(*two);
    ASSERT_EQ(keys.size(), 1U);
    EXPECT_FALSE(keys[0].holds);
    const auto letters = this->letters(*two, keys[0]);
    ASSERT_EQ(letters.events.size(), 1U);
    EXPECT_FALSE(letters.stops[0]);
    auto queue = keys[0];
    queue.holds = true;
    EXPECT_TRUE(this->letters(*two, queue).events.empty()) << "it is in no queue";
    const auto event = letters.events.at(0);
    const outbox::SettledLetter again{
        event.id, std::string(std::string_view(event.event_id)), 1, "AGAIN", "refused again"
    };
    (void)this->world.run(two->settle({keys[0].lane}, {again}, this->soon()));
    EXPECT_TRUE(this->decided(*two).empty());
    EXPECT_TRUE(this->letters(*two, keys[0]).events.empty()) << "until it is decided about again";
    this->world.run(two->release(this->soon()));
    auto three = this->world.keeper("three");
    for (const auto& next : this->claim(*three)) EXPECT_TRUE(next.held_keys.empty());
}

TYPED_TEST_P(OutboxContract, ALetterThatIsRefusedAgainMayLetItsKeyGo) {
    const auto id = this->write("a");
    auto one = this->world.keeper("one");
    this->park(*one, this->claim(*one), {id});
    this->world.decide(id, false);
    const auto keys = this->decided(*one);
    ASSERT_EQ(keys.size(), 1U);
    EXPECT_TRUE(keys[0].holds);
    const auto letters = this->letters(*one, keys[0]);
    ASSERT_EQ(letters.events.size(), 1U);
    const auto event = letters.events.at(0);
    const outbox::SettledLetter again{
        event.id,
        std::string(std::string_view(event.event_id)),
        1,
        "AGAIN",
        "refused again",
        false,
        false
    };
    (void)this->world.run(one->settle({keys[0].lane}, {again}, this->soon()));
    EXPECT_TRUE(this->letters(*one, keys[0]).events.empty());
    this->world.run(one->release(this->soon()));
    auto two = this->world.keeper("two");
    for (const auto& next : this->claim(*two)) EXPECT_TRUE(next.held_keys.empty());
}

TYPED_TEST_P(OutboxContract, LettersKeepToTheirLimits) {
    typename TestFixture::Ids ids;
    for (int i = 0; i < 4; ++i)
        ids.push_back(this->write("a", "\"" + std::string(100, 'x') + "\""));
    auto one = this->world.keeper("one");
    this->park(*one, this->claim(*one), ids);
    this->world.decide(ids[0], false);
    const auto keys = this->decided(*one);
    ASSERT_EQ(keys.size(), 1U);
    const auto read = [&](outbox::LetterLimit limit) {
        return this->world.run(one->letters(keys, limit, this->soon()));
    };
    EXPECT_EQ(read({3, 1U << 20U, 1U << 20U}).events.size(), 3U);
    EXPECT_TRUE(read({3, 1U << 20U, 1U << 20U}).is_cut);
    EXPECT_TRUE(read({4, 1U << 20U, 1U << 20U}).is_cut) << "there may be more";
    EXPECT_FALSE(read({5, 1U << 20U, 1U << 20U}).is_cut);
    const auto few = read({100, 150, 1U << 20U});
    EXPECT_EQ(few.events.size(), 2U) << "the one that fills it is the last";
    EXPECT_TRUE(few.is_cut);
    const auto large = read({100, 1U << 20U, 50});
    ASSERT_EQ(large.events.size(), 4U);
    EXPECT_FALSE(large.events.has_content(0)) << "it can never be sent";
}

TYPED_TEST_P(OutboxContract, WhatWaitsForItsTopicIsRevivedByTheOwnerOfItsLaneAlone) {
    const auto first = this->write("a");
    const auto second = this->write("a");
    auto one = this->world.keeper("one");
    this->park(*one, this->claim(*one, 1ms), {first, second}, true);
    auto two = this->world.keeper("two");
    (void)this->claim_after_lease(*two);
    using Topics = std::vector<std::string>;
    const auto revive = [&](relay::LaneKeeper& keeper, Topics topics) {
        return this->world.run(keeper.revive(this->lanes(), {topics, 5}, this->soon()));
    };
    EXPECT_EQ(revive(*one, {}), Topics());
    EXPECT_EQ(revive(*two, {"elsewhere"}), Topics());
    EXPECT_TRUE(this->decided(*two).empty());
    EXPECT_EQ(revive(*two, {}), Topics{""}) << "the second is only held";
    const auto keys = this->decided(*two);
    ASSERT_EQ(keys.size(), 1U);
    EXPECT_EQ(revive(*two, {}), Topics()) << "it is on its way";
    const auto letters = this->letters(*two, keys[0]);
    ASSERT_EQ(letters.stops, std::vector<bool>({false, false}));
    const auto event = letters.events.at(0);
    outbox::SettledLetter again{
        event.id, std::string(std::string_view(event.event_id)), 0, "TEST", "refused again", true
    };
    (void)this->world.run(two->settle({keys[0].lane}, {again}, this->soon()));
    EXPECT_EQ(revive(*two, {""}), Topics{""});
    again.waits = false;
    (void)this->world.run(two->settle({keys[0].lane}, {again}, this->soon()));
    EXPECT_EQ(revive(*two, {}), Topics()) << "it has a fault of its own now";
}

REGISTER_TYPED_TEST_SUITE_P(
    OutboxContract,
    AWindowHasWhatEndedInItAndNothingElse,
    AKeyKeepsItsLaneAndItsEventsTheirOrder,
    APageKeepsToItsLimit,
    ALaneHasOneOwnerUntilItIsGivenBack,
    ANewOwnerBeginsWhereTheLastOneCame,
    AFormerOwnerChangesNothing,
    AParkedEventHoldsItsKeyForTheNextOwner,
    OwnersThatLiveSeeEachOtherAndWhatEachWants,
    AnOwnerWhoseLeaseHasEndedIsNoneAndItsLanesAreNobodys,
    ALaneThatIsHandedOverIsItsHeirsWhereTheLastOwnerCame,
    ALaneWhoseHeirIsGoneIsFreeAndAFormerOwnerHandsNothingOver,
    AReplayIsDecidedUntilItsLetterIsSettled,
    ADiscardIsNoticedByTheOwnerOfItsLaneAlone,
    ALetterThatIsParkedAgainStopsItsKey,
    ALetterThatDoesNotHoldItsKeyIsReadAloneAndHoldsNothing,
    ALetterThatIsRefusedAgainMayLetItsKeyGo,
    LettersKeepToTheirLimits,
    WhatWaitsForItsTopicIsRevivedByTheOwnerOfItsLaneAlone
);

}  // namespace txstream::tests
