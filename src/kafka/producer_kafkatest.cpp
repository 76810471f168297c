#include "kafka/admin.hpp"
#include "kafka/dev_broker.hpp"
#include "kafka/producer.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/system_executor.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace txstream::kafka {
namespace {

using namespace std::chrono_literals;

std::string real_broker() {
    const char* address = std::getenv("TXSTREAM_TEST_KAFKA");
    if (address == nullptr)
        throw std::runtime_error("TXSTREAM_TEST_KAFKA is not set; run the tests with `make test`");
    return address;
}

std::string own_topic() {
    return "test-" + std::to_string(std::random_device{}());
}

Properties properties_for(const std::string& bootstrap) {
    return {
        {"bootstrap.servers", bootstrap},
        {"linger.ms", "1"},
    };
}

/// A producer on a loop of its own that remembers what it was told.
struct Bench {
    asio::io_context loop;
    std::vector<Report> reports;
    std::vector<Error> downs;
    std::unique_ptr<Producer> producer;

    explicit Bench(const Properties& properties) {
        Producer::Events events;
        events.reports = [this](std::span<const Report> batch) {
            reports.insert(reports.end(), batch.begin(), batch.end());
        };
        events.fatal = [](Error error) { ADD_FAILURE() << error.what(); };
        events.brokers_down = [this](Error error) { downs.push_back(std::move(error)); };
        producer = Producer::create(
                       loop.get_executor(),
                       properties,
                       Producer::Order::gapless,
                       std::move(events),
                       nullptr
        )
                       .value();
    }

    template <class Condition>
    bool eventually(Condition condition, std::chrono::seconds limit = 20s) {
        const auto end = std::chrono::steady_clock::now() + limit;
        while (!condition() && std::chrono::steady_clock::now() < end) loop.run_one_for(50ms);
        return condition();
    }
};

TEST(ProducerTest, EachRecordIsReportedOnceWithItsContextAndPlace) {
    const auto topic = own_topic();
    ensure_topic(properties_for(real_broker()), topic, 3, 1, Deadline::in(20s), nullptr).value();
    Bench bench(properties_for(real_broker()));
    std::vector<std::string> keys;
    for (int i = 0; i < 500; ++i) keys.push_back("key-" + std::to_string(i % 7));
    const std::vector<Header> headers{{"event_type", "Tested"}};
    for (auto& key : keys) {
        ASSERT_TRUE(bench.producer->produce(
            {.topic = topic,
             .key = key,
             .value = "{}",
             .headers = headers,
             .timestamp_ms = 1,
             .context = &key}
        ));
    }
    ASSERT_TRUE(bench.eventually([&] { return bench.reports.size() >= keys.size(); }));
    EXPECT_EQ(bench.reports.size(), keys.size());
    // Order of a key: its records lie in one partition, at rising offsets in the order they were
    // handed over.
    std::map<std::string, std::pair<int, std::int64_t>> last;
    std::vector<const Report*> by_record(keys.size(), nullptr);
    for (const auto& report : bench.reports) {
        EXPECT_EQ(report.outcome, Outcome::acknowledged) << report.error;
        by_record[static_cast<std::size_t>(
            static_cast<std::string*>(report.context) - keys.data()
        )] = &report;
    }
    for (std::size_t i = 0; i < keys.size(); ++i) {
        ASSERT_NE(by_record[i], nullptr) << "record " << i << " has no report";
        if (auto found = last.find(keys[i]); found != last.end()) {
            EXPECT_EQ(found->second.first, by_record[i]->partition);
            EXPECT_LT(found->second.second, by_record[i]->offset);
        }
        last[keys[i]] = {by_record[i]->partition, by_record[i]->offset};
    }
}

TEST(ProducerTest, ARecordAboveTheLimitIsRefusedAtOnceAndTheOthersGoOn) {
    const auto broker = DevBroker::start().value();
    auto properties = properties_for(broker->bootstrap());
    properties.emplace_back("message.max.bytes", "2000");
    Bench bench(properties);
    const std::string large(3000, 'x');
    const auto refused = bench.producer->produce({.topic = "t", .key = "k", .value = large});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().origin(), "MSG_SIZE_TOO_LARGE");
    EXPECT_EQ(refused.error().code(), Code::rejected);
    ASSERT_TRUE(bench.producer->produce({.topic = "t", .key = "k", .value = "small"}));
    EXPECT_TRUE(bench.eventually([&] { return bench.reports.size() == 1; }));
}

TEST(ProducerTest, ATopicThatWasMissingIsFoundWhenItIsTriedAgain) {
    const auto topic = own_topic();
    auto properties = properties_for(real_broker());
    properties.emplace_back("allow.auto.create.topics", "false");
    properties.emplace_back("topic.metadata.propagation.max.ms", "500");
    Bench bench(properties);
    const auto is_taken = [&] {
        bench.reports.clear();
        const Record record{.topic = topic, .key = "k", .value = "v"};
        if (const auto taken = bench.producer->produce(record); !taken) {
            EXPECT_EQ(taken.error().code(), Code::not_found);
            return false;
        }
        EXPECT_TRUE(bench.eventually([&] { return bench.reports.size() == 1; }));
        return bench.reports.at(0).outcome == Outcome::acknowledged;
    };
    EXPECT_FALSE(is_taken());
    EXPECT_FALSE(is_taken());
    ensure_topic(properties, topic, 1, 1, Deadline::in(20s), nullptr).value();
    EXPECT_TRUE(bench.eventually(is_taken));
}

TEST(ProducerTest, WhatWaitsForABrokerIsDeliveredWhenItComesBack) {
    auto broker = DevBroker::start().value();
    ASSERT_TRUE(broker->create_topic("t", 1));
    broker->set_up(false);
    Bench bench(properties_for(broker->bootstrap()));
    ASSERT_TRUE(bench.producer->produce({.topic = "t", .key = "k", .value = "v"}));
    ASSERT_TRUE(bench.eventually([&] { return !bench.downs.empty(); }))
        << "nobody was told that the broker is away";
    EXPECT_TRUE(bench.reports.empty());
    broker->set_up(true);
    ASSERT_TRUE(bench.eventually([&] { return bench.reports.size() == 1; }));
    EXPECT_EQ(bench.reports[0].outcome, Outcome::acknowledged);
}

TEST(ProducerTest, ItCanBeDroppedWithRecordsInFlight) {
    auto broker = DevBroker::start().value();
    broker->set_up(false);
    Bench bench(properties_for(broker->bootstrap()));
    for (int i = 0; i < 1000; ++i)
        ASSERT_TRUE(bench.producer->produce({.topic = "t", .key = "k", .value = "v"}));
    bench.producer.reset();
    bench.loop.run_for(100ms);
    EXPECT_TRUE(bench.reports.empty());
}

// What a broker refuses it refuses by batches, and says so in one call each.
TEST(ProducerTest, InItsOwnersOrderARefusedBatchEndsNothingAndHalvedTheGuiltyRecordIsFound) {
    const auto topic = own_topic();
    ensure_topic(properties_for(real_broker()), topic, 1, 1, Deadline::in(20s), nullptr).value();
    auto properties = properties_for(real_broker());
    properties.emplace_back("message.max.bytes", "3000000");
    properties.emplace_back("batch.size", "2500000");
    constexpr std::size_t kGuilty = 5;
    std::vector<std::string> values(16, "v");
    values[kGuilty] = std::string(1'200'000, 'x');  // more than a topic takes
    std::vector<std::size_t> delivered, guilty;
    std::vector<std::vector<std::size_t>> refused;
    asio::io_context loop;
    Producer::Events events;
    events.reports = [&](std::span<const Report> batch) {
        std::vector<std::size_t> together;
        for (const auto& report : batch) {
            const auto number =
                static_cast<std::size_t>(static_cast<std::string*>(report.context) - values.data());
            if (report.outcome == Outcome::acknowledged)
                delivered.push_back(number);
            else
                together.push_back(number);
        }
        if (together.size() == 1) guilty.push_back(together.front());
        if (together.size() > 1) refused.push_back(together);
    };
    events.fatal = [](const Error& error) { ADD_FAILURE() << error.what(); };
    events.brokers_down = [](const Error&) {};
    const auto producer =
        Producer::create(
            loop.get_executor(), properties, Producer::Order::by_owner, std::move(events), nullptr
        )
            .value();
    const auto send = [&](const std::vector<std::size_t>& numbers) {
        for (const auto number : numbers)
            ASSERT_TRUE(producer->produce(
                {.topic = topic, .key = "key", .value = values[number], .context = &values[number]}
            ));
        const auto known = [&] {
            std::size_t again = 0;
            for (const auto& batch : refused) again += batch.size();
            return delivered.size() + guilty.size() + again;
        };
        const auto settled = known() + numbers.size();
        const auto end = std::chrono::steady_clock::now() + 20s;
        while (known() < settled && std::chrono::steady_clock::now() < end) loop.run_one_for(50ms);
        ASSERT_EQ(known(), settled);
    };
    std::vector<std::size_t> all(values.size());
    std::iota(all.begin(), all.end(), 0U);
    send(all);
    while (!refused.empty()) {
        const auto batches = std::exchange(refused, {});
        for (const auto& batch : batches) {
            const auto middle = batch.begin() + static_cast<std::ptrdiff_t>(batch.size() / 2);
            send({batch.begin(), middle});
            send({middle, batch.end()});
        }
    }
    EXPECT_EQ(guilty, std::vector<std::size_t>{kGuilty});
    std::ranges::sort(delivered);
    all.erase(all.begin() + kGuilty);
    EXPECT_EQ(delivered, all) << "each good one once";
}

TEST(ProducerTest, AnUnknownPropertyIsNamedAndItsValueIsNotTold) {
    const auto made = Producer::create(
        asio::system_executor(),
        {{"sasl.pasword", "hunter2"}},
        Producer::Order::gapless,
        {.reports = [](auto) {}, .fatal = [](auto) {}, .brokers_down = [](auto) {}},
        nullptr
    );
    ASSERT_FALSE(made);
    EXPECT_NE(made.error().what().find("sasl.pasword"), std::string::npos);
    EXPECT_EQ(made.error().what().find("hunter2"), std::string::npos);
}

TEST(AdminTest, AMissingTopicIsCreatedOnceAndItsLimitIsKnown) {
    const auto topic = own_topic();
    const auto first =
        ensure_topic(properties_for(real_broker()), topic, 5, 1, Deadline::in(20s), nullptr);
    ASSERT_TRUE(first) << first.error().what();
    EXPECT_TRUE(first->created);
    EXPECT_EQ(first->partitions, 5);
    EXPECT_EQ(first->config->batch_bytes_max, 1048588U);  // the broker's default
    const auto second =
        ensure_topic(properties_for(real_broker()), topic, 9, 1, Deadline::in(20s), nullptr);
    ASSERT_TRUE(second) << second.error().what();
    EXPECT_FALSE(second->created);
    EXPECT_EQ(second->partitions, 5);
}

TEST(AdminTest, ABrokerThatIsAwayGivesARetryableErrorWithinTheDeadline) {
    const auto begin = std::chrono::steady_clock::now();
    const auto facts =
        ensure_topic(properties_for("127.0.0.1:1"), "t", 1, 1, Deadline::in(2s), nullptr);
    ASSERT_FALSE(facts);
    EXPECT_TRUE(facts.error().retryable());
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 6s);
}

}  // namespace
}  // namespace txstream::kafka
