#include "pg/detail/connect_plan.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

namespace txstream::pg::detail {
namespace {

using namespace std::chrono_literals;

ConnectPlan plan_of(const std::string& conninfo) {
    auto plan = ConnectPlan::of(conninfo);
    EXPECT_TRUE(plan) << conninfo;
    return plan.value();
}

/// "host|address|port" of each candidate.
std::vector<std::string> candidates_of(const std::string& conninfo) {
    std::vector<std::string> all;
    for (const auto& candidate : plan_of(conninfo).candidates())
        all.push_back(candidate.host + "|" + candidate.address + "|" + candidate.port);
    return all;
}

std::chrono::duration<double> first_attempt(
    const std::string& conninfo, Deadline::Clock::duration left
) {
    const auto plan = plan_of(conninfo);
    return plan.attempt_deadline(Deadline::in(left), plan.candidates().size()).left();
}

using List = std::vector<std::string>;

TEST(ConnectPlanTest, HostsAddressesAndPortsBelongTogetherAsWithLibpq) {
    EXPECT_EQ(candidates_of("host=a,b port=1"), (List{"a||1", "b||1"}));
    EXPECT_EQ(candidates_of("host=a,b,c port=1,,3"), (List{"a||1", "b||", "c||3"}));
    EXPECT_EQ(candidates_of("host=a,b hostaddr=::1, port=5"), (List{"a|::1|5", "b||5"}));
    EXPECT_EQ(candidates_of("hostaddr=1.1.1.1,2.2.2.2 port=5"), (List{"|1.1.1.1|5", "|2.2.2.2|5"}));
    EXPECT_EQ(candidates_of("postgresql://a:1,[::1]:2/d"), (List{"a||1", "::1||2"}));
    EXPECT_EQ(candidates_of("host=/run/a,/run/b port=5"), (List{"/run/a||5", "/run/b||5"}));
    EXPECT_EQ(candidates_of("port=5"), (List{"||5"})) << "libpq's own host";
}

TEST(ConnectPlanTest, ListsThatDoNotFitAreRefused) {
    for (const char* conninfo :
         {"host=a,b,c port=1,2", "host=a port=1,2", "host=a,b hostaddr=::1"}) {
        const auto plan = ConnectPlan::of(conninfo);
        ASSERT_FALSE(plan) << conninfo;
        EXPECT_EQ(plan.error().code(), Code::invalid_input);
    }
}

TEST(ConnectPlanTest, WhatTheStringLeavesOutComesFromLibpqsEnvironment) {
    ::setenv("PGHOST", "a,b", 1);
    ::setenv("PGPORT", "1,2", 1);
    const auto from_both = candidates_of("port=7");
    const auto from_environment = candidates_of("");
    ::unsetenv("PGHOST");
    ::unsetenv("PGPORT");
    EXPECT_EQ(from_both, (List{"a||7", "b||7"}));
    EXPECT_EQ(from_environment, (List{"a||1", "b||2"}));
}

TEST(ConnectPlanTest, WhatIsTakenApartIsTakenFromTheEnvironmentToo) {
    ::setenv("PGTARGETSESSIONATTRS", "prefer-standby", 1);
    ::setenv("PGCONNECT_TIMEOUT", "2", 1);
    const auto candidates = candidates_of("host=a,b port=5");
    const auto first = first_attempt("host=a", 60s);
    ::unsetenv("PGTARGETSESSIONATTRS");
    ::unsetenv("PGCONNECT_TIMEOUT");
    EXPECT_EQ(candidates, (List{"a||5", "b||5", "a||5", "b||5"}));
    EXPECT_LE(first, 2s);
}

TEST(ConnectPlanTest, OnlyNamesWithoutAnAddressAreLookedUp) {
    std::vector<bool> looked_up;
    for (const auto& candidate :
         plan_of("host=a,b,127.0.0.1,/run/a hostaddr=127.0.0.1,,, port=5").candidates())
        looked_up.push_back(candidate.needs_look_up());
    EXPECT_EQ(looked_up, (std::vector<bool>{false, true, false, false}));
}

TEST(ConnectPlanTest, AnAttemptHasItsTimeOutAndLeavesTimeForTheHostsAfterIt) {
    EXPECT_LE(first_attempt("host=a connect_timeout=2", 60s), 2s);
    EXPECT_GT(first_attempt("host=a connect_timeout=2", 60s), 1s);
    EXPECT_LE(first_attempt("host=a connect_timeout=0.25", 60s), 250ms);
    EXPECT_LE(first_attempt("host=a,b,c connect_timeout=30", 9s), 3s);
    EXPECT_GT(first_attempt("host=a,b,c connect_timeout=30", 9s), 2s);
    for (const char* none : {"0", "-1", "0.0"})
        EXPECT_GT(first_attempt(std::string("host=a connect_timeout=") + none, 60s), 59s) << none;
    EXPECT_GT(first_attempt("host=a", 60s), 59s);
    EXPECT_GT(first_attempt("host=a connect_timeout=1e300", 60s), 59s);
}

TEST(ConnectPlanTest, ATimeOutThatIsNoNumberIsRefused) {
    for (const char* wrong : {"soon", "1s", "nan2"}) {
        const auto plan = ConnectPlan::of(std::string("host=a connect_timeout=") + wrong);
        ASSERT_FALSE(plan) << wrong;
        EXPECT_EQ(plan.error().code(), Code::invalid_input);
    }
}

// With one host at a time libpq would settle for the first, whatever it is.
TEST(ConnectPlanTest, AStandbyIsPreferredAmongAllHosts) {
    List attributes;
    for (const auto& candidate :
         plan_of("host=a,b port=5 target_session_attrs=prefer-standby").candidates())
        attributes.push_back(candidate.host + " " + candidate.session_attributes);
    EXPECT_EQ(attributes, (List{"a standby", "b standby", "a any", "b any"}));
}

}  // namespace
}  // namespace txstream::pg::detail
