#include "http/detail/request_trace.hpp"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace txstream::http::detail {

namespace {

constexpr std::size_t kPathBytesMax = 256;

std::optional<telemetry::Trace> sent_by_client(const Headers& headers) {
    const auto sent = headers.find("traceparent");
    // Of several, none can be told to be the right one.
    if (!sent || headers.count("traceparent") > 1) return std::nullopt;
    const auto context = telemetry::parse_traceparent(*sent);
    if (!context) return std::nullopt;
    std::vector<std::string_view> states;
    headers.each("tracestate", [&](std::string_view value) { states.push_back(value); });
    return telemetry::Trace{*context, telemetry::join_tracestate(states)};
}

}  // namespace

RequestTrace::RequestTrace(
    const Request& request, const telemetry::Tracer* tracer, telemetry::TraceIds& ids
)
    : own(sent_by_client(request.headers)) {
    if (tracer == nullptr) return;
    const auto context = tracer->begin(ids, own ? &own->context : nullptr);
    if (own) {
        parent = own->context.span_id;
        own->context = context;
    } else {
        own = telemetry::Trace{context, {}};
    }
    if (!context.is_sampled()) return;
    const std::string_view target = request.target;
    path = target.substr(0, std::min(target.find('?'), kPathBytesMax));
}

}  // namespace txstream::http::detail
