"""TxStream overview: does what was committed arrive, how late, and if not, what holds it up?"""
from kit import (BLUE, GOOD_OR_BAD, GREEN, NEUTRAL, NO_API, NO_RELAY, NO_REQUESTS, NO_TRAFFIC, ORANGE, PROCESSES, PURPLE, RED, YELLOW, bars, graph,
                 heat, make_dashboard, metric, quantile, rate, since_the_range_began, stat_panel, sum_rate, timeline)

EVENT = 'event_type=~"$event_type"'
TOPIC = 'topic=~"$topic"'
POST = ('method="POST"', 'route="/api/v1/orders"')
PENDING, PARKED = 'status="pending"', 'status="dead_letter"'
WITHIN_5_S = 'le=~"5|5[.]0"'
SERVER_ERROR = 'status=~"5.."'
LOUD = 'level=~"warn|error|fatal"'

# The reasons of txstream_delivery_blocked; a test compares them with those of the binary.
REASONS = {
    "database_unavailable": "PostgreSQL is away",
    "foreign_instance": "the outbox was restored or copied",
    "outbox_unusable": "tables or rights are wrong",
    "cannot_acknowledge": "positions cannot be written",
    "cannot_park": "a lane waits: an event cannot be parked",
    "kafka_unavailable": "Kafka is away",
    "topic_missing": "the topic does not exist",
    "topic_refused": "keys wait: their topic refuses",
    "no_worker": "no relay is alive",
    "paused": "an operator has paused something",
    "stalled": "stalled, for no known reason",
}
BREAKER = {0: ("closed", GREEN), 1: ("half-open", YELLOW), 2: ("open", RED)}

OLDEST = f"max({metric('outbox_oldest_pending_timestamp_seconds')})"
AGE = f"(time() - {OLDEST}) and {OLDEST} > 0 or {OLDEST}"
BLOCKED = metric("delivery_blocked")


def counted_in_range(name, *matchers):
    return f"sum(increase({metric(name, *matchers)}[$__range]))"


def is_it_working():
    yield stat_panel(
        "Is everything delivered?",
        "Yes, or what holds delivery up. From txstream_delivery_blocked, the same reasons as in /health. When no process reports, it says "
        "so: silence is not health.",
        f'(max by (reason) ({BLOCKED}) == 1) or label_replace(max({BLOCKED}) == 0, "reason", "delivering", "", "")',
        no_value="no process reports", steps=GOOD_OR_BAD, width=6, name_is_the_value=True, filled=True,
        names={"delivering": "Yes", **{reason: "No: " + text for reason, text in REASONS.items()}})
    yield stat_panel(
        "Oldest waiting event",
        "Age of the oldest committed event that Kafka has not acknowledged; 0 when none waits. Over 5 s breaks the objective, over 60 s "
        "for two minutes is a page.",
        AGE, unit="s", no_value=NO_RELAY, steps=[(None, GREEN), (5, YELLOW), (60, RED)], decimals=0)
    yield stat_panel(
        "Events waiting",
        "Committed events that are not acknowledged by Kafka: the true backlog, without what is parked. Exact up to a million, estimated "
        "above.",
        f"sum({metric('events_in_queue', PENDING)})", no_value=NO_RELAY,
        steps=[(None, GREEN), (10_000, YELLOW), (1_000_000, RED)])
    yield stat_panel(
        "Events parked",
        "Dead letters that wait for an operator's decision. They are kept, with their cause, in txstream.dead_letters.",
        f"sum({metric('events_in_queue', PARKED)})", no_value=NO_RELAY, steps=[(None, GREEN), (1, ORANGE)], width=3)
    yield stat_panel(
        "Delivered within 5 s",
        "Share of the events of this range that Kafka acknowledged within 5 s of their creation. The objective is 99.9 %.",
        f"{counted_in_range('event_end_to_end_duration_seconds_bucket', WITHIN_5_S)}"
        f" / {counted_in_range('event_end_to_end_duration_seconds_count')}",
        unit="percentunit", no_value=NO_TRAFFIC, steps=[(None, RED), (0.99, YELLOW), (0.999, GREEN)], decimals=2)
    yield stat_panel(
        "Orders answered",
        "Share of the POSTs of this range that were not answered with a 5xx. The objective is 99.9 %.",
        f"1 - ({counted_in_range('http_request_duration_seconds_count', *POST, SERVER_ERROR)} or vector(0))"
        f" / {counted_in_range('http_request_duration_seconds_count', *POST)}",
        unit="percentunit", no_value=NO_REQUESTS, steps=[(None, RED), (0.99, YELLOW), (0.999, GREEN)], width=3, decimals=2)
    yield timeline(
        "What held delivery up",
        "One row for each known way of not delivering, red while it lasts. A reason that no process reports any more ends its row.",
        [("{{reason}}", f"max by (reason) ({BLOCKED})")],
        states={0: ("no", "transparent"), 1: ("blocked", RED)}, no_value="no process reports", width=12, height=9, names=REASONS)
    yield graph(
        "Committed and delivered, since the left edge",
        "Counted by the table, each event once, from what was delivered at the left edge of the view on. While Kafka is away the lines "
        "part; where they meet, nothing waits. A parked event counts as delivered: it waits for a decision, not for Kafka.",
        [("committed", since_the_range_began("outbox_events_appended_total")),
         ("delivered", since_the_range_began("outbox_events_settled_total"))],
        unit="short", no_value=NO_RELAY, colors={"committed": BLUE, "delivered": GREEN}, height=9)
    yield graph(
        "Backlog",
        "Events that wait, and events that are parked. A backlog that returns to 0 was delivered.",
        [("waiting", f"sum({metric('events_in_queue', PENDING)})"),
         ("parked", f"sum({metric('events_in_queue', PARKED)})")],
        unit="short", no_value=NO_RELAY, area=True, colors={"waiting": BLUE, "parked": ORANGE})
    yield graph(
        "Age of the oldest waiting event",
        "0 when none waits. The dashed line is where the alert TxStreamOutboxDelayed begins to count.",
        [("oldest", AGE)], unit="s", no_value=NO_RELAY, area=True, colors={"oldest": PURPLE},
        steps=[(None, GREEN), (60, RED)], threshold_line=True)


def flow():
    yield graph(
        "In and out",
        "Committed into the outbox, acknowledged by Kafka, parked: events in a second. Out above in means that a backlog is being worked "
        "off.",
        [("committed", sum_rate("outbox_events_appended_total")), ("delivered", sum_rate("events_published_total")),
         ("parked", sum_rate("dead_letters_total"))],
        unit="cps", no_value=NO_RELAY, colors={"committed": BLUE, "delivered": GREEN, "parked": ORANGE})
    yield graph(
        "Latency from commit to Kafka",
        "From the event's creation in its transaction to Kafka's acknowledgement, of the events acknowledged at that time. After an "
        "outage it shows how long those events had waited.",
        [(f"p{int(q * 100)}", quantile(q, "event_end_to_end_duration_seconds")) for q in (0.5, 0.95, 0.99)],
        unit="s", no_value=NO_TRAFFIC, steps=[(None, GREEN), (5, RED)], threshold_line=True,
        colors={"p50": GREEN, "p95": YELLOW, "p99": RED})
    yield heat(
        "Latency from commit to Kafka, distribution",
        "Each column is one moment, each cell how many events had that latency, from commit to acknowledgement.",
        ("event_end_to_end_duration_seconds",))
    yield graph(
        "Orders: requests by status",
        "Answers of all routes of the API, in a second. 5xx breaks the objective; 4xx is the client's.",
        [("{{status}}", sum_rate("http_request_duration_seconds_count", by="status"))], unit="reqps", no_value=NO_REQUESTS, stacked=True)


def totals():
    """The stats of the earlier system's dashboard, under its titles."""
    for title, description, expr, steps in (
            ("Events processed", "Events that left the outbox in this range: published, or parked for good.",
             counted_in_range("events_processed_total", EVENT), NEUTRAL),
            ("Events published", "Events that Kafka acknowledged in this range; one that went twice counts twice.",
             counted_in_range("events_published_total", TOPIC, EVENT), NEUTRAL),
            ("Events failed", "Tries that failed in this range, counted per event. A failed try is not a lost event.",
             counted_in_range("events_failed_total", EVENT), [(None, GREEN), (1, YELLOW)])):
        yield stat_panel(title, description, expr, no_value=NO_RELAY, steps=steps, decimals=0)
    yield stat_panel(
        "Circuit breaker", "The worst of all relays. Open: Kafka failed repeatedly, and events wait instead of being tried.",
        f"max({metric('circuit_breaker_state')})", no_value=NO_RELAY, mappings=BREAKER, filled=True, steps=[(None, GREEN), (1, YELLOW), (2, RED)])
    yield stat_panel(
        "Workers", "Workers that may publish lanes at the same time, of all relays: WORKER_POOL_SIZE.",
        f"sum({metric('worker_pool_size')})", no_value=NO_RELAY)
    yield stat_panel(
        "Workers at work", "Workers that hold lanes. 0 means that nothing is delivered; fewer than workers is normal with few lanes.",
        f"sum({metric('active_workers')})", no_value=NO_RELAY, steps=[(None, RED), (1, GREEN)])


def breaker_and_retries():
    yield timeline(
        "Circuit breaker by relay", "Red while it is open, yellow while it tries whether Kafka is back.",
        [("{{instance}}", f"max by (instance) ({metric('circuit_breaker_state')})")], states=BREAKER, no_value=NO_RELAY, width=12, height=6)
    yield graph(
        "Circuit breaker trips", "Changes of state in a minute, of all relays.",
        [("{{from_state}} to {{to_state}}", f"sum by (from_state, to_state) ({rate('circuit_breaker_trips_total')}) * 60")],
        unit="cpm", no_value=NO_RELAY, height=6)
    yield graph(
        "Retries", "Events tried again in a second, by the number of the retry.",
        [("retry {{retry_count}}", sum_rate("events_retried_total", EVENT, by="retry_count"))], unit="cps", no_value=NO_RELAY, width=8)
    yield graph(
        "Pause before a retry",
        "p50 and p95 of the pauses that retries have waited. Empty while nothing is tried again.",
        [("p50", quantile(0.5, "retry_delay_duration_seconds")), ("p95", quantile(0.95, "retry_delay_duration_seconds"))],
        unit="s", no_value="no retry in this range", width=8)
    yield graph(
        "Failed tries by cause", "Tries that failed, per event and second: of Kafka, of PostgreSQL, of a lock.",
        [("{{error_type}}", sum_rate("events_failed_total", EVENT, by="error_type"))], unit="cps", no_value=NO_RELAY, width=8)


def workers_and_lanes():
    yield graph(
        "Lanes owned by process",
        "Each lane has one owner. The sum stays the same; a relay that dies loses its lanes within the lease, and others take them.",
        [("{{instance}}", f"sum by (instance) ({metric('lanes_owned')})")], unit="short", no_value=NO_RELAY, stacked=True, width=8, decimals=0)
    yield graph(
        "Lanes busy",
        "How many lanes had events in flight, on average: seconds of work in a second. Near the number of lanes, more lanes would help.",
        [("busy lanes", sum_rate("lane_busy_seconds_total"))], unit="short", no_value=NO_RELAY, width=8)
    yield graph(
        "Leases lost", "Times that a worker lost its lease with lanes in hand, in a minute: it was paused, or the database was away or slow.",
        [("{{instance}}", f"sum by (instance) ({rate('leases_lost_total')}) * 60")], unit="cpm", no_value=NO_RELAY, width=8)


def dead_letters():
    yield bars(
        "Parked now, by event type", "Dead letters that wait for a decision. Replaying or discarding them takes them out.",
        [("{{event_type}}", f"sum by (event_type) ({metric('dead_letters', EVENT)})")], no_value="nothing is parked",
        steps=[(None, GREEN), (1, ORANGE)])
    yield bars(
        "Parked, by cause and topic",
        "Events that the processes of this range have parked since they started, by Kafka's name of the refusal and by topic. A total and "
        "not a rate: the first event of a cause, which begins a new series, counts too.",
        [("{{error_type}}, {{topic}}", f"sum by (error_type, topic) (max_over_time({metric('dead_letters_total', TOPIC)}[$__range]))")],
        no_value=NO_RELAY, steps=[(None, GREEN), (1, ORANGE)])


def business():
    yield graph(
        "Orders a minute, by currency", "Orders that the API accepted and committed.",
        [("{{currency}}", f"sum by (currency) ({rate('orders_created_total')}) * 60")], unit="cpm", no_value=NO_API, stacked=True)
    yield graph(
        "Value a minute, by currency", "Sum of total_amount of those orders, each line in the main unit of its own currency.",
        [("{{currency}}", f"sum by (currency) ({rate('order_value_total')}) * 60")], unit="short", no_value=NO_API)


def processes():
    yield timeline(
        "Processes", "Green while Prometheus reaches the process.",
        [("{{job}} {{instance}}", f"max by (job, instance) (up{{{PROCESSES}}})")],
        states={0: ("down", RED), 1: ("up", GREEN)}, no_value="no process is scraped", width=12, height=6)
    yield graph(
        "Warnings and errors in the log", "Lines in a minute; those that were only counted since others of their kind had just been written "
        "are in it. 'lost' are lines that the output did not take.",
        [("{{level}}", f"(sum by (level) ({rate('log_messages_total', LOUD)})"
          f" + sum by (level) ({rate('log_repeats_total', LOUD)})) * 60"),
         ("lost", f"{sum_rate('log_lines_lost_total')} * 60")],
        unit="cpm", no_value="no process reports", height=6,
        colors={"warn": YELLOW, "error": RED, "fatal": PURPLE, "lost": ORANGE})
    yield graph(
        "Processor time", "Cores in use, by process.",
        [("{{job}} {{instance}}", f"sum by (job, instance) ({rate('process_cpu_seconds_total')})")], unit="short",
        no_value="no process reports", width=6)
    yield graph(
        "Memory", "Resident memory, by process.",
        [("{{job}} {{instance}}", f"sum by (job, instance) ({metric('process_resident_memory_bytes')})")], unit="bytes",
        no_value="no process reports", width=6)
    yield graph(
        "Spans of traces", "Sent to the collector, or dropped because it was away, too slow, or refused them, in a second. 0 where tracing is off "
        "or nothing is sampled. Orders and events do not depend on it.",
        [("{{outcome}}", sum_rate("spans_total", by="outcome"))], unit="cps", no_value="no process reports", width=6,
        colors={"sent": GREEN, "dropped": ORANGE})
    yield stat_panel(
        "Version running", "Version and revision of the processes. More than one, while a deployment is under way or when it was forgotten "
        "somewhere.",
        [("{{version}} ({{revision}})", f"count by (version, revision) ({metric('build_info')})")], no_value="no process reports",
        width=6, height=8, name_is_the_value=True)


def build():
    return make_dashboard(
        "txstream-overview", "TxStream overview",
        "Does what was committed arrive, how late, and if not, what holds it up?",
        [("Is it working?", is_it_working()), ("Events in, events out", flow()), ("In this range", totals()),
         ("Circuit breaker and retries", breaker_and_retries()), ("Workers and lanes", workers_and_lanes()),
         ("Dead letters", dead_letters()), ("Orders", business()), ("Process health", processes())])
