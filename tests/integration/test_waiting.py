"""What waits among the dead letters for its topic is sent by itself when the topic takes records again. Nobody decides here."""
import json

from support.world import event_id, eventually, header
from test_console_kafka import allow, guarded  # noqa: F401  a broker with an authorizer
from test_replay import OWN, in_order, states

QUICK = {"WORKER_TOPIC_RETRY_DELAY": "1s", "WORKER_TOPIC_PATIENCE": "500ms", "KAFKA_PROPERTY_topic__metadata__propagation__max__ms": "500",
         **OWN}


def write(database, topic, keys, numbers):
    return [str(database.publish(key, payload=json.dumps({"n": n}), topic=topic.name)) for n in numbers for key in keys]


def parked_for(database, topic, count):
    """One of them may be on its way to try the topic."""
    eventually(lambda: sum(states(database).values()) == count, f"{count} events are parked", timeout=60)
    letters = database.run("SELECT waits, error_class FROM txstream.dead_letters WHERE topic = %s AND error_class <> 'held'", topic.name)
    assert letters and all(waits for waits, _ in letters), letters


def all_arrive(database, topic, wanted):
    records = topic.read_ids(wanted, timeout=60)
    in_order(records)
    assert all(header(record, "txstream-replayed") == "true" for record in records if event_id(record) in wanted)
    eventually(lambda: set(states(database)) == {"replayed"}, "the table knows it")


def test_a_topic_that_is_deleted_and_made_again_gets_what_waited_for_it(world):
    database, usual, own = world.database(), world.topic(), world.topic(partitions=3)
    relay = world.start("relay", database, usual, **QUICK)
    own.read_ids(write(database, own, "ab", [0]))
    own.delete()
    waiting = write(database, own, "abc", range(1, 4))
    parked_for(database, own, 9)
    behind = str(database.publish("a", payload='{"n": 4}'))
    usual.read_ids([str(database.publish("stranger"))])
    own.create()
    all_arrive(database, own, waiting)
    usual.read_ids([behind])
    assert database.one("SELECT max(attempts) FROM txstream.dead_letters") == 1, "trying a topic is no attempt of its events"
    assert database.one("SELECT count(*) FROM txstream.audit") == 0
    # A client may remember the topic that is gone for a moment.
    numbers = iter(range(10, 100))

    def goes_the_usual_way():
        one, = write(database, own, "d", [next(numbers)])
        record, = [record for record in own.read_ids([one]) if event_id(record) == one]
        return header(record, "txstream-replayed") is None

    eventually(goes_the_usual_way, "a new event goes the usual way")
    assert relay.stop() == 0


def test_a_right_that_is_taken_away_and_granted_again_costs_nothing(world, guarded, tmp_path):  # noqa: F811
    usual, own = (world.topic(bootstrap=guarded.bootstrap) for _ in range(2))
    database = world.database()
    rights = ("--operation", "Write", "--operation", "Describe")
    for topic in (usual, own):
        allow(guarded, *rights, "--topic", topic.name)
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    world.start("relay", database, usual, **{
        **QUICK, "KAFKA_BROKERS": guarded.sasl, "KAFKA_SECURITY_PROTOCOL": "sasl_plaintext", "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_SASL_USERNAME": "viewer", "KAFKA_SASL_PASSWORD_FILE": str(secret)})
    own.read_ids(write(database, own, "ab", [0]))
    allow(guarded, *rights, "--topic", own.name, change=("--remove", "--force"))
    waiting = write(database, own, "abc", range(1, 4))
    parked_for(database, own, 9)
    assert database.one("SELECT DISTINCT error_class FROM txstream.dead_letters WHERE waits") == "TOPIC_AUTHORIZATION_FAILED"
    usual.read_ids([str(database.publish("stranger"))])
    allow(guarded, *rights, "--topic", own.name)
    all_arrive(database, own, waiting)
