#include "http/detail/incoming_trace.hpp"

#include <string_view>
#include <vector>

namespace txstream::http::detail {

std::optional<telemetry::Trace> incoming_trace(const Headers& headers) {
    const auto sent = headers.find("traceparent");
    // Of several, none can be told to be the right one.
    if (!sent || headers.count("traceparent") > 1) return std::nullopt;
    const auto context = telemetry::parse_traceparent(*sent);
    if (!context) return std::nullopt;
    std::vector<std::string_view> states;
    headers.each("tracestate", [&](std::string_view value) { states.push_back(value); });
    return telemetry::Trace{*context, telemetry::join_tracestate(states)};
}

}  // namespace txstream::http::detail
