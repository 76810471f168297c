"""What operators pause is not sent until they resume it, whatever dies meanwhile; strangers do not notice."""
import json

from support.world import event_id, eventually, header, run
from test_replay import OWN, in_order, states

QUICK = {"WORKER_TOPIC_RETRY_DELAY": "30s", "WORKER_TOPIC_PATIENCE": "500ms", **OWN}


def command(database, topic, *words):
    return run(["relays", *words], {**database.environment(), **topic.environment()})


def change(database, topic, *words):
    done = command(database, topic, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_paused(relay):
    try:
        return relay.metric("txstream_delivery_blocked", reason="paused") == 1
    except OSError:  # it starts
        return False


def write(database, keys, numbers, topic=None):
    return [str(database.publish(key, payload=json.dumps({"n": n}), topic=topic and topic.name)) for n in numbers for key in keys]


def test_nothing_leaves_while_everything_is_paused_and_nothing_is_copied(world):
    database, topic = world.database(), world.topic()
    relay = world.start("relay", database, topic, WORKER_LEASE="2s", **QUICK)
    before = write(database, "ab", [0])
    topic.read_ids(before)
    change(database, topic, "pause", "--all", "--reason", "an upgrade")
    eventually(lambda: is_paused(relay), "the relay says so")
    status, _, health = relay.request("GET", "/health")
    assert status == 200 and "paused" in health, "an operator's will is no failure"
    waiting = write(database, "abc", range(1, 50))
    # Also one that comes later, and knows before it claims lanes.
    relay.kill()
    other = world.start("relay", database, topic, ready=False, WORKER_LEASE="2s", **QUICK)
    eventually(lambda: is_paused(other), "so does the next", timeout=60)
    eventually(lambda: other.metric("txstream_lanes_owned") == 32, "it owns the lanes", timeout=60)
    assert topic.count() == 2 and states(database) == {}
    change(database, topic, "resume", "--all")
    records = topic.read_ids(before + waiting)
    in_order(records)
    assert len(records) == 2 + len(waiting), "nothing comes twice"
    assert {header(record, "txstream-delay-reason") for record in records if event_id(record) in waiting} == {"paused"}
    eventually(lambda: not is_paused(other), "it is over")


def test_a_paused_topic_holds_its_events_and_comes_back_in_order(world):
    database, usual, own = world.database(), world.topic(), world.topic(partitions=3)
    relay = world.start("relay", database, usual, **QUICK)
    own.read_ids(write(database, "ab", [0], own))
    change(database, usual, "pause", "--topic", own.name, "--reason", "its consumer moves")
    eventually(lambda: is_paused(relay), "the relay knows")
    waiting = write(database, "ab", range(1, 4), own)
    behind = write(database, "a", [4])
    usual.read_ids(write(database, ["stranger"], range(20)))
    eventually(lambda: states(database) == {"parked": 7}, "longer than its patience", timeout=60)
    classes = database.run("SELECT error_class, attempts, waits, count(*) FROM txstream.dead_letters GROUP BY 1, 2, 3 ORDER BY 1")
    assert classes == [("held", 0, False, 5), ("paused", 0, True, 2)], classes
    # A decision does not send what is paused.
    database.run("UPDATE txstream.dead_letters SET state = 'replaying', decided = true WHERE waits")
    more = write(database, "ab", [5], own)
    usual.read_ids(write(database, ["stranger"], range(20, 40)))
    assert own.count() == 2
    change(database, usual, "resume", "--topic", own.name)
    in_order(own.read_ids(waiting + more, timeout=60))
    usual.read_ids(behind)
    eventually(lambda: set(states(database)) == {"replayed"}, "nothing is left")
    assert own.count() == 2 + len(waiting) + len(more)


def test_a_paused_key_holds_itself_alone(world):
    database, topic = world.database(), world.topic()
    relay = world.start("relay", database, topic, **QUICK)
    change(database, topic, "pause", "--key", "k", "--reason", "asked by support")
    eventually(lambda: is_paused(relay), "the relay knows")
    waiting = write(database, "k", range(5))
    topic.read_ids(write(database, ["stranger"], range(20)))
    eventually(lambda: states(database) == {"parked": 5}, "they are parked")
    listed = json.loads(command(database, topic, "pauses", "-o", "json").stdout)
    assert [(one["what"], one["name"], one["reason"]) for one in listed] == [("key", "k", "asked by support")]
    change(database, topic, "resume", "--key", "k")
    in_order(topic.read_ids(waiting))
    later = write(database, "k", [9])
    topic.read_ids(later)
    actions = database.run("SELECT action, target->>'key', reason, affected FROM txstream.audit ORDER BY id")
    assert actions == [("relays pause", "k", "asked by support", 1), ("relays resume", "k", "", 1)]


def test_wrong_pauses_are_refused_with_what_to_do(world):
    database, topic = world.database(), world.topic(create=False)
    for words, code, says in [
        (["pause", "--all"], 2, "reason"),
        (["pause", "--reason", "x"], 2, "--topic, --key or --all"),
        (["pause", "--all", "--key", "k", "--reason", "x"], 2, "one of them"),
        (["pause", "--key", "k" * 4097, "--reason", "x"], 2, "1 to 4096"),
        (["resume", "--topic", "t"], 3, "is not paused"),
    ]:
        done = command(database, topic, *words)
        assert (done.returncode, says in done.stderr) == (code, True), (words, done.stderr)
    change(database, topic, "pause", "--topic", "t", "--reason", "first")
    again = command(database, topic, "pause", "--topic", "t", "--reason", "second")
    assert again.returncode == 6 and "is paused already" in again.stderr
    assert database.one("SELECT count(*) FROM txstream.audit") == 1, "nothing was changed"
    database.run("INSERT INTO txstream.pauses (scope, name, reason, paused_by) SELECT 'key', 'k' || n, 'x', 'x' FROM generate_series(1, 999) n")
    full = command(database, topic, "pause", "--key", "one more", "--reason", "x")
    assert full.returncode == 2 and "1000 topics and keys" in full.stderr
