#include "relay/blockages.hpp"

#include "outbox/instance.hpp"
#include "relay/fake_kafka.hpp"
#include "relay/stall_detector.hpp"

#include <gtest/gtest.h>

#include <set>

namespace txstream::relay {
namespace {

using namespace std::chrono_literals;

class BlockagesTest : public testing::Test {
protected:
    BlockagesTest() { silence_log(); }

    std::vector<std::pair<Blockage, bool>> changes_;
    Blockages all_{[this](Blockage blockage, bool is_blocked) {
        changes_.emplace_back(blockage, is_blocked);
    }};
};

TEST_F(BlockagesTest, EachHasANameAndSaysWhatToDo) {
    std::set<std::string_view> names;
    for (const auto blockage : kBlockages) {
        EXPECT_TRUE(names.insert(to_string(blockage)).second) << to_string(blockage);
        EXPECT_FALSE(explain(blockage).empty()) << to_string(blockage);
    }
    EXPECT_EQ(names.size(), static_cast<std::size_t>(Blockage::stalled) + 1);
}

TEST_F(BlockagesTest, TheDetailIsWhatTheFirstTellerSaysNow) {
    all_.set(Blockages::kOwner, Blockage::kafka_unavailable, "timed out");
    all_.set(0, Blockage::kafka_unavailable, "a worker's");
    EXPECT_EQ(all_.current().at(0).detail, "timed out");
    const auto since = all_.current().at(0).since;
    all_.set(Blockages::kOwner, Blockage::kafka_unavailable, "login refused");
    EXPECT_EQ(all_.current().at(0).detail, "login refused");
    EXPECT_EQ(all_.current().at(0).since, since);
    EXPECT_EQ(changes_.size(), 1U);
}

TEST_F(BlockagesTest, LanesThatStandStillAreToldByWorkerUntilItEnds) {
    WorkerBlockages first(all_, 0);
    const HeldLane one{LaneId(3), Blockage::topic_refused, "a"};
    const HeldLane two{LaneId(9), Blockage::cannot_park, {}};
    {
        WorkerBlockages second(all_, 1);
        first.hold_lanes({one});
        second.hold_lanes({two});
        EXPECT_EQ(all_.held_lanes(), (std::vector{one, two}));
    }
    EXPECT_EQ(all_.held_lanes(), std::vector{one});
    first.hold_lanes({});
    EXPECT_TRUE(all_.held_lanes().empty());
}

TEST_F(BlockagesTest, OneBeginsWithTheFirstWhoTellsAndEndsWithTheLast) {
    {
        WorkerBlockages first(all_, 0);
        WorkerBlockages second(all_, 1);
        for (int i = 0; i < 2; ++i) first.set(Blockage::cannot_park, "a trigger");
        second.set(Blockage::cannot_park, "another");
        first.clear(Blockage::cannot_park);
        EXPECT_TRUE(all_.contains(Blockage::cannot_park));
        EXPECT_EQ(all_.current().size(), 1U);
    }
    EXPECT_FALSE(all_.contains(Blockage::cannot_park)) << "a worker that ended tells nothing";
    using Changes = decltype(changes_);
    EXPECT_EQ(changes_, (Changes{{Blockage::cannot_park, true}, {Blockage::cannot_park, false}}));
}

TEST_F(BlockagesTest, AnErrorOfTheDatabaseIsToldAsWhatItIsAndOneThatPassesIsNot) {
    WorkerBlockages mine(all_, 0);
    const Error gone(Code::unavailable, "gone");
    tell_of(gone, 1, mine);
    EXPECT_TRUE(all_.current().empty());
    tell_of(gone, 3, mine);
    EXPECT_TRUE(all_.contains(Blockage::database_unavailable));
    tell_of(Error(Code::corrupt, "copied", outbox::kForeignInstance), 1, mine);
    EXPECT_TRUE(all_.contains(Blockage::foreign_instance));
    tell_of(Error(Code::rejected, "permission denied", "42501"), 1, mine);
    EXPECT_TRUE(all_.contains(Blockage::outbox_unusable));
}

TEST_F(BlockagesTest, OneThatOnlySaysThatThereIsOneGivesWayToTheCause) {
    const auto look = [&] {
        all_.set_unless_explained(true, Blockages::kOwner, Blockage::stalled, "");
    };
    look();
    EXPECT_TRUE(all_.contains(Blockage::stalled));
    all_.set(1, Blockage::kafka_unavailable, "");
    look();
    EXPECT_FALSE(all_.contains(Blockage::stalled));
    all_.clear(1, Blockage::kafka_unavailable);
    look();
    EXPECT_TRUE(all_.contains(Blockage::stalled));
    all_.set_unless_explained(true, Blockages::kOwner, Blockage::no_worker, "");
    EXPECT_TRUE(all_.contains(Blockage::no_worker)) << "a stall explains nothing";
    look();
    EXPECT_FALSE(all_.contains(Blockage::stalled));
}

TEST(StallDetectorTest, EventsThatWaitWithoutProgressAreAStallAndAnyProgressEndsIt) {
    StallDetector stall;
    StallDetector::Clock::time_point now{};
    EXPECT_FALSE(stall.observe(now, 5, 10));
    now += StallDetector::kPatience - 1s;
    EXPECT_FALSE(stall.observe(now, 6, 10));
    now += 1s;
    EXPECT_TRUE(stall.observe(now, 6, 10));
    EXPECT_FALSE(stall.observe(now, 5, 11)) << "one left";
    now += StallDetector::kPatience;
    EXPECT_TRUE(stall.observe(now, 5, 11));
    EXPECT_FALSE(stall.observe(now, 0, 11)) << "nothing waits";
    now += StallDetector::kPatience * 2;
    EXPECT_FALSE(stall.observe(now, 0, 11));
    EXPECT_FALSE(stall.observe(now, 1, 11)) << "it has only just come";
}

TEST_F(BlockagesTest, AWorkerIsHeldUpByWhatItSaysAndByWhatTheOwnerSaysOfKafka) {
    Blockages all(nullptr);
    EXPECT_FALSE(all.holding_up(3, 3));
    all.set(2, Blockage::cannot_acknowledge, "");
    all.set(6, Blockage::kafka_unavailable, "");
    all.set(Blockages::kOwner, Blockage::database_unavailable, "the backlog's session only");
    all.set(4, Blockage::topic_refused, "one lane only");
    EXPECT_FALSE(all.holding_up(3, 3)) << "other workers'";
    all.set(Blockages::kOwner, Blockage::topic_missing, "");
    EXPECT_EQ(all.holding_up(3, 3), Blockage::topic_missing);
    all.set(5, Blockage::cannot_acknowledge, "");
    EXPECT_EQ(all.holding_up(3, 3), Blockage::cannot_acknowledge);
}

TEST_F(BlockagesTest, TheWordsOfHeadersAreTheNamesWithHyphens) {
    EXPECT_EQ(header_word(Blockage::kafka_unavailable), "kafka-unavailable");
    EXPECT_EQ(header_word(Blockage::stalled), "stalled");
}

}  // namespace
}  // namespace txstream::relay
