#pragma once

#include "otlp/endpoint.hpp"
#include "policy/retry_policy.hpp"

#include <chrono>
#include <cstddef>
#include <string>

namespace txstream::otlp {

/// What bounds an Exporter, and where it sends.
struct Options {
    Endpoint endpoint;
    Pairs headers;                             ///< may hold secrets
    std::string certificate_file;              ///< whom to trust; empty: whom the system trusts
    Pairs resource;                            ///< of every span, by OpenTelemetry's names
    std::chrono::milliseconds timeout{10000};  ///< one request
    std::chrono::milliseconds export_timeout{30000};  ///< a batch, with all its tries
    std::chrono::milliseconds schedule_delay{5000};   ///< from a batch's first span to its leaving
    std::size_t queue_spans_max = 2048;
    std::size_t queue_bytes_max = std::size_t{16} << 20;  ///< in memory, about
    std::size_t batch_spans_max = 512;
    std::size_t batch_bytes_max = std::size_t{1} << 20;  ///< of a batch of more than one span
    /// Between the tries of a batch, where the collector does not say.
    policy::RetryPolicy retry{
        .base_delay = std::chrono::milliseconds(1000), .max_delay = std::chrono::milliseconds(10000)
    };
    /// Of a stop, however long its deadline is: a collector that hangs must not use it up.
    std::chrono::milliseconds flush_timeout{5000};
};

}  // namespace txstream::otlp
