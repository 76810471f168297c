// How long a committed event takes to its consumer.
//
//   txs_commit_to_consumer CONNINFO BROKERS TOPIC PER_SECOND SECONDS [SLICES]
//
// Sessions append events at a fixed rate, one transaction each, whether the earlier ones have
// arrived or not (a slow relay must not slow down its own measurement). An event's time runs from
// the moment its COMMIT was answered to the moment a consumer in this process has its record.
// Prints the percentiles in milliseconds; with SLICES also those of each part of the time.

#include "bench/rdkafka.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <span>
#include <string_view>
#include <thread>

namespace {

using namespace txstream::bench;
using Clock = std::chrono::steady_clock;

constexpr int kSessions = 8;
// Of the payload with its number, about: the size of the other benchmarks.
constexpr int kPaddingBytes = 570;
constexpr std::chrono::seconds kPatience{60};
constexpr std::string_view kMark = "\"number\": ";

struct Times {
    std::atomic<std::int64_t> committed{0};
    std::int64_t consumed = 0;
};

std::int64_t now() {
    return Clock::now().time_since_epoch().count();
}

void append(const char* conninfo, int session, int per_second, std::vector<Times>& events) {
    PGconn* connection = PQconnectdb(conninfo);
    if (PQstatus(connection) != CONNECTION_OK) die(PQerrorMessage(connection));
    const std::string padding(kPaddingBytes, 'x');
    const auto begun = Clock::now();
    for (std::size_t i = static_cast<std::size_t>(session); i < events.size(); i += kSessions) {
        std::this_thread::sleep_until(
            begun + std::chrono::duration_cast<Clock::duration>(
                        std::chrono::duration<double>(static_cast<double>(i) / per_second)
                    )
        );
        const auto number = std::to_string(i);
        const auto payload = "{\"number\": " + number + ", \"padding\": \"" + padding + "\"}";
        const char* values[] = {number.c_str(), payload.c_str()};
        auto* result = PQexecParams(
            connection,
            "SELECT txstream.publish('Order', 'order-' || $1, 'OrderCreated', $2::json)",
            2,
            nullptr,
            values,
            nullptr,
            nullptr,
            0
        );
        events[i].committed = now();
        if (PQresultStatus(result) != PGRES_TUPLES_OK) die(PQerrorMessage(connection));
        PQclear(result);
    }
    PQfinish(connection);
}

std::size_t number_of(const rd_kafka_message_t& message) {
    const std::string_view value(static_cast<const char*>(message.payload), message.len);
    const auto mark = value.find(kMark);
    if (mark == std::string_view::npos) die("a record without a number");
    return std::strtoull(value.data() + mark + kMark.size(), nullptr, 10);
}

void consume(rd_kafka_t* consumer, std::vector<Times>& events) {
    auto limit = Clock::now() + kPatience;
    for (std::size_t found = 0; found < events.size();) {
        if (Clock::now() > limit) die("only " + std::to_string(found) + " records arrived");
        auto* message = rd_kafka_consumer_poll(consumer, 100);
        if (!message) continue;
        if (!message->err) {
            auto& event = events.at(number_of(*message));
            if (event.consumed != 0) die("a record came twice");
            event.consumed = now();
            ++found;
            limit = Clock::now() + kPatience;
        }
        rd_kafka_message_destroy(message);
    }
}

double milliseconds_at(const std::vector<double>& sorted, double share) {
    const auto index =
        static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
    return sorted.at(index == 0 ? 0 : index - 1);
}

struct Percentiles {
    double p50, p99, max;
};

Percentiles percentiles(std::span<const Times> events) {
    std::vector<double> took;
    // The record may be there before the answer to COMMIT is.
    for (const auto& event : events)
        took.push_back(std::max(0.0, static_cast<double>(event.consumed - event.committed) / 1e6));
    std::ranges::sort(took);
    return {milliseconds_at(took, 0.5), milliseconds_at(took, 0.99), took.back()};
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 6 && argc != 7)
        die("usage: txs_commit_to_consumer CONNINFO BROKERS TOPIC PER_SECOND SECONDS [SLICES]");
    const std::size_t slices = argc == 7 ? std::strtoull(argv[6], nullptr, 10) : 1;
    const int per_second = std::atoi(argv[4]);
    std::vector<Times> events(
        static_cast<std::size_t>(per_second) * std::strtoull(argv[5], nullptr, 10)
    );
    auto consumer = consume_all(argv[2], argv[3]);
    std::vector<std::thread> writers;
    for (int i = 0; i < kSessions; ++i)
        writers.emplace_back(append, argv[1], i, per_second, std::ref(events));
    consume(consumer.get(), events);
    for (auto& writer : writers) writer.join();
    rd_kafka_consumer_close(consumer.get());

    std::int64_t last = 0, first = events.front().committed;
    for (const auto& event : events) {
        first = std::min(first, event.committed.load());
        last = std::max(last, event.committed.load());
    }
    const auto all = percentiles(events);
    std::printf(
        "{\"p50_ms\": %.2f, \"p99_ms\": %.2f, \"max_ms\": %.2f, \"per_second\": %.0f, \"slices\": "
        "[",
        all.p50,
        all.p99,
        all.max,
        static_cast<double>(events.size()) / (static_cast<double>(last - first) / 1e9)
    );
    const auto each = events.size() / std::max<std::size_t>(slices, 1);
    for (std::size_t i = 0; i < slices && each > 0; ++i) {
        const auto one = percentiles(std::span(events).subspan(i * each, each));
        std::printf("%s{\"p50_ms\": %.2f, \"p99_ms\": %.2f}", i == 0 ? "" : ", ", one.p50, one.p99);
    }
    std::printf("]}\n");
}
