#pragma once

#include "base/error.hpp"

#include <string>

namespace txstream::kafka {

/// What a failed delivery means for the event, its topic and the producer (design.md §6).
enum class Verdict : std::uint8_t {
    retryable,        ///< broker away, not enough replicas, time-out: pause, count nothing
    permanent_event,  ///< this record will never be taken: too large, invalid
    permanent_topic,  ///< nothing of this topic will be taken: not authorised, unknown
    fatal,            ///< the idempotent producer gave up: rebuild it
};

/// The one table of librdkafka's and the broker's error codes.
Verdict verdict_of(int rd_kafka_error) noexcept;
/// "MSG_SIZE_TOO_LARGE", "_TRANSPORT", …
std::string name_of(int rd_kafka_error);
Error to_error(int rd_kafka_error, std::string what);

}  // namespace txstream::kafka
