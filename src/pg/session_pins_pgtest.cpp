// What a session sees must not depend on settings that somebody gave to its role, its database or
// its server.

#include "pg/connection.hpp"
#include "tests/support/pg_fixture.hpp"

#include <array>

namespace txstream::pg {
namespace {

using tests::must;
using tests::soon;

class SessionPinsPgTest : public testing::Test {
protected:
    SessionPinsPgTest() {
        database_.script(
            "CREATE ROLE " + role_ +
            " LOGIN PASSWORD 'p'; CREATE SCHEMA hostile;"
            "GRANT USAGE ON SCHEMA hostile TO " +
            role_
        );
    }
    ~SessionPinsPgTest() override {
        database_.script("DROP OWNED BY " + role_ + "; DROP ROLE " + role_);
    }

    Result<std::unique_ptr<Connection>> open() {
        return tests::run_until_done(io_, [&] {
            return Connection::open(
                io_.get_executor(),
                database_.conninfo() + " user=" + role_ + " password=p",
                {},
                soon()
            );
        });
    }
    std::string show(Connection& session, const std::string& setting) {
        const auto sql = "SELECT current_setting('" + setting + "')";
        const Statement statement{"show", sql.c_str(), Planning::each_time};
        const auto rows =
            must(tests::run_until_done(io_, [&] { return session.run(statement, {}, soon()); }));
        return std::string(rows.bytes(0, 0));
    }
    void alter_role(const std::string& setting, const std::string& value) {
        database_.script("ALTER ROLE " + role_ + " SET " + setting + " = " + value);
    }

    tests::TestDatabase database_;
    asio::io_context io_;
    const std::string role_ = database_.name() + "_r";
};

struct Setting {
    const char* name;
    const char* hostile;
    const char* pinned;
};

TEST_F(SessionPinsPgTest, NeitherRoleNorDatabaseDecideWhatASessionSees) {
    constexpr auto kSettings = std::to_array<Setting>({
        {"search_path", "hostile, pg_catalog", "pg_catalog, pg_temp"},
        {"row_security", "on", "off"},
        {"default_transaction_isolation", "serializable", "read committed"},
        {"default_transaction_deferrable", "on", "off"},
        {"standard_conforming_strings", "off", "on"},
        {"transform_null_equals", "on", "off"},
        {"array_nulls", "off", "on"},
        {"client_encoding", "LATIN1", "UTF8"},
        {"DateStyle", "German", "ISO, YMD"},
        {"IntervalStyle", "sql_standard", "postgres"},
        {"TimeZone", "'Asia/Tokyo'", "UTC"},
        {"bytea_output", "escape", "hex"},
        {"extra_float_digits", "-15", "1"},
        {"quote_all_identifiers", "on", "off"},
        {"statement_timeout", "200", "0"},
        {"lock_timeout", "1", "0"},
        {"idle_in_transaction_session_timeout", "1", "1min"},
        {"idle_session_timeout", "5000", "0"},
        {"synchronous_commit", "off", "on"},
        {"plan_cache_mode", "force_custom_plan", "auto"},
        {"jit", "on", "off"},
        {"enable_indexscan", "off", "on"},
        {"enable_indexonlyscan", "off", "on"},
        {"enable_nestloop", "off", "on"},
        {"enable_partition_pruning", "off", "on"},
        {"constraint_exclusion", "on", "partition"},
    });
    for (const auto& scope : {"ROLE " + role_, "DATABASE " + database_.name()}) {
        std::string sql;
        for (const auto& [name, hostile, pinned] : kSettings)
            sql.append("ALTER " + scope + " SET ").append(name).append(" = ").append(hostile) +=
                ';';
        database_.script(sql);
        const auto session = must(open());
        for (const auto& [name, hostile, pinned] : kSettings) {
            // The statement that asks has a limit from its deadline.
            if (std::string_view(name) != "statement_timeout")
                EXPECT_EQ(show(*session, name), pinned) << scope << ' ' << name;
        }
        must(tests::run_until_done(io_, [&] {
            return session->run_script("SELECT pg_sleep(0.3)", soon());
        }));
        database_.script("ALTER " + scope + " RESET ALL");
    }
}

TEST_F(SessionPinsPgTest, AChoiceOfDurabilityIsKept) {
    alter_role("synchronous_commit", "local");
    EXPECT_EQ(show(*must(open()), "synchronous_commit"), "local");
}

TEST_F(SessionPinsPgTest, AFunctionOrAnOperatorOfTheSearchPathDoesNotStandInForTheServers) {
    database_.script(
        "CREATE FUNCTION hostile.bad(integer, integer) RETURNS boolean LANGUAGE plpgsql"
        " AS $$ BEGIN RAISE 'shadowed'; END $$;"
        "CREATE OPERATOR hostile.<> (LEFTARG = integer, RIGHTARG = integer, FUNCTION = "
        "hostile.bad);"
        "CREATE FUNCTION hostile.pg_backend_pid() RETURNS integer LANGUAGE sql AS 'SELECT 1';"
        "CREATE FUNCTION hostile.set_config(text, text, boolean) RETURNS text LANGUAGE sql"
        " AS 'SELECT 1::text'"
    );
    alter_role("search_path", "hostile, pg_catalog");
    EXPECT_EQ(show(*must(open()), "search_path"), "pg_catalog, pg_temp");
}

TEST_F(SessionPinsPgTest, APolicyThatHidesRowsIsAnErrorAndNotFewerRows) {
    database_.script(
        "CREATE TABLE public.numbers (n integer); INSERT INTO public.numbers VALUES (1), (2);"
        "ALTER TABLE public.numbers ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY odd ON public.numbers USING (n % 2 = 1);"
        "GRANT SELECT ON public.numbers TO " +
        role_
    );
    alter_role("row_security", "on");
    static constexpr Statement kCount{"count", "SELECT count(*) FROM public.numbers"};
    const auto session = must(open());
    const auto counted =
        tests::run_until_done(io_, [&] { return session->run(kCount, {}, soon()); });
    ASSERT_FALSE(counted);
    EXPECT_EQ(counted.error().origin(), "42501");
}

TEST_F(SessionPinsPgTest, WhatOnlyASuperuserMayChangeIsRefusedByName) {
    for (const auto& [name, hostile, normal] :
         {Setting{"session_replication_role", "replica", "origin"},
          Setting{"zero_damaged_pages", "on", "off"}}) {
        alter_role(name, hostile);
        const auto refused = open();
        ASSERT_FALSE(refused) << name;
        EXPECT_EQ(refused.error().code(), Code::rejected);
        EXPECT_EQ(refused.error().origin(), "session_settings");
        EXPECT_NE(refused.error().what().find(name), std::string::npos);
        alter_role(name, normal);
        EXPECT_TRUE(open()) << name;
    }
}

}  // namespace
}  // namespace txstream::pg
