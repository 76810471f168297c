"""The README does what it says: its marked commands are run as they stand, only with other ports. What the documents name
(tests, metrics, files) exists.

A block is marked by a line `<!-- test: NAME -->` in front of it. Each mark has its expectation here, and each expectation
its mark; what is not marked may only be intents of the Makefile.
"""
import json
import os
import re
import subprocess

import psycopg2
import psycopg2.extensions
import pytest
from support.world import ROOT, eventually, run

README = (ROOT / "README.md").read_text()
PASSWORD = "pass-word-1"
EXAMPLES = ROOT / "tests/data/earlier-examples"

BLOCK = re.compile(r"^(?:<!-- test: (?P<name>\S+) -->\n)?```sh\n(?P<text>.*?)^```$", re.M | re.S)
BLOCKS = [(found["name"], found["text"]) for found in BLOCK.finditer(README)]
MARKED = {name: text for name, text in BLOCKS if name}
ADDRESS = re.compile(r"127\.0\.0\.1:(\d+)")


class Stack:
    """What `make start-all` gives a reader: the same names and roles, on ports of its own."""

    def __init__(self, world):
        postgres, broker = world.postgres(), world.broker()
        superuser = psycopg2.connect(**postgres.dsn)
        superuser.autocommit = True
        cursor = superuser.cursor()
        cursor.execute(f"CREATE ROLE txstream_user LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
        cursor.execute("CREATE DATABASE txstream_db OWNER txstream_user")
        superuser.close()
        self.settings = {
            "DATABASE_HOST": "127.0.0.1", "DATABASE_PORT": postgres.dsn["port"], "DATABASE_USER": "txstream_user",
            "DATABASE_PASSWORD": PASSWORD, "DATABASE_NAME": "txstream_db", "DATABASE_SSL_MODE": "disable",
            "KAFKA_BROKERS": broker.bootstrap}
        migrated = run(["migrate", "up"], self.environment())
        assert migrated.returncode == 0, migrated.stderr
        self.txstream = world.start("serve", self, self)
        self.ports = {"8080": str(self.txstream.port), "9092": broker.bootstrap.split(":")[1],
                      "15432": postgres.dsn["port"]}
        self.directory = world.directory / "checkout"
        (self.directory / "var/stack").mkdir(parents=True)
        (self.directory / "var/stack/txstream_user.password").write_text(PASSWORD + "\n")

    def environment(self):
        return self.settings

    def shell(self, name):
        """What the block prints. Every address in it is one of the stack's, so that nothing else is ever touched."""
        text = ADDRESS.sub(lambda found: "127.0.0.1:" + self.ports[found[1]], MARKED[name])
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], cwd=self.directory, env={**environment, "no_proxy": "*"},
            capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout


def posted(stack):
    order = json.loads(stack.shell("post-order"))
    assert order["order_number"] == "ORD-001" and order["shipping_address"]["city"] == "São Paulo"
    assert json.loads(stack.shell("post-order")) == {"error": "order with number ORD-001 already exists"}
    # Before the first record is acknowledged the topic may not be there, and kcat ends with that.
    eventually(lambda: stack.txstream.metric("txstream_events_published_total") == 1, "Kafka has the event")


def read_back(stack):
    key, headers, value = stack.shell("read-topic").strip().splitlines()
    event = json.loads(value)
    assert key == "key " + event["aggregate_id"]
    assert headers == (f"headers event_type=OrderCreated,aggregate_type=Order,event_id={event['event_id']},"
                       f"content-type=application/json,created_at={event['created_at']}")
    assert event["event_data"]["order_number"] == "ORD-001"


def events_are_listed(stack):
    events = eventually(
        lambda: (found := json.loads(stack.shell("events"))) and found[0]["status"] == "published" and found,
        "the event is published")
    assert [one["event_type"] for one in events] == ["OrderCreated"]


def orders_are_listed(stack):
    assert [one["order_number"] for one in json.loads(stack.shell("list-orders"))] == ["ORD-001"]


def found_by_number(stack):
    assert json.loads(stack.shell("get-by-number"))["customer_id"] == "demo-1"


def healthy(stack):
    assert json.loads(stack.shell("health"))["status"] == "healthy"


def published_from_sql(stack):
    event_id = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", stack.shell("publish-from-sql"))[0]
    text = eventually(lambda: event_id in (found := stack.shell("read-topic")) and found, "the event is in the topic")
    assert "key order-7\n" in text and '"event_data":{"carrier": "Correios"}' in text


EXPECTED = {
    "post-order": posted,
    "read-topic": read_back,
    "events": events_are_listed,
    "list-orders": orders_are_listed,
    "get-by-number": found_by_number,
    "health": healthy,
    "publish-from-sql": published_from_sql,
}


def test_each_mark_has_its_expectation_and_each_expectation_its_mark():
    marks = re.findall(r"<!-- *test: *(\S*) *-->", README)
    assert sorted(marks) == sorted(EXPECTED)
    assert sorted(MARKED) == sorted(marks), "a mark stands directly in front of a ```sh block"
    assert len(re.findall(r"^```\w", README, re.M)) == len(BLOCKS), "only blocks that are sh can be tried"


def test_the_marked_commands_work_as_they_stand_in_their_order(world):
    stack = Stack(world)
    for name in MARKED:
        EXPECTED[name](stack)


def test_the_order_of_the_readme_is_the_documented_one():
    body = re.search(r"-d '(.*?)'", MARKED["post-order"], re.S)[1]
    assert json.loads(body) == json.loads((EXAMPLES / "create-simple.json").read_text())


@pytest.mark.parametrize("text", [text for name, text in BLOCKS if not name])
def test_what_is_not_marked_is_an_intent_of_the_makefile(text):
    for line in text.splitlines():
        target = re.fullmatch(r"make ([a-z-]+)", line)
        assert target, line
        done = subprocess.run(["make", "-n", target[1]], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and done.stdout, done.stderr


DOCUMENTS = sorted(
    path.relative_to(ROOT) for pattern in ("*.md", "docs/**/*.md", "src/**/README.md", "deploy/**/*.md")
    for path in ROOT.glob(pattern))


@pytest.fixture(scope="module")
def sources():
    wanted = {".cpp", ".hpp", ".py"}
    return "\n".join(path.read_text() for top in ("src", "tests") for path in sorted((ROOT / top).rglob("*"))
                     if path.suffix in wanted and path.name != "test_readme.py")


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_what_a_document_names_exists(document, sources):
    text = (ROOT / document).read_text()
    missing = []
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not re.match(r"\w+:", target) and not (ROOT / document).parent.joinpath(target).exists():
            missing.append(target)
    # `NoStorm…` stands for a longer name.
    for suite, name in re.findall(r"\b(\w+Test)\.(\w+)", text):
        if not re.search(rf"TEST(_F|_P)?\({suite},\s*{name}", sources):
            missing.append(f"{suite}.{name}")
    missing += [name for name in re.findall(r"\btest_\w+(?=[`(])", text) if f"def {name}(" not in sources]
    missing += [name for name in re.findall(r"\btest_\w+\.py\b", text) if not list(ROOT.glob(f"tests/**/{name}"))]
    metrics = re.findall(r"\btxstream_\w+_(?:total|seconds|state|letters|owned|queue|connections|flight|paused)\b", text)
    missing += [name for name in metrics if f'"{name}"' not in sources]
    assert not missing
