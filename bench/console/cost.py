"""bench/run console: what the console costs, and how long a reader waits, at the scale that PostgreSQL and Kafka were filled with."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import statistics
import subprocess
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PREFIX = "/api/console/v1"
PAGE_TOPICS, PAGE_GROUPS = 50, 50
TAILS = 10
TAIL_RECORDS_PER_SECOND = 2000
TAIL_SECONDS = 20
FIRST_DATA_MS, STATEMENT_MS, TAILS_MB, DRAIN_PERCENT = 500, 250, 80, 2
OVERVIEW_PATHS = ["/overview", "/overview/history?hours=1"]
OVERVIEW_EVERY = 1.0


def quote(text):
    return urllib.parse.quote(str(text), safe="")


def cpu_seconds(pid):
    """User and system time so far; 0 of one that has ended."""
    with contextlib.suppress(FileNotFoundError):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(ticks) for ticks in fields[11:13]) / os.sysconf("SC_CLK_TCK")
    return 0.0


class Asker:
    """One tab: its connection is kept open."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def get(self, path):
        """(milliseconds, status, bytes)"""
        began = time.monotonic()
        self.connection.request("GET", PREFIX + path, headers={"Sec-Fetch-Site": "same-origin"})
        answer = self.connection.getresponse()
        body = answer.read()
        return (time.monotonic() - began) * 1000, answer.status, body

    def json(self, path):
        _, status, body = self.get(path)
        if status != 200:
            raise SystemExit(f"the measurement is void: {path} is answered {status}: {body[:300]}")
        return json.loads(body)


@contextlib.contextmanager
def tail(port, topic):
    """A stream that is read all the time; the list gets how many bytes came."""
    stop, received = threading.Event(), [0]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", f"{PREFIX}/topics/{quote(topic)}/messages/stream", headers={"Sec-Fetch-Site": "same-origin"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise SystemExit(f"the measurement is void: a tail is answered {answer.status}: {answer.read()[:300]}")

    def read():
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError, AttributeError):
            while not stop.is_set():
                part = answer.read1(65536)
                if not part:
                    return
                received[0] += len(part)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        stop.set()
        connection.sock.close()
        thread.join(5)


def pages(asker, ours):
    """Page: its first request, on which the bar is, and the slower ones that fill it up."""
    topics = [one["name"] for one in asker.json(f"/topics?size={PAGE_TOPICS}")["items"]]
    groups = [one["id"] for one in asker.json(f"/groups?size={PAGE_GROUPS}")["items"]]
    events = asker.json("/events")["items"]
    orders = asker.json("/orders")["items"]
    order, event = orders[0], events[-1]
    names, ids = quote(",".join(topics)), quote(",".join(quote(one) for one in groups))
    return {
        "overview": ["/overview", "/overview/history?hours=1", "/overview/history?hours=24"],
        "outbox": ["/events", "/events?q=state:pending", "/events?q=state:parked", f"/events?q={quote('aggregate:' + event['aggregate_id'])}",
                   f"/events?q={quote('type:' + event['event_type'])}", "/events?q=type:NeverWritten"],
        "event": [f"/events/{event['ref']}", f"/events/{event['ref']}/record"],
        "dead letters": ["/dead-letters/groups", "/dead-letters", "/dead-letters?state=parked&error_class=held"],
        "orders": ["/orders", f"/orders?q={quote('number:' + order['order_number'])}", f"/orders?q={quote('number:' + order['order_number'][:8] + '*')}",
                   f"/orders?q={quote('customer:' + order['customer_id'])}"],
        "order": [f"/orders/{order['id']}"],
        "topics": [f"/topics?size={PAGE_TOPICS}", f"/topics/offsets?names={names}", f"/topics/groups?names={names}"],
        "topic": [f"/topics/{quote(ours)}", f"/topics/{quote(ours)}/groups"],
        "messages": [f"/topics/{quote(ours)}/messages", f"/topics/{quote(ours)}/messages?from=oldest"],
        "brokers": ["/brokers", "/brokers/1/config"],
        "groups": [f"/groups?size={PAGE_GROUPS}", f"/groups/describe?ids={ids}"],
        "group": [f"/groups/{quote(groups[0])}"],
        "relays": ["/relays"],
    }


class ConsoleCost:
    """A part of Bench, which has database(), running(), topic(), settle() and the servers."""

    def console(self):
        figures, cluster, scale = {}, self.cluster, self.options.scale
        self.postgres.call("psql", "--", "-qc", "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        self.say(f"console: {cluster['topics']} topics, {cluster['partitions']} partitions each, and {cluster['groups']} groups go into Kafka")
        self.make_coordinator()
        subprocess.run([self.build / "bench/txs_console_kafka_fill", self.world.KAFKA, *map(str, cluster.values())],
                       check=True, stdout=subprocess.DEVNULL, timeout=1200)
        with self.database() as database:
            self.say(f"console: {scale} events go into the table")
            self.postgres.call("psql", "--", "-q", "-d", database.name, "-v", f"events={scale}", "-f", str(ROOT / "bench/console/fill.sql"),
                               timeout=3600)
            self.settle()
            topic = self.topic()
            self.fill_topic(topic, 20_000)
            figures |= self.first_data(database, topic)
            figures |= self.longest_statement()
            figures |= self.tails(database, topic)
        figures |= self.drain_with_overview()
        if self.options.minutes:
            figures |= self.soak()
        return figures

    def console_drain(self):
        return self.drain_with_overview()

    def make_coordinator(self):
        """A first group, alone: librdkafka's admin requests for many groups wait in vain while the broker makes its topic of offsets."""
        import confluent_kafka
        topic = self.topic()
        first = confluent_kafka.Consumer({"bootstrap.servers": self.world.KAFKA, "group.id": "first"})
        self.world.eventually(lambda: self.is_committed(first, confluent_kafka.TopicPartition(topic.name, 0, 0)), "a first group commits")
        first.close()

    @staticmethod
    def is_committed(consumer, position):
        import confluent_kafka
        try:
            return consumer.commit(offsets=[position], asynchronous=False)
        except confluent_kafka.KafkaException:
            return False

    def fill_topic(self, topic, records):
        import confluent_kafka
        producer = confluent_kafka.Producer({"bootstrap.servers": self.world.KAFKA, "linger.ms": 20})

        def is_there():
            seen = producer.list_topics(topic.name, timeout=30).topics[topic.name]
            return seen.error is None and len(seen.partitions) == topic.partitions and all(one.leader >= 0 for one in seen.partitions.values())

        # The broker learns of topics one after another, and may still be making the files of the 10,000 partitions before this one's.
        self.world.eventually(is_there, "the broker has made its partitions", timeout=900)
        for number in range(records):
            producer.produce(topic.name, key=f"key-{number % 1000}", value=json.dumps({"number": number, "padding": "x" * 300}))
            producer.poll(0)
        self.expect(producer.flush(300) == 0 and topic.count() == records, "the topic of the messages is filled")

    def first_data(self, database, topic):
        """Each round is a new process: nothing is cached and nothing connected."""
        found = {}
        self.postgres.call("psql", "--", "-qc", "SELECT pg_stat_statements_reset()")
        for number in range(self.options.rounds):
            with self.running("console", database, topic) as console:
                wanted = pages(Asker(console.console_port), topic.name)
            for name, paths in wanted.items():
                # A tab opens the page and nothing else was asked: the first request pays for every connection.
                with self.running("console", database, topic) as console:
                    asker = Asker(console.console_port)
                    for path in paths:
                        took, status, body = asker.get(path)
                        key = (name, re.sub(r"=[^&]{40,}", "=…", path))
                        found.setdefault(key, []).append((took, status, len(body)))
            self.say(f"console: round {number + 1} of the pages")
        self.expect(all(one[1] == 200 for rounds in found.values() for one in rounds), "each page is answered")
        worst = 0.0
        print(f"\n{'page':14} {'request':64} {'median ms':>10} {'longest':>9} {'bytes':>9}")
        for (name, path), rounds in found.items():
            times = [one[0] for one in rounds]
            bad = {one[1] for one in rounds} - {200}
            is_first = path == next(other for page, other in found if page == name)
            if is_first:
                worst = max(worst, statistics.median(times))
            print(f"{name if is_first else '':14} {path[:64]:64} {statistics.median(times):10.1f} {max(times):9.1f} {rounds[-1][2]:9}"
                  f"{'  answered ' + str(bad) if bad else ''}")
        return {"console_first_data_ms": worst}

    def longest_statement(self):
        """What PostgreSQL says about every statement of these rounds; nothing else asked in them."""
        rows = self.postgres.call("psql", "--", "-qAt", "-F", "\t", "-c", (
            "SELECT round(max_exec_time::numeric, 1), round(mean_exec_time::numeric, 1), calls, regexp_replace(left(query, 110), '\\s+', ' ', 'g')"
            " FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid WHERE datname LIKE 'txs_%' ORDER BY max_exec_time DESC LIMIT 25")).splitlines()
        print(f"\n{'longest ms':>10} {'mean ms':>9} {'calls':>6}  statement")
        for row in rows:
            longest, mean, calls, query = row.split("\t", 3)
            print(f"{longest:>10} {mean:>9} {calls:>6}  {query}")
        return {"console_statement_ms": float(rows[0].split("\t")[0])}

    def tails(self, database, topic):
        with self.running("console", database, topic) as console, contextlib.ExitStack() as stack:
            asker = Asker(console.console_port)
            for paths in pages(asker, topic.name).values():
                asker.get(paths[0])
            before = self.rss(console)
            received = [stack.enter_context(tail(console.console_port, topic.name)) for _ in range(TAILS)]
            with self.producing(topic, TAIL_RECORDS_PER_SECOND):
                most, deadline = before, time.monotonic() + TAIL_SECONDS
                while time.monotonic() < deadline:
                    time.sleep(0.5)
                    most = max(most, self.rss(console))
            self.say(f"console: ten tails received {sum(one[0] for one in received) >> 20} MiB")
            self.expect(all(one[0] > 0 for one in received), "each tail received something")
        return {"console_rss_mb": before, "console_ten_tails_more_mb": most - before}

    @contextlib.contextmanager
    def producing(self, topic, per_second):
        import confluent_kafka
        stop = threading.Event()
        producer = confluent_kafka.Producer({"bootstrap.servers": self.world.KAFKA, "linger.ms": 20})

        def produce():
            number = 0
            while not stop.is_set():
                for _ in range(per_second // 10):
                    number += 1
                    producer.produce(topic.name, key=f"live-{number % 1000}", value=json.dumps({"number": number, "padding": "x" * 300}))
                producer.flush(10)
                stop.wait(0.1)

        thread = threading.Thread(target=produce, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(20)

    @staticmethod
    def rss(process):
        for line in pathlib.Path(f"/proc/{process.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise KeyError("VmRSS")

    def drain_with_overview(self):
        """Drains with and without an open overview take turns; the console is a process beside the relay in both.

        The bar is on the processor time that the console and its sessions take from a drain that has all of it: the ratio of two speeds
        differs by more than that from run to run.
        """
        ratios, shares = [], []
        with self.database() as database:
            database.run("CREATE TABLE lanes_before AS SELECT * FROM txstream.lane_positions")
            self.load(database, self.options.events)
            self.say("console: the broker and the caches warm up")
            self.relay_round(database, self.topic(), self.options.events)
            for number in range(1, self.options.rounds + 1):
                speeds = {}
                for is_open in ((False, True) if number % 2 else (True, False)):
                    topic = self.topic()
                    with self.running("console", database, topic) as console, self.looking(database, console, is_open) as used:
                        speeds[is_open] = self.relay_round(database, topic, self.options.events)["drain_events_per_second"]
                    if is_open:
                        shares.append(used["share"])
                ratios.append(speeds[True] / speeds[False])
                self.say(f"console: drain {number}: {speeds[False]:.0f}/s closed, {speeds[True]:.0f}/s open")
        return {"console_drain_cpu_percent": 100 * max(shares), "console_drain_ratio": statistics.median(ratios)}

    @contextlib.contextmanager
    def looking(self, database, console, is_open):
        """`share`: of all processors, while the overview was open."""
        stop, used = threading.Event(), {"looks": 0, "share": 0.0}

        def look():
            asker = Asker(console.console_port)
            while not stop.is_set():
                for path in OVERVIEW_PATHS:
                    asker.get(path)
                used["looks"] += 1
                stop.wait(OVERVIEW_EVERY)

        def seconds():
            sessions = database.run(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'txstream console' AND datname = %s", database.name)
            return sum(cpu_seconds(pid) for pid in [console.process.pid, *(one for one, in sessions)])

        thread = threading.Thread(target=look, daemon=True)
        began, before = time.monotonic(), seconds()
        if is_open:
            thread.start()
        try:
            yield used
            used["share"] = (seconds() - before) / (time.monotonic() - began) / os.cpu_count()
        finally:
            stop.set()
            if is_open:
                thread.join(20)
        self.expect(not is_open or used["looks"] > 0, "the overview was open")

    def soak(self):
        """A tail in a browser for --minutes: resident set and heap at the start and at the end."""
        with self.database() as database, self.running("serve", database, topic := self.topic()) as serve, self.producing(topic, 500):
            done = subprocess.Popen(
                ["node", str(ROOT / "web/e2e/soak.mjs"), f"http://127.0.0.1:{serve.console_port}", topic.name, str(self.options.minutes * 60)],
                stdout=subprocess.PIPE, text=True)
            samples = []
            with done:
                for line in done.stdout:
                    one = json.loads(line)
                    samples.append({**one, "rss_mb": self.rss(serve)})
                    if len(samples) % 6 == 1:
                        self.say(f"console: soak {one['seconds']:.0f} s: {samples[-1]['rss_mb']:.0f} MB resident, "
                                 f"{one['heap_mb']:.1f} MB heap, {one['nodes']} nodes, {one['rows']} rows")
            self.expect(done.returncode == 0 and len(samples) >= 3, "the browser stayed")
        warm = samples[len(samples) // 5:]
        print(f"\n{'':12}{'start':>10}{'end':>10}")
        for name in ("rss_mb", "heap_mb", "nodes", "rows"):
            print(f"{name:12}{warm[0][name]:10.1f}{warm[-1][name]:10.1f}")
        return {"console_soak_rss_growth_mb": warm[-1]["rss_mb"] - warm[0]["rss_mb"],
                "console_soak_heap_growth_mb": warm[-1]["heap_mb"] - warm[0]["heap_mb"]}
