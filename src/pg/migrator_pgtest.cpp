#include "pg/migrator.hpp"
#include "tests/support/pg_fixture.hpp"

#include <list>

namespace txstream::pg {
namespace {

using tests::must;
using tests::soon;

using Files = std::vector<std::pair<std::string_view, std::string_view>>;

class MigratorPgTest : public testing::Test {
protected:
    template <class T>
    T wait(asio::awaitable<T> task) {
        return tests::run_until_done(io_, [&] { return std::move(task); });
    }
    static MigrationSet set_of(const Files& files, const std::string& name = "shop") {
        return must(make_migration_set(name, files));
    }
    Result<std::vector<MigrationState>> up(const Files& files) {
        return wait(migrate_up(*session_, {set_of(files)}, soon()));
    }
    Result<> check(const Files& files, const std::string& name = "shop") {
        return wait(check_schema(*session_, {set_of(files, name)}, soon()));
    }
    void script(const std::string& sql) { database_.script(sql); }
    std::string one(const std::string& sql) {
        texts_.push_back({"t" + std::to_string(texts_.size()), "SELECT (" + sql + ")::text"});
        const Statement statement{texts_.back().first.c_str(), texts_.back().second.c_str()};
        const auto rows = must(wait(session_->run(statement, {}, soon())));
        return std::string(rows.is_null(0, 0) ? "NULL" : rows.bytes(0, 0));
    }

    tests::TestDatabase database_;
    asio::io_context io_;
    std::unique_ptr<Connection> session_ = database_.connect(io_);

private:
    std::list<std::pair<std::string, std::string>> texts_;
};

const Files kOne{{"0001_a.sql", "CREATE TABLE a (n integer);"}};
const Files kTwo{
    {"0001_a.sql", "CREATE TABLE a (n integer);"}, {"0002_b.sql", "CREATE TABLE b (n integer);"}
};

TEST_F(MigratorPgTest, WhatIsPendingIsAppliedInOrderAndOnlyOnce) {
    ASSERT_EQ(must(up(kOne)).size(), 1U);
    const auto done = must(up(kTwo));
    ASSERT_EQ(done.size(), 1U);
    EXPECT_EQ(done[0].version, 2);
    EXPECT_EQ(done[0].name, "b");
    EXPECT_TRUE(must(up(kTwo)).empty());
    EXPECT_TRUE(check(kTwo));
}

TEST_F(MigratorPgTest, TenThatStartAtOnceApplyEachFileOnce) {
    std::vector<std::unique_ptr<Connection>> sessions;
    for (int i = 0; i < 10; ++i) sessions.push_back(database_.connect(io_));
    std::size_t applied = 0;
    int left = 10;
    for (auto& session : sessions) {
        tests::start(
            io_,
            migrate_up(*session, {set_of(kTwo)}, soon()),
            [&](const std::exception_ptr&, Result<std::vector<MigrationState>> done) {
                applied += must(std::move(done)).size();
                --left;
            }
        );
    }
    io_.restart();
    while (left > 0) ASSERT_GT(io_.run_one_for(tests::kPatience), 0U) << "they wait for each other";
    EXPECT_EQ(applied, 2U);
    EXPECT_EQ(one("SELECT count(*) FROM txstream.schema_migrations"), "2");
}

// CREATE INDEX CONCURRENTLY waits for everyone who holds a snapshot; those who wait for the
// migrator's lock must hold none.
TEST_F(MigratorPgTest, AMigrationOutsideOfATransactionDoesNotWaitForThoseThatWaitForIt) {
    const Files files{
        {"0001_a.sql", "CREATE TABLE a (n integer);"},
        {"0002_index.sql", "-- txstream: no transaction\nCREATE INDEX CONCURRENTLY a_n ON a (n)"}
    };
    std::vector<std::unique_ptr<Connection>> sessions;
    for (int i = 0; i < 4; ++i) sessions.push_back(database_.connect(io_));
    int left = 4;
    for (auto& session : sessions) {
        tests::start(
            io_,
            migrate_up(*session, {set_of(files)}, soon()),
            [&](const std::exception_ptr&, Result<std::vector<MigrationState>> done) {
                EXPECT_TRUE(done) << done.error().what();
                --left;
            }
        );
    }
    io_.restart();
    while (left > 0) ASSERT_GT(io_.run_one_for(tests::kPatience), 0U);
    EXPECT_EQ(one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_n'::regclass"), "true");
}

TEST_F(MigratorPgTest, WaitingForTheOthersHasADeadline) {
    const auto other = database_.connect(io_);
    must(wait(other->run_script("SELECT pg_advisory_lock(8392585648256897133)", soon())));
    const auto late =
        wait(migrate_up(*session_, {set_of(kOne)}, Deadline::in(std::chrono::milliseconds(200))));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code(), Code::timed_out);
    EXPECT_TRUE(session_->is_open());
}

TEST_F(MigratorPgTest, AMigrationThatFailsLeavesNothingAndThoseBeforeItStay) {
    const auto failed =
        up({{"0001_a.sql", "CREATE TABLE a (n integer);"},
            {"0002_b.sql", "CREATE TABLE b (n integer); SELECT 1/0; CREATE TABLE c (n integer);"},
            {"0003_d.sql", "CREATE TABLE d (n integer);"}});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().origin(), "22012");
    EXPECT_NE(failed.error().what().find("shop 0002_b"), std::string::npos)
        << failed.error().what();
    EXPECT_EQ(
        one("SELECT string_agg(relname, ',') FROM pg_class WHERE relname IN ('a','b','c','d')"), "a"
    );
    EXPECT_FALSE(session_->in_transaction());
    EXPECT_EQ(must(up(kTwo)).size(), 1U) << "the corrected file is applied";
}

TEST_F(MigratorPgTest, AnAppliedFileThatWasEditedIsNamedAndNothingIsDone) {
    must(up(kOne));
    const Files edited{
        {"0001_a.sql", "CREATE TABLE a (n bigint);"}, {"0002_b.sql", "CREATE TABLE b (n integer);"}
    };
    for (const auto& refused : {up(edited).map([](auto&&) {}), check(edited)}) {
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code(), Code::conflict);
        EXPECT_EQ(refused.error().origin(), "schema_differs");
        EXPECT_NE(refused.error().what().find("shop 0001_a"), std::string::npos);
    }
    EXPECT_EQ(one("SELECT to_regclass('b')"), "NULL");
}

TEST_F(MigratorPgTest, ADatabaseOfANewerProgramIsLeftAlone) {
    must(up(kTwo));
    for (const auto& refused : {up(kOne).map([](auto&&) {}), check(kOne)}) {
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code(), Code::conflict);
        EXPECT_EQ(refused.error().origin(), "schema_newer");
        EXPECT_NE(refused.error().what().find("shop 0002"), std::string::npos);
    }
    const auto states = must(wait(migration_status(*session_, {set_of(kOne)}, soon())));
    ASSERT_EQ(states.size(), 2U) << "also the one that we do not know";
    EXPECT_TRUE(states[1].is_applied);
}

TEST_F(MigratorPgTest, ASchemaThatIsBehindOrMissingIsToldWithTheRemedy) {
    const auto missing = check(kOne);
    ASSERT_FALSE(missing);
    must(up(kOne));
    const auto behind = check(kTwo);
    ASSERT_FALSE(behind);
    for (const auto& refused : {missing, behind}) {
        EXPECT_EQ(refused.error().code(), Code::conflict);
        EXPECT_EQ(refused.error().origin(), "schema_older");
        EXPECT_NE(refused.error().what().find("txstream migrate up"), std::string::npos);
    }
}

TEST_F(MigratorPgTest, OneSetIsAppliedWithoutTheOther) {
    must(up(kOne));
    EXPECT_TRUE(check(kOne));
    EXPECT_EQ(check(kOne, "other").error().origin(), "schema_older");
    const auto states =
        must(wait(migration_status(*session_, {set_of(kTwo), set_of(kOne, "other")}, soon())));
    ASSERT_EQ(states.size(), 3U);
    EXPECT_TRUE(states[0].is_applied);
    EXPECT_FALSE(states[0].applied_at.empty());
    EXPECT_FALSE(states[1].is_applied);
    EXPECT_FALSE(states[2].is_applied);
}

TEST_F(MigratorPgTest, AParameterIsFilledInAndDoesNotChangeTheChecksum) {
    auto set = set_of({{"0001_a.sql", "CREATE TABLE a AS SELECT {{lanes}} AS n, {{lanes}} AS m;"}});
    set.parameters["lanes"] = "8";
    must(wait(migrate_up(*session_, {set}, soon())));
    EXPECT_EQ(one("SELECT n + m FROM a"), "16");
    EXPECT_EQ(one("SELECT parameters->>'lanes' FROM txstream.schema_migrations"), "8");
    set.parameters["lanes"] = "32";
    EXPECT_TRUE(wait(check_schema(*session_, {set}, soon())));
    EXPECT_TRUE(must(wait(migrate_up(*session_, {set}, soon()))).empty());
}

TEST_F(MigratorPgTest, ASchemaOfAnotherProgramIsLeftAlone) {
    const auto files_of_nobody = one("SELECT count(*)::text FROM pg_class WHERE relname = 'a'");
    for (const char* foreign :
         {"CREATE TABLE txstream.schema_migrations (version bigint, dirty boolean)",
          "CREATE VIEW txstream.outbox AS SELECT 1 AS n",
          "CREATE FUNCTION txstream.publish() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
          "CREATE TYPE txstream.state AS ENUM ('a')"}) {
        script(std::string("CREATE SCHEMA txstream; ") + foreign);
        for (const auto& refused : {up(kOne).map([](auto&&) {}), check(kOne)}) {
            ASSERT_FALSE(refused) << foreign;
            EXPECT_EQ(refused.error().code(), Code::conflict);
            EXPECT_EQ(refused.error().origin(), "schema_foreign") << refused.error().what();
            EXPECT_NE(refused.error().what().find("ALTER SCHEMA"), std::string::npos);
        }
        EXPECT_EQ(one("SELECT count(*)::text FROM pg_class WHERE relname = 'a'"), files_of_nobody);
        script("DROP SCHEMA txstream CASCADE");
    }
    script("CREATE SCHEMA txstream");
    EXPECT_TRUE(up(kOne)) << "an empty one was made for us";
}

TEST_F(MigratorPgTest, AFirstMigrationThatFailsLeavesNotEvenTheSchema) {
    ASSERT_FALSE(up({{"0001_a.sql", "CREATE TABLE a (n integer); SELECT 1/0;"}}));
    EXPECT_EQ(one("SELECT to_regnamespace('txstream')::text"), "NULL");
    script("CREATE TABLE a (n integer)");
    const auto taken = up(kOne);
    ASSERT_FALSE(taken);
    EXPECT_NE(taken.error().what().find("--only"), std::string::npos) << taken.error().what();
    EXPECT_EQ(one("SELECT to_regnamespace('txstream')::text"), "NULL");
}

}  // namespace
}  // namespace txstream::pg
