"""Faults that were found in use, each as an operator meets it; the figures are printed (pytest -s)."""
import contextlib
import json
import os
import signal
import time

from support.world import event_id, eventually

# How long a lock is held, and how many events of 800 kB a transaction has.
LOCK_SECONDS = float(os.environ.get("TXSTREAM_TEST_LOCK_SECONDS", "8"))
LARGE_EVENTS = int(os.environ.get("TXSTREAM_TEST_LARGE_EVENTS", "300"))


def append(database, count, key="'key-' || n % 100", payload="'{}'"):
    """`count` events in one transaction, committed; their ids."""
    rows = database.run(
        "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload)"
        f" SELECT 'Test', {key}, 'Tested', {payload} FROM generate_series(1, {count}) n RETURNING event_id")
    return {str(row[0]) for row in rows}


def lane_of(database, key):
    return database.one("SELECT txstream.lane_of(%s)", key)


def highest_memory(relay):
    with open(f"/proc/{relay.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


@contextlib.contextmanager
def locked(database, statement):
    session = database.connect()
    session.autocommit = False
    session.cursor().execute(statement)
    try:
        yield
    finally:
        session.rollback()
        session.close()


def test_a_lock_on_what_acknowledges_multiplies_no_record(world):
    database, topic = world.database(), world.topic()
    relay = world.start("relay", database, topic, WORKER_LEASE="3s")
    first = append(database, 100)
    topic.read_ids(first)
    with locked(database, "LOCK TABLE txstream.positions IN ACCESS EXCLUSIVE MODE"):
        began = time.monotonic()
        during = append(database, 1000)
        eventually(lambda: relay.metric("txstream_delivery_blocked", reason="cannot_acknowledge") == 1, "it says so", 15)
        assert "cannot_acknowledge" in relay.request("GET", "/health")[2]
        eventually(lambda: time.monotonic() - began > LOCK_SECONDS, "the lock was held for long enough")
    after = append(database, 100)
    topic.read_ids(first | during | after)
    eventually(lambda: relay.metric("txstream_events_in_queue", status="pending") == 0, "all is acknowledged")
    eventually(lambda: relay.metric("txstream_delivery_blocked", reason="cannot_acknowledge") == 0, "it is over")
    duplicates = topic.count() - 1200
    print(f"lock on txstream.positions for {LOCK_SECONDS:.0f} s: {duplicates} of 1,200 events more than once")
    assert duplicates == 0
    assert relay.stop() == 0


def test_after_a_lock_on_the_leases_each_event_in_flight_comes_again_once_at_most(world):
    database, topic = world.database(), world.topic()
    relay = world.start("relay", database, topic, WORKER_LEASE="3s")
    first = append(database, 100)
    topic.read_ids(first)
    eventually(lambda: database.one("SELECT sum(published) FROM txstream.lane_positions") == 100, "they are not in flight any more")
    with locked(database, "LOCK TABLE txstream.leases IN EXCLUSIVE MODE"):
        began = time.monotonic()
        during = append(database, 1000)
        topic.read_ids(during)
        eventually(lambda: time.monotonic() - began > LOCK_SECONDS, "the lock was held for long enough")
    topic.read_ids(first | during | append(database, 100))
    eventually(lambda: relay.metric("txstream_events_in_queue", status="pending") == 0, "all is acknowledged")
    duplicates = topic.count() - 1200
    print(f"lock on txstream.leases for {LOCK_SECONDS:.0f} s: {duplicates} of 1,200 events more than once")
    assert duplicates <= 1000
    assert relay.stop() == 0


def test_a_large_transaction_of_large_events_is_read_in_pieces(world):
    database, topic = world.database(), world.topic()
    relay = world.start("relay", database, topic)
    topic.read_ids(append(database, 2000))
    before = highest_memory(relay)
    large = append(database, LARGE_EVENTS, payload="to_json(repeat(md5(n::text), 25000))")
    topic.read_ids(large, timeout=120)
    eventually(lambda: relay.metric("txstream_events_in_queue", status="pending") == 0, "all is acknowledged")
    grown = highest_memory(relay) - before
    print(f"{LARGE_EVENTS} events of 800 kB in one transaction: {grown:.0f} MiB resident more than before")
    # 32 MiB in flight, what librdkafka and libpq hold of it, and a sanitizer's quarantine.
    assert grown < 500
    assert relay.stop() == 0


def test_an_event_that_kafka_can_never_take_is_parked_unread_and_its_neighbours_arrive(world):
    database, topic = world.database(), world.topic()
    relay = world.start("relay", database, topic)
    topic.read_ids(append(database, 100))
    before = highest_memory(relay)
    huge = append(database, 1, key="'huge'", payload="to_json(repeat('0123456789abcdef', 9000000))")
    others = append(database, 100)
    topic.read_ids(others)
    parked = eventually(lambda: database.run("SELECT event_id::text, error FROM txstream.dead_letters"), "it is parked")
    assert {row[0] for row in parked} == huge and "1440000" in parked[0][1]
    grown = highest_memory(relay) - before
    print(f"an event of 144 MB: {grown:.0f} MiB resident more than before")
    assert grown < 100
    assert relay.stop() == 0


def test_an_event_that_cannot_be_parked_holds_up_its_lane_only_and_is_told_of(world):
    database, topic = world.database(), world.topic(config={"max.message.bytes": "20000"})
    database.run("ALTER TABLE txstream.dead_letters ADD CONSTRAINT never CHECK (aggregate_id <> 'bad')")
    relay = world.start("relay", database, topic, WORKER_RETRY_DELAY="50ms")
    append(database, 1, key="'bad'", payload="to_json(repeat('x', 50000))")
    also_bad = append(database, 1, key="'worse'", payload="to_json(repeat('x', 50000))")
    lane = lane_of(database, "bad")
    assert lane_of(database, "worse") != lane
    good = append(database, 1000, key="'key-' || n")
    others = {str(row[0]) for row in database.run(
        "SELECT event_id FROM txstream.outbox WHERE aggregate_id LIKE 'key-%%' AND lane <> %s", lane)}
    topic.read_ids(others)
    parked = eventually(lambda: database.run("SELECT event_id::text FROM txstream.dead_letters"), "the other is parked")
    assert {row[0] for row in parked} == also_bad
    eventually(lambda: relay.metric("txstream_delivery_blocked", reason="cannot_park") == 1, "it says so", 15)
    status, _, text = relay.request("GET", "/health")
    assert status == 503 and "cannot_park" in text, text
    database.run("ALTER TABLE txstream.dead_letters DROP CONSTRAINT never")
    topic.read_ids(good, timeout=60)
    eventually(lambda: relay.metric("txstream_delivery_blocked", reason="cannot_park") == 0, "it is over")
    assert topic.count() <= 1000 + 2, "nothing was sent again and again"
    assert relay.stop() == 0


def test_what_may_hide_events_stops_the_relay_until_it_is_gone(world):
    database, topic = world.database(), world.topic()
    relay = world.start("relay", database, topic)
    first = append(database, 100)
    topic.read_ids(first)
    database.run("ALTER TABLE txstream.outbox ENABLE ROW LEVEL SECURITY;"
                 " CREATE POLICY hide ON txstream.outbox USING (aggregate_id <> 'key-1')")
    eventually(lambda: relay.metric("txstream_delivery_blocked", reason="outbox_unusable") == 1, "it says so", 15)
    status, _, text = relay.request("GET", "/health")
    assert status == 503 and "outbox_unusable" in text, text
    eventually(lambda: database.one("SELECT count(owner) FROM txstream.lane_positions") == 0, "its workers stop")
    hidden = append(database, 100)
    assert topic.count() == 100
    database.run("DROP POLICY hide ON txstream.outbox; ALTER TABLE txstream.outbox DISABLE ROW LEVEL SECURITY")
    topic.read_ids(first | hidden)
    eventually(lambda: relay.metric("txstream_delivery_blocked", reason="outbox_unusable") == 0, "it is over", 15)
    assert relay.stop() == 0


def test_the_longest_key_is_parked(world):
    database, topic = world.database(), world.topic(config={"max.message.bytes": "20000"})
    relay = world.start("relay", database, topic, WORKER_RETRY_DELAY="50ms")
    text = "(SELECT left(string_agg(encode(sha256(i::text::bytea), 'hex'), ''), 4096) FROM generate_series(1, 100) i)"
    bad = append(database, 1, key=text, payload="to_json(repeat('x', 50000))")
    topic.read_ids(append(database, 100))
    eventually(lambda: {str(row[0]) for row in database.run("SELECT event_id FROM txstream.dead_letters")} == bad, "parked")
    assert relay.stop() == 0


def test_without_kafka_a_relay_stops_at_once(world):
    database, broker = world.database(), world.broker()
    topic = world.topic(bootstrap=broker.bootstrap)
    relay = world.start("relay", database, topic)
    topic.read_ids(append(database, 10))
    broker.stop()
    append(database, 10)
    eventually(lambda: relay.metric("txstream_delivery_blocked", reason="kafka_unavailable") == 1, "it is told of", 15)
    status, _, text = relay.request("GET", "/health")
    assert json.loads(text)["status"] == "degraded" and "kafka_unavailable" in text, (status, text)
    assert relay.request("GET", "/readyz")[0] == 503
    began = time.monotonic()
    relay.process.send_signal(signal.SIGTERM)
    assert relay.process.wait(30) == 0
    took = time.monotonic() - began
    print(f"SIGTERM with Kafka away: {took:.1f} s")
    assert took < 5


def test_an_idle_relay_tells_that_kafka_is_away_and_that_it_is_back(world):
    database, broker = world.database(), world.broker()
    topic = world.topic(bootstrap=broker.bootstrap)
    relay = world.start("relay", database, topic)
    topic.read_ids(append(database, 10))
    broker.stop()
    eventually(lambda: relay.metric("txstream_delivery_blocked", reason="kafka_unavailable") == 1, "it is told of", 15)
    broker.start()
    eventually(lambda: relay.metric("txstream_delivery_blocked", reason="kafka_unavailable") == 0, "and that it is over", 30)
    assert json.loads(relay.request("GET", "/health")[2])["status"] == "healthy"
    late = append(database, 1)
    assert {event_id(record) for record in topic.read_ids(late)} >= late
    assert relay.stop() == 0
