#include "kafka/producer.hpp"

#include "kafka/detail/handles.hpp"
#include "kafka/property_check.hpp"

#include <gtest/gtest.h>

namespace txstream::kafka {
namespace {

std::string value_of(const detail::Conf& conf, const char* name) {
    std::string value(64, '\0');
    auto size = value.size();
    EXPECT_EQ(rd_kafka_conf_get(conf.get(), name, value.data(), &size), RD_KAFKA_CONF_OK) << name;
    return value.c_str();
}

TEST(GuaranteesTest, WhatTheCallerSetOverridesNone) {
    const Properties weak{
        {"request.required.acks", "0"},
        {"enable.idempotence", "false"},
        {"enable.gapless.guarantee", "false"},
        {"delivery.timeout.ms", "1000"},
        {"partitioner", "random"},
        {"max.in.flight", "5"},
        {"queue.buffering.max.ms", "7"},
    };
    for (const auto order : {Producer::Order::gapless, Producer::Order::by_owner}) {
        const auto conf = detail::make_conf(with_guarantees(weak, order), nullptr).value();
        EXPECT_EQ(value_of(conf, "acks"), "-1") << "all of them";
        EXPECT_EQ(value_of(conf, "enable.idempotence"), "true");
        EXPECT_EQ(value_of(conf, "message.timeout.ms"), "0");
        EXPECT_EQ(value_of(conf, "partitioner"), "murmur2_random");
        const bool is_gapless = order == Producer::Order::gapless;
        EXPECT_EQ(value_of(conf, "enable.gapless.guarantee"), is_gapless ? "true" : "false");
        EXPECT_EQ(value_of(conf, "max.in.flight"), is_gapless ? "5" : "1");
        EXPECT_EQ(value_of(conf, "linger.ms"), is_gapless ? "7" : "0");
    }
}

TEST(GuaranteesTest, AContradictionIsFoundWhoeverChecksTheProperties) {
    EXPECT_TRUE(check_properties({{"retries", "5"}}));
    const auto checked = check_properties({{"retries", "0"}});
    ASSERT_FALSE(checked);
    EXPECT_NE(checked.error().what().find("retries"), std::string::npos) << checked.error().what();
}

}  // namespace
}  // namespace txstream::kafka
