#pragma once

#include "relay/keeper.hpp"
#include "relay/reader.hpp"
#include "runtime/task_group.hpp"

#include <memory>
#include <string>

namespace txstream::relay {

struct WorkerOptions {
    std::string topic;
    std::size_t number = 0;  ///< of the worker in its process
    DeliveryGate::Limits gate;
    Delivery::Limits delivery;
    Replay::Limits replay;
    WorkerLimits limits;
    DelayReason delayed_before = {};  ///< what kept events from being delivered until now
    SendTracing tracing;
    /// Of what is random: the jitter of polls, claims and pauses. Workers must not do it in step.
    std::uint64_t seed = 0;
    RefusalLog* refusals = nullptr;  ///< of all workers
    const outbox::WireFormat* format = &outbox::txstream_format();
    SkipPolicy skip{};
    bool copies = false;  ///< parked events are to be copied
};

/// Publishes some of the lanes: a reader, a keeper, and the delivery between them, on one thread.
///
/// Belongs to the thread of its executor. After run() returned nothing of its lanes is in flight
/// from here.
class Worker {
public:
    /// `owner` names this worker in the table of lanes; no two that live may share it.
    Worker(
        asio::any_io_executor executor,
        std::string owner,
        const Ports& ports,
        SharedBreaker& breaker,
        Blockages& blockages,
        const Metrics& metrics,
        WorkerOptions options,
        Load& load,
        Keeper::OnStatus on_status
    );

    Task<> run();
    /// Reads nothing more; publishes and acknowledges what was read, until the deadline at most.
    void stop(Deadline deadline);
    void nudge() { reader_.nudge(); }

private:
    Task<> keep();

    runtime::Wakeup reader_wakeup_;
    runtime::Wakeup keeper_wakeup_;
    DeliveryGate gate_;
    std::unique_ptr<EventSource> source_;
    std::unique_ptr<LaneKeeper> lanes_;
    Delivery delivery_;
    Replay replay_;
    Reader reader_;
    Keeper keeper_;
    runtime::TaskGroup tasks_;
};

}  // namespace txstream::relay
