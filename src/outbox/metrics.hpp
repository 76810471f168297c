#pragma once

#include "outbox/backlog.hpp"
#include "outbox/members.hpp"
#include "telemetry/registry.hpp"

namespace txstream::outbox {

/// The outbox as a whole. Of several relays one reports it, so that a sum over processes counts
/// nothing twice: the one that owns the first lane. Thread-safe.
class Metrics {
public:
    explicit Metrics(telemetry::Registry& registry);

    void report(const Backlog& backlog) const;
    void report(const TableSizes& sizes) const;
    void report(const MemberCount& members) const;
    /// Of the one relay that merges, which is not always the one that reports the outbox; the total
    /// of its PositionMerger.
    void merged(std::uint64_t rows) const;
    /// Another process reports from now on.
    void withdraw() const;

private:
    telemetry::Family<telemetry::Gauge> in_queue_;
    telemetry::Family<telemetry::Gauge> oldest_pending_;
    telemetry::Family<telemetry::Counter> appended_;
    telemetry::Family<telemetry::Counter> settled_;
    telemetry::Family<telemetry::Gauge> dead_letters_;
    telemetry::Family<telemetry::Gauge> size_;
    telemetry::Family<telemetry::Gauge> oldest_partition_size_;
    telemetry::Family<telemetry::Gauge> partitions_;
    telemetry::Family<telemetry::Gauge> dead_letters_size_;
    telemetry::Family<telemetry::Gauge> position_age_;
    telemetry::Family<telemetry::Counter> positions_appended_;
    telemetry::Family<telemetry::Gauge> positions_size_;
    telemetry::Family<telemetry::Gauge> members_;
    telemetry::Counter positions_merged_;
};

}  // namespace txstream::outbox
