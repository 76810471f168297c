"""The metrics, against what really happened; seen as Prometheus sees them."""
import os
import pathlib
import signal
import subprocess
import time
from json import dumps

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from support.world import eventually, run

ROOT = pathlib.Path(os.environ["TXSTREAM_ROOT"])
REPORTED_ONCE = (
    "txstream_events_in_queue", "txstream_outbox_oldest_pending_timestamp_seconds", "txstream_outbox_events_appended_total",
    "txstream_outbox_size_bytes", "txstream_outbox_partitions")
OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}


def append(database, count, payload="{}", event_type="Tested"):
    rows = database.run(
        "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload)"
        " SELECT 'Test', 'key-' || n %% 100, %s, %s FROM generate_series(1, %s) n RETURNING event_id",
        event_type, payload, count)
    return {str(row[0]) for row in rows}


def reporters(relays, name):
    return [relay for relay in relays if any(series.split("{")[0] == name for series in relay.metrics())]


class Sums:
    """Counters over all processes, those that have ended too."""

    def __init__(self):
        self.ended = []

    def end(self, relay, how):
        self.ended.append(relay.metrics())
        how()

    def of(self, relays, name, **labels):
        pages = [relay.metrics() for relay in relays] + self.ended
        return sum(
            value for page in pages for series, value in page.items()
            if series.split("{")[0] == name and all(f'{label}="{wanted}"' in series for label, wanted in labels.items()))


def test_sums_over_processes_are_what_the_topic_and_the_table_hold(world):
    database, broker = world.database(), world.broker()
    topic = world.topic(bootstrap=broker.bootstrap)
    lanes = database.one("SELECT count(*) FROM txstream.lane_positions")
    settings = {"WORKER_MAX_LANES": str(lanes // 2), "WORKER_LEASE": "2s", "KAFKA_MESSAGE_BYTES_MAX": "20000"}
    relays = [world.start("relay", database, topic, **settings) for _ in range(2)]
    eventually(lambda: all(relay.metric("txstream_lanes_owned") == lanes / 2 for relay in relays), "each has its half")
    sums = Sums()

    def one_reports():
        return [len(reporters(relays, name)) for name in REPORTED_ONCE] == [1] * len(REPORTED_ONCE)

    def nothing_waits():
        return one_reports() and sums.of(relays, "txstream_events_in_queue", status="pending") == 0 \
            and sums.of(relays, "txstream_in_flight_events") == 0

    eventually(one_reports, "one of the two reports the outbox")
    committed = append(database, 3000)
    topic.read_ids(committed)
    eventually(nothing_waits, "nothing waits")

    # Kafka stands still with records under way, and the sessions of the lanes end: what Kafka has of them is not known.
    kafka = int((pathlib.Path(broker.directory) / "server.pid").read_text().split()[0])
    os.kill(kafka, signal.SIGSTOP)
    committed |= append(database, 2000)
    eventually(lambda: sums.of(relays, "txstream_in_flight_events") == 2000, "records are under way")
    database.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'txstream keeper' AND datname = current_database()")
    eventually(lambda: sums.of(relays, "txstream_records_resent_total", outcome="unknown") == 2000, "it is counted")
    os.kill(kafka, signal.SIGCONT)
    topic.read_ids(committed)
    eventually(nothing_waits, "nothing waits after the pause", 60)

    # Kafka away.
    broker.kill()
    committed |= append(database, 500)
    eventually(lambda: sums.of(relays, "txstream_delivery_blocked", reason="kafka_unavailable") >= 1, "it is noticed", 30)
    broker.start()
    topic.read_ids(committed, 120)
    eventually(nothing_waits, "nothing waits after the outage", 60)

    # The one that reports dies, a third one comes.
    reporter = reporters(relays, REPORTED_ONCE[0])[0]
    sums.end(reporter, reporter.kill)
    relays.remove(reporter)
    relays.append(world.start("relay", database, topic, **settings))
    eventually(one_reports, "another one reports", 20)

    # Events that Kafka can never take, each of a key of its own.
    database.run(
        "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload)"
        " SELECT 'Test', 'large-' || n, 'Large', json_build_object('x', repeat('x', 30000)) FROM generate_series(1, 7) n")
    committed |= append(database, 1000)
    topic.read_ids(committed)
    eventually(nothing_waits, "nothing waits at the end")
    eventually(lambda: sums.of(relays, "txstream_dead_letters", event_type="Large") == 7, "the parked ones are shown")

    def total(name, **labels):
        return sums.of(relays, name, **labels)

    records = topic.count()
    acknowledged, unknown = (total("txstream_records_resent_total", outcome=o) for o in ("acknowledged", "unknown"))
    print(f"{len(committed)} events and 7 parked; {records} records, {acknowledged:.0f} sent again that Kafka had,"
          f" {unknown:.0f} that it may have had")
    assert total("txstream_events_processed_total", status="published") == len(committed)
    assert total("txstream_events_processed_total", status="permanently_failed") == 7
    assert total("txstream_dead_letters_total", error_type="MSG_SIZE_TOO_LARGE", topic=topic.name) == 7
    # Ever, in the table: the relay that died told a part of it.
    for name in ("appended", "settled"):
        assert max(relay.metric(f"txstream_outbox_events_{name}_total") for relay in relays) == len(committed) + 7
    assert total("txstream_events_in_queue", status="dead_letter") == 7
    published = total("txstream_events_published_total", topic=topic.name)
    assert published <= records <= published + unknown, "what was not acknowledged may be there or not"
    assert records - len(committed) <= acknowledged + unknown, "each duplicate was known of"
    assert total("txstream_event_end_to_end_duration_seconds_count") == published
    assert total("txstream_outbox_size_bytes") >= total("txstream_outbox_oldest_partition_size_bytes") > 0
    assert total("txstream_lane_busy_seconds_total") > 0
    assert total("txstream_records_sent_total", path="fast") >= published
    assert total("txstream_reader_events_total") >= len(committed) + 7 <= total("txstream_reader_bytes_total")
    assert total("txstream_reader_polls_total") >= total("txstream_reader_pages_total") > 0
    assert total("txstream_leases_lost_total", reason="session_lost") >= 2, "each relay's sessions were ended"
    for relay in relays:
        lost = sums.of([relay], "txstream_lanes_lost_total") - sum(
            value for page in sums.ended for series, value in page.items() if series.startswith("txstream_lanes_lost_total"))
        given = relay.metric("txstream_lanes_handed_over_total", direction="given")
        assert relay.metric("txstream_lanes_claimed_total") - lost - given == relay.metric("txstream_lanes_owned")
        assert 0 < relay.metric("txstream_lease_remaining_seconds") <= 0.8 * relay.metric("txstream_lease_seconds")
    eventually(lambda: [sum(relay.metric("txstream_members", state=state) for relay in relays) for state in ("alive", "silent")] == [2, 1],
               "two live, one was killed", 40)
    eventually(lambda: total("txstream_positions_appended_total") > 0 < total("txstream_positions_size_bytes"), "the log is measured", 20)
    # Looked at now and then, unlike the sums.
    eventually(lambda: total("txstream_reader_lag_events") == 0 == total("txstream_reader_lag_seconds"), "nothing is unread")
    for relay in relays:
        assert relay.stop() == 0


def test_a_relay_that_stands_by_is_not_blocked_by_what_holds_the_other_up(world):
    database, broker = world.database(), world.broker()
    topic = world.topic(bootstrap=broker.bootstrap)
    owner = world.start("relay", database, topic)
    eventually(lambda: owner.metric("txstream_lanes_owned") > 0, "it has the lanes")
    standby = world.start("relay", database, topic, WORKER_STANDBY="true")
    broker.kill()
    append(database, 10)

    def waits_for():
        oldest = owner.metric("txstream_outbox_oldest_pending_timestamp_seconds")
        return time.time() - oldest if oldest else 0

    eventually(lambda: waits_for() > 16, "events have waited for longer than a relay has patience with a stall")
    assert owner.metric("txstream_delivery_blocked", reason="kafka_unavailable") == 1 == owner.metric("txstream_delivery_blocked")
    assert standby.metric("txstream_delivery_blocked", reason="stalled") == 0


def test_the_page_is_right_for_prometheus_in_both_formats(world):
    database, topic = world.database(), world.topic()
    serve = world.start("serve", database, topic)
    topic.read_ids(append(database, 100, event_type='quoted " \\ and\nbroken'))
    eventually(lambda: serve.metric("txstream_events_in_queue", status="pending") == 0, "nothing waits")
    status, headers, text = serve.request("GET", "/metrics")
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    status, headers, page = serve.request("GET", "/metrics", headers=OPENMETRICS)
    assert (status, headers["Content-Type"]) == (200, "application/openmetrics-text; version=1.0.0; charset=utf-8")
    families = {family.name: family for family in text_string_to_metric_families(page)}
    assert len(families) == text.count("# TYPE ")
    published = families["txstream_events_published"].samples
    assert [(sample.labels["event_type"], sample.value) for sample in published if sample.value] == [
        ('quoted " \\ and\nbroken', 100.0)]
    assert families["txstream_event_end_to_end_duration_seconds"].unit == "seconds"


def test_docs_metrics_is_what_the_binary_prints_and_has_each_metric_of_the_page(world):
    printed = run(["metrics", "docs"], {})
    assert (printed.returncode, printed.stdout) == (0, (ROOT / "docs/metrics.md").read_text()), \
        "renew it: txstream metrics docs > docs/metrics.md"
    database, topic = world.database(), world.topic()
    serve = world.start("serve", database, topic)
    eventually(lambda: "txstream_events_in_queue" in serve.request("GET", "/metrics")[2], "the outbox is reported")
    for line in serve.request("GET", "/metrics")[2].splitlines():
        if line.startswith("# TYPE txstream_"):
            assert f"\n### {line.split()[2]}\n" in printed.stdout, line


def test_statements_are_timed_and_their_failures_counted(world):
    database, topic = world.database(), world.topic()
    serve = world.start("serve", database, topic)
    topic.read_ids(append(database, 10))
    for statement in ("txs_advance", "txs_window", "txs_renew", "txs_ping"):
        eventually(
            lambda name=statement: serve.metric("txstream_db_query_duration_seconds_count", query=name) > 0, f"{statement} was timed")
    assert serve.metric("txstream_db_query_errors_total") == 0
    database.run("ALTER TABLE txstream.positions RENAME TO elsewhere")
    append(database, 10)
    eventually(lambda: serve.metric("txstream_db_query_errors_total", query="txs_advance") > 0, "failures are counted")
    database.run("ALTER TABLE txstream.elsewhere RENAME TO positions")


def test_each_order_counts_with_its_value_and_currency(world):
    database, topic = world.database(), world.topic()
    api = world.start("api", database, topic)
    address = {"street": "S", "number": "1", "city": "C", "state": "SP", "zip_code": "1", "country": "Brasil"}
    for number, currency, price, expected in (
            (1, "BRL", "10.50", 201), (2, "BRL", "0.25", 201), (2, "BRL", "99", 409), (3, "EUR", "7.00", 201), (4, "EUR", "-1", 400)):
        body = (
            f'{{"customer_id": "c", "order_number": "n-{number}", "currency": "{currency}", "items": [{{"product_id": "p",'
            f' "product_name": "P", "quantity": 2, "unit_price": {price}}}], "shipping_address": {dumps(address)},'
            f' "billing_address": {dumps(address)}}}')
        assert api.request("POST", "/api/v1/orders", body)[0] == expected
    for currency, count, value in (("BRL", 2, 21.5), ("EUR", 1, 14)):
        assert api.metric("txstream_orders_created_total", currency=currency) == count
        assert api.metric("txstream_order_value_total", currency=currency) == value
