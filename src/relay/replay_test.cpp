#include "relay/replay.hpp"

#include "relay/delivery_fixture.hpp"
#include "runtime/task_group.hpp"

namespace txstream::relay {
namespace {

/// With a Kafka of the replay's own; the deliveries' is kafka_.
class ReplayTest : public DeliveryTest {
protected:
    ReplayTest() {
        make([](auto& limits) { limits.in_flight_bytes_max = 1U << 20U; });
        EXPECT_TRUE(run(lanes_.open(Deadline::in(1h))));
    }

    /// A letter of lane 1.
    void letter(std::int64_t id, const std::string& key, bool stops = false) {
        lanes_.letters_left.push_back({{.id = id, .lane = 1, .aggregate_id = key}, stops});
    }
    void decide(const std::string& key, bool holds = true) {
        lanes_.decided.push_back({LaneId(1), key, holds});
    }
    /// One that does not hold its key, and is to be sent.
    void loose_letter(std::int64_t id, const std::string& key) {
        letter(id, key);
        lanes_.letters_left.back().holds = false;
        decide(key, false);
    }
    template <class T>
    Result<T> run(Task<Result<T>> task) {
        std::optional<Result<T>> result;
        const auto keep = [&]() -> Task<> { result.emplace(co_await std::move(task)); };
        runtime::TaskGroup group(loop_.get_executor());
        group.spawn(keep());
        loop_.restart();
        while (!result && loop_.run_one() > 0) {
        }
        loop_.poll();
        return std::move(*result);
    }
    void step(bool begins = true) {
        const auto done = run(replay_.step(lanes_, begins, Deadline::in(1h)));
        EXPECT_TRUE(done) << done.error().what();
    }
    /// Steps until nothing is due and nothing can be reported.
    void steps() {
        for (int i = 0; i < 8; ++i) step();
    }
    std::vector<std::int64_t> settled() const {
        std::vector<std::int64_t> ids;
        for (const auto& one : lanes_.settled)
            ids.push_back(one.error_class.empty() ? one.id.id() : -one.id.id());
        return ids;
    }
    LaneMachine& machine() { return delivery_.machine(LaneId(1)); }
    using Ids = std::vector<std::int64_t>;

    static Replay::Limits limits_of_replay() {
        Replay::Limits limits;
        limits.look_interval = limits.unwritten_pause = limits.failure_pause =
            limits.reports_grace = 0ms;
        limits.attempts_max = 2;
        return limits;
    }

    FakeKafka other_;
    FakeLanes lanes_;
    Replay replay_{
        {loop_.get_executor(), other_.maker(), delivery_, metrics_, keeper_, "t"},
        limits_of_replay()
    };
};

TEST_F(ReplayTest, ALetterIsSentWithAllBehindItInTheirOrderAndTheKeyIsFree) {
    machine().hold("k");
    letter(1, "k");
    letter(2, "k");
    letter(3, "k");
    decide("k");
    step();
    EXPECT_EQ(other_.marked(), (Keys{"k (true)", "k (true)", "k (true)"}));
    EXPECT_TRUE(machine().holds("k"));
    other_.report(Outcome::acknowledged);
    steps();
    EXPECT_EQ(settled(), (Ids{1, 2, 3}));
    EXPECT_FALSE(machine().holds("k"));
    EXPECT_FALSE(replay_.is_busy());
}

TEST_F(ReplayTest, ADiscardReleasesItsKeyAtOnce) {
    machine().hold("k");
    decide("k");
    steps();
    EXPECT_FALSE(machine().holds("k"));
    EXPECT_TRUE(other_.calls.empty());
}

TEST_F(ReplayTest, WhatIsParkedForItsOwnSakeStopsTheQueue) {
    machine().hold("k");
    letter(1, "k");
    letter(2, "k", true);
    letter(3, "k");
    decide("k");
    step();
    EXPECT_EQ(other_.keys(), Keys{"k"});
    other_.report(Outcome::acknowledged);
    steps();
    EXPECT_EQ(settled(), Ids{1});
    EXPECT_TRUE(machine().holds("k"));
    EXPECT_FALSE(machine().waits("k"));
}

TEST_F(ReplayTest, ALetterThatDoesNotHoldItsKeyIsSentAndNewEventsOfTheKeyDoNotWaitForIt) {
    loose_letter(1, "k");
    step();
    EXPECT_EQ(other_.marked(), Keys{"k (true)"});
    EXPECT_FALSE(machine().holds("k"));
    read(1, {"k"}, 11);
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys{"k"}) << "at once";
    kafka_.report(Outcome::acknowledged);
    other_.report(Outcome::acknowledged);
    steps();
    EXPECT_EQ(settled(), Ids{1});
    EXPECT_FALSE(replay_.is_busy());
    EXPECT_FALSE(machine().holds("k"));
}

TEST_F(ReplayTest, ALetterThatDoesNotHoldItsKeyIsNeitherStoppedNorReleasedByOthersOfTheKey) {
    machine().hold("k");
    letter(1, "k", true);
    loose_letter(2, "k");
    step();
    EXPECT_EQ(other_.keys(), Keys{"k"});
    other_.report(Outcome::acknowledged);
    steps();
    EXPECT_EQ(settled(), Ids{2});
    EXPECT_TRUE(machine().holds("k")) << "the other one still does";
    EXPECT_FALSE(machine().waits("k"));
}

TEST_F(ReplayTest, LettersThatHoldAKeyAndThoseThatDoNotAreNotSentInOneRound) {
    machine().hold("k");
    letter(1, "k");
    decide("k");
    loose_letter(2, "k");
    step();
    ASSERT_EQ(other_.keys(), Keys{"k"});
    other_.report(Outcome::acknowledged);
    steps();
    ASSERT_EQ(other_.keys(), Keys{"k"});
    other_.report(Outcome::acknowledged);
    steps();
    EXPECT_EQ(settled(), (Ids{1, 2}));
    EXPECT_FALSE(machine().holds("k"));
}

TEST_F(ReplayTest, OfLettersThatDoNotHoldTheirKeyTheOthersGoWhenOneIsRefusedAgain) {
    loose_letter(1, "k");
    letter(2, "k");
    lanes_.letters_left.back().holds = false;
    step();
    ASSERT_EQ(other_.keys(), (Keys{"k", "k"}));
    other_.report(Outcome::refused_event, "BAD");
    step();
    ASSERT_EQ(other_.careful.keys(), Keys{"k"}) << "one of a key";
    other_.careful.report(Outcome::refused_event, "BAD");
    ASSERT_EQ(other_.careful.keys(), Keys{"k"});
    other_.careful.report(Outcome::acknowledged);
    steps();
    EXPECT_EQ(settled(), (Ids{-1, 2}));
    EXPECT_FALSE(lanes_.settled.front().holds);
    EXPECT_FALSE(machine().holds("k"));
}

TEST_F(ReplayTest, ALetterThatIsRefusedAgainAndIsToBeSkippedByNowFreesItsKey) {
    Replay replay(
        {loop_.get_executor(),
         other_.maker(),
         delivery_,
         metrics_,
         keeper_,
         "t",
         format_,
         SkipPolicy({"t"}, {})},
        limits_of_replay()
    );
    const auto step = [&] { EXPECT_TRUE(run(replay.step(lanes_, true, Deadline::in(1h)))); };
    machine().hold("k");
    letter(1, "k");
    letter(2, "k");
    decide("k");
    step();
    other_.report(Outcome::refused_event, "BAD");
    step();
    other_.careful.report(Outcome::refused_event, "BAD");
    ASSERT_EQ(other_.careful.keys(), Keys{"k"}) << "the next of the key";
    other_.careful.report(Outcome::acknowledged);
    for (int i = 0; i < 8; ++i) step();
    EXPECT_EQ(settled(), (Ids{-1, 2}));
    EXPECT_FALSE(lanes_.settled.front().holds);
    EXPECT_FALSE(machine().holds("k"));
}

TEST_F(ReplayTest, NewEventsOfTheKeyWaitAndStrangersDoNot) {
    machine().hold("k");
    letter(1, "k");
    decide("k");
    step();
    read(1, {"k", "other"}, 11);
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys{"other"});
    other_.report(Outcome::acknowledged);
    kafka_.report(Outcome::acknowledged);
    steps();
    EXPECT_EQ(kafka_.keys(), Keys{"k"}) << "once its letters are sent";
    kafka_.report(Outcome::acknowledged);
    EXPECT_TRUE(parked().empty());
    EXPECT_TRUE(delivery_.is_idle());
}

TEST_F(ReplayTest, WhatWasParkedBeforeTheReplayAndIsNotWrittenIsSentInAnotherRound) {
    machine().hold("k");
    read(1, {"k"}, 11);
    hand_over();  // behind the parked one
    letter(1, "k");
    decide("k");
    step();
    read(1, {"k"}, 12);
    hand_over();
    other_.report(Outcome::acknowledged);
    steps();
    EXPECT_TRUE(machine().holds("k")) << "its parked event is not written";
    EXPECT_EQ(parked().size(), 1U);
    letter(11, "k");
    steps();
    EXPECT_EQ(other_.keys(), Keys{"k"});
    EXPECT_TRUE(kafka_.keys().empty());
    other_.report(Outcome::acknowledged);
    steps();
    EXPECT_EQ(settled(), (Ids{1, 11}));
    EXPECT_EQ(kafka_.keys(), Keys{"k"}) << "number 12, which waited";
}

// While delivery pauses a page stays as it was read.
TEST_F(ReplayTest, WhatIsParkedWhileItsKeysLettersAreSentIsSentInAnotherRound) {
    machine().hold("k");
    read(1, {"k"}, 11);
    letter(1, "k");
    decide("k");
    step();
    ASSERT_EQ(other_.keys(), Keys{"k"});
    hand_over();  // it was read before the key began to wait
    other_.report(Outcome::acknowledged);
    steps();
    EXPECT_TRUE(machine().holds("k"));
    EXPECT_EQ(parked().size(), 1U);
    letter(11, "k");
    steps();
    other_.report(Outcome::acknowledged);
    steps();
    EXPECT_EQ(settled(), (Ids{1, 11}));
    EXPECT_FALSE(machine().holds("k"));
}

TEST_F(ReplayTest, ARefusedLetterIsParkedAgainAndItsKeyStaysHeld) {
    machine().hold("bad");
    machine().hold("good");
    for (const auto* key : {"bad", "good"}) {
        letter(key[0] == 'b' ? 1 : 3, key);
        letter(key[0] == 'b' ? 2 : 4, key);
        decide(key);
    }
    step();
    ASSERT_EQ(other_.keys(), (Keys{"bad", "bad", "good", "good"}));
    other_.report_each([](const auto& sent) {
        return sent.key == "bad" ? std::pair(Outcome::refused_event, std::string_view("BAD"))
                                 : std::pair(Outcome::retryable, std::string_view("_PURGE_QUEUE"));
    });
    step();
    // One of a key is in flight, and the second of the bad one never is.
    EXPECT_EQ(other_.careful.keys(), (Keys{"bad", "good"}));
    other_.careful.report_one("bad", Outcome::refused_event, "BAD");
    other_.careful.report(Outcome::acknowledged);
    EXPECT_EQ(other_.careful.keys(), Keys{"good"});
    other_.careful.report(Outcome::acknowledged);
    steps();
    EXPECT_EQ(settled(), (Ids{-1, 3, 4}));
    EXPECT_EQ(lanes_.settled.front().error_class, "BAD");
    EXPECT_EQ(lanes_.settled.front().attempts, 1);
    EXPECT_TRUE(machine().holds("bad"));
    EXPECT_FALSE(machine().holds("good"));
}

TEST_F(ReplayTest, ABatchThatIsRefusedIsSplitUntilOneIsToBlame) {
    for (std::int64_t id = 1; id <= 3; ++id) {
        const auto key = "k" + std::to_string(id);
        machine().hold(key);
        letter(id, key);
        decide(key);
    }
    step();
    other_.report(Outcome::refused_event, "BAD");
    step();
    // Together, and of none is known that it is bad.
    ASSERT_EQ(other_.careful.keys().size(), 3U);
    other_.careful.report(Outcome::refused_event, "BAD");
    EXPECT_EQ(settled(), Ids());
    for (int i = 0; i < 20 && !other_.careful.sent.empty(); ++i) {
        const bool is_alone = other_.careful.sent.size() == 1;
        const bool is_bad = std::ranges::count(other_.careful.keys(), "k2") > 0;
        other_.careful.report(
            is_bad ? Outcome::refused_event : Outcome::acknowledged, is_bad ? "BAD" : ""
        );
        if (is_alone && is_bad) break;
    }
    while (!other_.careful.sent.empty()) other_.careful.report(Outcome::acknowledged);
    steps();
    auto all = settled();
    std::ranges::sort(all);
    EXPECT_EQ(all, (Ids{-2, 1, 3}));
}

TEST_F(ReplayTest, WhatTheClientCannotSendIsParkedAgain) {
    machine().hold("k");
    letter(1, "k");
    letter(2, "k");
    decide("k");
    other_.refuses = Error(Code::rejected, "too large", "MSG_SIZE_TOO_LARGE");
    steps();
    EXPECT_EQ(settled(), Ids{-1});
    EXPECT_EQ(lanes_.settled.front().error, "too large");
    EXPECT_TRUE(machine().holds("k"));
}

TEST_F(ReplayTest, AKeyWithMoreLettersThanARoundTakesIsParkedMeanwhile) {
    machine().hold("k");
    for (std::int64_t id = 1; id <= 5; ++id) letter(id, "k");
    decide("k");
    lanes_.letters_max = 2;
    step();
    EXPECT_EQ(other_.keys(), (Keys{"k", "k"}));
    other_.report(Outcome::acknowledged);
    step();
    EXPECT_FALSE(machine().waits("k")) << "memory is for strangers";
    for (int i = 0; i < 10; ++i) {
        other_.report(Outcome::acknowledged);
        step();
    }
    EXPECT_EQ(settled(), (Ids{1, 2, 3, 4, 5}));
    EXPECT_FALSE(machine().holds("k"));
}

TEST_F(ReplayTest, WhereThereIsNoRoomWhatWaitsIsParkedAndReplayedInItsTurn) {
    make([](auto& limits) { limits.in_flight_bytes_max = 1; });
    machine().hold("k");
    letter(1, "k");
    decide("k");
    step();
    read(1, {"k", "other"}, 11);
    hand_over();
    delivery_.pump();
    kafka_.report(Outcome::acknowledged);
    EXPECT_EQ(parked().size(), 1U);
    letter(11, "k");
    for (int i = 0; i < 4; ++i) {
        other_.report(Outcome::acknowledged);
        steps();
    }
    EXPECT_EQ(settled(), (Ids{1, 11}));
    EXPECT_FALSE(machine().holds("k"));
}

TEST_F(ReplayTest, NothingLeavesOfALaneThatIsLost) {
    machine().hold("k");
    letter(1, "k");
    decide("k");
    step();
    ASSERT_EQ(other_.keys(), Keys{"k"});
    delivery_.lose(LaneId(1));
    replay_.lose(LaneId(1));
    EXPECT_TRUE(other_.keys().empty()) << "its publisher has ended";
    steps();
    EXPECT_EQ(settled(), Ids());
    EXPECT_FALSE(replay_.is_busy());
}

TEST_F(ReplayTest, ALaneThatAnotherHasTakenOverIsLost) {
    machine().hold("k");
    letter(1, "k");
    decide("k");
    step();
    lanes_.lost = {1};
    other_.report(Outcome::acknowledged);
    steps();
    EXPECT_FALSE(delivery_.owns(LaneId(1)));
    EXPECT_TRUE(delivery_.owns(LaneId(2)));
}

TEST_F(ReplayTest, WhatCannotBeWrittenIsWrittenLaterAndNotSentAgain) {
    machine().hold("k");
    letter(1, "k");
    decide("k");
    step();
    lanes_.settling_fails = Error(Code::timed_out, "a lock");
    other_.report(Outcome::acknowledged);
    steps();
    EXPECT_EQ(settled(), Ids{1});
    EXPECT_EQ(other_.calls, (Keys{"begin", "k", "commit"}));
}

TEST_F(ReplayTest, WhenItStopsNothingNewBegins) {
    machine().hold("k");
    letter(1, "k");
    decide("k");
    step(false);
    EXPECT_TRUE(other_.calls.empty());
    step();
    ASSERT_EQ(other_.keys(), Keys{"k"});
    (void)run([&]() -> Task<Result<>> {
        co_await replay_.end(lanes_, Deadline::in(1h));
        co_return Result<>();
    }());
    EXPECT_FALSE(replay_.is_busy());
    EXPECT_EQ(settled(), Ids()) << "nobody knows whether it arrived";
}

TEST_F(ReplayTest, OneLetterOfATopicIsTriedAndAllFollowWhenItHasArrived) {
    using Topics = std::vector<std::string>;
    lanes_.waiting = {"shut", "shut", "closed"};
    step();
    ASSERT_EQ(lanes_.revivals.size(), 1U);
    EXPECT_EQ(lanes_.revivals[0].letters, 1U);
    EXPECT_EQ(lanes_.waiting, Topics{"shut"});
    letter(1, "a");
    letter(2, "b");
    lanes_.letters_left[0].event.topic = "shut";
    lanes_.letters_left[1].event.topic = "closed";
    decide("a");
    decide("b");
    steps();
    EXPECT_EQ(lanes_.revivals.size(), 1U) << "nobody knows yet";
    other_.report_each([](const FakeKafka::Sent& one) {
        using Verdict = std::pair<Outcome, std::string_view>;
        return one.topic == "closed" ? Verdict(Outcome::refused_topic, "TOPIC_AUTHORIZATION_FAILED")
                                     : Verdict(Outcome::acknowledged, "");
    });
    steps();
    ASSERT_EQ(lanes_.settled.size(), 2U);
    EXPECT_FALSE(lanes_.settled[0].waits);
    EXPECT_TRUE(lanes_.settled[1].waits);
    EXPECT_EQ(lanes_.settled[1].attempts, 0) << "nothing is wrong with the event";
    ASSERT_EQ(lanes_.revivals.size(), 2U);
    EXPECT_EQ(lanes_.revivals[1].topics, Topics{"shut"});
    EXPECT_EQ(lanes_.waiting, Topics());
}

TEST_F(ReplayTest, WhatIsPausedIsNotSentAndIsTriedAtOnceWhenItIsResumed) {
    using Scope = outbox::Pause::Scope;
    using Texts = std::vector<std::string>;
    const auto pause = [&](std::vector<outbox::Pause> all) {
        delivery_.pause(std::move(all), Delivery::Clock::now());
    };
    pause({{Scope::key, "k", "x"}, {Scope::topic, "shut", "x"}, {Scope::topic, "t", "x"}});
    letter(1, "k");
    letter(2, "l");
    letter(3, "m");
    lanes_.letters_left[0].event.topic = "open";
    lanes_.letters_left[1].event.topic = "shut";
    lanes_.letters_left[2].event.topic = "open";
    for (const auto* key : {"k", "l", "m"}) decide(key);
    steps();
    EXPECT_EQ(other_.keys(), Keys{"m"});
    ASSERT_EQ(lanes_.revivals.size(), 1U);
    EXPECT_EQ(lanes_.revivals[0].paused_topics, (Texts{"shut", "t", ""})) << "t is the usual one";
    EXPECT_EQ(lanes_.revivals[0].paused_keys, Texts{"k"});
    other_.report(Outcome::acknowledged);
    pause({{Scope::everything, "", "x"}});
    steps();
    EXPECT_EQ(settled(), Ids{3});
    EXPECT_TRUE(other_.keys().empty());
    pause({});
    steps();
    EXPECT_EQ(other_.keys(), (Keys{"k", "l"}));
    EXPECT_EQ(lanes_.revivals.size(), 2U) << "what waits for what was resumed need not wait longer";
}

TEST_F(ReplayTest, ATopicThatIsTheUsualOneIsTriedUnderBothOfItsNames) {
    using Topics = std::vector<std::string>;
    lanes_.waiting = {"", "t"};
    step();
    letter(1, "a");
    decide("a");
    steps();
    other_.report(Outcome::acknowledged);
    steps();
    ASSERT_EQ(lanes_.revivals.size(), 2U);
    EXPECT_EQ(lanes_.revivals[1].topics, (Topics{"", "t"}));
}

TEST_F(ReplayTest, AKeyWhoseReplayHadBegunIsTakenUpByTheNextOwner) {
    letter(1, "k");
    machine().hold("k");
    replay_.add(LaneId(1), {"k"});
    step();
    EXPECT_EQ(other_.keys(), Keys{"k"});
}

}  // namespace
}  // namespace txstream::relay
