#include "outbox/audit.hpp"
#include "outbox/jobs.hpp"
#include "tests/support/outbox_database.hpp"

#include <algorithm>
#include <chrono>

namespace txstream::outbox {
namespace {

using namespace std::chrono_literals;
using tests::must;
using tests::soon;
using Texts = std::vector<std::string>;

/// Operators make jobs and relays take their steps, each with the rights of its role; what the
/// owners of the lanes do to the letters is written by hand.
class JobsPgTest : public tests::OutboxTest {
protected:
    /// Dead letters with these ids, each of its own key unless one is given.
    void park(int first, int last, const std::string& key = "'k' || n", bool is_held = false) {
        script(
            *superuser_,
            "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type,"
            " aggregate_id, event_type, key, payload, content_type, created_at, attempts,"
            " error_class, error) SELECT n, '900', gen_random_uuid(), txstream.lane_of(" +
                key + "), 'T', 'a', 'E', " + key + ", '{}', 'application/json', now(), 1, '" +
                (is_held ? "held" : "BAD") + "', 'why' FROM generate_series(" +
                std::to_string(first) + ", " + std::to_string(last) + ") n"
        );
    }
    static Signature by(const std::string& actor) {
        return {actor, "cli", R"({"all":true})", "why"};
    }
    std::int64_t create(
        std::uint64_t total, Decision decision = Decision::replay, std::optional<int> rate = {}
    ) {
        const auto id = must(wait(create_job(*operator_, decision, total, rate, by("me"), soon())));
        EXPECT_TRUE(id);
        return id.value_or(0);
    }
    std::optional<DueJob> due(JobLimits limits = {4, 100}) {
        return must(wait(due_job(*relay_, limits, soon())));
    }
    JobStep take(const DueJob& job, const LetterSelection& letters = {}) {
        return must(wait(take_step(*relay_, job, letters, "relay-1", soon())));
    }
    /// The next step; how many letters it decided about.
    std::uint64_t step(JobLimits limits = {4, 100}) {
        const auto job = due(limits);
        EXPECT_TRUE(job);
        return job ? take(*job).decided : 0;
    }
    std::int64_t end() { return must(wait(end_jobs(*relay_, soon()))); }
    Job look(std::int64_t id) {
        auto found = must(wait(job(*operator_, id, soon())));
        EXPECT_TRUE(found);
        return found.value_or(Job());
    }
    /// state: decided, waiting, carried out, parked again
    std::string figures(std::int64_t id) {
        const auto one = look(id);
        std::string text(to_string(one.state));
        for (const auto number : {one.decided, one.waiting, one.carried_out, one.parked_again})
            text += " " + std::to_string(number);
        return text;
    }
    void carry_out(const std::string& condition) {
        script(
            *superuser_,
            "UPDATE txstream.dead_letters SET decided = false, state = CASE state"
            " WHEN 'replaying' THEN 'replayed' ELSE state END WHERE decided AND " +
                condition
        );
    }
    void refuse_again(const std::string& condition) {
        script(
            *superuser_,
            "UPDATE txstream.dead_letters SET decided = false, state = 'parked',"
            " attempts = attempts + 1, resolved_by = NULL, resolved_at = NULL WHERE " +
                condition
        );
    }
    Texts decided() {
        return rows("SELECT id::text FROM txstream.dead_letters WHERE decided ORDER BY id");
    }
    Texts audit() {
        return rows(
            "SELECT action || ' ' || affected || ' ' || result || ' job ' || job"
            " FROM txstream.audit ORDER BY id"
        );
    }
    std::string refusal(const std::string& role, const std::string& sql) {
        const auto session = connect("SET ROLE " + role);
        const auto done = try_script(*session, sql);
        return done ? "done" : done.error().origin();
    }

    std::unique_ptr<pg::Connection> operator_ =
        connect(std::string("SET ROLE txstream_operator; ") + kDecisionSettings);
    std::unique_ptr<pg::Connection> relay_ =
        connect(std::string("SET ROLE txstream_relay; ") + kJobSettings);
};

TEST_F(JobsPgTest, StepsDecideAboutTheLettersInTheirOrderAndTheJobEndsWhenTheyAreCarriedOut) {
    park(1, 10);
    const auto id = create(10);
    EXPECT_EQ(figures(id), "waiting 0 0 0 0");
    EXPECT_EQ(step(), 4U);
    EXPECT_EQ(decided(), (Texts{"1", "2", "3", "4"}));
    EXPECT_EQ(figures(id), "running 4 4 0 0");
    EXPECT_EQ(
        rows("SELECT DISTINCT state || ' ' || job || ' ' || resolved_by || ' ' || resolved_reason"
             " FROM txstream.dead_letters WHERE decided"),
        Texts{"replaying " + std::to_string(id) + " me why"}
    );
    carry_out("id <= 3");
    EXPECT_EQ(step(), 4U);
    EXPECT_EQ(step(), 2U);
    EXPECT_FALSE(due()) << "all are decided";
    EXPECT_EQ(figures(id), "running 10 7 3 0");
    EXPECT_EQ(end(), 1) << "letters wait";
    refuse_again("id = 4");
    carry_out("true");
    EXPECT_EQ(figures(id), "done 10 0 9 1");
    EXPECT_TRUE(look(id).has_ended());
    EXPECT_FALSE(look(id).ended_at);
    EXPECT_EQ(end(), 0);
    EXPECT_TRUE(look(id).ended_at);
    script(*superuser_, "DELETE FROM txstream.dead_letters");
    EXPECT_EQ(figures(id), "done 10 0 9 1") << "its figures are its own by now";
    const auto job = " job " + std::to_string(id);
    EXPECT_EQ(
        audit(),
        (Texts{
            "dead-letters replay 0 10 to be decided by relays" + job,
            "dead-letters replay 4 1 to 4 of 10" + job,
            "dead-letters replay 4 5 to 8 of 10" + job,
            "dead-letters replay 2 9 to 10 of 10" + job
        })
    );
    const auto entries = must(wait(audit_entries(*operator_, {}, {}, 1, soon())));
    EXPECT_EQ(entries.at(0).job, id);
    EXPECT_EQ(look(id).runner, "relay-1");
}

TEST_F(JobsPgTest, OfTwoRelaysAtTheSamePlaceOneTakesTheStep) {
    park(1, 10);
    const auto id = create(10);
    const auto seen = due();
    ASSERT_TRUE(seen);
    EXPECT_TRUE(take(*seen).is_taken);
    const auto late = take(*seen);
    EXPECT_FALSE(late.is_taken);
    EXPECT_EQ(late.decided, 0U);
    EXPECT_EQ(figures(id), "running 4 4 0 0");
}

TEST_F(JobsPgTest, AStepDoesNotWaitForAnothersAndDecidesNothingMeanwhile) {
    park(1, 10);
    create(10);
    const auto seen = due();
    ASSERT_TRUE(seen);
    const auto other = connect();
    script(*other, "BEGIN; SELECT 1 FROM txstream.jobs FOR UPDATE");
    EXPECT_FALSE(take(*seen).is_taken);
    EXPECT_EQ(decided(), Texts());
    script(*other, "ROLLBACK");
    EXPECT_TRUE(take(*seen).is_taken);
}

TEST_F(JobsPgTest, ACancelledJobDecidesNoMoreAndWhatIsDecidedIsCarriedOut) {
    park(1, 10);
    const auto id = create(10);
    step();
    const auto seen = due();
    ASSERT_TRUE(seen);
    EXPECT_TRUE(must(wait(cancel_job(*operator_, id, by("you"), soon()))));
    EXPECT_FALSE(take(*seen).is_taken) << "not even a step that had been due";
    EXPECT_FALSE(due());
    EXPECT_FALSE(must(wait(cancel_job(*operator_, id, by("you"), soon()))));
    EXPECT_FALSE(must(wait(cancel_job(*operator_, 4711, by("you"), soon()))));
    EXPECT_EQ(figures(id), "cancelled 4 4 0 0");
    EXPECT_EQ(look(id).cancelled_by, "you");
    EXPECT_EQ(end(), 1);
    carry_out("true");
    EXPECT_EQ(end(), 0);
    EXPECT_EQ(figures(id), "cancelled 4 0 4 0");
    EXPECT_EQ(audit().back(), "jobs cancel 0 4 of 10 were decided job " + std::to_string(id));
}

TEST_F(JobsPgTest, NoStepGoesBeyondWhatOneJobHasInHandAndOthersGoOn) {
    park(1, 20);
    create(20);
    EXPECT_EQ(step({4, 8}), 4U);
    EXPECT_EQ(step({4, 8}), 4U);
    EXPECT_FALSE(due({4, 8})) << "eight wait";
    const auto other = create(20);
    const auto next = due({4, 8});
    ASSERT_TRUE(next);
    EXPECT_EQ(next->id, other);
    take(*next);
    carry_out("id <= 3");
    const auto again = due({4, 8});
    ASSERT_TRUE(again);
    EXPECT_EQ(again->id, other) << "the first one has no room for a whole step";
    carry_out("id <= 4");
    EXPECT_NE(due({4, 8})->id, other) << "its last step is longer ago";
}

TEST_F(JobsPgTest, AJobWithARateTakesAStepEachSecondOfWhatTheTimeAllows) {
    park(1, 100);
    const auto id = create(100, Decision::replay, 6);
    EXPECT_EQ(step({50, 100}), 6U) << "a second's worth";
    // A slow machine may be a second late, but not each time.
    const auto until = soon();
    bool rests = false;
    while (!rests && !until.passed()) {
        script(*superuser_, "UPDATE txstream.jobs SET stepped_at = clock_timestamp()");
        rests = !due({50, 100});
    }
    EXPECT_TRUE(rests);
    const auto letters_after = [&](const std::string& ago) {
        script(
            *superuser_,
            "UPDATE txstream.jobs SET stepped_at = clock_timestamp() - interval '" + ago + "'"
        );
        const auto next = due({50, 100});
        return next ? next->letters : 0;
    };
    EXPECT_EQ(letters_after("1 hour"), 12U) << "what was not used is lost: no burst";
    EXPECT_GE(letters_after("1500 ms"), 9U);
    EXPECT_EQ(letters_after("-1 hour"), 6U) << "a clock that was set back stops nothing";
    EXPECT_EQ(look(id).rate, 6);
    script(*superuser_, "UPDATE txstream.jobs SET total = 8");
    EXPECT_EQ(letters_after("1 hour"), 2U) << "no more than it is about";
}

TEST_F(JobsPgTest, WhatIsRefusedAgainIsLeftAndStandsBeforeTheRestOfItsKey) {
    park(1, 3, "'a'");
    park(4, 4, "'b'");
    const auto id = create(4);
    EXPECT_EQ(step({1, 100}), 1U);
    refuse_again("id = 1");
    EXPECT_EQ(step({1, 100}), 0U) << "letter 2 stands behind it";
    EXPECT_EQ(step({1, 100}), 0U) << "and so does letter 3";
    EXPECT_EQ(step({1, 100}), 1U);
    EXPECT_EQ(decided(), Texts{"4"});
    EXPECT_EQ(step({1, 100}), 0U) << "there are no more";
    EXPECT_FALSE(due({1, 100}));
    EXPECT_EQ(figures(id), "running 2 1 0 1");
}

TEST_F(JobsPgTest, WhatStandsBehindARefusedOneIsParkedWithItUnlessThatOneWaitsForItsTopic) {
    park(1, 3, "'a'");
    park(4, 4, "'b'");
    const auto id = create(4);
    EXPECT_EQ(step(), 4U);
    const auto freed = [&] { return must(wait(park_stuck(*relay_, 100, soon()))); };
    EXPECT_EQ(freed(), 0) << "all can be sent";
    refuse_again("id = 1");
    script(*superuser_, "UPDATE txstream.dead_letters SET waits = true WHERE id = 1");
    EXPECT_EQ(freed(), 0) << "it is sent by itself";
    script(*superuser_, "UPDATE txstream.dead_letters SET waits = false WHERE id = 1");
    EXPECT_EQ(freed(), 2);
    EXPECT_EQ(decided(), Texts{"4"});
    EXPECT_EQ(figures(id), "running 4 1 0 3");
    // What an owner of lanes decided by itself is its own.
    script(
        *superuser_,
        "UPDATE txstream.dead_letters SET state = 'replaying', decided = true, job = NULL WHERE id "
        "= 2"
    );
    EXPECT_EQ(freed(), 0);
}

TEST_F(JobsPgTest, AJobThatCannotGoOnEndsWithTheReason) {
    park(1, 10);
    const auto id = create(10);
    step();
    must(wait(fail_job(*relay_, id, "it cannot", soon())));
    EXPECT_FALSE(due());
    EXPECT_EQ(figures(id), "failed 4 4 0 0");
    EXPECT_EQ(look(id).error, "it cannot");
    EXPECT_FALSE(must(wait(cancel_job(*operator_, id, by("you"), soon()))));
    carry_out("true");
    EXPECT_EQ(end(), 0);
    EXPECT_EQ(figures(id), "failed 4 0 4 0");
}

TEST_F(JobsPgTest, ADecisionAtOnceIsAJobThatIsDecided) {
    park(1, 3);
    park(4, 4, "'k1'", true);
    const auto done =
        must(wait(decide_at_once(*operator_, Decision::discard, {}, 3, by("me"), soon())));
    EXPECT_EQ(done.matching, 3U);
    EXPECT_EQ(done.decided, 3U);
    EXPECT_EQ(figures(done.job), "running 3 3 0 0");
    EXPECT_FALSE(due());
    EXPECT_EQ(audit(), Texts{"dead-letters discard 3 done job " + std::to_string(done.job)});
    carry_out("true");
    EXPECT_EQ(end(), 0);
    EXPECT_EQ(figures(done.job), "done 3 0 3 0");
    const auto none =
        must(wait(decide_at_once(*operator_, Decision::discard, {}, 3, by("me"), soon())));
    EXPECT_EQ(none.job, 0);
    EXPECT_EQ(one("SELECT count(*)::text FROM txstream.jobs"), "1") << "nothing is no job";
}

TEST_F(JobsPgTest, JobsAreListedNewestFirstInPartsAndByState) {
    park(1, 4);
    const auto first = create(4);
    step();
    carry_out("true");
    end();
    const auto second = create(4);
    const auto third = create(4);
    must(wait(cancel_job(*operator_, third, by("me"), soon())));
    const auto ids = [&](JobFilter filter, std::size_t limit) {
        std::vector<std::int64_t> all;
        for (const auto& one : must(wait(jobs(*operator_, filter, limit, soon()))))
            all.push_back(one.id);
        return all;
    };
    using Ids = std::vector<std::int64_t>;
    EXPECT_EQ(ids({}, 10), (Ids{third, second, first}));
    EXPECT_EQ(ids({}, 2), (Ids{third, second}));
    EXPECT_EQ(ids({.before = second}, 10), Ids{first});
    EXPECT_EQ(ids({.state = JobState::done}, 10), Ids{first});
    EXPECT_EQ(ids({.state = JobState::cancelled}, 10), Ids{third});
    EXPECT_EQ(ids({.is_open = true}, 10), (Ids{third, second}));
}

TEST_F(JobsPgTest, SoManyJobsAreDecidedAndNoMore) {
    script(
        *superuser_,
        "INSERT INTO txstream.jobs (kind, selection, total, actor, origin, reason)"
        " SELECT 'replay', '{\"all\": true}', 1, 'me', 'cli', '' FROM generate_series(1, " +
            std::to_string(kJobsDecidingMax - 1) + ")"
    );
    create(1);
    EXPECT_FALSE(must(wait(create_job(*operator_, Decision::replay, 1, {}, by("me"), soon()))));
    EXPECT_EQ(audit().size(), 1U);
}

// Aim: what decides about many letters does so in a burst's table too, whose statistics are those
// of an empty one. Such a plan took 37 s for 12,000 letters.
TEST_F(JobsPgTest, TheStatisticsOfAnEmptyTableMakeNoDecisionSlow) {
    script(
        *superuser_,
        "ALTER TABLE txstream.dead_letters SET (autovacuum_enabled = false);"
        "ANALYZE txstream.dead_letters"
    );
    park(1, 9'000);
    park(9'001, 12'000, "'one'");
    const auto begun = Deadline::Clock::now();
    const auto deadline = Deadline::in(15s);
    create(2'500);
    const auto due = must(wait(due_job(*relay_, {}, deadline)));
    ASSERT_TRUE(due);
    EXPECT_EQ(must(wait(take_step(*relay_, *due, {}, "r", deadline))).decided, 2'500U);
    const auto counts = must(wait(count_decision(*operator_, Decision::replay, {}, 5, deadline)));
    EXPECT_EQ(counts.letters, 9'500U);
    const auto done =
        must(wait(decide_at_once(*operator_, Decision::replay, {}, 10'000, by("me"), deadline)));
    EXPECT_EQ(done.decided, 9'500U);
    refuse_again("id = 9001");
    EXPECT_EQ(must(wait(park_stuck(*relay_, 12'000, deadline))), 2'999);
    carry_out("id <= 9000");
    EXPECT_EQ(must(wait(end_jobs(*relay_, deadline))), 0);
    EXPECT_LT(Deadline::Clock::now() - begun, 15s);
}

TEST_F(JobsPgTest, OperatorsMakeAndCancelJobsRelaysTakeTheirStepsAndNobodyDoesMore) {
    const std::string denied = "42501";
    const std::string made =
        "INSERT INTO txstream.jobs (kind, selection, total, actor, origin, reason)"
        " VALUES ('replay', '{\"all\": true}', 1, 'me', 'cli', '')";
    EXPECT_EQ(refusal("txstream_operator", made), "done");
    for (const char* role : {"txstream_relay", "txstream_reader", "txstream_writer"})
        EXPECT_EQ(refusal(role, made), denied) << role;
    for (const char* role : {"txstream_operator", "txstream_relay", "txstream_reader"}) {
        EXPECT_EQ(refusal(role, "SELECT 1 FROM txstream.jobs"), "done") << role;
        EXPECT_EQ(refusal(role, "DELETE FROM txstream.jobs"), denied) << role;
        EXPECT_EQ(refusal(role, "UPDATE txstream.jobs SET actor = 'other'"), denied) << role;
        EXPECT_EQ(refusal(role, "UPDATE txstream.jobs SET selection = '{}'"), denied) << role;
        EXPECT_EQ(refusal(role, "UPDATE txstream.jobs SET total = 1000"), denied) << role;
    }
    const std::string cancelled =
        "UPDATE txstream.jobs SET cancelled_at = now(), cancelled_by = 'me', cancel_reason = ''";
    EXPECT_EQ(refusal("txstream_operator", cancelled), "done");
    EXPECT_EQ(refusal("txstream_relay", cancelled), denied);
    EXPECT_EQ(refusal("txstream_operator", "UPDATE txstream.jobs SET decided = 1"), denied);
    EXPECT_EQ(refusal("txstream_operator", "UPDATE txstream.jobs SET error = 'x'"), denied);
    EXPECT_EQ(
        refusal(
            "txstream_operator",
            "INSERT INTO txstream.jobs (login, kind, selection, total, actor, origin, reason)"
            " VALUES ('other', 'replay', '{}', 1, 'me', 'cli', '')"
        ),
        denied
    );
    EXPECT_EQ(
        refusal(
            "txstream_relay",
            "INSERT INTO txstream.audit (login, actor, origin, action, target, reason, affected,"
            " result) VALUES ('other', 'me', 'cli', 'a', '{}', '', 1, 'done')"
        ),
        denied
    );
}

}  // namespace
}  // namespace txstream::outbox
