#include "app/descriptors.hpp"

#include <gtest/gtest.h>

#include <sys/resource.h>

namespace txstream::app {
namespace {

Config config() {
    Config made;
    made.server.connections_max = 1024;
    made.database.connections_max = 25;
    made.relay.workers = 4;
    made.metrics.enabled = true;
    return made;
}

constexpr Roles kServe{.api = true, .relay = true};

TEST(DescriptorsTest, ConnectionsLeaveEnoughForEverythingElse) {
    for (const std::size_t limit : {600u, 1024u, 1500u}) {
        const auto plan = plan_descriptors(limit, config(), kServe);
        EXPECT_LE(plan.api_connections + plan.reserved, limit);
        EXPECT_GT(plan.reserved, kMetricsConnectionsMax + 25 + 2 * 4);
        EXPECT_GT(plan.api_connections, 16u);
    }
}

TEST(DescriptorsTest, WithEnoughDescriptorsTheSettingHolds) {
    EXPECT_EQ(plan_descriptors(1u << 20, config(), kServe).api_connections, 1024u);
}

TEST(DescriptorsTest, FewDescriptorsStillServeSomeone) {
    EXPECT_EQ(plan_descriptors(64, config(), kServe).api_connections, 16u);
    auto tiny = config();
    tiny.server.connections_max = 2;
    EXPECT_EQ(plan_descriptors(64, tiny, kServe).api_connections, 2u);
}

TEST(DescriptorsTest, TheSoftLimitIsRaisedToTheHardOne) {
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit low = before;
    low.rlim_cur = 256;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    const auto raised = raise_descriptor_limit();
    rlimit after{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &after), 0);
    EXPECT_EQ(after.rlim_cur, before.rlim_max);
    EXPECT_GE(raised, 256u);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace txstream::app
