"""bench/run held-snapshot: what a session that holds a snapshot costs the relay, and how long the log of positions gets."""
import contextlib
import json
import subprocess
import time

PER_SECOND = 1000
MINUTES = 10
SLICE_SECONDS = 60
DAY_MINUTES = 24 * 60
# A mean of fewer executions says nothing.
EXECUTIONS_MIN = 20
STATEMENT_RATIO, GROWTH_MB, ROWS_PER_DAY, MERGED_ROWS_PER_DAY = 1.2, 50, 2_000_000, 2_000
# Touches no table: what it takes longer, the machine does, and not the snapshot.
REFERENCE = "txs_snapshot"
OUTSIDE = ("SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
           " WHERE n.nspname = 'txstream' AND c.relkind = 'r' AND c.relname !~ '^outbox'")
UPDATES = "SELECT coalesce(sum(n_tup_upd), 0) FROM pg_stat_user_tables WHERE schemaname = 'txstream' AND relname = 'lanes'"


class HeldSnapshot:
    """A part of Bench."""

    def held_snapshot(self):
        """A minute to warm up, one to compare with, then the snapshot; its last minute is what counts: costs that grow are largest then."""
        minutes = max(2, round(self.options.minutes or MINUTES))
        with self.database() as database:
            topic = self.topic()
            with self.running("relay", database, topic) as relay, self.writers(database, topic, minutes + 2) as writers:
                begun = time.monotonic()

                def look_at(minute):
                    time.sleep(max(0.0, begun + SLICE_SECONDS * minute - time.monotonic()))
                    self.expect(writers.poll() is None or minute == minutes + 2, "the writers keep on writing")
                    return self.look(database, relay)

                before = [look_at(1), look_at(2)]
                with contextlib.closing(database.connect()) as holder:
                    holder.autocommit = False
                    holder.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                    holder.cursor().execute("SELECT 1")
                    self.say(f"held-snapshot: {PER_SECOND} events/s, a snapshot is held for {minutes} minutes")
                    held = [look_at(minutes + 1), look_at(minutes + 2)]
                    written = json.loads(writers.communicate(timeout=120)[0])
                self.expect(writers.returncode == 0 and written["per_second"] > PER_SECOND * 0.95, "the writers keep their rate")
                self.expect(held[1]["lanes"] == before[1]["lanes"], "no row of lanes is written")
                statements = self.statements_under(before, held)
                merged = self.merge(database, minutes + 2)
        rows = (held[1]["rows"] - before[0]["rows"]) / (minutes + 1)
        return {**statements, **merged,
                "held_snapshot_growth_mb": (held[1]["outside"] - before[1]["outside"]) / 1e6,
                "positions_rows_per_day": rows * DAY_MINUTES,
                **{f"held_snapshot_{when}_{name}": written["slices"][place][name]
                   for when, place in (("before", 1), ("latency", -1)) for name in ("p50_ms", "p99_ms")}}

    @contextlib.contextmanager
    def writers(self, database, topic, minutes):
        """They stop with the measurement."""
        conninfo = f"{self.postgres.call('conninfo')} dbname={database.name}"
        with subprocess.Popen([str(self.build / "bench/txs_commit_to_consumer"), conninfo, self.world.KAFKA, topic.name, str(PER_SECOND),
                               str(minutes * SLICE_SECONDS), str(minutes)], stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    def look(self, database, relay):
        times = {}
        for series, value in relay.metrics().items():
            for part in ("sum", "count"):
                name = f'txstream_db_query_duration_seconds_{part}{{query="'
                if series.startswith(name):
                    times.setdefault(series[len(name):].split('"')[0], {})[part] = value
        return {"times": times, "outside": database.one(OUTSIDE), "lanes": database.one(UPDATES),
                "rows": database.one("SELECT coalesce(max(id), 0) FROM txstream.positions")}

    def statements_under(self, before, held):
        """Mean times of each statement; all of them together, each as often as it ran before."""
        def means(looks):
            first, last = (look["times"] for look in looks)
            spans = {name: {part: last[name][part] - first.get(name, {}).get(part, 0) for part in ("sum", "count")} for name in last}
            return {name: (1000 * one["sum"] / one["count"], one["count"]) for name, one in spans.items() if one["count"] >= EXECUTIONS_MIN}

        free, under = means(before), means(held)
        both = sorted(free.keys() & under.keys(), key=lambda name: -free[name][0] * free[name][1])
        for name in both:
            self.say(f"held-snapshot: {name:24} {free[name][1]:8.0f} times {free[name][0]:8.3f} ms before,"
                     f" {under[name][1]:8.0f} times {under[name][0]:8.3f} ms under it: {under[name][0] / free[name][0]:.2f}x")
        return {"held_snapshot_statement_ratio": (sum(free[name][1] * under[name][0] for name in both)
                                                  / sum(free[name][1] * free[name][0] for name in both)),
                "held_snapshot_acknowledge_ratio": under["txs_advance"][0] / free["txs_advance"][0],
                "held_snapshot_reference_ratio": under[REFERENCE][0] / free[REFERENCE][0]}

    def merge(self, database, minutes):
        """As if all of it had been hours ago: the relay merges it."""
        def count(condition):
            return database.one(f"SELECT count(*) FROM txstream.positions WHERE {condition}")

        self.world.eventually(lambda: database.one("SELECT sum(published) FROM txstream.lane_positions") ==
                              minutes * SLICE_SECONDS * PER_SECOND, "all are acknowledged")
        database.run("UPDATE txstream.positions SET written_at = written_at - interval '3 hours'")
        lanes = database.one("SELECT count(*) FROM txstream.lanes")
        self.world.eventually(lambda: count("lease IS NOT NULL") <= lanes, "what may be merged is", timeout=120)
        # The others say where the lanes are: as many, however long the log is.
        return {"positions_merged_rows_per_day": count("lease IS NULL") * DAY_MINUTES / minutes + count("lease IS NOT NULL")}
