#include "app/healthcheck.hpp"

#include "config/fixture.hpp"

#include <gtest/gtest.h>

namespace txstream::app {
namespace {

using Kind = HealthAnswer::Kind;

Result<std::vector<HealthListener>> asked(config::Variables settings, std::string role = {}) {
    return listeners_to_ask(config::loaded(std::move(settings)).config, {.role = std::move(role)});
}

HealthAnswer says(std::string role, Kind kind, std::string what = {}) {
    return {{.role = std::move(role), .host = "127.0.0.1", .port = 80}, kind, std::move(what)};
}

TEST(HealthcheckTest, EveryListenerOfTheConfigurationIsAsked) {
    const auto found = asked({});
    ASSERT_TRUE(found);
    ASSERT_EQ(found->size(), 3u);
    EXPECT_EQ(found->at(0).port, 8080);
    EXPECT_EQ(found->at(1).port, 9091);
    EXPECT_EQ(found->at(2).port, 8082);
}

TEST(HealthcheckTest, AServerOnAllAddressesIsAskedOnLoopback) {
    const auto found =
        asked({{"SERVER_HOST", "0.0.0.0"}, {"METRICS_HOST", "::"}, {"CONSOLE_HOST", "127.0.0.7"}});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->at(0).host, "127.0.0.1");
    EXPECT_EQ(found->at(1).host, "::1");
    EXPECT_EQ(found->at(2).host, "127.0.0.7");
}

TEST(HealthcheckTest, AConsoleWithACertificateIsAskedByTls) {
    const auto found = asked(
        {{"CONSOLE_TLS_CERT_FILE", "/cert.pem"}, {"CONSOLE_TLS_KEY_FILE", "/key.pem"}}, "console"
    );
    ASSERT_TRUE(found);
    ASSERT_EQ(found->size(), 1u);
    EXPECT_TRUE(found->front().is_tls);
}

TEST(HealthcheckTest, ANamedRoleThatCannotBeAskedSaysWhichSettingIsTheReason) {
    const auto off = asked({{"METRICS_ENABLED", "false"}}, "relay");
    ASSERT_FALSE(off);
    EXPECT_TRUE(off.error().what().starts_with("METRICS_ENABLED=false")) << off.error().what();
    const auto any = asked({{"SERVER_PORT", "0"}}, "api");
    ASSERT_FALSE(any);
    EXPECT_TRUE(any.error().what().starts_with("SERVER_PORT=0")) << any.error().what();
}

TEST(HealthcheckTest, WithoutANameWhatCannotBeAskedIsLeftOutUnlessNothingIsLeft) {
    EXPECT_EQ(asked({{"METRICS_ENABLED", "false"}, {"SERVER_PORT", "0"}})->size(), 1u);
    EXPECT_FALSE(asked({{"METRICS_PORT", "0"}, {"SERVER_PORT", "0"}, {"CONSOLE_PORT", "0"}}));
}

TEST(HealthcheckTest, RolesThatAreNotHereDoNotCountButOneMustBe) {
    const auto relay =
        judge_health({}, {says("api", Kind::not_listening), says("relay", Kind::healthy)});
    ASSERT_TRUE(relay);
    EXPECT_EQ(*relay, "live: relay (127.0.0.1:80)");
    EXPECT_FALSE(judge_health({}, {says("api", Kind::not_listening)}));
}

TEST(HealthcheckTest, OneSickRoleMakesTheProcessSickAndIsNamedWithItsAnswer) {
    const auto both = judge_health(
        {.kind = HealthQuestion::Kind::ready},
        {says("api", Kind::healthy), says("relay", Kind::unhealthy, "/readyz 503: {}")}
    );
    ASSERT_FALSE(both);
    EXPECT_EQ(both.error().what(), "relay (127.0.0.1:80): /readyz 503: {}");
}

}  // namespace
}  // namespace txstream::app
