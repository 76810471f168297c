"""The commands that look: what each shows in every form, what it says when it cannot, and its exit code."""
import contextlib
import csv
import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import termios

import pytest

from conftest import a_world
from support.world import BINARY, clean_environment, eventually, event_id, free_ports, run

HOSTILE = "key\x1b[2J\x1b]0;owned\x07\r\n\u202etxt,\"q\" é 注文"


class Shop:
    """A database with events in every state, made without Kafka, and what they are called."""

    def __init__(self, world):
        self.database = world.database()
        database = self.database
        topic = {"KAFKA_TOPIC_EVENTS": "shop.events", "KAFKA_BROKERS": f"127.0.0.1:{free_ports(1)[0]}"}
        self.environment = {**database.environment(), **topic}
        self.published = [str(database.publish(f"old-{number}", "Old")) for number in range(3)]
        self.parked = str(database.publish("stuck", "Large", topic="other"))
        self.behind = str(database.publish("stuck", "Small", topic="other"))
        self.discarded = str(database.publish("gone", "Large"))
        # As a relay writes it down: all that there is now is published, but for what is parked.
        database.run(
            "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type, aggregate_id, event_type, topic, key, payload,"
            " content_type, created_at, state, attempts, error_class, error, resolved_by, resolved_reason)"
            " SELECT id, xid, event_id, lane, aggregate_type, aggregate_id, event_type, topic, coalesce(key, aggregate_id), payload,"
            " content_type, created_at, CASE aggregate_id WHEN 'gone' THEN 'discarded' ELSE 'parked' END,"
            " CASE event_type WHEN 'Small' THEN 0 ELSE 3 END,"
            " CASE event_type WHEN 'Small' THEN 'held' ELSE 'MSG_SIZE_TOO_LARGE' END, 'too\nlarge',"
            " CASE aggregate_id WHEN 'gone' THEN 'ana' END, CASE aggregate_id WHEN 'gone' THEN 'a test' END"
            " FROM txstream.outbox WHERE aggregate_id IN ('stuck', 'gone')")
        database.run("UPDATE txstream.lanes SET cursor = pg_current_snapshot(), advanced_at = now()")
        self.pending = str(database.publish("new", "New", payload='{"a": [1, 2.50]}'))
        self.blocked = str(database.publish("stuck", "Small"))
        self.hostile = str(database.publish(HOSTILE, "New"))
        self.refs = {str(event): f"{number}.{xid}" for event, number, xid in
                     database.run("SELECT event_id, id, xid::text FROM txstream.outbox")}

    def run(self, *words, **more):
        return run(list(words), {**self.environment, **more})

    def json(self, *words):
        done = self.run(*words, "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def shop():
    with a_world() as world:
        yield Shop(world)


LISTS = ["outbox list", "dead-letters groups", "dead-letters list", "lanes list", "relays list", "breaker status", "events find stuck"]


@pytest.mark.parametrize("words", LISTS)
def test_a_list_has_the_same_rows_in_every_form(shop, words):
    rows = shop.json(*words.split())
    lines = shop.run(*words.split(), "-o", "ndjson").stdout.splitlines()
    assert [list(json.loads(line)) for line in lines] == [list(row) for row in rows]
    table = shop.run(*words.split())
    assert table.returncode == 0, table.stderr
    sheet = list(csv.reader(io.StringIO(shop.run(*words.split(), "-o", "csv").stdout)))
    assert len(sheet) == len(rows) + 1
    if rows:
        head = re.split(r"\s{2,}", table.stdout.splitlines()[0].strip())
        assert len(table.stdout.splitlines()) == len(rows) + 1 and len(head) == len(sheet[0])
        assert all(name == name.upper() for name in head)
        assert table.stderr == ""
    else:
        assert table.stdout == "" and table.stderr.startswith("txstream: no relay"), table.stderr
        assert shop.run(*words.split(), "-o", "json").stdout == "[]\n"


def test_events_are_listed_newest_first_and_chosen_by_what_is_said(shop):
    def ids(*words):
        return [row["event_id"] for row in shop.json("outbox", "list", *words)]

    everything = [shop.hostile, shop.blocked, shop.pending, shop.discarded, shop.behind, shop.parked, *reversed(shop.published)]
    assert ids() == everything
    assert ids("--limit", "2") == everything[:2]
    assert ids("--status", "pending") == everything[:3]
    assert ids("--status", "published") == everything[6:]
    assert ids("--status", "parked", "--status", "discarded") == everything[3:6]
    assert ids("--type", "Old", "--type", "New") == [shop.hostile, shop.pending, *reversed(shop.published)]
    assert ids("--key", "stuck") == [shop.blocked, shop.behind, shop.parked]
    assert ids("--topic", "other") == [shop.behind, shop.parked]
    assert shop.behind not in ids("--topic", "shop.events") and len(ids("--topic", "shop.events")) == 7
    assert ids("--since", "1h") == everything and ids("--since", "2090-01-01") == []
    assert ids("--key", "nobody") == []
    nothing = shop.run("outbox", "list", "--key", "nobody")
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (0, "", "txstream: no such events\n")
    row = shop.json("outbox", "list", "--key", "new")[0]
    assert row["state"] == "pending" and row["published_at"] is None and row["topic"] == "shop.events"
    assert list(csv.DictReader(io.StringIO(shop.run("outbox", "list", "--key", "new", "-o", "csv").stdout))) == [{
        "ref": row["ref"], "created_at": row["created_at"], "state": "pending", "event_type": "New", "key": "new",
        "topic": "shop.events", "published_at": "-", "error_class": "-"}]
    table = shop.run("outbox", "list", "--key", "new").stdout
    assert re.search(rf"{row['ref']}  +(just now|\d+ s ago|\d+ min ago)  +pending  +New  +new  +shop.events  +-  +-\n", table), table


def test_an_event_is_shown_by_any_of_its_names(shop):
    ref = shop.refs[shop.pending]
    for name in (ref, ref.split(".")[0], shop.pending, shop.pending.upper()):
        shown = shop.json("outbox", "get", name)
        assert shown["event"]["event_id"] == shop.pending, name
        assert json.loads(shown["payload"]["data"]) == {"a": [1, 2.5]}
    text = shop.run("outbox", "get", ref).stdout
    assert re.search(r'^payload +\{"a": \[1, 2\.50\]\}$', text, re.M) and re.search(r"^state +pending$", text, re.M), text
    assert shop.json("outbox", "get", shop.refs[shop.parked].split(".")[0])["event"]["state"] == "parked"
    assert shop.json("outbox", "get", shop.blocked)["held_behind"]["event_id"] == shop.parked
    assert len(shop.run("outbox", "get", ref, "-o", "csv").stdout.splitlines()) == 2
    assert len(shop.run("outbox", "get", ref, "-o", "ndjson").stdout.splitlines()) == 1


def test_a_dead_letter_is_found_when_its_event_is_gone_from_the_outbox(world):
    shop = Shop(world)
    shop.database.run("DELETE FROM txstream.outbox")
    for name in (shop.parked, shop.refs[shop.parked], shop.refs[shop.parked].split(".")[0]):
        for command in ("outbox", "dead-letters"):
            assert shop.json(command, "get", name)["dead_letter"]["error_class"] == "MSG_SIZE_TOO_LARGE"
    assert [row["event_id"] for row in shop.json("events", "find", "stuck")] == [shop.behind, shop.parked]
    assert shop.run("outbox", "get", shop.pending).returncode == 3


def test_a_number_that_two_events_have_is_not_guessed_at(world):
    shop = Shop(world)
    number = shop.refs[shop.pending].split(".")[0]
    shop.database.run(f"INSERT INTO txstream.outbox (id, aggregate_type, aggregate_id, event_type, payload)"
                      f" OVERRIDING SYSTEM VALUE VALUES ({number}, 'T', 'twin', 'E', '{{}}')")
    done = shop.run("outbox", "get", number)
    assert done.returncode == 2 and shop.refs[shop.pending] in done.stderr, done.stderr
    assert shop.json("outbox", "get", shop.refs[shop.pending])["event"]["event_id"] == shop.pending


def test_dead_letters_are_shown_by_cause_and_one_by_one(shop):
    causes = {(row["error_class"], row["state"]): row for row in shop.json("dead-letters", "groups")}
    assert set(causes) == {("MSG_SIZE_TOO_LARGE", "parked"), ("MSG_SIZE_TOO_LARGE", "discarded"), ("held", "parked")}
    cause = causes["MSG_SIZE_TOO_LARGE", "parked"]
    assert cause["events"] == {"value": "1", "exact": True} and cause["topic"] == "other"
    assert "--entity-name other" in cause["remedy"]["text"] and cause["example"]["ref"] == shop.refs[shop.parked]

    def ids(*words):
        return [row["event_id"] for row in shop.json("dead-letters", "list", *words)]

    assert ids() == [shop.discarded, shop.behind, shop.parked]
    assert ids("--state", "parked") == ids("--key", "stuck") == ids("--topic", "other") == [shop.behind, shop.parked]
    assert ids("--error-class", "held") == ids("--type", "Small") == [shop.behind]
    assert ids("--topic", "shop.events") == [shop.discarded]
    short = shop.run("dead-letters", "list", "--limit", "1", "-o", "json")
    assert len(json.loads(short.stdout)) == 1 and "--limit" in short.stderr
    shown = shop.json("dead-letters", "get", shop.refs[shop.parked])
    assert shown["dead_letter"]["attempts"] == 3 and "max.message.bytes" in shown["dead_letter"]["explanation"]
    assert "error_text       too\\nlarge" in shop.run("dead-letters", "get", shop.parked).stdout
    done = shop.run("dead-letters", "get", shop.pending)
    assert done.returncode == 3 and "is pending" in done.stderr, done.stderr


def test_lanes_are_shown_with_what_waits_though_no_relay_counts_it(shop):
    lanes = shop.json("lanes", "list")
    assert [lane["lane"] for lane in lanes] == list(range(32))
    assert all(lane["state"] == "unowned" and lane["owner"] is None for lane in lanes)
    assert sum(int(lane["pending"]["value"]) for lane in lanes) == 3
    held = shop.database.one("SELECT txstream.lane_of('stuck')")
    assert [lane["lane"] for lane in lanes if lane["held_keys"]] == [held]


def test_an_events_place_is_told_and_what_it_waits_for(shop):
    def where(name):
        rows = shop.json("events", "find", name)
        assert len(rows) == 1, rows
        return rows[0]

    lane = shop.database.one("SELECT txstream.lane_of('new')")
    for name in ("new", shop.pending, shop.refs[shop.pending]):
        assert where(name)["where"] == f"no relay owns its lane {lane}"
    first = shop.refs[shop.parked]
    blocked = where(shop.blocked)
    assert blocked["where"] == f"it waits behind event {first} of its key, which is parked (MSG_SIZE_TOO_LARGE)"
    assert blocked["behind"]["ref"] == first and blocked["record"] is None
    assert where(shop.behind)["where"].startswith(f"held behind event {first} of its key")
    assert where(shop.parked)["where"] == "parked, MSG_SIZE_TOO_LARGE: too\nlarge"
    assert where(shop.discarded)["where"] == "discarded by ana: a test"
    assert [row["event_id"] for row in shop.json("events", "find", "stuck")] == [shop.blocked, shop.behind, shop.parked]
    done = shop.run("events", "find", "nobody")
    assert done.returncode == 3 and done.stdout == "" and "no order, event or aggregate is named nobody" in done.stderr


def test_an_aggregate_is_found_in_every_lane_that_has_events_of_it(world):
    shop = Shop(world)
    own = [str(shop.database.one(
        "SELECT txstream.publish('Test', 'keyed', 'New', '{}'::json, key => %s)", f"own-{number}")) for number in range(4)]
    found = shop.json("events", "find", "keyed")
    assert [row["event_id"] for row in found] == own[::-1]
    assert len({row["lane"] for row in found}) > 1


def test_an_order_is_followed_to_its_offset_by_number(world):
    database, topic = world.database(), world.topic(partitions=2)
    server = world.start("serve", database, topic)
    address = {"street": "Rua A", "number": "1", "city": "São Paulo", "state": "SP", "zip_code": "01310-100", "country": "BR"}
    for number in ("N-1", "N-2", "7"):
        order = {"customer_id": "c", "order_number": number, "shipping_address": address, "billing_address": address,
                 "items": [{"product_id": "p", "product_name": "x", "quantity": 1, "unit_price": 1}]}
        assert server.request("POST", "/api/v1/orders", json.dumps(order))[0] == 201
    records = {event_id(record): record for record in topic.read(lambda all_of: len(all_of) >= 3)}
    # One row of the log for all three: no publication says which offset is whose.
    environment = {**database.environment(), **topic.environment()}

    def find(name, **more):
        done = run(["events", "find", name, "-o", "json"], {**environment, **more})
        assert done.returncode == 0, done.stderr
        row, = json.loads(done.stdout)
        return row

    for number in ("N-1", "N-2", "7"):
        row = eventually(lambda number=number: (found := find(number))["state"] == "published" and found["record"] and found,
                         "it is published")
        record = records[row["event_id"]]
        assert row["record"] == {"topic": topic.name, "partition": record.partition(), "offset": str(record.offset())}
        assert row["where"] == f"{topic.name}, partition {record.partition()}, offset {record.offset()}"
        assert find(row["aggregate_id"])["event_id"] == row["event_id"]
    database.run("UPDATE txstream.positions SET records = json_build_array(json_build_object('topic', %s::text, 'partition', 1,"
                 " 'first', 5, 'last', 9)) WHERE events > 0", topic.name)
    away = find("N-1", KAFKA_BROKERS=f"127.0.0.1:{free_ports(1)[0]}")
    assert away["record"] is None and "in partition 1 from 5 to 9: " in away["where"]
    relays = json.loads(run(["relays", "list", "-o", "json"], environment).stdout)
    assert [one["pid"] for one in relays] == [server.process.pid] and relays[0]["is_alive"]
    breaker = json.loads(run(["breaker", "status", "-o", "json"], environment).stdout)
    assert [(one["name"], one["state"]) for one in breaker] == [(relays[0]["name"], "closed")]
    assert {lane["state"] for lane in json.loads(run(["lanes", "list", "-o", "json"], environment).stdout)} <= {"idle", "delivering"}


def test_the_figures_and_a_check_on_them(shop):
    stats = shop.json("outbox", "stats")
    assert (stats["pending"], stats["parked"], stats["lanes"], stats["lanes_unowned"], stats["relays_alive"]) == (3, 2, 32, 32, 0)
    assert stats["oldest_pending"] >= 0 and stats["oldest_pending_at"].endswith("Z") and stats["outbox_bytes"] > 0
    assert re.search(r"^pending +3$", shop.run("outbox", "stats").stdout, re.M)
    for limit, code in [("pending>2", 8), ("pending>3", 0), ("pending >= 3", 8), ("parked=2", 8), ("oldest_pending>1d", 0),
                        ("oldest_pending>=0s", 8), ("lanes_unowned>0", 8), ("relays_alive<1", 8)]:
        done = shop.run("outbox", "stats", "--fail-if", limit, "-o", "json")
        assert done.returncode == code, (limit, done)
        assert json.loads(done.stdout)["pending"] == 3
        assert (limit.replace(" ", "") in done.stderr) == (code == 8), done.stderr
    both = shop.run("outbox", "stats", "--fail-if", "pending>2", "--fail-if", "parked>5")
    assert both.returncode == 8 and "parked" not in both.stderr
    for limit, told in [("pending", "needs a comparison"), ("pendin>1", "did you mean pending?"), ("pending>60s", "whole number"),
                        ("oldest_pending>60", "60s")]:
        done = shop.run("outbox", "stats", "--fail-if", limit)
        assert done.returncode == 2 and done.stdout == "" and told in done.stderr, done.stderr


def test_an_outbox_without_events_has_empty_answers(world):
    database = world.database()
    for words in LISTS:
        done = run([*words.split(), "-o", "json"], database.environment())
        if words.startswith("events"):
            assert (done.returncode, done.stdout) == (3, "")
        elif words != "lanes list":
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, "[]\n", 1), done
    stats = json.loads(run(["outbox", "stats", "-o", "json"], database.environment()).stdout)
    assert stats["pending"] == 0 and stats["oldest_pending"] is None
    done = run(["outbox", "stats", "--fail-if", "oldest_pending>0s"], database.environment())
    assert done.returncode == 0 and re.search("^oldest_pending +-$", done.stdout, re.M)


def test_no_key_can_act_on_the_terminal(shop):
    for words in (["outbox", "list"], ["outbox", "get", shop.hostile], ["events", "find", shop.hostile]):
        for form in ("table", "csv", "json", "ndjson"):
            shown = on_terminal(shop, [*words, "-o", form])
            assert not re.search("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]", shown), (words, form, shown)
    piped = shop.run("outbox", "list", "--limit", "1").stdout
    assert r"key\x1b[2J\x1b]0;owned\x07\r\n\u{202e}txt" in piped and "注文" in piped
    # Programs get what was stored.
    assert shop.json("outbox", "list", "--limit", "1")[0]["key"] == HOSTILE
    sheet = shop.run("outbox", "list", "--limit", "1", "-o", "csv").stdout
    assert list(csv.DictReader(io.StringIO(sheet, newline="")))[0]["key"].replace("\r\n", "\n") == HOSTILE.replace("\r\n", "\n")
    assert [row["event_id"] for row in shop.json("outbox", "list", "--key", HOSTILE)] == [shop.hostile]
    done = shop.run("events", "find", "no\x1b[2Jbody")
    assert done.returncode == 3 and "\x1b" not in done.stderr


def on_terminal(shop, words, width=100):
    """What a terminal of that width gets."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    process = subprocess.Popen([BINARY, *words], env={**clean_environment(), **shop.environment}, cwd="/", stdout=theirs,
                               stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    # When the other end is closed, reading fails.
    with contextlib.suppress(OSError):
        while part := os.read(ours, 65536):
            shown += part
    os.close(ours)
    assert process.wait(60) == 0
    return shown.decode().replace("\r\n", "\n")


def test_a_table_fits_the_terminal(shop):
    for width in (90, 120):
        lines = on_terminal(shop, ["outbox", "list"], width).splitlines()
        assert max(map(len, lines)) <= width and len(lines) == 10, lines
    wide = on_terminal(shop, ["dead-letters", "groups", "-o", "table"], 250)
    assert len(wide.splitlines()) == 4 and "MSG_SIZE_TOO_LARGE" in wide and "…" not in wide
    assert "\n\nEVENT" in on_terminal(shop, ["outbox", "list"], 30), "upright where no table fits"


def test_who_reads_may_stop(shop):
    done = subprocess.run(f"'{BINARY}' outbox list -o json | head -c 1", shell=True, env={**clean_environment(), **shop.environment},
                          cwd="/", capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[", "")


def test_what_goes_wrong_has_its_exit_code(shop, world):
    def code(environment, *words):
        done = run(list(words), environment)
        assert done.stdout == "", done.stdout
        return done.returncode, done.stderr

    for words in (["outbox", "get", "1.1"], ["outbox", "get", "999999"], ["outbox", "get", "00000000-0000-0000-0000-000000000000"],
                  ["dead-letters", "get", shop.published[0]]):
        returned, told = code(shop.environment, *words)
        assert returned == 3 and told.count("\n") == 1, told
    away = {**shop.environment, "DATABASE_PORT": str(free_ports(1)[0])}
    assert code(away, "outbox", "list", "--timeout", "2s")[0] == 5
    returned, told = code({**shop.environment, "DATABASE_PASSWORD": "wrong"}, "lanes", "list")
    assert returned == 4, told
    empty = world.database(migrate=False)
    for words in (["outbox", "stats"], ["dead-letters", "groups"], ["relays", "list"], ["outbox", "list"]):
        returned, told = code(empty.environment(), *words)
        assert returned == 6 and "txstream migrate" in told, told
    for words, said in [("outbox get x", "an event is named by"), ("outbox list --limit 0", "from 1 to 1000"),
                        ("outbox list --since yesterday", "a span such as"), ("outbox list --timeout 5", "from 100ms to 1h"),
                        ("outbox list --status new", "new is not allowed"), ("outbox", "needs a command: list, get, stats"),
                        ("dead-letters list --state held", "held is not allowed"), ("events find", "name is required")]:
        returned, told = code(shop.environment, *words.split())
        assert returned == 2 and said in told, told


def test_a_login_without_rights_is_told_which_ones(shop):
    role = f"{shop.database.name}_nobody"
    shop.database.on_server(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'")
    try:
        done = shop.run("outbox", "list", DATABASE_USER=role, DATABASE_PASSWORD="pw")
        assert done.returncode == 4 and f"GRANT txstream_reader TO {role}" in done.stderr, done.stderr
        shop.database.on_server(f"GRANT txstream_reader TO {role}")
        for words in LISTS + ["outbox stats", "outbox get 7"]:
            done = shop.run(*words.split(), DATABASE_USER=role, DATABASE_PASSWORD="pw")
            assert done.returncode == 0, (words, done.stderr)
    finally:
        shop.database.on_server(f"DROP ROLE {role}")


def test_a_table_that_is_locked_ends_the_wait_in_time(shop):
    with contextlib.closing(shop.database.connect()) as blocker:
        blocker.autocommit = False
        blocker.cursor().execute("LOCK TABLE txstream.dead_letters IN ACCESS EXCLUSIVE MODE")
        done = shop.run("dead-letters", "list", "--timeout", "1s")
    assert done.returncode == 7 and done.stdout == "", (done.returncode, done.stderr)
