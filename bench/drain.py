"""bench/run drain, backlogs, relays, crash, cold: how fast a backlog goes to Kafka, what limits it, and what a kill costs."""
import contextlib
import json
import os
import pathlib
import signal
import statistics
import time

KEYS = 10_000
TRANSACTION_ROWS = 1000
SAMPLE = 1000
PROCESSORS = 2
BACKLOGS = [10_000, 100_000, 1_000_000, 10_000_000]
SHORT_ROUNDS = 5
KILLS = 5
COLD_BUFFERS, COLD_TABLE_MIN = "128MB", 600_000_000
COLD_CGROUP = pathlib.Path("/sys/fs/cgroup/memory/txstream-bench")
BARS = {
    "drain_vs_bare_producer": (0.70, True),
    "drain_vs_limit": (0.90, True),
    "relay_over_bare_client_us": (1.2, False),
    "postgres_cpu_us_per_event": (1.9, False),
    "drain_rss_mb": (64, False),
    "backlogs_cost_ratio": (1.15, False),
    "two_relays_vs_one": (0.95, True),
    "crash_duplicates_max": (2000, False),
    "cold_bytes_read_per_byte": (1.1, False),
}


class Drain:
    """A part of Bench."""

    @contextlib.contextmanager
    def backlog(self, count, server=None):
        """A database with so many events that wait; `lanes_before` has where the lanes were before them."""
        with self.database(server) as database:
            self.say(f"{count} events go into the table")
            database.run("CREATE TABLE lanes_before AS SELECT * FROM txstream.lane_positions")
            self.load(database, count)
            yield database

    def load(self, database, count, headers="NULL::json"):
        database.run(
            "DO $$ BEGIN FOR i IN 0 .. %s LOOP"
            " INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload, headers)"
            " SELECT 'Order', 'order-' || (i * %s + n) %% %s, 'OrderCreated',"
            "  json_build_object('number', i * %s + n, 'padding', repeat('x', 570)), " + headers +
            " FROM generate_series(1, %s) n;"
            " COMMIT; END LOOP; END $$",
            count // TRANSACTION_ROWS - 1, TRANSACTION_ROWS, KEYS, TRANSACTION_ROWS, TRANSACTION_ROWS)
        database.run("VACUUM ANALYZE txstream.outbox")
        database.run("CHECKPOINT")

    def drain(self):
        count = self.options.events
        relay, bare, reads = [], [], []
        with self.backlog(count) as database:
            source = self.topic()
            self.say("drain: the broker and the caches warm up")
            self.relay_round(database, source, count)
            for _ in range(2):
                self.bare_round(source, count)
            for number in range(1, self.options.rounds + 1):
                relay.append(self.relay_round(database, self.topic(), count))
                bare.append(self.bare_round(source, count, compare=number == 1))
                reads.append(self.read_round(database, count))
                self.say(f"drain {number}: relay {relay[-1]['drain_events_per_second']:.0f}/s,"
                         f" bare producer {bare[-1]['bare_producer_records_per_second']:.0f}/s")
        figures = {name: statistics.median(one[name] for one in rounds)
                   for rounds in (relay, bare, reads) for name in rounds[0]}

        def median(of):
            return statistics.median(of(*one) for one in zip(relay, bare, reads))

        # With nothing between its parts a relay would take of the processors what they take alone.
        return {**figures,
                "drain_vs_bare_producer": median(lambda one, other, _: one["drain_events_per_second"]
                                                 / other["bare_producer_records_per_second"]),
                "drain_vs_limit": median(lambda one, other, read: one["drain_events_per_second"] * 1e-6 / PROCESSORS * (
                    read["read_alone_us_per_event"] + other["bare_client_us_per_event"] + other["bare_broker_us_per_event"])),
                "relay_over_bare_client_us": median(lambda one, other, _: one["relay_cpu_us_per_event"]
                                                    - other["bare_client_us_per_event"])}

    def reset(self, database):
        database.run("TRUNCATE txstream.positions")
        database.run("UPDATE txstream.lanes l SET lease = 0, cursor = b.cursor, target = NULL, last_id = 0, published = 0"
                     " FROM lanes_before b WHERE b.lane = l.lane")

    def relay_round(self, database, topic, count, settings=None, at_end=None):
        self.reset(database)
        settings = dict(one.split("=", 1) for one in self.options.set) | (settings or {})
        with self.running("relay", database, topic, wait=False, settings=settings) as relay:
            # Each look costs the processors that are measured.
            first = self.world.eventually(lambda: self.published(relay), "the first events are published", pause=0.25)
            begun, before = time.monotonic(), self.cpu(relay)
            last = self.world.eventually(lambda: (now := self.published(relay)) >= count and now, "all are published", timeout=600, pause=0.25)
            took = time.monotonic() - begun
            used = {name: value - before[name] for name, value in self.cpu(relay).items()}
            # The two that limit how fast one worker can ever be.
            readers = database.run("SELECT pid FROM pg_stat_activity WHERE application_name = 'txstream reader'")
            threads = pathlib.Path(f"/proc/{relay.process.pid}/task").iterdir()
            busiest = {"worker_thread": max(self.stat_seconds(place) for place in threads),
                       "reader_session": max(self.cpu_seconds(pid) for pid, in readers)}
            rss = self.status_mb(relay.process.pid, "VmHWM")
            if at_end:
                at_end(relay)
        self.expect(topic.count() == last == count, f"the topic holds {topic.count()} records, not {count}")
        drained = count - first
        return {"drain_events_per_second": drained / took,
                **{f"{name}_cpu_us_per_event": seconds * 1e6 / drained for name, seconds in used.items()},
                **{f"{name}_us_per_event": seconds * 1e6 / count for name, seconds in busiest.items()},
                "drain_rss_mb": rss}

    @staticmethod
    def published(relay):
        with contextlib.suppress(OSError):
            return relay.metric("txstream_events_published_total")
        return 0

    def cpu(self, relay):
        return {"relay": self.cpu_seconds(relay.process.pid), "postgres": self.cpu_seconds(self.postgres.pid, with_children=True),
                "broker": self.cpu_seconds(self.kafka.pid)}

    def bare_round(self, source, count, compare=False):
        topic = self.topic()
        before = self.cpu_seconds(self.kafka.pid)
        done = self.tool("txs_bare_producer", self.world.KAFKA, source.name, topic.name, count, *self.producer_settings())
        broker = self.cpu_seconds(self.kafka.pid) - before
        self.expect(topic.count() == count, f"the topic holds {topic.count()} records, not {count}")
        if compare:
            self.expect(self.sample(topic, count) == self.sample(source, count), "both sides send the same records")
        return {"bare_producer_records_per_second": count / done["seconds"],
                "bare_client_us_per_event": done["cpu_seconds"] * 1e6 / count,
                # With what it takes to read them back first.
                "bare_broker_us_per_event": broker * 1e6 / count}

    def read_round(self, database, count):
        cursor, lanes = database.one("SELECT min(cursor::text) || ' ' || count(*) FROM lanes_before").split(" ")
        before = self.cpu_seconds(self.postgres.pid, with_children=True)
        done = self.tool("txs_read_alone", f"{self.postgres.call('conninfo')} dbname={database.name}", cursor, lanes, 1000)
        server = self.cpu_seconds(self.postgres.pid, with_children=True) - before
        self.expect(done["events"] == count, f"{done['events']} events are read, of {count}")
        return {"read_alone_us_per_event": (server + done["cpu_seconds"]) * 1e6 / count,
                "read_alone_events_per_second": count / done["seconds"]}

    def sample(self, topic, count):
        """The first records of a partition: both sides keep the order of its keys."""
        wanted = min(SAMPLE, count // (2 * topic.partitions))
        one = self.world.Topic(create=False)
        one.name, one.partitions = topic.name, 1
        records = one.read(lambda found: len(found) >= wanted)[:wanted]
        return [(record.key(), record.value(), record.headers(), record.timestamp()) for record in records]

    def producer_settings(self):
        """As the relay's, by its defaults."""
        printed = json.loads(self.world.run(["config", "print", "-o", "json"], {}).stdout)
        value = {one["name"]: one["value"] for one in printed}
        linger = value["KAFKA_LINGER"].removesuffix("ms")
        return ["enable.idempotence=true", "enable.gapless.guarantee=true", "acks=all", "partitioner=murmur2_random",
                "message.timeout.ms=0", "socket.nagle.disable=true", "batch.size=1000000", "queue.buffering.max.messages=1000000",
                "queue.buffering.max.kbytes=1048576", f"linger.ms={linger}",
                f"compression.type={value['KAFKA_COMPRESSION']}"]

    # --- how the cost depends on the size of the backlog

    def backlogs(self):
        """What an event costs all processes together, by how many wait; without what it costs to start with none."""
        cost, rss, idle = {}, {}, None
        for count in [size for size in BACKLOGS if size <= self.options.scale]:
            with self.backlog(count) as database:
                self.whole_round(database, count)  # caches and broker warm up
                if idle is None:
                    idle = statistics.median(self.whole_round(database, 0)[0] for _ in range(SHORT_ROUNDS))
                rounds = [self.whole_round(database, count) for _ in range(SHORT_ROUNDS if count < 1_000_000 else 1)]
            cost[count] = (statistics.median(used for used, _ in rounds) - idle) * 1e6 / count
            rss[count] = max(resident for _, resident in rounds)
            self.say(f"backlogs: {count} events, {cost[count]:.2f} us each, {rss[count]:.0f} MB")
        return {**{f"backlog_{count}_us_per_event": value for count, value in cost.items()},
                **{f"backlog_{count}_rss_mb": value for count, value in rss.items()},
                "backlogs_cost_ratio": max(cost.values()) / cost[min(cost)]}

    def whole_round(self, database, count):
        """(seconds of the processors from start to end, the relay's resident MB); of `count` 0 the backlog is published already."""
        topic = self.topic()
        if count:
            self.reset(database)
        before = self.cpu_of_servers()
        with self.running("relay", database, topic) as relay:
            self.world.eventually(lambda: relay.metric("txstream_lanes_owned") > 0, "it owns lanes")
            self.world.eventually(lambda: self.published(relay) >= count, "all are published", timeout=600)
            used = self.cpu_of_servers() - before + self.cpu_seconds(relay.process.pid)
            rss = self.status_mb(relay.process.pid, "VmHWM")
        self.expect(topic.count() == count, f"the topic holds {topic.count()} records, not {count}")
        return used, rss

    def cpu_of_servers(self):
        return self.cpu_seconds(self.postgres.pid, with_children=True) + self.cpu_seconds(self.kafka.pid)

    # --- two relays

    def relays(self):
        """Each takes half of the lanes; against one with all of them, in turns."""
        count, ratios, one, two = self.options.events, [], [], []
        with self.backlog(count) as database:
            lanes = database.one("SELECT count(*) FROM txstream.lanes")
            self.relay_round(database, self.topic(), count)
            for number in range(1, self.options.rounds + 1):
                one.append(self.relay_round(database, self.topic(), count)["drain_events_per_second"])
                two.append(self.two_relays(database, self.topic(), count, lanes))
                ratios.append(two[-1] / one[-1])
                self.say(f"relays {number}: one {one[-1]:.0f}/s, two {two[-1]:.0f}/s")
        return {"one_relay_events_per_second": statistics.median(one), "two_relays_events_per_second": statistics.median(two),
                "two_relays_vs_one": statistics.median(ratios)}

    def two_relays(self, database, topic, count, lanes):
        self.reset(database)
        half = {"WORKER_MAX_LANES": str(lanes // 2)}
        with (self.running("relay", database, topic, wait=False, settings=half) as first,
              self.running("relay", database, topic, wait=False, settings=half) as second):
            def both():
                return [self.published(first), self.published(second)]

            before = self.world.eventually(lambda: all(now := both()) and now, "both publish")
            begun = time.monotonic()
            # Until one of them is done: each has its half, and they need not end together.
            after = self.world.eventually(lambda: max(now := both()) >= count * 0.45 and now, "nearly half", timeout=600)
            took = time.monotonic() - begun
            self.world.eventually(lambda: sum(both()) >= count, "all are published", timeout=600)
        self.expect(topic.count() == count, f"the topic holds {topic.count()} records, not {count}")
        self.expect_order(topic, count)
        return (sum(after) - sum(before)) / took

    def expect_order(self, topic, count):
        """Of each key the numbers rise: first deliveries are in the order of the ids."""
        last, disorder = {}, 0
        for record in topic.read(lambda found: len(found) >= count, timeout=300):
            number = json.loads(record.value())["event_data"]["number"]
            disorder += number <= last.get(record.key(), -1)
            last[record.key()] = number
        self.expect(disorder == 0, f"{disorder} records are out of order")

    # --- what a kill costs

    def crash(self):
        """A relay is killed at full speed, the next one goes on: how many records are in the topic twice."""
        count, twice = self.options.events, []
        with self.backlog(count) as database:
            self.relay_round(database, self.topic(), count)
            for number in range(1, KILLS + 1):
                self.reset(database)
                topic = self.topic()
                with self.started("relay", database, topic) as relay:
                    self.world.eventually(lambda: self.published(relay) > count * number / (KILLS + 2), "it publishes")
                    os.kill(relay.process.pid, signal.SIGKILL)
                with self.running("relay", database, topic, wait=False):
                    self.world.eventually(lambda: database.one("SELECT sum(published) FROM txstream.lane_positions") >= count,
                                          "the rest is published", timeout=120)
                twice.append(topic.count() - count)
                self.say(f"crash {number}: {twice[-1]} records twice")
        return {"crash_duplicates_median": statistics.median(twice), "crash_duplicates_max": max(twice)}

    @contextlib.contextmanager
    def started(self, role, database, topic):
        """One that ends as it likes."""
        process = self.world.Process(role, {**database.environment(), **topic.environment()}, self.work)
        try:
            yield process
        finally:
            process.end()

    # --- a backlog larger than memory

    def cold(self):
        """A server of its own in a memory cgroup: the backlog is twice as large as all that it may use, and nothing of it is in memory."""
        if not os.access(COLD_CGROUP.parent, os.W_OK):
            raise SystemExit(f"cold needs root, and the memory controller of cgroups (version 1) at {COLD_CGROUP.parent}")
        from psycopg2.extensions import parse_dsn
        count, usual = self.options.events, self.postgres
        settings = ["--set", f"shared_buffers={COLD_BUFFERS}", "--set", "max_wal_size=8GB"]
        with self.memory() as memory, self.server("postgres", *settings, directory="postgres-cold") as self.postgres:
            try:
                memory.take(self.postgres.pid)
                with self.backlog(count, parse_dsn(self.postgres.call("conninfo"))) as database:
                    size = database.one("SELECT sum(pg_table_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = 'txstream.outbox'::regclass")
                    self.expect(size > COLD_TABLE_MIN, "the table is larger than the server itself: more --events")
                    self.relay_round(database, self.topic(), count)  # the broker warms up
                    rounds = [self.cold_round(database, memory, settings, count, size) for _ in range(self.options.rounds)]
            finally:
                self.postgres = usual
        return {f"cold_{name}": statistics.median(one[name] for one in rounds) for name in rounds[0]}

    def cold_round(self, database, memory, settings, count, size):
        memory.limit(size // 2)
        self.postgres.restart(*settings)
        memory.drop()
        memory.take(self.postgres.pid)
        read = 0

        def look(_):
            nonlocal read
            read = self.bytes_read(self.postgres.pid)

        one = self.relay_round(database, self.topic(), count, at_end=look)
        memory.limit(-1)
        self.say(f"cold: {one['drain_events_per_second']:.0f}/s, {read / 1e6:.0f} MB read of a table of {size / 1e6:.0f} MB")
        return {"events_per_second": one["drain_events_per_second"], "bytes_read_per_byte": read / size,
                "postgres_cpu_us_per_event": one["postgres_cpu_us_per_event"]}

    @staticmethod
    def bytes_read(pid):
        """From the disk, by a server and the sessions that it has."""
        total = 0
        for one in [str(pid), *pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]:
            with contextlib.suppress(FileNotFoundError):
                fields = dict(line.split(": ") for line in pathlib.Path(f"/proc/{one}/io").read_text().splitlines())
                total += int(fields["read_bytes"])
        return total

    @contextlib.contextmanager
    def memory(self):
        COLD_CGROUP.mkdir(exist_ok=True)
        try:
            yield Memory(COLD_CGROUP)
        finally:
            self.world.eventually(lambda: not (COLD_CGROUP / "cgroup.procs").read_text(), "the server is gone")
            COLD_CGROUP.rmdir()


class Memory:
    """What processes may use, with the pages of files that they have read."""

    def __init__(self, cgroup):
        self.cgroup = cgroup

    def take(self, pid):
        """Children that it has later are in it, too."""
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in [str(pid), *children]:
            with contextlib.suppress(ProcessLookupError):
                (self.cgroup / "cgroup.procs").write_text(one)

    def limit(self, size):
        (self.cgroup / "memory.limit_in_bytes").write_text(str(size))

    def drop(self):
        (self.cgroup / "memory.force_empty").write_text("0")
