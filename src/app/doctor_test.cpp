#include "app/doctor.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

namespace txstream::app {
namespace {

using namespace std::chrono_literals;

const outbox::Moment kNow{std::chrono::sys_days(std::chrono::year(2026) / 3 / 1)};

kafka::ClusterState cluster() {
    kafka::ClusterState state;
    for (int id = 1; id <= 3; ++id) state.brokers.push_back({id, "kafka", 9090 + id});
    kafka::TopicState topic;
    topic.name = "events";
    topic.partitions.push_back({0, 1, {1, 2, 3}, {1, 2, 3}});
    state.topics.push_back(topic);
    return state;
}

outbox::SeenMember member() {
    outbox::SeenMember seen;
    seen.member.name = "relay-1";
    return seen;
}

/// An installation with which nothing is wrong.
DoctorFacts healthy() {
    DoctorFacts facts;
    facts.roles = {"relay", "api"};
    auto& database = facts.database;
    database.where = "host=db port=5432";
    database.session = Result<>();
    outbox::ServerFacts server;
    server.version = 150014;
    server.version_text = "15.14";
    server.now = kNow;
    server.user = "app";
    server.synchronous_commit = "on";
    server.ids_until_wraparound = 2'000'000'000;
    server.connections = 10;
    server.connections_max = 97;
    server.sees_sessions = true;
    database.server = server;
    database.schema = std::vector<std::string>();
    database.structure = Result<>();
    database.refusal = std::string();
    database.ids_drawn_at_once = 1;
    database.rights = std::vector<outbox::MissingRights>();
    database.retention_age = 168h;
    database.retention = outbox::RetentionState();
    database.sizes = outbox::TableSizes();
    database.members = std::vector<outbox::SeenMember>{member()};
    database.backlog = outbox::Backlog();
    auto& kafka = facts.kafka;
    kafka.library = "2.0.2";
    kafka.brokers = "kafka:9092";
    kafka.topic = "events";
    kafka.partitions = 12;
    kafka.message_bytes_max = 1'000'000;
    kafka.cluster = cluster();
    kafka.broker_troubles.resize(3);
    kafka.topic_config = std::vector<kafka::ConfigItem>{
        {"min.insync.replicas", "2"}, {"max.message.bytes", "1048588"}
    };
    return facts;
}

Finding finding_of(const DoctorFacts& facts, std::string_view check) {
    for (auto& one : judge(facts)) {
        if (one.check == check) return one;
    }
    ADD_FAILURE() << check << " has no finding";
    return {};
}

struct Case {
    const char* check;
    Level level;
    const char* told;  ///< in what was found, or in the remedy
    std::function<void(DoctorFacts&)> spoil;
};

void refuse(DoctorFacts& facts, Code code, const char* what, const char* origin) {
    facts.database = {};
    facts.database.session = fail(code, what, origin);
}
void refuse_kafka(DoctorFacts& facts, const char* what, const char* origin) {
    facts.kafka.cluster = fail(Code::unavailable, what, origin);
}
void set_topic(DoctorFacts& facts, const char* name, const char* value) {
    for (auto& item : **facts.kafka.topic_config) {
        if (item.name == name) item.value = value;
    }
}
std::chrono::seconds seconds(int count) {
    return std::chrono::seconds(count);
}

const std::vector<Case>& cases() {
    using Facts = DoctorFacts;
    static const std::vector<Case> all = {
        {"config.values",
         Level::problem,
         "SERVER_PORT=x",
         [](Facts& facts) { facts.config_problems = {"SERVER_PORT=x is no number"}; }},
        {"config.advice",
         Level::warning,
         "no effect",
         [](Facts& facts) { facts.config_advice = {"KAFKA_SASL_USERNAME has no effect"}; }},
        {"database.reach",
         Level::problem,
         "refused",
         [](Facts& facts) {
             refuse(facts, Code::unavailable, "connection refused", "ECONNREFUSED");
         }},
        {"database.reach",
         Level::problem,
         "no such database",
         [](Facts& facts) { refuse(facts, Code::rejected, "no such database", "3D000"); }},
        {"database.login",
         Level::problem,
         "pg_hba.conf",
         [](Facts& facts) {
             refuse(facts, Code::rejected, "password authentication failed", "28P01");
         }},
        {"database.tls",
         Level::problem,
         "DATABASE_SSL_MODE",
         [](Facts& facts) { refuse(facts, Code::rejected, "server does not support SSL", "TLS"); }},
        {"database.pooler",
         Level::problem,
         "session mode",
         [](Facts& facts) {
             refuse(facts, Code::rejected, "a pooler is between", "shared_session");
         }},
        {"database.recovery",
         Level::problem,
         "primary",
         [](Facts& facts) { refuse(facts, Code::unavailable, "session is read-only", "25006"); }},
        {"database.recovery",
         Level::problem,
         "standby",
         [](Facts& facts) { (*facts.database.server)->is_in_recovery = true; }},
        {"database.recovery",
         Level::problem,
         "default_transaction_read_only",
         [](Facts& facts) { (*facts.database.server)->is_read_only = true; }},
        {"database.version",
         Level::problem,
         "14 or newer",
         [](Facts& facts) { (*facts.database.server)->version = 130020; }},
        {"database.version",
         Level::note,
         "newer than",
         [](Facts& facts) { (*facts.database.server)->version = 190000; }},
        {"database.durability",
         Level::warning,
         "synchronous_commit is off",
         [](Facts& facts) { (*facts.database.server)->synchronous_commit = "off"; }},
        {"database.durability",
         Level::warning,
         "fsync is off",
         [](Facts& facts) { (*facts.database.server)->has_fsync = false; }},
        {"database.durability",
         Level::warning,
         "full_page_writes is off",
         [](Facts& facts) { (*facts.database.server)->has_full_page_writes = false; }},
        {"database.vacuum",
         Level::warning,
         "autovacuum is off",
         [](Facts& facts) { (*facts.database.server)->has_autovacuum = false; }},
        {"database.vacuum",
         Level::problem,
         "199999999 transaction ids",
         [](Facts& facts) { (*facts.database.server)->ids_until_wraparound = 199'999'999; }},
        {"database.snapshots",
         Level::warning,
         "session 7 (psql) is open for 15 minutes",
         [](Facts& facts) {
             (*facts.database.server)->oldest_snapshot = {"session 7 (psql)", seconds(900)};
         }},
        {"database.snapshots",
         Level::warning,
         "ROLLBACK PREPARED",
         [](Facts& facts) {
             (*facts.database.server)->oldest_prepared = {"prepared transaction 'x'", seconds(600)};
         }},
        {"database.snapshots",
         Level::note,
         "GRANT pg_read_all_stats TO app",
         [](Facts& facts) { (*facts.database.server)->sees_sessions = false; }},
        {"database.clock",
         Level::note,
         "1.0 s ahead",
         [](Facts& facts) { facts.database.clock_ahead = 1000ms; }},
        {"database.clock",
         Level::warning,
         "10.0 s behind",
         [](Facts& facts) { facts.database.clock_ahead = -10s; }},
        {"database.connections",
         Level::warning,
         "90 of 97",
         [](Facts& facts) { (*facts.database.server)->connections = 90; }},
        {"outbox.schema",
         Level::problem,
         "migrate up",
         [](Facts& facts) {
             facts.database.schema = fail(Code::rejected, "not applied", "schema_missing");
         }},
        {"outbox.schema",
         Level::problem,
         "column topic is missing",
         [](Facts& facts) {
             facts.database.schema = std::vector<std::string>{"column topic is missing"};
         }},
        {"outbox.schema",
         Level::note,
         "were not compared",
         [](Facts& facts) {
             facts.database.schema = fail(Code::rejected, "permission denied", "42501");
         }},
        {"outbox.structure",
         Level::problem,
         "has the rule",
         [](Facts& facts) {
             facts.database.structure = fail(Code::corrupt, "has the rule x", "outbox_structure");
         }},
        {"outbox.identity",
         Level::problem,
         "txstream outbox rebase",
         [](Facts& facts) { facts.database.refusal = "it belongs to another cluster"; }},
        {"outbox.sequence",
         Level::problem,
         "draws 50 ids",
         [](Facts& facts) { facts.database.ids_drawn_at_once = 50; }},
        {"outbox.rights",
         Level::problem,
         "UPDATE on txstream.lanes",
         [](Facts& facts) {
             facts.database.rights =
                 std::vector<outbox::MissingRights>{{"relay", "UPDATE on txstream.lanes"}};
         }},
        {"outbox.retention",
         Level::note,
         "kept for ever",
         [](Facts& facts) { facts.database.retention_age = 0ms; }},
        {"outbox.retention",
         Level::warning,
         "2 days past its age",
         [](Facts& facts) {
             auto& state = **facts.database.retention;
             state.now = kNow;
             outbox::PartitionState part;
             part.closed_at = kNow - 9 * 24h;
             part.kept = outbox::PartitionState::Kept::cursor;
             state.filled.push_back(part);
         }},
        {"outbox.size",
         Level::ok,
         "3.0 MB",
         [](Facts& facts) { (*facts.database.sizes)->outbox_bytes = 3'000'000; }},
        {"outbox.letters",
         Level::note,
         "5 events are parked",
         [](Facts& facts) { (*facts.database.backlog)->parked = 5; }},
        {"relays.alive",
         Level::note,
         "no event waits",
         [](Facts& facts) { facts.database.members = std::vector<outbox::SeenMember>(); }},
        {"relays.alive",
         Level::problem,
         "7 events wait",
         [](Facts& facts) {
             facts.database.members = std::vector<outbox::SeenMember>{member()};
             (*facts.database.members)->front().silent = 1h;
             (*facts.database.backlog)->pending = 7;
         }},
        {"relays.blocked",
         Level::problem,
         "relay-1 reports topic_missing: no such topic",
         [](Facts& facts) {
             (*facts.database.members)->front().member.blockages =
                 R"([{"code":"topic_missing","since":"2026-03-01T00:00:00Z","detail":"no such topic"}])";
         }},
        {"relays.waiting",
         Level::warning,
         "7 events wait, the oldest for 2 minutes",
         [](Facts& facts) {
             auto& backlog = **facts.database.backlog;
             backlog.pending = 7;
             const std::chrono::duration<double> now = kNow.time_since_epoch();
             backlog.oldest_pending = now.count() - 120;
         }},
        {"kafka.library",
         Level::warning,
         "2.6.1 or newer",
         [](Facts& facts) {
             facts.kafka.uses_scram = true;
             facts.kafka.has_working_scram = false;
         }},
        {"kafka.reach",
         Level::problem,
         "KAFKA_BROKERS",
         [](Facts& facts) { refuse_kafka(facts, "no Kafka listens there", "connection_refused"); }},
        {"kafka.login",
         Level::problem,
         "refuses the login",
         [](Facts& facts) { refuse_kafka(facts, "Kafka refuses the login", "login_refused"); }},
        {"kafka.tls",
         Level::problem,
         "certificate",
         [](Facts& facts) {
             refuse_kafka(facts, "Kafka's certificate is not accepted", "certificate_refused");
         }},
        {"kafka.brokers",
         Level::problem,
         "Broker 2 advertises kafka:9092",
         [](Facts& facts) {
             facts.kafka.broker_troubles[1] = Error(Code::unavailable, "connection refused");
         }},
        {"kafka.topic",
         Level::warning,
         "kafka-topics.sh",
         [](Facts& facts) { (*facts.kafka.cluster)->topics.clear(); }},
        {"kafka.topic",
         Level::problem,
         "not authorized",
         [](Facts& facts) {
             (*facts.kafka.cluster)->topics.front().error = Error(Code::rejected, "not authorized");
         }},
        {"kafka.topic_settings",
         Level::problem,
         "min.insync.replicas is 4",
         [](Facts& facts) { set_topic(facts, "min.insync.replicas", "4"); }},
        {"kafka.topic_settings",
         Level::warning,
         "larger events will be parked",
         [](Facts& facts) { set_topic(facts, "max.message.bytes", "5000"); }},
        {"kafka.topic_settings",
         Level::note,
         "DESCRIBE_CONFIGS",
         [](Facts& facts) { facts.kafka.topic_config.reset(); }},
    };
    return all;
}

TEST(DoctorTest, NothingIsSaidOfAHealthyInstallation) {
    for (const auto& one : judge(healthy()))
        EXPECT_EQ(one.level, Level::ok) << one.check << ": " << one.found;
}

TEST(DoctorTest, EachCheckFindsWhatItIsForWithItsLevelAndRemedy) {
    for (const auto& one : cases()) {
        auto facts = healthy();
        one.spoil(facts);
        const auto found = finding_of(facts, one.check);
        EXPECT_EQ(to_string(found.level), to_string(one.level)) << one.check << ": " << found.found;
        EXPECT_NE((found.found + " -> " + found.remedy).find(one.told), std::string::npos)
            << one.check << ": " << found.found << " -> " << found.remedy;
    }
}

TEST(DoctorTest, EachCheckHasACaseAndAFindingWhateverIsWrong) {
    std::set<std::string> tried;
    for (const auto& one : cases()) tried.insert(one.check);
    auto nothing_answers = healthy();
    refuse(nothing_answers, Code::unavailable, "connection refused", "ECONNREFUSED");
    refuse_kafka(nothing_answers, "no Kafka listens there", "connection_refused");
    std::set<std::string> ids;
    for (const auto& check : doctor_checks()) {
        EXPECT_TRUE(ids.insert(check.id).second) << check.id << " is there twice";
        EXPECT_TRUE(tried.contains(check.id)) << check.id << " has no case";
        (void)finding_of(nothing_answers, check.id);
        (void)finding_of(DoctorFacts(), check.id);
    }
}

TEST(DoctorTest, OneCauseIsOneProblemAndWhatFollowsFromItIsNotLookedAt) {
    auto facts = healthy();
    refuse(facts, Code::rejected, "password authentication failed", "28P01");
    std::size_t problems = 0;
    for (const auto& one : judge(facts)) problems += one.level == Level::problem ? 1U : 0U;
    EXPECT_EQ(problems, 1U);
    EXPECT_EQ(finding_of(facts, "database.reach").level, Level::skipped);
    EXPECT_EQ(finding_of(facts, "kafka.topic").level, Level::ok)
        << "Kafka is looked at all the same";
}

TEST(DoctorTest, TheWorstComesFirst) {
    auto facts = healthy();
    facts.config_advice = {"doubtful"};
    facts.database.ids_drawn_at_once = 50;
    const auto found = judge(facts);
    EXPECT_EQ(found.at(0).check, "outbox.sequence");
    EXPECT_EQ(found.at(1).check, "config.advice");
    EXPECT_TRUE(std::ranges::is_sorted(found, {}, &Finding::level));
}

TEST(DoctorTest, OnlyTheRightsOfRolesThatAreToRunAreMissed) {
    auto facts = healthy();
    facts.roles = {"console"};
    facts.database.rights =
        std::vector<outbox::MissingRights>{{"relay", "UPDATE on txstream.lanes"}};
    EXPECT_EQ(finding_of(facts, "outbox.rights").level, Level::ok);
}

}  // namespace
}  // namespace txstream::app
