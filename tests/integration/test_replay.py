"""Dead letters that are sent after all: in their order, with what has come behind them, whatever dies meanwhile. Decisions are made
as `txstream dead-letters` makes them. Figures are printed (pytest -s)."""
import json
import os
import time

from support.world import event_id, eventually, header, run
from test_topics import set_config

LETTERS = int(os.environ.get("TXSTREAM_TEST_LETTERS", "20000"))
TOO_LARGE = json.dumps({"x": "y" * 50_000})
LIMIT = {"max.message.bytes": "20000"}
# What the relay was told of a topic's limit it asks again soon.
OWN = {"WORKER_RETRY_DELAY": "50ms", "KAFKA_PROPERTY_allow__auto__create__topics": "false"}


def decide(database, state, where="true", *values):
    """An operator's decision about letters that are parked for their own sake; how many there are."""
    return len(database.run(
        "UPDATE txstream.dead_letters SET state = %s, decided = true, resolved_by = 'test', resolved_at = clock_timestamp()"
        f" WHERE state = 'parked' AND error_class <> 'held' AND {where} RETURNING 1", state, *values))


def states(database):
    return dict(database.run("SELECT state, count(*) FROM txstream.dead_letters GROUP BY 1"))


def park(database, keys, letters, missing):
    """`letters` events for a topic that is not there, round robin over the keys: the first of each key waits for the topic among the dead
    letters, the others behind it."""
    database.run(
        "SELECT txstream.publish('Test', 'key-' || n %% %s, 'Tested', json_build_object('n', n)::text, topic => %s)"
        " FROM generate_series(0, %s - 1) n", keys, missing.name, letters)


def are_letters(database, count):
    """One of them may be on its way to try the topic."""
    eventually(lambda: sum(states(database).values()) == count, f"{count} letters", timeout=240)


def in_order(records):
    """Of the first record of each event: the numbers of each key only grow."""
    last, seen = {}, set()
    for record in records:
        one = event_id(record)
        if one in seen:
            continue
        seen.add(one)
        number = json.loads(record.value())["event_data"]["n"]
        assert number > last.get(record.key(), -1), (record.key(), number, last[record.key()])
        last[record.key()] = number


def test_a_replay_sends_a_key_in_its_order_and_what_comes_later_follows(world):
    database, topic = world.database(), world.topic(config=LIMIT)
    relay = world.start("relay", database, topic, **OWN)
    ids = [str(database.publish("k", payload=TOO_LARGE))]
    ids += [str(database.publish("k", payload=json.dumps({"n": n}))) for n in range(5)]
    eventually(lambda: states(database) == {"parked": 6}, "the key is held")
    # The reason is gone.
    set_config(topic, max_message_bytes="100000")
    eventually(lambda: (decide(database, "replaying") or True) and states(database) == {"replayed": 6},
               "they are sent, once the relay knows of the new limit", timeout=90)
    later = [str(database.publish("k", payload=json.dumps({"n": n}))) for n in range(5, 8)]
    records = topic.read_ids(ids + later)
    first = list(dict.fromkeys(event_id(record) for record in records))
    assert first == ids + later
    marks = {event_id(record): header(record, "txstream-replayed") for record in records}
    assert all(marks[one] == "true" for one in ids), marks
    assert all(marks[one] is None for one in later), "the key goes the usual way again"
    assert relay.metric("txstream_dead_letters_replayed_total", result="replayed") == 6


def test_a_discard_releases_what_stands_behind_it_without_a_restart(world):
    database, topic = world.database(), world.topic(config=LIMIT)
    relay = world.start("relay", database, topic, **OWN)
    bad = str(database.publish("k", payload=TOO_LARGE))
    behind = [str(database.publish("k", payload=json.dumps({"n": n}))) for n in range(3)]
    eventually(lambda: states(database) == {"parked": 4}, "the key is held")
    assert decide(database, "discarded") == 1
    assert [event_id(one) for one in topic.read_ids(behind)] == behind
    eventually(lambda: states(database) == {"discarded": 1, "replayed": 3}, "it is written down")
    last = str(database.publish("k", payload='{"n": 9}'))
    everything = [event_id(one) for one in topic.read_ids(behind + [last])]
    assert everything[-1] == last and bad not in everything
    assert relay.metric("txstream_events_in_queue", status="dead_letter") in (0, 1, 4)


def test_what_is_refused_again_is_parked_again_and_holds_its_key(world):
    database, topic = world.database(), world.topic(config=LIMIT)
    world.start("relay", database, topic, **OWN)
    database.publish("k", payload=TOO_LARGE)
    database.publish("k", payload='{"n": 1}')
    eventually(lambda: states(database) == {"parked": 2}, "the key is held")
    before = database.one("SELECT attempts FROM txstream.dead_letters WHERE error_class <> 'held'")
    assert decide(database, "replaying") == 1
    attempts, error = eventually(
        lambda: (rows := database.run("SELECT attempts, error FROM txstream.dead_letters WHERE state = 'parked' AND error_class <> 'held'"
                                      " AND NOT decided AND attempts > %s", before)) and rows[0], "it is parked again")
    assert attempts == before + 1 and "20000" in error
    assert states(database) == {"parked": 2}
    assert topic.count() == 0


def test_strangers_and_new_keys_flow_while_many_letters_are_sent(world):
    database, topic, missing = world.database(), world.topic(), world.topic(create=False)
    relay = world.start("relay", database, topic, WORKER_TOPIC_RETRY_DELAY="1s", WORKER_TOPIC_PATIENCE="200ms", **OWN)
    park(database, 1000, LETTERS, missing)
    are_letters(database, LETTERS)
    missing.create()
    begun = time.monotonic()
    stranger = str(database.publish("stranger", payload='{"n": 1}'))
    topic.read_ids([stranger])
    delayed = time.monotonic() - begun
    # Keys whose letters are on their way get new events meanwhile.
    database.run("SELECT txstream.publish('Test', 'key-' || n %% 1000, 'Tested', json_build_object('n', n)::text, topic => %s)"
                 " FROM generate_series(%s, %s) n", missing.name, LETTERS, LETTERS + 1999)
    eventually(lambda: set(states(database)) == {"replayed"}, "all are sent, and nobody has decided", timeout=240)
    took = time.monotonic() - begun
    print(f"\n{LETTERS} letters of 1,000 keys: {took:.1f} s ({LETTERS / took:.0f}/s); a stranger waited {delayed:.2f} s")
    everything = [one for one, in database.run("SELECT event_id::text FROM txstream.outbox WHERE topic IS NOT NULL")]
    in_order(missing.read_ids(everything, timeout=120))
    assert took < 60 * LETTERS / 20000, "a hundred thousand within a minute, with room for a busy machine and sanitizers"
    assert relay.metric("txstream_dead_letters_replayed_total", result="replayed") >= LETTERS


def test_a_replay_whose_relay_is_killed_goes_on_with_the_next_one(world):
    database, topic, missing = world.database(), world.topic(), world.topic(create=False)
    settings = {"WORKER_TOPIC_RETRY_DELAY": "1s", "WORKER_TOPIC_PATIENCE": "200ms", "WORKER_LEASE": "2s", **OWN}
    first = world.start("relay", database, topic, **settings)
    park(database, 20, 4000, missing)
    are_letters(database, 4000)
    missing.create()
    eventually(lambda: states(database).get("replayed", 0) > 20, "it has begun")
    first.kill()
    left = 4000 - states(database).get("replayed", 0)
    world.start("relay", database, topic, **settings)
    later = [str(database.publish(f"key-{n}", payload=json.dumps({"n": 10_000 + n}), topic=missing.name)) for n in range(20)]
    eventually(lambda: set(states(database)) == {"replayed"}, "the rest is sent", timeout=120)
    everything = [one for one, in database.run("SELECT event_id::text FROM txstream.outbox WHERE topic IS NOT NULL")]
    records = missing.read_ids(everything + later)
    in_order(records)
    print(f"\nkilled with {left} of 4,000 left: {len(records) - 4020} records came twice")


def test_a_skipped_event_does_not_hold_its_key_and_is_replayed_after_newer_ones(world):
    database, topic = world.database(), world.topic(config=LIMIT, partitions=1)
    relay = world.start("relay", database, topic, WORKER_SKIP_TYPES="Another,Tested", **OWN)
    bad = str(database.publish("k", payload=TOO_LARGE))
    later = [str(database.publish("k", payload=json.dumps({"n": n}))) for n in range(3)]
    topic.read_ids(later)
    eventually(lambda: states(database) == {"parked": 1}, "it is parked alone")
    assert database.one("SELECT holds FROM txstream.dead_letters") is False
    # A relay that was told nothing of it finds it in the letter.
    assert relay.stop() == 0
    world.start("relay", database, topic, **OWN)
    newer = [str(database.publish("k", payload=json.dumps({"n": n}))) for n in range(3, 6)]
    records = topic.read_ids(later + newer)
    assert [one for one in dict.fromkeys(map(event_id, records))] == later + newer, "the others keep their order"
    environment = {**database.environment(), **topic.environment()}
    planned = run(["dead-letters", "replay", "--key", "k", "--dry-run"], environment)
    assert planned.returncode == 0 and "Replay: 1 event of 1 key; 1 key has newer published events.\n" in planned.stdout, planned
    listed = json.loads(run(["dead-letters", "list", "-o", "json"], environment).stdout)
    assert [one["holds"] for one in listed] == [False]
    set_config(topic, max_message_bytes="100000")
    eventually(lambda: (decide(database, "replaying") or True) and states(database) == {"replayed": 1},
               "it is sent, once the relay knows of the new limit", timeout=90)
    records = topic.read_ids([bad, *later, *newer])
    assert [one for one in dict.fromkeys(map(event_id, records))] == [*later, *newer, bad]
    assert header(next(one for one in records if event_id(one) == bad), "txstream-replayed") == "true"


def test_what_is_skipped_waits_for_its_topic_alone(world):
    database, topic, missing = world.database(), world.topic(partitions=1), world.topic(create=False, partitions=1)
    world.start("relay", database, topic, WORKER_SKIP_TOPICS=missing.name, WORKER_TOPIC_PATIENCE="1s", WORKER_TOPIC_RETRY_DELAY="1s", **OWN)
    waiting = [str(database.publish("k", topic=missing.name)) for _ in range(3)]
    later = [str(database.publish("k", payload=json.dumps({"n": n}))) for n in range(3)]
    records = topic.read_ids(later)
    assert [one for one in dict.fromkeys(map(event_id, records))] == later
    eventually(lambda: database.run("SELECT holds, waits, error_class = 'held', count(*) FROM txstream.dead_letters GROUP BY 1, 2, 3") ==
               [(False, True, False, 3)], "all three wait for it, and none behind another")
    missing.create()
    assert set(map(event_id, missing.read_ids(waiting))) == set(waiting)
    eventually(lambda: states(database) == {"replayed": 3}, "it is written")
