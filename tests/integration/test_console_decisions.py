"""Dead letters decided about in the console: planned, made a job of, written down, carried out by relays; and never by a viewer."""
import json

import pytest
from support.console import ask, listens
from support.contract import PREFIX, Contract
from support.world import eventually, event_id, run

CONTRACT = Contract()
VIEWER, OPERATOR = "viewer-token-0123456789", "operator-token-0123456789"
LETTERS = PREFIX + "/dead-letters"
MANY = 12_000
# What a job takes on a machine that others use, too.
LONG = 240


def start(world, database, topic, **settings):
    tokens = world.directory / f"tokens-{len(world.things)}"
    tokens.write_text(f"ana operator {OPERATOR}\nbob viewer {VIEWER}\n")
    tokens.chmod(0o600)
    console = world.start("console", database, topic, ready=False, CONSOLE_TOKENS_FILE=str(tokens), **settings)
    eventually(lambda: listens(console), "the console listens")
    return console


def post(console, path, body, token=OPERATOR):
    """(status, answer), which the contract describes."""
    status, headers, text = ask(console, "POST", LETTERS + path, {"Authorization": f"Bearer {token}"},
                                body if isinstance(body, bytes) else json.dumps(body).encode())
    return status, CONTRACT.check("POST", LETTERS + path, status, headers["Content-Type"], text)


def get(console, path, template=None, token=VIEWER):
    status, headers, text = ask(console, "GET", PREFIX + path, {"Authorization": f"Bearer {token}"})
    return status, CONTRACT.check("GET", PREFIX + (template or path.split("?")[0]), status, headers["Content-Type"], text)


def job(console, number):
    status, one = get(console, f"/jobs/{number}", "/jobs/{id}")
    assert status == 200, one
    return one


def ended(console, number):
    return eventually(lambda: (one := job(console, number))["is_ended"] and one, "the job has ended", timeout=LONG)


def cancel(console, number, body, token=OPERATOR):
    status, headers, text = ask(console, "POST", f"{PREFIX}/jobs/{number}/cancel", {"Authorization": f"Bearer {token}"},
                                json.dumps(body).encode())
    return status, CONTRACT.check("POST", PREFIX + "/jobs/{id}/cancel", status, headers["Content-Type"], text)


def pause(database, topic, verb, *options):
    done = run(["relays", verb, "--all", *options], {**database.environment(), **topic.environment()})
    assert done.returncode == 0, done.stderr


def paused_relay(world, database, topic):
    """One that decides, and sends nothing: a large job of it stays where the next step would have too many in hand."""
    relay = world.start("relay", database, topic, ready=False, WORKER_LEASE="2s")

    def is_paused():
        try:
            return relay.metric("txstream_delivery_blocked", reason="paused") == 1
        except OSError:  # it starts
            return False

    eventually(is_paused, "the relay knows of the pause", timeout=LONG)
    return relay


def park(database, key, error_class="MSG_SIZE_TOO_LARGE", event_type="Tested", count=1):
    """Events that were moved aside; the id of the last one."""
    return database.run(
        "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type, aggregate_id, event_type, key, payload,"
        " content_type, created_at, attempts, error_class, error) SELECT coalesce((SELECT max(id) FROM txstream.dead_letters), 0) + n,"
        " '900', gen_random_uuid(), txstream.lane_of(k), 'T', k, %s, k, '{}', 'application/json', now(), 1, %s, 'it was refused'"
        " FROM generate_series(1, %s) n, LATERAL (SELECT CASE WHEN n = 1 THEN %s ELSE %s || n END AS k) key RETURNING id",
        event_type, error_class, count, key, key)[-1][0]


def states(database):
    return [state for state, in database.run("SELECT state FROM txstream.dead_letters ORDER BY id")]


@pytest.fixture
def database(world):
    return world.database()


@pytest.fixture
def console(world, database):
    return start(world, database, world.topic(create=False))


def test_a_replay_is_planned_decided_once_and_written_down_with_the_tokens_name(console, database):
    first, held, other = park(database, "key-1"), park(database, "key-1", "held"), park(database, "key-2")
    selection = {"error_class": "MSG_SIZE_TOO_LARGE"}
    status, plan = post(console, "/plan", {"action": "replay", "selection": selection})
    assert status == 200 and (plan["events"], plan["keys"], plan["held_behind"], plan["left_out"]) == ("2", "2", "1", "0"), plan
    assert [one["id"] for one in plan["sample"]] == [str(first), str(other)]
    assert states(database) == ["parked"] * 3 and database.one("SELECT count(*) FROM txstream.audit") == 0
    status, made = post(console, "/replay", {"selection": selection, "events": "2", "reason": "limit raised"})
    assert status == 202 and (made["events"], made["is_decided"], made["link"]) == ("2", True, f"/jobs/{made['job']}"), made
    assert database.run("SELECT id, state, decided, resolved_by, resolved_reason FROM txstream.dead_letters ORDER BY id") == [
        (first, "replaying", True, "ana", "limit raised"), (held, "parked", False, None, None),
        (other, "replaying", True, "ana", "limit raised")]
    status, audit = get(console, "/audit")
    entry, = audit["items"]
    assert (entry["job"], entry["actor"], entry["origin"], entry["action"], entry["target"], entry["reason"], entry["affected"],
            entry["result"]) == (made["job"], "ana", "console", "dead-letters replay", selection, "limit raised", "2", "done")
    told = job(console, made["job"])
    assert (told["action"], told["state"], told["target"], told["actor"], told["origin"], told["reason"]) == (
        "replay", "running", selection, "ana", "console", "limit raised"), told
    assert (told["events"], told["decided"], told["waiting"], told["is_ended"], told["is_cancellable"]) == ("2", "2", "2", False, False), told
    status, again = post(console, "/replay", {"selection": selection, "events": "2"})
    assert (status, again["code"]) == (409, "letter_state"), again
    assert database.one("SELECT count(*) FROM txstream.audit") == 1


def test_more_than_was_shown_is_not_decided(console, database):
    park(database, "key-1")
    park(database, "key-2")
    body = {"selection": {"all": True}, "events": "1", "reason": "test data"}
    for action in ("replay", "discard"):
        status, problem = post(console, f"/{action}", body)
        assert (status, problem["code"]) == (409, "letter_state") and "2 events match by now" in problem["detail"], problem
    assert states(database) == ["parked"] * 2
    status, made = post(console, "/discard", {**body, "events": "2"})
    assert status == 202 and made["is_decided"], made
    assert states(database) == ["discarded"] * 2


def test_what_the_state_of_the_events_forbids_says_what_to_do_instead(console, database):
    first, second, held = park(database, "key-1"), park(database, "key-1", "OTHER"), park(database, "key-1", "held")
    for letter, told in [(second, f"cannot be sent before {first}."), (held, f"as soon as {first}.")]:
        for path, body in [("/plan", {"action": "replay"}), ("/replay", {"events": "1"})]:
            status, problem = post(console, path, {**body, "selection": {"id": f"{letter}.900"}})
            assert (status, problem["code"]) == (409, "letter_state") and told in problem["detail"], problem
    assert post(console, "/plan", {"action": "replay", "selection": {"id": "4711"}})[0] == 404
    assert states(database) == ["parked"] * 3


def test_a_body_that_is_not_understood_names_the_member_and_changes_nothing(console, database):
    park(database, "key-1")
    for path, body, field in [
            ("/plan", b"{", "body"), ("/plan", {"action": "replay"}, "selection"), ("/plan", {"action": "x", "selection": {"all": True}}, "action"),
            ("/replay", {"selection": {"kye": "a"}, "events": "1"}, "selection.kye"), ("/replay", {"selection": {"all": True}}, "events"),
            ("/discard", {"selection": {"all": True}, "events": "1"}, "reason"),
            ("/replay", {"selection": {"all": True}, "events": "1", "rate": 0}, "rate")]:
        status, problem = post(console, path, body)
        assert (status, problem["code"], problem["field"]) == (400, "invalid", field), (path, body, problem)
    status, problem = post(console, "/replay", {"selection": {"key": "x" * 70_000}, "events": "1"})
    assert status == 413, problem
    assert states(database) == ["parked"]


def test_a_viewer_decides_nothing_whatever_it_sends(world, console, database):
    park(database, "key-1")
    read_only = start(world, database, world.topic(create=False), CONSOLE_READ_ONLY="true")
    good = {"selection": {"all": True}, "events": "1", "reason": "because"}
    assert cancel(console, 1, {"reason": "because"}, VIEWER)[0] == cancel(read_only, 1, {"reason": "because"}, OPERATOR)[0] == 403
    for path, body in [("/plan", {"action": "replay", "selection": {"all": True}}), ("/replay", good), ("/discard", good),
                       ("/replay", {}), ("/discard", b"\xff")]:
        assert post(console, path, body, VIEWER)[0] == 403, path
        assert post(console, path, body, "a-wrong-token-0123456789")[0] in (401, 429), path
        assert post(read_only, path, body, OPERATOR)[0] == 403, path
    assert states(database) == ["parked"] and database.one("SELECT count(*) FROM txstream.audit") == 0
    assert get(console, "/audit")[0] == 200


def test_without_the_rights_of_an_operator_the_remedy_is_named_before_a_reason_is_asked_for(world, database):
    park(database, "key-1")
    login = f"{database.name}_reader"
    database.run(f"CREATE ROLE {login} LOGIN PASSWORD 'x' IN ROLE txstream_reader")
    world.things.append(lambda: database.run(f"DROP ROLE {login}"))
    console = start(world, database, world.topic(create=False), DATABASE_USER=login, DATABASE_PASSWORD="x")
    for path, body in [("/plan", {"action": "replay", "selection": {"all": True}}), ("/replay", {"selection": {"all": True}, "events": "1"})]:
        status, problem = post(console, path, body)
        assert (status, problem["code"]) == (403, "database_rights"), problem
        assert problem["remedy"] == {"kind": "sql", "text": f'GRANT txstream_operator TO "{login}"'}
    database.run(f"GRANT txstream_operator TO {login}")
    assert post(console, "/replay", {"selection": {"all": True}, "events": "1"})[0] == 202
    status, audit = get(console, "/audit")
    assert (audit["items"][0]["login"], audit["items"][0]["actor"]) == (login, "ana")


def test_a_large_decision_is_a_job_that_outlives_its_relay_and_its_page(world, database):
    topic = world.topic()
    pause(database, topic, "pause", "--reason", "so that the job stays in its middle")
    relay = paused_relay(world, database, topic)
    console = start(world, database, topic)
    park(database, "key", count=MANY)
    status, made = post(console, "/replay", {"selection": {"all": True}, "events": str(MANY), "reason": "repaired"})
    assert status == 202 and (made["events"], made["is_decided"]) == (str(MANY), False), made
    begun = eventually(lambda: (one := job(console, made["job"]))["decided"] != "0" and one, "a relay decides", timeout=LONG)
    assert begun["state"] == "running" and begun["is_cancellable"] and begun["runner"], begun
    relay.kill()
    console.kill()
    # Any other console tells, with no relay at all.
    other = start(world, database, topic)
    cut = job(other, made["job"])
    assert 0 < int(cut["decided"]) < MANY and (cut["state"], cut["carried_out"], cut["is_ended"]) == ("running", "0", False), cut
    pause(database, topic, "resume")
    world.start("relay", database, topic, WORKER_LEASE="2s")
    told = ended(other, made["job"])
    assert (told["state"], told["decided"], told["waiting"], told["carried_out"], told["parked_again"]) == (
        "done", str(MANY), "0", str(MANY), "0"), told
    assert {*states(database)} == {"replayed"}
    assert database.one("SELECT sum(affected) FROM txstream.audit WHERE job = %s", int(made["job"])) == MANY


def test_a_job_that_is_cancelled_decides_no_more_and_what_it_decided_is_carried_out(world, database):
    topic = world.topic()
    pause(database, topic, "pause", "--reason", "so that the job stays in its middle")
    paused_relay(world, database, topic)
    console = start(world, database, topic)
    park(database, "key", count=MANY)
    status, made = post(console, "/replay", {"selection": {"all": True}, "events": str(MANY)})
    assert status == 202, made
    number = made["job"]
    eventually(lambda: job(console, number)["decided"] != "0", "a relay decides", timeout=LONG)
    for body, field in [({}, "reason"), ({"reason": " "}, "reason"), ({"reason": "r", "id": "1"}, "id")]:
        status, problem = cancel(console, number, body)
        assert (status, problem["field"]) == (400, field), problem
    status, told = cancel(console, number, {"reason": "the wrong ones"})
    assert status == 200 and (told["state"], told["cancelled_by"], told["cancel_reason"]) == ("cancelled", "ana", "the wrong ones"), told
    decided = int(told["decided"])
    assert 0 < decided < MANY and not told["is_cancellable"] and not told["is_ended"], told
    status, problem = cancel(console, number, {"reason": "again"})
    assert (status, problem["code"]) == (409, "letter_state") and f"job {number} is cancelled already" in problem["detail"], problem
    pause(database, topic, "resume")
    told = ended(console, number)
    assert (told["state"], int(told["decided"]), int(told["carried_out"])) == ("cancelled", decided, decided), told
    assert states(database).count("replayed") == decided and states(database).count("parked") == MANY - decided
    entry = get(console, "/audit?action=jobs%20cancel")[1]["items"][0]
    assert (entry["actor"], entry["origin"], entry["reason"], entry["job"]) == ("ana", "console", "the wrong ones", number), entry
    assert cancel(console, 4711, {"reason": "none"})[0] == 404


def test_a_rate_leaves_the_deciding_to_the_relays_however_few_the_events_are(console, database):
    park(database, "key", count=3)
    status, made = post(console, "/replay", {"selection": {"all": True}, "events": "3", "rate": 200})
    assert status == 202 and not made["is_decided"], made
    told = job(console, made["job"])
    assert (told["state"], told["rate"], told["events"], told["decided"], told["started_at"], told["per_second"]) == (
        "waiting", 200, "3", "0", None, None), told
    assert states(database) == ["parked"] * 3
    status, told = cancel(console, made["job"], {"reason": "no relay"})
    assert status == 200 and told["is_ended"], "nothing of it waits"
    assert told["is_cancellable"] is False


def test_jobs_are_listed_in_pages_and_by_state(console, database):
    numbers = []
    for number in range(3):
        park(database, f"key-{number}")
        status, made = post(console, "/replay", {"selection": {"key": f"key-{number}"}, "events": "1", "reason": f"reason {number}"})
        assert status == 202, made
        numbers.append(made["job"])
    first = get(console, "/jobs?size=2")[1]
    assert [one["id"] for one in first["items"]] == numbers[:0:-1]
    last = get(console, f"/jobs?size=2&cursor={first['next_cursor']}")[1]
    assert [one["id"] for one in last["items"]] == numbers[:1] and last["next_cursor"] is None
    # As the owner of the lane does.
    database.run("UPDATE txstream.dead_letters SET state = 'replayed', decided = false WHERE key = 'key-1'")

    def are(state):
        return [one["id"] for one in get(console, f"/jobs?state={state}")[1]["items"]]

    eventually(lambda: are("done") == numbers[1:2], "one is done")
    assert are("running") == [numbers[2], numbers[0]] and are("waiting") == are("failed") == are("cancelled") == []
    assert {*are("open")} >= {numbers[0], numbers[2]}
    for path in ("size=0", "cursor=x", "state=strange"):
        assert get(console, f"/jobs?{path}")[0] == 400
    for number in ("4711", "0", "x", "99999999999999999999"):
        assert get(console, f"/jobs/{number}", "/jobs/{id}")[0] == 404


def test_the_audit_is_listed_in_pages_and_by_action(console, database):
    for number in range(3):
        park(database, f"key-{number}")
        body = {"selection": {"key": f"key-{number}"}, "events": "1", "reason": f"reason {number}"}
        assert post(console, "/discard" if number else "/replay", body)[0] == 202
    first = get(console, "/audit?size=2")[1]
    assert [one["reason"] for one in first["items"]] == ["reason 2", "reason 1"]
    last = get(console, f"/audit?size=2&cursor={first['next_cursor']}")[1]
    assert [one["reason"] for one in last["items"]] == ["reason 0"] and last["next_cursor"] is None
    assert [one["reason"] for one in get(console, "/audit?action=dead-letters%20replay")[1]["items"]] == ["reason 0"]
    for query in ("size=0", "cursor=x", "action=" + "x" * 101):
        assert get(console, f"/audit?{query}")[0] == 400


def test_a_relay_carries_out_what_the_console_decides(world, database):
    topic = world.topic(config={"max.message.bytes": "20000"})
    huge = str(database.publish("key-1", payload=json.dumps({"x": "y" * 30_000})))
    behind = str(database.publish("key-1"))
    world.start("relay", database, topic, WORKER_RETRY_DELAY="50ms")
    eventually(lambda: database.one("SELECT count(*) FROM txstream.dead_letters") == 2, "two events are parked")
    console = start(world, database, topic)
    selection = {"key": "key-1"}
    status, plan = post(console, "/plan", {"action": "discard", "selection": selection})
    assert status == 200 and (plan["events"], plan["held_behind"]) == ("1", "1"), plan
    status, made = post(console, "/discard", {"selection": selection, "events": "1", "reason": "too large for good"})
    assert status == 202, made
    records = topic.read_ids({behind})
    assert [event_id(record) for record in records] == [behind]
    told = ended(console, made["job"])
    assert (told["state"], told["decided"], told["carried_out"]) == ("done", "1", "1"), told
    assert database.one("SELECT state FROM txstream.dead_letters WHERE event_id = %s", huge) == "discarded"
