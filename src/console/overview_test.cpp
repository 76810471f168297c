#include "console/overview_fixture.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace txstream::console {
namespace {

TEST(OverviewTest, WhereAllFlowsItSaysHowFast) {
    const auto causes = causes_of(healthy());
    ASSERT_EQ(causes.size(), 1U);
    EXPECT_EQ(causes[0].severity, Severity::ok);
    EXPECT_EQ(causes[0].text, "Healthy: 42 events/s published, oldest pending 0.8 s.");
    EXPECT_TRUE(checklist_of(healthy()).empty());
    for (const auto& dot : dots_of(healthy())) EXPECT_EQ(dot.severity, Severity::ok) << dot.name;
}

TEST(OverviewTest, EachBlockageHasASentenceWithItsCauseWhatIsSafeAndARemedy) {
    struct Case {
        std::string code;
        std::string more;
        Severity severity;
        std::string text;
        std::string detail;
        std::string remedy;
    };
    const std::string refused =
        "no Kafka listens there: check KAFKA_BROKERS (k1:9092/bootstrap: Connect to k1:9092 "
        "failed: "
        "Connection refused)";
    const std::vector<Case> cases{
        {"topic_missing",
         R"(,"detail":"create topic payments: Broker: Topic authorization failed.")",
         Severity::bad,
         "Publishing to `payments` stopped 3 min ago: the topic does not exist and cannot be made. "
         "41 events of 7 keys wait in the outbox until it exists; nothing is lost.",
         "create topic payments: Broker: Topic authorization failed.",
         "kafka-topics.sh --bootstrap-server k1:9092,k2:9092 --create --topic payments "
         "--partitions 12"},
        {"kafka_unavailable",
         R"(,"detail":")" + refused + R"(")",
         Severity::bad,
         "Publishing stopped 3 min ago: Kafka at k1:9092,k2:9092 does not acknowledge: no Kafka "
         "listens there. 41 events of 7 keys wait in the outbox until it is back; nothing is lost "
         "and no attempt is counted.",
         refused,
         "kafka-broker-api-versions.sh --bootstrap-server k1:9092,k2:9092"},
        {"topic_refused",
         R"(,"detail":"refunds","lanes":[{"lane":9,"topic":"refunds"},{"lane":3,"topic":"refunds"}])",
         Severity::warn,
         "Publishing to `refunds` stopped 3 min ago: the topic does not exist. Later "
         "events of the same keys wait with its own; everything else flows. 41 events of 7 keys "
         "wait.",
         "",
         "kafka-topics.sh --bootstrap-server k1:9092,k2:9092 --create --topic refunds --partitions "
         "12"},
        {"paused",
         R"x(,"detail":"topic refunds (the consumer moves)")x",
         Severity::warn,
         "Delivery is paused for 3 min: topic refunds (the consumer moves). 41 events of 7 keys "
         "wait; what is not paused flows.",
         "",
         "txstream relays pauses"},
        {"cannot_park",
         R"(,"lanes":[{"lane":9}])",
         Severity::warn,
         "Lane 9 waits as a whole; the other 31 lanes flow.",
         "",
         "txstream migrate validate"},
        {"cannot_acknowledge",
         R"(,"detail":"canceling statement due to lock timeout")",
         Severity::bad,
         "Publishing stopped 3 min ago: the cursors cannot be moved. 41 events",
         "canceling statement due to lock timeout",
         "pg_terminate_backend"},
        {"foreign_instance",
         "",
         Severity::bad,
         "the outbox was restored or copied, so its cursors",
         "",
         "txstream outbox rebase --dry-run"},
        {"outbox_unusable",
         R"(,"detail":"column topic is missing")",
         Severity::bad,
         "not as the migration made them. 41 events",
         "column topic is missing",
         "txstream migrate validate"},
        {"database_unavailable",
         R"(,"detail":"FATAL: too many clients")",
         Severity::bad,
         "has not been able to use PostgreSQL for 3 min. 41 events",
         "FATAL: too many clients",
         "DATABASE_HOST"},
        {"no_worker",
         "",
         Severity::bad,
         "Relay a (pid 1) has had no live worker for 3 min. 41 events",
         "",
         "log"},
        {"stalled",
         "",
         Severity::bad,
         "none has been published for 3 min; no relay knows why",
         "",
         "logs of all relays"},
    };
    for (const auto& one : cases) {
        auto state = healthy();
        state.members = {member(blockage(one.code, one.more))};
        state.waiting_in_all = outbox::Waiting{.events = 41, .keys = 7, .is_exact = true};
        state.kafka.topics["refunds"] = {};
        const auto causes = causes_of(state);
        ASSERT_FALSE(causes.empty());
        EXPECT_EQ(causes[0].code, one.code);
        EXPECT_EQ(causes[0].severity, one.severity) << one.code;
        EXPECT_NE(causes[0].text.find(one.text), std::string::npos) << causes[0].text;
        EXPECT_EQ(causes[0].detail, one.detail) << one.code;
        EXPECT_TRUE(causes[0].since) << one.code;
        ASSERT_TRUE(causes[0].remedy) << one.code;
        EXPECT_NE(causes[0].remedy->text.find(one.remedy), std::string::npos)
            << causes[0].remedy->text;
        EXPECT_EQ(std::ranges::find(causes, "healthy", &Cause::code), causes.end()) << one.code;
    }
}

TEST(OverviewTest, WithoutKafkaNewEventsAreSafeAndNoTopicIsToBeMade) {
    auto state = healthy();
    state.members = {member(blockage("kafka_unavailable", R"(,"detail":"no broker answers")"))};
    state.waiting_in_all = outbox::Waiting{.events = 0, .keys = 0, .is_exact = true};
    EXPECT_NE(
        causes_of(state)[0].text.find("New events wait in the outbox until it is back;"),
        std::string::npos
    ) << causes_of(state)[0].text;
    state.kafka = {.state = KafkaView::State::away, .error = "refused", .topics = {}};
    const auto items = checklist_of(state);
    const auto topic = std::ranges::find(items, "topic", &CheckItem::code);
    ASSERT_NE(topic, items.end());
    ASSERT_TRUE(topic->remedy);
    EXPECT_EQ(topic->remedy->text, "Start it, or correct KAFKA_BROKERS.");
}

TEST(OverviewTest, WhatALibrarySaysOfKafkaIsNotInTheSentence) {
    auto state = healthy();
    state.kafka = {
        .state = KafkaView::State::away,
        .error =
            "Kafka refuses the login: check KAFKA_SASL_USERNAME (sasl_plaintext://k1:9092: "
            "SaslAuthenticateRequest failed)",
        .topics = {}
    };
    const auto away = [&] {
        const auto causes = causes_of(state);
        return *std::ranges::find(causes, "kafka_away", &Cause::code);
    };
    EXPECT_EQ(
        away().text,
        "This console cannot use Kafka: Kafka refuses the login. The relays do not report the same."
    );
    EXPECT_EQ(away().detail, state.kafka.error);
    state.kafka.error = "Local: Broker transport failure";
    EXPECT_EQ(away().text, "This console cannot use Kafka. The relays do not report the same.");
}

TEST(OverviewTest, WithoutARelayTheCommandNamesTheBrokersOfThisConsole) {
    auto state = healthy();
    state.brokers = "k7:9092";
    state.members.clear();
    state.kafka.topics.clear();
    const auto items = checklist_of(state);
    const auto topic = std::ranges::find(items, "topic", &CheckItem::code);
    ASSERT_NE(topic, items.end());
    EXPECT_EQ(
        topic->remedy->text,
        "kafka-topics.sh --bootstrap-server k7:9092 --create --topic payments --partitions 12"
    );
}

TEST(OverviewTest, ATopicThatWantsMoreReplicasThanThereAreBrokersIsMadeWithFewer) {
    auto state = healthy();
    state.members = {member(blockage(
        "kafka_unavailable",
        R"(,"detail":"create topic payments: Broker: Invalid replication factor")"
    ))};
    state.members[0].member.settings =
        R"({"KAFKA_BROKERS":"k1:9092","KAFKA_TOPIC_EVENTS":"payments","KAFKA_TOPIC_PARTITIONS":"3",)"
        R"("KAFKA_TOPIC_REPLICATION_FACTOR":"3"})";
    const auto causes = causes_of(state);
    EXPECT_EQ(causes[0].code, "topic_missing");
    EXPECT_EQ(
        causes[0].remedy->text,
        "kafka-topics.sh --bootstrap-server k1:9092 --create --topic payments --partitions 3"
    );
}

TEST(OverviewTest, WhatOneOfSeveralRelaysReportsIsNotCalledAStop) {
    auto state = healthy();
    state.members = {member(blockage("kafka_unavailable")), member("[]", "b")};
    const auto causes = causes_of(state);
    EXPECT_EQ(causes[0].severity, Severity::warn);
    EXPECT_NE(
        causes[0].text.find("This is what a (pid 1) reports; 1 other relay goes on."),
        std::string::npos
    ) << causes[0].text;
}

TEST(OverviewTest, RelaysThatDoNotRunAreNamed) {
    auto state = healthy();
    state.members.clear();
    state.history.clear();
    state.situation.lanes_owned = 0;
    state.situation.was_ever_owned = false;
    EXPECT_EQ(codes(state), Codes{"relay_none"});
    EXPECT_EQ(causes_of(state)[0].remedy->text, "txstream relay");

    state = healthy();
    state.members[0].silent = 12s;
    EXPECT_EQ(codes(state), Codes{"healthy"}) << "its leases have not ended";
    state.situation.lanes_owned = 0;
    state.situation.unowned_since = kNow - 2s;
    EXPECT_EQ(codes(state), Codes{"relay_gone"});
    EXPECT_NE(causes_of(state)[0].text.find("a (pid 1), was seen 12 s ago"), std::string::npos);

    state = healthy();
    state.situation.lanes_owned = 30;
    EXPECT_EQ(codes(state), Codes{"lanes_unowned"});
    state.situation.unowned_since = kNow - 3min;
    EXPECT_NE(
        causes_of(state)[0].text.find("2 of 32 lanes have no owner for 3 min: their"),
        std::string::npos
    ) << causes_of(state)[0].text;
    state.members[0].member.started_at = kNow - 1s;
    EXPECT_EQ(codes(state), Codes{"lanes_being_claimed"});

    state = healthy();
    state.members.push_back(member("[]", "b"));
    state.members[1].silent = 60s;
    EXPECT_EQ(codes(state), (Codes{"relay_silent", "healthy"}));
    state.members[1].silent = 1h;
    EXPECT_EQ(codes(state), Codes{"healthy"}) << "no news any more";
}

TEST(OverviewTest, RelaysThatDifferAreNamedWithWhatDiffers) {
    auto state = healthy();
    state.members.push_back(member("[]", "b"));
    state.members[1].member.version = "2.0.0";
    state.members[1].member.config_digest = "e";
    state.members[1].member.settings =
        R"({"KAFKA_BROKERS":"k1:9092,k2:9092","KAFKA_TOPIC_EVENTS":"other"})";
    EXPECT_EQ(codes(state), (Codes{"version_differs", "config_differs", "healthy"}));
    EXPECT_EQ(
        causes_of(state)[1].params.at("settings"),
        "KAFKA_TOPIC_EVENTS, KAFKA_TOPIC_PARTITIONS, KAFKA_TOPIC_REPLICATION_FACTOR"
    );
}

TEST(OverviewTest, AnOpenBreakerSaysWhenItIsProbed) {
    auto state = healthy();
    state.members[0].member.breaker = "open";
    state.members[0].member.breaker_since = kNow - 30s;
    state.members[0].member.breaker_probe_at = kNow + 12s;
    EXPECT_EQ(codes(state), Codes{"breaker_open"});
    EXPECT_NE(causes_of(state)[0].text.find("next probe in 12 s"), std::string::npos);
    state.members[0].member.blockages = blockage("kafka_unavailable");
    EXPECT_EQ(codes(state), Codes{"kafka_unavailable"}) << "one cause, one sentence";
    EXPECT_NE(causes_of(state)[0].text.find("next probe in 12 s"), std::string::npos);
    state = healthy();
    state.members[0].member.breaker = "half_open";
    EXPECT_EQ(codes(state), Codes{"breaker_half_open"});
    state.history = {slot(1s, 1000, 1000), slot(11s, 1000, 1000)};
    EXPECT_EQ(codes(state), (Codes{"breaker_half_open", "idle"})) << "nothing to probe with";
}

TEST(OverviewTest, ARelayThatIsBehindSaysWhenItHasCaughtUp) {
    auto state = healthy();
    state.history = {slot(1s, 20'000, 8'000), slot(21s, 18'000, 4'000)};
    state.history[0].oldest_pending_ms = 60'000;
    EXPECT_EQ(codes(state), Codes{"relay_behind"});
    EXPECT_EQ(
        causes_of(state)[0].text,
        "The relay is behind: 100/s in, 200/s out, caught up in about 2 min. 12,000 events wait, "
        "the oldest "
        "for 60 s; none is lost, and order is kept."
    );
    state.history[1].settled = 7'000;
    EXPECT_NE(causes_of(state)[0].text.find("50/s out, it does not catch up"), std::string::npos);
}

TEST(OverviewTest, DeadLettersAreASentenceOfTheirOwnBesideTheHealth) {
    auto state = healthy();
    state.parked.classes = {
        {.error_class = "MSG_SIZE_TOO_LARGE",
         .events = 3,
         .recent = 0,
         .first_at = kNow - 2h,
         .last_at = kNow - 1h}
    };
    EXPECT_EQ(codes(state), (Codes{"dead_letters", "healthy"}));
    state.parked.classes[0].recent = 2;
    const auto causes = causes_of(state);
    EXPECT_EQ(causes[0].code, "dead_letters_growing");
    EXPECT_NE(
        causes[0].text.find(
            "3 dead letters wait for a decision (MSG_SIZE_TOO_LARGE), 2 of them parked in the "
            "last 10 min. Each holds"
        ),
        std::string::npos
    ) << causes[0].text;
    state.parked.classes[0].recent = 3;
    const auto all_recent = causes_of(state)[0].text;
    EXPECT_NE(all_recent.find("(MSG_SIZE_TOO_LARGE), all parked in the last"), std::string::npos)
        << all_recent;
    state.parked.classes[0].events = state.parked.classes[0].recent = 1;
    const auto one = causes_of(state)[0].text;
    EXPECT_TRUE(
        one.starts_with("1 dead letter waits for a decision (MSG_SIZE_TOO_LARGE), parked in "
                        "the last 10 min. It holds")
    ) << one;
    state.parked.classes.push_back(
        {.error_class = "INVALID_RECORD", .events = 1, .recent = 0, .first_at = {}, .last_at = {}}
    );
    EXPECT_NE(causes_of(state)[0].text.find("(most: MSG_SIZE_TOO_LARGE)"), std::string::npos);
    EXPECT_EQ(causes[0].link, "/dead-letters");
}

TEST(OverviewTest, IdleAndFirstUseAreNoFaults) {
    auto state = healthy();
    state.history = {slot(1s, 1000, 1000), slot(11s, 1000, 1000)};
    state.situation.advanced_at = kNow - 5min;
    EXPECT_EQ(
        causes_of(state)[0].text, "Idle: nothing waits; the last event was published 5 min ago."
    );
    state.situation.newest_event_at.reset();
    state.situation.advanced_at.reset();
    EXPECT_EQ(codes(state), Codes{"no_events"});
    const auto items = checklist_of(state);
    ASSERT_EQ(items.size(), 5U);
    EXPECT_EQ(std::ranges::count(items, true, &CheckItem::is_done), 4);
    EXPECT_EQ(items.back().code, "first_event");
    EXPECT_TRUE(items.back().remedy);
}

TEST(OverviewTest, WhatIsNotMeasuredIsSaid) {
    auto state = healthy();
    for (auto& one : state.history) one.at -= 60s;
    EXPECT_EQ(codes(state), Codes{"backlog_unknown"});
    EXPECT_FALSE(numbers_of(state).pending);
    state.members[0].member.started_at = kNow - 5s;
    EXPECT_EQ(codes(state), Codes{"starting"});
}

TEST(OverviewTest, WithoutPostgreSqlItSaysWhatItKnowsAndHowOldThatIs) {
    auto state = healthy();
    state.members = {member(blockage("kafka_unavailable"))};
    state.now = kNow + 90s;
    state.database.state = DatabaseView::State::away;
    state.database.error = "connection refused";
    state.database.since = kNow + 10s;
    const auto causes = causes_of(state);
    EXPECT_EQ(codes(state), (Codes{"database_away", "kafka_unavailable"}));
    EXPECT_NE(causes[0].text.find("PostgreSQL for 80 s. Whether"), std::string::npos)
        << causes[0].text;
    EXPECT_NE(causes[0].text.find("What is shown is 90 s old."), std::string::npos);
    EXPECT_EQ(causes[0].text.find("refused"), std::string::npos) << causes[0].text;
    EXPECT_EQ(causes[0].detail, "connection refused");
    OverviewState never;
    never.now = kNow;
    never.database.error = "connection refused";
    EXPECT_EQ(codes(never), Codes{"database_away"});
}

TEST(OverviewTest, EachStateOfTheDatabaseHasItsRemedy) {
    for (const auto& [database, code, remedy] :
         {std::tuple{DatabaseView::State::no_outbox, "outbox_missing", "txstream migrate up"},
          std::tuple{
              DatabaseView::State::denied, "console_denied", "GRANT txstream_reader TO \"eve\""
          },
          std::tuple{DatabaseView::State::read_only, "database_read_only", "pg_is_in_recovery"}}) {
        auto state = healthy();
        state.database.state = database;
        state.database.user = "eve";
        const auto causes = causes_of(state);
        EXPECT_EQ(causes[0].code, code);
        EXPECT_EQ(causes[0].severity, Severity::bad);
        EXPECT_NE(causes[0].remedy->text.find(remedy), std::string::npos) << causes[0].remedy->text;
    }
    auto state = healthy();
    state.database.schema_error = "outbox 0007_x is missing";
    EXPECT_EQ(codes(state), (Codes{"migrations_pending", "healthy"}));
    EXPECT_EQ(causes_of(state)[0].remedy->text, "txstream migrate up");
    EXPECT_EQ(causes_of(state)[0].detail, "outbox 0007_x is missing");
    state.database.is_schema_older = false;
    EXPECT_EQ(codes(state), (Codes{"schema_differs", "healthy"}));
}

TEST(OverviewTest, WhatARelayOfALaterVersionReportsIsShownAsItIs) {
    auto state = healthy();
    state.members = {member(blockage("new_trouble", R"(,"detail":"of a kind","lanes":[7,"x",{}])"))
    };
    EXPECT_EQ(causes_of(state)[0].text, "A relay reports new_trouble 3 min ago.");
    EXPECT_EQ(causes_of(state)[0].detail, "of a kind");
    state.members = {member("no json"), member(R"([1, {"code": 2}, {"since": 3}])", "b")};
    EXPECT_EQ(codes(state), Codes{"healthy"});
}

outbox::HistoryChange change(
    std::chrono::seconds at,
    std::vector<std::string> blockages,
    int breaker = 0,
    std::uint64_t parked = 0,
    std::uint64_t parked_before = 0,
    std::chrono::seconds step = 10s
) {
    outbox::HistoryChange one;
    one.now.at = kNow + at;
    one.now.blockages = std::move(blockages);
    one.now.breaker = breaker;
    one.now.parked = parked;
    one.now.lanes_owned = 32;
    one.now.relays = 1;
    one.before = one.now;
    one.before->at = kNow + at - step;
    one.before->parked = parked_before;
    return one;
}

TEST(IncidentsTest, BeginAndEndWhereTheSlotsChange) {
    const auto incidents = incidents_of(
        {change(0s, {"kafka_unavailable"}),
         change(30s, {"kafka_unavailable"}, 2),
         change(60s, {}, 0),
         change(100s, {}, 0, 3, 0),
         change(200s, {}, 0, 8, 3),
         change(900s, {}, 0, 9, 8),
         change(2000s, {"topic_refused"}),
         change(3000s, {}, 0, 0, 0, 600s)},
        32,
        50
    );
    Codes found;
    for (const auto& one : incidents) found.push_back(one.code);
    EXPECT_EQ(
        found,
        (Codes{
            "unreported",
            "topic_refused",
            "dead_letters",
            "dead_letters",
            "breaker_open",
            "kafka_unavailable"
        })
    );
    EXPECT_EQ(incidents[5].ended_at, kNow + 60s);
    EXPECT_EQ(incidents[5].text, "Kafka did not acknowledge for 60 s");
    EXPECT_EQ(incidents[3].text, "8 events were parked as dead letters");
    EXPECT_EQ(incidents[1].ended_at, kNow + 2400s) << "it ends where the reports end";
    EXPECT_EQ(incidents[0].began_at, kNow + 2400s);
    EXPECT_EQ(incidents[0].ended_at, kNow + 3000s);
}

TEST(IncidentsTest, OneThatGoesOnHasNoEndAndOnlyTheNewestAreShown) {
    std::vector<outbox::HistoryChange> changes;
    for (int i = 0; i < 100; ++i)
        changes.push_back(change(i * 20s, i % 2 == 0 ? Codes{"stalled"} : Codes{}));
    changes.push_back(change(2020s, {"stalled"}));
    const auto incidents = incidents_of(changes, 32, 10);
    ASSERT_EQ(incidents.size(), 10U);
    EXPECT_FALSE(incidents[0].ended_at);
    EXPECT_TRUE(incidents[1].ended_at);
}

TEST(SpokenTest, NumbersAndTimesAreReadAloud) {
    EXPECT_EQ(spoken(800ms), "1 s");
    EXPECT_EQ(spoken(119s), "119 s");
    EXPECT_EQ(spoken(3min), "3 min");
    EXPECT_EQ(spoken(125min), "2 h 5 min");
    EXPECT_EQ(spoken(2h), "2 h");
    EXPECT_EQ(spoken(50h), "2 days 2 h");
    EXPECT_EQ(grouped(999), "999");
    EXPECT_EQ(grouped(12'431), "12,431");
    EXPECT_EQ(grouped(1'000'000), "1,000,000");
}

}  // namespace
}  // namespace txstream::console
