"""Writers that do what applications do to a transactional outbox, all at once.

Keys are serialised by a row lock on their aggregate, as an application's own update would do, so the order of ids of a
key is the order of its commits. Some transactions lock late, roll back to savepoints, roll back whole, are prepared and
committed later, or sleep with their ids already drawn.
"""
import contextlib
import random
import threading
import time
import uuid

KEYS = 40


def prepare(database):
    database.run("CREATE TABLE aggregates (key text PRIMARY KEY, version bigint NOT NULL DEFAULT 0)")
    database.run("INSERT INTO aggregates SELECT 'key-' || n FROM generate_series(0, %s) n", KEYS - 1)


class Hammer:
    def __init__(self, database, seed, writers=16):
        self.database = database
        self.seed = seed
        self.committed = {}
        self.rolled_back = set()
        self.stopping = threading.Event()
        self.failures = []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._guarded, args=(number,)) for number in range(writers)]

    def run(self, seconds):
        for thread in self.threads:
            thread.start()
        time.sleep(seconds)  # the length of the load, not a wait for something
        self.stop()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
        assert not self.failures, self.failures[:3]

    def _guarded(self, number):
        try:
            self._write(number)
        except Exception as error:  # a broken writer must not look like a quiet one
            self.failures.append(repr(error))

    def _write(self, number):
        chance = random.Random(self.seed * 1000 + number)
        with contextlib.closing(self.database.connect()) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            while not self.stopping.is_set():
                self._transaction(cursor, chance)

    def _append(self, cursor, key, into):
        cursor.execute("UPDATE aggregates SET version = version + 1 WHERE key = %s RETURNING version", (key,))
        version = cursor.fetchone()[0]
        one = str(uuid.uuid4())
        cursor.execute(
            "INSERT INTO txstream.outbox (event_id, aggregate_type, aggregate_id, event_type, payload)"
            " VALUES (%s, 'Aggregate', %s, 'Changed', json_build_object('version', %s))", (one, key, version))
        into.append((one, key, version))

    def _transaction(self, cursor, chance):
        written = []
        dropped = []
        # In order, or two transactions wait for each other's aggregate.
        keys = sorted(f"key-{chance.randrange(KEYS)}" for _ in range(chance.choice([1, 1, 1, 2, 5])))
        cursor.execute("BEGIN")
        if chance.random() < 0.2:
            cursor.execute("SELECT pg_current_xact_id()")  # an early transaction id
            time.sleep(chance.random() * 0.02)
        for key in keys:
            if chance.random() < 0.2:
                undone = []
                cursor.execute("SAVEPOINT s")
                self._append(cursor, key, undone)
                cursor.execute("ROLLBACK TO SAVEPOINT s")
                dropped += undone
            elif chance.random() < 0.3:
                cursor.execute("SAVEPOINT s")
                self._append(cursor, key, written)
                cursor.execute("RELEASE SAVEPOINT s")
            else:
                self._append(cursor, key, written)
        if chance.random() < 0.15:
            time.sleep(chance.random() * 0.2)
        ending = chance.random()
        if ending < 0.15:
            cursor.execute("ROLLBACK")
            dropped, written = dropped + written, []
        elif ending < 0.3:
            name = uuid.uuid4().hex
            cursor.execute(f"PREPARE TRANSACTION '{name}'")
            time.sleep(chance.random() * 0.05)
            if chance.random() < 0.3:
                cursor.execute(f"ROLLBACK PREPARED '{name}'")
                dropped, written = dropped + written, []
            else:
                cursor.execute(f"COMMIT PREPARED '{name}'")
        else:
            cursor.execute("COMMIT")
        with self.lock:
            self.committed.update({one: (key, version) for one, key, version in written})
            self.rolled_back.update(one for one, _, _ in dropped)
