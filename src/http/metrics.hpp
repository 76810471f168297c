#pragma once

#include "http/server.hpp"
#include "telemetry/registry.hpp"

namespace txstream::http {

/// What the HTTP servers of a process count, all together. Thread-safe.
class Metrics {
public:
    explicit Metrics(telemetry::Registry& registry);

    /// As Observer::request and Observer::counted call them.
    void answered(const RequestLog& request) const;
    void count(Counted what, int change) const;

private:
    telemetry::Family<telemetry::Histogram> duration_;
    telemetry::Gauge in_flight_;
    telemetry::Gauge connections_;
    telemetry::Counter refused_;
    telemetry::Counter timed_out_;
    telemetry::Gauge buffered_bytes_;
    telemetry::Counter broken_off_;
    telemetry::Gauge streams_;
    telemetry::Counter streams_refused_;
    telemetry::Counter tokens_refused_;
    telemetry::Counter handshakes_failed_;
};

}  // namespace txstream::http
