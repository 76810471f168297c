"""Aim: no event is lost, invented, doubled or reordered, whatever the writers do. Method: writers with every habit that
makes naive readers lose events, three relay processes, and an independent checker that is itself proven able to fail."""
import os
import threading
import time

from support import hammer
from support.checker import judge
from support.world import event_id

SECONDS = float(os.environ.get("TXSTREAM_HAMMER_SECONDS", "20"))
RELAY = {"WORKER_BATCH_SIZE": "20", "WORKER_LEASE": "3s"}


def test_every_committed_event_arrives_once_and_in_order_and_none_that_rolled_back(world, seed):
    database, topic = world.database(), world.topic()
    hammer.prepare(database)
    for _ in range(3):
        world.start("relay", database, topic, **RELAY)
    load = hammer.Hammer(database, seed)
    load.run(SECONDS)
    records = topic.read_ids(load.committed)
    for relay in world.processes:
        assert relay.stop() == 0
    verdict = judge(load.committed, topic.read(lambda found: len(found) >= topic.count()))
    print(f"hammer: {verdict}, rolled back {len(load.rolled_back)}, {SECONDS} s")
    assert verdict.committed > 20 * SECONDS, "the load was too small to prove anything"
    assert load.rolled_back, "nothing rolled back: the load proves too little"
    assert not load.rolled_back & {event_id(record) for record in records}
    assert not verdict.lost and not verdict.invented and not verdict.order_faults, verdict
    assert verdict.duplicates == 0, verdict


class NaiveReader(threading.Thread):
    """What people write first: remembers the highest id it has seen."""

    def __init__(self, database):
        super().__init__()
        self.database = database
        self.stopping = threading.Event()
        self.seen = set()

    def run(self):
        connection = self.database.connect()
        cursor = connection.cursor()
        last = 0
        while True:
            stop_after = self.stopping.is_set()
            cursor.execute("SELECT id, event_id FROM txstream.outbox WHERE id > %s ORDER BY id", (last,))
            for last, one in cursor.fetchall():
                self.seen.add(str(one))
            if stop_after:
                connection.close()
                return
            time.sleep(0.005)


class _Record:
    def __init__(self, one):
        self.one = one

    def headers(self):
        return [("event_id", self.one.encode())]

    def partition(self):
        return 0

    def offset(self):
        return 0

    def key(self):
        return None


def test_the_checker_reports_the_losses_of_a_naive_reader(world, seed):
    database = world.database()
    hammer.prepare(database)
    reader = NaiveReader(database)
    reader.start()
    load = hammer.Hammer(database, seed)
    load.run(6)
    reader.stopping.set()
    reader.join()
    verdict = judge(load.committed, [_Record(one) for one in reader.seen])
    print(f"naive reader: {verdict}")
    assert verdict.lost, "the load did not even defeat a naive reader: the hammer proves nothing"
