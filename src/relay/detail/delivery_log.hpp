#pragma once

#include "relay/ports.hpp"
#include "telemetry/log.hpp"

#include <string_view>
#include <vector>

namespace txstream::relay {

/// A line about one event belongs to its trace.
inline void log_event(
    log::Level level, std::string_view message, const WireEvent& event, log::Fields more
) {
    const auto trace = trace_of(event);
    const auto trace_id = trace ? telemetry::to_string(trace->trace_id) : std::string();
    std::vector<log::Field> fields{{"event_id", event.identity.event_id}};
    fields.insert(fields.end(), more);
    if (trace) fields.emplace_back("trace_id", trace_id);
    log::write(level, "relay", message, fields);
}

}  // namespace txstream::relay
