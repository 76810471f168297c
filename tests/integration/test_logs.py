"""The contract of docs/logging.md, seen from outside: keys, secrets, how much is written when something is away."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

from support.world import BINARY, ROOT, clean_environment, eventually, free_ports

SECONDS = float(os.environ.get("TXSTREAM_LOG_FLOOD_SECONDS", "6"))
FIRST = ["time", "level", "msg", "component"]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
DOCUMENT = (ROOT / "docs/logging.md").read_text()


def documented(key):
    """What the table of keys says of it; of None: all keys."""
    table = DOCUMENT.partition("## Keys")[2].partition("## Levels")[0]
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", table, re.M)
    texts = {name: text for names, text in rows for name in re.findall(r"`(\w+)`", names)}
    return texts[key] if key else set(texts)


def check(lines):
    keys, components = documented(None), set(re.findall(r"`(\w+)`", documented("component")))
    for line in lines:
        entry = json.loads(line)
        assert list(entry)[:4] == FIRST, line
        assert TIME.fullmatch(entry["time"]), line
        assert entry["level"] in ("debug", "info", "warn", "error", "fatal"), line
        assert entry["component"] in components, line
        assert set(entry) <= keys, (set(entry) - keys, line)


def order(number):
    body = json.loads((ROOT / "tests/data/earlier-examples/create-simple.json").read_text())
    body["order_number"] = number
    body["shipping_address"]["street"] = "Rua Marcada"
    body["items"][0]["product_name"] = "Marked Product"
    return json.dumps(body)


def keys_in_sources():
    """The keys in the arguments of each log call of the product."""
    call = re.compile(r"\blog::(?:debug|info|warn|error|fatal|write)\(|\bwrite_now\(|\blog_event\(|log::Field> fields\{")
    keys = set()
    for path in (ROOT / "src").rglob("*.cpp"):
        if path.name.endswith("test.cpp"):
            continue
        text = path.read_text()
        keys |= set(re.findall(r'fields\.emplace_back\("(\w+)"', text))
        for found in call.finditer(text):
            depth, end = 0, found.end() - 1
            while True:
                depth += (text[end] in "({") - (text[end] in ")}")
                end += 1
                if depth == 0:
                    break
            keys |= set(re.findall(r'(?:\{|Field\()"(\w+)",', text[found.end():end]))
    return keys


def test_the_keys_of_all_log_calls_are_those_of_the_document():
    used = keys_in_sources() | {"repeats", "repeats_ms"} | set(FIRST)
    assert used == documented(None), used ^ documented(None)


def test_a_run_with_traffic_and_failures_keeps_the_contract_and_every_secret(world):
    database, topic = world.database(), world.topic(config={"max.message.bytes": "20000"})
    verbose = world.start("serve", database, topic, LOGGING_LEVEL="debug")  # it gets all lanes
    server = world.start("serve", database, topic)
    locked_out = world.start(
        "relay", database, topic, ready=False, KAFKA_SECURITY_PROTOCOL="sasl_plaintext", KAFKA_SASL_MECHANISM="PLAIN",
        KAFKA_SASL_USERNAME="somebody", KAFKA_SASL_PASSWORD="s3cret-sasl")
    for number in range(20):
        assert server.request("POST", "/api/v1/orders", order(f"A-{number}"))[0] == 201
        assert verbose.request("POST", "/api/v1/orders", order(f"B-{number}"))[0] == 201
        assert server.request("POST", "/api/v1/orders", '{"Marked Product": ')[0] == 400
        for probe in ("/health", "/ready", "/readyz", "/livez", "/metrics"):
            for process in (server, verbose):
                process.request("GET", probe)
    large = database.publish("large", payload=json.dumps("Marked Product" * 5000))
    database.run("SELECT txstream.publish('Test', 'k', 'Tested', '{}', headers => '{\"txstream-x\\n\": 1}'::json)")
    eventually(lambda: server.logs("parked an event") or verbose.logs("parked an event"), "a failure is logged")
    eventually(lambda: locked_out.logs("events are not delivered"), "and a refused login")
    eventually(lambda: verbose.metric("txstream_events_in_queue", status="pending") == 0, "all is delivered")
    processes = (server, verbose, locked_out)
    for process in processes:
        assert process.stop() == 0
        text = process.log_text()
        check(text.splitlines())
        for secret in (database.server["password"], "s3cret-sasl", "Rua Marcada", "Marked Product"):
            assert secret not in text
    assert not server.logs("request") and not server.logs("published")
    assert {one["route"] for one in verbose.logs("request")} == {"/api/v1/orders"}
    published = verbose.logs("published")
    batches = server.logs("published events") + verbose.logs("published events")
    assert sum(one["events"] for one in batches) == 41, "each batch is in a line"
    assert len(published) == 41 and {"event_id", "topic", "partition", "offset", "lane"} <= set(published[0])
    parked, = server.logs("parked an event") + verbose.logs("parked an event")
    assert parked["event_id"] == str(large) and parked["error_type"] == "MSG_SIZE_TOO_LARGE" and parked["level"] == "error"


def test_without_kafka_the_log_stays_short(world):
    database, broker = world.database(), world.broker()
    topic = world.topic(bootstrap=broker.bootstrap)
    server = world.start("serve", database, topic)
    assert server.request("POST", "/api/v1/orders", order("before"))[0] == 201
    topic.read(lambda records: len(records) == 1)
    before = len(server.log_text().splitlines())
    broker.stop()
    began, number = time.monotonic(), 0
    while time.monotonic() - began < SECONDS:
        number += 1
        assert server.request("POST", "/api/v1/orders", order(f"away-{number}"))[0] == 201
    lines = server.log_text().splitlines()[before:]
    print(f"{len(lines)} lines in {SECONDS:.0f} s without Kafka, {number} orders")
    assert len(lines) <= 14 + SECONDS / 10, "\n".join(lines)
    assert server.logs("events are not delivered")
    check(lines)
    assert server.stop() == 0


def test_under_systemd_each_line_has_its_priority_and_as_text_each_is_one_line(world, tmp_path):
    nowhere = str(free_ports(1)[0])
    path = pathlib.Path(tmp_path) / "journal"
    for form, expected in (("json", r'<[2346]>\{"time":.*\}'),
                           ("text", r"<[2346]>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO |WARN |ERROR|FATAL) \w+: [^\n]+")):
        with open(path, "wb") as journal:
            stream = os.fstat(journal.fileno())
            process = subprocess.Popen(
                [BINARY, "api"], cwd="/", stdout=journal, stderr=journal, stdin=subprocess.DEVNULL,
                env={**clean_environment(), "DATABASE_PORT": nowhere, "SERVER_PORT": "0", "LOGGING_FORMAT": form,
                     "JOURNAL_STREAM": f"{stream.st_dev}:{stream.st_ino}"})
        eventually(lambda: "waiting for the database" in path.read_text(), "it waits")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        lines = path.read_text().splitlines()
        for line in lines:
            assert re.fullmatch(expected, line), line
        words = {"3": "error", "4": "warn", "6": "info"}
        assert {"4", "6"} <= {line[1] for line in lines}
        assert all(words[line[1]] in line.lower() for line in lines)
