#include "outbox/metrics.hpp"

namespace txstream::outbox {

using enum telemetry::Reporter;

Metrics::Metrics(telemetry::Registry& registry)
    : in_queue_(registry.gauges(
          {"txstream_events_in_queue",
           "Events in the outbox, by status: pending ones wait to be published (exact up to about "
           "100,000, estimated above), dead_letter ones are parked (exact up to 100,000). "
           "Renewed every 2 s.",
           one_relay,
           "pending that grows: see txstream_delivery_blocked, then whether more comes in than "
           "goes out.",
           R"(sum(txstream_events_in_queue{status="pending"}))"},
          {{"status"}}
      )),
      oldest_pending_(registry.gauges(
          {"txstream_outbox_oldest_pending_timestamp_seconds",
           "Unix time of the oldest event that is not published yet and not parked; 0 when there "
           "is none. Renewed every 2 s.",
           one_relay,
           "Its age is the delay of delivery at this moment.",
           "time() - max(txstream_outbox_oldest_pending_timestamp_seconds > 0)"},
          {}
      )),
      appended_(registry.counters(
          {"txstream_outbox_events_appended_total",
           "Events that were committed to the outbox, ever: a count of the table, so it goes on "
           "where the process that reports changes.",
           one_relay,
           "What comes in; more than goes out for long means that the relay is too slow.",
           "max(txstream_outbox_events_appended_total) - max(txstream_outbox_events_settled_total)"
          },
          {}
      )),
      settled_(registry.counters(
          {"txstream_outbox_events_settled_total",
           "Events that were published or parked, ever, as the lanes count them: each once, "
           "however "
           "often it was sent.",
           one_relay,
           "What goes out. It differs from txstream_outbox_events_appended_total by what waits.",
           "max(txstream_outbox_events_settled_total)"},
          {}
      )),
      dead_letters_(registry.gauges(
          {"txstream_dead_letters",
           "Parked events that wait for a decision.",
           one_relay,
           "Each holds the later events of its key. txstream.dead_letters has the reasons.",
           "sum by (event_type) (txstream_dead_letters) > 0"},
          {{"event_type"}}
      )),
      size_(registry.gauges(
          {"txstream_outbox_size_bytes",
           "The table of events on disk, with indexes; renewed every 10 s.",
           one_relay,
           "Flat where as much is dropped as comes (OUTBOX_RETENTION).",
           "sum(txstream_outbox_size_bytes)"},
          {}
      )),
      oldest_partition_size_(registry.gauges(
          {"txstream_outbox_oldest_partition_size_bytes",
           "Of these, the oldest partition: what the next drop frees.",
           one_relay,
           "See docs/schema.md for when a partition may be dropped.",
           "sum(txstream_outbox_oldest_partition_size_bytes)"},
          {}
      )),
      partitions_(registry.gauges(
          {"txstream_outbox_partitions",
           "Partitions of the table of events.",
           one_relay,
           "",
           "sum(txstream_outbox_partitions)"},
          {}
      )),
      dead_letters_size_(registry.gauges(
          {"txstream_outbox_dead_letters_size_bytes",
           "The table of dead letters on disk, with indexes.",
           one_relay,
           "",
           "sum(txstream_outbox_dead_letters_size_bytes)"},
          {}
      )),
      position_age_(registry.gauges(
          {"txstream_position_age_seconds",
           "For how long the position of some lane with events that wait has not moved; the "
           "longest, "
           "and 0 when none waits. Renewed every 2 s.",
           one_relay,
           "Old: a lane stands still, see txstream_delivery_blocked. Young, and the oldest event "
           "is "
           "old: a backlog is being worked off.",
           "max(txstream_position_age_seconds)"},
          {}
      )),
      positions_appended_(registry.counters(
          {"txstream_positions_appended_total",
           "Rows that were appended to the log of positions, ever; renewed every 10 s.",
           one_relay,
           "At most five in a second for each worker, however many events.",
           "sum(rate(txstream_positions_appended_total[5m]))"},
          {}
      )),
      positions_size_(registry.gauges(
          {"txstream_positions_size_bytes",
           "The log of positions on disk, with indexes; renewed every 10 s.",
           one_relay,
           "Some tens of MB: rows older than an hour are merged. It grows while a session holds a "
           "snapshot, or nothing merges.",
           "sum(txstream_positions_size_bytes)"},
          {}
      )),
      members_(registry.gauges(
          {"txstream_members",
           "Relays that have a row in txstream.members: alive ones, and silent ones, which ended "
           "uncleanly within a day or are cut off from PostgreSQL. Renewed every 10 s.",
           one_relay,
           "Compare the alive ones with what is deployed.",
           R"(sum(txstream_members{state="alive"}))"},
          {{"state"}}
      )),
      positions_merged_(registry.counter(
          {"txstream_positions_merged_total",
           "Rows of the log of positions for which a merged row stands by now.",
           telemetry::Reporter::relay,
           "An hour behind txstream_positions_appended_total; 0 for long: see the log lines "
           "\"cannot "
           "merge old rows\".",
           "sum(rate(txstream_positions_merged_total[1h]))"}
      )),
      oldest_partition_age_(registry.gauges(
          {"txstream_outbox_oldest_partition_age_seconds",
           "For how long the oldest partition that has events gets no new ones; 0 while it does. "
           "Renewed every minute.",
           one_relay,
           "Up to OUTBOX_RETENTION and a tenth.",
           "max(txstream_outbox_oldest_partition_age_seconds)"},
          {}
      )),
      retention_overdue_(registry.gauges(
          {"txstream_outbox_retention_overdue_seconds",
           "For how long the oldest partition that has events is older than OUTBOX_RETENTION. "
           "Renewed every minute.",
           one_relay,
           "Some minutes. More: `txstream outbox prune --dry-run` says what keeps it.",
           "max(txstream_outbox_retention_overdue_seconds)"},
          {}
      )),
      partitions_dropped_(registry.counter(
          {"txstream_outbox_partitions_dropped_total",
           "Times that old partitions of the outbox were dropped, one or some neighbours at once.",
           telemetry::Reporter::relay,
           "About ten in OUTBOX_RETENTION.",
           "sum(increase(txstream_outbox_partitions_dropped_total[7d]))"}
      )),
      rows_deleted_(registry.counters(
          {"txstream_retention_rows_deleted_total",
           "Rows that were older than their retention.",
           telemetry::Reporter::relay,
           "",
           "sum by (table) (rate(txstream_retention_rows_deleted_total[1h]))"},
          {{"table", {Retention::kTables.begin(), Retention::kTables.end()}}}
      )),
      retention_failures_(registry.counters(
          {"txstream_retention_failures_total",
           "Attempts at retention that failed, by their task. `partitions` counts those too that "
           "gave up because a transaction used the outbox for long.",
           telemetry::Reporter::relay,
           "They are repeated every minute; what matters is "
           "txstream_outbox_retention_overdue_seconds.",
           "sum by (task) (increase(txstream_retention_failures_total[1h]))"},
          {{"task", {"session", "partitions", "positions", "dead_letters", "audit", "jobs"}}}
      )),
      jobs_open_(registry.gauges(
          {"txstream_jobs_running",
           "Jobs that have not ended: letters are to be decided, or what was decided is not "
           "carried "
           "out. Looked at each second.",
           one_relay,
           "Not 0 for long: `txstream jobs list` says how far each is.",
           "sum(txstream_jobs_running)"},
          {}
      )),
      letters_decided_(registry.counters(
          {"txstream_job_letters_decided_total",
           "Dead letters about which relays decided for jobs. Jobs of few letters are decided "
           "where "
           "they are made, and are not counted here.",
           telemetry::Reporter::relay,
           "",
           "sum by (kind) (rate(txstream_job_letters_decided_total[5m]))"},
          {{"kind", {"replay", "discard"}}}
      )) {
}

void Metrics::report(const Backlog& backlog) const {
    in_queue_.at({"pending"}).set(static_cast<double>(backlog.pending));
    in_queue_.at({"dead_letter"}).set(static_cast<double>(backlog.parked));
    oldest_pending_.at({}).set(backlog.oldest_pending);
    appended_.at({}).catch_up(static_cast<double>(backlog.appended));
    settled_.at({}).catch_up(static_cast<double>(backlog.settled));
    position_age_.at({}).set(backlog.position_age);
    dead_letters_.set_all(0);
    // Added, since several types may share "other".
    for (const auto& [event_type, count] : backlog.parked_by_event_type)
        dead_letters_.at({event_type}).add(static_cast<double>(count));
}

void Metrics::report(const TableSizes& sizes) const {
    size_.at({}).set(static_cast<double>(sizes.outbox_bytes));
    oldest_partition_size_.at({}).set(static_cast<double>(sizes.oldest_partition_bytes));
    partitions_.at({}).set(static_cast<double>(sizes.partitions));
    dead_letters_size_.at({}).set(static_cast<double>(sizes.dead_letters_bytes));
    positions_size_.at({}).set(static_cast<double>(sizes.positions_bytes));
    positions_appended_.at({}).catch_up(static_cast<double>(sizes.positions_appended));
}

void Metrics::report(const MemberCount& members) const {
    members_.at({"alive"}).set(static_cast<double>(members.alive));
    members_.at({"silent"}).set(static_cast<double>(members.silent));
}

void Metrics::report(const RetentionState& state, std::chrono::milliseconds age) const {
    oldest_partition_age_.at({}).set(static_cast<double>(state.oldest_age().count()));
    retention_overdue_.at({}).set(static_cast<double>(state.overdue(age).count()));
}

void Metrics::deleted(std::string_view table, std::int64_t rows) const {
    if (rows > 0) rows_deleted_.at({table}).add(static_cast<double>(rows));
}

void Metrics::merged(std::uint64_t rows) const {
    positions_merged_.catch_up(static_cast<double>(rows));
}

void Metrics::withdraw() const {
    in_queue_.withdraw();
    oldest_pending_.withdraw();
    appended_.withdraw();
    settled_.withdraw();
    dead_letters_.withdraw();
    positions_appended_.withdraw();
    for (const auto* gauge :
         {&size_,
          &oldest_partition_size_,
          &partitions_,
          &dead_letters_size_,
          &position_age_,
          &positions_size_,
          &members_,
          &oldest_partition_age_,
          &retention_overdue_,
          &jobs_open_})
        gauge->withdraw();
}

}  // namespace txstream::outbox
