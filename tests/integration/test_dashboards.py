"""Every query of the dashboards returns data: of a TxStream under load, or, where it is empty when all is well, during its failure.

A real Prometheus with the committed rules scrapes one TxStream that is well and those that test_alerts.py breaks; the dashboards' variable
`outbox` chooses one of them, as a reader of the dashboard would. Grafana's other variables get what Grafana would put in, for a view
of half a minute.
"""
import concurrent.futures
import contextlib
import json
import re
import subprocess
import sys
import threading
import time
import types

import conftest
import pytest
from support.alerting import Watch
from support.world import ROOT, eventually
from test_alerts import ORDER, PATIENCE, dead_relay, held_lane, kafka_stopped, poison_events, postgres_gone

sys.path.insert(0, str(ROOT / "tools/dashboards"))
import prometheus as source  # noqa: E402

DASHBOARDS = source.load()
FAILURES = {make.__name__: make for make in (kafka_stopped, poison_events, held_lane, dead_relay, postgres_gone)}
# Empty when all is well: where it is -> the failure in which it shows something. A test holds the list against both.
EMPTY_WHEN_WELL = {
    "annotation Delivery blocked": "kafka_stopped",
    "annotation Circuit breaker open": "kafka_stopped",
    "annotation Alert firing": "kafka_stopped",
    "panel Pause before a retry": "kafka_stopped",
    "panel Parked now, by event type": "poison_events",
    "panel Server errors, by route": "postgres_gone",
}
VIEW_SECONDS = 30
SCRAPE_SECONDS = 0.4  # support/alerting.py
# A failure is looked back on with longer windows: a scrape that a busy machine misses must not hide it.
RATE_SECONDS = 2


def healthy(world):
    """An API and two relays. Orders in two currencies, mistakes, reads."""
    database, topic = world.database(), world.topic()
    api = world.start("api", database, topic)
    relays = [world.start("relay", database, topic) for _ in range(2)]
    stopping = threading.Event()

    def customers():
        number = 0
        while not stopping.wait(0.02):
            number += 1
            order = {**ORDER, "order_number": f"N-{number}", "currency": ["BRL", "EUR"][number % 2]}
            with contextlib.suppress(OSError):
                api.request("POST", "/api/v1/orders", json.dumps(order if number % 10 else {**order, "items": []}))
                if number % 5 == 0:
                    api.request("GET", "/api/v1/orders?limit=2")

    thread = threading.Thread(target=customers, daemon=True)
    thread.start()

    def stop():
        stopping.set()
        thread.join(60)

    world.things.append(stop)
    return types.SimpleNamespace(targets=[("txstream-api", api), *(("txstream-relay", relay) for relay in relays)])


@pytest.fixture(scope="module")
def world():
    with conftest.a_world() as made:
        yield made


@pytest.fixture(scope="module")
def watch(world):
    """A Prometheus that has seen each failure begin."""
    makers = {"healthy": healthy, **FAILURES}
    with concurrent.futures.ThreadPoolExecutor(len(makers)) as pool:
        made = dict(zip(makers, pool.map(lambda make: make(world), makers.values())))
        targets = [(job, f"127.0.0.1:{process.port if process.role == 'api' else process.metrics_port}", outbox)
                   for outbox, scenario in made.items() for job, process in scenario.targets]
        watch = Watch(world.directory / "watch", targets)
        world.things.append(watch.end)
        eventually(lambda: sum(value for _, value in watch.query("up")) == len(targets), "all is scraped")
        list(pool.map(lambda outbox: made[outbox].breaks(), FAILURES))
    watch.prometheus = source.Prometheus(watch.url)
    watch.began = time.time()
    yield watch
    # Its database could not be dropped otherwise.
    made["postgres_gone"].repairs()


def answers(watch, outbox, start=None):
    """{query: how many series it returns now, or at any time since `start`}"""
    found = {}
    end = time.time()
    for dashboard in DASHBOARDS:
        variables = source.Variables(
            watch.prometheus, dashboard, end - VIEW_SECONDS, end, SCRAPE_SECONDS, SCRAPE_SECONDS, rate_seconds=RATE_SECONDS * (5 if start else 1))
        variables.values["outbox"] = outbox
        for query in source.all_queries(dashboard):
            expr = variables.put_in(query.expr)
            series = watch.prometheus.range(expr, start, end, 1) if start else watch.prometheus.instant(expr, end)
            found[query] = len(series)
    return found


def test_every_query_returns_data_when_all_is_well_but_for_those_that_are_listed(watch):
    def empty():
        return {query.where for query, count in answers(watch, "healthy").items() if not count}

    seen = []

    def is_as_listed():
        seen.append(empty())
        return seen[-1] == EMPTY_WHEN_WELL.keys()

    with contextlib.suppress(AssertionError):
        eventually(is_as_listed)
    assert sorted(seen[-1]) == sorted(EMPTY_WHEN_WELL)


@pytest.mark.parametrize("failure", FAILURES)
def test_every_query_runs_during_each_failure_and_those_that_were_empty_show_it(watch, failure):
    shown = {where for where, cause in EMPTY_WHEN_WELL.items() if cause == failure}

    def left():
        return shown & {query.where for query, count in answers(watch, failure, watch.began).items() if not count}

    eventually(lambda: not left(), f"{sorted(shown)} show {failure}", PATIENCE)


def test_every_metric_that_a_dashboard_names_is_scraped(watch):
    scraped = set(watch.prometheus.ask("label/__name__/values"))
    named = {name for dashboard in DASHBOARDS for query in source.all_queries(dashboard)
             for name in re.findall(r"\b((?:txstream_|process_|ALERTS|up)\w*)\{", query.expr)}
    assert len(named) > 40 and not named - scraped


def test_the_preview_draws_all_of_it(watch, tmp_path):
    end = time.time()
    done = subprocess.run(
        [ROOT / "tools/dashboards/preview.py", "--prometheus", watch.url, "--from", str(end - VIEW_SECONDS), "--to", str(end),
         "--out", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {path.stem for path in tmp_path.glob("*.html")} == {dashboard["uid"] for dashboard in DASHBOARDS}
