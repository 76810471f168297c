// What tracing costs the relay for each event, beside the same without: from a page as the database
// sends it to its acknowledgement, with a Kafka that takes everything at once. Each event has a
// traceparent, one in a hundred of them sampled.
//
//     txs_trace_overhead [PAGES]
//
// Prints JSON. Both ways alternate, and of each the fastest round counts: what is slower was
// disturbed. The spans are encoded on the same thread, so that their whole cost but for the socket
// is in the figure. The ratio is to this part alone: reading and librdkafka cost more than it does.
#include "otlp/trace_json.hpp"
#include "relay/delivery.hpp"
#include "telemetry/log.hpp"
#include "tests/support/fake_rows.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

namespace {

using namespace txstream;

constexpr std::size_t kPageEvents = 1000;
constexpr int kSampledEach = 100;
constexpr int kRounds = 25;

struct Encoder final : telemetry::SpanSink {
    void take(telemetry::Span span) override {
        const std::array spans{std::move(span)};
        bytes += otlp::trace_request({{"service.name", "bench"}}, spans).size();
        ++count;
    }
    std::size_t bytes = 0;
    std::size_t count = 0;
};

struct Kafka {
    std::vector<relay::Report> reports;
    relay::PublisherEvents events;
};

class Publisher final : public relay::Publisher {
public:
    explicit Publisher(Kafka& kafka) : kafka_(kafka) {}
    Result<> publish(const relay::Record& record) override {
        kafka_.reports.push_back({record.context, relay::Outcome::acknowledged, 0, 0, {}});
        return {};
    }
    std::string explain(std::string_view error, std::string_view, std::size_t) const override {
        return std::string(error);
    }

private:
    Kafka& kafka_;
};

outbox::Events page() {
    std::vector<tests::FakeEvent> events;
    for (std::size_t i = 0; i < kPageEvents; ++i) {
        char parent[56];
        const bool is_sampled = i % kSampledEach == 0;
        std::snprintf(
            parent, sizeof parent, "00-%032zu-%016zu-%s", i + 1, i + 1, is_sampled ? "01" : "00"
        );
        tests::FakeEvent event;
        event.id = static_cast<std::int64_t>(i) + 1;
        event.lane = 1;
        event.aggregate_id = "order-" + std::to_string(i);
        event.payload = R"({"number": 1, "padding": ")" + std::string(570, 'x') + R"("})";
        event.headers = R"({"traceparent":")" + std::string(parent) + R"("})";
        events.push_back(std::move(event));
    }
    return tests::fake_events(events);
}

double thread_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

class Relay {
public:
    explicit Relay(const telemetry::Tracer* tracer)
        : delivery_(
              {.executor = loop_.get_executor(),
               .publisher =
                   [this](auto, relay::Path, relay::PublisherEvents events) {
                       kafka_.events = std::move(events);
                       return Result<std::unique_ptr<relay::Publisher>>(
                           std::make_unique<Publisher>(kafka_)
                       );
                   },
               .gate = gate_,
               .metrics = metrics_,
               .reader = reader_,
               .keeper = keeper_,
               .topic = "txstream.events",
               .blockages = blockages_,
               .tracing = {tracer, "txstream", "localhost", 9092}},
              {}
          ) {
        outbox::ClaimedLane claimed{};
        claimed.lane = LaneId(1);
        claimed.epoch = Epoch(1);
        claimed.cursor = outbox::Snapshot::parse("10:10:").value();
        delivery_.add_lane(claimed, relay::Delivery::Clock::now() + std::chrono::hours(24));
    }

    void deliver(const outbox::Events& events) {
        const auto target = outbox::Snapshot::parse("20:20:").value();
        std::vector<std::uint32_t> all(events.size());
        std::iota(all.begin(), all.end(), 0U);
        delivery_.add_page(LaneId(1), events, all, target, events.id(all.back()), true);
        if (!gate_.may_send(relay::Delivery::Clock::now())) std::abort();
        delivery_.pump();
        const auto reports = std::exchange(kafka_.reports, {});
        if (reports.size() != events.size()) std::abort();
        kafka_.events.reports(reports);
        for (const auto& one : delivery_.take_acknowledgements()) delivery_.acknowledged(one);
    }

private:
    boost::asio::io_context loop_;
    Kafka kafka_;
    telemetry::Registry registry_;
    relay::Metrics metrics_{registry_};
    runtime::Wakeup reader_{loop_.get_executor()};
    runtime::Wakeup keeper_{loop_.get_executor()};
    relay::SharedBreaker breaker_{{}, nullptr};
    relay::DeliveryGate gate_{relay::DeliveryGate::Limits(), breaker_};
    relay::Blockages blockages_{nullptr};
    relay::Delivery delivery_;
};

double nanoseconds_per_event(Relay& relay, const outbox::Events& events, int pages) {
    const double before = thread_seconds();
    for (int i = 0; i < pages; ++i) relay.deliver(events);
    return (thread_seconds() - before) * 1e9 / static_cast<double>(pages) / kPageEvents;
}

}  // namespace

int main(int argc, char** argv) {
    const int pages = argc > 1 ? std::atoi(argv[1]) : 40;
    log::Options quiet;
    quiet.level = log::Level::fatal;
    if (pages < 1 || !log::setup(quiet)) return 2;
    Encoder sink;
    const telemetry::Tracer tracer(telemetry::Sampler(0.01, true), sink);
    const auto events = page();
    Relay without(nullptr);
    Relay with(&tracer);
    std::array best{std::numeric_limits<double>::max(), std::numeric_limits<double>::max()};
    for (int round = 0; round < kRounds; ++round) {
        best[0] = std::min(best[0], nanoseconds_per_event(without, events, pages));
        best[1] = std::min(best[1], nanoseconds_per_event(with, events, pages));
    }
    std::printf(
        "{\"without_ns_per_event\": %.1f, \"with_ns_per_event\": %.1f, \"spans\": %zu, "
        "\"span_bytes\": %zu}\n",
        best[0],
        best[1],
        sink.count,
        sink.count == 0 ? 0 : sink.bytes / sink.count
    );
    return 0;
}
