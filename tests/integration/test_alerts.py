"""Faults in a running txstream raise exactly the alerts that are documented, and these end after the repair.

A real Prometheus with the committed rules scrapes the built binary, a real Alertmanager with the committed routes notifies a webhook.
Only times are changed: support/alerting.py divides every `for` by 12 and every window by 60. All faults happen at once, each to
a TxStream of its own, told apart by the label `outbox`.
"""
import concurrent.futures
import contextlib
import dataclasses
import json
import os
import re
import subprocess
import threading
import uuid

import conftest
import pytest
import yaml
from support.alerting import COMMITTED, Watch, quick_routes, quick_rules
from support.world import BINARY, ROOT, clean_environment, eventually

ORDER = json.loads((ROOT / "tests/data/earlier-examples/create-simple.json").read_text())
# Of two minutes ago, so that a minute's wait need not be waited for.
LATE = ("INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload, topic, created_at)"
        " SELECT 'Test', 'key-' || n, 'Tested', '{{}}', {topic}, now() - interval '2 minutes'"
        " FROM generate_series(1, {events}) n")
# Open for longer than the pause between two scrapes.
BREAKER = {"KAFKA_TIMEOUT": "1s", "KAFKA_BASE_DELAY": "50ms", "KAFKA_MAX_DELAY": "200ms", "KAFKA_RESET_TIMEOUT": "2s",
           "KAFKA_TIMEOUT_DURATION": "500ms"}
PATIENCE = 120
@dataclasses.dataclass
class Scenario:
    """A TxStream, what is done to it, and which alerts that is to raise."""

    targets: list  # (job, process)
    breaks: callable
    repairs: callable
    sent: dict  # alert -> receiver: what reaches the webhook, and nothing else does
    silenced: set = frozenset()  # fire as well, and are inhibited
    may_fire: set = frozenset()  # may, if the fault lasts long enough, and are inhibited
    afterwards: set = frozenset()  # windows that hold the outage still, when the cause is gone


def order(number):
    return json.dumps({**ORDER, "order_number": number})


def kafka_stopped(world):
    database, broker = world.database(), world.broker()
    serve = world.start("serve", database, world.topic(bootstrap=broker.bootstrap), **BREAKER)
    assert serve.request("POST", "/api/v1/orders", order("ORD-1"))[0] == 201

    def breaks():
        broker.kill()
        database.run(LATE.format(topic="NULL", events=20))

    return Scenario(
        [("txstream-serve", serve)], breaks, broker.start,
        sent={"TxStreamOutboxDelayed": "page", "TxStreamKafkaUnavailable": "ticket"},
        silenced={"TxStreamCircuitBreakerOpen", "TxStreamDeliveryBudgetBurnFast"},
        may_fire={"TxStreamOutboxStalled", "TxStreamDeliveryBudgetBurnSlow", "TxStreamPublishErrorRatioHigh", "TxStreamPositionStuck"},
        afterwards={"TxStreamDeliveryBudgetBurnFast", "TxStreamCircuitBreakerOpen"})


def poison_events(world):
    """Kafka refuses two events; the table of dead letters takes only one of them."""
    database, topic = world.database(), world.topic(config={"max.message.bytes": "20000"})
    database.run("ALTER TABLE txstream.dead_letters ADD CONSTRAINT never CHECK (aggregate_id <> 'bad')")
    serve = world.start("serve", database, topic, WORKER_RETRY_DELAY="50ms")
    assert database.one("SELECT txstream.lane_of('bad') <> txstream.lane_of('worse')")

    def breaks():
        for key in ("bad", "worse"):
            database.publish(key, payload=json.dumps("x" * 50000))

    return Scenario(
        [("txstream-serve", serve)], breaks,
        lambda: database.run("ALTER TABLE txstream.dead_letters DROP CONSTRAINT never"),
        sent={"TxStreamDeadLettersGrowing": "ticket", "TxStreamCannotPark": "ticket"},
        may_fire={"TxStreamOutboxStalled", "TxStreamPublishErrorRatioHigh", "TxStreamPositionStuck"})


def held_lane(world):
    database, missing = world.database(), world.topic(create=False)
    serve = world.start("serve", database, world.topic(), WORKER_TOPIC_RETRY_DELAY="500ms",
                        KAFKA_PROPERTY_allow__auto__create__topics="false")
    return Scenario(
        [("txstream-serve", serve)], lambda: database.run(LATE.format(topic=f"'{missing.name}'", events=1)), missing.create,
        sent={"TxStreamOutboxDelayed": "page", "TxStreamTopicRefused": "ticket"},
        may_fire={"TxStreamOutboxStalled", "TxStreamPublishErrorRatioHigh", "TxStreamPositionStuck"})


def locked_table(world):
    database = world.database()
    serve = world.start("serve", database, world.topic())
    session = database.connect()
    session.autocommit = False

    def breaks():
        session.cursor().execute("LOCK TABLE txstream.positions IN EXCLUSIVE MODE")
        database.run(LATE.format(topic="NULL", events=1))

    return Scenario(
        [("txstream-serve", serve)], breaks, session.close,
        sent={"TxStreamOutboxDelayed": "page", "TxStreamCannotAcknowledge": "ticket"},
        may_fire={"TxStreamOutboxStalled", "TxStreamPositionStuck"})


def hidden_events(world):
    database = world.database()
    serve = world.start("serve", database, world.topic())
    return Scenario(
        [("txstream-serve", serve)], lambda: database.run("ALTER TABLE txstream.outbox ENABLE ROW LEVEL SECURITY"),
        lambda: database.run("ALTER TABLE txstream.outbox DISABLE ROW LEVEL SECURITY"),
        sent={"TxStreamOutboxUnusable": "page"}, may_fire={"TxStreamBacklogUnknown"})


def dead_api(world):
    database, topic = world.database(), world.topic()
    database.run("WITH elsewhere AS (INSERT INTO txstream.leases (owner, ends_at) VALUES ('elsewhere', now() + interval '1 day')"
                 " RETURNING number) UPDATE txstream.lanes SET lease = number FROM elsewhere")
    api = world.start("api", database, topic)

    def repairs():
        again = world.start("api", database, topic, ready=False, SERVER_PORT=str(api.port))
        again.port = api.port
        again.wait_ready()

    return Scenario([("txstream-api", api)], api.kill, repairs, sent={"TxStreamApiDown": "page"}, may_fire={"TxStreamInstanceDown"})


def dead_relay(world):
    database, topic = world.database(), world.topic()
    api = world.start("api", database, topic)
    relay = world.start("relay", database, topic, WORKER_LEASE="2s")

    def repairs():
        again = world.start("relay", database, topic, ready=False, WORKER_LEASE="2s", METRICS_PORT=str(relay.metrics_port))
        again.metrics_port = relay.metrics_port
        again.wait_ready()

    return Scenario(
        [("txstream-relay", relay), ("txstream-api", api)], relay.kill, repairs, sent={"TxStreamRelayDown": "page"},
        silenced={"TxStreamLanesWithoutOwner"}, may_fire={"TxStreamInstanceDown"},
        # The relay answers before it has claimed them.
        afterwards={"TxStreamLanesWithoutOwner"})


def postgres_gone(world):
    server = world.postgres()
    database = world.database(server=server.dsn)
    serve = world.start("serve", database, world.topic())
    stopping = threading.Event()
    assert serve.request("POST", "/api/v1/orders", order("ORD-1"))[0] == 201

    def customers():
        while not stopping.wait(0.1):
            with contextlib.suppress(OSError):
                serve.request("POST", "/api/v1/orders", order(uuid.uuid4().hex))

    thread = threading.Thread(target=customers, daemon=True)

    def breaks():
        server.kill()
        thread.start()

    def repairs():
        stopping.set()
        thread.join(60)
        server.start()

    return Scenario(
        [("txstream-serve", serve)], breaks, repairs, sent={"TxStreamDatabaseUnavailable": "page"},
        silenced={"TxStreamApiBudgetBurnFast"},
        may_fire={"TxStreamApiErrorRatioHigh", "TxStreamApiLatencyHigh", "TxStreamBacklogUnknown", "TxStreamLeasesLost",
                  "TxStreamNoWorker", "TxStreamStalled", "TxStreamCannotAcknowledge", "TxStreamOutboxStalled"},
        afterwards={"TxStreamApiBudgetBurnFast", "TxStreamApiErrorRatioHigh"})


SCENARIOS = [kafka_stopped, poison_events, held_lane, locked_table, hidden_events, dead_relay, dead_api, postgres_gone]


def play(scenario, outbox, watch):
    """Fault, alerts, repair, end of the alerts."""
    def received():
        # Alertmanager also tells of the end of what it had held back.
        return {alert: states for alert, states in watch.webhook.of(outbox).items() if "firing" in states}

    def wait(condition, what):
        eventually(condition, f"{outbox}: {what}", PATIENCE)

    wanted = set(scenario.sent)
    scenario.breaks()
    wait(lambda: wanted <= set(received()), f"{wanted} are sent")
    wait(lambda: all(watch.is_firing(outbox, alert) for alert in scenario.silenced), f"{scenario.silenced} fire")
    history = watch.history(outbox)
    assert set(received()) == wanted, history
    fired = {alert for alert, states in history.items() if "firing" in states}
    assert wanted | scenario.silenced <= fired
    assert fired <= wanted | scenario.silenced | scenario.may_fire
    for alert in wanted:
        assert history[alert]["pending"] < history[alert]["firing"]
    scenario.repairs()
    wait(lambda: all(received()[alert][-1] == "resolved" for alert in wanted), f"{wanted} end")
    assert set(received()) <= wanted | scenario.afterwards
    return history


@pytest.fixture(scope="module")
def world():
    with conftest.a_world() as made:
        yield made


@pytest.fixture(scope="module")
def watch(world):
    """All scenarios under way; `outcomes` has a future for each."""
    with concurrent.futures.ThreadPoolExecutor(len(SCENARIOS)) as pool:
        scenarios = dict(zip([make.__name__ for make in SCENARIOS], pool.map(lambda make: make(world), SCENARIOS)))
        targets = [(job, f"127.0.0.1:{process.port if process.role == 'api' else process.metrics_port}", outbox)
                   for outbox, scenario in scenarios.items() for job, process in scenario.targets]
        watch = Watch(world.directory / "watch", targets)
        world.things.append(watch.end)
        watch.scenarios = scenarios
        eventually(lambda: sum(value for _, value in watch.query("up")) == len(targets), "all is scraped")
        watch.outcomes = {outbox: pool.submit(play, scenario, outbox, watch) for outbox, scenario in scenarios.items()}
        yield watch


@pytest.mark.parametrize("outbox", [make.__name__ for make in SCENARIOS])
def test_a_fault_raises_its_alerts_and_no_others_until_it_is_repaired(watch, outbox):
    history = watch.outcomes[outbox].result()
    for alert, states in sorted(history.items()):
        print(f"{outbox}: {alert} {' '.join(sorted(states))}")


def test_notifications_go_by_severity_and_say_where_to_read_on(watch):
    for future in watch.outcomes.values():
        future.exception()
    for alert, (receiver, severity, annotations) in watch.webhook.receivers.items():
        assert receiver == severity
        assert annotations["runbook_url"] == f"http://docs.example/txstream/docs/runbook/{alert}.md"
        assert annotations["dashboard_url"] == "http://grafana.example:3000/d/txstream-overview"
        assert "{{" not in "".join(annotations.values()) and "<error" not in "".join(annotations.values())

def test_what_the_rules_name_is_measured(watch):
    for future in watch.outcomes.values():
        future.exception()
    selector = re.compile(r'(?<![\w:])((?:job:|outbox:)?(?:txstream|process)_\w+(?::\w+)?)(\{[^}]*\})?')
    rules = [rule for path in COMMITTED.glob("rules/*.yml") for group in yaml.safe_load(path.read_text())["groups"]
             for rule in group["rules"]]
    wanted = {name + (labels or "") for rule in rules for name, labels in selector.findall(rule["expr"])}
    missing = {one for one in wanted if not watch.query(f"count(last_over_time({one}[1h]))")}
    assert not missing


def test_only_times_are_changed():
    def timeless(text):
        return re.sub(r"\b\d+(ms|[smhd])\b", "T", text)

    for path in (*COMMITTED.glob("rules/*.yml"), COMMITTED / "alertmanager.yml"):
        text = path.read_text()
        quick = quick_routes(text) if path.name == "alertmanager.yml" else quick_rules(text)
        assert quick != text and timeless(quick) == timeless(text)


def test_the_commands_of_the_runbook_work(watch, tmp_path):
    watch.outcomes["dead_relay"].exception()
    (_, relay), (_, api) = watch.scenarios["dead_relay"].targets
    (tmp_path / "txstream").symlink_to(BINARY)
    settings = relay.environment
    environment = {
        **clean_environment(), **settings, "PATH": f"{tmp_path}:{os.environ['PATH']}", "no_proxy": "*",
        "RELAY": f"http://127.0.0.1:{relay.metrics_port}", "API": f"http://127.0.0.1:{api.port}", "PROMETHEUS": watch.url,
        "ALERTMANAGER": f"http://127.0.0.1:{watch.alertmanager_port}", "BROKERS": settings["KAFKA_BROKERS"],
        "TOPIC": settings["KAFKA_TOPIC_EVENTS"]}
    names = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD", "PGDATABASE": "NAME"}
    client = {name: settings["DATABASE_" + ours] for name, ours in names.items()}
    pages = "\n".join(path.read_text() for path in (ROOT / "docs/runbook").glob("*.md"))
    commands = {line for block in re.findall(r"^```sh\n(.*?)^```$", pages, re.M | re.S) for line in block.splitlines()
                if not line.startswith("export ")}
    failed = []
    for command in sorted(commands):
        with_client = {**environment, **client} if command.startswith("psql") else environment
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], env=with_client, cwd=tmp_path,
                              capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0 or not done.stdout + done.stderr and not command.startswith("promtool"):
            failed.append((command, done.returncode, done.stdout + done.stderr))
    assert not failed
