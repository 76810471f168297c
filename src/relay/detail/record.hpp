#pragma once

#include "relay/ports.hpp"

#include <chrono>

namespace txstream::relay {

/// The record of an event, to be sent now. Its headers are good until `headers` is used again.
inline Record record_of(
    const WireEvent& event,
    RecordHeaders& headers,
    std::chrono::sys_time<std::chrono::nanoseconds> now
) {
    Record record;
    record.topic = event.topic;
    record.key = event.key;
    record.value = event.value;
    record.is_tombstone = event.is_tombstone;
    record.headers = headers.of(event);
    // Never the writer's clock: the broker refuses, or deletes as too old, what it does not like.
    record.timestamp_ms =
        std::chrono::floor<std::chrono::milliseconds>(now).time_since_epoch().count();
    return record;
}

}  // namespace txstream::relay
