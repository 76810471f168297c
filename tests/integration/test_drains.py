"""A relay is drained for maintenance and delivery does not notice; a wait for everything ends when everything is in Kafka."""
import contextlib
import json
import subprocess

import pytest

from support.checker import judge
from support.world import BINARY, clean_environment, event_id, eventually, run
from test_balance import LANES, Load, counts


@pytest.fixture
def load(world):
    loads = []

    def start(database, per_second):
        loads.append(Load(database, per_second))
        loads[-1].start()
        return loads[-1]

    yield start
    for one in loads:
        one.stopping.set()
        one.join(60)


def drain(database, topic, *words, timeout=90):
    return run(["relays", "drain", *words], {**database.environment(), **topic.environment()}, timeout=timeout)


def document(done):
    return json.loads(done.stdout)


def listed(database, topic, what="relays"):
    done = run([what, "list", "-o", "json"], {**database.environment(), **topic.environment()})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def name_of(database, relay):
    """As its row in txstream.members has it."""
    return eventually(lambda: database.run("SELECT name FROM txstream.members WHERE pid = %s", relay.process.pid), "the relay is listed")[0][0]


def owned(relay):
    return relay.metric("txstream_lanes_owned")


def drain_settled(database, name):
    """Lanes of a relay, by the table."""
    return database.one("SELECT count(*) FROM txstream.lane_positions WHERE starts_with(owner, %s || '/')", name)


def test_a_relay_is_drained_under_load_and_nothing_is_lost_or_sent_twice(world, load):
    database, topic = world.database(), world.topic()
    first = world.start("relay", database, topic)
    second = world.start("relay", database, topic)
    eventually(lambda: counts(database) == [LANES // 2, LANES // 2], "they share the lanes")
    writer = load(database, 400)
    eventually(lambda: len(writer.committed) > 500, "the load runs")
    name = name_of(database, first)
    done = drain(database, topic, name, "--wait", "--reason", "a new kernel", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert document(done) == {"action": "drain", "relay": name, "is_changed": True, "workers": 1, "lanes": 0, "others": 1, "is_drained": True}
    assert drain_settled(database, name) == 0
    written = len(writer.committed)
    eventually(lambda: len(writer.committed) > written + 1000, "the load goes on")
    # It takes none as long as it is drained.
    assert drain_settled(database, name) == 0 and counts(database) == [0, LANES]
    eventually(lambda: (owned(first), owned(second)) == (0, LANES), "both say so")
    # The relay's own row follows when it reports.
    eventually(lambda: {one["name"]: (one["state"], one["drains"], one["lanes"]) for one in listed(database, topic)}[name] ==
               ("drained", True, 0), "the list says so", pause=0.5)
    cancelled = drain(database, topic, name, "--cancel", "-o", "json")
    assert cancelled.returncode == 0 and document(cancelled)["is_changed"], cancelled.stderr
    eventually(lambda: counts(database) == [LANES // 2, LANES // 2], "it takes its share again")
    writer.end()
    topic.read_ids(writer.committed)
    verdict = judge(writer.committed, topic.read(lambda found: len(found) >= topic.count()))
    print(verdict)
    assert not verdict.lost and not verdict.invented and not verdict.order_faults and verdict.duplicates == 0, verdict
    audit = database.run("SELECT action, target->>'relay', reason, affected FROM txstream.audit ORDER BY id")
    assert audit == [("relays drain", name, "a new kernel", 1), ("relays drain --cancel", name, "", 1)]


def test_the_last_relay_is_not_drained_by_accident(world):
    database, topic = world.database(), world.topic()
    only = world.start("relay", database, topic)
    eventually(lambda: counts(database) == [LANES], "it has all lanes")
    name = name_of(database, only)
    refused = drain(database, topic, name)
    assert refused.returncode == 6 and "no other relay would take the lanes" in refused.stderr, refused.stderr
    assert database.one("SELECT count(*) FROM txstream.audit") == 0
    forced = drain(database, topic, name, "--force", "--wait", "--timeout", "3s")
    assert forced.returncode == 7 and "not drained after 3s: 32 lanes left" in forced.stderr, (forced.returncode, forced.stderr)
    assert "no other relay takes them" in forced.stderr
    event = database.publish("a")
    topic.read_ids([event])
    assert listed(database, topic)[0]["state"] == "draining"
    # As soon as another one comes it has nothing left.
    world.start("relay", database, topic)
    waited = drain(database, topic, name, "--wait")
    assert waited.returncode == 0 and "owns no lane and takes none" in waited.stdout, waited.stderr
    assert drain_settled(database, name) == 0
    lanes = listed(database, topic, "lanes")
    assert {lane["owner"].startswith(name) for lane in lanes if lane["owner"]} <= {False}
    assert all(lane["owned_since"] for lane in lanes if lane["owner"])


def test_what_cannot_be_a_drain_is_refused_with_what_to_do(world):
    database, topic = world.database(), world.topic(create=False)
    for words, code, says in [
        ([], 2, "name a relay"),
        (["--cancel"], 2, "name a relay"),
        (["a", "--cancel", "--wait"], 2, "--cancel ends a drain"),
        (["a", "--reason", "x" * 2001], 2, "--reason takes up to 2000 bytes"),
        (["a"], 3, "none does"),
        (["a", "--cancel"], 3, "none does"),
    ]:
        done = drain(database, topic, *words)
        assert (done.returncode, says in done.stderr) == (code, True), (words, done.stderr)
    database.run("UPDATE txstream.instance SET system_identifier = 1")
    copied = drain(database, topic, "--wait")
    assert copied.returncode == 6 and "outbox rebase" in copied.stderr, copied.stderr


def test_a_wait_for_everything_ends_when_everything_before_it_is_in_kafka(world):
    database = world.database()
    broker = world.broker()
    topic = world.topic(bootstrap=broker.bootstrap)
    world.start("relay", database, topic)
    before = [str(database.publish("a")) for _ in range(10)]
    topic.read_ids(before)
    done = drain(database, topic, "--wait", "-o", "json")
    assert done.returncode == 0 and document(done)["is_delivered"], done.stderr
    broker.stop()
    waiting = [str(database.publish(key)) for key in "abcdefgh"]
    # It is not over while Kafka is away, and says what holds it up.
    late = drain(database, topic, "--wait", "--timeout", "4s", "-o", "json")
    assert late.returncode == 7 and "8 events of" in late.stderr and "not delivered" in late.stderr, (late.returncode, late.stderr)
    left = document(late)
    assert (left["is_delivered"], left["pending"], left["parked"]["value"]) == (False, {"value": "8", "exact": True}, "0")
    environment = {**clean_environment(), **database.environment(), **topic.environment()}
    with contextlib.closing(database.connect()) as slow:
        # A transaction that began before the call and commits after it is not waited for.
        slow.autocommit = False
        slow.cursor().execute("SELECT txstream.publish('Test', 'slow', 'Tested', '{}')")
        with subprocess.Popen([BINARY, "relays", "drain", "--wait", "--timeout", "10m"], env=environment, cwd="/", stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as waiter:
            try:
                assert "8 events of" in waiter.stderr.readline()
                assert waiter.poll() is None
                broker.start()
                assert waiter.wait(120) == 0
                assert "Everything that was committed before the call is in Kafka or parked." in waiter.stdout.read()
            finally:
                waiter.kill()
        # It is there now, and not only later.
        records = topic.read(lambda found: len(found) >= topic.count())
        assert {event_id(one) for one in records} == set(before + waiting)
        slow.commit()


def test_a_wait_for_everything_names_what_is_paused_and_what_is_parked(world):
    database, topic, own = world.database(), world.topic(), world.topic(partitions=3)
    environment = {**database.environment(), **topic.environment()}
    # It knows of them before it claims lanes.
    assert run(["relays", "pause", "--key", "k", "--reason", "asked by support"], environment).returncode == 0
    assert run(["relays", "pause", "--topic", own.name, "--reason", "it moves"], environment).returncode == 0
    world.start("relay", database, topic, ready=False, WORKER_TOPIC_PATIENCE="300s")
    database.publish("k")
    database.publish("other", topic=own.name)
    eventually(lambda: database.one("SELECT count(*) FROM txstream.dead_letters") == 1, "the paused key's event is parked")
    late = drain(database, topic, "--wait", "--timeout", "3s", "-o", "json")
    assert late.returncode == 7, late.stderr
    left = document(late)
    assert left["pending"]["value"] == "1" and left["parked"]["value"] == "1", left
    assert f"topic {own.name} is paused (it moves)" in left["blocked"] and "key k is paused (asked by support)" in left["blocked"]
    assert run(["relays", "resume", "--topic", own.name], environment).returncode == 0
    done = drain(database, topic, "--wait")
    assert done.returncode == 0 and "1 event is among the dead letters" in done.stdout, (done.stdout, done.stderr)
    assert own.count() == 1
