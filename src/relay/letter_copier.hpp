#pragma once

#include "outbox/letter_copies.hpp"
#include "relay/metrics.hpp"
#include "relay/ports.hpp"
#include "runtime/wakeup.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace txstream::relay {

/// Copies parked events to the topic for dead letters (KAFKA_TOPIC_DEAD_LETTERS), at least once:
/// reads a batch of letters that are to be copied, sends them, and writes which of them Kafka has.
/// What the topic does not take in one piece is sent without its value; what it does not take even
/// so is left out, counted and logged. All else is tried again.
///
/// Delivery and replay know nothing of it: it has a session and a publisher of its own, and the
/// publisher ends when there was nothing to copy for a while.
///
/// Belongs to the thread of its executor.
class LetterCopier {
public:
    using Clock = Deadline::Clock;

    struct Limits {
        outbox::LetterLimit letters{500, 4 * 1024 * 1024, 1024 * 1024};
        /// Between two looks at the table.
        std::chrono::milliseconds look_interval{1000};
        /// After a failure, doubled by each further one.
        std::chrono::milliseconds failure_pause{1000};
        std::chrono::milliseconds failure_pause_max{60'000};
        /// For all of a batch to be confirmed.
        std::chrono::milliseconds confirm_max{30'000};
        /// Without a letter, before the publisher ends.
        std::chrono::milliseconds idle_max{30'000};
    };
    struct Dependencies {
        asio::any_io_executor executor;
        Ports::MakePublisher publisher;
        /// Letters of this process's lanes that are to be copied.
        std::function<Task<Result<outbox::LettersToCopy>>(outbox::LetterLimit)> read;
        std::function<Task<Result<>>(std::vector<outbox::CopiedLetter>)> write;
        const Metrics& metrics;
        std::string topic;          ///< for dead letters
        std::string default_topic;  ///< of events that name none
        const outbox::WireFormat* format = &outbox::txstream_format();
    };

    LetterCopier(Dependencies dependencies, Limits limits);
    ~LetterCopier();
    LetterCopier(const LetterCopier&) = delete;
    LetterCopier& operator=(const LetterCopier&) = delete;

    /// Until it is cancelled.
    Task<> run();
    /// One batch: how many letters there were. A failure leaves what was not confirmed for the next
    /// time.
    Task<Result<std::size_t>> round();
    bool has_publisher() const noexcept { return publisher_ != nullptr; }

private:
    struct Copy;
    struct Batch;

    Task<Result<>> send();
    void pump();
    Result<> publish(Copy& copy);
    void on_reports(std::span<const Report> reports);
    void refused(Copy& copy, std::string_view error);
    Result<Publisher*> publisher();
    void end(Error why);
    Task<Result<>> settle();

    Dependencies dependencies_;
    Limits limits_;
    RecordHeaders headers_;
    runtime::Wakeup changed_;
    std::unique_ptr<Batch> batch_;
    std::unique_ptr<Publisher> publisher_;  // ended before what its records point into
    std::optional<Error> failure_;          ///< the batch cannot go on
    Clock::time_point idle_since_{};
};

}  // namespace txstream::relay
