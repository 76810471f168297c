#pragma once

#include "base/error.hpp"
#include "base/strong.hpp"
#include "kafka/record.hpp"
#include "outbox/event.hpp"
#include "outbox/lane_store.hpp"
#include "outbox/reader.hpp"
#include "outbox/record_headers.hpp"
#include "outbox/snapshot.hpp"
#include "outbox/wire_event.hpp"
#include "runtime/deadline.hpp"
#include "runtime/task.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// What a worker needs of the world. The room `app` fills these with PostgreSQL and Kafka, tests
// with fakes, so that any schedule of failures can be played through.
namespace txstream::relay {

/// A session that reads events. One call at a time; after a failure is_open() tells whether the
/// session can go on. Belongs to the worker's thread.
class EventSource {
public:
    virtual ~EventSource() = default;

    virtual Task<Result<>> open(Deadline deadline) = 0;
    virtual bool is_open() const = 0;

    /// See outbox/reader.hpp for each.
    virtual Task<Result<outbox::Snapshot>> current_snapshot(Deadline deadline) = 0;
    virtual Task<Result<outbox::Events>> read_window(
        std::vector<LaneId> lanes,
        outbox::Snapshot cursor,
        outbox::Snapshot target,
        outbox::PageLimit limit,
        Deadline deadline
    ) = 0;
    /// `timeout` is for each of its statements.
    virtual Task<Result<std::optional<EventSeq>>> first_id(
        outbox::Snapshot cursor, outbox::Snapshot target, std::chrono::milliseconds timeout
    ) = 0;
    virtual Task<Result<EventSeq>> highest_id(Deadline deadline) = 0;
    virtual Result<> send_page(const outbox::PageQuery& query) = 0;
    virtual Task<Result<outbox::Events>> receive_page(Deadline deadline) = 0;
};

using outbox::LaneKey;

/// A session that owns lanes and moves their cursors. As EventSource otherwise.
class LaneKeeper {
public:
    virtual ~LaneKeeper() = default;

    virtual Task<Result<>> open(Deadline deadline) = 0;
    virtual bool is_open() const = 0;

    /// See outbox/lane_store.hpp for each.
    virtual void want(outbox::Want want) = 0;
    virtual Task<Result<outbox::Shares>> shares(Deadline deadline) = 0;
    virtual Task<Result<>> enlist(std::chrono::milliseconds lease, Deadline deadline) = 0;
    virtual Task<Result<std::vector<LaneId>>> give(
        std::vector<outbox::Gift> gifts, Deadline deadline
    ) = 0;
    virtual Task<Result<std::vector<outbox::ClaimedLane>>> claim(
        std::vector<LaneId> owned,
        std::size_t limit,
        std::chrono::milliseconds lease,
        Deadline deadline
    ) = 0;
    virtual Task<Result<std::vector<LaneId>>> renew(
        std::vector<LaneId> lanes, std::chrono::milliseconds lease, Deadline deadline
    ) = 0;
    virtual Task<Result<std::vector<LaneId>>> advance(
        std::vector<outbox::LaneProgress> lanes,
        std::vector<outbox::Publication> publications,
        Deadline deadline
    ) = 0;
    virtual Task<Result<bool>> park(
        outbox::LaneProgress lane,
        std::vector<outbox::ParkedEvent> parked,
        outbox::Publication publication,
        outbox::LetterForm form,
        Deadline deadline
    ) = 0;
    virtual Task<Result<outbox::Decisions>> decisions(
        std::vector<LaneId> lanes, std::size_t limit, Deadline deadline
    ) = 0;
    virtual Task<Result<outbox::Letters>> letters(
        std::vector<LaneKey> keys, outbox::LetterLimit limit, Deadline deadline
    ) = 0;
    virtual Task<Result<std::vector<LaneId>>> settle(
        std::vector<LaneId> lanes, std::vector<outbox::SettledLetter> letters, Deadline deadline
    ) = 0;
    virtual Task<Result<std::vector<std::string>>> revive(
        std::vector<LaneId> lanes, outbox::Revival which, Deadline deadline
    ) = 0;
    virtual Task<Result<std::vector<outbox::Pause>>> pauses(Deadline deadline) = 0;
    virtual Task<Result<>> release(Deadline deadline) = 0;
};

using kafka::Header;
using kafka::Outcome;
using kafka::Record;
using kafka::Report;
using outbox::RecordHeaders;
using outbox::WireEvent;

/// How a publisher treats a refusal.
enum class Path : std::uint8_t {
    fast,     ///< it ends: no later record of the partition may pass the refused one
    careful,  ///< it goes on; of each key the owner has one record in flight at most
};

/// Hands records to Kafka in the order of the calls and reports each at most once. Destroying it
/// ends all deliveries at once; then no report comes any more. Belongs to the worker's thread.
class Publisher {
public:
    virtual ~Publisher() = default;
    /// Code::overloaded: try again after a report, or when it is `ready`. Code::rejected: this
    /// record is impossible (what() names sizes and limit). Code::not_found: its topic takes
    /// nothing. origin() is Kafka's name for it.
    virtual Result<> publish(const Record& record) = 0;
    /// What is published between begin() and commit() belongs together: a publisher with
    /// transactions makes all of it visible or nothing, and reports it afterwards. abort() when the
    /// owner gives the batch up and will end the publisher. Without transactions the boundary has
    /// no effect.
    virtual Result<> begin() { return {}; }
    virtual Result<> commit() { return {}; }
    virtual void abort() {}
    /// For people: why Kafka refused a record of this size, with the limit if that is the reason.
    virtual std::string explain(std::string_view error, std::string_view topic, std::size_t bytes)
        const = 0;
    /// Whether something says that the topic exists and takes records; nothing: it is being looked
    /// up, and `ready` follows.
    virtual std::optional<bool> vouches_for(std::string_view /*topic*/) { return true; }
    /// The broker refused a batch of `records` that had a record of so many bytes: the next batches
    /// may be made smaller.
    virtual void refused(
        std::string_view /*error*/,
        std::string_view /*topic*/,
        std::size_t /*bytes*/,
        std::size_t /*records*/
    ) {}
    /// A record that has waited longer for its acknowledgement may be refused or deleted because of
    /// its timestamp. Nothing: it may wait for ever.
    virtual std::optional<std::chrono::milliseconds> waiting_max() const { return std::nullopt; }
};

struct PublisherEvents {
    /// Records that were refused in one call were refused together, in one batch.
    std::function<void(std::span<const Report>)> reports;
    /// After Code::overloaded: try again.
    std::function<void()> ready;
    /// It cannot go on: destroy it and make another.
    std::function<void(Error)> fatal;
    /// No broker can be reached at the moment; it keeps trying by itself.
    std::function<void(Error)> brokers_down;
};

/// Makes the world of one worker; called on the worker's thread.
struct Ports {
    using MakePublisher = std::function<
        Result<std::unique_ptr<Publisher>>(asio::any_io_executor, Path, PublisherEvents)>;

    std::function<std::unique_ptr<EventSource>(asio::any_io_executor)> source;
    std::function<std::unique_ptr<LaneKeeper>(asio::any_io_executor, std::string owner)> keeper;
    MakePublisher publisher;
    /// No broker can be reached while nothing is under way, so that no record will show when one is
    /// back; may be empty. Called on the workers' threads.
    std::function<void()> kafka_doubted = nullptr;
    /// This process has more lanes, or fewer; may be empty. Called on the workers' threads.
    std::function<void()> lanes_changed = nullptr;
};

}  // namespace txstream::relay
