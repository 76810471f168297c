#include "otlp/exporter.hpp"

#include "runtime/task_group.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

#include <array>
#include <charconv>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

namespace txstream::otlp {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;
using Outcome = Exporter::Outcome;

constexpr auto kPatience = 20s;

/// A collector that answers one connection after the other, as it is told; without an answer left
/// it reads the request and hangs.
class Collector {
public:
    Collector() : acceptor_(loop_, {asio::ip::address_v4::loopback(), 0}) {
        thread_ = std::thread([this] { serve(); });
    }
    ~Collector() {
        {
            const std::scoped_lock lock(mutex_);
            is_over_ = true;
        }
        changed_.notify_all();
        boost::system::error_code ignored;
        tcp::socket last(loop_);  // wakes it from accepting
        last.connect(acceptor_.local_endpoint(), ignored);
        last.close(ignored);
        thread_.join();
    }

    Endpoint endpoint() const {
        return {
            false, "127.0.0.1", std::to_string(acceptor_.local_endpoint().port()), "/v1/traces"
        };
    }
    void will_answer(std::string status_and_headers, std::string body = "{}") {
        const std::scoped_lock lock(mutex_);
        answers_.push_back(
            "HTTP/1.1 " + status_and_headers +
            "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body
        );
        changed_.notify_all();
    }
    /// The first `count` requests, whole.
    std::vector<std::string> requests(std::size_t count) {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(changed_.wait_for(lock, kPatience, [&] { return requests_.size() >= count; }));
        return requests_;
    }

private:
    void serve() {
        while (true) {
            tcp::socket socket(loop_);
            acceptor_.accept(socket);
            std::string bytes;
            boost::system::error_code closed;
            const auto head =
                asio::read_until(socket, asio::dynamic_buffer(bytes), "\r\n\r\n", closed);
            std::size_t length = 0;
            if (const auto at = bytes.find("Content-Length: "); at != std::string::npos)
                std::from_chars(bytes.data() + at + 16, bytes.data() + bytes.size(), length);
            while (!closed && bytes.size() < head + length) {
                std::array<char, 65536> more{};
                const auto size = socket.read_some(asio::buffer(more), closed);
                bytes.append(more.data(), size);
            }
            std::unique_lock lock(mutex_);
            if (!bytes.empty()) requests_.push_back(bytes);
            changed_.notify_all();
            changed_.wait(lock, [this] { return is_over_ || !answers_.empty(); });
            if (is_over_) return;
            const auto answer = answers_.front();
            answers_.pop_front();
            lock.unlock();
            asio::write(socket, asio::buffer(answer), closed);
        }
    }

    asio::io_context loop_;
    tcp::acceptor acceptor_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::string> answers_;    // guarded by mutex_
    std::vector<std::string> requests_;  // guarded by mutex_
    bool is_over_ = false;               // guarded by mutex_
    std::thread thread_;
};

class ExporterTest : public testing::Test {
protected:
    ~ExporterTest() override {
        if (exporter_) stop(0s);
    }

    Exporter& exporter(Options options) {
        options.resource = {{"service.name", "test"}};
        const auto counted = [this](Outcome outcome, std::size_t spans) {
            const std::scoped_lock lock(mutex_);
            (outcome == Outcome::sent ? sent_ : dropped_) += spans;
            changed_.notify_all();
        };
        auto made = Exporter::create(loop_.get_executor(), std::move(options), counted);
        exporter_ = std::move(made.value());
        return *exporter_;
    }
    Options quick(const Collector& collector) {
        Options options;
        options.endpoint = collector.endpoint();
        options.schedule_delay = 1ms;
        options.retry.base_delay = 1ms;
        options.retry.max_delay = 2ms;
        return options;
    }
    static telemetry::Span span(const std::string& name = "x") {
        telemetry::Span made;
        made.trace.context = {{1, 2}, {3}, 1};
        made.name = name;
        return made;
    }
    std::chrono::steady_clock::duration stop(std::chrono::milliseconds patience) {
        const auto begun = std::chrono::steady_clock::now();
        runtime::TaskGroup tasks(loop_.get_executor());
        tasks.spawn(exporter_->stop(Deadline::in(patience)));
        loop_.restart();
        loop_.run();
        exporter_.reset();
        return std::chrono::steady_clock::now() - begun;
    }
    void expect_counted(std::size_t sent, std::size_t dropped) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, kPatience, [&] { return sent_ == sent && dropped_ == dropped; });
        EXPECT_EQ(sent_, sent);
        EXPECT_EQ(dropped_, dropped);
    }

    asio::io_context loop_;
    std::unique_ptr<Exporter> exporter_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t sent_ = 0;     // guarded by mutex_
    std::size_t dropped_ = 0;  // guarded by mutex_
};

TEST_F(ExporterTest, SpansArriveInOneRequestWithItsHeaders) {
    Collector collector;
    collector.will_answer("200 OK");
    auto options = quick(collector);
    options.schedule_delay = 10min;
    options.batch_spans_max = 3;
    options.headers = {{"authorization", "Bearer x"}};
    auto& to = exporter(options);
    for (const auto* const name : {"first", "second", "third"}) to.take(span(name));
    const auto request = collector.requests(1).front();
    EXPECT_TRUE(request.starts_with("POST /v1/traces HTTP/1.1\r\n"));
    for (const auto* const part :
         {"Host: ",
          "Content-Type: application/json\r\n",
          "authorization: Bearer x\r\n",
          "first",
          "third",
          "service.name"})
        EXPECT_NE(request.find(part), std::string::npos) << part;
    expect_counted(3, 0);
}

TEST_F(ExporterTest, WhatMayPassIsTriedAgainAndTheCollectorSaysWhen) {
    Collector collector;
    collector.will_answer("503 Busy\r\nRetry-After: 0");
    collector.will_answer("429 Slow down");
    collector.will_answer("200 OK");
    exporter(quick(collector)).take(span());
    EXPECT_EQ(collector.requests(3).size(), 3U);
    expect_counted(1, 0);
}

TEST_F(ExporterTest, WhatIsRefusedIsDroppedAndTheNextBatchGoes) {
    Collector collector;
    collector.will_answer("400 Bad");
    collector.will_answer("200 OK");
    auto& to = exporter(quick(collector));
    to.take(span("bad"));
    expect_counted(0, 1);
    to.take(span("good"));
    EXPECT_NE(collector.requests(2).back().find("good"), std::string::npos);
    expect_counted(1, 1);
}

TEST_F(ExporterTest, WhatACollectorRejectsOfABatchIsDropped) {
    Collector collector;
    collector.will_answer("200 OK", R"({"partialSuccess":{"rejectedSpans":"2"}})");
    auto options = quick(collector);
    options.schedule_delay = 10min;
    options.batch_spans_max = 3;
    auto& to = exporter(options);
    for (int i = 0; i < 3; ++i) to.take(span());
    expect_counted(1, 2);
}

TEST_F(ExporterTest, ABatchThatIsNotTakenInTimeIsDropped) {
    Collector collector;
    for (int i = 0; i < 100; ++i) collector.will_answer("503 Busy");
    auto options = quick(collector);
    options.export_timeout = 50ms;
    options.retry.base_delay = options.retry.max_delay = 20ms;
    exporter(options).take(span());
    expect_counted(0, 1);
}

// Aim: whoever hands over spans never waits for a collector, and its memory has a bound. Method: a
// collector that takes the request and says nothing.
TEST_F(ExporterTest, ACollectorThatHangsCostsSpansAndNothingElse) {
    Collector collector;
    auto options = quick(collector);
    options.timeout = 10min;
    options.export_timeout = 10min;
    options.queue_spans_max = 10;
    options.batch_spans_max = 1;
    options.flush_timeout = 50ms;
    auto& to = exporter(options);
    to.take(span());
    (void)collector.requests(1);
    for (int i = 0; i < 100; ++i) to.take(span());
    expect_counted(0, 90);
    EXPECT_LT(stop(10min), kPatience) << "a stop has a limit of its own";
    expect_counted(0, 101);
}

TEST_F(ExporterTest, ARequestHasATimeLimit) {
    Collector collector;
    auto options = quick(collector);
    options.timeout = 20ms;
    options.export_timeout = 30ms;
    exporter(options).take(span());
    expect_counted(0, 1);
}

TEST_F(ExporterTest, TheQueueIsBoundedInBytes) {
    Collector collector;
    auto options = quick(collector);
    options.schedule_delay = 10min;
    options.queue_bytes_max = 10 * span().bytes();
    options.batch_bytes_max = 2 * options.queue_bytes_max;
    auto& to = exporter(options);
    for (int i = 0; i < 12; ++i) to.take(span());
    expect_counted(0, 2);
    for (int i = 0; i < 10; ++i) collector.will_answer("200 OK");
    stop(kPatience);
    expect_counted(10, 2);
}

TEST_F(ExporterTest, AStopSendsWhatWaits) {
    Collector collector;
    for (int i = 0; i < 3; ++i) collector.will_answer("200 OK");
    auto options = quick(collector);
    options.schedule_delay = 10min;
    options.batch_spans_max = 2;
    options.queue_spans_max = 1;
    auto& to = exporter(options);
    to.take(span());
    stop(kPatience);
    expect_counted(1, 0);
    EXPECT_EQ(collector.requests(1).size(), 1U);
}

TEST_F(ExporterTest, WithoutACollectorAStopEndsAtOnce) {
    Options options;
    {
        const Collector gone;
        options.endpoint = gone.endpoint();
    }
    options.schedule_delay = 10min;
    options.flush_timeout = 10min;
    auto& to = exporter(options);
    to.take(span());
    EXPECT_LT(stop(10min), kPatience);
    expect_counted(0, 1);
}

TEST_F(ExporterTest, CertificatesThatCannotBeUsedAreAnErrorAtOnce) {
    Options options;
    options.endpoint = {true, "localhost", "1", "/"};
    options.certificate_file = "/does/not/exist";
    const auto made = Exporter::create(loop_.get_executor(), options, nullptr);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code(), Code::invalid_input);
}

}  // namespace
}  // namespace txstream::otlp
