#include "relay/worker.hpp"

#include <utility>

namespace txstream::relay {

Worker::Worker(
    asio::any_io_executor executor,
    std::string owner,
    const Ports& ports,
    SharedBreaker& breaker,
    Blockages& blockages,
    const Metrics& metrics,
    WorkerOptions options,
    Load& load,
    Keeper::OnStatus on_status
)
    : reader_wakeup_(executor),
      keeper_wakeup_(executor),
      gate_(options.gate, breaker),
      source_(ports.source(executor)),
      lanes_(ports.keeper(executor, std::move(owner))),
      delivery_(
          {executor,
           ports.publisher,
           gate_,
           metrics,
           reader_wakeup_,
           keeper_wakeup_,
           options.topic,
           blockages,
           options.number,
           ports.kafka_doubted,
           options.delayed_before,
           &load,
           std::move(options.tracing),
           options.seed,
           options.refusals,
           [this](LaneId lane) { replay_.lose(lane); },
           options.format,
           options.skip,
           options.copies},
          options.delivery
      ),
      replay_(
          {executor,
           ports.publisher,
           delivery_,
           metrics,
           keeper_wakeup_,
           std::move(options.topic),
           options.format,
           options.skip,
           options.copies},
          options.replay
      ),
      reader_(
          delivery_,
          gate_,
          *source_,
          metrics,
          reader_wakeup_,
          options.limits,
          options.seed + 1,
          &load.reader
      ),
      keeper_(
          delivery_,
          replay_,
          *lanes_,
          metrics,
          keeper_wakeup_,
          reader_wakeup_,
          options.limits,
          std::move(on_status),
          options.seed + 2,
          &load.keeper
      ),
      tasks_(executor) {
}

Task<> Worker::run() {
    tasks_.spawn(reader_.run());
    tasks_.spawn(keep());
    (void)co_await tasks_.join();  // neither ends with an error
    gate_.leave();
    // What waits on the loop for them would keep it running.
    source_.reset();
    lanes_.reset();
}

Task<> Worker::keep() {
    co_await keeper_.run();
    // The lanes are given back: what the reader still waits for, nobody needs.
    tasks_.cancel();
}

void Worker::stop(Deadline deadline) {
    reader_.stop();
    keeper_.stop(deadline);
}

}  // namespace txstream::relay
