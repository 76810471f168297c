#include "app/request_span.hpp"

#include "telemetry/semconv.hpp"

#include <string>
#include <string_view>

namespace txstream::app {

namespace {

namespace semconv = telemetry::semconv;

constexpr int kServerError = 500;

}  // namespace

telemetry::Span request_span(const http::RequestLog& request) {
    // Paths and methods that we do not know are the client's invention: no name of a span.
    const bool has_route = request.route.starts_with('/');
    const bool has_method = request.method != http::Method::other;
    const auto method = has_method ? http::to_string(request.method) : semconv::kHttpMethodOther;
    telemetry::Span span;
    span.trace = *request.trace;
    span.parent = request.parent;
    span.name = has_method ? method : "HTTP";
    if (has_route) span.name.append(" ").append(request.route);
    span.kind = telemetry::SpanKind::server;
    span.ended = telemetry::span_time();
    span.begun = span.ended - request.duration;
    span.set(semconv::kHttpRequestMethod, method);
    if (has_route) span.set(semconv::kHttpRoute, request.route);
    span.set(semconv::kUrlPath, request.path);
    span.set(semconv::kUrlScheme, "http");
    span.set(semconv::kHttpStatusCode, request.status);
    span.set(semconv::kRequestId, request.request_id);
    if (request.status >= kServerError) {
        span.is_error = true;
        span.set(semconv::kErrorType, std::to_string(request.status));
    }
    return span;
}

}  // namespace txstream::app
