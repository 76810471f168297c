#include "relay/letter_copier.hpp"

#include "relay/fake_kafka.hpp"
#include "runtime/task_group.hpp"
#include "tests/support/fake_rows.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace txstream::relay {
namespace {

using namespace std::chrono_literals;

/// A table of letters that are to be copied, and a Kafka that the test plays.
class LetterCopierTest : public testing::Test {
protected:
    LetterCopierTest() { silence_log(); }

    void letter(std::int64_t id, const std::string& key, const std::string& topic = {}) {
        tests::FakeEvent event{.id = id, .aggregate_id = key};
        if (!topic.empty()) event.topic = topic;
        left_.push_back(event);
    }
    Task<Result<outbox::LettersToCopy>> read() {
        outbox::LettersToCopy found;
        std::vector<tests::FakeEvent> events;
        for (const auto& event : left_) {
            events.push_back(event);
            found.faults.push_back(
                {"uuid-" + std::to_string(event.id),
                 3,
                 "BAD",
                 "it is bad",
                 "2026-01-02T03:04:05Z",
                 "2026-01-02T03:04:06Z"}
            );
        }
        found.events = tests::fake_events(events);
        co_return found;
    }
    Task<Result<>> write(std::vector<outbox::CopiedLetter> letters) {
        if (write_fails_) co_return fail(Code::unavailable, "no database");
        for (const auto& one : letters) {
            std::erase_if(left_, [&](const auto& event) { return event.id == one.id.id(); });
            written_.insert(one.id.id());
            EXPECT_EQ(one.attempts, 3);
        }
        co_return Result<>();
    }
    LetterCopier::Dependencies dependencies() {
        return {
            .executor = loop_.get_executor(),
            .publisher = kafka_.maker(),
            .read = [this](auto) { return read(); },
            .write = [this](auto letters) { return write(std::move(letters)); },
            .metrics = metrics_,
            .topic = "dead",
            .default_topic = "t"
        };
    }
    static LetterCopier::Limits limits() {
        LetterCopier::Limits limits;
        limits.confirm_max = 1h;
        limits.idle_max = 0ms;
        return limits;
    }
    /// Begins a round, which goes on until all are reported.
    void begin() {
        result_.reset();
        group_.spawn(keep());
        turn();
    }
    void turn() {
        loop_.restart();
        loop_.poll();
    }
    Task<> keep() { result_.emplace(co_await copier_.round()); }
    FakeKafkaSide& side() { return kafka_.careful; }
    void report(Outcome outcome, std::string_view error = {}) {
        side().report(outcome, error);
        turn();
    }

    asio::io_context loop_;
    FakeKafka kafka_;
    telemetry::Registry registry_;
    Metrics metrics_{registry_};
    std::vector<tests::FakeEvent> left_;
    std::set<std::int64_t> written_;
    bool write_fails_ = false;
    std::optional<Result<std::size_t>> result_;
    runtime::TaskGroup group_{loop_.get_executor()};
    LetterCopier copier_{dependencies(), limits()};
};

using Ids = std::set<std::int64_t>;

TEST_F(LetterCopierTest, ACopyIsTheRecordWithWhyItIsThere) {
    letter(1, "k", "orders");
    begin();
    ASSERT_EQ(side().sent.size(), 1U);
    const auto& sent = side().sent[0];
    EXPECT_EQ(sent.topic, "dead");
    EXPECT_EQ(sent.key, "k");
    EXPECT_NE(sent.value.find("event_data"), std::string::npos);
    for (const auto* header :
         {"event_type=Tested;",
          "txstream-error-class=BAD;",
          "txstream-error=it is bad;",
          "txstream-attempts=3;",
          "txstream-original-topic=orders;",
          "txstream-first-attempt-at=2026-01-02T03:04:05Z;",
          "txstream-last-attempt-at=2026-01-02T03:04:06Z;"})
        EXPECT_NE(sent.headers.find(header), std::string::npos) << header << sent.headers;
    EXPECT_EQ(sent.headers.find("txstream-value-omitted"), std::string::npos);
    EXPECT_TRUE(written_.empty());
    report(Outcome::acknowledged);
    ASSERT_TRUE(result_ && *result_);
    EXPECT_EQ(**result_, 1U);
    EXPECT_EQ(written_, Ids{1});
}

TEST_F(LetterCopierTest, WhatIsNotConfirmedIsCopiedAgain) {
    letter(1, "a");
    letter(2, "b");
    begin();
    side().report_one("a", Outcome::acknowledged);
    turn();
    EXPECT_FALSE(result_);
    report(Outcome::retryable, "_TRANSPORT");
    ASSERT_TRUE(result_);
    EXPECT_FALSE(*result_);
    EXPECT_EQ(written_, Ids{1});
    begin();
    EXPECT_EQ(side().keys(), std::vector<std::string>{"b"});
    report(Outcome::acknowledged);
    EXPECT_EQ(written_, (Ids{1, 2}));
}

TEST_F(LetterCopierTest, WhereTheTopicIsMissingNothingIsGivenUp) {
    letter(1, "a");
    begin();
    report(Outcome::refused_topic, "UNKNOWN_TOPIC_OR_PART");
    ASSERT_TRUE(result_);
    EXPECT_FALSE(*result_);
    EXPECT_TRUE(written_.empty());
    EXPECT_FALSE(copier_.has_publisher()) << "what is in flight points into the batch";
}

TEST_F(LetterCopierTest, WhatIsTooLargeGoesWithoutItsValueAndSaysSo) {
    letter(1, "a");
    begin();
    report(Outcome::refused_event, "MSG_SIZE_TOO_LARGE");
    ASSERT_EQ(side().sent.size(), 1U);
    EXPECT_TRUE(side().sent[0].value.empty());
    EXPECT_NE(side().sent[0].headers.find("txstream-value-omitted="), std::string::npos);
    report(Outcome::acknowledged);
    EXPECT_EQ(written_, Ids{1});
}

TEST_F(LetterCopierTest, WhatIsRefusedWithoutItsValueTooIsLeftOutAndHoldsUpNoOther) {
    letter(1, "a");
    letter(2, "b");
    begin();
    side().report_one("a", Outcome::refused_event, "INVALID_RECORD");
    side().report_one("a", Outcome::refused_event, "INVALID_RECORD");
    report(Outcome::acknowledged);
    ASSERT_TRUE(result_ && *result_);
    EXPECT_EQ(written_, (Ids{1, 2}));
    begin();
    EXPECT_TRUE(side().sent.empty());
}

TEST_F(LetterCopierTest, OfABatchThatWasRefusedEachGoesAlone) {
    letter(1, "a");
    letter(2, "b");
    begin();
    ASSERT_EQ(side().sent.size(), 2U);
    report(Outcome::refused_event, "MSG_SIZE_TOO_LARGE");
    ASSERT_EQ(side().keys(), std::vector<std::string>{"a"});
    EXPECT_FALSE(side().sent[0].value.empty()) << "it may be its neighbour's fault";
    report(Outcome::acknowledged);
    ASSERT_EQ(side().keys(), std::vector<std::string>{"b"});
    report(Outcome::acknowledged);
    EXPECT_EQ(written_, (Ids{1, 2}));
}

TEST_F(LetterCopierTest, WhatCouldNotBeWrittenIsCopiedAgain) {
    letter(1, "a");
    write_fails_ = true;
    begin();
    report(Outcome::acknowledged);
    ASSERT_TRUE(result_);
    EXPECT_FALSE(*result_);
    write_fails_ = false;
    begin();
    report(Outcome::acknowledged);
    EXPECT_EQ(written_, Ids{1});
}

TEST_F(LetterCopierTest, WithoutLettersItHasNoPublisher) {
    begin();
    ASSERT_TRUE(result_ && *result_);
    EXPECT_FALSE(copier_.has_publisher());
    letter(1, "a");
    begin();
    report(Outcome::acknowledged);
    EXPECT_TRUE(copier_.has_publisher());
    begin();
    EXPECT_FALSE(copier_.has_publisher()) << "it was idle for long enough";
}

}  // namespace
}  // namespace txstream::relay
