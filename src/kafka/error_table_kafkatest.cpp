#include "kafka/admin.hpp"
#include "kafka/dev_broker.hpp"
#include "kafka/error_table.hpp"
#include "kafka/producer.hpp"
#include "kafka/test_support.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace txstream::kafka {
namespace {

using namespace std::chrono_literals;

/// A producer on a loop of its own, and what it reported.
struct Sender {
    asio::io_context loop;
    std::vector<Report> reports;
    std::optional<Error> ended;
    std::unique_ptr<Producer> producer;

    Sender(const std::string& bootstrap, Producer::Order order, Properties more = {}) {
        Properties properties{
            {"bootstrap.servers", bootstrap},
            {"linger.ms", "0"},
            {"retry.backoff.ms", "1"},
            {"topic.metadata.refresh.fast.interval.ms", "10"}
        };
        properties.insert(properties.end(), more.begin(), more.end());
        Producer::Events events;
        events.reports = [this](std::span<const Report> batch) {
            reports.insert(reports.end(), batch.begin(), batch.end());
        };
        events.fatal = [this](Error error) { ended = std::move(error); };
        events.brokers_down = [](const Error&) {};
        producer =
            Producer::create(loop.get_executor(), properties, order, std::move(events), nullptr)
                .value();
    }

    template <class Condition>
    bool eventually(Condition condition) {
        const auto end = std::chrono::steady_clock::now() + 60s;
        while (!condition() && std::chrono::steady_clock::now() < end) loop.run_one_for(50ms);
        return condition();
    }
};

// What librdkafka does by itself comes first: it tries again what it holds for retryable. What it
// reports in the end must agree with the class of the code.
TEST(ErrorTableTest, WhatABrokerAnswersIsReportedAsTheTableHasIt) {
    auto broker = DevBroker::start().value();
    ASSERT_TRUE(broker->create_topic("t", 1));
    for (const auto& row : error_table()) {
        if (row.code <= 0) continue;
        SCOPED_TRACE(row.name);
        Sender sender(broker->bootstrap(), Producer::Order::by_owner);
        broker->answer_write_with(row.code);
        ASSERT_TRUE(sender.producer->produce({.topic = "t", .key = "k", .value = "v"}));
        ASSERT_TRUE(sender.eventually([&] { return !sender.reports.empty() || sender.ended; }));
        if (sender.reports.empty()) {
            EXPECT_EQ(row.kind, ErrorClass::producer) << sender.ended->what();
            continue;
        }
        const auto& report = sender.reports.front();
        const bool is_taken = report.outcome == Outcome::acknowledged;
        switch (row.kind) {
            case ErrorClass::event:
            case ErrorClass::for_now:
                EXPECT_EQ(report.outcome, outcome_of(row.kind)) << report.error;
                EXPECT_EQ(report.error, row.name);
                break;
            default:
                EXPECT_TRUE(is_taken || report.outcome == outcome_of(row.kind)) << report.error;
        }
    }
}

TEST(ErrorTableTest, ACodeThatNobodyKnowsRefusesNoEvent) {
    auto broker = DevBroker::start().value();
    ASSERT_TRUE(broker->create_topic("t", 1));
    Sender sender(broker->bootstrap(), Producer::Order::by_owner);
    broker->answer_write_with(126);
    ASSERT_TRUE(sender.producer->produce({.topic = "t", .key = "k", .value = "v"}));
    ASSERT_TRUE(sender.eventually([&] { return !sender.reports.empty() || sender.ended; }));
    for (const auto& report : sender.reports)
        EXPECT_TRUE(report.outcome == Outcome::acknowledged || report.outcome == Outcome::retryable)
            << report.error;
}

// As its owner treats the three: the producer ends with the refusal, the refused record stays
// aside, and the others go again, in their order.
TEST(ErrorTableTest, BehindARefusedRecordOfAKeyFirstDeliveriesStayInOrder) {
    const auto topic = test::own_topic();
    const Properties admin{{"bootstrap.servers", test::real_broker()}};
    ensure_topic(admin, topic, 1, 1, Deadline::in(60s), nullptr).value();
    const std::string values[] = {"before", std::string(1'200'000, 'x'), "second", "third"};
    const auto record = [&](std::size_t i) {
        return Record{
            .topic = topic,
            .key = "k",
            .value = values[i],
            .context = const_cast<std::string*>(&values[i])
        };
    };
    // Each in a request of its own, and all three on their way before the first is answered.
    const Properties apart{
        {"message.max.bytes", "3000000"}, {"batch.size", "2500000"}, {"batch.num.messages", "1"}
    };
    {
        Sender fast(test::real_broker(), Producer::Order::gapless, apart);
        ASSERT_TRUE(fast.producer->produce(record(0)));
        ASSERT_TRUE(fast.eventually([&] { return !fast.reports.empty(); }));
        ASSERT_EQ(fast.reports.front().outcome, Outcome::acknowledged) << fast.reports[0].error;
        // It may have ended by then.
        for (std::size_t i = 1; i < 4 && fast.producer->produce(record(i)); ++i) {
        }
        ASSERT_TRUE(fast.eventually([&] { return fast.reports.size() > 1; }));
        for (const auto& report : std::span(fast.reports).subspan(1)) {
            const bool is_first = report.context == &values[1];
            EXPECT_EQ(report.outcome, is_first ? Outcome::refused_event : Outcome::retryable)
                << report.error;
        }
    }
    Sender careful(test::real_broker(), Producer::Order::by_owner);
    for (std::size_t i = 2; i < 4; ++i) {
        ASSERT_TRUE(careful.producer->produce(record(i)));
        ASSERT_TRUE(careful.eventually([&] { return careful.reports.size() == i - 1; }));
        EXPECT_EQ(careful.reports.back().outcome, Outcome::acknowledged);
        EXPECT_EQ(careful.reports.back().offset, std::int64_t(i) - 1)
            << "nothing of the key was stored in between";
    }
}

}  // namespace
}  // namespace txstream::kafka
