"""The console's pages of events, dead letters and orders: from an order to its record in Kafka and back, and to what went wrong."""
import json
import urllib.parse

from support.world import eventually, event_id

PROGRAM = {"Sec-Fetch-Site": "none"}
ADDRESS = {"street": "Rua A", "number": "1", "city": "São Paulo", "state": "SP", "zip_code": "01310-100", "country": "BR"}


def ask(console, path, **query):
    target = "/api/console/v1" + path + ("?" + urllib.parse.urlencode(query) if query else "")
    status, headers, text = console.request("GET", target, headers=PROGRAM)
    return status, headers, text


def get(console, path, **query):
    status, _, text = ask(console, path, **query)
    assert status == 200, text
    return json.loads(text)


def refused(console, path, **query):
    status, _, text = ask(console, path, **query)
    assert status >= 400
    return status, json.loads(text)


def place_order(server, number):
    order = {"customer_id": "c-1", "order_number": number, "shipping_address": ADDRESS, "billing_address": ADDRESS,
             "items": [{"product_id": "p", "product_name": "Café", "quantity": 3, "unit_price": 0.10}]}
    status, _, text = server.request("POST", "/api/v1/orders", json.dumps(order))
    assert status == 201, text
    return json.loads(text)["id"]


def test_an_order_is_followed_to_its_record_and_back(world):
    database, topic = world.database(), world.topic(partitions=3)
    server = world.start("serve", database, topic)
    ids = {number: place_order(server, number) for number in ("N-1", "N-2", "M-3")}
    topic.read(lambda records: len(records) >= 3)
    console = world.start("console", database, topic)

    newest = get(console, "/orders")["items"]
    assert [one["order_number"] for one in newest] == ["M-3", "N-2", "N-1"]
    row = eventually(
        lambda: (one := get(console, "/orders", q="number:N-2")["items"][0])["event_state"] == "published" and one,
        "the order's event is published")
    assert (row["id"], row["total_amount"], row["items"]) == (ids["N-2"], "0.30", 1)
    assert [one["order_number"] for one in get(console, "/orders", q="N-*")["items"]] == ["N-1", "N-2"]
    first = get(console, "/orders", size=2)
    assert [one["order_number"] for one in get(console, "/orders", size=2, cursor=first["next_cursor"])["items"]] == ["N-1"]

    order = get(console, "/orders/N-2")
    assert order["order"]["id"] == ids["N-2"] and get(console, f"/orders/{ids['N-2']}")["items"] == order["items"]
    assert json.loads(order["json"]["data"])["order_number"] == "N-2"
    assert [(one["name"], one["state"]) for one in order["stations"]] == [
        ("request", "done"), ("order", "done"), ("event", "done"), ("record", "done"), ("groups", "unknown")]
    ref = order["events"][0]["ref"]
    assert [one["ref"] for one in get(console, "/events", q="order:N-2")["items"]] == [ref]
    assert get(console, "/events", q="order:none")["items"] == []

    event = get(console, f"/events/{ref}")
    assert event["event"]["state"] == "published" and event["publication"]["ranges"][0]["topic"] == topic.name
    assert [one["step"] for one in event["timeline"]] == ["committed", "published"]
    assert all(one["since_previous_ms"] is None or one["since_previous_ms"] >= 0 for one in event["timeline"])
    assert [one["ref"] for one in event["neighbours"]] == [ref]

    record = get(console, f"/events/{ref}/record")
    assert record["topic"] == topic.name and record["reason"] is None
    place = f"{topic.name}/{{}}/{record['partition']}/{record['offset']}"
    message = get(console, "/topics/" + place.format("messages"))
    assert message["event_id"] == event["event"]["event_id"]
    # What the console shows of headers is what was sent; a relay that was held up has added why.
    assert [one for one in message["headers"] if not one["name"].startswith("txstream-")] == event["headers"]
    assert message["value"] == event["value"]
    back = get(console, f"/records/{topic.name}/{record['partition']}/{record['offset']}/event")
    assert back["event"]["ref"] == ref and back["reason"] is None
    assert get(console, f"/records/{topic.name}/{record['partition']}/999/event")["event"] is None


def test_the_record_is_found_where_several_pages_were_acknowledged_as_one(world):
    """A relay that was held up writes one row for many pages, with several ranges of one partition."""
    database, topic = world.database(), world.topic(partitions=1)
    ids = {str(database.publish(f"key-{number}")) for number in range(6)}
    world.start("relay", database, topic)
    records = topic.read_ids(ids)
    eventually(lambda: database.one("SELECT coalesce(sum(events), 0) FROM txstream.positions") == 6, "all are acknowledged")
    database.run(
        "UPDATE txstream.positions SET records = (SELECT json_agg(json_build_object("
        "'topic', r->>'topic', 'partition', (r->>'partition')::int, 'first', o, 'last', o))"
        " FROM json_array_elements(records) r, generate_series((r->>'first')::bigint, (r->>'last')::bigint) o) WHERE events > 0")
    console = world.start("console", database, topic)
    offsets = {event_id(record): str(record.offset()) for record in records}
    for event in get(console, "/events")["items"]:
        assert get(console, f"/events/{event['ref']}/record")["offset"] == offsets[event["event_id"]]


def test_the_cause_of_parked_events_is_found_and_what_waits_behind_it(world):
    database = world.database()
    topic = world.topic(config={"max.message.bytes": "20000"})
    huge = str(database.publish("key-3", payload=json.dumps({"x": "y" * 50_000})))
    behind = [str(database.publish("key-3", payload='{"behind": 1}')) for _ in range(2)]
    free = str(database.publish("key-4"))
    world.start("relay", database, topic, WORKER_RETRY_DELAY="50ms")
    assert {event_id(record) for record in topic.read_ids({free})} == {free}
    eventually(lambda: database.one("SELECT count(*) FROM txstream.dead_letters") == 3, "three events are parked")
    console = world.start("console", database, topic)

    groups = get(console, "/dead-letters/groups")
    assert groups["is_complete"]
    by_class = {one["error_class"]: one for one in groups["items"]}
    assert by_class["held"]["events"] == {"value": "2", "exact": True} and by_class["held"]["keys"]["value"] == "1"
    cause = by_class["MSG_SIZE_TOO_LARGE"]
    assert cause["topic"] == topic.name and cause["remedy"] == {
        "kind": "command", "text": f"kafka-configs.sh --bootstrap-server {topic.bootstrap} --alter --entity-type topics"
        f" --entity-name {topic.name} --add-config max.message.bytes=51200"}
    ref = cause["example"]["ref"]
    assert cause["example"]["event_id"] == huge
    filters = {name: cause[name] for name in ("error_class", "event_type", "topic", "state")}
    assert [one["ref"] for one in get(console, "/dead-letters", **filters)["items"]] == [ref]

    held = get(console, "/events", q="error:held", size=1)
    assert held["search"]["is_exact"] and held["items"][0]["event_id"] == behind[1]
    older = get(console, "/events", q="error:held", size=1, cursor=held["next_cursor"])
    assert older["items"][0]["event_id"] == behind[0] and older["next_cursor"] is None
    waits = get(console, f"/events/{held['items'][0]['ref']}")
    assert waits["held_behind"]["ref"] == ref and waits["dead_letter"]["error_class"] == "held"
    assert [one["event_id"] for one in waits["neighbours"]] == [huge, *behind]
    parked = get(console, f"/events/{ref}")
    assert [one["step"] for one in parked["timeline"]] == ["committed", "parked"]
    assert parked["payload"]["size"] == "50009" and not parked["payload"]["truncated"]
    value = json.loads(parked["value"]["data"])
    assert value["event_id"] == huge and value["event_data"] == {"x": "y" * 50_000}
    assert get(console, f"/events/{ref}/record")["reason"]

    status, headers, text = ask(console, f"/events/{ref}/payload")
    assert status == 200 and json.loads(text) == {"x": "y" * 50_000}
    assert headers["Content-Disposition"].startswith("attachment")
    lines = [json.loads(line) for line in ask(console, "/dead-letters/export")[2].splitlines()]
    assert [one["event_id"] for one in lines] == [behind[1], behind[0], huge]
    assert lines[0]["payload"]["data"] == '{"behind": 1}'


def test_a_viewer_does_not_see_what_is_masked(world):
    database, topic = world.database(), world.topic(create=False)
    database.publish("key-1", payload='{"secret": 1, "open": 2}')
    database.run("SELECT txstream.publish_bytes('T', 'key-2', 'E', 'secret'::bytea, 'text/plain')")
    database.run("INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type, aggregate_id, event_type, key, payload,"
                 " payload_bytes, content_type, created_at, attempts, error_class, error) SELECT id, xid, event_id, lane, aggregate_type,"
                 " aggregate_id, event_type, aggregate_id, payload, payload_bytes, content_type, created_at, 1, 'X', 'x'"
                 " FROM txstream.outbox")
    console = world.start("console", database, topic, ready=False, CONSOLE_MASK="$.secret")
    eventually(lambda: listens(console), "the console listens")
    binary, plain = (one["ref"] for one in get(console, "/events")["items"])
    shown = get(console, f"/events/{plain}")["payload"]
    assert shown["is_masked"] and json.loads(shown["data"]) == {"secret": "•••", "open": 2}
    assert json.loads(ask(console, f"/events/{plain}/payload")[2]) == {"secret": "•••", "open": 2}
    value = get(console, f"/events/{plain}")["value"]
    assert value["is_masked"] and json.loads(value["data"])["event_data"] == {"secret": "•••", "open": 2}
    for part in ("payload", "value"):
        hidden = get(console, f"/events/{binary}")[part]
        assert hidden["is_masked"] and hidden["data"] == "" and hidden["truncated"]
    assert ask(console, f"/events/{binary}/payload")[0] == 403
    exported = ask(console, "/dead-letters/export")[2]
    assert len(exported.splitlines()) == 2
    for line in exported.splitlines():
        assert json.loads(line)["payload"]["data"] in ("", '{"secret": "•••", "open": 2}')


def test_what_cannot_be_understood_is_answered_with_its_place(world):
    database, topic = world.database(), world.topic(create=False)
    console = world.start("console", database, topic, ready=False)
    eventually(lambda: listens(console), "the console listens")
    status, problem = refused(console, "/events", q="type:A state:gone")
    assert (status, problem["field"], problem["column"]) == (400, "q", 13)
    for path, query, field in [
            ("/events", {"cursor": "x"}, "cursor"), ("/events", {"size": "101"}, "size"), ("/events/7", {}, "ref"),
            ("/dead-letters", {"state": "x"}, "state"), ("/dead-letters", {"cursor": "e30"}, "cursor"),
            ("/orders", {"q": "id:7"}, "q"), ("/orders", {"cursor": "e30"}, "cursor")]:
        status, problem = refused(console, path, **query)
        assert (status, problem["field"]) == (400, field), (path, query, problem)
    assert refused(console, "/events/1.1")[0] == 404
    assert refused(console, "/orders/none")[0] == 404
    assert get(console, "/events") == {
        "items": [], "next_cursor": None,
        "search": {"is_exact": True, "searched": "0", "back_to": None, "is_complete": True}}
    assert get(console, "/dead-letters/groups") == {"items": [], "is_complete": True}
    assert get(console, "/orders") == {"items": [], "next_cursor": None}
    # The rest of the console needs no orders.
    database.run("DROP TABLE public.orders CASCADE")
    assert refused(console, "/orders", q="x")[1]["code"] == "not_supported"


def listens(console):
    try:
        return console.request("GET", "/livez", timeout=5)[0] == 200
    except OSError:
        return False
