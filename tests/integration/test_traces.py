"""What a collector of traces gets: one request's way from its client through the database into Kafka, and never a delay."""
import json
import re
import ssl
import subprocess
import time

import pytest
from support.collector import Collector
from support.world import ROOT, eventually, free_ports, header, run

ORDER = json.loads((ROOT / "tests/data/earlier-examples/create-simple.json").read_text())
TRACE, CLIENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
STATE = 'rojo="1",congo=t61rcWkgMzE'


def order(number):
    return json.dumps({**ORDER, "order_number": number})


@pytest.fixture
def collector():
    made = Collector()
    yield made
    made.end()


def named(spans, name):
    found, = [span for span in spans if span["name"] == name]
    return found


def test_an_order_is_followed_from_its_client_to_its_record(world, collector):
    database, topic = world.database(), world.topic()
    system = world.start("serve", database, topic, LOGGING_LEVEL="debug",
                         **collector.environment(OTEL_SERVICE_NAME="shop", OTEL_RESOURCE_ATTRIBUTES="deployment=a%2Cb"))
    sent = {"traceparent": f"00-{TRACE}-{CLIENT}-01", "tracestate": STATE, "X-Request-Id": "mine"}
    status, _, text = system.request("POST", "/api/v1/orders", order("followed"), sent)
    assert status == 201
    record, = topic.read(lambda records: records)
    spans = collector.wait_for("POST /api/v1/orders", "INSERT orders", f"send {topic.name}")
    request = named(spans, "POST /api/v1/orders")
    batch = named(spans, "INSERT orders")
    page = named(spans, f"send {topic.name}")
    assert len(spans) == 3, "readiness is asked for all the time, and is no span"

    assert (request["trace"], request["parent"], request["state"], request["kind"]) == (TRACE, CLIENT, STATE, "SPAN_KIND_SERVER")
    assert request["attributes"] == {
        "http.request.method": "POST", "http.route": "/api/v1/orders", "url.path": "/api/v1/orders", "url.scheme": "http",
        "http.response.status_code": 201, "txstream.request_id": "mine"}
    own = {"trace": TRACE, "span": request["span"], "state": STATE}
    assert own["span"] not in (CLIENT, "0" * 16)

    assert (batch["links"], batch["parent"], batch["kind"]) == ([own], "", "SPAN_KIND_CLIENT")
    assert batch["trace"] not in (TRACE, page["trace"])
    assert batch["attributes"] == {
        "db.system.name": "postgresql", "db.namespace": database.name, "db.operation.name": "INSERT",
        "db.collection.name": "orders", "txstream.batch.orders": 1}
    # A request's beginning is reckoned back from its end: late by what lay between two looks at clocks.
    reckoned = 20_000_000
    assert request["begun"] - reckoned <= batch["begun"] <= batch["ended"] <= request["ended"] <= time.time_ns()

    # What is stored is what is sent, and the page that sent it links to it.
    stored = database.one("SELECT headers FROM txstream.outbox")
    assert stored == {"traceparent": f"00-{TRACE}-{request['span']}-01", "tracestate": STATE}
    assert {name: header(record, name) for name in stored} == stored
    assert (page["links"], page["parent"], page["kind"]) == ([own], "", "SPAN_KIND_CLIENT")
    host, port = topic.bootstrap.split(":")
    assert page["attributes"] == {
        "messaging.system": "kafka", "messaging.operation.name": "send", "messaging.operation.type": "send",
        "messaging.destination.name": topic.name, "messaging.destination.partition.id": str(record.partition()),
        "messaging.batch.message_count": 1, "messaging.message.id": header(record, "event_id"),
        "messaging.kafka.message.key": json.loads(text)["id"], "messaging.kafka.offset": record.offset(),
        "messaging.client.id": "txstream", "server.address": host, "server.port": int(port),
        "txstream.lane": page["attributes"]["txstream.lane"]}

    assert {span["status"] for span in spans} == {0} and {span["flags"] for span in spans} == {1}
    resource = request["resource"]
    assert (resource["service.name"], resource["deployment"], resource["telemetry.sdk.language"]) == ("shop", "a,b", "cpp")
    assert re.fullmatch(r"https://opentelemetry.io/schemas/1\.\d+\.0", request["schema"])
    line, = [line for line in system.logs("request") if line["route"] == "/api/v1/orders"]
    assert (line["trace_id"], line["span_id"], line["request_id"]) == (TRACE, request["span"], "mine")
    assert [(path, headers["Content-Type"]) for path, headers in collector.requests] == [
        ("/v1/traces", "application/json")] * len(collector.requests)
    eventually(lambda: system.metric("txstream_spans_total", outcome="sent") == 3, "the spans are counted")
    assert system.metric("txstream_spans_total", outcome="dropped") == 0


def test_whoever_began_a_trace_decides_and_those_that_begin_here_follow_the_ratio(world, collector):
    database, topic = world.database(), world.topic()
    system = world.start("serve", database, topic, **collector.environment(
        OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG="0"))
    parents = {"sampled": f"00-{TRACE}-{CLIENT}-01", "not": f"00-{TRACE}-{CLIENT}-00", "none": None}
    for number, parent in parents.items():
        assert system.request("POST", "/api/v1/orders", order(number), {"traceparent": parent} if parent else {})[0] == 201
    records = topic.read(lambda found: len(found) == 3)
    told = {json.loads(one.value())["event_data"]["order_number"]: header(one, "traceparent") for one in records}
    assert told["sampled"].startswith(f"00-{TRACE}-") and told["sampled"].endswith("-01")
    assert told["not"].startswith(f"00-{TRACE}-") and told["not"].endswith("-00")
    assert re.fullmatch(f"00-(?!{TRACE})[0-9a-f]{{32}}-[0-9a-f]{{16}}-00", told["none"])
    assert len({one[36:52] for one in told.values()} | {CLIENT}) == 4, "each request is a span of its own"
    spans = collector.wait_for(f"send {topic.name}")
    assert [span["parent"] for span in spans if span["kind"] == "SPAN_KIND_SERVER"] == [CLIENT]
    assert system.stop() == 0
    links = [link for span in collector.spans() for link in span["links"]]
    assert {(link["trace"], link["span"]) for link in links} == {(TRACE, told["sampled"][36:52])}


def test_what_other_writers_store_is_sent_as_it_is_and_linked_to_if_it_is_sampled(world, collector):
    database, topic = world.database(), world.topic()
    stored = {"sampled": f"00-{TRACE}-{CLIENT}-01", "not": f"00-{TRACE}-{CLIENT}-00", "malformed": "my own"}
    for key, parent in stored.items():
        database.one("SELECT txstream.publish('Test', %s, 'Tested', '{}', headers => %s::json)",
                     key, json.dumps({"x": "1", "traceparent": parent}))
    database.one("SELECT txstream.publish_bytes('Test', 'bytes', 'Tested', %s, 'a/b', headers => %s::json)",
                 b"\x00", json.dumps({"traceparent": stored["sampled"]}))
    world.start("relay", database, topic, **collector.environment(OTEL_TRACES_SAMPLER="parentbased_always_off"))
    records = topic.read(lambda found: len(found) == 4)
    assert {one.key().decode(): header(one, "traceparent") for one in records} == {**stored, "bytes": stored["sampled"]}
    sent = {"sampled", "bytes"}

    def linked():
        return sum(body.count(f'"name":"send {topic.name}"') for body in collector.bodies) == len(sent)

    eventually(linked, "the pages with sampled events have spans")
    for span in collector.spans():
        assert span["links"] == [{"trace": TRACE, "span": CLIENT, "state": ""}]
        assert span["attributes"]["messaging.kafka.message.key"] in sent


@pytest.mark.parametrize("kind", ["away", "hanging"])
def test_a_collector_that_is_away_or_hangs_delays_neither_orders_nor_events_nor_the_stop(world, kind):
    hanging = Collector(is_hanging=True)
    url = hanging.url if kind == "hanging" else f"http://127.0.0.1:{free_ports(1)[0]}"
    try:
        database, topic = world.database(), world.topic()
        system = world.start(
            "serve", database, topic, OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_BSP_SCHEDULE_DELAY="1",
            OTEL_BSP_MAX_QUEUE_SIZE="20", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="5")
        slowest = 0
        for number in range(60):
            begun = time.monotonic()
            assert system.request("POST", "/api/v1/orders", order(f"n-{number}"))[0] == 201
            slowest = max(slowest, time.monotonic() - begun)
        assert slowest < 5, "half of what a request to the collector may take"
        topic.read(lambda records: len(records) == 60)
        eventually(lambda: system.metric("txstream_spans_total", outcome="dropped") > 60, "what does not fit is dropped")
        assert system.metric("txstream_spans_total", outcome="sent") == 0
        begun = time.monotonic()
        assert system.stop() == 0
        assert time.monotonic() - begun < 15, "a stop has 25 s, and spans 5 of them"
        assert len([line for line in system.logs() if line["component"] == "traces" and line["level"] != "info"]) <= 1
    finally:
        hanging.end()


def test_a_collector_behind_tls_gets_the_secret_headers_and_nobody_else_sees_them(world, tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "ca.pem"],
        cwd=tmp_path, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
    secret = tmp_path / "headers"
    secret.write_text("authorization=Bearer%20hidden\n")
    collector = Collector(tls=tls)
    try:
        settings = collector.environment(
            OTEL_EXPORTER_OTLP_HEADERS_FILE=str(secret), OTEL_EXPORTER_OTLP_CERTIFICATE=str(tmp_path / "ca.pem"))
        system = world.start("serve", world.database(), world.topic(), **settings)
        assert system.request("GET", "/api/v1/orders/number/none")[0] == 404
        spans = collector.wait_for("GET /api/v1/orders/number/{number}")
        assert spans[0]["attributes"]["http.response.status_code"] == 404
        assert collector.requests[0][1]["authorization"] == "Bearer hidden"
        printed = run(["config", "print"], settings)
        assert printed.returncode == 0 and "hidden" not in printed.stdout + printed.stderr + system.log_text()
        # Another certificate: nothing is sent.
        before = len(collector.bodies)
        untrusting = world.start("serve", world.database(), world.topic(),
                                 **{**settings, "OTEL_EXPORTER_OTLP_CERTIFICATE": "/etc/ssl/certs/ca-certificates.crt"})
        assert untrusting.request("GET", "/api/v1/orders/number/none")[0] == 404
        assert untrusting.stop() == 0
        assert len(collector.bodies) == before
        line, = [line for line in untrusting.logs() if line["component"] == "traces" and line["level"] == "warn"]
        assert "certificate" in line["error"], line
    finally:
        collector.end()
