"""TxStream relay: where an event is on its way from the outbox to Kafka, and what each step costs."""
from kit import (GREEN, NO_RELAY, NO_TRAFFIC, ORANGE, PROCESSES, RED, RATE, YELLOW, BLUE, average, bars, graph, heat, make_dashboard, metric,
                 quantile, rate, stat_panel, sum_rate)

EVENT = 'event_type=~"$event_type"'
TOPIC = 'topic=~"$topic"'
# Histograms of a relay have the page as a whole under this name.
NOT_THE_PAGE = 'event_type!="batch"'
PUBLISH_ERROR = 'error_type="publish_error"'
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
    yield graph(
        "Polls and pages", "Looks for new events, and pages with events that were read, in a second. Pages without polls: a backlog is paged.",
        [("polls", sum_rate("reader_polls_total")), ("pages", sum_rate("reader_pages_total"))], unit="ops", no_value=NO_RELAY, width=8,
        colors={"polls": BLUE, "pages": GREEN})
    yield graph(
        "Events of a page", "Few while all is read at once; WORKER_BATCH_SIZE in a backlog.",
        [("events", f"{sum_rate('reader_events_total')} / {sum_rate('reader_pages_total')}")], unit="short", no_value=NO_TRAFFIC, width=8)
    yield graph(
        "Bytes read", "Keys, headers and values of the events that were read, in a second, by relay.",
        [("{{instance}}", sum_rate("reader_bytes_total", by="instance"))], unit="Bps", no_value=NO_RELAY, stacked=True, width=8)


def producer():
    yield graph(
        "In flight", "Events that are read or handed to Kafka and not acknowledged yet, by relay.",
        [("{{instance}}", by_process("in_flight_events"))], unit="short", no_value=NO_RELAY, area=True, width=8)
    yield graph(
        "Bytes in flight", "The same in bytes. WORKER_IN_FLIGHT_BYTES limits it, of all workers of a relay; at the limit reading waits.",
        [("{{instance}}", by_process("in_flight_bytes"))], unit="bytes", no_value=NO_RELAY, area=True, width=8)
    yield graph(
        "Sent again", "Records handed to Kafka before and knowingly sent again, in a second, by reason. 'acknowledged' are certain duplicates; "
        "of 'unknown' ones Kafka has given no answer.",
        [("{{reason}}, {{outcome}}", sum_rate("records_resent_total", by="outcome, reason"))], unit="cps", no_value=NO_RELAY, width=8)
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


def refusals():
    yield graph(
        "Topics that refuse records", "careful: a record was refused, and for some minutes one of a key is sent at a time. closed: the topic "
        "accepts no record. Of the relay that has most of them.",
        [("careful", f"max({metric('careful_topics')})"), ("closed", f"max({metric('closed_topics')})")], unit="short", no_value=NO_RELAY,
        width=6, decimals=0, colors={"careful": YELLOW, "closed": RED})
    yield graph(
        "What waits because of refusals", "Events that are not on the fast path, those of them that wait until a topic accepts records, and the "
        "keys. Everything else flows.",
        [("events", f"sum({metric('events_aside')})"), ("of these for a topic", f"sum({metric('events_waiting_for_topic')})"),
         ("keys", f"sum({metric('keys_aside')})")], unit="short", no_value=NO_RELAY, width=6, decimals=0,
        colors={"events": BLUE, "of these for a topic": RED, "keys": ORANGE})
    yield graph(
        "Records, by path", "Records handed to Kafka's client in a second: on the fast path many of a key together, on the careful one one at a "
        "time.",
        [("{{path}}", sum_rate("records_sent_total", by="path"))], unit="cps", no_value=NO_RELAY, stacked=True, width=6,
        colors={"fast": GREEN, "careful": YELLOW})
    yield graph(
        "Tries that Kafka refused", "In a minute, by event type.",
        [("{{event_type}}", f"sum by (event_type) ({rate('events_failed_total', EVENT, PUBLISH_ERROR)}) * 60")], unit="cpm",
        no_value=NO_RELAY, width=6)


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
        "Lanes to gain or lose", "How many lanes each relay should have more than it has, by the shares of all; fewer where it is negative."
        " It is 0 but for moments: else lanes cannot be handed over.",
        [("{{instance}}", f"{by_process('lanes_target')} - {by_process('lanes_owned')}")], unit="short", no_value=NO_RELAY, width=6, decimals=0)
    yield graph(
        "Lanes busy", "Lanes with events in flight, on average, by relay: seconds of work in a second.",
        [("{{instance}}", sum_rate("lane_busy_seconds_total", by="instance"))], unit="short", no_value=NO_RELAY, stacked=True, width=6)
    yield graph(
        "Workers at work", "Workers that hold lanes, and workers that may.",
        [("at work", f"sum({metric('active_workers')})"), ("may work", f"sum({metric('worker_pool_size')})")], unit="short",
        no_value=NO_RELAY, width=6, decimals=0, colors={"at work": GREEN, "may work": BLUE})
    yield graph(
        "Relays", "Relays that have written down what they do within 20 s, and those that ended uncleanly within a day or are cut off.",
        [("{{state}}", f"max by (state) ({metric('members')})")], unit="short", no_value=NO_RELAY, width=6, decimals=0,
        colors={"alive": GREEN, "silent": ORANGE})
    yield graph(
        "Time left to publish", "How long a relay may publish if it cannot prolong its lease, as a part of WORKER_LEASE: between 0.47 and 0.8 when "
        "all is well. Near 0: PostgreSQL does not answer in time.",
        [("{{instance}}", f"min by (instance) ({metric('lease_remaining_seconds')} / {metric('lease_seconds')})")], unit="percentunit",
        no_value=NO_RELAY, width=6)
    yield graph(
        "Lanes that change hands", "In a minute: claimed by a relay, released by one that stops, lost with a lease.",
        [("claimed", f"sum({rate('lanes_claimed_total')}) * 60"), ("released", f"sum({rate('lanes_released_total')}) * 60"),
         ("lost", f"sum({rate('lanes_lost_total')}) * 60")], unit="cpm", no_value=NO_RELAY, width=6,
        colors={"claimed": GREEN, "released": BLUE, "lost": RED})
    yield graph(
        "Leases lost", "With lanes in hand, in a minute: not prolonged in time, taken over by another relay, or the session ended.",
        [("{{reason}}", f"sum by (reason) ({rate('leases_lost_total')}) * 60")], unit="cpm", no_value=NO_RELAY, width=6,
        colors={"lease_expired": ORANGE, "taken_over": RED, "session_lost": YELLOW})


def acknowledgements():
    yield graph(
        "Acknowledgements", "Statements in a second that append positions, or put events among the dead letters. One stands for many pages and "
        "lanes.",
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


def positions():
    yield graph(
        "Age of the oldest position", "For how long the position of some lane with events that wait has not moved. Young while the oldest event is "
        "old: a backlog is worked off.",
        [("age", f"max({metric('position_age_seconds')})")], unit="s", no_value=NO_RELAY, width=8)
    yield graph(
        "Rows of the log", "Appended in a second, at most five for each worker, and merged away an hour later.",
        [("appended", sum_rate("positions_appended_total")), ("merged", sum_rate("positions_merged_total"))], unit="cps", no_value=NO_RELAY,
        width=8, colors={"appended": BLUE, "merged": GREEN})
    yield graph(
        "Size of the log", "txstream.positions with its indexes.", [("size", f"max({metric('positions_size_bytes')})")], unit="bytes",
        no_value=NO_RELAY, width=8)


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
        [("Reader", reader()), ("Producer", producer()), ("Refusals", refusals()), ("Durations", durations()),
         ("Relays and lanes", lanes()), ("Positions", positions()), ("Acknowledgements: statements on PostgreSQL", acknowledgements()),
         ("Dead letters", dead_letters()), ("Tables", tables()),
         ("Process", process())])
