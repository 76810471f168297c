#include "operations/dead_letters.hpp"
#include "outbox/audit.hpp"
#include "outbox/jobs.hpp"
#include "tests/support/outbox_database.hpp"

#include <chrono>

namespace txstream::operations {
namespace {

using namespace std::chrono_literals;
using outbox::Decision;
using tests::must;
using tests::soon;

/// Operators decide under the rights of their role; what the relay does to the letters is written
/// by hand.
class OperationsPgTest : public tests::OutboxTest {
protected:
    /// A dead letter with this id.
    void park(int id, const std::string& key, const std::string& error_class = "BAD") {
        script(
            *superuser_,
            "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type,"
            " aggregate_id, event_type, topic, key, payload, content_type, created_at, attempts,"
            " error_class, error) VALUES (" +
                std::to_string(id) + ", '900', gen_random_uuid(), txstream.lane_of(" + key +
                "), 'T', 'a', 'E" + std::to_string(id % 2) + "', NULL, " + key +
                ", '{}', 'application/json', now(), 1, '" + error_class + "', 'why')"
        );
    }
    Result<Plan> try_plan(Decision decision, const Selection& selection) {
        return wait(operations::plan(*operator_, decision, selection, soon()));
    }
    Plan plan(Decision decision, const Selection& selection) {
        return must(try_plan(decision, selection));
    }
    Result<Started> try_start(const Plan& plan, const Authority& authority) {
        return wait(operations::start(*operator_, plan, authority, soon()));
    }
    Started start(const Plan& plan, const Authority& authority = kMe) {
        return must(try_start(plan, authority));
    }
    outbox::Job outcome(std::int64_t job, Deadline deadline) {
        return must(wait(operations::wait(*operator_, job, {}, deadline)));
    }
    /// "id:state", with "!" where the owner has something to do.
    std::vector<std::string> states() {
        return rows(
            "SELECT id || ':' || state || CASE WHEN decided THEN '!' ELSE '' END"
            " FROM txstream.dead_letters ORDER BY id, xid"
        );
    }
    std::vector<std::string> audit() {
        return rows(
            "SELECT action || ' ' || affected || ' ' || result FROM txstream.audit ORDER BY id"
        );
    }
    static std::vector<std::string> refs(const Plan& plan) {
        std::vector<std::string> all;
        for (const auto& letter : plan.counts.sample) all.push_back(outbox::event_ref(letter.seq));
        return all;
    }

    static inline const Authority kMe{"me@here", "cli", "it's fixed"};
    std::unique_ptr<pg::Connection> operator_ = connect("SET ROLE txstream_operator");
};

using Texts = std::vector<std::string>;

TEST_F(OperationsPgTest, AReplayDecidesAboutTheParkedAndLeavesTheHeldToFollow) {
    park(1, "'a'");
    park(2, "'a'", "held");
    park(3, "'b'");
    park(4, "'a'", "held");
    const auto planned = plan(Decision::replay, {.is_all = true});
    EXPECT_EQ(planned.counts.letters, 2U);
    EXPECT_EQ(planned.counts.keys, 2U);
    EXPECT_EQ(planned.counts.held, 2U);
    EXPECT_EQ(planned.counts.blocked, 0U);
    EXPECT_EQ(refs(planned), (Texts{"1.900", "3.900"}));
    EXPECT_EQ(states(), (Texts{"1:parked", "2:parked", "3:parked", "4:parked"})) << "it only looks";
    EXPECT_EQ(audit(), Texts());
    const auto started = start(planned);
    EXPECT_EQ(started.letters, 2U);
    EXPECT_TRUE(started.is_decided);
    EXPECT_EQ(states(), (Texts{"1:replaying!", "2:parked", "3:replaying!", "4:parked"}));
    EXPECT_EQ(
        rows("SELECT DISTINCT resolved_by || ' ' || resolved_reason || ' ' ||"
             " (clock_timestamp() - resolved_at < interval '1 minute')::text"
             " FROM txstream.dead_letters WHERE decided"),
        Texts{"me@here it's fixed true"}
    );
    const auto entries = must(wait(outbox::audit_entries(*operator_, {}, {}, 10, soon())));
    ASSERT_EQ(entries.size(), 1U);
    const auto& entry = entries[0];
    EXPECT_EQ(
        entry.actor + "|" + entry.origin + "|" + entry.action, "me@here|cli|dead-letters replay"
    );
    EXPECT_EQ(
        entry.target + "|" + entry.reason + "|" + entry.result, R"({"all":true}|it's fixed|done)"
    );
    EXPECT_EQ(entry.affected, 2);
    EXPECT_EQ(entry.job, started.job);
    EXPECT_EQ(entry.login, one("SELECT session_user::text"));
}

TEST_F(OperationsPgTest, ALetterIsNamedByItsIdItsTransactionOrItsEventId) {
    park(1, "'a'");
    park(2, "'b'");
    EXPECT_EQ(refs(plan(Decision::replay, {.id = "2"})), Texts{"2.900"});
    EXPECT_EQ(refs(plan(Decision::replay, {.id = "2.900"})), Texts{"2.900"});
    const auto event = one("SELECT event_id::text FROM txstream.dead_letters WHERE id = 1");
    EXPECT_EQ(refs(plan(Decision::replay, {.event_id = event})), Texts{"1.900"});
    const auto none = try_plan(Decision::replay, {.id = "2.901"});
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code(), Code::not_found);
    script(
        *superuser_,
        "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type, aggregate_id,"
        " event_type, key, content_type, created_at, attempts, error_class, error)"
        " SELECT id, '901', event_id, lane, aggregate_type, aggregate_id, event_type, key,"
        " content_type, created_at, attempts, error_class, error FROM txstream.dead_letters WHERE "
        "id = 1"
    );
    const auto two = try_plan(Decision::replay, {.id = "1"});
    ASSERT_FALSE(two);
    EXPECT_NE(two.error().what().find("1.901"), std::string::npos) << two.error().what();
}

TEST_F(OperationsPgTest, AConditionSelectsWhatMatchesAllOfThem) {
    park(1, "'a'", "X");
    park(2, "'b'", "X");
    park(3, "'c'", "Y");
    park(4, R"('it''s "a" \ key')", "X");
    script(*superuser_, "UPDATE txstream.dead_letters SET topic = 't' WHERE id = 2");
    EXPECT_EQ(
        refs(plan(Decision::replay, {.error_class = "X"})), (Texts{"1.900", "2.900", "4.900"})
    );
    EXPECT_EQ(
        refs(plan(Decision::replay, {.error_class = "X", .event_type = "E0"})),
        (Texts{"2.900", "4.900"})
    );
    EXPECT_EQ(refs(plan(Decision::replay, {.topic = "t"})), Texts{"2.900"});
    EXPECT_EQ(refs(plan(Decision::replay, {.topic = ""})), (Texts{"1.900", "3.900", "4.900"}));
    EXPECT_EQ(refs(plan(Decision::replay, {.key = R"(it's "a" \ key)"})), Texts{"4.900"});
    EXPECT_EQ(plan(Decision::replay, {.key = "none"}).counts.letters, 0U);
}

TEST_F(OperationsPgTest, ALetterBehindAnEarlierParkedOneIsRefusedByNameOrLeftOut) {
    park(1, "'a'", "X");
    park(2, "'a'", "Y");
    park(3, "'b'", "Y");
    park(4, "'a'", "Y");
    park(5, "'a'", "held");
    park(6, "'b'", "held");
    const auto one_of = try_plan(Decision::replay, {.id = "2"});
    ASSERT_FALSE(one_of);
    EXPECT_EQ(one_of.error().origin(), kLetterOrigin);
    EXPECT_NE(one_of.error().what().find("before 1.900"), std::string::npos)
        << one_of.error().what();
    const auto group = plan(Decision::replay, {.error_class = "Y"});
    EXPECT_EQ(group.counts.letters, 1U);
    EXPECT_EQ(group.counts.blocked, 2U);
    EXPECT_EQ(group.counts.held, 1U) << "the one behind letter 4 stays where it is";
    EXPECT_EQ(start(group).letters, 1U);
    EXPECT_EQ(rows("SELECT id::text FROM txstream.dead_letters WHERE decided"), Texts{"3"});
    EXPECT_EQ(plan(Decision::replay, {.key = "a"}).counts.letters, 3U);
    EXPECT_EQ(plan(Decision::replay, {.id = "1"}).counts.held, 0U) << "letter 2 stands before it";
    // A discard needs nothing before it.
    EXPECT_EQ(plan(Decision::discard, {.error_class = "Y"}).counts.letters, 2U);
}

TEST_F(OperationsPgTest, AHeldLetterNeedsNoDecisionAndNamesTheOneItWaitsFor) {
    park(1, "'a'");
    park(2, "'a'", "held");
    const auto waits = try_plan(Decision::replay, {.id = "2"});
    ASSERT_FALSE(waits);
    EXPECT_NE(waits.error().what().find("as soon as 1.900"), std::string::npos)
        << waits.error().what();
    EXPECT_FALSE(try_plan(Decision::replay, {.error_class = "held"}));
    start(plan(Decision::replay, {.id = "1"}));
    const auto follows = try_plan(Decision::replay, {.id = "2"});
    ASSERT_FALSE(follows);
    EXPECT_NE(follows.error().what().find("needs no decision"), std::string::npos);
    EXPECT_EQ(plan(Decision::replay, {.is_all = true}).counts.letters, 0U);
}

TEST_F(OperationsPgTest, ADiscardTakesHeldLettersOnlyWhereTheyAreNamed) {
    park(1, "'a'");
    park(2, "'a'", "held");
    park(3, "'a'", "held");
    const auto key = plan(Decision::discard, {.key = "a"});
    EXPECT_EQ(refs(key), Texts{"1.900"});
    EXPECT_EQ(key.counts.held, 2U) << "these go on";
    EXPECT_EQ(refs(plan(Decision::discard, {.error_class = "held"})), (Texts{"2.900", "3.900"}));
    const auto one_of = plan(Decision::discard, {.id = "3"});
    EXPECT_EQ(one_of.counts.held, 0U);
    start(one_of);
    start(key);
    EXPECT_EQ(states(), (Texts{"1:discarded!", "2:parked", "3:discarded!"}));
}

TEST_F(OperationsPgTest, WhatIsDecidedIsNotDecidedAgain) {
    park(1, "'a'");
    const auto planned = plan(Decision::replay, {.id = "1"});
    start(planned);
    for (const auto decision : {Decision::replay, Decision::discard}) {
        const auto again = try_plan(decision, {.id = "1"});
        ASSERT_FALSE(again);
        EXPECT_EQ(again.error().code(), Code::conflict);
    }
    const auto twice = try_start(planned, kMe);
    ASSERT_FALSE(twice);
    EXPECT_EQ(twice.error().origin(), kLetterOrigin);
    EXPECT_EQ(audit().size(), 1U) << "nothing was changed, so there is nothing to say";
}

TEST_F(OperationsPgTest, WhereMoreMatchThanWerePlannedNothingIsChangedUnlessItIsAllowed) {
    park(1, "'a'");
    const auto planned = plan(Decision::replay, {.error_class = "BAD"});
    park(2, "'b'");
    const auto refused = try_start(planned, kMe);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::conflict);
    EXPECT_EQ(states(), (Texts{"1:parked", "2:parked"}));
    EXPECT_EQ(audit(), Texts());
    auto allowing = kMe;
    allowing.letters_max = 2;
    EXPECT_EQ(start(planned, allowing).letters, 2U);
    EXPECT_EQ(audit(), Texts{"dead-letters replay 2 done"});
}

TEST_F(OperationsPgTest, ManyEventsOrARateMakeAJobThatRelaysDecideAbout) {
    for (int id = 1; id <= 5; ++id) park(id, "'k" + std::to_string(id) + "'");
    auto few = kMe;
    few.at_once_max = 4;
    const auto many = start(plan(Decision::discard, {.error_class = "BAD"}), few);
    EXPECT_FALSE(many.is_decided);
    EXPECT_EQ(many.letters, 5U);
    auto slow = kMe;
    slow.rate = 7;
    const auto slowly = start(plan(Decision::replay, {.key = "k1"}), slow);
    EXPECT_FALSE(slowly.is_decided);
    EXPECT_EQ(states(), (Texts{"1:parked", "2:parked", "3:parked", "4:parked", "5:parked"}))
        << "nothing is decided here";
    EXPECT_EQ(
        rows("SELECT kind || ' ' || selection || ' ' || total || ' ' || coalesce(rate, 0) || ' ' ||"
             " actor || ' ' || origin || ' ' || reason FROM txstream.jobs ORDER BY id"),
        (Texts{
            R"(discard {"error_class":"BAD"} 5 0 me@here cli it's fixed)",
            R"(replay {"key":"k1"} 1 7 me@here cli it's fixed)"
        })
    );
    EXPECT_EQ(
        audit(),
        (Texts{
            "dead-letters discard 0 5 to be decided by relays",
            "dead-letters replay 0 1 to be decided by relays"
        })
    );
    EXPECT_TRUE(start(plan(Decision::replay, {.id = "2"}), slow).is_decided)
        << "one letter needs no rate";
    EXPECT_EQ(
        must(wait(operations::cancel(*operator_, many.job, kMe, soon()))).state,
        outbox::JobState::cancelled
    );
    const auto again = wait(operations::cancel(*operator_, many.job, kMe, soon()));
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().origin(), kLetterOrigin);
    EXPECT_NE(again.error().what().find("cancelled already"), std::string::npos);
    const auto none = wait(operations::cancel(*operator_, 4711, kMe, soon()));
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code(), Code::not_found);
}

TEST_F(OperationsPgTest, WhatIsDecidedAtOnceCannotBeCancelled) {
    park(1, "'a'");
    const auto job = start(plan(Decision::replay, {.id = "1"})).job;
    const auto refused = wait(operations::cancel(*operator_, job, kMe, soon()));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::conflict);
    EXPECT_EQ(states(), Texts{"1:replaying!"});
}

TEST_F(OperationsPgTest, ALoginKnowsBeforehandWhetherItMayDecide) {
    EXPECT_TRUE(must(wait(outbox::may_decide(*operator_, soon()))));
    const auto reader = connect("SET ROLE txstream_reader");
    EXPECT_FALSE(must(wait(outbox::may_decide(*reader, soon()))));
}

TEST_F(OperationsPgTest, OfTwoOperatorsAtOnceTheFirstOneDecides) {
    park(1, "'a'");
    park(2, "'b'");
    const auto planned = plan(Decision::replay, {.is_all = true});
    const auto other = connect();
    script(
        *other,
        "BEGIN; UPDATE txstream.dead_letters SET state = 'discarded', decided = true WHERE id = 1"
    );
    std::optional<Result<Started>> started;
    tests::start(
        io_,
        operations::start(*operator_, planned, kMe, soon()),
        [&](const std::exception_ptr& thrown, Result<Started> result) {
            EXPECT_FALSE(thrown);
            started.emplace(std::move(result));
        }
    );
    const auto until = soon();
    while (!until.passed() &&
           one("SELECT count(*)::text FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
               " WHERE NOT l.granted AND a.datname = current_database()") == "0") {
    }
    script(*other, "COMMIT");
    while (!started && !until.passed()) {
        io_.restart();
        io_.run_one_for(1s);
    }
    ASSERT_TRUE(started);
    const auto one_of_two = must(std::move(*started));
    EXPECT_EQ(one_of_two.letters, 1U);
    EXPECT_EQ(states(), (Texts{"1:discarded!", "2:replaying!"}));
    EXPECT_EQ(audit(), Texts{"dead-letters replay 1 1 of 2"});
    EXPECT_EQ(outcome(one_of_two.job, Deadline::in(1s)).total, 1U);
}

TEST_F(OperationsPgTest, TheWaitSaysWhatBecameOfEachLetter) {
    for (int id = 1; id <= 4; ++id) park(id, "'k" + std::to_string(id) + "'");
    const auto job = start(plan(Decision::replay, {.is_all = true})).job;
    script(
        *superuser_,
        "UPDATE txstream.dead_letters SET state = 'replayed', decided = false WHERE id = 1;"
        "UPDATE txstream.dead_letters SET state = 'parked', decided = false, attempts = 2 WHERE id "
        "= 2;"
        "DELETE FROM txstream.dead_letters WHERE id = 3"
    );
    int looks = 0;
    const auto counted = [&](const outbox::Job&) { ++looks; };
    const auto short_of = must(wait(operations::wait(*operator_, job, counted, Deadline::in(2s))));
    EXPECT_GE(looks, 1);
    EXPECT_EQ(short_of.carried_out, 2U) << "what is gone was carried out before";
    EXPECT_EQ(short_of.parked_again, 1U);
    EXPECT_EQ(short_of.waiting, 1U);
    EXPECT_FALSE(short_of.has_ended());
    script(
        *superuser_,
        "UPDATE txstream.dead_letters SET state = 'replayed', decided = false WHERE id = 4"
    );
    EXPECT_EQ(outcome(job, soon()).waiting, 0U);
    const auto none = wait(operations::wait(*operator_, 4711, {}, soon()));
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code(), Code::not_found);
}

TEST_F(OperationsPgTest, ADiscardIsCarriedOutWhenItsOwnerHasSeenIt) {
    park(1, "'a'");
    const auto job = start(plan(Decision::discard, {.is_all = true})).job;
    EXPECT_EQ(outcome(job, Deadline::in(1s)).waiting, 1U);
    script(*superuser_, "UPDATE txstream.dead_letters SET decided = false");
    const auto done = outcome(job, soon());
    EXPECT_EQ(done.carried_out, 1U);
    EXPECT_EQ(done.state, outbox::JobState::done);
}

TEST_F(OperationsPgTest, AnOperatorsRoleMayDecideAndRecordAndNothingElse) {
    park(1, "'a'");
    start(plan(Decision::replay, {.id = "1"}));
    script(*operator_, "SELECT 1 FROM txstream.events; SELECT 1 FROM txstream.members");
    for (const char* sql :
         {"UPDATE txstream.dead_letters SET payload = '{}'",
          "UPDATE txstream.dead_letters SET topic = 'other'",
          "UPDATE txstream.dead_letters SET attempts = 0",
          "DELETE FROM txstream.dead_letters",
          "INSERT INTO txstream.dead_letters SELECT * FROM txstream.dead_letters",
          "SELECT txstream.publish('T', 'k', 'E', '{}')",
          "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type) VALUES ('T', "
          "'k', 'E')",
          "UPDATE txstream.lanes SET lease = lease",
          "DELETE FROM txstream.leases",
          "UPDATE txstream.audit SET reason = 'another'",
          "DELETE FROM txstream.audit",
          "TRUNCATE txstream.audit",
          "INSERT INTO txstream.audit (login, actor, origin, action, target, reason, affected, "
          "result)"
          " VALUES ('other', 'me', 'cli', 'a', '{}', '', 1, 'done')"}) {
        const auto done = try_script(*operator_, sql);
        ASSERT_FALSE(done) << sql;
        EXPECT_EQ(done.error().origin(), "42501") << sql;
    }
    for (const char* role : {"txstream_reader", "txstream_relay"}) {
        const auto session = connect("SET ROLE " + std::string(role));
        script(*session, "SELECT 1 FROM txstream.audit");
        EXPECT_FALSE(try_script(*session, "DELETE FROM txstream.audit")) << role;
    }
    const auto reader = connect("SET ROLE txstream_reader");
    park(2, "'b'");
    const auto planned =
        must(wait(operations::plan(*reader, Decision::replay, {.id = "2"}, soon())));
    const auto refused = wait(operations::start(*reader, planned, kMe, soon()));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().origin(), "42501");
}

}  // namespace
}  // namespace txstream::operations
