#include "relay/reader.hpp"

#include "runtime/task_group.hpp"
#include "telemetry/log.hpp"
#include "tests/support/fake_kafka.hpp"
#include "tests/support/fake_rows.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace txstream::relay {
namespace {

using namespace std::chrono_literals;

outbox::Snapshot snapshot(std::int64_t xmax) {
    const auto text = std::to_string(xmax);
    return outbox::Snapshot::parse(text + ":" + text + ":").value();
}

/// A window of one lane, whose events have the keys "1" to the last.
class FakeSource final : public EventSource {
public:
    FakeSource(const asio::any_io_executor& executor, std::int64_t events)
        : events_(events), held_after_(events), let_go_(executor) {}

    Task<Result<>> open(Deadline) override {
        is_open_ = true;
        co_return Result<>();
    }
    bool is_open() const override { return is_open_; }
    Task<Result<outbox::Snapshot>> current_snapshot(Deadline) override { co_return snapshot(20); }
    Task<Result<outbox::Events>> read_window(
        std::vector<LaneId>, outbox::Snapshot, outbox::Snapshot, std::size_t limit, Deadline
    ) override {
        co_return after(0, limit);
    }
    Task<Result<std::map<LaneId, EventSeq>>> first_ids(
        std::vector<LaneId> lanes, outbox::Snapshot, outbox::Snapshot, Deadline
    ) override {
        co_return std::map<LaneId, EventSeq>{{lanes.at(0), EventSeq(1)}};
    }
    Result<> send_page(
        LaneId, const outbox::Snapshot&, const outbox::Snapshot&, EventSeq last, std::size_t limit
    ) override {
        asked_after_ = last.value();
        asked = after(asked_after_, limit);
        return {};
    }
    Task<Result<outbox::Events>> receive_page(Deadline) override {
        while (asked_after_ >= held_after_) co_await let_go_.wait(Reader::Clock::time_point::max());
        co_return *std::exchange(asked, std::nullopt);
    }
    void hold_answers_after(std::int64_t last) {
        held_after_ = last;
        let_go_.notify();
    }

    std::optional<outbox::Events> asked;  ///< and not received

private:
    outbox::Events after(std::int64_t last, std::size_t limit) const {
        std::vector<tests::FakeEvent> found;
        for (auto id = last + 1; id <= events_ && found.size() < limit; ++id)
            found.push_back({.id = id, .lane = 1, .aggregate_id = std::to_string(id)});
        return tests::fake_events(found);
    }

    std::int64_t events_;
    std::int64_t asked_after_ = 0;
    std::int64_t held_after_;
    runtime::Wakeup let_go_;
    bool is_open_ = false;
};

class ReaderTest : public testing::Test {
protected:
    ReaderTest() {
        log::Options quiet;
        quiet.level = log::Level::fatal;
        EXPECT_TRUE(log::setup(quiet));
        outbox::ClaimedLane claimed{};
        claimed.lane = LaneId(1);
        claimed.epoch = Epoch(1);
        claimed.cursor = snapshot(10);
        delivery_.add_lane(claimed, Delivery::Clock::now() + 1h);
        tasks_.spawn(reader_.run());
    }
    ~ReaderTest() override {
        reader_.stop();
        reader_wakeup_.notify();
        source_.hold_answers_after(99);
        until([&] { return tasks_.size() == 0; }, "the reader ends");
    }
    template <class Condition>
    void until(Condition condition, const char* what) {
        const auto end = Reader::Clock::now() + 20s;
        while (!condition() && Reader::Clock::now() < end) {
            loop_.run_one_for(10ms);
            delivery_.trust(delivery_.doubts());  // as the keeper's session does
        }
        ASSERT_TRUE(condition()) << what;
    }
    /// Keys in the order in which Kafka gets them, all of them acknowledged.
    std::vector<std::string> published(std::size_t count) {
        std::vector<std::string> all;
        until(
            [&] {
                const auto sent = kafka_.keys();
                all.insert(all.end(), sent.begin(), sent.end());
                if (!sent.empty()) kafka_.report(Outcome::acknowledged);
                acknowledge();
                return all.size() >= count;
            },
            "so many are published"
        );
        return all;
    }
    void acknowledge() {
        for (const auto& one : delivery_.take_acknowledgements()) delivery_.acknowledged(one);
    }
    using Keys = std::vector<std::string>;

    asio::io_context loop_;
    tests::FakeKafka kafka_;
    FakeSource source_{loop_.get_executor(), 9};
    telemetry::Metrics metrics_;
    runtime::Wakeup reader_wakeup_{loop_.get_executor()};
    runtime::Wakeup keeper_wakeup_{loop_.get_executor()};
    SharedBreaker breaker_{
        {.failure_threshold = 1, .success_threshold = 1, .reset_timeout = 1h}, nullptr
    };
    DeliveryGate gate_{DeliveryGate::Limits(), breaker_};
    Delivery delivery_{
        {loop_.get_executor(), kafka_.maker(), gate_, metrics_, reader_wakeup_, keeper_wakeup_, "t"
        },
        {.lane = {.pages_in_flight_max = 2, .attempts_max = 1}, .topic_retry_delay = 20ms}
    };
    Reader reader_{
        delivery_, gate_, source_, metrics_, reader_wakeup_, {.page_rows_max = 2, .poll_max = 5ms}
    };
    runtime::TaskGroup tasks_{loop_.get_executor()};
};

TEST_F(ReaderTest, APageAskedForBeforeItsLaneWentBackIsNotTaken) {
    source_.hold_answers_after(2);
    kafka_.unknown_topic_of = "2";
    until([&] { return kafka_.keys() == Keys{"1"}; }, "the first page is handed over");
    EXPECT_TRUE(source_.asked) << "for the second";
    EXPECT_EQ(delivery_.machine(LaneId(1)).read_up_to(), EventSeq(1)) << "the lane went back";
    kafka_.unknown_topic_of.clear();
    source_.hold_answers_after(9);
    EXPECT_EQ(published(9), (Keys{"1", "2", "3", "4", "5", "6", "7", "8", "9"}));
}

TEST_F(ReaderTest, AnAnswerIsTakenAlsoWhileAProbeIsOut) {
    gate_.doubted();
    until([&] { return kafka_.keys() == Keys{"1", "2"}; }, "the probe is out");
    EXPECT_FALSE(gate_.may_send(Reader::Clock::now()));
    until([&] { return !source_.asked; }, "the server's snapshot is free");
    EXPECT_EQ(kafka_.keys(), (Keys{"1", "2"}));
    EXPECT_EQ(published(9), (Keys{"1", "2", "3", "4", "5", "6", "7", "8", "9"}));
}

}  // namespace
}  // namespace txstream::relay
