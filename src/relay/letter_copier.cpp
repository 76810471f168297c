#include "relay/letter_copier.hpp"

#include "relay/detail/record.hpp"
#include "runtime/clock.hpp"
#include "telemetry/log.hpp"

#include <algorithm>
#include <utility>

namespace txstream::relay {

namespace {

constexpr std::string_view kComponent = "relay";

}  // namespace

struct LetterCopier::Copy {
    enum class State : std::uint8_t {
        waiting,
        in_flight,
        sent,  ///< Kafka has it
        left,  ///< Kafka will never have it
    };
    std::size_t place;  ///< in the batch
    State state = State::waiting;
    bool has_value = true;
};

struct LetterCopier::Batch {
    std::string arena;  // keeps what the records point into
    std::vector<WireEvent> wire;
    std::vector<EventSeq> ids;
    std::vector<outbox::LetterFault> faults;
    std::vector<Copy> copies;
    std::size_t open = 0;  ///< waiting or in flight
    std::size_t in_flight = 0;
    bool is_careful = false;  ///< one at a time, since some were refused together
};

LetterCopier::LetterCopier(Dependencies dependencies, Limits limits)
    : dependencies_(std::move(dependencies)),
      limits_(limits),
      headers_(*dependencies_.format),
      changed_(dependencies_.executor) {
}

LetterCopier::~LetterCopier() = default;

Task<> LetterCopier::run() {
    auto pause = limits_.failure_pause;
    std::string told;
    while (true) {
        const auto done = co_await round();
        if (!done && done.error().code() == Code::cancelled) co_return;
        auto next = Clock::now();
        if (done) {
            if (!told.empty()) log::info(kComponent, "dead letters are copied again", {});
            told.clear();
            pause = limits_.failure_pause;
            if (*done == 0) next += limits_.look_interval;
        } else {
            dependencies_.metrics.copy_failed();
            if (done.error().what() != told) {
                told = done.error().what();
                log::warn(
                    kComponent,
                    "dead letters cannot be copied to their topic; trying again, delivery goes on",
                    {{"topic", dependencies_.topic},
                     {"error", told},
                     {"error_type", done.error().origin()},
                     {"delay_ms", pause.count()}}
                );
            }
            next += pause;
            pause = std::min(2 * pause, limits_.failure_pause_max);
        }
        while (Clock::now() < next) co_await changed_.wait(next);
    }
}

Task<Result<std::size_t>> LetterCopier::round() {
    TXS_CO_TRY(const auto letters, co_await dependencies_.read(limits_.letters));
    const auto now = Clock::now();
    const auto count = letters.events.size();
    if (count == 0) {
        if (publisher_ && now - idle_since_ >= limits_.idle_max) publisher_.reset();
        co_return count;
    }
    batch_ = std::make_unique<Batch>();
    std::vector<std::uint32_t> all;
    for (std::size_t i = 0; i < count; ++i) {
        all.push_back(static_cast<std::uint32_t>(i));
        batch_->ids.push_back(letters.events.id(i));
        batch_->copies.push_back({i});
    }
    batch_->faults = letters.faults;
    batch_->open = count;
    outbox::append_wire_events(
        *dependencies_.format,
        letters.events,
        all,
        dependencies_.default_topic,
        batch_->arena,
        batch_->wire
    );
    auto sent = co_await send();
    // Nothing of it may be in flight when its texts go.
    if (!sent) publisher_.reset();
    auto written = co_await settle();
    batch_.reset();
    idle_since_ = Clock::now();
    if (!sent) co_return tl::unexpected<Error>(std::move(sent).error());
    if (!written) co_return tl::unexpected<Error>(std::move(written).error());
    co_return count;
}

Task<Result<>> LetterCopier::send() {
    failure_.reset();
    const auto until = Clock::now() + limits_.confirm_max;
    pump();
    while (batch_->open > 0 && !failure_ && Clock::now() < until) co_await changed_.wait(until);
    if (failure_) co_return tl::unexpected<Error>(*failure_);
    if (batch_->open > 0) co_return fail(Code::timed_out, "Kafka does not confirm the copies");
    co_return Result<>();
}

Result<Publisher*> LetterCopier::publisher() {
    if (!publisher_) {
        PublisherEvents events;
        events.reports = [this](std::span<const Report> reports) { on_reports(reports); };
        events.ready = [this] {
            if (batch_) pump();
        };
        events.fatal = [this](Error error) { end(std::move(error)); };
        // It keeps trying; the batch has its time.
        events.brokers_down = [](const Error&) {};
        TXS_TRY(
            publisher_,
            dependencies_.publisher(dependencies_.executor, Path::careful, std::move(events))
        );
    }
    return publisher_.get();
}

void LetterCopier::end(Error why) {
    if (!failure_) failure_ = std::move(why);
    changed_.notify();
}

void LetterCopier::pump() {
    for (auto& copy : batch_->copies) {
        if (failure_ || (batch_->is_careful && batch_->in_flight > 0)) return;
        // Refused with its value, it goes without.
        while (copy.state == Copy::State::waiting) {
            const auto taken = publish(copy);
            if (taken) break;
            const auto& error = taken.error();
            if (error.code() == Code::overloaded) return;
            if (error.code() != Code::rejected) return end(error);
            refused(copy, error.origin());
        }
    }
}

Result<> LetterCopier::publish(Copy& copy) {
    const auto& event = batch_->wire[copy.place];
    const auto& fault = batch_->faults[copy.place];
    TXS_TRY(auto* const to, publisher());
    const auto attempts = std::to_string(fault.attempts);
    const auto omitted = std::to_string(event.oversize > 0 ? event.oversize : event.value.size());
    auto record = record_of(event, headers_, runtime::WallClock::now());
    std::vector<Header> headers(record.headers.begin(), record.headers.end());
    headers.push_back({"txstream-error-class", fault.error_class});
    headers.push_back({"txstream-error", fault.error});
    headers.push_back({"txstream-attempts", attempts});
    headers.push_back({"txstream-original-topic", event.topic});
    headers.push_back({"txstream-first-attempt-at", fault.first_attempt_at});
    headers.push_back({"txstream-last-attempt-at", fault.last_attempt_at});
    if (event.oversize > 0) copy.has_value = false;
    if (!copy.has_value) {
        headers.push_back({"txstream-value-omitted", omitted});
        record.value = {};
        record.is_tombstone = true;
    }
    record.topic = dependencies_.topic;
    record.headers = headers;
    record.context = &copy;
    TXS_CHECK(to->publish(record));
    copy.state = Copy::State::in_flight;
    ++batch_->in_flight;
    return {};
}

void LetterCopier::on_reports(std::span<const Report> reports) {
    if (!batch_) return;
    const auto is_refusal = [](const Report& report) {
        return report.outcome == Outcome::refused_event ||
               report.outcome == Outcome::refused_for_now;
    };
    const auto together = std::ranges::count_if(reports, is_refusal);
    for (const auto& report : reports) {
        auto& copy = *static_cast<Copy*>(report.context);
        --batch_->in_flight;
        copy.state = Copy::State::waiting;
        if (report.outcome == Outcome::acknowledged) {
            copy.state = Copy::State::sent;
            --batch_->open;
        } else if (!is_refusal(report)) {
            end(Error(
                Code::unavailable,
                "Kafka did not take a copy: " + std::string(report.error),
                std::string(report.error)
            ));
        } else if (together > 1) {
            batch_->is_careful = true;
        } else {
            refused(copy, report.error);
        }
    }
    pump();
    if (batch_->open == 0) changed_.notify();
}

// It alone is to blame.
void LetterCopier::refused(Copy& copy, std::string_view error) {
    if (std::exchange(copy.has_value, false)) return;
    copy.state = Copy::State::left;
    if (--batch_->open == 0) changed_.notify();
    dependencies_.metrics.copied(0, 1);
    const auto& event = batch_->wire[copy.place];
    log::error(
        kComponent,
        "a dead letter is not copied to their topic: Kafka refuses it also without its value",
        {{"topic", dependencies_.topic},
         {"event_id", event.identity.event_id},
         {"error_type", error}}
    );
}

Task<Result<>> LetterCopier::settle() {
    std::vector<outbox::CopiedLetter> done;
    std::size_t sent = 0;
    for (const auto& copy : batch_->copies) {
        if (copy.state != Copy::State::sent && copy.state != Copy::State::left) continue;
        sent += copy.state == Copy::State::sent ? 1 : 0;
        const auto& fault = batch_->faults[copy.place];
        done.push_back({batch_->ids[copy.place], fault.event_id, fault.attempts});
    }
    if (done.empty()) co_return Result<>();
    dependencies_.metrics.copied(sent, 0);
    co_return co_await dependencies_.write(std::move(done));
}

}  // namespace txstream::relay
