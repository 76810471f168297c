#pragma once

#include "kafka/producer.hpp"

#include <librdkafka/rdkafka.h>

#include <memory>
#include <string>

namespace txstream::kafka::detail {

template <auto destroy>
struct Destroy {
    template <class T>
    void operator()(T* handle) const noexcept {
        destroy(handle);
    }
};

using Conf = std::unique_ptr<rd_kafka_conf_t, Destroy<rd_kafka_conf_destroy>>;
using Client = std::unique_ptr<rd_kafka_t, Destroy<rd_kafka_destroy>>;
using Queue = std::unique_ptr<rd_kafka_queue_t, Destroy<rd_kafka_queue_destroy>>;
using Topic = std::unique_ptr<rd_kafka_topic_t, Destroy<rd_kafka_topic_destroy>>;
using Event = std::unique_ptr<rd_kafka_event_t, Destroy<rd_kafka_event_destroy>>;

/// A configuration with the properties set; `log` must outlive every client made from it.
Result<Conf> make_conf(const Properties& properties, LogCallback* log);
Result<Client> make_client(rd_kafka_type_t type, Conf conf);

}  // namespace txstream::kafka::detail
