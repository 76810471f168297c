"""Retention: the outbox stays as large as its retention says, by itself, and no writer notices (pytest -s prints the waits)."""
import contextlib
import threading
import time

import psycopg2

from support.world import Database, eventually, run

WRITERS = 16
MEASURED_SECONDS = 3
# What the steps promise is 100 ms for a lock; the rest is a busy machine.
WAIT_MAX = 5.0
APPEND = ("DO $$ BEGIN FOR i IN 1..{} LOOP INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, headers)"
          " VALUES ('T', 'key-' || i, 'E', json_build_object('day', '{}')); COMMIT; END LOOP; END $$")


def shrink(database, ids):
    """An empty outbox whose first partition ends after so many transactions: that of a migration ends after four million."""
    database.run(
        "DO $$ DECLARE at bigint := pg_snapshot_xmax(pg_current_snapshot())::text::bigint + %s; BEGIN"
        " DROP TABLE txstream.outbox_p0, txstream.outbox_tail;"
        " EXECUTE format('CREATE TABLE txstream.outbox_p0 PARTITION OF txstream.outbox FOR VALUES FROM (MINVALUE) TO (%%L)', at);"
        " EXECUTE format('CREATE TABLE txstream.outbox_tail PARTITION OF txstream.outbox FOR VALUES FROM (%%L) TO (MAXVALUE)', at);"
        " END $$", ids)


def maintain(cursor, retention="7 days"):
    """All steps that are due, with small partitions; the actions."""
    actions = []
    while not actions or actions[-1] in ("made", "dropped", "ending", "validated", "ended"):
        cursor.execute("SELECT action FROM txstream.maintain_outbox(%s, 100)", (retention,))
        actions.append(cursor.fetchone()[0])
        assert len(actions) < 50, actions
    return actions


def test_in_a_month_the_outbox_stays_as_large_as_a_week(world):
    """On a server of its own: how many transactions others have decides how large partitions are made."""
    server = world.postgres()
    database = Database(server.dsn)
    world.things.append(database.drop)
    shrink(database, 150)
    sizes = []
    with contextlib.closing(database.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("SET synchronous_commit = off")
        for half_day in range(60):
            cursor.execute(APPEND.format(100, half_day))
            cursor.execute("UPDATE txstream.lanes SET cursor = pg_current_snapshot()")
            maintain(cursor)
            cursor.execute("UPDATE txstream.outbox_times SET at = at - interval '12 hours'")
            cursor.execute("SELECT count(*) FILTER (WHERE (headers ->> 'day')::integer > %s), count(*),"
                           " min((headers ->> 'day')::integer) FROM txstream.outbox", (half_day - 14,))
            young, events, oldest = cursor.fetchone()
            cursor.execute("SELECT count(*), sum(bytes)::bigint FROM txstream.outbox_partitions")
            partitions, size = cursor.fetchone()
            sizes.append((events, partitions, size))
            assert young == 100 * min(half_day + 1, 14), "nothing young is gone"
            assert partitions < 30
            # A partition is as old as its youngest event, so there is one and a half of them more than a week.
            assert half_day < 30 or oldest >= half_day - 14 - 6, (half_day, oldest)
    print(f"events, partitions, bytes: after two weeks {sizes[27]}, after a month {sizes[-1]}")
    assert max(events for events, _, _ in sizes[30:]) <= 100 * 21
    assert max(size for _, _, size in sizes[30:]) <= 1.5 * max(size for _, _, size in sizes[14:30])


class Writers:
    """Sixteen that append one event in each transaction; what went wrong, and the longest wait of each period."""

    def __init__(self, database):
        self.database, self.is_over, self.failures, self.longest, self.events = database, threading.Event(), [], 0.0, []
        self.threads = [threading.Thread(target=self._run, args=(number,)) for number in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def _run(self, number):
        with contextlib.closing(self.database.connect()) as connection:
            cursor = connection.cursor()
            while not self.is_over.is_set():
                began = time.monotonic()
                try:
                    cursor.execute("SELECT txstream.publish('T', %s, 'E', '{}')::text", (f"key-{number}",))
                    self.events.append(cursor.fetchone()[0])
                except psycopg2.Error as error:
                    self.failures.append(repr(error))
                    return
                self.longest = max(self.longest, time.monotonic() - began)

    def take_longest(self):
        longest, self.longest = self.longest, 0.0
        return longest

    def stop(self):
        self.is_over.set()
        for thread in self.threads:
            thread.join(60)


def test_partitions_come_and_go_under_writers_and_a_relay_and_nobody_notices(world):
    database, topic = world.database(), world.topic()
    shrink(database, 1000)
    relay = world.start("relay", database, topic)
    writers = Writers(database)
    actions, ends_at = [], time.monotonic() + MEASURED_SECONDS
    try:
        eventually(lambda: time.monotonic() > ends_at, "the time without steps is over")
        without = writers.take_longest()
        with contextlib.closing(database.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute("SET ROLE txstream_relay")
            ends_at = time.monotonic() + MEASURED_SECONDS
            # Back to back; more, where the lanes' cursors come late.
            eventually(lambda: actions.extend(maintain(cursor, "1 second")) or time.monotonic() > ends_at
                       and actions.count("dropped") >= 2, "partitions are dropped")
        during = writers.take_longest()
    finally:
        writers.stop()
    print(f"{len(writers.events)} transactions; longest wait {1000 * without:.0f} ms without steps, {1000 * during:.0f} ms with"
          f" {len(actions)} steps: {({one: actions.count(one) for one in set(actions)})}")
    assert writers.failures == []
    assert "made" in actions
    assert during < max(WAIT_MAX, 3 * without)
    topic.read_ids(writers.events)
    assert not [one for one in relay.logs("events are not delivered") if one.get("reason") == "outbox_unusable"]
    assert run(["migrate", "validate"], database.environment()).returncode == 0
    assert relay.stop() == 0


def test_a_relay_drops_what_is_old_by_itself(world):
    database, topic = world.database(), world.topic()
    shrink(database, 50)
    relay = world.start("relay", database, topic, OUTBOX_RETENTION="2s", OUTBOX_POSITIONS_RETENTION="2s")
    events = [database.publish(f"key-{number}") for number in range(100)]
    topic.read_ids(events)

    def is_gone():
        events.append(database.publish("one more"))
        return not database.run("SELECT 1 FROM txstream.outbox WHERE event_id = %s", events[0])

    eventually(is_gone, "the first event is dropped")
    eventually(lambda: relay.metric("txstream_outbox_partitions_dropped_total") >= 1, "it is counted")
    eventually(lambda: relay.metric("txstream_retention_rows_deleted_total", table="positions") > 0, "the log of positions, too")
    assert relay.logs("dropped old partitions of the outbox")[0]["dropped"] == "outbox_p0"
    eventually(lambda: relay.metric("txstream_outbox_partitions") >= 4, "the outbox is measured")
    assert relay.metric("txstream_outbox_retention_overdue_seconds") < 60
    topic.read_ids(events)
    assert relay.stop() == 0
    assert not relay.logs("retention failed; trying again")


def test_an_operator_sees_what_keeps_partitions_and_drops_what_is_old(world):
    database = world.database()
    shrink(database, 50)

    def prune(*arguments, **settings):
        return run(["outbox", "prune", *arguments], {**database.environment(), **settings})

    database.run(APPEND.format(100, 1))
    # Other transactions of this server may be older, and have not ended.
    done = eventually(lambda: "stays: not old enough" in (done := prune("--dry-run")).stdout and done, "its transactions have ended")
    assert done.returncode == 0 and "outbox_p0" in done.stdout, done.stdout
    database.run("INSERT INTO txstream.outbox_times SELECT pg_snapshot_xmax(pg_current_snapshot())::text::xid8,"
                 " now() - interval '8 days'")
    done = prune("--dry-run")
    assert "The oldest stays: the cursor of lane 0 has not passed it (no relay owns the lane)" in done.stdout, done.stdout
    cursors = "UPDATE txstream.lanes SET cursor = pg_current_snapshot()"
    eventually(lambda: database.run(cursors) or "is dropped" in prune("--dry-run").stdout, "no older transaction is open")
    done = prune()
    assert done.returncode == 2 and "--yes" in done.stderr and database.one("SELECT count(*) FROM txstream.outbox") == 100
    with contextlib.closing(database.connect()) as connection:
        connection.autocommit = False
        connection.cursor().execute("SELECT txstream.publish('T', 'k', 'E', '{}')")
        assert "is dropped" in prune("--dry-run").stdout, "a look waits for nobody"
    done = prune("--yes")
    assert done.returncode == 0 and "dropped outbox_p0" in done.stdout, (done.stdout, done.stderr)
    assert 0 < database.one("SELECT count(*) FROM txstream.outbox") < 100
    assert "Nothing to drop" in prune("--yes").stdout
    assert prune(OUTBOX_RETENTION="0").returncode == 2
    database.run("UPDATE txstream.instance SET refused_at = now()")
    database.run("UPDATE txstream.outbox_times SET at = now() - interval '8 days'")
    assert prune("--yes").returncode == 0, "there is nothing to drop"
