"""Decisions about many dead letters: jobs that relays take step by step, whatever dies meanwhile."""
import csv
import io
import json
import re

import pytest
from support.world import event_id, eventually, run
from test_operations import park as park_one

LETTERS = 20_000
# What a job takes on a machine that others use, too.
LONG = 240


def park(database, count):
    """Letters of as many keys, whose events are gone."""
    database.run(
        "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type, aggregate_id, event_type, key, payload,"
        " content_type, created_at, attempts, error_class, error) SELECT n, '900', gen_random_uuid(), txstream.lane_of('key-' || n), 'T',"
        " 'key-' || n, 'Tested', 'key-' || n, '{}', 'application/json', now(), 1, 'REFUSED', 'it was refused'"
        " FROM generate_series(1, %s) n", count)


def states(database):
    return dict(database.run("SELECT state, count(*) FROM txstream.dead_letters GROUP BY 1"))


def command(database, *words, timeout=LONG + 60, **environment):
    return run([*words], {**database.environment(), **environment}, timeout=timeout)


def start(database, verb, *options):
    """Makes a job; what the command says of it."""
    done = command(database, "dead-letters", verb, "--yes", "-o", "json", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def job(database, number):
    done = command(database, "jobs", "get", str(number), "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def has_begun(database, number):
    eventually(lambda: database.one("SELECT decided FROM txstream.jobs WHERE id = %s", number) > 0, "it has begun", timeout=LONG)


def ended(database, number):
    """The job, when a relay has found that all it decided is carried out."""
    eventually(lambda: database.one("SELECT ended_at FROM txstream.jobs WHERE id = %s", number), "the job ends", timeout=LONG, pause=0.1)
    return job(database, number)


def steps(database, number):
    """(first, last, time in seconds) of each step, as the audit has them."""
    found = []
    for result, affected, at in database.run(
            "SELECT result, affected, extract(epoch FROM at)::float8 FROM txstream.audit WHERE job = %s AND affected > 0 ORDER BY id", number):
        first, last = map(int, re.fullmatch(r"(\d+) to (\d+) of \d+", result).groups())
        assert last - first + 1 == affected
        found.append((first, last, at))
    return found


def is_gapless(taken, total):
    assert [first for first, _, _ in taken] == [1] + [last + 1 for _, last, _ in taken[:-1]] and taken[-1][1] == total, taken


def test_relays_decide_about_a_large_job_and_the_command_may_wait_for_it(world):
    database, topic = world.database(), world.topic()
    relay = world.start("relay", database, topic)
    park(database, LETTERS)
    done = command(database, "dead-letters", "replay", "--all", "--yes", "--reason", "repaired", "--wait", "--timeout", f"{LONG}s")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert f"Job 1: {LETTERS} events to be replayed. Relays decide about them step by step." in done.stdout, done.stdout
    assert f"Replayed: {LETTERS} events." in done.stdout, done.stdout
    assert states(database) == {"replayed": LETTERS}
    told = ended(database, 1)
    assert (told["kind"], told["state"], told["selection"], told["reason"]) == ("replay", "done", {"all": True}, "repaired")
    assert (told["total"], told["decided"], told["waiting"], told["carried_out"], told["parked_again"]) == (LETTERS, LETTERS, 0, LETTERS, 0)
    taken = steps(database, 1)
    is_gapless(taken, LETTERS)
    assert max(last - first for first, last, _ in taken) < 2500, "no transaction holds many rows"
    assert relay.metric("txstream_job_letters_decided_total", kind="replay") == LETTERS
    eventually(lambda: relay.metric("txstream_jobs_running") == 0, "and says so")
    ids = [one for one, in database.run("SELECT event_id::text FROM txstream.dead_letters")]
    assert {event_id(record) for record in topic.read_ids(ids)} == set(ids)


def test_a_job_goes_on_where_the_relay_that_ran_it_was_killed(world):
    database, topic = world.database(), world.topic()
    first = world.start("relay", database, topic, WORKER_LEASE="2s")
    park(database, LETTERS)
    number = start(database, "replay", "--all", "--rate", "2000")["job"]
    has_begun(database, number)
    first.kill()
    before = job(database, number)
    assert 0 < before["decided"] < LETTERS and before["state"] == "running", before
    world.start("relay", database, topic, WORKER_LEASE="2s")
    told = ended(database, number)
    assert (told["state"], told["decided"], told["carried_out"]) == ("done", LETTERS, LETTERS), told
    assert told["runner"] != before["runner"]
    is_gapless(steps(database, number), LETTERS)
    assert states(database) == {"replayed": LETTERS}


def test_a_rate_is_not_exceeded(world):
    database, topic, rate, total = world.database(), world.topic(), 200, 1000
    world.start("relay", database, topic)
    world.start("relay", database, topic)
    park(database, total)
    number = start(database, "replay", "--all", "--rate", str(rate))["job"]
    told = ended(database, number)
    assert (told["rate"], told["carried_out"]) == (rate, total), told
    taken = steps(database, number)
    is_gapless(taken, total)
    took = taken[-1][2] - taken[0][2]
    assert total - taken[0][1] <= rate * took * 1.25, "however many relays there are"
    assert max(last - first + 1 for first, last, _ in taken) <= 2 * rate, "no burst"


def test_a_cancelled_job_decides_no_more_and_what_it_decided_is_carried_out(world):
    database, topic = world.database(), world.topic()
    world.start("relay", database, topic)
    park(database, 5000)
    number = start(database, "discard", "--all", "--reason", "test data", "--rate", "50")["job"]
    has_begun(database, number)
    done = command(database, "jobs", "cancel", number, "--reason", "wrong ones")
    assert done.returncode == 0 and f"Cancelled: job {number}." in done.stdout, (done.stdout, done.stderr)
    decided = job(database, number)["decided"]
    told = ended(database, number)
    assert (told["state"], told["decided"], told["carried_out"], told["waiting"]) == ("cancelled", decided, decided, 0), told
    assert (told["cancel_reason"], told["total"]) == ("wrong ones", 5000) and "@" in told["cancelled_by"]
    assert states(database) == {"discarded": decided, "parked": 5000 - decided}
    again = command(database, "jobs", "cancel", number)
    assert again.returncode == 6 and f"job {number} is cancelled already" in again.stderr, again.stderr
    assert command(database, "jobs", "cancel", "4711").returncode == 3
    newest, = json.loads(command(database, "audit", "list", "--limit", "1", "-o", "json").stdout)
    assert (newest["action"], newest["job"], newest["reason"]) == ("jobs cancel", number, "wrong ones")


def test_a_job_that_can_never_go_on_fails_with_the_reason_and_others_run(world):
    database, topic = world.database(), world.topic()
    relay = world.start("relay", database, topic)
    park(database, 3)
    database.run("CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS"
                 " $$ BEGIN RAISE EXCEPTION 'not this one'; END $$")
    database.run("CREATE TRIGGER refuses AFTER UPDATE ON txstream.dead_letters FOR EACH ROW"
                 " WHEN (NEW.state = 'replaying' AND NEW.key = 'key-1') EXECUTE FUNCTION public.refuse()")
    bad = start(database, "replay", "--key", "key-1", "--rate", "10")["job"]
    good = start(database, "replay", "--key", "key-2", "--rate", "10")["job"]
    told = ended(database, bad)
    assert told["state"] == "failed" and "not this one" in told["error"] and told["decided"] == 0, told
    assert ended(database, good)["state"] == "done"
    assert [line["job"] for line in relay.logs("a job cannot go on, and has ended; decide anew about the rest")] == [int(bad)]
    waited = command(database, "dead-letters", "replay", "--key", "key-1", "--rate", "10", "--yes", "--wait")
    assert waited.returncode == 1 and "failed: " in waited.stderr, (waited.stdout, waited.stderr)


@pytest.fixture
def database(world):
    return world.database()


def test_jobs_are_listed_and_shown_for_people_and_programs(database):
    none = command(database, "jobs", "list")
    assert none.returncode == 0 and "there are no jobs" in none.stderr, none.stderr
    for key in ("a", "b", "c"):
        park_one(database, key)
        start(database, "replay", "--key", key, "--reason", f"why, {key}")
    rows = list(csv.DictReader(io.StringIO(command(database, "jobs", "list", "-o", "csv").stdout)))
    assert [(row["id"], row["state"], row["reason"]) for row in rows] == [
        ("3", "running", "why, c"), ("2", "running", "why, b"), ("1", "running", "why, a")]
    newest = command(database, "jobs", "list", "--limit", "1", "-o", "json")
    assert [one["id"] for one in json.loads(newest.stdout)] == ["3"] and "--before 3" in newest.stderr, newest.stderr
    older = command(database, "jobs", "list", "--before", "3", "-o", "ndjson").stdout.splitlines()
    assert [json.loads(one)["id"] for one in older] == ["2", "1"]
    assert json.loads(command(database, "jobs", "list", "--state", "done", "-o", "json").stdout) == []
    shown = command(database, "jobs", "get", "2")
    assert shown.returncode == 0 and "why, b" in shown.stdout and "running" in shown.stdout, shown.stdout
    assert command(database, "jobs", "get", "4711").returncode == 3
    assert command(database, "jobs", "get", "seven").returncode == 2
    decided = command(database, "jobs", "cancel", "2")
    assert decided.returncode == 6 and "has decided about all its events" in decided.stderr, decided.stderr


def test_an_operators_rights_are_enough_to_make_and_cancel_jobs_and_a_readers_are_not(database, world):
    park(database, 20)
    logins = {role: f"{database.name}_{role}" for role in ("operator", "reader")}
    for role, login in logins.items():
        database.run(f"CREATE ROLE {login} LOGIN PASSWORD 'x' IN ROLE txstream_{role}")
        world.things.append(lambda login=login: database.run(f"DROP ROLE {login}"))
    reader, operator = ({"DATABASE_USER": logins[role], "DATABASE_PASSWORD": "x"} for role in ("reader", "operator"))
    made = command(database, "dead-letters", "replay", "--all", "--rate", "5", "--yes", "-o", "json", **operator)
    assert made.returncode == 0 and json.loads(made.stdout)["job"] == "1", made.stderr
    refused = command(database, "jobs", "cancel", "1", **reader)
    assert refused.returncode == 4 and f"GRANT txstream_operator TO {logins['reader']}" in refused.stderr, refused.stderr
    assert json.loads(command(database, "jobs", "get", "1", "-o", "json", **reader).stdout)["state"] == "waiting"
    assert command(database, "jobs", "cancel", "1", **operator).returncode == 0
    told = json.loads(command(database, "jobs", "list", "-o", "json", **reader).stdout)
    assert [(one["state"], one["login"]) for one in told] == [("cancelled", logins["operator"])]
    assert states(database) == {"parked": 20}
