// Replay: the letters' way to Kafka.

#include "base/assert.hpp"
#include "relay/detail/record.hpp"
#include "relay/detail/replay_batch.hpp"
#include "relay/detail/withdrawn.hpp"
#include "relay/replay.hpp"
#include "runtime/clock.hpp"
#include "telemetry/log.hpp"

#include <algorithm>
#include <utility>

namespace txstream::relay {

namespace {

constexpr std::string_view kTooLarge = "MSG_SIZE_TOO_LARGE";

bool is_refusal(Outcome outcome) {
    return outcome == Outcome::refused_event || outcome == Outcome::refused_for_now;
}

}  // namespace

Result<Publisher*> Replay::publisher(Path path) {
    if (publisher_ && path_ != path) publisher_.reset();
    path_ = path;
    if (!publisher_) {
        TXS_TRY(publisher_, dependencies_.publisher(dependencies_.executor, path, events()));
    }
    return publisher_.get();
}

PublisherEvents Replay::events() {
    PublisherEvents events;
    events.reports = [this](std::span<const Report> reports) { on_reports(reports); };
    events.ready = [this] { pump(); };
    // Delivery's publishers say the same, and more of it.
    events.brokers_down = [](const Error&) {};
    events.fatal = [this](const Error&) { end_soon(Clock::now() + limits_.reports_grace); };
    return events;
}

void Replay::end_soon(Clock::time_point at) {
    if (!end_at_) end_at_ = at;
    // The other reports are on their way; without any there is nothing to wait for.
    if (batch_ && batch_->in_flight == 0) end_at_ = Clock::now();
    dependencies_.keeper.notify();
}

// What it had not delivered goes again.
void Replay::end_publisher() {
    publisher_.reset();
    end_at_.reset();
    if (!batch_) return;
    for (auto& letter : batch_->letters)
        if (letter.state == Letter::State::in_flight) batch_->back(letter);
    batch_->next = 0;
    for (auto& letter : batch_->letters)
        if (batch_->parts[letter.part].has_failed) batch_->leave(letter);
}

void Replay::pump() {
    const auto now = Clock::now();
    if (!batch_ || end_at_ || batch_->open == 0 || now < pause_until_ ||
        dependencies_.delivery.paused().everything())
        return;
    auto made = publisher(batch_->is_careful ? Path::careful : Path::fast);
    if (!made || !(*made)->begin()) return pause(now);
    if (batch_->is_careful) {
        pump_careful(now);
    } else {
        pump_fast(now);
    }
    if (end_at_) {
        publisher_->abort();
    } else if (!publisher_->commit()) {
        pause(now);
        end_soon(now);
    }
    if (batch_->open == 0) dependencies_.keeper.notify();
}

void Replay::pump_fast(Clock::time_point now) {
    for (; batch_->next < batch_->letters.size(); ++batch_->next) {
        auto& letter = batch_->letters[batch_->next];
        if (letter.state != Letter::State::waiting) continue;
        if (batch_->parts[letter.part].has_failed) {
            batch_->leave(letter);
            continue;
        }
        const auto known = publisher_->vouches_for(batch_->wire[batch_->next].topic);
        if (!known) return;
        if (!*known) {
            // Careful is for what may be refused.
            batch_->is_careful = true;
            return end_soon(now + limits_.reports_grace);
        }
        if (!send(letter, now)) return;
    }
}

void Replay::pump_careful(Clock::time_point now) {
    for (auto& part : batch_->parts) {
        while (part.next < part.last) {
            if (batch_->in_flight >= batch_->width) return;
            auto& letter = batch_->letters[part.next];
            if (letter.state == Letter::State::in_flight) break;
            if (letter.state == Letter::State::waiting) {
                if (part.has_failed) {
                    batch_->leave(letter);
                } else if (!send(letter, now)) {
                    return;
                } else if (letter.state == Letter::State::in_flight) {
                    break;
                }
            }
            ++part.next;
        }
    }
}

// True, and not in flight: it cannot be sent.
bool Replay::send(Letter& letter, Clock::time_point now) {
    const auto& event = batch_->event_of(letter);
    if (!dependencies_.delivery.may_publish(batch_->parts[letter.part].work.key.lane, now))
        return false;
    if (event.oversize > 0) {
        // Behind what is under way of its key.
        if (batch_->in_flight > 0) return false;
        failed(letter, kTooLarge, publisher_->explain(kTooLarge, event.topic, event.oversize), 1);
        return true;
    }
    auto record = record_of(event, headers_, runtime::WallClock::now());
    record.marks = RecordHeaders::replayed();
    record.context = &letter;
    const auto taken = publisher_->publish(record);
    if (taken) {
        letter.state = Letter::State::in_flight;
        if (batch_->in_flight++ == 0) batch_->in_flight_since = now;
        return true;
    }
    const auto& error = taken.error();
    if (error.code() == Code::overloaded) return false;
    if (error.code() == Code::rejected || error.code() == Code::not_found) {
        if (batch_->in_flight > 0) return false;
        if (error.code() == Code::not_found) {
            topic_refused(letter, error.origin());
        } else {
            failed(letter, error.origin(), error.what(), 1);
        }
        return true;
    }
    // Before its end come the reports that say which record was to blame.
    end_soon(now + limits_.reports_grace);
    return false;
}

void Replay::failed(Letter& letter, std::string_view error, std::string text, int attempts) {
    batch_->settle(letter, Letter::State::failed);
    letter.attempts += attempts;
    letter.error_class = error;
    letter.error = std::move(text);
    auto& part = batch_->parts[letter.part];
    const auto& event = batch_->event_of(letter);
    letter.holds =
        part.work.key.holds && !dependencies_.skip.skips(event.topic, event.identity.event_type);
    // What holds nothing stops nothing: the others of its key go on.
    if (letter.holds) part.has_failed = true;
}

// No attempt is counted: nothing is wrong with the event.
void Replay::topic_refused(Letter& letter, std::string_view error) {
    const auto& event = batch_->event_of(letter);
    failed(letter, error, publisher_->explain(error, event.topic, event.bytes()), 0);
    letter.waits = true;
    note_topic(event.topic, false);
}

void Replay::on_reports(std::span<const Report> reports) {
    if (!batch_) return;
    const auto now = Clock::now();
    const auto refused =
        static_cast<std::size_t>(std::ranges::count_if(reports, is_refusal, &Report::outcome));
    for (const auto& report : reports) {
        auto& letter = *static_cast<Letter*>(report.context);
        switch (report.outcome) {
            case Outcome::acknowledged:
                batch_->settle(letter, Letter::State::sent);
                if (!tried_.empty()) note_topic(batch_->event_of(letter).topic, true);
                if (batch_->is_careful)
                    batch_->width = std::min(limits_.careful_max, batch_->width + 1);
                break;
            case Outcome::refused_event:
            case Outcome::refused_for_now:
                on_refused(letter, report, refused);
                break;
            case Outcome::refused_topic:
                topic_refused(letter, report.error);
                break;
            case Outcome::retryable:
                batch_->back(letter);
                // Behind a refused one of the same publisher it is queued, no more.
                if (!is_withdrawn(report.error)) pause(now);
                break;
        }
    }
    const bool all_taken = std::ranges::all_of(reports, [](const Report& one) {
        return one.outcome == Outcome::acknowledged;
    });
    if (!all_taken) {
        // A later one of the key must not pass the one that was not taken.
        if (path_ == Path::fast) end_soon(now + limits_.reports_grace);
        dependencies_.keeper.notify();
    }
    if (batch_->in_flight > 0) batch_->in_flight_since = now;
    if (end_at_ && batch_->in_flight == 0) end_at_ = now;
    if (batch_->open == 0) return dependencies_.keeper.notify();
    pump();
}

void Replay::on_refused(Letter& letter, const Report& report, std::size_t refused) {
    const auto& event = batch_->event_of(letter);
    publisher_->refused(report.error, event.topic, event.bytes(), refused);
    const bool was_careful = batch_->is_careful && path_ == Path::careful;
    batch_->is_careful = true;
    if (!was_careful || refused > 1) {
        if (was_careful) batch_->width = std::max<std::size_t>(1, batch_->width / 2);
        return batch_->back(letter);
    }
    ++letter.attempts;
    if (report.outcome == Outcome::refused_for_now && letter.attempts < limits_.attempts_max) {
        pause(Clock::now());
        return batch_->back(letter);
    }
    failed(letter, report.error, publisher_->explain(report.error, event.topic, event.bytes()), 0);
}

}  // namespace txstream::relay
