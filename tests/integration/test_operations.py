"""What operators do to dead letters from the command line. But for the last test no relay runs here: what it would do is written
into the tables, so that these tests say what the commands promise."""
import csv
import io
import json
import os
import pty
import select
import subprocess
import time

import pytest
from support.world import BINARY, PATIENCE, clean_environment, event_id, eventually, run


@pytest.fixture
def database(world):
    return world.database()


def park(database, key, error_class="MSG_SIZE_TOO_LARGE", event_type="Tested", topic=None):
    """An event that was moved aside; its id."""
    event = database.publish(key, event_type, topic=topic)
    return database.one(
        "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type, aggregate_id, event_type, topic, key, payload,"
        " content_type, created_at, attempts, error_class, error) SELECT id, xid, event_id, lane, aggregate_type, aggregate_id,"
        " event_type, topic, aggregate_id, payload, content_type, created_at, 1, %s, 'it was refused' FROM txstream.outbox"
        " WHERE event_id = %s RETURNING id", error_class, str(event))


def states(database):
    return [state for state, in database.run("SELECT state FROM txstream.dead_letters ORDER BY id")]


def letters(database, verb, *options, **environment):
    return run(["dead-letters", verb, *options], {**database.environment(), **environment})


def at_terminal(database, line, answer):
    """What the command says to somebody at a terminal who gives that answer, and its exit code."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [BINARY, *line], env={**clean_environment(), **database.environment()}, cwd="/", stdin=theirs, stdout=theirs, stderr=theirs,
        close_fds=True, start_new_session=True)
    os.close(theirs)
    told, is_answered = b"", False
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if not select.select([ours], [], [], 1)[0]:
            continue
        try:
            part = os.read(ours, 65536)
        except OSError:  # the terminal's other end is closed
            break
        told += part
        if not is_answered and b"[y/N]" in told:
            os.write(ours, answer.encode())
            is_answered = True
    code = process.wait(PATIENCE)
    os.close(ours)
    return told.decode(), code


def test_a_replay_is_shown_decided_once_and_written_down(database):
    first, behind, other = park(database, "key-1"), park(database, "key-1", "held"), park(database, "key-2")
    shown = letters(database, "replay", "--error-class", "MSG_SIZE_TOO_LARGE", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("Replay: 2 events of 2 keys; 1 held behind them follows.\n"), shown.stdout
    assert f"{first}." in shown.stdout and f"{other}." in shown.stdout and "it was refused" in shown.stdout
    assert "Nothing was changed" in shown.stdout
    assert states(database) == ["parked"] * 3 and database.one("SELECT count(*) FROM txstream.audit") == 0
    done = letters(database, "replay", "--error-class", "MSG_SIZE_TOO_LARGE", "--reason", "limit raised", "--yes")
    assert done.returncode == 0 and "Decided: 2 events to be replayed." in done.stdout, (done.stdout, done.stderr)
    assert database.run("SELECT id, state, decided, resolved_reason FROM txstream.dead_letters ORDER BY id") == [
        (first, "replaying", True, "limit raised"), (behind, "parked", False, None), (other, "replaying", True, "limit raised")]
    again = letters(database, "replay", "--all", "--yes")
    assert again.returncode == 0 and again.stdout == "No parked event matches.\n", (again.stdout, again.stderr)
    entries = json.loads(run(["audit", "list", "-o", "json"], database.environment()).stdout)
    assert len(entries) == 1
    assert entries[0]["action"] == "dead-letters replay" and entries[0]["affected"] == 2 and entries[0]["result"] == "done"
    assert entries[0]["target"] == {"error_class": "MSG_SIZE_TOO_LARGE"} and entries[0]["reason"] == "limit raised"
    assert entries[0]["login"] == database.server["user"] and "@" in entries[0]["actor"] and entries[0]["origin"] == "cli"


def test_a_program_reads_one_document_and_the_exit_code(database):
    ids = [park(database, f"key-{n}") for n in range(7)]
    done = letters(database, "discard", "--all", "--reason", "test data", "--yes", "-o", "json", "--max", "7")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    told = json.loads(done.stdout)
    assert (told["action"], told["dry_run"], told["decided"], told["outcome"]) == ("discard", False, 7, None)
    plan = told["plan"]
    assert (plan["events"], plan["keys"], plan["held_behind"], plan["left_out"]) == (7, 7, 0, 0)
    assert [one["ref"].split(".")[0] for one in plan["sample"]] == [str(one) for one in ids[:5]]
    assert plan["sample"][0]["topic"] == "txstream.events", "the default topic by its name"
    assert states(database) == ["discarded"] * 7
    none = json.loads(letters(database, "replay", "--all", "--yes", "-o", "json").stdout)
    assert none["decided"] == 0 and none["plan"]["events"] == 0
    refused = letters(database, "replay", "--id", str(ids[0]), "--yes", "-o", "json")
    assert refused.returncode == 6 and refused.stdout == "" and "discarded already" in refused.stderr


def test_the_default_topic_is_found_by_its_name(database):
    park(database, "key-1")
    park(database, "key-2", topic="other")
    done = letters(database, "replay", "--topic", "orders.v1", "--yes", "-o", "json", KAFKA_TOPIC_EVENTS="orders.v1")
    assert json.loads(done.stdout)["decided"] == 1, done.stderr
    assert states(database) == ["replaying", "parked"]


@pytest.mark.parametrize(("line", "code", "told"), [
    ("replay --yes", 2, "say which dead letters"),
    ("replay --id 7 --all --yes", 2, "need no other condition"),
    ("replay --id seven --yes", 2, "seven is not an id"),
    ("replay --event 7 --yes", 2, "7 is not an event id"),
    ("discard --all --yes", 2, "discard needs --reason TEXT"),
    ("replay --all", 2, "--yes decides without a question"),
    ("replay --all --yes --max 0", 2, "allowed is a whole number from 1 to 1000000"),
    ("replay --all --yes --timeout soon", 2, "soon is not allowed"),
    ("replay --id 4711 --yes", 3, "no dead letter has the id 4711"),
    ("replay --error-class held --yes", 6, "need no decision"),
])
def test_what_cannot_be_done_is_refused_before_anything_is(database, line, code, told):
    park(database, "key-1")
    done = letters(database, *line.split())
    assert done.returncode == code and done.stdout == "", (done.returncode, done.stdout, done.stderr)
    assert told in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert states(database) == ["parked"]


def test_an_event_that_cannot_be_sent_yet_names_the_one_before_it(database):
    first, second, held = park(database, "key-1"), park(database, "key-1", "OTHER"), park(database, "key-1", "held")
    done = letters(database, "replay", "--id", str(second), "--yes")
    assert done.returncode == 6 and f"cannot be sent before {first}." in done.stderr, done.stderr
    done = letters(database, "replay", "--id", str(held), "--yes")
    assert done.returncode == 6 and f"as soon as {first}." in done.stderr, done.stderr
    done = letters(database, "replay", "--error-class", "OTHER", "--yes")
    assert done.returncode == 0 and "Left out: 1 event behind an earlier parked event" in done.stdout, done.stdout
    done = letters(database, "discard", "--all", "--reason", "x", "--yes", "--max", "1")
    assert done.returncode == 6 and "2 events match, --max allows 1; nothing was changed" in done.stderr, done.stderr
    assert states(database) == ["parked"] * 3


def test_the_wait_ends_with_what_became_of_it(database):
    for key in ("key-1", "key-2", "key-3"):
        park(database, key)
    late = letters(database, "replay", "--key", "key-1", "--yes", "--wait", "--timeout", "2s")
    assert late.returncode == 7 and "not carried out after 2s: 1 event;" in late.stderr, (late.stdout, late.stderr)
    waiting = subprocess.Popen(
        [BINARY, "dead-letters", "replay", "--all", "--yes", "--wait", "-o", "json"], cwd="/", stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**clean_environment(), **database.environment()})
    eventually(lambda: states(database) == ["replaying"] * 3, "all is decided")
    assert waiting.poll() is None
    # What relays do: one of them is refused once more.
    database.run("UPDATE txstream.dead_letters SET state = 'parked', decided = false, attempts = 2 WHERE key = 'key-2'")
    database.run("UPDATE txstream.dead_letters SET state = 'replayed', decided = false WHERE key <> 'key-2'")
    told, complaints = waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode == 1 and complaints == "", (told, complaints)
    assert json.loads(told)["outcome"] == {"replayed": 1, "discarded": 0, "parked_again": 1, "waiting": 0}


def test_somebody_at_a_terminal_is_asked_when_it_is_more_than_one(database):
    park(database, "key-1")
    told, code = at_terminal(database, ["dead-letters", "replay", "--all"], "")
    assert code == 0 and "[y/N]" not in told and states(database) == ["replaying"], told
    park(database, "key-2")
    park(database, "\x1b[31mred")
    line = ["dead-letters", "replay", "--all", "--reason", "fixed"]
    told, code = at_terminal(database, line, "n\n")
    assert code == 1 and "Replay 2 events? [y/N]" in told and "Nothing was changed." in told, told
    assert "\x1b[31m" not in told, "a key cannot paint the terminal"
    assert states(database) == ["replaying", "parked", "parked"]
    told, code = at_terminal(database, line, "y\n")
    assert code == 0 and "Decided: 2 events" in told, told
    assert states(database) == ["replaying"] * 3


def test_the_rights_of_an_operator_are_enough_and_a_readers_are_not(database, world):
    park(database, "key-1")
    logins = {role: f"{database.name}_{role}" for role in ("operator", "reader")}
    for role, login in logins.items():
        database.run(f"CREATE ROLE {login} LOGIN PASSWORD 'x' IN ROLE txstream_{role}")
        world.things.append(lambda login=login: database.run(f"DROP ROLE {login}"))
    as_reader = {"DATABASE_USER": logins["reader"], "DATABASE_PASSWORD": "x"}
    as_operator = {"DATABASE_USER": logins["operator"], "DATABASE_PASSWORD": "x"}
    assert letters(database, "replay", "--all", "--dry-run", **as_reader).returncode == 0
    refused = letters(database, "replay", "--all", "--yes", **as_reader)
    assert refused.returncode == 4 and f"GRANT txstream_operator TO {logins['reader']}" in refused.stderr, refused.stderr
    assert states(database) == ["parked"]
    done = letters(database, "replay", "--all", "--yes", **as_operator)
    assert done.returncode == 0, done.stderr
    for who in (as_reader, as_operator):
        listed = run(["audit", "list", "-o", "json"], {**database.environment(), **who})
        assert json.loads(listed.stdout)[0]["login"] == logins["operator"], listed.stderr


def test_without_the_tables_or_the_server_the_exit_code_says_so(world):
    database = world.database(migrate=False)
    done = letters(database, "replay", "--all", "--yes")
    assert done.returncode == 6 and "txstream migrate up" in done.stderr, done.stderr
    done = letters(database, "replay", "--all", "--yes", DATABASE_PORT="1")
    assert done.returncode == 5, done.stderr


def test_the_audit_is_listed_newest_first_in_parts(database):
    for n in range(3):
        park(database, f"key-{n}")
        assert letters(database, "discard", "--key", f"key-{n}", "--reason", f"reason, {n}", "--yes").returncode == 0
    table = run(["audit", "list"], database.environment())
    assert table.returncode == 0 and "dead-letters discard" in table.stdout, table.stderr
    rows = list(csv.DictReader(io.StringIO(run(["audit", "list", "-o", "csv"], database.environment()).stdout)))
    assert [row["reason"] for row in rows] == ["reason, 2", "reason, 1", "reason, 0"]
    newest = run(["audit", "list", "--limit", "1", "-o", "json"], database.environment())
    assert "--before" in newest.stderr
    entry, = json.loads(newest.stdout)
    rest = run(["audit", "list", "--before", str(entry["id"]), "-o", "ndjson"], database.environment()).stdout.splitlines()
    assert [json.loads(one)["reason"] for one in rest] == ["reason, 1", "reason, 0"]


def test_a_relay_carries_out_what_the_commands_decide(database, world):
    topic, missing = world.topic(), world.topic(create=False)
    world.start("relay", database, topic, WORKER_RETRY_DELAY="50ms", WORKER_TOPIC_RETRY_DELAY="50ms", WORKER_TOPIC_PATIENCE="200ms",
                KAFKA_PROPERTY_allow__auto__create__topics="false")
    lost = str(database.publish("a", topic=missing.name))
    free = [str(database.publish("a")) for _ in range(2)]
    sent = [str(database.publish("b", topic=missing.name)) for _ in range(3)]
    eventually(lambda: states(database) == ["parked"] * 6, "two keys are held")
    done = letters(database, "discard", "--key", "a", "--reason", "its topic is gone", "--yes", "--wait", "--timeout", "60s")
    assert done.returncode == 0 and "Discarded: 1 event." in done.stdout, (done.stdout, done.stderr)
    assert [event_id(one) for one in topic.read_ids(free)] == free, "what it held goes on"
    missing.create()

    def replayed():
        """Refused again while the relay has not seen the new topic, as an operator may find."""
        done = letters(database, "replay", "--topic", missing.name, "--yes", "--wait", "--timeout", "60s")
        assert done.returncode in (0, 1), (done.stdout, done.stderr)
        return done.returncode == 0 and "parked" not in states(database)

    eventually(replayed, "nothing is refused any more")
    assert list(dict.fromkeys(event_id(one) for one in missing.read_ids(sent))) == sent
    eventually(lambda: states(database) == ["discarded"] + ["replayed"] * 5, "it is written down")
    assert lost not in {event_id(one) for one in missing.read_ids(sent)}
