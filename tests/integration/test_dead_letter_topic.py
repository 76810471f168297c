"""KAFKA_TOPIC_DEAD_LETTERS: what is parked is copied, whatever dies meanwhile, and delivery notices nothing of it."""
import json

from support.world import event_id, eventually, header

LIMIT = {"max.message.bytes": "2000"}
OWN = {"KAFKA_PROPERTY_allow__auto__create__topics": "false"}
TOO_LARGE = json.dumps({"x": "y" * 3000})


def append(database, count, first=0, payload=TOO_LARGE):
    """`count` events, each with a key of its own; their ids."""
    rows = database.run("SELECT txstream.publish('Test', 'key-' || n, 'Tested', %s)::text FROM generate_series(%s, %s) n",
                        payload, first, first + count - 1)
    return [one for one, in rows]


def waiting(database):
    return database.one("SELECT count(*) FROM txstream.dead_letters WHERE to_copy")


def parked(database):
    return database.one("SELECT count(*) FROM txstream.dead_letters")


def test_a_copy_has_the_event_and_why_it_was_parked(world):
    database, topic, dead = world.database(), world.topic(config=LIMIT), world.topic(partitions=1)
    relay = world.start("relay", database, topic, KAFKA_TOPIC_DEAD_LETTERS=dead.name, **OWN)
    bad = str(database.publish("k", payload=TOO_LARGE))
    behind = str(database.publish("k"))
    record, = dead.read_ids([bad])
    assert record.key() == b"k" and json.loads(record.value())["event_data"] == json.loads(TOO_LARGE)
    assert header(record, "txstream-error-class") == "MSG_SIZE_TOO_LARGE"
    assert "2000" in header(record, "txstream-error")
    assert header(record, "txstream-attempts") == "1"
    assert header(record, "txstream-original-topic") == topic.name
    assert header(record, "txstream-first-attempt-at").endswith("Z") and header(record, "txstream-last-attempt-at").endswith("Z")
    assert header(record, "txstream-value-omitted") is None and header(record, "event_type") == "Tested"
    eventually(lambda: parked(database) == 2 and waiting(database) == 0, "it is written that it was copied")
    assert {event_id(one) for one in dead.read_ids([bad])} == {bad}, f"{behind} only waits behind it"
    assert relay.metric("txstream_dead_letter_copies_total", result="copied") == 1
    assert relay.stop() == 0


def test_what_the_topic_does_not_take_whole_arrives_without_its_value(world):
    database, topic, dead = world.database(), world.topic(config=LIMIT), world.topic(config=LIMIT, partitions=1)
    world.start("relay", database, topic, KAFKA_TOPIC_DEAD_LETTERS=dead.name, **OWN)
    bad = str(database.publish("k", payload=TOO_LARGE))
    record, = dead.read_ids([bad])
    assert record.value() is None and record.key() == b"k"
    assert int(header(record, "txstream-value-omitted")) > 3000


def test_no_copy_is_missing_after_the_relay_was_killed_in_the_middle(world):
    database, topic, dead = world.database(), world.topic(config=LIMIT), world.topic()
    settings = {"KAFKA_TOPIC_DEAD_LETTERS": dead.name, "WORKER_LEASE": "2s", **OWN}
    relay = world.start("relay", database, topic, **settings)
    ids = append(database, 500)
    eventually(lambda: dead.count() > 0, "copies arrive", timeout=120)
    ids += append(database, 1000, first=500)
    eventually(lambda: parked(database) > 500, "more are parked", timeout=120)
    relay.kill()
    world.start("relay", database, topic, **settings)
    records = dead.read_ids(ids, timeout=240)
    assert {event_id(one) for one in records} == set(ids)
    eventually(lambda: parked(database) == 1500 and waiting(database) == 0, "all are written", timeout=60)


def test_while_the_topic_is_missing_delivery_goes_on_and_the_copies_wait(world):
    database, topic, dead = world.database(), world.topic(config=LIMIT), world.topic(create=False)
    relay = world.start("relay", database, topic, KAFKA_TOPIC_DEAD_LETTERS=dead.name, **OWN)
    bad = append(database, 3)
    good = append(database, 3, first=10, payload="{}")
    topic.read_ids(good)
    eventually(lambda: relay.metric("txstream_dead_letter_copies_total", result="failed") > 0, "it is counted", timeout=120)
    assert [line for line in relay.logs() if line["msg"].startswith("dead letters cannot be copied")]
    assert relay.request("GET", "/health")[0] == 200
    assert waiting(database) == 3
    dead.create()
    dead.read_ids(bad, timeout=180)
    eventually(lambda: waiting(database) == 0, "it is written")


def test_without_the_setting_nothing_is_to_be_copied(world):
    database, topic = world.database(), world.topic(config=LIMIT)
    world.start("relay", database, topic, **OWN)
    append(database, 3)
    eventually(lambda: parked(database) == 3, "they are parked")
    assert waiting(database) == 0
