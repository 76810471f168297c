#include "app/detail/http_common.hpp"

#include "app/request_span.hpp"
#include "telemetry/log.hpp"

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <vector>

namespace txstream::app {

http::Observer observer_of(
    const http::Metrics& metrics, const Health& health, const telemetry::Tracer* tracer
) {
    http::Observer observer;
    observer.tracer = tracer;
    observer.request = [&metrics, &health, tracer](const http::RequestLog& request) {
        metrics.answered(request);
        const bool is_probe = health.is_probe(request.route);
        if (tracer && !is_probe && request.trace && request.trace->context.is_sampled())
            tracer->record(request_span(request));
        const bool is_failure = request.status >= 500 && !is_probe;
        if (!is_failure && (is_probe || !log::enabled(log::Level::debug))) return;
        const auto duration = std::chrono::duration<double, std::milli>(request.duration).count();
        const auto trace_id =
            request.trace ? telemetry::to_string(request.trace->context.trace_id) : std::string();
        const auto span_id =
            request.trace ? telemetry::to_string(request.trace->context.span_id) : std::string();
        std::vector<log::Field> fields{
            {"method", http::to_string(request.method)},
            {"route", request.route},
            {"status", request.status},
            {"duration_ms", duration},
            {"request_id", request.request_id}
        };
        if (request.trace) {
            fields.emplace_back("trace_id", trace_id);
            fields.emplace_back("span_id", span_id);
        }
        if (!request.failure.empty()) fields.emplace_back("error", request.failure);
        log::write(
            is_failure ? log::Level::error : log::Level::debug,
            "http",
            is_failure ? "request failed" : "request",
            fields
        );
    };
    observer.trouble = [](std::string_view what) { log::error("http", what); };
    observer.counted = [&metrics](http::Counted what, int change) { metrics.count(what, change); };
    return observer;
}

Error naming(std::string_view variable, const Error& error) {
    return Error(
        error.code(), fmt::format("{}; {} changes it", error.what(), variable), error.origin()
    );
}

}  // namespace txstream::app
