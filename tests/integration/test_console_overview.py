"""The sentence of the overview: real failures, each with its cause and with a remedy that is applied as it is written, and the healing."""
import contextlib
import json
import re
import shlex
import subprocess

import psycopg2.extras

from support.world import BINARY, Broker, Topic, clean_environment, eventually, run

# What a sentence may take: a look of the relay (2 s), of the console (1 s), leases that end (10 s), and a machine that is busy.
SECONDS = 40
NO_TOPICS = {"KAFKA_PROPERTY_allow__auto__create__topics": "false", "KAFKA_PROPERTY_topic__metadata__propagation__max__ms": "500",
             "WORKER_TOPIC_RETRY_DELAY": "500ms"}


class Overview:
    """`txstream console` alone: it knows only what the relays wrote down."""

    def __init__(self, world, database, topic):
        self.console = world.start("console", database, topic)

    def get(self, path):
        status, _, text = self.console.request("GET", f"/api/console/v1/{path}", headers={"Sec-Fetch-Site": "none"})
        assert status == 200, text
        return json.loads(text)

    def says(self, code, holds=lambda cause: True):
        """The cause with that code, once it is there and the condition holds of it."""
        seen = []

        def found():
            seen[:] = self.get("overview")["causes"]
            return next((one for one in seen if one["code"] == code and holds(one)), None)

        try:
            cause = eventually(found, f"the sentence {code}", SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}; it says {[(one['code'], one['text'], one['params']) for one in seen]}") from None
        print(f"{code}: {cause['text']}\n    {cause['remedy']}")
        return cause

    def is_well(self):
        seen = []

        def found():
            seen[:] = self.get("overview")["causes"]
            return all(one["severity"] in ("ok", "info") for one in seen) and any(
                one["code"] in ("healthy", "idle", "no_events") for one in seen)

        try:
            eventually(found, "all is well again", SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}; it says {[(one['code'], one['text']) for one in seen]}") from None


def waits(cause, events, keys):
    return cause["params"].get("events") == str(events) and cause["params"].get("keys") == str(keys)


def run_kafka_tool(broker, remedy):
    """kafka-topics.sh is a shell around this class."""
    words = shlex.split(remedy["text"])
    assert remedy["kind"] == "command" and words[0] == "kafka-topics.sh", remedy
    done = subprocess.run([Broker.SCRIPT, "tool", "--dir", broker.directory, "--", "org.apache.kafka.tools.TopicCommand", *words[1:]],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"


def run_txstream(database, topic, remedy):
    words = shlex.split(remedy["text"])
    assert remedy["kind"] == "command" and words[0] == "txstream", remedy
    return subprocess.run([BINARY, *words[1:]], env={**clean_environment(), **database.environment(), **topic.environment()},
                          cwd="/", capture_output=True, text=True, timeout=60, check=False)


def run_sql(database, remedy):
    assert remedy["kind"] == "sql", remedy
    with contextlib.closing(database.connect(cursor_factory=psycopg2.extras.RealDictCursor)) as connection:
        cursor = connection.cursor()
        cursor.execute(remedy["text"])
        return cursor.fetchall()


def test_what_kafka_does_has_its_sentence_and_a_remedy_that_works(world):
    broker = Broker(world.directory / "kafka", settings={"auto.create.topics.enable": "false"})
    world.things.append(broker.destroy)
    database = world.database()
    topic = Topic(bootstrap=broker.bootstrap, create=False, partitions=3)
    overview = Overview(world, database, topic)

    # More replicas than there are brokers: the relay cannot make the topic.
    first = [database.publish(key) for key in ("a", "a", "b")]
    world.start("relay", database, topic, ready=False, KAFKA_TOPIC_REPLICATION_FACTOR="3",
                WORKER_MAX_RETRIES="0", KAFKA_RESET_TIMEOUT="1s", **NO_TOPICS)
    cause = overview.says("topic_missing", lambda cause: waits(cause, 3, 2))
    assert topic.name in cause["text"] and "3 events of 2 keys wait" in cause["text"] and cause["severity"] == "bad"
    run_kafka_tool(broker, cause["remedy"])
    topic.read_ids(first)
    overview.is_well()

    own = Topic(bootstrap=broker.bootstrap, create=False, partitions=3)
    held = [database.publish("c", topic=own.name), database.publish("c")]
    lane = database.one("SELECT txstream.lane_of('c')")
    cause = overview.says("topic_refused", lambda cause: waits(cause, 2, 1) and "does not exist." in cause["text"])
    assert f"Publishing to `{own.name}` stopped" in cause["text"]
    assert "Later events of the same keys wait with its own; everything else flows. 2 events of 1 key wait, and are parked" in cause["text"]
    lanes = overview.get("relays")["lanes"]
    assert [one["lane"] for one in lanes if one["state"] == "waiting"] == [lane]
    assert lanes[lane]["pending"] == {"value": "2", "exact": True}
    run_kafka_tool(broker, cause["remedy"])
    own.read_ids(held[:1])
    overview.is_well()

    broker.stop()
    late = [database.publish("d")]
    cause = overview.says("kafka_unavailable", lambda cause: waits(cause, 1, 1))
    assert broker.bootstrap in cause["text"] and broker.bootstrap in cause["remedy"]["text"]
    assert " failed:" not in cause["text"], "what librdkafka says has a line of its own"
    kafka, = [one for one in overview.get("overview")["dots"] if one["name"] == "kafka"]
    assert kafka["severity"] == "bad"
    broker.start()
    topic.read_ids(late)
    overview.is_well()

    # Refused for its size; first its place among the dead letters is refused, too.
    database.run("CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;"
                 "CREATE TRIGGER no AFTER INSERT ON txstream.dead_letters FOR EACH ROW EXECUTE FUNCTION public.no()")
    database.run("SELECT txstream.publish('Test', 'e', 'Tested', to_json(repeat('x', 3000000)))")
    cause = overview.says("cannot_park")
    lane = database.one("SELECT txstream.lane_of('e')")
    assert f"Lane {lane} waits as a whole; the other 31 lanes flow" in cause["text"]
    validated = run_txstream(database, topic, cause["remedy"])
    assert "trigger no" in validated.stdout + validated.stderr, "the remedy names what has to go"
    database.run("DROP TRIGGER no ON txstream.dead_letters")
    cause = overview.says("dead_letters_growing")
    assert "1 dead letter waits for a decision (MSG_SIZE_TOO_LARGE), parked in the last 10 min." in cause["text"]
    row, = run_sql(database, cause["remedy"])
    assert row["count"] == 1 and row["error_class"] == cause["params"]["error_class"]
    database.run("UPDATE txstream.dead_letters SET state = 'discarded'")
    overview.is_well()

    seen = eventually(
        lambda: (codes := {one["code"] for one in overview.get("overview")["incidents"] if one["ended_at"]})
        >= {"topic_refused", "kafka_unavailable", "dead_letters"} and codes, "the incidents are there", 30)
    print(f"incidents: {sorted(seen)}")
    history = overview.get("overview/history?hours=6")
    series = [name for name in history if isinstance(history[name], list) and name not in ("at", "marks")]
    assert len(series) == 8 and all(len(history[name]) == len(history["at"]) for name in series)
    assert max(one or 0 for one in history["pending"]) >= 1 and history["marks"] and history["step_s"] == 60


def test_what_relays_and_postgresql_do_has_its_sentence_and_a_remedy_that_works(world):
    database, topic = world.database(), world.topic()
    overview = Overview(world, database, topic)
    first = database.publish("a")
    cause = overview.says("relay_none", lambda cause: "1 event of 1 key waits" in cause["text"])
    assert cause["remedy"] == {"kind": "command", "text": "txstream relay"}
    checklist = {one["code"]: one["is_done"] for one in overview.get("overview")["checklist"]}
    assert checklist == {"database": True, "migrations": True, "topic": True, "relay": False, "first_event": False}
    relay = world.start("relay", database, topic, WORKER_MAX_LANES="20")
    cause = overview.says("lanes_unowned")
    assert re.search(r"12 of 32 lanes have no owner( for \d+ s)?:", cause["text"])
    other = world.start("relay", database, topic, WORKER_LEASE="9s")
    cause = overview.says("config_differs")
    assert cause["params"]["settings"] == "WORKER_LEASE"
    topic.read_ids([first])
    assert not overview.get("overview")["checklist"]
    assert relay.stop() == 0
    overview.is_well()

    with contextlib.closing(database.connect()) as blocker:
        blocker.autocommit = False
        blocker.cursor().execute("LOCK TABLE txstream.positions IN EXCLUSIVE MODE")
        locked_at = database.one("SELECT clock_timestamp()")
        waiting = [database.publish("b")]
        cause = overview.says("cannot_acknowledge")
        # Old rows of the log are merged each ten seconds, by the session that reports: it must not wait for the lock.
        eventually(lambda: database.one("SELECT max(seen_at) > %s::timestamptz + interval '11 s' FROM txstream.members", locked_at),
                   "the relay reports while the log is locked", SECONDS)
        found, = run_sql(database, cause["remedy"])
        assert found["pid"] == blocker.get_backend_pid()
        database.run(found["to_end_it"])
        topic.read_ids(waiting)
        overview.is_well()

    # One that stops readers too: this console says what is locked, and shows the rest.
    with contextlib.closing(database.connect()) as blocker:
        blocker.autocommit = False
        blocker.cursor().execute("SET application_name = 'a tool'; LOCK TABLE txstream.positions")
        cause = overview.says("tables_locked")
        assert cause["text"].startswith("txstream.positions is locked") and f"session {blocker.get_backend_pid()} (a tool)" in cause["text"]
        found, = run_sql(database, cause["remedy"])
        assert found["pid"] == blocker.get_backend_pid()
        page = overview.get("relays")
        assert page["is_locked"] and page["lanes"] == [] and [one["is_alive"] for one in page["members"]].count(True) == 1
        assert [(one["table"], one["pid"]) for one in page["locks"]] == [("txstream.positions", blocker.get_backend_pid())]
    overview.is_well()
    eventually(lambda: not overview.get("relays")["is_locked"], "the lanes can be read again", SECONDS)
    page = overview.get("relays")
    assert len(page["lanes"]) == 32 and not page["locks"]
    assert all(lane["position"]["cursor"].count(":") == 2 for lane in page["lanes"])
    assert [one["lease_ends_at"] is not None for one in page["members"] if one["is_alive"]] == [True]

    other.kill()
    database.publish("c")
    cause = overview.says("relay_gone")
    assert re.search(rf"\(pid {other.process.pid}\), was seen \d+ s ago and did not end cleanly", cause["text"])
    relay = world.start("relay", database, topic)
    overview.is_well()
    assert relay.stop() == 0

    # As after a restore into another cluster.
    database.run("UPDATE txstream.instance SET system_identifier = 1")
    pending = database.publish("d")
    relay = world.start("relay", database, topic, ready=False)
    cause = overview.says("foreign_instance")
    assert "belongs to the cluster with the system identifier 1" in cause["detail"]
    assert relay.stop() == 0
    overview.says("foreign_instance")
    first_pending = database.one("SELECT id FROM txstream.outbox WHERE event_id = %s", pending)
    before = topic.count()
    assert cause["remedy"] == {"kind": "command", "text": "txstream outbox rebase --dry-run"}
    done = run(["outbox", "rebase", "--first-pending", str(first_pending), "--yes"], database.environment())
    assert done.returncode == 0, done.stderr
    relay = world.start("relay", database, topic)
    topic.read_ids([pending])
    overview.is_well()
    assert topic.count() == before + 1, "nothing else was published again"

    database.run("UPDATE txstream.schema_migrations SET version = 99 WHERE migration_set = 'outbox' AND version = 2")
    overview.says("schema_differs")
    database.run("UPDATE txstream.schema_migrations SET version = 2 WHERE version = 99")
    overview.is_well()

    database.on_server(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS false")
    database.on_server(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database.name}'")
    cause = overview.says("database_away")
    assert "What is shown is" in cause["text"] and cause["severity"] == "bad" and cause["detail"] not in cause["text"]
    assert overview.get("overview")["at"] == cause["params"]["looked_at"]
    database.on_server(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS true")
    overview.is_well()
