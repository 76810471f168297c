#pragma once

#include "otlp/endpoint.hpp"
#include "telemetry/tracer.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace txstream::otlp {

/// An ExportTraceServiceRequest in OTLP's JSON: protobuf's mapping, but with ids as hexadecimal
/// digits and enumerators as numbers. Pure.
std::string trace_request(const Pairs& resource, std::span<const telemetry::Span> spans);

/// What a collector answers to it.
struct PartialSuccess {
    std::int64_t rejected_spans = 0;
    std::string message;
};
/// Nothing is rejected where the answer does not say so, or is no JSON.
PartialSuccess partial_success(std::string_view answer);

}  // namespace txstream::otlp
