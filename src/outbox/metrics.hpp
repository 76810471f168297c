#pragma once

#include "outbox/backlog.hpp"
#include "outbox/dead_letter_decisions.hpp"
#include "outbox/members.hpp"
#include "outbox/retention.hpp"
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
    void report(const RetentionState& state, std::chrono::milliseconds age) const;
    /// Of the relay that did it.
    void dropped() const { partitions_dropped_.add(); }
    void deleted(std::string_view table, std::int64_t rows) const;
    /// `task`: "partitions", one of Retention::kTables, or "session".
    void retention_failed(std::string_view task) const { retention_failures_.at({task}).add(); }
    /// Jobs that have not ended.
    void report_jobs(std::int64_t open) const { jobs_open_.at({}).set(static_cast<double>(open)); }
    /// Of the relay that took the step.
    void decided(Decision decision, std::uint64_t letters) const {
        letters_decided_.at({to_string(decision)}).add(static_cast<double>(letters));
    }
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
    telemetry::Family<telemetry::Gauge> oldest_partition_age_;
    telemetry::Family<telemetry::Gauge> retention_overdue_;
    telemetry::Counter partitions_dropped_;
    telemetry::Family<telemetry::Counter> rows_deleted_;
    telemetry::Family<telemetry::Counter> retention_failures_;
    telemetry::Family<telemetry::Gauge> jobs_open_;
    telemetry::Family<telemetry::Counter> letters_decided_;
};

}  // namespace txstream::outbox
