"""What an operator relies on: nothing waits for a slow transaction, outages lose nothing, a killed relay is replaced."""
import contextlib
import json
import signal
import threading
import time

import psycopg2

from support.checker import judge
from support.world import event_id, eventually, header

KEYS = 20


def append(database, count, first=0, payload='{"n": 1}'):
    """`count` events over KEYS keys in one transaction; {event id: (key, place)}."""
    rows = database.run(
        "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload)"
        " SELECT 'Test', 'key-' || n %% %s, 'Tested', %s::json FROM generate_series(%s, %s) n"
        " RETURNING event_id", KEYS, payload, first, first + count - 1)
    return {str(row[0]): (f"key-{(first + i) % KEYS}", first + i) for i, row in enumerate(rows)}


def test_a_slow_transaction_arrives_after_it_commits_and_delays_nobody(world):
    database, topic = world.database(), world.topic()
    world.start("relay", database, topic)
    slow = database.connect()
    slow.autocommit = False
    cursor = slow.cursor()
    cursor.execute("SELECT txstream.publish('Test', 'slow', 'Tested', '{}')")
    late = str(cursor.fetchone()[0])
    opened = time.monotonic()
    delays = []
    while time.monotonic() - opened < 5:
        begun = time.monotonic()
        one = str(database.publish("quick"))
        found = topic.read_ids({one})
        delays.append(time.monotonic() - begun)
        assert late not in {event_id(record) for record in found}, "published before it committed"
    slow.commit()
    slow.close()
    topic.read_ids({late})
    # Each look makes a new consumer, which takes most of it.
    assert sorted(delays)[len(delays) // 2] < 2, delays


def test_orders_are_accepted_while_kafka_is_away_and_arrive_in_order_afterwards(world):
    database, broker = world.database(), world.broker()
    topic = world.topic(bootstrap=broker.bootstrap)
    system = world.start("serve", database, topic, KAFKA_BASE_DELAY="100ms", KAFKA_MAX_DELAY="500ms",
                         KAFKA_RESET_TIMEOUT="500ms")
    body = json.loads(ORDER)
    assert system.request("POST", "/api/v1/orders", json.dumps({**body, "order_number": "BEFORE"}))[0] == 201
    topic.read(lambda records: len(records) == 1)
    broker.stop()
    for number in range(30):
        status, _, text = system.request("POST", "/api/v1/orders", json.dumps({**body, "order_number": f"AWAY-{number}"}))
        assert status == 201, text
    assert system.request("GET", "/readyz")[0] == 200
    eventually(lambda: system.metric("txstream_events_in_queue", status="pending") == 30, "the backlog is told")
    assert not database.run("SELECT 1 FROM txstream.dead_letters")
    broker.start()
    records = topic.read(lambda found: len({event_id(one) for one in found}) == 31)
    numbers = [json.loads(one.value())["event_data"]["order_number"] for one in records]
    assert set(numbers) == {"BEFORE", *(f"AWAY-{number}" for number in range(30))}
    eventually(lambda: system.metric("txstream_events_in_queue", status="pending") == 0, "the backlog is gone")
    assert not database.run("SELECT 1 FROM txstream.dead_letters")
    assert system.stop() == 0


def test_the_order_of_a_key_survives_an_outage(world):
    database, broker = world.database(), world.broker()
    topic = world.topic(bootstrap=broker.bootstrap)
    system = world.start("relay", database, topic, KAFKA_BASE_DELAY="100ms", KAFKA_MAX_DELAY="500ms",
                         KAFKA_RESET_TIMEOUT="500ms", WORKER_BATCH_SIZE="50")
    committed = append(database, 500)
    topic.read_ids(committed)
    broker.kill()
    committed |= append(database, 500, first=500)
    eventually(lambda: system.logs("publishing pauses; events wait and no attempt is counted"), "the relay notices")
    committed |= append(database, 500, first=1000)
    broker.start()
    verdict = judge(committed, topic.read_ids(committed))
    print(f"outage: {verdict}")
    assert not verdict.lost and not verdict.invented and not verdict.order_faults, verdict


def test_a_relay_that_starts_before_its_broker_waits_for_it(world):
    database, broker = world.database(), world.broker()
    topic = world.topic(bootstrap=broker.bootstrap, create=False)
    broker.stop()
    relay = world.start("relay", database, topic)
    committed = append(database, 10)
    eventually(lambda: relay.logs("the topic cannot be used yet; events wait in their table"), "it says so")
    broker.start()
    verdict = judge(committed, topic.read_ids(committed))
    assert not verdict.order_faults and verdict.duplicates == 0, verdict
    assert relay.logs("created the topic")[0]["partitions"] == topic.partitions


def test_a_killed_relay_is_replaced_within_the_lease(world):
    database, topic = world.database(), world.topic()
    committed = {}
    for start in range(0, 60_000, 2000):
        committed |= append(database, 2000, first=start)
    settings = {"WORKER_LEASE": "2s", "WORKER_BATCH_SIZE": "100", "WORKER_POOL_SIZE": "2"}
    first = world.start("relay", database, topic, **settings)
    eventually(lambda: database.one("SELECT sum(published) FROM txstream.lane_positions") > 2000, "it is in the middle of it")
    first.kill()
    acknowledged = database.one("SELECT sum(published) FROM txstream.lane_positions")
    assert acknowledged < len(committed), "the backlog was gone before the kill: nothing is proven"
    died = time.monotonic()
    second = world.start("relay", database, topic, **settings)
    eventually(lambda: database.one("SELECT sum(published) FROM txstream.lane_positions") > acknowledged, "the second takes over")
    took = time.monotonic() - died
    verdict = judge(committed, topic.read_ids(committed))
    pages_in_flight = 32 * 4 * 100  # lanes, pages of each, rows
    print(f"kill -9 at {acknowledged}: {verdict}, takeover after {took:.1f} s")
    assert not verdict.lost and not verdict.invented and not verdict.order_faults, verdict
    assert verdict.duplicates <= pages_in_flight, verdict
    assert took < 12, took
    assert second.stop() == 0


def test_a_relay_that_slept_past_its_lease_does_not_disturb_its_successor(world):
    database, topic = world.database(), world.topic()
    settings = {"WORKER_LEASE": "1s", "WORKER_BATCH_SIZE": "50"}
    sleeper = world.start("relay", database, topic, **settings)
    committed = append(database, 100)
    topic.read_ids(committed)
    sleeper.process.send_signal(signal.SIGSTOP)
    successor = world.start("relay", database, topic, **settings)
    committed |= append(database, 400, first=100)
    topic.read_ids(committed)
    sleeper.process.send_signal(signal.SIGCONT)
    committed |= append(database, 400, first=500)
    verdict = judge(committed, topic.read_ids(committed))
    print(f"SIGSTOP past the lease: {verdict}")
    assert not verdict.lost and not verdict.order_faults and verdict.duplicates == 0, verdict
    eventually(lambda: sleeper.logs("leases ended before they could be prolonged; publishing of these lanes stops")
               or sleeper.logs("another relay has taken lanes over"), "it notices")
    assert successor.stop() == 0 and sleeper.stop() == 0


def test_sigterm_drains_and_the_next_relay_repeats_nothing(world):
    database, topic = world.database(), world.topic()
    committed = {}
    for start in range(0, 20_000, 2000):
        committed |= append(database, 2000, first=start)
    first = world.start("relay", database, topic, WORKER_BATCH_SIZE="100")
    eventually(lambda: database.one("SELECT sum(published) FROM txstream.lane_positions") > 1000, "it publishes")
    assert first.stop() == 0
    assert database.one("SELECT count(*) FROM txstream.lane_positions WHERE owner IS NOT NULL") == 0
    world.start("relay", database, topic)
    verdict = judge(committed, topic.read_ids(committed))
    assert not verdict.lost and not verdict.order_faults and verdict.duplicates == 0, verdict


def test_postgres_may_crash_under_the_relay(world):
    server = world.postgres()
    database, topic = world.database(server=server.dsn), world.topic()
    relay = world.start("relay", database, topic, WORKER_LEASE="2s")
    committed = append(database, 200)
    topic.read_ids(committed)
    server.kill()
    server.start()
    committed |= append(database, 200, first=200)
    verdict = judge(committed, topic.read_ids(committed))
    print(f"PostgreSQL killed: {verdict}")
    # Cursors are committed asynchronously: a crash may take back the last of them.
    assert not verdict.lost and not verdict.order_faults and verdict.duplicates <= 200, verdict
    assert relay.stop() == 0


def test_transaction_ids_that_a_crash_hands_out_again_are_not_passed_over(world):
    """An id whose WAL was not flushed is given again after the crash, and a snapshot in the relay's memory knows it already."""
    server = world.postgres()
    database, topic = world.database(server=server.dsn), world.topic()
    relay = world.start("relay", database, topic, WORKER_LEASE="30s", WORKER_POLL_MIN="1ms", WORKER_INTERVAL="5ms")
    next_xid = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
    committed = append(database, 100)
    topic.read_ids(committed)

    def hand_out_ids(cursor):
        with contextlib.suppress(psycopg2.Error):  # ends with the server
            cursor.execute("DO $$ BEGIN LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")

    for _ in range(3):
        giver = threading.Thread(target=hand_out_ids, args=[database.connect().cursor()])
        first = database.one(next_xid)
        giver.start()
        eventually(lambda first=first: database.one(next_xid) > first + 2000, "ids are handed out")
        server.kill()
        giver.join()
        server.start()
        committed |= append(database, 100, first=len(committed))
        topic.read_ids(committed)
    verdict = judge(committed, topic.read_ids(committed))
    print(f"ids handed out again: {verdict}")
    assert not verdict.lost and not verdict.order_faults and verdict.duplicates <= 300, verdict
    assert relay.stop() == 0


def test_an_event_too_large_for_the_broker_is_parked_with_its_key_and_the_rest_arrives(world):
    database = world.database()
    topic = world.topic(config={"max.message.bytes": "20000"})
    good = append(database, 50)
    huge = str(database.publish("key-3", payload=json.dumps({"x": "y" * 50_000})))
    # What this topic refuses, another may take.
    elsewhere = world.topic()
    large = str(database.publish("key-4", payload=json.dumps({"x": "y" * 50_000}), topic=elsewhere.name))
    behind = [str(database.publish("key-3", payload='{"behind": 1}')) for _ in range(2)]
    good |= append(database, 50, first=57 * KEYS + 4 - 50 + 10)
    relay = world.start("relay", database, topic, WORKER_RETRY_DELAY="50ms")
    parked = eventually(
        lambda: (rows := database.run("SELECT event_id::text, attempts, error, error_class FROM txstream.dead_letters"
                                      " ORDER BY id")) and len(rows) >= 3 and rows, "three events are parked")
    assert parked[0][0] == huge and [row[0] for row in parked[1:3]] == behind
    assert "MSG_SIZE_TOO_LARGE" in parked[0][3]
    assert "20000" in parked[0][2] and "50" in parked[0][2], parked[0][2]
    assert all(row[1] == 0 and row[3] == "held" for row in parked[1:])
    held = {row[0] for row in parked}
    delivered = {one for one, (key, _) in good.items() if one not in held}
    records = topic.read_ids(delivered)
    assert not held & {event_id(record) for record in records}
    assert large in {event_id(record) for record in elsewhere.read_ids({large})}
    eventually(lambda: relay.metric("txstream_events_in_queue", status="dead_letter") == len(held), "it is told")
    assert relay.metric("txstream_events_processed_total", status="permanently_failed") == len(held)


def test_a_missing_topic_holds_its_key_and_nothing_else_and_each_try_sends_nothing_again(world):
    database, topic, missing = world.database(), world.topic(), world.topic(create=False)
    before = {str(database.publish("key-1", payload='{"n": 1}'))}
    lost = str(database.publish("key-1", topic=missing.name))
    behind = {str(database.publish("key-1", payload='{"n": 2}')) for _ in range(3)}
    relay = world.start("relay", database, topic, WORKER_TOPIC_RETRY_DELAY="100ms", WORKER_TOPIC_PATIENCE="10m",
                        KAFKA_PROPERTY_allow__auto__create__topics="false")
    eventually(lambda: relay.metric("txstream_events_failed_total", error_type="publish_error") >= 8,
               "it is tried again and again", timeout=60)
    assert relay.logs("Kafka refuses events")[0]["topic"] == missing.name
    others = append(database, 50)
    free = {one for one, (key, _) in others.items() if key != "key-1"}
    assert not behind & {event_id(record) for record in topic.read_ids(before | free)}
    assert not relay.logs("publishing pauses; events wait and no attempt is counted")
    assert relay.metric("txstream_circuit_breaker_state") == 0
    missing.create()
    assert [event_id(one) for one in missing.read_ids({lost})] == [lost]
    everything = before | behind | set(others)
    assert len(topic.read_ids(everything)) == len(everything), "a try sends something again"
    assert database.one("SELECT count(*) FROM txstream.dead_letters") == 0


def test_what_a_writer_wrote_arrives_byte_for_byte(world):
    database, topic = world.database(), world.topic()
    world.start("relay", database, topic)
    hard = ['{"b": 1, "a": 2,  "a": 3}', '{"amount": 1.10}', '"S\\u00e3o Paulo"', '{"t":"São Paulo 😀"}', "[1,\n 2]", "1e400"]
    ids = [str(database.publish(f"hard-{i}", payload=text)) for i, text in enumerate(hard)]
    raw = str(database.one(
        "SELECT txstream.publish_bytes('Test', 'raw', 'Avro', '\\x00ff10'::bytea, 'application/avro', headers => %s::json)",
        '{"schema": "7", "n": 5, "event_id": "forged"}'))
    tombstone = str(database.one("SELECT txstream.publish('Test', 'gone', 'Deleted', NULL)"))
    by_id = {event_id(one): one for one in topic.read_ids({*ids, raw, tombstone})}
    for one, text in zip(ids, hard):
        value = by_id[one].value().decode()
        assert f'"event_data":{text},"created_at":"' in value, value
        assert header(by_id[one], "content-type") == "application/json"
        assert header(by_id[one], "event_type") == "Tested" and header(by_id[one], "aggregate_type") == "Test"
    assert by_id[raw].value() == b"\x00\xff\x10"
    assert header(by_id[raw], "content-type") == "application/avro"
    assert header(by_id[raw], "schema") == "7" and header(by_id[raw], "n") == "5"
    assert [name for name, _ in by_id[raw].headers()].count("event_id") == 1
    assert by_id[tombstone].value() is None and by_id[tombstone].key() == b"gone"


def test_an_append_only_role_publishes_with_one_line_of_sql(world):
    database, topic = world.database(), world.topic()
    world.start("relay", database, topic)
    role = "app_" + database.name
    database.run(f"CREATE ROLE {role} LOGIN PASSWORD 'x' IN ROLE txstream_writer")
    try:
        connection = database.connect(user=role, password="x")
        cursor = connection.cursor()
        cursor.execute("SELECT txstream.publish('Order', '1', 'OrderCreated', '{\"a\": 1}')")
        one = str(cursor.fetchone()[0])
        connection.close()
        topic.read_ids({one})
    finally:
        database.run(f"DROP ROLE {role}")


ORDER = json.dumps({
    "customer_id": "demo-1", "order_number": "ORD-001",
    "items": [{"product_id": "prod-1", "product_name": "Produto Demo", "quantity": 1, "unit_price": 100.00}],
    "shipping_address": {"street": "Rua Demo", "number": "123", "city": "São Paulo", "state": "SP",
                         "zip_code": "01234-567", "country": "Brasil"},
    "billing_address": {"street": "Rua Demo", "number": "123", "city": "São Paulo", "state": "SP",
                        "zip_code": "01234-567", "country": "Brasil"}})
