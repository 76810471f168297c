"""Dead letters decided about in the console: planned, decided once, written down, carried out by a relay; and never by a viewer."""
import json

import pytest
from support.console import ask, listens
from support.contract import PREFIX, Contract
from support.world import eventually, event_id

CONTRACT = Contract()
VIEWER, OPERATOR = "viewer-token-0123456789", "operator-token-0123456789"
LETTERS = PREFIX + "/dead-letters"


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
    assert status == 200 and (made["events"], made["decided"]) == ("2", "2"), made
    assert database.run("SELECT id, state, decided, resolved_by, resolved_reason FROM txstream.dead_letters ORDER BY id") == [
        (first, "replaying", True, "ana", "limit raised"), (held, "parked", False, None, None),
        (other, "replaying", True, "ana", "limit raised")]
    status, audit = get(console, "/audit")
    entry, = audit["items"]
    assert (entry["id"], entry["actor"], entry["origin"], entry["action"], entry["target"], entry["reason"], entry["affected"],
            entry["result"]) == (made["audit_id"], "ana", "console", "dead-letters replay", selection, "limit raised", "2", "done")
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
    assert status == 200 and made["decided"] == "2", made
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
            ("/discard", {"selection": {"all": True}, "events": "1"}, "reason")]:
        status, problem = post(console, path, body)
        assert (status, problem["code"], problem["field"]) == (400, "invalid", field), (path, body, problem)
    status, problem = post(console, "/replay", {"selection": {"key": "x" * 70_000}, "events": "1"})
    assert status == 413, problem
    assert states(database) == ["parked"]


def test_a_viewer_decides_nothing_whatever_it_sends(world, console, database):
    park(database, "key-1")
    read_only = start(world, database, world.topic(create=False), CONSOLE_READ_ONLY="true")
    good = {"selection": {"all": True}, "events": "1", "reason": "because"}
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
    assert post(console, "/replay", {"selection": {"all": True}, "events": "1"})[0] == 200
    status, audit = get(console, "/audit")
    assert (audit["items"][0]["login"], audit["items"][0]["actor"]) == (login, "ana")


def test_a_large_decision_is_answered_after_its_first_step_and_ends_without_its_caller(console, database):
    park(database, "key", count=12_000)
    status, made = post(console, "/discard", {"selection": {"all": True}, "events": "12000", "reason": "load test"})
    assert status == 200 and made["events"] == "12000" and int(made["decided"]) >= 10_000, made
    path = f"/dead-letters/progress?audit_id={made['audit_id']}"
    # The others are answered meanwhile.
    assert get(console, "/dead-letters/groups")[0] == 200
    told = eventually(lambda: (one := get(console, path)[1])["decided"] == "12000" and not one["is_deciding"] and one, "all is decided")
    assert (told["events"], told["waiting"], told["carried_out"]) == ("12000", {"value": "12000", "exact": True}, None), told
    assert [entry["result"] for entry in reversed(get(console, "/audit")[1]["items"])] == ["1 to 10000 of 12000", "10001 to 12000 of 12000"]
    # As the owners of the lanes do.
    database.run("UPDATE txstream.dead_letters SET decided = false")
    told = eventually(lambda: (one := get(console, path)[1])["waiting"]["value"] == "0" and one, "nothing waits")
    assert told["carried_out"] == "12000", told


def test_the_audit_is_listed_in_pages_and_by_action(console, database):
    for number in range(3):
        park(database, f"key-{number}")
        body = {"selection": {"key": f"key-{number}"}, "events": "1", "reason": f"reason {number}"}
        assert post(console, "/discard" if number else "/replay", body)[0] == 200
    first = get(console, "/audit?size=2")[1]
    assert [one["reason"] for one in first["items"]] == ["reason 2", "reason 1"]
    last = get(console, f"/audit?size=2&cursor={first['next_cursor']}")[1]
    assert [one["reason"] for one in last["items"]] == ["reason 0"] and last["next_cursor"] is None
    assert [one["reason"] for one in get(console, "/audit?action=dead-letters%20replay")[1]["items"]] == ["reason 0"]
    for query in ("size=0", "cursor=x", "action=" + "x" * 101):
        assert get(console, f"/audit?{query}")[0] == 400
    assert get(console, "/dead-letters/progress?audit_id=4711")[0] == 404
    assert get(console, "/dead-letters/progress")[0] == 400


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
    assert status == 200, made
    records = topic.read_ids({behind})
    assert [event_id(record) for record in records] == [behind]
    told = eventually(lambda: (one := get(console, f"/dead-letters/progress?audit_id={made['audit_id']}")[1])["waiting"]["value"] == "0" and one,
                      "the decision is carried out")
    assert (told["decided"], told["carried_out"], told["is_deciding"]) == ("1", "1", False), told
    assert database.one("SELECT state FROM txstream.dead_letters WHERE event_id = %s", huge) == "discarded"
