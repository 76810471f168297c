#include "kafka/admin.hpp"
#include "kafka/record_reader.hpp"
#include "kafka/test_support.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <map>

namespace txstream::kafka {
namespace {

using namespace std::chrono_literals;
using test::own_topic;
using test::RawWriter;
using test::real_broker;

Properties connection() {
    return {{"bootstrap.servers", real_broker()}};
}

std::string made_topic(int partitions) {
    const auto topic = own_topic();
    ensure_topic(connection(), topic, partitions, 1, Deadline::in(30s), nullptr).value();
    return topic;
}

std::unique_ptr<RecordReader> reader() {
    return RecordReader::open(connection(), nullptr).value();
}

struct Read {
    std::vector<FetchedRecord> records;
    std::map<std::int32_t, std::int64_t> reached;
    std::map<std::int32_t, ReadFailed> failed;
};

/// Until every range is read.
Read read_all(RecordReader& from, const std::string& topic, const std::vector<ReadRange>& ranges) {
    Read read;
    EXPECT_TRUE(from.start(topic, ranges));
    const auto deadline = Deadline::in(30s);
    while (read.reached.size() + read.failed.size() < ranges.size()) {
        if (deadline.passed()) {
            ADD_FAILURE() << "read " << read.reached.size() << " of " << ranges.size();
            break;
        }
        auto step = from.next(100ms);
        if (auto* record = std::get_if<FetchedRecord>(&step))
            read.records.push_back(std::move(*record));
        if (const auto* reached = std::get_if<Reached>(&step);
            reached != nullptr && reached->is_done)
            read.reached[reached->partition] = reached->position;
        if (auto* failed = std::get_if<ReadFailed>(&step))
            read.failed.emplace(failed->partition, *failed);
    }
    return read;
}

TEST(RecordReaderTest, ARecordIsReadAsItWasWritten) {
    const auto topic = made_topic(1);
    RawWriter writer(connection());
    const std::string binary("\0\xff\n", 3);
    writer.write(
        topic,
        {.partition = 0,
         .timestamp_ms = 1'700'000'000'123,
         .key = binary,
         .value = "",
         .headers = {{"a", "1"}, {"b", std::nullopt}, {"a", ""}, {"a", binary}}}
    );
    writer.write(topic, {.partition = 0, .key = "", .value = std::nullopt});
    writer.write(topic, {.partition = 0, .key = std::nullopt, .value = std::string(900'000, 'x')});
    writer.flush();
    auto from = reader();
    const auto read = read_all(*from, topic, {{.partition = 0, .from = 0, .to = 3}});
    ASSERT_EQ(read.records.size(), 3U);
    const auto& first = read.records[0];
    EXPECT_EQ(first.timestamp_ms, 1'700'000'000'123);
    EXPECT_EQ(first.timestamp_type, TimestampType::create);
    EXPECT_EQ(first.key, binary);
    EXPECT_EQ(first.value, "");
    ASSERT_EQ(first.headers.size(), 4U);
    EXPECT_EQ(first.headers[0].value, "1");
    EXPECT_EQ(first.headers[1].name, "b");
    EXPECT_EQ(first.headers[1].value, std::nullopt);
    EXPECT_EQ(first.headers[2].value, "");
    EXPECT_EQ(first.headers[3].value, binary);
    EXPECT_EQ(read.records[1].key, "");
    EXPECT_EQ(read.records[1].value, std::nullopt);
    // Larger than what is fetched of a partition at a time.
    EXPECT_EQ(read.records[2].key, std::nullopt);
    EXPECT_EQ(read.records[2].value->size(), 900'000U);
}

TEST(RecordReaderTest, AbortedRecordsAndMarkersAreLeftOutAndThePositionPassesThem) {
    const auto topic = made_topic(1);
    RawWriter writer(connection(), topic);
    const auto write = [&](const char* key) {
        writer.write(topic, {.partition = 0, .key = key, .value = "v"});
    };
    writer.begin();
    write("0");
    write("1");
    writer.commit();  // marker at 2
    writer.begin();
    write("3");
    write("4");
    writer.flush();
    writer.abort();  // marker at 5
    writer.begin();
    write("6");
    writer.commit();  // marker at 7
    writer.begin();
    write("8");
    writer.flush();  // open

    auto from = reader();
    const auto bounds = from->bounds(topic, {0}, Deadline::in(20s)).value();
    EXPECT_EQ(bounds[0].low, 0);
    EXPECT_EQ(bounds[0].end, 8) << "the last stable offset";
    auto read = read_all(*from, topic, {{.partition = 0, .from = 0, .to = 8}});
    std::vector<std::int64_t> offsets;
    for (const auto& record : read.records) offsets.push_back(record.offset);
    EXPECT_EQ(offsets, (std::vector<std::int64_t>{0, 1, 6}));
    EXPECT_EQ(read.reached[0], 8);
    // A range of nothing but what is left out ends, too.
    read = read_all(*from, topic, {{.partition = 0, .from = 2, .to = 6}});
    EXPECT_TRUE(read.records.empty());
    EXPECT_EQ(read.reached[0], 6);
    read = read_all(*from, topic, {{.partition = 0, .from = 7, .to = 8}});
    EXPECT_TRUE(read.records.empty());
    EXPECT_EQ(read.reached[0], 8);
    writer.abort();
}

TEST(RecordReaderTest, RandomWindowsReadExactlyTheirRecordsWithOneReader) {
    const char* fixed = std::getenv("TXS_TEST_SEED");
    const auto seed = fixed != nullptr ? static_cast<unsigned>(std::strtoul(fixed, nullptr, 10))
                                       : std::random_device{}();
    SCOPED_TRACE("TXS_TEST_SEED=" + std::to_string(seed));
    std::mt19937 engine(seed);
    const auto below = [&](int limit) {
        return static_cast<int>(engine() % static_cast<unsigned>(limit));
    };
    const auto topic = made_topic(3);
    const auto other = made_topic(1);
    RawWriter writer(connection());
    constexpr int kEach = 3000;
    for (int i = 0; i < kEach; ++i) {
        for (int partition = 0; partition < 3; ++partition)
            writer.write(topic, {.partition = partition, .value = std::to_string(i)});
        writer.write(other, {.partition = 0, .value = "other"});
    }
    writer.flush();
    auto from = reader();
    for (int round = 0; round < 20; ++round) {
        std::vector<ReadRange> ranges;
        std::size_t expected = 0;
        for (int partition = 0; partition < 3; ++partition) {
            const int begin = below(kEach);
            const int end = begin + below(kEach - begin + 1);
            ranges.push_back({.partition = partition, .from = begin, .to = end});
            expected += static_cast<std::size_t>(end - begin);
        }
        // Some end before they are read, with records still on their way.
        if (below(3) == 0) {
            ASSERT_TRUE(
                from->start(below(2) == 0 ? topic : other, {{.partition = 0, .from = below(kEach)}})
            );
            for (int n = below(20); n > 0; --n) (void)from->next(50ms);
        }
        const auto read = read_all(*from, topic, ranges);
        ASSERT_EQ(read.records.size(), expected) << "round " << round;
        std::vector<std::int64_t> next{ranges[0].from, ranges[1].from, ranges[2].from};
        for (const auto& record : read.records) {
            ASSERT_EQ(record.offset, next[static_cast<std::size_t>(record.partition)]++);
            ASSERT_EQ(record.value, std::to_string(record.offset));
        }
    }
}

TEST(RecordReaderTest, FollowingSaysWhereTheEndIsAndReadsWhatComes) {
    const auto topic = made_topic(1);
    RawWriter writer(connection());
    auto from = reader();
    ASSERT_TRUE(from->start(topic, {{.partition = 0, .from = 0}}));
    const auto until = [&](auto condition) {
        const auto deadline = Deadline::in(20s);
        while (!deadline.passed()) {
            if (condition(from->next(100ms))) return true;
        }
        return false;
    };
    const auto at_end = [&](std::int64_t position) {
        return until([&](const ReadStep& step) {
            const auto* reached = std::get_if<Reached>(&step);
            return reached != nullptr && reached->position == position && !reached->is_done;
        });
    };
    EXPECT_TRUE(at_end(0));
    writer.write(topic, {.partition = 0, .value = "late"});
    writer.flush();
    EXPECT_TRUE(until([](const ReadStep& step) {
        const auto* record = std::get_if<FetchedRecord>(&step);
        return record != nullptr && record->value == "late";
    }));
    EXPECT_TRUE(at_end(1));
    EXPECT_EQ(from->high_watermark(0), 1);
}

TEST(RecordReaderTest, ATimeFindsTheFirstOffsetThatIsNotBeforeIt) {
    const auto topic = made_topic(2);
    RawWriter writer(connection());
    for (int i = 0; i < 10; ++i)
        writer.write(
            topic, {.partition = 0, .timestamp_ms = 1'700'000'000'000 + i * 1000, .value = "v"}
        );
    writer.flush();
    auto from = reader();
    const auto at = [&](std::int64_t ms) {
        return from->offsets_at(topic, {0, 1}, ms, Deadline::in(20s)).value();
    };
    EXPECT_EQ(at(1'700'000'004'500), (std::vector<std::int64_t>{5, -1}));
    EXPECT_EQ(at(-5), (std::vector<std::int64_t>{0, -1}));
    EXPECT_EQ(at(1'800'000'000'000), (std::vector<std::int64_t>{-1, -1}));
}

TEST(RecordReaderTest, AnOffsetThatDoesNotExistIsAnErrorOfItsPartition) {
    const auto topic = made_topic(1);
    auto from = reader();
    const auto read = read_all(*from, topic, {{.partition = 0, .from = 100, .to = 200}});
    ASSERT_EQ(read.failed.size(), 1U);
    EXPECT_TRUE(read.failed.begin()->second.is_out_of_range);
}

TEST(RecordReaderTest, LookingForATopicDoesNotCreateIt) {
    auto from = reader();
    const auto topic = own_topic();
    for (int i = 0; i < 2; ++i) {
        const auto found = from->partitions(topic, Deadline::in(20s));
        ASSERT_FALSE(found);
        EXPECT_EQ(found.error().code(), Code::not_found);
    }
}

TEST(RecordReaderTest, ABrokerThatIsAwayCostsNoMoreThanTheDeadline) {
    auto from = RecordReader::open({{"bootstrap.servers", "127.0.0.1:1"}}, nullptr).value();
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_FALSE(from->partitions("t", Deadline::in(1s)));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
    EXPECT_TRUE(from->trouble());
}

}  // namespace
}  // namespace txstream::kafka
