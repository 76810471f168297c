"""The console in a real browser: every page in good and bad days, by keyboard, by screen reader, by mouse."""
import json
import os
import shutil
import statistics
import subprocess
import urllib.parse

import pytest
from conftest import a_world
from support.console import ConsoleWorld, ask, listens
from support.world import ROOT, Broker, eventually, free_ports

SCRIPTS = ROOT / "web/e2e"
SHOTS = ROOT / "var/console-shots"
NAME = "console.test"
# Pages that need PostgreSQL, Kafka, or both to have anything to show.
STATIC = [("overview", "/"), ("outbox", "/outbox"), ("dead-letters", "/dead-letters"), ("orders", "/orders"), ("topics", "/topics"),
          ("messages", "/messages"), ("brokers", "/brokers"), ("groups", "/groups"), ("relays", "/relays"), ("jobs", "/jobs"), ("audit", "/audit")]
# On a machine where an empty page takes as long as this; a busy one takes longer for both.
FIRST_PAINT_MS, BLANK_PAINT_MS = 300, 60
LIMIT = 400


@pytest.fixture(scope="session", autouse=True)
def packages():
    """As for the page's other tests: where there is no Node and so no page, there is nothing to open (77), unless it is required."""
    # Not while tests are collected: there an exit is an error.
    if not (ROOT / "web/node_modules/puppeteer-core").exists() and os.environ.get("TXSTREAM_WEB") != "required":
        pytest.exit("no packages in web/node_modules: tools/web.sh build", returncode=77)


def node(script, plan, tmp_path, answer=None):
    """What the script prints at its end. `answer`: what a line that it prints before asks for."""
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan))
    with subprocess.Popen(["timeout", str(LIMIT), "node", str(SCRIPTS / script), str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        last = ""
        for line in process.stdout:
            last = line
            if not line.startswith("{") and answer:
                answer(line.strip())
                process.stdin.write("done\n")
                process.stdin.flush()
        process.wait(LIMIT)
        assert process.returncode == 0, process.stderr.read()[-3000:]
    return json.loads(last)


def page(name, path, says=None):
    return {"name": name, "path": path, "says": says}


def full_pages(made):
    quote = lambda text: urllib.parse.quote(str(text), safe="")
    order = made.orders[0]["id"]
    partition, offset = made.record_of(order)
    event = made.database.one("SELECT event_id::text FROM txstream.outbox WHERE aggregate_id = %s", order)
    odd = f"/topics/{quote(made.odd.name)}/messages"
    return [
        page("overview", "/", [made.missing]), page("outbox", "/outbox", ["OrderCreated"]),
        page("outbox-parked", "/outbox?q=state:parked", ["InvoicePrinted"]),
        page("event", f"/outbox/{made.refs[event]}", ["OrderCreated"]), page("event-parked", f"/outbox/{made.refs[made.parked]}", ["InvoicePrinted"]),
        page("event-held", f"/outbox/{made.refs[made.held]}", ["InvoiceSent"]), page("event-waiting", f"/outbox/{made.refs[made.waiting]}", ["PaymentReceived"]),
        page("dead-letters", "/dead-letters", ["InvoicePrinted"]), page("orders", "/orders", ["ORD-001"]), page("order", f"/orders/{order}", ["ORD-000"]),
        page("topics", "/topics", [made.odd.name]), page("topic", f"/topics/{quote(made.topic.name)}", [made.topic.name]),
        page("topic-narrow", f"/topics/{quote(made.narrow.name)}", [made.narrow.name]), page("topic-missing", "/topics/no-such-topic"),
        page("messages", f"/topics/{quote(made.topic.name)}/messages", ["OrderCreated", order[:8]]), page("messages-odd", f"{odd}?from=oldest&limit=100", ["tombstone"]),
        page("messages-transactional", f"/topics/{quote(made.transactional.name)}/messages?from=oldest", ["t0", "t2"]),
        page("messages-filter", f"{odd}?from=oldest&filter={quote('json.a=9223372036854775807')}", ["numbers"]),
        page("messages-no-match", f"{odd}?from=oldest&filter={quote('key:nothing-has-this')}"), page("messages-bad-filter", f"{odd}?filter={quote('nonsense:1')}"),
        page("messages-any", "/messages"), page("message", f"/topics/{quote(made.topic.name)}/messages/{partition}/{offset}", ["OrderCreated"]),
        page("message-numbers", f"{odd}/0/9", ["9223372036854775807"]), page("message-binary", f"{odd}/0/3"), page("message-big", f"{odd}/0/4"),
        page("message-gone", f"{odd}/0/999999"), page("tail", f"/topics/{quote(made.odd.name)}/tail"),
        page("brokers", "/brokers", ["127.0.0.1", "localhost"]), page("groups", "/groups", [made.groups[0]]), page("group", f"/groups/{quote(made.groups[0])}", [made.groups[0]]),
        page("group-living", f"/groups/{quote(made.groups[1])}", ["shipping-eu-1"]), page("relays", "/relays"),
        page("audit", "/audit", ["Replay"]), page("jobs", "/jobs", ["key: none"]), page("job", f"/jobs/{made.job}", ["as before"]), page("job-watched", f"/dead-letters?watch={made.job}", ["key: none"]),
        page("job-missing", "/jobs/4711"), page("nothing", "/no-such-page"),
    ]


@pytest.fixture(scope="module")
def console():
    """One broker for all days: new and empty, then full, then dead."""
    shutil.rmtree(SHOTS, ignore_errors=True)
    with a_world() as world:
        broker = Broker(world.directory / "kafka", settings={"auto.create.topics.enable": "false"})
        world.things.append(broker.destroy)
        made = ConsoleWorld(world, bootstrap=broker.bootstrap, prefix="", CONSOLE_ALLOWED_HOSTS=NAME, CONSOLE_ENV_LABEL="staging")
        made.world, made.broker = world, broker
        yield made


def base(process, name="127.0.0.1"):
    return f"http://{name}:{process.console_port}"


def tour(tmp_path, *plans):
    found = node("tour.mjs", [{"token": None, "shots": str(SHOTS), "full": False, **plan} for plan in plans], tmp_path)
    print(f"{len(found['visited'])} pages, {found['looks']} looks; axe: {found['axe'] or 'nothing'}; pictures in {SHOTS.relative_to(ROOT)}")
    return found


def judge(found):
    assert not found["faults"], f"{len(found['faults'])} faults:\n" + "\n".join(found["faults"])


def test_the_page_is_served_for_every_address_of_it_and_never_stored(console):
    for path in ("/", "/outbox", "/topics/a%2Fb/messages", "/orders/number/1", "/dead-letters?state=parked"):
        status, headers, text = ask(console.serve, "GET", path)
        assert status == 200 and headers["Content-Type"].startswith("text/html"), (path, status)
        assert headers["Cache-Control"] == "no-store"
        assert b"<script" in text and b"style=" not in text and b"onload=" not in text, text
        assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_a_new_system_is_explained_on_every_page(console, tmp_path):
    judge(tour(tmp_path, {"base": base(console.serve), "world": "empty", "pages": [page(*one) for one in STATIC]}))


def test_every_page_of_a_full_system_in_both_themes_and_widths(console, tmp_path):
    console.fill()
    found = tour(tmp_path, {"base": base(console.serve), "world": "full", "pages": full_pages(console), "full": True, "first_paints": 5})
    paints = found["first_paint_ms"]
    blank = min(found["blank_paint_ms"])
    print(f"first paint: median {statistics.median(paints):.0f} ms of {[round(one) for one in paints]}, of an empty page {blank:.0f} ms")
    # The fastest: what else this machine does is no property of the page.
    if min(paints) > FIRST_PAINT_MS * max(1.0, blank / BLANK_PAINT_MS):
        found["faults"].append(f"first paint after {paints} ms, of an empty page after {blank} ms")
    judge(found)


OPERATOR = "operator-token-0123456789"
# Nothing is written for it.
PAUSED = "paused.by.an.operator"


def operators(console):
    """A console with a token, and an event that was parked for a cause that is gone: its relay can send it."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    tokens = console.world.directory / "tokens-of-operators"
    tokens.write_text(f"ana operator {OPERATOR}\n")
    tokens.chmod(0o600)
    process = console.world.start("console", console.database, console.topic, ready=False, CONSOLE_TOKENS_FILE=str(tokens))
    eventually(lambda: listens(process), "the operators' console listens")
    event = console.database.publish("repaired", "RepairedEvent")
    console.database.run(
        "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type, aggregate_id, event_type, key, payload, content_type,"
        " created_at, attempts, error_class, error) SELECT id, xid, event_id, lane, aggregate_type, aggregate_id, event_type, aggregate_id,"
        " payload, content_type, created_at, 1, 'INVALID_RECORD', 'Broker: Broker failed to validate record' FROM txstream.outbox"
        " WHERE event_id = %s", event)
    console.database.run("INSERT INTO txstream.pauses (scope, name, reason, paused_by) VALUES ('topic', %s, 'its consumer moves', 'ana@host')", PAUSED)
    return {"base": base(process), "token": OPERATOR, "key": "repaired", "paused": PAUSED, "shots": str(SHOTS)}


def test_ways_by_keyboard_mouse_and_ear(console, tmp_path):
    order = console.orders[0]
    partition, offset = console.record_of(order["id"])

    def produce(_):
        producer = console._producer()
        for number in range(50):
            producer.produce(console.odd.name, key=f"live {number}", value="{}")
        assert producer.flush(30) == 0

    plan = {"base": base(console.serve), "named_base": base(console.serve, NAME), "token": None, "topic": console.odd.name,
            "order": {"id": order["id"], "number": order["order_number"]}, "record": f"{partition}:{offset}", "parked_type": "InvoicePrinted",
            "operator": operators(console)}
    found = node("flows.mjs", plan, tmp_path, produce)
    for way, presses in found["presses"].items():
        print(f"{way}: {presses} key presses")
    for way, clicks in found["clicks"].items():
        print(f"{way}: {clicks} clicks")
    print(f"the tail announced: {found['announced']}")
    judge(found)
    assert console.database.one("SELECT state FROM txstream.dead_letters WHERE key = 'repaired'") == "replayed"
    assert console.database.run("SELECT actor, action, target->>'topic', reason FROM txstream.audit WHERE action = 'relays resume'") == [
        ("ana", "relays resume", PAUSED, "its consumer has moved")]
    assert console.database.one("SELECT count(*) FROM txstream.pauses") == 0


def test_without_postgresql_and_without_kafka_each_page_says_so(console, tmp_path):
    closed, = free_ports(1)
    alone = console.world.start("console", console.database, console.topic, ready=False, DATABASE_PORT=str(closed))
    eventually(lambda: listens(alone), "the console runs without PostgreSQL")
    console.end()
    console.members.clear()
    found = tour(tmp_path, {"base": base(alone), "world": "no-postgresql", "pages": [page(*one) for one in STATIC]})
    console.broker.kill()
    eventually(lambda: ask(console.serve, "GET", "/api/console/v1/brokers")[0] >= 500, "Kafka is away")
    other = tour(tmp_path, {"base": base(console.serve), "world": "no-kafka", "pages": [page(*one) for one in STATIC]})
    judge({"faults": found["faults"] + other["faults"]})
