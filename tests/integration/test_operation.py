"""What the operator sees: exit codes and messages, metrics, the circuit breaker, secrets."""
import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from support.world import BINARY, ROOT, clean_environment, eventually, free_ports, run

METRICS_OF_THE_ORIGINAL = {
    "txstream_events_processed_total", "txstream_events_published_total", "txstream_events_failed_total",
    "txstream_events_retried_total", "txstream_circuit_breaker_trips_total", "txstream_event_processing_duration_seconds",
    "txstream_event_publishing_duration_seconds", "txstream_retry_delay_duration_seconds", "txstream_worker_pool_size",
    "txstream_events_in_queue", "txstream_circuit_breaker_state", "txstream_active_workers"}


def test_mistakes_in_the_configuration_are_told_all_at_once(tmp_path):
    done = run(["serve"], {"SERVER_PORT": "70000", "DATABASE_HOSTNAME": "x", "KAFKA_REQUIRED_ACKS": "1",
                           "DATABASE_PASSWORD": "s3cret", "DATABASE_URL": "postgres:/bad-s3cret"})
    assert done.returncode == 2
    for text in ("SERVER_PORT=70000", "DATABASE_HOSTNAME", "did you mean DATABASE_HOST?", "KAFKA_REQUIRED_ACKS=1", "DATABASE_URL"):
        assert text in done.stderr, done.stderr
    assert "s3cret" not in done.stderr + done.stdout
    (tmp_path / ".env").write_text("SERVER_PORT=8123\nLOGGING_LEVEL=debug\n")
    done = run(["config", "print", "-o", "json"], {"LOGGING_LEVEL": "warn", "DATABASE_PASSWORD": "s3cret"}, cwd=tmp_path)
    effective = {one["name"]: one for one in json.loads(done.stdout)}
    assert effective["SERVER_PORT"]["value"] == "8123" and effective["SERVER_PORT"]["source"] == ".env"
    assert effective["LOGGING_LEVEL"]["value"] == "warn", "the real environment wins"
    assert "s3cret" not in done.stdout
    assert run(["config", "check"], {}, cwd=tmp_path).returncode == 0
    assert run(["config", "check", "--env-file", str(tmp_path / "missing")], {}).returncode == 2, "behind the command too"
    assert "a directory" in run(["config", "check", "--env-file", "/"], {}).stderr
    done = run(["--env-file", str(tmp_path / ".env"), "config", "print"], {})
    assert re.search(rf"SERVER_PORT +8123 +{tmp_path}/.env", done.stdout), done.stdout


def test_a_command_that_does_not_exist_is_told_with_those_that_do():
    done = run(["serv"], {})
    assert done.returncode == 2 and "did you mean serve?" in done.stderr, done.stderr
    done = run(["no-such-command"], {})
    assert done.returncode == 2 and "the commands are serve, api, relay, console, dev, migrate, config, outbox, " in done.stderr, done.stderr


def test_the_check_tries_the_properties_of_kafka_and_changes_nothing(tmp_path):
    bad = {"KAFKA_PROPERTY_retries": "0", "KAFKA_PROPERTY_queuing__strategy": "lifo"}
    for command in (["config", "check"], ["relay"]):
        done = run(command, bad)
        assert done.returncode == 2, done.stderr
        for name, value in bad.items():
            assert f"{name}={value}" in done.stderr, done.stderr
    assert run(["config", "check"], {"LOGGING_OUTPUT_PATH": str(tmp_path / "log")}).returncode == 0
    done = run(["config", "check"], {"LOGGING_OUTPUT_PATH": str(tmp_path / "missing" / "log")})
    assert done.returncode == 2 and "LOGGING_OUTPUT_PATH=" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_refuses_us_ends_the_start_with_a_code_and_a_remedy(world):
    database = world.database()
    kafka = world.topic().environment()
    good = {**database.environment(), **kafka, "SERVER_PORT": "0", "METRICS_PORT": "0", "CONSOLE_PORT": "0"}
    cases = [
        ({"DATABASE_PASSWORD": "wrong-s3cret"}, 4, "password authentication failed"),
        ({"DATABASE_NAME": "no_such_database"}, 3, "does not exist"),
    ]
    for change, code, text in cases:
        for role in ("relay", "api", "migrate"):
            done = run([role, "up"] if role == "migrate" else [role], {**good, **change})
            assert done.returncode == code, (role, change, done.returncode, done.stderr)
            assert text in done.stderr and "s3cret" not in done.stderr + done.stdout
    assert run(["migrate", "up"], {**good, "DATABASE_PORT": str(free_ports(1)[0])}).returncode == 5
    database.run("INSERT INTO txstream.schema_migrations (migration_set, version, name, checksum)"
                 " VALUES ('outbox', 999, 'future', 'x')")
    for role in ("relay", "api"):
        done = run([role], good)
        assert done.returncode == 6 and "use a newer txstream" in done.stderr, done.stderr
    database.run("DELETE FROM txstream.schema_migrations WHERE version = 999")
    database.run("DELETE FROM txstream.schema_migrations WHERE migration_set = 'outbox'")
    done = run(["relay"], good)
    assert done.returncode == 6 and "txstream migrate up" in done.stderr, done.stderr


def test_ten_migrations_at_once_are_one(world):
    database = world.database(migrate=False)
    command = [BINARY, "migrate", "up"]
    environment = {**clean_environment(), **database.environment()}
    running = [subprocess.Popen(command, env=environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
               for _ in range(10)]
    outputs = [one.communicate(timeout=60)[0] for one in running]
    assert [one.returncode for one in running] == [0] * 10, outputs
    assert sum("applied outbox 0001" in text for text in outputs) == 1
    assert run(["migrate", "validate"], database.environment()).returncode == 0
    assert "applied" not in run(["migrate", "up"], database.environment()).stdout
    only = world.database(migrate=False)
    assert run(["migrate", "up", "--only", "outbox", "--lanes", "8"], only.environment()).returncode == 0
    assert only.one("SELECT count(*) FROM txstream.lane_positions") == 8
    assert only.one("SELECT to_regclass('orders')") is None


def test_the_printed_sql_is_what_migrate_up_does(world):
    ours, theirs = world.database(migrate=False), world.database(migrate=False)
    script = run(["migrate", "sql", "--lanes", "8"], {}).stdout
    login = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password"}
    environment = {**clean_environment(), **{name: str(theirs.server[key]) for name, key in login.items()}}
    done = subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", theirs.name], input=script, env=environment,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    done = run(["migrate", "validate"], theirs.environment())
    assert done.returncode == 0, done.stderr
    assert "Nothing to do" in run(["migrate", "up"], theirs.environment()).stdout
    assert run(["migrate", "up", "--lanes", "8"], ours.environment()).returncode == 0
    for facts in ("SELECT migration_set, version, name, checksum, parameters::text FROM txstream.schema_migrations ORDER BY 1, 2",
                  "SELECT table_schema, table_name, column_name, data_type, is_nullable, column_default FROM"
                  " information_schema.columns WHERE table_schema IN ('public', 'txstream') ORDER BY 1, 2, ordinal_position"):
        assert ours.run(facts) == theirs.run(facts)


def test_migrations_say_what_they_did_not_do_and_why(world):
    database = world.database(migrate=False)
    done = run(["migrate", "up", "--only", "orders"], database.environment())
    assert done.returncode == 0 and "The set orders is up to date" in done.stdout and "pending: outbox" in done.stdout
    assert "schema is up to date" not in done.stdout
    assert "The schema is up to date" in run(["migrate", "up"], database.environment()).stdout
    done = run(["migrate", "up", "--lanes", "8"], database.environment())
    assert done.returncode == 2 and "has 32 lanes" in done.stderr and "fixed" in done.stderr, done.stderr
    assert run(["migrate", "up", "--lanes", "32"], database.environment()).returncode == 0

    role = "poor_" + database.name
    database.run(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'")
    try:
        empty = world.database(migrate=False)
        poor = {"DATABASE_USER": role, "DATABASE_PASSWORD": "pw"}
        for where, verb, remedy in (
                (empty, "up", f"GRANT CREATE ON DATABASE {empty.name} TO {role}"),
                (database, "up", "owner of the schema"),
                (database, "status", "SELECT on txstream.schema_migrations")):
            done = run(["migrate", verb], {**where.environment(), **poor})
            assert done.returncode == 4 and remedy in done.stderr and role in done.stderr, done.stderr
            assert "txs_migrate" not in done.stderr
    finally:
        database.run(f"DROP ROLE {role}")


def test_the_metrics_are_live_and_right(world):
    database, topic = world.database(), world.topic()
    relay = world.start("relay", database, topic)
    for number in range(100):
        database.publish(f"key-{number % 7}", event_type="Counted")
    eventually(lambda: relay.metric("txstream_events_processed_total", status="published", event_type="Counted") == 100,
               "all are counted")
    eventually(lambda: 'txstream_events_in_queue{status="pending"}' in relay.metrics(), "the outbox was looked at")
    page = relay.request("GET", "/metrics")[2]
    named = set(re.findall(r"^# TYPE (\S+)", page, re.M))
    assert METRICS_OF_THE_ORIGINAL <= named, METRICS_OF_THE_ORIGINAL - named
    assert {"txstream_outbox_oldest_pending_timestamp_seconds", "txstream_event_end_to_end_duration_seconds",
            "txstream_build_info"} <= named
    assert relay.metric("txstream_events_published_total", topic=topic.name, event_type="Counted") == 100
    assert relay.metric("txstream_event_publishing_duration_seconds_count", event_type="Counted") == 100
    assert relay.metric("txstream_event_end_to_end_duration_seconds_count") == 100
    assert relay.metric("txstream_worker_pool_size") == 1
    assert relay.metric("txstream_active_workers") == 1
    assert relay.metric("txstream_circuit_breaker_state") == 0
    eventually(lambda: relay.metric("txstream_events_in_queue", status="pending") == 0, "nothing is pending")
    assert relay.metric("txstream_outbox_oldest_pending_timestamp_seconds") == 0
    done = subprocess.run(["promtool", "check", "metrics"], input=page, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workers_of_a_pool_share_the_lanes_and_each_publishes(world):
    database, topic = world.database(), world.topic()
    per_owner = "SELECT count(*), sum(published) FROM txstream.lane_positions WHERE owner IS NOT NULL GROUP BY owner"
    for published, (setting, workers) in ((200, ("WORKER_POOL_SIZE", 4)), (400, ("WORKER_CONCURRENCY", 2))):
        relay = world.start("relay", database, topic, **{setting: str(workers)})
        eventually(lambda: [lanes for lanes, _ in database.run(per_owner)] == [32 // workers] * workers,
                   "each worker has its share of the lanes")
        assert relay.metric("txstream_worker_pool_size") == workers
        rows = database.run("SELECT txstream.publish('Test', 'key-' || n, 'Tested', '{}') FROM generate_series(1, 200) n")
        topic.read_ids({str(event_id) for event_id, in rows})
        eventually(lambda: database.one("SELECT sum(published) FROM txstream.lane_positions") == published, "all are acknowledged")
        assert all(by_worker > 0 for _, by_worker in database.run(per_owner))
        assert relay.stop() == 0
        assert database.one("SELECT count(owner) FROM txstream.lane_positions") == 0, "the lanes are given back"


def test_the_breaker_opens_pauses_probes_and_closes_and_counts_nothing(world):
    database, broker = world.database(), world.broker()
    topic = world.topic(bootstrap=broker.bootstrap)
    relay = world.start(
        "relay", database, topic, KAFKA_BASE_DELAY="20ms", KAFKA_MAX_DELAY="50ms", KAFKA_RESET_TIMEOUT="300ms",
        KAFKA_TIMEOUT_DURATION="500ms", WORKER_POOL_SIZE="2")
    ids = {str(database.publish("a"))}
    topic.read_ids(ids)
    broker.stop()
    began = time.time()
    ids |= {str(database.publish(f"key-{n}")) for n in range(20)}
    eventually(lambda: relay.metric("txstream_circuit_breaker_trips_total", from_state="closed", to_state="open") == 1,
               "the breaker opens")
    eventually(lambda: relay.metric("txstream_circuit_breaker_state") in (1, 2), "it says so")
    eventually(lambda: relay.metric("txstream_events_in_queue", status="pending") == 20, "the backlog is told")
    oldest = relay.metric("txstream_outbox_oldest_pending_timestamp_seconds")
    assert began - 5 < oldest < time.time() + 5
    assert json.loads(relay.request("GET", "/health")[2])["kafka"]["status"] == "degraded"
    broker.start()
    topic.read_ids(ids)
    eventually(lambda: relay.metric("txstream_circuit_breaker_state") == 0 or database.publish("more") is None,
               "it closes when events flow")
    assert relay.metric("txstream_circuit_breaker_trips_total", from_state="half_open", to_state="closed") >= 1
    assert relay.metric("txstream_retry_delay_duration_seconds_count") >= 5
    assert not database.run("SELECT 1 FROM txstream.dead_letters")
    assert relay.stop() == 0


# As after a restore into another cluster: its ids are far below those that the cursors know, or far above.
@pytest.mark.parametrize("moved", [
    "UPDATE txstream.lanes SET cursor = '3000000000:3000000000:', lease = 0",
    "UPDATE txstream.instance SET system_identifier = 1; UPDATE txstream.lanes SET cursor = '3:3:', lease = 0",
], ids=["cursors-beyond", "cursors-below"])
def test_a_restored_database_publishes_nothing_until_an_operator_decides_as_documented(world, moved):
    database, topic = world.database(), world.topic()
    relay = world.start("relay", database, topic)
    old = [str(database.publish(f"key-{n}")) for n in range(50)]
    topic.read_ids(old)
    assert relay.stop() == 0
    new = [str(database.publish(f"key-{n}")) for n in range(50)]
    first_pending = database.one("SELECT min(id) FROM txstream.events WHERE status = 'pending'")
    database.run(moved)
    for _ in range(2):  # a restart changes nothing
        relay = world.start("relay", database, topic, ready=False)
        eventually(lambda: database.one("SELECT refused_why FROM txstream.instance"), "the refusal is remembered")
        told = eventually(lambda: relay.logs("events are not delivered"), "it says why")
        assert told[0]["reason"] == "foreign_instance" and "txstream outbox rebase" in told[0]["error"]
        eventually(lambda: relay.request("GET", "/health")[0] == 503, "and is not healthy")
        assert "foreign_instance" in relay.request("GET", "/health")[2]
        assert relay.metric("txstream_delivery_blocked", reason="foreign_instance") == 1
        assert database.one("SELECT count(owner) FROM txstream.lane_positions") == 0 and topic.count() == 50
        assert relay.stop() == 0
        database.run("UPDATE txstream.lanes SET cursor = '3:3:', lease = 0")  # as if ids had caught up

    decide = ["outbox", "rebase", "--first-pending", str(first_pending)]
    shown = run([*decide, "--dry-run"], database.environment())
    assert shown.returncode == 0 and "50 events will be sent" in shown.stdout, (shown.stdout, shown.stderr)
    assert database.one("SELECT refused_at IS NOT NULL FROM txstream.instance")
    assert run(decide, database.environment()).returncode == 2, "it needs a terminal, or --yes"
    done = run([*decide, "--yes"], database.environment())
    assert done.returncode == 0 and "Decided: 50 events will be sent" in done.stdout, (done.stdout, done.stderr)
    relay = world.start("relay", database, topic)
    topic.read_ids(new)
    newest = str(database.publish("key-1"))
    topic.read_ids([newest])
    assert topic.count() == 101, "what had been published did not come again"
    assert relay.metric("txstream_delivery_blocked", reason="foreign_instance") == 0
    assert relay.stop() == 0


def test_a_taken_port_is_named_with_the_variable_that_changes_it(world):
    database, topic = world.database(), world.topic()
    first = world.start("api", database, topic)
    done = run(["api"], {**database.environment(), **topic.environment(), "SERVER_PORT": str(first.port)})
    assert done.returncode == 1 and str(first.port) in done.stderr and "SERVER_PORT" in done.stderr, done.stderr


def test_without_a_database_the_log_grows_by_kinds_and_time_not_by_requests(world):
    postgres = world.postgres()
    database, topic = world.database(server=postgres.dsn), world.topic()
    server = world.start("serve", database, topic)
    postgres.kill()
    written, lines_before = server.log_path.stat().st_size, len(server.log_text().splitlines())
    seconds = float(os.environ.get("TXSTREAM_LOG_FLOOD_SECONDS", "6"))
    order = (ROOT / "tests/data/earlier-examples/create-simple.json").read_text()
    deadline = time.monotonic() + seconds
    answers = []

    def flood():
        while time.monotonic() < deadline:
            answers.append(server.request("POST", "/api/v1/orders", order)[0])

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = server.log_path.stat().st_size - written
    failed = sum(status >= 500 for status in answers)
    print(f"{written} bytes of log in {seconds} s without a database, {failed} failed requests")
    assert failed > 100
    lines = server.log_text().splitlines()[lines_before:]
    print(f"{len(lines)} lines")
    assert len(lines) <= 30 + seconds / 2, "\n".join(lines)
    assert written < 60_000 + 10_000 * seconds, server.log_text()[-3000:]
    lines = eventually(lambda: (found := server.logs("request failed")) and any("repeats" in one for one in found) and found,
                       "the repeated lines are counted")
    assert len(lines) <= (3 + seconds / 5 + 2) * len({one["status"] for one in lines})
    assert server.metric("txstream_log_repeats_total", level="error") >= failed - len(lines)
    postgres.start()
    eventually(server.is_ready, "it works again")
    assert server.stop() == 0
    told = sum(one.get("repeats", 1) for one in server.logs("request failed"))
    assert told == failed, "each failed request is a line or in a count"


def test_a_log_file_can_be_rotated_and_hup_ends_nothing(world, tmp_path):
    database, topic = world.database(), world.topic()
    log = tmp_path / "relay-output.log"
    relay = world.start("relay", database, topic, LOGGING_OUTPUT_PATH=str(log))
    api = world.start("api", database, topic)
    log.rename(tmp_path / "relay-output.log.1")
    for process in (relay, api):
        process.process.send_signal(signal.SIGHUP)
    eventually(lambda: log.exists() and "opened the log file again" in log.read_text(), "the relay opens a new file")
    eventually(lambda: api.logs("SIGHUP changes nothing: the log is not written to a file"), "the API says that it has no file")
    one = str(database.publish("key"))
    topic.read_ids([one])
    for process in (relay, api):
        assert process.is_ready() and process.stop() == 0
    assert '"msg":"stopped"' in log.read_text()


def test_a_log_that_nobody_takes_neither_stops_nor_blocks_the_relay(world):
    database, topic = world.database(), world.topic()
    full = world.start("relay", database, topic, LOGGING_OUTPUT_PATH="/dev/full")
    topic.read_ids([str(database.publish("key"))])
    assert full.metric("txstream_log_lines_lost_total") > 0
    assert full.stop() == 0
    environment = {**full.environment, "LOGGING_OUTPUT_PATH": "stdout", "LOGGING_LEVEL": "debug"}
    reading, writing = os.pipe()
    try:
        # Nobody reads the pipe: it is full after 64 kB.
        relay = subprocess.Popen([BINARY, "relay"], env=environment, cwd="/", stdout=writing, stderr=writing)
        os.close(writing)
        try:
            rows = database.run("SELECT txstream.publish('Test', 'key-' || n, 'Tested', '{}') FROM generate_series(1, 1000) n")
            topic.read_ids({str(event_id) for event_id, in rows})
            os.close(reading)  # from here on, writing is EPIPE
            reading = None
            topic.read_ids([str(database.publish("key"))])
            relay.send_signal(signal.SIGTERM)
            assert relay.wait(30) == 0
        finally:
            relay.kill()
            relay.wait()
    finally:
        if reading is not None:
            os.close(reading)


def test_a_relay_without_lanes_logs_once_that_it_stands_by(world):
    database, topic = world.database(), world.topic()
    first = world.start("relay", database, topic)
    eventually(lambda: first.metric("txstream_lanes_owned") == 32, "the first relay holds all lanes")
    second = world.start("relay", database, topic, WORKER_POOL_SIZE="2", WORKER_STANDBY="true")
    told = "standing by: other relays hold all lanes"
    eventually(lambda: second.logs(told), "the second one stands by")
    assert second.metric("txstream_active_workers") == 0
    assert first.stop() == 0
    eventually(lambda: second.metric("txstream_lanes_owned") == 32, "it takes over")
    assert second.metric("txstream_active_workers") == 2
    assert second.stop() == 0
    assert len(second.logs(told)) == 1 and not first.logs(told)
