"""The console's searches, downloads and exports, against a real broker."""
import base64
import csv
import io
import json
import os
import random
import urllib.parse
import urllib.request

import confluent_kafka
import confluent_kafka.admin
import pytest

from support.world import eventually

PROGRAM = {"Sec-Fetch-Site": "none"}
ORDER_ID = 9223372036854775807


def producer(topic, **settings):
    return confluent_kafka.Producer({"bootstrap.servers": topic.bootstrap, "linger.ms": 5, **settings})


def get(console, topic, path="", **query):
    target = f"/api/console/v1/topics/{topic.name}/messages{path}?{urllib.parse.urlencode(query)}"
    status, headers, text = console.request("GET", target, headers=PROGRAM)
    return status, headers, text


def page(console, topic, **query):
    status, _, text = get(console, topic, **query)
    assert status == 200, text
    return json.loads(text)


def all_pages(console, topic, **query):
    items, pages, cursor = [], [], {}
    while True:
        one = page(console, topic, **query, **cursor)
        items += one["items"]
        pages.append(one)
        assert len(pages) < 1000
        if one["next_cursor"] is None:
            assert one["scan"]["stopped"] == "end"
            assert one["scan"]["scanned"] == one["scan"]["total"]
            assert one["scan"]["matched"] == str(len(items))
            return items, pages
        cursor = {"cursor": one["next_cursor"]}


def places(items):
    return [(item["partition"], int(item["offset"])) for item in items]


def offset_of(item):
    return int(item["offset"])


def test_a_search_finds_the_one_record_with_an_exact_number_and_says_what_it_read(world):
    topic = world.topic(partitions=3)
    writer = producer(topic)
    for i in range(3000):
        writer.produce(topic.name, json.dumps({"id": ORDER_ID - 1 - i, "price": f"{i}.10"}), partition=i % 3)
    writer.produce(topic.name, json.dumps({"id": ORDER_ID}), key="wanted", partition=1)
    writer.flush()
    console = world.start("console", world.database(), topic)
    found = page(console, topic, filter=f"json.id={ORDER_ID}")
    assert [item["key"]["data"] for item in found["items"]] == ["wanted"]
    scan = found["scan"]
    assert (scan["scanned"], scan["total"], scan["matched"], scan["stopped"]) == ("3001", "3001", "1", "end")
    assert [(one["from"], one["to"], one["gaps"]) for one in scan["partitions"]] == [
        ("0", "1000", "0"), ("0", "1001", "0"), ("0", "1000", "0")]
    counted = console.metrics()
    assert (counted["txstream_console_searches_total"], counted["txstream_console_searched_offsets_total"]) == (1, 3001)
    assert page(console, topic, filter="json.price>2998.0999")["scan"]["matched"] == "2"
    newest = page(console, topic, limit=1)
    assert newest["scan"]["stopped"] == "limit" and int(newest["scan"]["scanned"]) < 100
    status, _, text = get(console, topic, filter="key:a json.")
    assert status == 400
    assert (json.loads(text)["field"], json.loads(text)["column"]) == ("filter", 11)
    assert get(console, topic, cursor=newest["next_cursor"], filter="null")[0] == 400
    refused = json.loads(get(console, topic, filter="json.price>>1")[2])
    assert (refused["field"], refused["column"]) == ("filter", 11) and "quote" in refused["detail"]


def test_all_pages_together_are_the_topic_in_every_mode_also_with_transactions(world, seed):
    chance = random.Random(seed)
    topic = world.topic(partitions=3)
    plain = producer(topic)
    transactions = producer(topic, **{"transactional.id": topic.name})
    transactions.init_transactions(30)
    for _ in range(12):
        is_kept = chance.random() < 0.6
        transactions.begin_transaction()
        for _ in range(chance.randrange(1, 30)):
            transactions.produce(topic.name, "kept" if is_kept else "aborted", partition=chance.randrange(2))
        transactions.flush()
        transactions.commit_transaction(30) if is_kept else transactions.abort_transaction(30)
        for _ in range(chance.randrange(20)):
            plain.produce(topic.name, None, key="k", partition=0)
        plain.flush()
    # What is written and not committed is not there yet.
    transactions.begin_transaction()
    transactions.produce(topic.name, "open", partition=1)
    transactions.flush()

    reader = confluent_kafka.Consumer({
        "bootstrap.servers": topic.bootstrap, "group.id": topic.name, "enable.auto.commit": False,
        "isolation.level": "read_committed", "enable.partition.eof": True})
    reader.assign([confluent_kafka.TopicPartition(topic.name, partition, 0) for partition in range(3)])
    expected, ends = {}, 0
    while ends < 3:
        message = reader.poll(10)
        if message.error():
            ends += 1
        else:
            expected[(message.partition(), message.offset())] = message
    reader.close()

    console = world.start("console", world.database(), topic)
    for query in ({"from": "newest"}, {"from": "oldest"}, {"from": "-1h"}, {"from": "offset:0"},
                  {"from": "newest", "filter": "null"}, {"from": "oldest", "filter": "value:kept"}):
        items, pages = all_pages(console, topic, limit=chance.randrange(7, 60), **query)
        wanted = [place for place, message in expected.items()
                  if query.get("filter") != "null" or message.value() is None]
        wanted = [place for place in wanted
                  if query.get("filter") != "value:kept" or expected[place].value() == b"kept"]
        assert sorted(places(items)) == sorted(wanted), query
        assert all(offset_of(item) in range(0, 10_000) for item in items)
        gaps = sum(int(one["gaps"]) for read in pages for one in read["scan"]["partitions"])
        read = sum(int(one["to"]) - int(one["from"]) for read in pages for one in read["scan"]["partitions"])
        assert read - gaps == len(expected), "markers and aborted records are the only gaps"
    assert page(console, topic, p="1,2")["scan"]["partitions"][0]["partition"] == 1
    transactions.abort_transaction(30)


def test_a_record_is_downloaded_byte_for_byte_and_never_rendered(world):
    topic = world.topic(partitions=1)
    binary = bytes(range(256)) * 20
    page_like = b"<html><script>alert(1)</script>"
    large = ("é" * 400_000).encode()
    writer = producer(topic)
    writer.produce(topic.name, binary, key=b"\x00\xff", headers=[("a", b"1"), ("b", None), ("a", b"")])
    writer.produce(topic.name, page_like, key="k")
    writer.produce(topic.name, None, key="tombstone")
    writer.produce(topic.name, large)
    writer.flush()
    console = world.start("console", world.database(), topic)

    items = page(console, topic, **{"from": "oldest"})["items"]
    assert base64.b64decode(items[0]["value"]["data"]) == binary
    assert items[0]["headers"] == [
        {"name": "a", "value": {"encoding": "utf8", "data": "1", "size": "1", "truncated": False}},
        {"name": "b", "value": None},
        {"name": "a", "value": {"encoding": "utf8", "data": "", "size": "0", "truncated": False}}]
    assert items[2]["value"] is None
    shown = items[3]["value"]
    assert shown["truncated"] and shown["size"] == "800000"
    assert large.decode().startswith(shown["data"]) and 65_000 < len(shown["data"].encode()) <= 65_536
    assert json.loads(get(console, topic, "/0/3")[2])["value"]["data"].encode() == large

    for offset, part, wanted in ((0, "value", binary), (0, "key", b"\x00\xff"), (1, "value", page_like), (3, "value", large)):
        url = console.url(f"/api/console/v1/topics/{topic.name}/messages/0/{offset}/{part}")
        with urllib.request.urlopen(urllib.request.Request(url, headers=PROGRAM), timeout=30) as answer:
            assert answer.read() == wanted
            assert answer.headers["Content-Type"] == "application/octet-stream"
            assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert json.loads(get(console, topic, "/0/2/value")[2])["reason"] == "null"


def test_an_export_has_every_byte_and_no_formula(world):
    topic = world.topic(partitions=2)
    writer = producer(topic)
    values = [b"plain", b"=1+1", b"\xff\x00", b'a,"b"\n', b"", None] + [str(i).encode() * 50 for i in range(1500)]
    for i, value in enumerate(values):
        writer.produce(topic.name, value, key=str(i), partition=i % 2)
    writer.flush()
    console = world.start("console", world.database(), topic)
    status, headers, text = get(console, topic, "/export", **{"from": "oldest"})
    assert status == 200 and headers["Content-Type"] == "application/octet-stream"
    lines = [json.loads(line) for line in text.splitlines()]

    def bytes_of(part):
        if part is None:
            return None
        return base64.b64decode(part["data"]) if part["encoding"] == "base64" else part["data"].encode()
    assert {int(bytes_of(line["key"])): bytes_of(line["value"]) for line in lines} == dict(enumerate(values))
    assert len(lines) == len(values)
    rows = list(csv.DictReader(io.StringIO(get(console, topic, "/export", format="csv", filter="key:1|2|5")[2], newline="")))
    assert {(row["key"], row["value"], row["value_encoding"]) for row in rows} == {
        ("1", "'=1+1", "utf8"), ("2", base64.b64encode(b"\xff\x00").decode(), "base64"), ("5", "", "null")}
    assert len(get(console, topic, "/export", limit=7)[2].splitlines()) == 7
    # A failure that is known before the first byte is a problem, and not a file that ends too early.
    topic.name = "no-such-topic"
    status, headers, text = get(console, topic, "/export")
    assert (status, headers["Content-Type"]) == (404, "application/problem+json") and "no-such-topic" in text


def test_a_viewer_sees_no_masked_bytes_anywhere_and_cannot_ask_for_them(world):
    topic = world.topic(partitions=1)
    writer = producer(topic)
    writer.produce(topic.name, '{"id": 1.50, "shipping_address": {"zip": "SECRET-1"}, "event_data":{"shipping_address":{"a":"SECRET-2"}}}')
    writer.produce(topic.name, "zip=SECRET-3")
    writer.flush()
    console = world.start("console", world.database(), topic, CONSOLE_MASK="$.shipping_address.*")
    texts = [get(console, topic, path)[2] for path in ("", "/0/0", "/0/1", "/0/0/value", "/0/1/value", "/export")]
    texts.append(get(console, topic, "/export", format="csv")[2])
    assert not any("SECRET" in text for text in texts)
    assert '{"id": 1.50, "shipping_address": {"zip": "•••"}' in texts[3]
    hidden = json.loads(texts[0])["items"]
    assert sorted((item["offset"], item["value"]["is_masked"]) for item in hidden) == [("0", True), ("1", True)]
    assert page(console, topic, filter="value~SECRET")["items"] == []
    assert len(page(console, topic, filter="json.id=1.5")["items"]) == 1
    for refused in ('json.shipping_address.zip="SECRET-1"', "json.*~SECRET", "-json.event_data.shipping_address.a=x"):
        assert get(console, topic, filter=refused)[0] == 403
        assert get(console, topic, "/export", filter=refused)[0] == 403


def test_why_there_is_no_record_and_that_looking_leaves_no_trace(world, tmp_path):
    broker = world.broker()
    topic = world.topic(partitions=1, bootstrap=broker.bootstrap)
    writer = producer(topic, **{"transactional.id": topic.name})
    writer.init_transactions(60)
    for _ in range(2):
        writer.begin_transaction()
        for _ in range(5):
            writer.produce(topic.name, "v", partition=0)
        writer.commit_transaction(30)
    console = world.start("console", world.database(), topic)
    first = page(console, topic, limit=2, **{"from": "oldest"})
    (tmp_path / "records.json").write_text(json.dumps(
        {"version": 1, "partitions": [{"topic": topic.name, "partition": 0, "offset": 4}]}))
    broker._run("tool", "--", "org.apache.kafka.tools.DeleteRecordsCommand", "--bootstrap-server", broker.bootstrap,
                "--offset-json-file", str(tmp_path / "records.json"))

    def reason(offset):
        status, _, text = get(console, topic, f"/0/{offset}")
        assert status == 404
        answer = json.loads(text)
        return answer["reason"], answer["low"], answer["end"], answer.get("next")
    assert reason(3) == ("expired", "4", "12", None)
    assert reason(5) == ("not_a_record", "4", "12", "6")
    assert reason(11) == ("not_a_record", "4", "12", None)
    assert reason(12) == ("not_yet", "4", "12", None)
    assert get(console, topic, "/0/4")[0] == 200
    # A search from before goes on, and says what it can no longer show.
    rest = page(console, topic, limit=2, cursor=first["next_cursor"], **{"from": "oldest"})
    assert places(rest["items"]) == [(0, 4), (0, 6)]
    assert "offsets 2 to 3 have expired" in rest["scan"]["partitions"][0]["error"]
    missing = world.topic(partitions=1, bootstrap=broker.bootstrap, create=False)
    assert get(console, missing)[0] == 404
    client = confluent_kafka.admin.AdminClient({"bootstrap.servers": broker.bootstrap})
    assert client.list_groups(timeout=30) == []
    assert set(client.list_topics(timeout=30).topics) == {topic.name, "__transaction_state"}

    def connections():
        port = f":{int(broker.bootstrap.rsplit(':', 1)[1]):04X}"
        own = set(socket_links(console.process.pid))
        with open(f"/proc/{console.process.pid}/net/tcp", encoding="ascii") as table:
            return sum(1 for row in table if row.split()[2].endswith(port) and row.split()[9] in own)
    assert connections() > 0
    eventually(lambda: connections() == 0, "the console has closed its connections to Kafka", timeout=40)


def socket_links(pid):
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            link = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue
        if link.startswith("socket:["):
            yield link[8:-1]


@pytest.mark.parametrize("path", ["/0/x", "/x/0", "/0/-1", "/0/0/header", "?limit=0", "?limit=501", "?p=a", "?from=latest", "?cursor=x"])
def test_a_bad_parameter_is_named(world_console, path):
    console, topic = world_console
    status, _, text = console.request("GET", f"/api/console/v1/topics/{topic.name}/messages{path}", headers=PROGRAM)
    assert status == 400
    assert json.loads(text)["field"]


@pytest.fixture(scope="module")
def world_console():
    from conftest import a_world
    with a_world() as made:
        topic = made.topic(partitions=1)
        yield made.start("console", made.database(), topic), topic
