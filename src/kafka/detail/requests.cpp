#include "kafka/detail/requests.hpp"

#include "kafka/cluster.hpp"

#include <vector>

namespace txstream::kafka::detail {

Options options_for(rd_kafka_t* client, rd_kafka_admin_op_t operation, Deadline deadline) {
    Options options(rd_kafka_AdminOptions_new(client, operation));
    char reason[128];
    rd_kafka_AdminOptions_set_request_timeout(
        options.get(), milliseconds_left(deadline), reason, sizeof reason
    );
    return options;
}

void Pipeline::run(std::size_t items, Deadline deadline, const Start& start, const Take& take)
    const {
    // Their addresses name the items in the answers.
    std::vector<std::size_t> tags(items);
    const Queue queue(rd_kafka_queue_new(client_));
    std::size_t next = 0;
    std::size_t in_flight = 0;
    // librdkafka answers within the request time-out; the margin is for its own scheduling.
    const Deadline answered_by(deadline.at() + Cluster::kMargin);
    while (next < items || in_flight > 0) {
        while (next < items && in_flight < in_flight_max_ && !deadline.passed()) {
            tags[next] = next;
            const auto options = options_for(client_, operation_, deadline);
            rd_kafka_AdminOptions_set_opaque(options.get(), &tags[next]);
            start(next, options.get(), queue.get());
            ++next;
            ++in_flight;
        }
        if (in_flight == 0) return;
        const Event event(rd_kafka_queue_poll(queue.get(), milliseconds_left(answered_by)));
        if (!event) return;
        --in_flight;
        const auto* tag = static_cast<const std::size_t*>(rd_kafka_event_opaque(event.get()));
        take(*tag, event.get());
    }
}

}  // namespace txstream::kafka::detail
