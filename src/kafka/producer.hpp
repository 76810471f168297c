#pragma once

#include "base/error.hpp"
#include "kafka/kafka_error.hpp"
#include "kafka/record.hpp"
#include "runtime/task.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace txstream::kafka {

/// librdkafka's own names and values; may hold secrets, so it is never printed.
using Properties = std::vector<std::pair<std::string, std::string>>;
/// Called from librdkafka's threads: (syslog level, text).
using LogCallback = std::function<void(int level, std::string_view text)>;

/// An idempotent producer (acks=all) whose reports arrive on the owner's event loop, in batches.
///
/// Belongs to the thread of its executor; librdkafka's own threads only wake it. It never gives up
/// on a record by itself (no message time-out): records of a partition are delivered in the order
/// they were handed over, or the owner drops the whole producer. Giving up on single ones would let
/// a later record of a key pass an earlier one.
class Producer {
public:
    /// What a refused record ends.
    enum class Order : std::uint8_t {
        /// The producer: no later record of its partition is delivered. Any number of a key may be
        /// in flight.
        gapless,
        /// Nothing: others go on. For an owner that has one record of a key in flight at most.
        by_owner,
    };
    struct Events {
        /// What was refused in one batch comes in one call, up to 4,096 records.
        std::function<void(std::span<const Report>)> reports;
        /// The idempotent producer cannot go on; drop it and make another.
        std::function<void(Error)> fatal;
        /// No broker can be used at the moment, and why; the producer keeps trying.
        std::function<void(Error)> brokers_down;
        /// Still none, but for another reason: the broker is back and refuses the login. May be
        /// empty.
        std::function<void(Error)> still_down{};
        /// The properties as they are now: called after a refused login, whose password may have
        /// been rotated. May be empty.
        std::function<Result<Properties>()> renew{};
    };

    /// Fails on unknown or malformed properties, naming the property. `properties` need not name
    /// the guarantees: create() sets them.
    static Result<std::unique_ptr<Producer>> create(
        const asio::any_io_executor& executor,
        Properties properties,
        Order order,
        Events events,
        LogCallback log
    );
    /// Ends at once: what is in flight may or may not be delivered, and no report comes any more.
    ~Producer();
    Producer(const Producer&) = delete;
    Producer& operator=(const Producer&) = delete;

    /// Queues a record. Fails with Code::overloaded when the queue is full (try after a report),
    /// with Code::rejected (origin MSG_SIZE_TOO_LARGE) when it is larger than message.max.bytes.
    Result<> produce(const Record& record);

private:
    class Impl;
    explicit Producer(std::shared_ptr<Impl> impl);
    // Shared with the waiting read of the wake-up descriptor, which may outlive this object by one
    // turn of the loop.
    std::shared_ptr<Impl> impl_;
};

/// `properties` and after them what Producer promises, which overrides what they say of it: every
/// in-sync replica has an acknowledged record, none is stored twice or expires, and a key's
/// partition is the one where Java clients look for it.
Properties with_guarantees(Properties properties, Producer::Order order);

}  // namespace txstream::kafka
