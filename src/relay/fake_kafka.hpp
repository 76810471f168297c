#pragma once

#include "relay/ports.hpp"
#include "telemetry/log.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace txstream::relay {

/// What goes wrong is the test's doing, and nobody needs to read of it.
inline void silence_log() {
    log::Options quiet;
    quiet.level = log::Level::fatal;
    EXPECT_TRUE(log::setup(quiet));
}

/// Kafka at the test's command: nothing is reported before the test says so.
struct FakeKafka {
    struct Sent {
        std::string topic;
        std::string key;
        void* context;
        std::string marks;  ///< attempt and reason; empty: none
    };
    std::vector<Sent> sent;  ///< and not reported
    PublisherEvents events;
    int producers = 0;
    /// What publish() answers instead of taking the record.
    std::optional<Error> refuses;
    std::string unknown_topic_of;  ///< a key: known without asking
    bool blames_batch = false;
    std::optional<std::chrono::milliseconds> waiting_max;

    std::vector<std::string> keys() const {
        std::vector<std::string> all;
        for (const auto& one : sent) all.push_back(one.key);
        return all;
    }
    /// Of what is sent and not reported: the key, and the marks in brackets.
    std::vector<std::string> marked() const {
        std::vector<std::string> all;
        for (const auto& one : sent)
            all.push_back(one.marks.empty() ? one.key : one.key + " (" + one.marks + ")");
        return all;
    }
    void report(Outcome outcome, std::string_view error = {}) {
        report_each([&](const Sent&) { return std::pair(outcome, error); });
    }
    /// All are acknowledged but for this key, whose topic is unknown.
    void report_without_topic(std::string_view key) {
        using Verdict = std::pair<Outcome, std::string_view>;
        report_each([&](const Sent& one) {
            return one.key == key ? Verdict(Outcome::refused_topic, "_UNKNOWN_TOPIC")
                                  : Verdict(Outcome::acknowledged, "");
        });
    }
    void give_up() { events.fatal(Error(Code::unavailable, "a gap", "_GAPLESS_GUARANTEE")); }

    using Maker =
        std::function<Result<std::unique_ptr<Publisher>>(asio::any_io_executor, PublisherEvents)>;
    /// What makes the publishers of a Delivery.
    Maker maker();

    template <class Verdicts>
    void report_each(Verdicts verdict_of) {
        std::vector<Report> reports;
        for (const auto& one : std::exchange(sent, {})) {
            const auto [outcome, error] = verdict_of(one);
            reports.push_back({one.context, outcome, 0, 0, error});
        }
        events.reports(reports);
    }
};

class FakePublisher final : public Publisher {
public:
    FakePublisher(FakeKafka& kafka, PublisherEvents events) : kafka_(kafka) {
        kafka_.events = std::move(events);
        ++kafka_.producers;
    }
    ~FakePublisher() override { kafka_.sent.clear(); }
    Result<> publish(const Record& record) override {
        if (record.key == kafka_.unknown_topic_of)
            return fail(Code::not_found, "no such topic", "_UNKNOWN_TOPIC");
        if (kafka_.refuses) return tl::unexpected(*kafka_.refuses);
        std::string marks;
        for (const auto& mark : record.marks)
            marks.append(marks.empty() ? "" : " ").append(mark.value);
        kafka_.sent.push_back(
            {std::string(record.topic), std::string(record.key), record.context, std::move(marks)}
        );
        return {};
    }
    std::string explain(std::string_view error, std::string_view, std::size_t) const override {
        return std::string(error);
    }
    bool blames_batch(std::string_view, std::string_view, std::size_t) override {
        return kafka_.blames_batch;
    }
    std::optional<std::chrono::milliseconds> waiting_max() const override {
        return kafka_.waiting_max;
    }

private:
    FakeKafka& kafka_;
};

inline FakeKafka::Maker FakeKafka::maker() {
    return [this](auto, PublisherEvents its_events) -> Result<std::unique_ptr<Publisher>> {
        return std::make_unique<FakePublisher>(*this, std::move(its_events));
    };
}

}  // namespace txstream::relay
