"""While something holds up delivery, orders are taken, and what comes late says so: on the record and in the answer."""
import json
import re

from support.world import ROOT, Topic, eventually, header

ENVELOPE = ["event_type", "aggregate_type", "event_id", "content-type", "created_at"]
MARKS = ["txstream-attempt", "txstream-delay-reason"]


ORDER = json.loads((ROOT / "tests/data/earlier-examples/create-simple.json").read_text())
numbers = iter(range(1_000_000))


def order(process):
    """What the answer to an order says of delivery; None: nothing."""
    body = {**ORDER, "order_number": f"{process.port}-{next(numbers)}"}
    status, headers, text = process.request("POST", "/api/v1/orders", json.dumps(body))
    assert status == 201, text
    return headers.get("TxStream-Delivery")


def says(process, reason):
    """The age that it tells, once it names that reason; None before."""
    found = re.fullmatch(rf"delayed; reason={reason}; oldest=PT(\d+)S", order(process) or "")
    return found and int(found[1]) + 1


def names(record):
    return [name for name, _ in record.headers()]


def by_id(records):
    return {header(record, "event_id"): record for record in records}


def test_answers_and_records_say_that_kafka_is_away_and_why_and_all_others_are_as_ever(world):
    database, broker = world.database(), world.broker()
    topic = world.topic(bootstrap=broker.bootstrap)
    relay = world.start("serve", database, topic, KAFKA_BASE_DELAY="100ms", KAFKA_MAX_DELAY="500ms",
                        KAFKA_RESET_TIMEOUT="500ms", KAFKA_TIMEOUT_DURATION="500ms")
    elsewhere = world.start("api", database, topic, SERVER_DELAYED_AFTER="1s")
    assert order(relay) is None and order(elsewhere) is None
    before = str(database.publish("a"))
    topic.read_ids({before})
    broker.stop()
    eventually(lambda: relay.metric("txstream_delivery_blocked", reason="kafka_unavailable") == 1, "it is noticed")
    during = {str(database.publish(f"key-{n}")) for n in range(20)}
    eventually(lambda: relay.metric("txstream_events_in_queue", status="pending") >= 20, "they wait")
    # The breaker opens when publishing fails, which takes orders; another process knows only that events wait.
    assert eventually(lambda: says(relay, "breaker-open"), "the answer names the breaker") < 60
    assert eventually(lambda: says(elsewhere, "backlog"), "and elsewhere the backlog") < 60
    assert relay.request("GET", "/api/v1/orders")[1].get("TxStream-Delivery") is None
    broker.start()
    topic.read_ids(during)
    eventually(lambda: relay.metric("txstream_delivery_blocked", reason="kafka_unavailable") == 0
               and relay.metric("txstream_circuit_breaker_state") == 0 or not database.publish("more"), "it is over")
    eventually(lambda: order(relay) is None and order(elsewhere) is None, "and no answer says otherwise")
    # The first look after the delay finds what may have been committed during it.
    topic.read_ids({str(database.publish("a"))})
    after = str(database.publish("a"))
    records = by_id(topic.read_ids({before, after} | during))
    created = database.one("SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') FROM txstream.outbox"
                           " WHERE event_id = %s", before)
    created = created.rstrip("0").rstrip(".") + "Z"
    assert records[before].headers() == [
        ("event_type", b"Tested"), ("aggregate_type", b"Test"), ("event_id", before.encode()),
        ("content-type", b"application/json"), ("created_at", created.encode())]
    assert records[before].value().decode() == (
        f'{{"event_id":"{before}","aggregate_id":"a","aggregate_type":"Test","event_type":"Tested",'
        f'"event_data":{{}},"created_at":"{created}"}}')
    assert names(records[after]) == ENVELOPE
    for one in during:
        assert names(records[one]) == ENVELOPE + MARKS
        assert int(header(records[one], "txstream-attempt")) >= 1
        assert header(records[one], "txstream-delay-reason") in ("kafka-unavailable", "breaker-open")
    assert relay.stop() == 0


def test_records_that_waited_for_a_topic_say_so(world):
    database, topic, own = world.database(), world.topic(), Topic(create=False)
    relay = world.start("relay", database, topic, WORKER_TOPIC_RETRY_DELAY="500ms",
                        KAFKA_PROPERTY_allow__auto__create__topics="false",
                        KAFKA_PROPERTY_topic__metadata__propagation__max__ms="500")
    first = str(database.publish("k", topic=own.name))
    eventually(lambda: relay.metric("txstream_delivery_blocked", reason="topic_refused") == 1, "its key waits")
    behind = str(database.publish("k"))
    free = str(database.publish("another"))
    topic.read_ids({free})
    own.create()
    held = by_id(own.read_ids({first}))[first]
    records = by_id(topic.read_ids({behind, free}))
    for record in (held, records[behind]):
        assert names(record) == ENVELOPE + MARKS
        assert header(record, "txstream-delay-reason") == "topic-refused"
    assert int(header(held, "txstream-attempt")) >= 2, "it was handed over before its topic was known to be missing"
    assert header(records[behind], "txstream-attempt") == "1"
    assert names(records[free]) == ENVELOPE
    assert relay.stop() == 0


def test_an_api_without_any_relay_says_so_until_there_is_one(world):
    database, topic = world.database(), world.topic()
    api = world.start("api", database, topic)
    eventually(lambda: says(api, "no-worker"), "lanes have no owner")
    relay = world.start("relay", database, topic)
    eventually(lambda: order(api) is None, "it is over")
    assert relay.stop() == 0
