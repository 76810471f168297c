// Copies of dead letters, from PostgreSQL to a broker.

#include "app/kafka_publisher.hpp"
#include "kafka/admin.hpp"
#include "kafka/record_reader.hpp"
#include "kafka/test_support.hpp"
#include "relay/letter_copier.hpp"
#include "runtime/task_group.hpp"
#include "tests/support/outbox_database.hpp"

#include <chrono>
#include <set>
#include <variant>

namespace txstream::tests {
namespace {

using namespace std::chrono_literals;

class LetterCopierKafkaTest : public OutboxTest {
protected:
    static kafka::Properties properties() {
        return {{"bootstrap.servers", kafka::test::real_broker()}, {"batch.size", "900000"}};
    }
    /// So many letters that are to be copied.
    void park(int count) {
        script(
            *superuser_,
            "SELECT txstream.publish('T', 'key-' || n, 'E', json_build_object('n', n)) FROM"
            " generate_series(1, " +
                std::to_string(count) +
                ") n; INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type,"
                " aggregate_id, event_type, topic, key, payload, content_type, created_at,"
                " attempts, error_class, error, to_copy) SELECT id, xid, event_id, lane,"
                " aggregate_type, aggregate_id, event_type, topic, aggregate_id, payload,"
                " content_type, created_at, 1, 'BAD', 'why', true FROM txstream.outbox;"
                "SET enable_seqscan = off"
        );
    }
    int waiting() {
        return std::stoi(one("SELECT count(*)::text FROM txstream.dead_letters WHERE to_copy"));
    }
    relay::LetterCopier::Dependencies dependencies() {
        return {
            .executor = io_.get_executor(),
            .publisher =
                [this](asio::any_io_executor on, relay::Path path, relay::PublisherEvents events) {
                    return app::make_kafka_publisher(
                        on,
                        path,
                        [] { return Result<kafka::Properties>(properties()); },
                        limits_,
                        std::move(events),
                        std::make_shared<app::KafkaTrouble>()
                    );
                },
            .read = [this](outbox::LetterLimit limit) -> Task<Result<outbox::LettersToCopy>> {
                co_return co_await outbox::letters_to_copy(*session_, lanes_, limit, soon());
            },
            .write = [this](std::vector<outbox::CopiedLetter> letters) -> Task<Result<>> {
                TXS_CO_CHECK(co_await outbox::letters_copied(*session_, letters, soon()));
                written_ += letters.size();
                co_return Result<>();
            },
            .metrics = metrics_,
            .topic = topic_,
            .default_topic = "t"
        };
    }
    /// Copies until the condition holds, and ends then, whatever is under way.
    template <class Condition>
    bool copy_until(Condition condition) {
        relay::LetterCopier::Limits limits;
        limits.letters.rows = 200;
        limits.look_interval = 10ms;
        relay::LetterCopier copier(dependencies(), limits);
        runtime::TaskGroup group(io_.get_executor());
        group.spawn(copier.run());
        const auto end = std::chrono::steady_clock::now() + 120s;
        io_.restart();
        while (!condition() && std::chrono::steady_clock::now() < end) {
            io_.restart();
            io_.run_one_for(20ms);
        }
        group.cancel();
        while (group.size() > 0) {
            io_.restart();
            io_.run_one_for(20ms);
        }
        return condition();
    }
    std::set<std::string> copied() {
        const auto reader = kafka::RecordReader::open(properties(), nullptr).value();
        const auto deadline = Deadline::in(60s);
        const auto bounds =
            reader->bounds(topic_, reader->partitions(topic_, deadline).value(), deadline).value();
        std::vector<kafka::ReadRange> ranges;
        for (const auto& bound : bounds)
            if (bound.end > bound.low) ranges.push_back({bound.partition, bound.low, bound.end});
        std::set<std::string> ids;
        if (const auto started = reader->start(topic_, ranges); !started)
            throw std::runtime_error(started.error().what());
        for (auto left = ranges.size(); left > 0 && !deadline.passed();) {
            const auto step = reader->next(100ms);
            if (const auto* record = std::get_if<kafka::FetchedRecord>(&step)) {
                for (const auto& [name, value] : record->headers)
                    if (name == "event_id") ids.insert(value.value_or(""));
            } else if (const auto* reached = std::get_if<kafka::Reached>(&step)) {
                left -= reached->is_done ? 1 : 0;
            } else if (const auto* failed = std::get_if<kafka::ReadFailed>(&step)) {
                throw std::runtime_error(failed->error.what());
            }
        }
        return ids;
    }

    std::string topic_ = kafka::test::own_topic();
    telemetry::Registry registry_;
    relay::Metrics metrics_{registry_};
    std::shared_ptr<app::TopicLimits> limits_ =
        std::make_shared<app::TopicLimits>(1'000'000, nullptr);
    std::unique_ptr<pg::Connection> session_ = connect("SET enable_seqscan = off");
    std::vector<LaneId> lanes_ = [] {
        std::vector<LaneId> all;
        for (std::int16_t i = 0; i < 32; ++i) all.emplace_back(i);
        return all;
    }();
    std::size_t written_ = 0;
};

TEST_F(LetterCopierKafkaTest, NoCopyIsMissingWhereItEndsInTheMiddle) {
    kafka::ensure_topic(properties(), topic_, 3, 1, Deadline::in(60s), nullptr).value();
    constexpr int kLetters = 1500;
    park(kLetters);
    ASSERT_TRUE(copy_until([this] { return written_ >= 400; }));
    session_ = connect("SET enable_seqscan = off");
    EXPECT_GT(waiting(), 0) << "it ended in the middle";
    ASSERT_TRUE(copy_until([this] { return waiting() == 0; }));
    const auto ids = rows("SELECT event_id::text FROM txstream.outbox");
    ASSERT_EQ(ids.size(), std::size_t{kLetters});
    EXPECT_EQ(copied(), std::set<std::string>(ids.begin(), ids.end()));
}

}  // namespace
}  // namespace txstream::tests
