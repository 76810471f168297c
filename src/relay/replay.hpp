#pragma once

#include "relay/delivery.hpp"

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace txstream::relay {

/// Sends a worker's dead letters when an operator has decided so, and frees their keys.
///
/// What is to be done stands in the table (outbox/letters.hpp), so it survives any relay: a claim
/// finds the keys that were begun, and a look each second those that are new. Of each key the
/// letters go in their order, from a publisher of this class alone, so that nothing of it can end
/// Delivery's. First all at once, on the fast path; when one is refused, the rest of the batch goes
/// the careful way, one of a key in flight, and fewer together after each refused batch until one
/// is alone to blame. That one is parked again, with its key behind it.
///
/// Meanwhile new events of the key wait in Delivery (LaneMachine::begin_wait), or are parked where
/// there is no room for them; then they are letters, too, and it takes another round. The key is
/// released when a round that was begun with nothing of it unwritten has sent all there was.
///
/// A letter that waits for its topic is tried now and then, one of each topic; when it has arrived,
/// all that wait for the topic follow.
///
/// Letters that do not hold their key (SkipPolicy) are a part of their own in a round: new events
/// of the key do not wait for them, and when one is refused again the others go on.
///
/// While Kafka is away a round waits in its publisher, and no attempt is counted. The gate is not
/// asked: with nothing else to send nobody would prove that Kafka is back.
///
/// Driven by the keeper, whose session it uses; belongs to the worker's thread.
class Replay {
public:
    using Clock = Deadline::Clock;

    struct Limits {
        std::size_t keys_max = 1000;  ///< of one round
        outbox::LetterLimit letters{1000, 4 * 1024 * 1024, 1024 * 1024};
        std::size_t decisions_max = 2000;  ///< of one look
        std::chrono::milliseconds look_interval{1000};
        /// Before a key is looked at again whose parked events are not all written.
        std::chrono::milliseconds unwritten_pause{100};
        /// After a failure that is not a letter's.
        std::chrono::milliseconds failure_pause{1000};
        /// After a publisher gave up, its last reports may be queued.
        std::chrono::milliseconds reports_grace{200};
        /// Before letters that wait for their topics are tried again: WORKER_TOPIC_RETRY_DELAY.
        std::chrono::milliseconds topic_retry_delay{30'000};
        /// Of one topic that takes records again, in one statement.
        std::size_t revived_max = 1000;
        std::size_t careful_max = 128;  ///< records in flight together on the careful path
        /// A letter that is refused alone, for a reason that may pass, is tried so often.
        int attempts_max = 4;
    };
    struct Dependencies {
        asio::any_io_executor executor;
        Ports::MakePublisher publisher;
        Delivery& delivery;
        const Metrics& metrics;
        runtime::Wakeup& keeper;
        std::string topic;  ///< for events without their own
        const outbox::WireFormat* format = &outbox::txstream_format();
        SkipPolicy skip = {};
        bool copies = false;  ///< what is refused again (LetterCopier)
    };

    Replay(Dependencies dependencies, Limits limits);
    ~Replay();
    Replay(const Replay&) = delete;
    Replay& operator=(const Replay&) = delete;

    /// The lane was claimed, and letters of these keys may be sent.
    void add(LaneId lane, const std::vector<std::string>& keys);
    /// Nothing of the lane may leave any more. Not in a publisher's own call.
    void lose(LaneId lane);

    /// Does what is due. A failure that leaves the session open is logged, and tried again later:
    /// it must not hold up the acknowledging of others. `begins`: what is new may begin.
    Task<Result<>> step(LaneKeeper& lanes, bool begins, Deadline deadline);
    std::optional<Clock::time_point> due() const;
    /// Letters are with Kafka, or what became of them is not written.
    bool is_busy() const noexcept { return batch_ != nullptr; }
    /// Of this lane.
    bool is_busy_with(LaneId lane) const;
    /// The same of any, and it is worth waiting for: Kafka has said something lately.
    bool expects_reports() const;
    /// The lanes are given back: no letter leaves from now on, and what became of those that left
    /// is written.
    Task<> end(LaneKeeper& lanes, Deadline deadline);

private:
    struct Work {
        LaneKey key;
        bool is_large = false;  ///< more letters than a round takes: its new events are parked
        Clock::time_point not_before{};
    };
    struct Letter;
    struct Part;
    struct Batch;

    Task<Result<>> look(LaneKeeper& lanes, Deadline deadline);
    Task<Result<>> revive(LaneKeeper& lanes, Clock::time_point now, Deadline deadline);
    void name_paused(outbox::Revival& which);
    bool is_paused(const outbox::Event& event) const;
    void note_topic(std::string_view topic, bool takes);
    Task<Result<>> load(LaneKeeper& lanes, Deadline deadline);
    Task<Result<>> settle(LaneKeeper& lanes, Deadline deadline);
    Task<Result<>> advance(LaneKeeper& lanes, bool begins, Deadline deadline);
    std::vector<Part> begin_parts(Clock::time_point now);
    bool is_begun(const std::vector<Part>& parts, LaneKey key) const;
    void fill(std::vector<Part> parts, const outbox::Letters& letters);
    void finish(Part& part, Clock::time_point now);
    void forget(const LaneKey& key) { known_.erase(key); }
    bool is_ours(const Part& part) const;

    void pump();
    void pump_fast(Clock::time_point now);
    void pump_careful(Clock::time_point now);
    /// False: nothing more can be handed over now.
    bool send(Letter& letter, Clock::time_point now);
    Result<Publisher*> publisher(Path path);
    PublisherEvents events();
    void on_reports(std::span<const Report> reports);
    void on_refused(Letter& letter, const Report& report, std::size_t refused);
    void failed(Letter& letter, std::string_view error, std::string text, int attempts);
    void topic_refused(Letter& letter, std::string_view error);
    void end_soon(Clock::time_point at);
    void end_publisher();
    void pause(Clock::time_point now) { pause_until_ = now + limits_.failure_pause; }

    Dependencies dependencies_;
    Limits limits_;
    RecordHeaders headers_;
    std::deque<Work> work_;
    std::set<LaneKey> known_;  ///< in work_, or in the batch
    std::unique_ptr<Batch> batch_;
    std::unique_ptr<Publisher> publisher_;  // ended before what its records point into
    Path path_ = Path::fast;                ///< of the publisher
    Clock::time_point look_at_{};
    Clock::time_point revive_at_{};
    std::size_t paused_before_ = 0;             ///< topics and keys
    std::set<std::string, std::less<>> tried_;  ///< topics that letters wait for
    std::set<std::string, std::less<>> open_;   ///< of these, those that take records again
    Clock::time_point pause_until_{};
    std::optional<Clock::time_point> end_at_;  ///< the publisher cannot go on
};

}  // namespace txstream::relay
