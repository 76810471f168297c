"""bench/run writer: what appending an event costs a writer, indexes included; beside the two indexes with the lane in front (ADR 0006)."""
import re
import statistics
import subprocess

SESSIONS = 8
PGBENCH = "/usr/lib/postgresql/15/bin/pgbench"
EVENT = ("SELECT txstream.publish('Order', 'order-' || (random() * 10000)::int, 'OrderCreated',"
         " json_build_object('number', 1, 'padding', repeat('x', 570)));\n")
# As they were when each lane was paged alone.
LANE_FIRST = """DO $$ DECLARE index text; BEGIN
    ALTER TABLE txstream.outbox DROP CONSTRAINT outbox_pkey;
    FOR index IN SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'txstream.outbox'::regclass LOOP
        EXECUTE 'DROP INDEX ' || index;
    END LOOP;
    CREATE INDEX ON txstream.outbox (lane, id);
    CREATE INDEX ON txstream.outbox (lane, xid);
END $$"""


class Writer:
    """A part of Bench."""

    def writer(self):
        with self.database() as ours, self.database() as lane_first:
            lane_first.run(LANE_FIRST)
            rounds = {"writer": [], "writer_lane_first": []}
            for number in range(self.options.rounds + 1):
                for name, database in (("writer", ours), ("writer_lane_first", lane_first)):
                    rounds[name].append(self.append_events(database))
                self.say(f"writer {number or 'warm-up'}: {rounds['writer'][-1]}, lane first {rounds['writer_lane_first'][-1]}")
        figures = {f"{name}_{what}": statistics.median(one[what] for one in all_of_it[1:])
                   for name, all_of_it in rounds.items() for what in all_of_it[0]}
        return {**figures, "writer_cost_ratio": statistics.median(
            one["cpu_us"] / other["cpu_us"] for one, other in zip(rounds["writer"][1:], rounds["writer_lane_first"][1:]))}

    def append_events(self, database):
        """Transactions of one event each, from several sessions, for --seconds."""
        before = self.cpu_seconds(self.postgres.pid, with_children=True)
        wal = database.one("SELECT pg_current_wal_insert_lsn()")
        count = database.one("SELECT count(*) FROM txstream.outbox")
        done = subprocess.run(
            [PGBENCH, "-n", "-M", "prepared", "-c", str(SESSIONS), "-j", "1", "-T", str(self.options.seconds), "-f", "/dev/stdin",
             f"{self.postgres.call('conninfo')} dbname={database.name}"], input=EVENT, capture_output=True, text=True, check=True)
        used = self.cpu_seconds(self.postgres.pid, with_children=True) - before
        written = database.one("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)", wal)
        events = database.one("SELECT count(*) FROM txstream.outbox") - count
        return {"cpu_us": used * 1e6 / events, "latency_ms": float(re.search(r"latency average = ([\d.]+)", done.stdout)[1]),
                "wal_bytes": float(written) / events}
