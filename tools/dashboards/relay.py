"""TxStream relay: where an event is on its way from the outbox to Kafka, and what each step costs."""
from kit import (GREEN, NO_RELAY, NO_TRAFFIC, ORANGE, PROCESSES, RED, RATE, YELLOW, BLUE, average, bars, graph, heat, make_dashboard, metric,
                 quantile, rate, stat_panel, sum_rate)

EVENT = 'event_type=~"$event_type"'
TOPIC = 'topic=~"$topic"'
# Histograms of a relay have the page as a whole under this name.
NOT_THE_PAGE = 'event_type!="batch"'
ACKNOWLEDGING = 'query=~"txs_(advance|park)"'
# All but the API's.
STATEMENTS = 'query!~"txs_(insert_orders|order_.*|newest_.*)"'


def by_process(name, *matchers):
    return f"sum by (instance) ({metric(name, *matchers)})"


def reader():
    yield graph(
        "Not read yet", "Committed events of a relay's lanes that it has not read. Growing while nothing is in flight: PostgreSQL is slow, "
        "or the relay waits. Growing while much is in flight: Kafka is slow.",
        [("{{instance}}", by_process("reader_lag_events"))], unit="short", no_value=NO_RELAY, area=True, width=6)
    yield graph(
        "Age of what is read", "How old the newest event was that a relay has read, while there is more to read; 0 when all is read.",
        [("{{instance}}", by_process("reader_lag_seconds"))], unit="s", no_value=NO_RELAY, width=6)
    yield graph(
        "Since the last delivery", "Time since Kafka last acknowledged an event, by relay. Growing while events wait: nothing is delivered. "
        "Growing while none waits: nothing is written.",
        [("{{instance}}", f"time() - (max by (instance) ({metric('outbox_last_published_timestamp_seconds')}) > 0)")], unit="s",
        no_value="no relay has delivered anything", width=6)
    yield graph(
        "Committed, delivered, parked", "Events in a second: what comes into the outbox and what leaves it.",
        [("committed", sum_rate("outbox_events_appended_total")), ("delivered", sum_rate("events_published_total")),
         ("parked", sum_rate("dead_letters_total"))],
        unit="cps", no_value=NO_RELAY, colors={"committed": BLUE, "delivered": GREEN, "parked": ORANGE}, width=6)


def producer():
    yield graph(
        "In flight", "Events that are read or handed to Kafka and not acknowledged yet, by relay.",
        [("{{instance}}", by_process("in_flight_events"))], unit="short", no_value=NO_RELAY, area=True, width=8)
    yield graph(
        "Bytes in flight", "The same in bytes. WORKER_IN_FLIGHT_BYTES limits it, of all workers of a relay; at the limit reading waits.",
        [("{{instance}}", by_process("in_flight_bytes"))], unit="bytes", no_value=NO_RELAY, area=True, width=8)
    yield graph(
        "Sent again", "Records handed to Kafka before and knowingly sent again, in a second. 'acknowledged' are certain duplicates; of "
        "'unknown' ones Kafka has given no answer.",
        [("{{outcome}}", sum_rate("records_resent_total", by="outcome"))], unit="cps", no_value=NO_RELAY, width=8,
        colors={"acknowledged": ORANGE, "unknown": YELLOW})
    yield graph(
        "Published, by topic", "Events that Kafka acknowledged, in a second.",
        [("{{topic}}", sum_rate("events_published_total", TOPIC, EVENT, by="topic"))], unit="cps", no_value=NO_RELAY, stacked=True, width=8)
    yield graph(
        "Published, by event type", "Events that Kafka acknowledged, in a second.",
        [("{{event_type}}", sum_rate("events_published_total", TOPIC, EVENT, by="event_type"))], unit="cps", no_value=NO_RELAY,
        stacked=True, width=8)
    yield graph(
        "Processed, by outcome", "Events that left the outbox, in a second: published, or parked for good.",
        [("{{status}}", sum_rate("events_processed_total", EVENT, by="status"))], unit="cps", no_value=NO_RELAY, stacked=True, width=8)


def durations():
    for title, name, matchers, description in (
            ("Publishing", "event_publishing_duration_seconds", (TOPIC, EVENT),
             "From handing over the first event of a page to Kafka's acknowledgement of the event"),
            ("Processing", "event_processing_duration_seconds", (EVENT, NOT_THE_PAGE),
             "From reading a page of events to writing the position behind it")):
        yield graph(
            f"Event {title.lower()} duration", f"{description}: average, p50, p95 and p99.",
            [("average", average(name, *matchers)),
             *((f"p{int(q * 100)}", quantile(q, name, *matchers)) for q in (0.5, 0.95, 0.99))],
            unit="s", no_value=NO_TRAFFIC, colors={"average": BLUE, "p50": GREEN, "p95": YELLOW, "p99": RED})
        yield heat(f"Event {title.lower()} duration, distribution", f"{description}: how many events had which duration.", (name, *matchers))


def lanes():
    yield graph(
        "Lanes owned", "Lanes that each relay holds a lease on.", [("{{instance}}", by_process("lanes_owned"))], unit="short",
        no_value=NO_RELAY, stacked=True, width=6, decimals=0)
    yield graph(
        "Lanes busy", "Lanes with events in flight, on average, by relay: seconds of work in a second.",
        [("{{instance}}", sum_rate("lane_busy_seconds_total", by="instance"))], unit="short", no_value=NO_RELAY, stacked=True, width=6)
    yield graph(
        "Workers at work", "Workers that hold lanes, and workers that may.",
        [("at work", f"sum({metric('active_workers')})"), ("may work", f"sum({metric('worker_pool_size')})")], unit="short",
        no_value=NO_RELAY, width=6, decimals=0, colors={"at work": GREEN, "may work": BLUE})
    yield graph(
        "Leases lost", "Lanes lost while the relay still worked on them, in a minute.",
        [("{{instance}}", f"sum by (instance) ({rate('lane_leases_lost_total')}) * 60")], unit="cpm", no_value=NO_RELAY, width=6)


def acknowledgements():
    yield graph(
        "Acknowledgements", "Statements in a second that move the cursors of published events, or put events among the dead letters. One "
        "moves the cursors of many pages and lanes.",
        [("{{query}}", sum_rate("db_query_duration_seconds_count", ACKNOWLEDGING, by="query"))], unit="ops", no_value=NO_TRAFFIC)
    yield graph(
        "Duration of an acknowledgement", "From sending the statement to PostgreSQL's answer: average, p50, p95 and p99. Events stay in flight "
        "for as long.",
        [("average", average("db_query_duration_seconds", ACKNOWLEDGING)),
         *((f"p{int(q * 100)}", quantile(q, "db_query_duration_seconds", ACKNOWLEDGING)) for q in (0.5, 0.95, 0.99))],
        unit="s", no_value=NO_TRAFFIC, colors={"average": BLUE, "p50": GREEN, "p95": YELLOW, "p99": RED})
    yield graph(
        "Statements", "All PostgreSQL statements of the relay in a second, by name.",
        [("{{query}}", sum_rate("db_query_duration_seconds_count", STATEMENTS, by="query"))], unit="ops", no_value=NO_RELAY, width=8)
    yield graph(
        "Duration of statements, p95", "95 of 100 statements of that name took no longer.",
        [("{{query}}", quantile(0.95, "db_query_duration_seconds", STATEMENTS, by="query"))], unit="s", no_value=NO_RELAY, width=8)
    yield graph(
        "Statements that failed", "In a minute, by name: no session, a lock, a timeout, a missing right.",
        [("{{query}}", f"sum by (query) ({rate('db_query_errors_total', STATEMENTS)}) * 60")], unit="cpm",
        no_value="no statement has failed since the start", width=8)


def dead_letters():
    yield bars(
        "Parked now, by event type", "Dead letters that wait for a decision.",
        [("{{event_type}}", f"sum by (event_type) ({metric('dead_letters', EVENT)})")], no_value="nothing is parked",
        steps=[(None, GREEN), (1, ORANGE)], width=8)
    yield graph(
        "Parked, by cause", "Events parked in a minute, by Kafka's name of the refusal.",
        [("{{error_type}}", f"sum by (error_type) ({rate('dead_letters_total', TOPIC)}) * 60")], unit="cpm",
        no_value="nothing was parked since the start", width=8)
    yield graph(
        "Parked, by topic", "Events parked in a minute, by topic.",
        [("{{topic}}", f"sum by (topic) ({rate('dead_letters_total', TOPIC)}) * 60")], unit="cpm",
        no_value="nothing was parked since the start", width=8)


def tables():
    yield graph(
        "Size of the outbox", "All partitions of the table with their indexes, and the one that retention would drop next.",
        [("all", f"max({metric('outbox_size_bytes')})"), ("oldest partition", f"max({metric('outbox_oldest_partition_size_bytes')})")],
        unit="bytes", no_value=NO_RELAY)
    yield graph(
        "Size of the dead letters", "The table of parked events with its indexes.",
        [("dead letters", f"max({metric('outbox_dead_letters_size_bytes')})")], unit="bytes", no_value=NO_RELAY, width=8,
        colors={"dead letters": ORANGE})
    yield stat_panel(
        "Partitions", "Partitions of the outbox.", f"max({metric('outbox_partitions')})", no_value=NO_RELAY, height=8,
        decimals=0)


def process():
    """Of processes that have workers."""
    only_relays = f"and on (job, instance) txstream_worker_pool_size{{{PROCESSES}}}"
    for title, description, expr, unit in (
            ("Processor time", "Cores in use, by relay.", f"rate({metric('process_cpu_seconds_total')}{RATE})", "short"),
            ("Memory", "Resident memory, by relay.", metric("process_resident_memory_bytes"), "bytes"),
            ("Descriptors", "Open file descriptors, by relay.", metric("process_open_fds"), "short")):
        yield graph(title, description, [("{{instance}}", f"{expr} {only_relays}")], unit=unit, no_value=NO_RELAY, width=8, height=6)


def build():
    return make_dashboard(
        "txstream-relay", "TxStream relay", "Where an event is on its way from the outbox to Kafka, and what each step costs.",
        [("Reader", reader()), ("Producer", producer()), ("Durations", durations()), ("Lanes", lanes()),
         ("Acknowledgements: statements on PostgreSQL", acknowledgements()), ("Dead letters", dead_letters()), ("Tables", tables()),
         ("Process", process())])
