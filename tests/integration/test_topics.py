"""What a topic accepts and keeps: its limits are learned, and a writer's clock or headers cost no event."""
import json
import time

import confluent_kafka
import confluent_kafka.admin
from support.world import eventually, event_id, header

INSERT = ("INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload, created_at, topic)"
          " VALUES ('Test', %s, 'Tested', %s, {}, %s) RETURNING event_id::text")
CLOCKS = {
    "two hours ahead": "now() + interval '2 hours'", "long ago": "now() - interval '3 years'",
    "for ever": "'infinity'", "never": "'-infinity'", "BC": "'4713-01-01 BC'", "year 1": "'0001-01-01 UTC'",
    "the last year": "'294276-12-31'"}


def publish(database, clock, topic=None, payload="{}", key="key"):
    return database.one(INSERT.format(clock), key, payload, topic)


def set_config(topic, **values):
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": topic.bootstrap, "log_level": 3})
    resource = confluent_kafka.admin.ConfigResource(
        "topic", topic.name, set_config={name.replace("_", "."): value for name, value in values.items()})
    for future in admin.alter_configs([resource]).values():
        future.result(30)


def nothing_failed(relay, database):
    assert relay.metric("txstream_events_failed_total") == 0
    assert relay.metric("txstream_events_retried_total") == 0
    assert database.one("SELECT count(*) FROM txstream.dead_letters") == 0
    assert not relay.logs("parked an event")


def test_a_writers_clock_neither_parks_nor_deletes_an_event_nor_moves_a_metric(world):
    database, topic = world.database(), world.topic(config={"retention.ms": "60000"})
    append_time = world.topic(config={"message.timestamp.type": "LogAppendTime"})
    strict = world.topic(config={"message.timestamp.before.max.ms": "60000", "message.timestamp.after.max.ms": "60000"})
    relay = world.start("relay", database, topic)
    for target in (topic, append_time, strict):
        began = time.time()
        events = {name: publish(database, clock, target.name) for name, clock in CLOCKS.items()}
        records = {event_id(one): one for one in target.read_ids(events.values())}
        for name, one in events.items():
            _, stamp = records[one].timestamp()
            assert began - 5 < stamp / 1000 < time.time() + 5, name
            told = json.loads(records[one].value()).get("created_at")
            assert told == header(records[one], "created_at")
            assert (told is None) == (name in ("for ever", "never", "BC", "the last year")), (name, told)
            assert told is None or len(told) in (20, 27)
    eventually(lambda: relay.metric("txstream_events_processed_total", status="published") == 3 * len(CLOCKS), "all are counted")
    nothing_failed(relay, database)
    assert relay.metric("txstream_event_end_to_end_duration_seconds_sum") < 60
    eventually(lambda: relay.metric("txstream_events_in_queue", status="pending") == 0, "nothing is pending")


def test_headers_arrive_and_what_cannot_be_sent_is_named(world):
    database, topic = world.database(), world.topic()
    world.start("relay", database, topic)
    one = database.one(
        "SELECT txstream.publish('Test', 'key', 'Tested', '{}', headers => %s::json)::text",
        '{"a": "1", "event_id": "forged", "n": 1.50, "o": {"x": [null, true]}, "txstream-x": "1", "a": "2", "": "", "z": "\\u00e9"}')
    record = next(one_of for one_of in topic.read_ids([one]) if event_id(one_of) == one)
    own = [(name, value.decode()) for name, value in record.headers()][5:]
    assert own == [("a", "1"), ("n", "1.50"), ("o", '{"x": [null, true]}'), ("a", "2"), ("", ""), ("z", "é"),
                   ("txstream-missing-headers", '["event_id","txstream-x"]')]
    # Written before the CHECK was there, or past it.
    database.run("ALTER TABLE txstream.outbox DROP CONSTRAINT headers_are_an_object")
    one = database.one("SELECT txstream.publish('Test', 'key', 'Tested', '{}', headers => %s::json)::text",
                       '{"a": "1", "half": "\\ud83d", "z": "2"}')
    record = next(one_of for one_of in topic.read_ids([one]) if event_id(one_of) == one)
    assert [header(record, name) for name in ("a", "half", "z", "txstream-missing-headers")] == ["1", None, "2", '["half"]']


def test_batches_fit_each_topic_and_its_changes_and_no_record_is_blamed_for_its_batch(world):
    database, topic = world.database(), world.topic(config={"max.message.bytes": "3000"})
    other = world.topic(config={"max.message.bytes": "5000"}, partitions=1)
    shrinking = world.topic(partitions=1)
    payload = json.dumps({"x": "y" * 500})

    def append(target, count=300):
        rows = database.run("SELECT txstream.publish('Test', 'key-' || n %% 10, 'Tested', %s, topic => %s)::text"
                            " FROM generate_series(1, %s) n", payload, target.name, count)
        return {one for one, in rows}

    ids = {target: append(target) for target in (topic, other, shrinking)}
    relay = world.start("relay", database, topic, KAFKA_COMPRESSION="none")
    for target, wanted in ids.items():
        records = target.read_ids(wanted)
        assert len(records) == len(wanted), f"{target.name}: {len(records) - len(wanted)} came again"
    nothing_failed(relay, database)
    # Batches now have 3,000 bytes; the topic's limit falls below that while the relay runs.
    set_config(shrinking, max_message_bytes="1500")
    ids[shrinking] |= append(shrinking)
    shrinking.read_ids(ids[shrinking])
    eventually(lambda: relay.metric("txstream_events_in_queue", status="pending") == 0, "nothing is pending")
    nothing_failed(relay, database)


def test_a_record_that_waited_through_an_outage_is_not_deleted_when_it_ends(world):
    database, broker = world.database(), world.broker()
    topic = world.topic(bootstrap=broker.bootstrap, config={"retention.ms": "8000"})
    relay = world.start("relay", database, topic, KAFKA_BASE_DELAY="100ms", KAFKA_MAX_DELAY="500ms",
                        KAFKA_RESET_TIMEOUT="500ms")
    topic.read_ids([str(database.publish("warm"))])
    broker.stop()
    waiting = str(database.publish("key"))
    eventually(lambda: relay.logs("records have waited too long in the producer; they are sent again with a new timestamp"),
               "stale records are taken back")
    broker.start()
    record = next(one for one in topic.read_ids([waiting]) if event_id(one) == waiting)
    assert time.time() - record.timestamp()[1] / 1000 < 8
    assert confluent_kafka.TIMESTAMP_CREATE_TIME == record.timestamp()[0]
