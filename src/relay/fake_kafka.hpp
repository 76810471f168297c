#pragma once

#include "relay/ports.hpp"
#include "telemetry/log.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
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

/// One of the two publishers, as the test sees it: nothing is reported before the test says so.
struct FakeKafkaSide {
    struct Sent {
        std::string topic;
        std::string key;
        void* context;
        std::string marks;  ///< attempt and reason; empty: none
        std::string value{};
        std::string headers{};  ///< names and values
    };
    std::vector<Sent> sent;          ///< and not reported
    std::vector<std::string> calls;  ///< keys that were taken, and the boundaries of batches
    PublisherEvents events;
    int producers = 0;

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
    /// Only what was sent of this key.
    void report_one(std::string_view key, Outcome outcome, std::string_view error = {}) {
        auto rest = std::exchange(sent, {});
        const auto one = std::ranges::find(rest, key, &Sent::key);
        ASSERT_NE(one, rest.end()) << key;
        sent.push_back(*one);
        rest.erase(one);
        auto mine = std::exchange(sent, std::move(rest));
        const std::vector<Report> reports{{mine.front().context, outcome, 0, 0, error}};
        events.reports(reports);
    }
    void give_up() { events.fatal(Error(Code::unavailable, "a gap", "_GAPLESS_GUARANTEE")); }

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

/// Kafka at the test's command; without more words it is the fast path.
struct FakeKafka : FakeKafkaSide {
    FakeKafkaSide careful;
    /// What publish() answers instead of taking the record.
    std::optional<Error> refuses;
    std::string breaks_at;  ///< "begin" or "commit" of a batch
    /// For which nothing vouches.
    std::set<std::string, std::less<>> unknown_topics;
    int batches_refused = 0;
    std::optional<std::chrono::milliseconds> waiting_max;

    /// What makes the publishers of a Delivery.
    Ports::MakePublisher maker();
};

class FakePublisher final : public Publisher {
public:
    FakePublisher(FakeKafka& kafka, Path path, PublisherEvents events)
        : kafka_(kafka), side_(path == Path::fast ? kafka : kafka.careful) {
        side_.events = std::move(events);
        ++side_.producers;
    }
    ~FakePublisher() override { side_.sent.clear(); }
    Result<> publish(const Record& record) override {
        if (kafka_.refuses) return tl::unexpected(*kafka_.refuses);
        std::string marks;
        for (const auto& mark : record.marks)
            marks.append(marks.empty() ? "" : " ").append(mark.value);
        std::string headers;
        for (const auto& header : record.headers)
            headers.append(header.name).append("=").append(header.value).append(";");
        side_.sent.push_back(
            {std::string(record.topic),
             std::string(record.key),
             record.context,
             std::move(marks),
             std::string(record.value),
             std::move(headers)}
        );
        side_.calls.push_back(std::string(record.key));
        return {};
    }
    Result<> begin() override { return called("begin"); }
    Result<> commit() override { return called("commit"); }
    void abort() override { (void)called("abort"); }
    std::string explain(std::string_view error, std::string_view, std::size_t) const override {
        return std::string(error);
    }
    std::optional<bool> vouches_for(std::string_view topic) override {
        return !kafka_.unknown_topics.contains(topic);
    }
    void refused(std::string_view, std::string_view, std::size_t, std::size_t) override {
        ++kafka_.batches_refused;
    }
    std::optional<std::chrono::milliseconds> waiting_max() const override {
        return kafka_.waiting_max;
    }

private:
    Result<> called(const char* what) {
        side_.calls.emplace_back(what);
        if (side_.calls.back() == kafka_.breaks_at)
            return fail(Code::unavailable, "the transaction is gone");
        return {};
    }

    FakeKafka& kafka_;
    FakeKafkaSide& side_;
};

inline Ports::MakePublisher FakeKafka::maker() {
    return
        [this](auto, Path path, PublisherEvents its_events) -> Result<std::unique_ptr<Publisher>> {
            return std::make_unique<FakePublisher>(*this, path, std::move(its_events));
        };
}

}  // namespace txstream::relay
