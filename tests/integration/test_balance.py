"""Relays share the lanes evenly, and hand them over without sending anything twice."""
import collections
import contextlib
import random
import statistics
import threading
import time

import pytest

from support.checker import judge
from support.world import event_id, eventually

LANES = 32
KEYS = 60
LEASE_SECONDS = 3
SETTINGS = {"WORKER_LEASE": f"{LEASE_SECONDS}s"}

# What becomes of each lane and when. A lane that is given has a new owner, which then claims it; one without an owner is claimed.
# They run after the row is written and change nothing, as the check of the structure wants it.
WATCH = """
CREATE TABLE lane_changes (id bigserial, at timestamptz DEFAULT clock_timestamp(), what text, lane smallint, lease bigint, before bigint);
CREATE TABLE owners (number bigint PRIMARY KEY, owner text);
CREATE FUNCTION lane_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.lane_changes (what, lane, lease, before) VALUES (CASE WHEN old.lease <> new.lease
        AND EXISTS (SELECT FROM txstream.leases WHERE number = old.lease) THEN 'given' ELSE 'claimed' END, new.lane, new.lease, old.lease);
    RETURN NULL; END $$;
CREATE FUNCTION lease_ended() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.lane_changes (what, lane, lease, before)
        SELECT 'ended', lane, NULL, old.number FROM txstream.lanes WHERE lease = old.number;
    RETURN NULL; END $$;
CREATE FUNCTION lease_begun() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.owners VALUES (new.number, new.owner); RETURN NULL; END $$;
CREATE TRIGGER watch AFTER UPDATE ON txstream.lanes FOR EACH ROW EXECUTE FUNCTION lane_changed();
CREATE TRIGGER watch AFTER DELETE ON txstream.leases FOR EACH ROW EXECUTE FUNCTION lease_ended();
CREATE TRIGGER watch_new AFTER INSERT ON txstream.leases FOR EACH ROW EXECUTE FUNCTION lease_begun();
"""

Change = collections.namedtuple("Change", "at what lane lease before")


class Load(threading.Thread):
    """Writes events of KEYS keys, in the order of their numbers; {event id: (key, place)}."""

    def __init__(self, database, per_second):
        super().__init__()
        self.database = database
        self.pause = 10 / per_second
        self.committed = {}
        self.failure = None
        self.stopping = threading.Event()

    def run(self):
        try:
            with contextlib.closing(self.database.connect()) as connection:
                cursor = connection.cursor()
                number = 0
                while not self.stopping.wait(self.pause):
                    cursor.execute(
                        "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload)"
                        " SELECT 'Test', 'key-' || n %% %s, 'Tested', '{}' FROM generate_series(%s, %s) n RETURNING event_id",
                        (KEYS, number, number + 9))
                    for one, in cursor.fetchall():
                        self.committed[str(one)] = (f"key-{number % KEYS}", number)
                        number += 1
        except Exception as error:  # a broken writer must not look like a quiet one
            self.failure = error

    def end(self):
        self.stopping.set()
        self.join(60)
        assert self.failure is None, self.failure


@pytest.fixture
def load_of(world):
    loads = []

    def start(database, per_second):
        loads.append(Load(database, per_second))
        loads[-1].start()
        return loads[-1]

    yield start
    for one in loads:
        one.stopping.set()
        one.join(60)


def counts(database):
    """Lanes of each relay that lives, the fewest first."""
    return [count for count, in database.run(
        "SELECT (SELECT count(*) FROM txstream.lanes l WHERE l.lease = e.number) FROM txstream.leases e"
        " WHERE e.ends_at > clock_timestamp() ORDER BY 1")]


def even(relays):
    return sorted(LANES // relays + (place < LANES % relays) for place in range(relays))


def balanced(database, relays, timeout=30):
    """Seconds until so many relays have as many lanes, within one."""
    begun = time.monotonic()
    eventually(lambda: counts(database) == even(relays), f"{relays} relays share the lanes evenly", timeout)
    return time.monotonic() - begun


def changes(database):
    return [Change(*row) for row in database.run(
        "SELECT extract(epoch FROM at)::float8, what, lane, lease, before FROM lane_changes ORDER BY id")]


def waits(all_changes, killed=()):
    """How long lanes had nobody to publish them: those that were given, those of relays that went, and those of killed ones,
    from the end of the lease on."""
    found = {"given": [], "ended": [], "killed": []}
    open_since = {}
    for one in all_changes:
        if one.what == "claimed":
            if one.lane in open_since:
                how, since = open_since.pop(one.lane)
                found[how].append(one.at - since)
        elif one.what == "given":
            open_since[one.lane] = ("given", one.at)
        elif one.lane not in open_since:
            open_since[one.lane] = ("killed" if one.before in killed else "ended", one.at)
    return found


def in_words(seconds):
    if not seconds:
        return "none"
    ms = sorted(1000 * one for one in seconds)
    return f"{len(ms)} lanes, median {statistics.median(ms):.0f} ms, max {ms[-1]:.0f} ms"


def records_by_event(records):
    found = collections.defaultdict(list)
    for one in records:
        found[event_id(one)].append(one.timestamp()[1] / 1000)
    return {one: sorted(times) for one, times in found.items()}


def test_lanes_are_shared_evenly_as_relays_come_and_go_and_nothing_is_sent_twice(world, load_of):
    database, topic = world.database(), world.topic()
    database.run(WATCH)
    load = load_of(database, 600)
    relays = [world.start("relay", database, topic)]
    balanced(database, 1)
    took = []
    for _ in range(2):
        relays.append(world.start("relay", database, topic))
        took.append(balanced(database, len(relays)))
    assert relays.pop(0).stop() == 0
    took.append(balanced(database, 2))
    eventually(lambda: [relay.metric("txstream_lanes_owned") for relay in relays] == [16, 16], "they say so")
    # In peace nothing moves: within a lane is even.
    before = len(changes(database))
    written = len(load.committed)
    eventually(lambda: len(load.committed) > written + 1000, "the load goes on")
    assert len(changes(database)) == before
    load.end()
    topic.read_ids(load.committed)
    verdict = judge(load.committed, topic.read(lambda found: len(found) >= topic.count()))
    waited = waits(changes(database))
    print(f"two, three, two relays: even after {', '.join(f'{one:.1f} s' for one in took)}; handed over: {in_words(waited['given'])};"
          f" left behind by one that ended: {in_words(waited['ended'])}; {verdict}")
    assert not verdict.lost and not verdict.invented and not verdict.order_faults and verdict.duplicates == 0, verdict
    assert len(waited["given"]) == 16 + 10
    # The first one, which has ended, gave half of all and then a part of its half.
    given, taken = (sum(relay.metric("txstream_lanes_handed_over_total", direction=way) for relay in relays) for way in ("given", "taken"))
    assert given in (5, 6) and taken == 16 + 10
    assert max(waited["given"]) < 5 and max(waited["ended"]) < 5


def test_twenty_relays_come_and_go_within_a_minute_and_only_kills_send_anything_twice(world, load_of, seed):
    chance = random.Random(seed)
    database, topic = world.database(), world.topic()
    database.run(WATCH)
    relays = [world.start("relay", database, topic, **SETTINGS) for _ in range(2)]
    load = load_of(database, 600)
    begun = time.monotonic()
    killed_at, done = {}, collections.Counter()
    for step in range(20):
        if len(relays) < 2 or (len(relays) < 4 and chance.random() < 0.5):
            relays.append(world.start("relay", database, topic, ready=False, **SETTINGS))
            done["joined"] += 1
        else:
            leaver = relays.pop(chance.randrange(len(relays)))
            if step % 5 == 4:
                killed_at[leaver.process.pid] = time.time()
                leaver.kill()
                done["killed"] += 1
            else:
                threading.Thread(target=leaver.stop).start()
                done["left"] += 1
        eventually(lambda step=step: time.monotonic() - begun > 2.2 * (step + 1), "the next one comes or goes")
    lasted = time.monotonic() - begun
    load.end()
    balanced(database, len(relays), 40)
    topic.read_ids(load.committed)
    for relay in relays:
        assert relay.stop() == 0
    records = topic.read(lambda found: len(found) >= topic.count())
    verdict = judge(load.committed, records)
    all_changes = changes(database)
    owners = ((number, int(owner.split(":")[1])) for number, owner in database.run("SELECT number, owner FROM owners"))
    killed = {number: killed_at[pid] for number, pid in owners if pid in killed_at}
    waited = waits(all_changes, killed)

    # A second record is a kill's when its lane was claimed from a killed relay between the two.
    lanes = dict(database.run("SELECT 'key-' || n, txstream.lane_of('key-' || n) FROM generate_series(0, %s) n", KEYS - 1))
    taken_over = [(one.lane, one.at) for one in all_changes if one.what == "claimed" and one.before in killed]
    by_kills = others = 0
    for one, times in records_by_event(records).items():
        for first, again in zip(times, times[1:]):
            explained = any(lane == lanes[load.committed[one][0]] and first - 0.1 <= at <= again + 0.1 for lane, at in taken_over)
            by_kills, others = by_kills + explained, others + (not explained)
    after_kill = sorted(max(one.at - killed[number] for one in all_changes if one.what == "claimed" and one.before == number)
                        for number in {one.before for one in all_changes if one.what == "claimed" and one.before in killed})
    print(f"{done['joined']} came, {done['left']} went, {done['killed']} were killed within {lasted:.0f} s: {verdict}; sent again"
          f" after kills {by_kills}, in hand-overs {others}; handed over: {in_words(waited['given'])}; left behind:"
          f" {in_words(waited['ended'])}; after kill -9 all lanes have an owner within"
          f" {', '.join(f'{one:.1f} s' for one in after_kill)} (lease {LEASE_SECONDS} s)")
    assert not verdict.lost and not verdict.invented and not verdict.order_faults, verdict
    assert others == 0, "a hand-over sent something twice"
    assert done["joined"] >= 6 and done["killed"] >= 1 and waited["given"], done
    assert all(one < LEASE_SECONDS + 6 for one in after_kill), after_kill


def test_one_that_stands_by_takes_over_after_a_kill_and_gives_everything_back(world):
    database, topic = world.database(), world.topic()
    first = world.start("relay", database, topic, **SETTINGS)
    balanced(database, 1)
    spare = world.start("relay", database, topic, WORKER_STANDBY="true", **SETTINGS)
    eventually(lambda: spare.logs("standing by: other relays hold all lanes"), "it says so")
    eventually(lambda: counts(database) == [0, LANES], "it is there")
    first.kill()
    eventually(lambda: spare.metric("txstream_lanes_owned") == LANES, "it takes over")
    database.publish("somebody")
    topic.read(lambda records: len(records) == 1)
    second = world.start("relay", database, topic, **SETTINGS)
    eventually(lambda: (spare.metric("txstream_lanes_owned"), second.metric("txstream_lanes_owned")) == (0, LANES), "the other has all")
    assert spare.stop() == 0 and second.stop() == 0
