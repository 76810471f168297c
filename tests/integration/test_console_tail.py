"""The console's live tails, against a real broker."""
import http.client
import json
import threading
import time
import urllib.parse

import confluent_kafka
import confluent_kafka.admin
import pytest

from support.world import eventually

PROGRAM = {"Sec-Fetch-Site": "none"}


class Tail:
    """A client of a live tail: what it was sent, checked as it comes."""

    def __init__(self, console, topic, last_id=None, reads=True, **query):
        self.records, self.gaps, self.problems, self.progress = [], [], [], []
        self.last_id, self.is_ended, self.status = last_id, False, None
        headers = {**PROGRAM, **({"Last-Event-ID": last_id} if last_id else {})}
        self.connection = http.client.HTTPConnection("127.0.0.1", console.console_port, timeout=60)
        self.connection.request(
            "GET", f"/api/console/v1/topics/{topic.name}/messages/stream?{urllib.parse.urlencode(query)}", headers=headers)
        self.reads = threading.Event()
        if reads:
            self.reads.set()
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        if self.status != 200:
            self.body = json.loads(self.answer.read())
            return
        assert self.answer.headers["Content-Type"] == "text/event-stream"
        assert self.answer.headers["X-Accel-Buffering"] == "no"
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        self.reads.wait()
        event = {}
        try:
            while line := self.answer.readline():
                line = line.decode().rstrip("\n")
                if not line:
                    self.take(event)
                    event = {}
                elif not line.startswith(":"):
                    name, value = line.split(": ", 1)
                    event[name] = value
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass  # closed

    def take(self, event):
        if "event" not in event:
            return
        self.last_id = event.get("id", self.last_id)
        data = json.loads(event["data"])
        if event["event"] == "record":
            self.records.append((data["partition"], int(data["offset"])))
        elif event["event"] == "gap":
            self.gaps.append(data)
        elif event["event"] == "progress":
            self.progress.append(data)
        elif event["event"] == "problem":
            self.problems.append(data)
        elif event["event"] == "end":
            self.is_ended = True

    def wait_live(self):
        eventually(lambda: self.progress, "the tail is live")
        return self

    def wait_received(self, count, timeout=60):
        eventually(lambda: self.progress and int(self.progress[-1]["received"]) >= count,
                   f"the tail has received {count}", timeout=timeout)

    def skipped_places(self):
        return {(gap["partition"], offset) for gap in self.gaps for offset in range(int(gap["from"]), int(gap["to"]))}

    def close(self):
        self.reads.set()
        self.answer.close()
        self.connection.close()


def producer(topic, **settings):
    return confluent_kafka.Producer({
        "bootstrap.servers": topic.bootstrap, "linger.ms": 5, "queue.buffering.max.messages": 200_000, **settings})


def write(topic, count, partitions, writer=None, value="v" * 300):
    writer = writer or producer(topic)
    for i in range(count):
        writer.produce(topic.name, value, key=str(i), partition=i % partitions)
        writer.poll(0)
    writer.flush()


def without_doubles(records):
    assert len(records) == len(set(records)), "a record came twice"
    return set(records)


def test_of_a_burst_every_record_is_counted_and_each_is_shown_or_named_by_a_gap(world):
    topic = world.topic(partitions=3)
    console = world.start("console", world.database(), topic)
    client = confluent_kafka.admin.AdminClient({"bootstrap.servers": topic.bootstrap})
    before = {group.id for group in client.list_groups(timeout=30)}
    everything = Tail(console, topic).wait_live()
    few = Tail(console, topic, filter="key~777").wait_live()
    blocked = Tail(console, topic, reads=False)
    began = time.monotonic()
    write(topic, 50_000, 3)
    print(f"50,000 records written in {time.monotonic() - began:.1f} s")
    everything.wait_received(50_000)
    few.wait_received(50_000)
    last = everything.progress[-1]
    print(f"received after {time.monotonic() - began:.1f} s: {last}")
    every = {(i % 3, i // 3) for i in range(50_000)}
    eventually(lambda: without_doubles(everything.records) | everything.skipped_places() == every, "all is shown or named")
    eventually(lambda: everything.progress[-1]["lag"] == "0", "it is at the end")
    shown = without_doubles(everything.records)
    last = everything.progress[-1]
    assert (last["received"], last["matched"]) == ("50000", "50000")
    assert int(last["skipped"]) == 50_000 - len(shown)
    assert not shown & everything.skipped_places()
    # Who looks for few misses nothing, whatever comes with them.
    wanted = {(i % 3, i // 3) for i in range(50_000) if "777" in str(i)}
    eventually(lambda: set(few.records) == wanted, "the filtered tail has its records")
    assert few.progress[-1]["skipped"] == "0" and not few.gaps
    # A client that does not read costs its own records only.
    blocked.reads.set()
    eventually(lambda: without_doubles(blocked.records) | blocked.skipped_places() == every, "all is shown or named")
    assert blocked.gaps
    counted = console.metrics()
    tails = (everything, few, blocked)
    assert counted["txstream_console_tails"] == 3
    assert counted["txstream_console_tail_records_sent_total"] == sum(len(tail.records) for tail in tails)
    assert counted["txstream_console_tail_records_skipped_total"] == sum(len(tail.skipped_places()) for tail in tails)
    assert {group.id for group in client.list_groups(timeout=30)} == before
    assert console.stop() == 0
    for tail in (everything, few, blocked):
        eventually(lambda tail=tail: tail.is_ended, "the tail was ended")


def test_a_tail_goes_on_where_it_was_without_gap_or_double(world):
    topic = world.topic(partitions=2)
    console = world.start("console", world.database(), topic)
    writer = producer(topic)
    transactions = producer(topic, **{"transactional.id": topic.name})
    transactions.init_transactions(30)
    write(topic, 10, 2, writer)  # before it looks: not shown
    tail = Tail(console, topic).wait_live()
    write(topic, 100, 2, writer)
    tail.wait_received(100)
    tail.close()
    first = without_doubles(tail.records)
    transactions.begin_transaction()
    transactions.produce(topic.name, "aborted", partition=0)
    transactions.flush()
    transactions.abort_transaction(30)
    write(topic, 3000, 2, writer)
    resumed = Tail(console, topic, last_id=tail.last_id)
    write(topic, 200, 2, writer)
    resumed.wait_received(3200)
    eventually(lambda: len(resumed.records) == 3200, "everything came")
    second = without_doubles(resumed.records)
    assert not first & second and not resumed.gaps
    # Missing are the aborted record and its marker, which the broker writes some time after the abort.
    every = {(0, offset) for offset in range(5, 1657)} | {(1, offset) for offset in range(5, 1655)}
    missing = every - (first | second)
    assert first | second <= every and len(missing) == 2
    assert (0, 55) in missing and {partition for partition, _ in missing} == {0}
    assert Tail(console, topic, last_event_id="0:x").body["field"] == "last_event_id"
    again = Tail(console, topic, last_event_id="0:1655,1:1655")
    again.wait_received(2)
    eventually(lambda: again.records == [(0, 1655), (0, 1656)], "the last two")


def test_a_broker_that_dies_is_a_problem_and_the_tail_goes_on_when_it_is_back(world):
    broker = world.broker()
    topic = world.topic(partitions=2, bootstrap=broker.bootstrap)
    console = world.start("console", world.database(), topic)
    tail = Tail(console, topic).wait_live()
    write(topic, 100, 2)
    tail.wait_received(100)
    broker.kill()
    killed = time.monotonic()
    eventually(lambda: tail.problems, "the tail has a problem")
    took = time.monotonic() - killed
    print(f"problem after {took:.1f} s: {tail.problems[0]}")
    assert took < 10
    assert tail.problems[0]["status"] == 503
    broker.start()
    write(topic, 100, 2)
    tail.wait_received(200)
    eventually(lambda: len(tail.records) >= 200, "everything came")
    assert without_doubles(tail.records) == {(i % 2, i // 2) for i in range(200)}
    assert not tail.gaps
    assert len(tail.problems) == 1


def test_ten_tails_share_one_reader_and_the_twenty_first_is_refused(world):
    topic = world.topic(partitions=1)
    console = world.start("console", world.database(), topic)
    console.request("GET", f"/api/console/v1/topics/{topic.name}/messages", headers=PROGRAM)

    def resident_mb():
        with open(f"/proc/{console.process.pid}/smaps_rollup", encoding="ascii") as rollup:
            return next(int(line.split()[1]) for line in rollup if line.startswith("Rss:")) / 1024

    def threads():
        with open(f"/proc/{console.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("Threads:"))

    idle = resident_mb()
    first = Tail(console, topic).wait_live()
    with_one = threads()
    tails = [Tail(console, topic).wait_live() for _ in range(9)]
    write(topic, 5_000, 1)
    for tail in (first, *tails):
        tail.wait_received(5_000)
    print(f"ten tails: {resident_mb() - idle:.1f} MB more, {(resident_mb() - idle) / 10:.1f} MB each")
    with_ten = threads()
    # A client of librdkafka has two threads at least. What reads a topic's ends may come and go meanwhile.
    assert with_ten < with_one + 9, "each tail has a reader of its own"
    tails += [Tail(console, topic) for _ in range(10)]
    refused = Tail(console, topic)
    assert refused.status == 429
    assert "20" in refused.body["detail"]
    for tail in (first, *tails):
        tail.close()
    eventually(lambda: threads() < with_ten - 1, "the reader is closed", timeout=40)
    assert Tail(console, topic).status == 200


@pytest.mark.parametrize("query", ["filter=foo", "p=x", "last_event_id=x"])
def test_a_tail_that_cannot_be_is_refused_with_the_parameter(tail_console, query):
    console, topic = tail_console
    status, _, text = console.request("GET", f"/api/console/v1/topics/{topic.name}/messages/stream?{query}", headers=PROGRAM)
    assert status == 400 and json.loads(text)["field"] == query.split("=", maxsplit=1)[0]
    status, _, text = console.request("GET", "/api/console/v1/topics/nothing-here/messages/stream", headers=PROGRAM)
    assert status == 404


@pytest.fixture(scope="module")
def tail_console():
    from conftest import a_world
    with a_world() as made:
        topic = made.topic(partitions=1)
        yield made.start("console", made.database(), topic), topic
