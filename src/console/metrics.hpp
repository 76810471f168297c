#pragma once

#include "telemetry/registry.hpp"

#include <cstdint>

namespace txstream::console {

/// What the console of a process counts of its dear answers: live tails and searches in Kafka.
/// Thread-safe.
class Metrics {
public:
    explicit Metrics(telemetry::Registry& registry);

    void tails(int change) const { tails_.add(change); }
    void sent(std::uint64_t records) const { sent_.add(static_cast<double>(records)); }
    void skipped(std::uint64_t records) const { skipped_.add(static_cast<double>(records)); }
    void searched(std::uint64_t offsets) const {
        searches_.add();
        searched_.add(static_cast<double>(offsets));
    }

private:
    telemetry::Gauge tails_;
    telemetry::Counter sent_;
    telemetry::Counter skipped_;
    telemetry::Counter searches_;
    telemetry::Counter searched_;
};

}  // namespace txstream::console
