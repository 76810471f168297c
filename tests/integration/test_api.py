"""The contract of the orders API, as its users know it: the documented calls, unchanged, against the built binary."""
import concurrent.futures
import contextlib
import json
import pathlib
import re
import socket
import threading
import time
import urllib.parse
import urllib.request

import pytest
from support.world import ROOT, eventually, header

EXAMPLES = pathlib.Path(ROOT) / "tests/data/earlier-examples"


def example(name):
    return (EXAMPLES / name).read_text()


def order(**changes):
    return json.dumps({**json.loads(example("create-simple.json")), **changes})


@pytest.fixture
def api(world):
    world.db, world.events = world.database(), world.topic()
    return world.start("serve", world.db, world.events)


def shape(value):
    """Field names, their order and their types."""
    if isinstance(value, dict):
        return [(name, shape(inner)) for name, inner in value.items()]
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return "number" if isinstance(value, (int, float)) else type(value).__name__


def test_the_documented_bodies_are_taken_and_answered_as_documented(world, api):
    for name in ("create-simple.json", "create-endpoint.json", "create-multi-item.json"):
        wanted = json.loads(example(name))
        wanted["order_number"] = name
        status, headers, text = api.request("POST", "/api/v1/orders", json.dumps(wanted))
        assert status == 201, text
        assert headers["Content-Type"] == "application/json"
        made = json.loads(text)
        assert headers["Location"] == f"/api/v1/orders/{made['id']}"
        assert api.request("GET", headers["Location"])[2] == text
        assert api.request("GET", f"/api/v1/orders/number/{name}")[2] == text
        assert made["shipping_address"] == wanted["shipping_address"]
        assert made["billing_address"] == wanted["billing_address"]
        if name == "create-simple.json":
            assert shape(made) == shape(json.loads(example("created.json")))
            assert '"total_amount":100.00,' in text and "São Paulo" in text
    newest = json.loads(api.request("GET", "/api/v1/orders?limit=2")[2])
    assert [one["order_number"] for one in newest] == ["create-multi-item.json", "create-endpoint.json"]
    assert [one["order_number"] for one in json.loads(api.request("GET", "/api/v1/orders?limit=5&offset=2")[2])] == [
        "create-simple.json"]


def test_an_order_and_its_event_are_one(world, api):
    status, _, text = api.request("POST", "/api/v1/orders", order())
    assert status == 201
    made = json.loads(text)
    record = world.events.read(lambda records: len(records) == 1)[0]
    assert record.key().decode() == made["id"]
    value = json.loads(record.value())
    assert list(value) == ["event_id", "aggregate_id", "aggregate_type", "event_type", "event_data", "created_at",
                           "event_metadata"]
    data = value["event_data"]
    assert list(data)[:8] == ["order_id", "customer_id", "order_number", "status", "total_amount", "currency",
                              "items_count", "created_at"]
    assert data["items"][0]["product_id"] == "prod-1" and data["billing_address"] == made["billing_address"]
    assert value["event_metadata"] == {"source": "txstream-api", "version": "1.0", "correlation_id": made["id"]}
    assert header(record, "event_type") == "OrderCreated" and header(record, "event_id") == value["event_id"]

    def published():
        event = json.loads(api.request("GET", "/api/v1/events?limit=1")[2])[0]
        return event if event["status"] == "published" else None

    event = eventually(published, "the event is told as published")
    assert event["id"] == value["event_id"] and event["published_at"] and event["error_message"] is None
    assert event["event_data"] == data


def test_the_trace_of_a_request_is_stored_with_its_event_and_in_its_log_lines(world):
    parent, state = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 'rojo="1",congo=t61rcWkgMzE'
    database, topic = world.database(), world.topic()
    api = world.start("serve", database, topic, LOGGING_LEVEL="debug")
    sent = {
        "both": {"traceparent": parent, "tracestate": state, "X-Request-Id": "mine"},
        "malformed": {"traceparent": parent.upper(), "tracestate": state},
        "without": {},
    }
    for number, headers in sent.items():
        assert api.request("POST", "/api/v1/orders", order(order_number=number), headers)[0] == 201
    records = topic.read(lambda found: len(found) == len(sent))
    traces = {json.loads(one.value())["event_data"]["order_number"]: (header(one, "traceparent"), header(one, "tracestate"))
              for one in records}
    assert traces == {"both": (parent, state), "malformed": (None, None), "without": (None, None)}
    assert database.run("SELECT DISTINCT headers::text FROM txstream.outbox WHERE headers IS NOT NULL") == [
        (json.dumps({"traceparent": parent, "tracestate": state}, separators=(",", ":")),)]
    lines = [line for line in api.logs("request") if line["route"] == "/api/v1/orders"]
    assert [(line.get("trace_id"), line.get("span_id")) for line in lines] == [
        (parent[3:35], parent[36:52]), (None, None), (None, None)]
    assert lines[0]["request_id"] == "mine"
    eventually(lambda: len(api.logs("published")) == len(sent), "each event has its line")
    assert sorted(line.get("trace_id", "") for line in api.logs("published")) == ["", "", parent[3:35]]


def test_a_failing_outbox_takes_the_order_with_it(world, api):
    world.db.run("ALTER TABLE txstream.outbox RENAME TO outbox_away")
    status, _, text = api.request("POST", "/api/v1/orders", order())
    assert status == 500 and "outbox" not in text and "INSERT" not in text, text
    assert world.db.one("SELECT count(*) FROM orders") == 0 and world.db.one("SELECT count(*) FROM order_items") == 0
    world.db.run("ALTER TABLE txstream.outbox_away RENAME TO outbox")
    assert api.request("POST", "/api/v1/orders", order())[0] == 201


def test_a_repeated_order_number_is_a_conflict_even_at_the_same_time(world, api):
    assert api.request("POST", "/api/v1/orders", order())[0] == 201
    status, _, text = api.request("POST", "/api/v1/orders", order())
    assert (status, json.loads(text)) == (409, json.loads(example("error-duplicate.json")))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(
            lambda _: api.request("POST", "/api/v1/orders", order(order_number="RACE"))[0], range(32)))
    assert sorted(answers) == [201] + [409] * 31
    assert world.db.one("SELECT count(*) FROM orders") == 2
    assert world.db.one("SELECT count(*) FROM txstream.outbox") == 2


def test_an_invalid_order_is_refused_before_anything_is_written(world, api):
    status, headers, text = api.request("POST", "/api/v1/orders", order(customer_id=""))
    assert (status, json.loads(text)) == (400, json.loads(example("error-validation.json")))
    assert headers["Content-Type"].startswith("application/json")
    item = json.loads(order())["items"][0]
    for body, message in [
        ("{", "Invalid JSON payload"),
        (order(order_number=None), "validation error: order_number is required"),
        (order(items=[]), "validation error: at least one item is required"),
        (order(items=[{**item, "quantity": 0}]), "validation error: item[0]: quantity must be greater than 0"),
        (order(items=[{**item, "unit_price": -1}]), "validation error: item[0]: unit_price cannot be negative"),
        (order(billing_address={}), "validation error: billing_address: street is required"),
    ]:
        status, _, text = api.request("POST", "/api/v1/orders", body)
        assert (status, json.loads(text)["error"]) == (400, message)
    status, _, text = api.request("POST", "/api/v1/orders", order(items=[{**item, "unit_price": 15.505}]))
    assert status == 400 and "unit_price" in text and "two decimals" in text, text
    assert world.db.one("SELECT count(*) FROM txstream.outbox") == 0


def test_money_is_exact(api):
    item = json.loads(order())["items"][0]
    cases = [("0.1", 3, '"total_amount":0.30,'), ("99.99", 2, '"total_amount":199.98,'), ("15.50", 1, '"unit_price":15.50,')]
    for number, (price, quantity, expected) in enumerate(cases):
        body = order(order_number=f"M-{number}", items=[{**item, "unit_price": "@", "quantity": quantity}])
        status, _, text = api.request("POST", "/api/v1/orders", body.replace('"@"', price))
        assert status == 201 and expected in text, text
        assert expected in api.request("GET", f"/api/v1/orders/number/M-{number}")[2]


def test_concurrent_orders_do_not_disturb_each_other(world, api):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        bodies = [order(order_number=f"C-{n}") if n % 4 else order(customer_id="") for n in range(200)]
        answers = list(pool.map(lambda body: api.request("POST", "/api/v1/orders", body)[0], bodies))
    assert answers.count(201) == 150 and answers.count(400) == 50
    assert world.db.one("SELECT count(*) FROM orders") == 150
    world.events.read(lambda records: len(records) == 150)


def test_what_does_not_exist_is_404_and_never_500(api):
    unknown = "00000000-0000-4000-8000-000000000000"
    assert json.loads(api.request("GET", f"/api/v1/orders/{unknown}")[2]) == {
        "error": f"failed to get order: order not found with id: {unknown}"}
    for path in (f"/api/v1/orders/{unknown}", "/api/v1/orders/not-a-uuid", "/api/v1/orders/number/NONE", "/nothing"):
        assert api.request("GET", path)[0] == 404, path
    assert api.request("DELETE", "/api/v1/orders")[0] == 405
    for query in ("limit=0", "limit=-1", "offset=-5", "limit=100000", "offset=100000", f"limit={2**70}", f"offset=-{2**70}"):
        assert api.request("GET", f"/api/v1/orders?{query}")[0] == 200, query
    for offset in (100001, 2**62, 2**63, 2**70):
        for path in ("orders", "events"):
            status, _, text = api.request("GET", f"/api/v1/{path}?offset={offset}")
            assert (status, json.loads(text)) == (400, {"error": "offset is 100000 at most"})


def test_a_list_ends_at_its_bytes_and_says_where_the_next_page_begins(api):
    item = {**json.loads(order())["items"][0], "product_name": "x" * 255, "product_id": "y" * 255}
    for number in range(10):
        assert api.request("POST", "/api/v1/orders", order(order_number=f"L-{number}", items=[item] * 1000))[0] == 201
    for path, name in (("/api/v1/orders?limit=100", "order_number"), ("/api/v1/events?limit=100", "aggregate_id")):
        seen, pages = [], 0
        while path:
            status, headers, text = api.request("GET", path)
            rows = json.loads(text)
            assert status == 200 and 1 <= len(rows) < 10 and len(text) <= 4.1 * 2**20
            seen += [row[name] for row in rows]
            pages += 1
            path = headers["Link"] and headers["Link"].split("<")[1].split(">")[0]
        assert len(seen) == len(set(seen)) == 10 and 1 < pages < 10
    assert api.request("GET", "/api/v1/orders?limit=1")[1]["Link"] is None


def test_a_database_that_is_away_is_told_and_nothing_is_half_done(world):
    server = world.postgres()
    database, topic = world.database(server=server.dsn), world.topic()
    api = world.start("api", database, topic)
    assert api.request("POST", "/api/v1/orders", order())[0] == 201
    server.kill()
    status, headers, text = api.request("POST", "/api/v1/orders", order(order_number="AWAY"))
    assert status in (503, 504) and "PostgreSQL" not in text, text
    eventually(lambda: api.request("GET", "/readyz")[0] == 503, "it is not ready")
    assert api.request("GET", "/livez")[0] == 200
    server.start()
    eventually(lambda: api.request("GET", "/readyz")[0] == 200, "it is ready again")
    assert api.request("POST", "/api/v1/orders", order(order_number="BACK"))[0] == 201


class Gate:
    """Stands between a process and PostgreSQL. Closed, it takes connections and answers nothing, as a host that is gone."""

    def __init__(self, host, port):
        self.target, self.is_open, self.pairs = (host, port), True, []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            pair = [client]
            self.pairs.append(pair)
            if self.is_open:
                pair.append(socket.create_connection(self.target))
                for source, sink in (pair, pair[::-1]):
                    threading.Thread(target=self.copy, args=(source, sink), daemon=True).start()

    @staticmethod
    def copy(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.is_open = False
        for pair in self.pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


def test_traffic_does_not_make_a_database_ready_that_cannot_be_reached(world):
    database, topic = world.database(), world.topic()
    gate = Gate(database.server["host"], int(database.server["port"]))
    api = world.start("api", database, topic, DATABASE_HOST="127.0.0.1", DATABASE_PORT=str(gate.port))
    assert api.request("GET", "/readyz")[0] == 200
    gate.close()
    ended = threading.Event()

    def traffic(_):
        while not ended.is_set():
            with contextlib.suppress(OSError):
                api.request("GET", "/api/v1/orders", timeout=1)

    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        try:
            asking = [pool.submit(traffic, number) for number in range(30)]
            eventually(lambda: api.request("GET", "/readyz")[0] == 503, "it is not ready", 15)
            assert api.request("GET", "/health")[0] == 503
            pool_of = {state: api.metric("txstream_db_pool_connections", state=state)
                       for state in ("idle", "in_use", "connecting")}
            assert pool_of["connecting"] > 0 and all(0 <= count <= 25 for count in pool_of.values()), pool_of
        finally:
            ended.set()
    assert len(asking) == 30


def test_each_metrics_page_of_a_process_tells_of_the_pool_of_the_api(api):
    for _ in range(3):
        assert api.request("GET", "/api/v1/orders")[0] == 200

    def tells(port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
            lines = page.read().decode().splitlines()
        # One session is enough, but the API's look at the delivery may have come at the same time as a request.
        return {'txstream_db_pool_connections{state="in_use"} 0', "txstream_http_requests_in_flight 1"} <= set(lines) and (
            {'txstream_db_pool_connections{state="idle"} 1', 'txstream_db_pool_connections{state="idle"} 2'} & set(lines))

    for port in (api.port, api.metrics_port, api.port):
        # The API looks at the delivery now and then, and has the session for as long.
        eventually(lambda port=port: tells(port), f"the page on port {port} tells of the pool as it is")


def test_an_api_alone_tells_whether_a_relay_holds_the_lanes(world):
    database, topic = world.database(), world.topic()
    api = world.start("api", database, topic)
    health = json.loads(api.request("GET", "/health")[2])
    assert health["status"] == "degraded" and health["delivery"]["reasons"][0]["reason"] == "no_worker", health
    assert api.request("GET", "/ready")[0] == 200, "what it takes is safe"
    relay = world.start("relay", database, topic, WORKER_LEASE="2s")
    eventually(lambda: json.loads(api.request("GET", "/health")[2])["status"] == "healthy", "the lanes have an owner")
    relay.kill()
    eventually(lambda: json.loads(api.request("GET", "/health")[2])["status"] == "degraded", "their leases end", 15)


def test_health_tells_of_the_parts_and_of_no_hosts(world, api):
    health = json.loads(api.request("GET", "/health")[2])
    assert health["status"] == "healthy" and health["version"] and health["database_stats"]["status"] == "up"
    assert "127.0.0.1" not in json.dumps(health)
    ready = json.loads(api.request("GET", "/ready")[2])
    assert ready["status"] == "ready" and ready["services"]["database"] == "ready"
    with contextlib.suppress(OSError):
        api.process.send_signal(15)
    assert api.process.wait(40) == 0


def item_of(**changes):
    return {**json.loads(order())["items"][0], **changes}


def test_money_is_never_guessed_and_a_currency_is_kept(world, api):
    priced = item_of()
    del priced["unit_price"]
    for items in ([priced], [item_of(unit_price=None)], [{**priced, "unitPrice": 9.99}]):
        status, _, text = api.request("POST", "/api/v1/orders", order(items=items))
        assert (status, json.loads(text)["error"]) == (400, "validation error: item[0]: unit_price is required"), text
    for wrong in ({"currency": "usd"}, {"currency": "XTS"}, {"currency": ""}, {"currency": None}, {"currency": 986},
                  {"curency": "USD"}):
        status, _, text = api.request("POST", "/api/v1/orders", order(**wrong))
        assert status == 400 and "currency" in json.loads(text)["error"], text
    for price in ("1e400", "9" * 400):
        body = order(items=[item_of(unit_price="@")]).replace('"@"', price)
        status, _, text = api.request("POST", "/api/v1/orders", body)
        assert (status, json.loads(text)["error"]) == (400, "validation error: item[0]: unit_price is out of range"), text
    assert world.db.one("SELECT count(*) FROM txstream.outbox") == 0

    for number, currency in enumerate((None, "USD", "JPY", "KWD")):
        more = {} if currency is None else {"currency": currency}
        status, headers, text = api.request(
            "POST", "/api/v1/orders", order(order_number=f"CUR-{number}", items=[item_of(unit_price=7)], **more))
        assert (status, json.loads(text)["currency"]) == (201, currency or "BRL"), text
        assert json.loads(api.request("GET", headers["Location"])[2])["currency"] == (currency or "BRL")
    events = world.events.read(lambda records: len(records) == 4)
    assert sorted(json.loads(one.value())["event_data"]["currency"] for one in events) == ["BRL", "JPY", "KWD", "USD"]


def test_malformed_json_is_refused_with_its_place(api):
    whole = order()
    for body, place in [
        ("{", "byte 2 (line 1, column 2)"),
        ('{\n  "customer_id": "ã",\n  x', "byte 28 (line 3, column 3)"),
        (whole[:-1], f"byte {len(whole.encode())} "),
        (whole.encode().replace(b"demo-1", b"\xe3", 1), "UTF-8"),
        (whole.replace("demo-1", "\\ud800", 1), "surrogate"),
        (whole.replace("demo-1", "\0", 1), "zero byte"),
        ("[" * 100, "nested deeper"),
        ("[]", "not an object"),
        (whole.replace("100.0", "NaN", 1), "syntax error"),
    ]:
        status, _, text = api.request("POST", "/api/v1/orders", body)
        answer = json.loads(text)
        assert (status, answer["error"]) == (400, "Invalid JSON payload"), text
        assert place in answer["detail"] and answer["detail"].startswith("byte "), text


def test_a_query_that_would_give_another_page_is_refused_by_name(world, api):
    for path in ("/api/v1/orders", "/api/v1/events"):
        for query, name in [
            ("page=2", "'page'"), ("limit=5&Offset=5", "'Offset'"), ("limit=5&status=pending", "'status'"), ("=1", "''"),
            ("limit=abc", "limit"), ("limit=", "limit"), ("limit", "limit"), ("limit=5.0", "limit"), ("limit=1e2", "limit"),
            ("limit=%205", "limit"), ("limit=%2B5", "limit"), ("limit=0x10", "limit"), ("offset=x", "offset"),
            ("offset=--1", "offset"), ("offset=-", "offset"), ("limit=5&limit=5", "limit"), ("offset=1&offset=", "offset"),
            ("a" * 5000 + "=1", "aaa"),
        ]:
            status, _, text = api.request("GET", f"{path}?{query}")
            assert status == 400 and name in json.loads(text)["error"] and len(text) < 300, (query, text)
    status, headers, _ = api.request("POST", "/api/v1/orders", order())
    for path in (headers["Location"], "/api/v1/orders/number/ORD-001"):
        status, _, text = api.request("GET", f"{path}?fields=id")
        assert status == 400 and "'fields'" in text, text
    status, _, text = api.request("POST", "/api/v1/orders?dry_run=true", order(order_number="DRY"))
    assert status == 400 and "'dry_run'" in text, text
    assert world.db.one("SELECT count(*) FROM orders") == 1


def test_a_clients_text_is_answered_short_and_never_500(api):
    for path in ("/api/v1/orders/" + "x" * 5000, "/api/v1/orders/number/" + "y" * 5000,
                 "/api/v1/orders/number/" + "%22%0a%01%F0%9F%98%80" * 10):
        status, _, text = api.request("GET", path)
        assert status == 404 and len(text) < 400 and "order not found with" in json.loads(text)["error"], text
    assert api.request("GET", "/api/v1/orders/number/a%00b")[0] == 400
    assert api.request("GET", "/api/v1/orders/number/%ff")[0] == 400
    number = "a/b \x01\"%ã"
    status, _, text = api.request("POST", "/api/v1/orders", order(order_number=number))
    assert (status, json.loads(text)["order_number"]) == (201, number), text
    assert api.request("GET", "/api/v1/orders/number/" + urllib.parse.quote(number, safe=""))[0] == 200
    status, _, text = api.request("POST", "/api/v1/orders", order(order_number=number))
    assert (status, json.loads(text)["error"]) == (409, f"order with number {number} already exists")


def test_a_value_that_a_narrowed_column_refuses_is_400(world, api):
    world.db.run("ALTER TABLE orders ALTER customer_id TYPE varchar(3), ALTER total_amount TYPE numeric(4,2)")
    for changes in ({}, {"customer_id": "c"}):
        status, _, text = api.request("POST", "/api/v1/orders", order(**changes))
        assert status == 400 and "does not fit" in json.loads(text)["error"], text
    assert world.db.one("SELECT count(*) FROM txstream.outbox") == 0


# The record of the largest order that is accepted must fit, and nothing may shrink it on its way: no compression.
def test_an_order_whose_event_kafka_would_refuse_is_413_and_the_largest_accepted_one_arrives(world):
    database, topic = world.database(), world.topic(config={"max.message.bytes": "5000"})
    api = world.start("serve", database, topic, KAFKA_COMPRESSION="none")
    eventually(lambda: "found the topic" in api.log_text(), "the topic's limit is known")

    def post(items, last):
        names = ["x" * 100] * items + ["y" * last]
        body = order(order_number=f"N-{items}-{last}", items=[item_of(product_name=name) for name in names])
        status, _, text = api.request("POST", "/api/v1/orders", body)
        return status, json.loads(text)

    # The first number of items that is too many, then as short a name as makes it fit, and one character more.
    items, (_, refused) = next((n, answer) for n in range(5, 40) for answer in [post(n, 255)] if answer[0] == 413)
    takes, limit = (int(number) for number in re.findall(r"\d+", refused["error"]))
    assert limit == 5000 and 0 < takes - limit < 254, refused
    assert post(items, 255 - (takes - limit) + 1)[0] == 413
    status, largest = post(items, 255 - (takes - limit))
    assert status == 201, largest
    topic.read(lambda records: largest["id"] in [record.key().decode() for record in records])
    assert database.one("SELECT count(*) FROM txstream.dead_letters") == 0


def test_an_order_beyond_the_configured_size_is_413_also_without_a_relay(world):
    database, topic = world.database(), world.topic()
    api = world.start("api", database, topic)
    large = json.loads(order(items=[item_of(product_id="p" * 255, product_name="😀" * 170)] * 1000))
    body = json.dumps(large, ensure_ascii=False, separators=(",", ":"))
    assert len(body.encode()) < 2**20
    status, _, text = api.request("POST", "/api/v1/orders", body)
    assert status == 413 and "the limit is 1000000" in json.loads(text)["error"], text
    assert database.one("SELECT count(*) FROM txstream.outbox") == 0


def test_orders_that_wait_are_counted_while_they_wait(world, api):
    # Its own timeout, since the API does not wait for a lock as long as a slow machine needs to send 40 orders.
    world.db.run("CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = '60s' AS"
                 " 'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END'")
    world.db.run("CREATE TRIGGER held BEFORE INSERT ON orders EXECUTE FUNCTION held()")
    with contextlib.closing(world.db.connect()) as session, concurrent.futures.ThreadPoolExecutor(40) as pool:
        cursor = session.cursor()
        cursor.execute("SELECT pg_advisory_lock(1)")
        asked = [pool.submit(api.request, "POST", "/api/v1/orders", order(order_number=f"W-{n}")) for n in range(40)]
        eventually(lambda: api.metric("txstream_orders_waiting") == 40, "40 orders are told to wait")
        cursor.execute("SELECT pg_advisory_unlock(1)")
        assert [answer.result()[0] for answer in asked] == [201] * 40
    assert api.metric("txstream_orders_waiting") == 0


def test_an_event_of_any_size_is_listed_without_its_payload(world, api):
    world.db.run("SELECT txstream.publish('Big', 'b', 'Written', to_json(repeat('x', 20000000)))")
    assert api.request("POST", "/api/v1/orders", order())[0] == 201
    status, _, text = api.request("GET", "/api/v1/events")
    newest, big = json.loads(text)
    assert status == 200 and len(text) < 5000
    assert newest["event_data"]["order_number"] == "ORD-001" and not newest["omitted"] and newest["size"] < 5000
    assert big["event_data"] is None and big["omitted"] and big["size"] > 20_000_000


def raw(port, request, timeout=30):
    """The head of the answer to these bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer and (piece := connection.recv(65536)):
            answer += piece
    return answer.decode().partition("\r\n\r\n")[0]


def status_of(port, *lines, body=""):
    head = "\r\n".join([*lines, f"Content-Length: {len(body.encode())}", "Connection: close", "", ""])
    return int(raw(port, (head + body).encode()).split()[1])


def test_a_web_page_cannot_use_what_listens_on_loopback(world, api):
    post, json_type, host = "POST /api/v1/orders HTTP/1.1", "Content-Type: application/json", f"Host: localhost:{api.port}"
    for lines in [(host,), (host, "Content-Type: text/plain"), (host, "Content-Type: text/plain;charset=UTF-8"),
                  (host, "Content-Type: application/x-www-form-urlencoded"), (host, json_type, "Content-Encoding: gzip")]:
        assert status_of(api.port, post, *lines, body=order()) == 415, lines
    for lines in [(host, "Origin: http://evil.example"), (host, "Origin: null"), (host, "Sec-Fetch-Site: cross-site"),
                  (host, "Origin: http://localhost:3000"), ("Host: evil.example", "Origin: http://evil.example"),
                  (f"Host: evil.example:{api.port}",)]:
        assert status_of(api.port, post, *lines, json_type, body=order()) == 403, lines
    for port, path in [(api.port, "/api/v1/orders"), (api.port, "/livez"), (api.metrics_port, "/metrics")]:
        assert status_of(port, f"GET {path} HTTP/1.1", "Host: rebound.example") == 403
        assert status_of(port, f"GET {path} HTTP/1.1", "Host: [::1]") == 200
    assert world.db.one("SELECT count(*) FROM orders") == 0
    own = f"Origin: http://localhost:{api.port}"
    assert status_of(api.port, post, host, own, "Content-Type: application/json; charset=utf-8", body=order()) == 201
    named = world.start("api", world.db, world.events, SERVER_ALLOWED_HOSTS="orders.example, other.example")
    assert status_of(named.port, "GET /livez HTTP/1.1", "Host: orders.example") == 200
    assert status_of(named.port, "GET /livez HTTP/1.1", "Host: evil.example") == 403


def resident(process):
    with open(f"/proc/{process.process.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


def test_headers_without_end_take_no_memory(world):
    # Without a relay, which takes memory of its own when it starts.
    api = world.start("api", world.database(), world.topic())
    before = resident(api)
    with socket.create_connection(("127.0.0.1", api.port), timeout=30) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")
            for _ in range(1000):
                connection.sendall(b"a: bbbbbbbbbb\r\n" * 4096)
        with contextlib.suppress(ConnectionError):
            assert connection.recv(100).startswith(b"HTTP/1.1 431 ")
    grown = resident(api) - before
    print(f"57 MB of header fields on one connection: {grown / 2**20:.1f} MiB resident more than before")
    assert grown < 20 * 2**20
    assert api.request("GET", "/livez")[0] == 200


def test_idle_connections_leave_descriptors_for_everything_else(world):
    database, topic = world.database(), world.topic()
    serve = world.start("serve", database, topic, descriptors=600)
    told = serve.logs("fewer HTTP connections than SERVER_CONNECTIONS_MAX: the process may not have more descriptors; "
                      "raise its limit (ulimit -n)")
    assert len(told) == 1 and 16 < told[0]["connections"] < 400, serve.log_text()
    with contextlib.ExitStack() as idle:
        for _ in range(700):
            idle.enter_context(socket.create_connection(("127.0.0.1", serve.port), timeout=30))
        with contextlib.suppress(ConnectionError):  # or told: 503
            assert raw(serve.port, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")[:12] in ("HTTP/1.1 503", "")
        for path in ("/livez", "/readyz", "/metrics"):
            eventually(lambda asked=path: status_of(
                serve.metrics_port, f"GET {asked} HTTP/1.1", "Host: localhost") == 200, f"{path} is answered")
        event = database.publish("k")
        topic.read_ids([event])
    eventually(lambda: status_of(serve.port, "GET /livez HTTP/1.1", "Host: localhost") == 200, "it serves again")
    assert serve.request("POST", "/api/v1/orders", order())[0] == 201
    assert len(serve.log_text().splitlines()) < 60


def test_a_server_that_stops_says_so_and_waits_for_no_slow_client(world):
    database, topic = world.database(), world.topic()
    serve = world.start("serve", database, topic, SHUTDOWN_DELAY="2s", SHUTDOWN_TIMEOUT="4s")
    with socket.create_connection(("127.0.0.1", serve.port)) as sends, socket.socket() as takes:
        sends.sendall(b"POST /api/v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                      b"Content-Length: 100\r\n\r\n{")
        takes.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        takes.connect(("127.0.0.1", serve.port))
        takes.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 300)
        serve.process.send_signal(15)
        eventually(lambda: serve.request("GET", "/readyz")[0] == 503, "it is not ready")
        began = time.monotonic()
        for port in (serve.port, serve.metrics_port):
            assert "Connection: close" in raw(port, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert serve.process.wait(30) == 0
        assert time.monotonic() - began < 2 + 4 + 1.5
