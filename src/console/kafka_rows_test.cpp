#include "console/group_rows.hpp"
#include "console/kafka_answers.hpp"
#include "console/topic_rows.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace txstream::console {
namespace {

using Names = std::vector<std::string>;

http::Request get(const std::string& target) {
    return http::Request::make(http::Method::get, target).value();
}

kafka::TopicState topic(const std::string& name, int partitions) {
    kafka::TopicState state;
    state.name = name;
    for (int i = 0; i < partitions; ++i)
        state.partitions.push_back({.id = i, .leader = 1, .replicas = {1, 2}, .in_sync = {1, 2}});
    return state;
}

kafka::ClusterState cluster() {
    kafka::ClusterState state;
    state.topics = {
        topic("__consumer_offsets", 4), topic("a", 3), topic("b", 1), topic("c", 3), topic("d", 2)
    };
    return state;
}

/// All pages of a query, one after the other.
Names walk(const std::string& query, std::string_view ours = "a") {
    Names names;
    std::string cursor;
    do {
        const auto asked =
            topic_query(get("/topics?size=2&" + query + (cursor.empty() ? "" : "&cursor=" + cursor))
            );
        if (!asked) return {"error: " + asked.error().what()};
        const auto page = topic_page(cluster(), *asked, ours);
        for (const auto& row : page.rows) names.push_back(row.name);
        cursor = page.next_cursor;
    } while (!cursor.empty() && names.size() < 100);
    return names;
}

TEST(TopicPageTest, PagesHaveEachTopicOnceInEveryOrder) {
    EXPECT_EQ(walk(""), (Names{"a", "b", "c", "d"}));
    EXPECT_EQ(walk("sort=-name"), (Names{"d", "c", "b", "a"}));
    EXPECT_EQ(walk("sort=partitions"), (Names{"b", "d", "a", "c"}));
    EXPECT_EQ(walk("sort=-partitions"), (Names{"c", "a", "d", "b"}));
    EXPECT_EQ(walk("internal=true").front(), "__consumer_offsets");
    EXPECT_EQ(walk("q=c"), Names{"c"});
}

TEST(TopicPageTest, OurTopicHasARowEvenWhereItDoesNotExist) {
    EXPECT_EQ(walk("", "events"), (Names{"a", "b", "c", "d", "events"}));
    const auto page = topic_page(cluster(), topic_query(get("/topics")).value(), "events");
    EXPECT_TRUE(page.rows.back().is_ours);
    EXPECT_FALSE(page.rows.back().error.empty());
    EXPECT_EQ(page.total, 5U);
}

TEST(TopicPageTest, ACursorOfAnotherOrderIsRefused) {
    const auto first = topic_page(cluster(), topic_query(get("/topics?size=1")).value(), "");
    const auto mixed = topic_query(get("/topics?sort=-name&cursor=" + first.next_cursor));
    ASSERT_FALSE(mixed);
    EXPECT_EQ(mixed.error().code(), Code::invalid_input);
    EXPECT_FALSE(topic_query(get("/topics?cursor=WzFd")));  // [1]
    EXPECT_FALSE(topic_query(get("/topics?size=101")));
}

TEST(TopicRowTest, PartitionsWithoutALeaderAndReplicasThatAreBehindAreCounted) {
    auto state = topic("t", 3);
    state.partitions[0].leader = -1;
    state.partitions[1].in_sync = {1};
    state.partitions[2].replicas = {1};
    state.partitions[2].in_sync = {1};
    const auto row = topic_row(state, "t");
    EXPECT_EQ(row.leaderless, 1U);
    EXPECT_EQ(row.under_replicated, 1U);
    EXPECT_EQ(row.replication_factor, 1U);
    EXPECT_TRUE(row.is_ours);
}

kafka::GroupList groups(const Names& names) {
    kafka::GroupList list;
    for (const auto& name : names)
        list.groups.push_back({.name = name, .phase = kafka::GroupPhase::stable});
    return list;
}

TEST(GroupPageTest, PagesHaveEachGroupOnceAndStatesAreFiltered) {
    auto list = groups({"a", "b", "c"});
    list.groups[1].phase = kafka::GroupPhase::empty;
    const auto first = group_page(list, group_query(get("/groups?size=2")).value());
    EXPECT_EQ(first.total, 3U);
    ASSERT_EQ(first.rows.size(), 2U);
    const auto next =
        group_page(list, group_query(get("/groups?size=2&cursor=" + first.next_cursor)).value());
    ASSERT_EQ(next.rows.size(), 1U);
    EXPECT_EQ(next.rows[0].name, "c");
    EXPECT_TRUE(next.next_cursor.empty());
    const auto last = group_page(list, group_query(get("/groups?sort=-id&size=1")).value());
    EXPECT_EQ(last.rows[0].name, "c");
    const auto empty = group_page(list, group_query(get("/groups?state=Empty")).value());
    ASSERT_EQ(empty.rows.size(), 1U);
    EXPECT_EQ(empty.rows[0].name, "b");
}

TEST(GroupFactsTest, AGroupThatOnlyTheListCallsAliveHasMembersThatCannotBeRead) {
    const auto list = groups({"new"});
    kafka::GroupState dead;
    dead.phase = kafka::GroupPhase::dead;
    const auto facts = described_as_listed(list, "new", dead);
    EXPECT_EQ(facts.phase, kafka::GroupPhase::stable);
    EXPECT_FALSE(facts.state);
    EXPECT_NE(facts.error.find("KIP-848"), std::string::npos);
    kafka::GroupState rebalancing;
    rebalancing.phase = kafka::GroupPhase::preparing;
    EXPECT_EQ(described_as_listed(list, "new", rebalancing).phase, kafka::GroupPhase::preparing)
        << "the description is newer than the list";
}

TEST(KafkaAnswersTest, AListMayHoldNamesWithCommas) {
    const auto names = query_list(get("/x?ids=b,a%252Cb,100%25,b"), "ids", 3).value();
    EXPECT_EQ(names, (Names{"100%", "a,b", "b"}));
    EXPECT_FALSE(query_list(get("/x?ids=a,b,c,d"), "ids", 3));
    EXPECT_FALSE(query_list(get("/x?ids=,"), "ids", 3));
    EXPECT_FALSE(query_list(get("/x"), "ids", 3));
}

TEST(KafkaAnswersTest, WhatIsMissingIsSaidForWhatItIs) {
    const auto status = [](std::string origin) {
        return kafka_problem(Error(Code::unavailable, "x", std::move(origin))).status;
    };
    EXPECT_EQ(status("_UNSUPPORTED_FEATURE"), 501);
    EXPECT_EQ(status("GROUP_AUTHORIZATION_FAILED"), 403);
    EXPECT_EQ(status("UNKNOWN_TOPIC_OR_PART"), 404);
    EXPECT_EQ(status("connection_refused"), 503);
    EXPECT_EQ(kafka_problem(Error(Code::timed_out, "x", "_TIMED_OUT")).status, 504);
    using std::chrono::seconds;
    EXPECT_EQ(partial(4, {}, seconds(2)), Json(nullptr));
    EXPECT_EQ(partial(4, {"4"}, seconds(2))["text"], "3 of 4 brokers answered in 2 s; 4 did not");
}

TEST(KafkaAnswersTest, OverriddenSettingsComeFirstAndSecretsHaveNoValue) {
    const auto list = to_json(std::vector<kafka::ConfigItem>{
        {.name = "a", .value = "1", .source = kafka::ConfigSource::built_in},
        {.name = "b", .value = {}, .source = kafka::ConfigSource::topic, .is_sensitive = true}
    });
    EXPECT_EQ(list[0]["name"], "b");
    EXPECT_TRUE(list[0]["value"].is_null());
    EXPECT_TRUE(list[1]["is_default"].get<bool>());
}

}  // namespace
}  // namespace txstream::console
