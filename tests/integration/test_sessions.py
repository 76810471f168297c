"""What stands between the product and its database: a standby, a lock, a pooler."""
import contextlib
import copy
import json
import time

import psycopg2
import pytest

from support.checker import judge
from support.world import eventually, run
from test_delivery import ORDER, append


def test_with_a_standby_among_the_hosts_all_sessions_find_the_server_that_takes_writes(world):
    """The primary restarts: the standby, which answers meanwhile, must not keep anybody. Then it is promoted."""
    primary = world.postgres()
    database, topic = world.database(server=primary.dsn), world.topic()
    standby = world.standby_of(primary)
    system = world.start("serve", database, topic, WORKER_LEASE="2s", DATABASE_HOST="127.0.0.1,127.0.0.1",
                         DATABASE_PORT=f"{primary.dsn['port']},{standby.dsn['port']}")
    committed = append(database, 50)
    topic.read_ids(committed)
    primary.kill()
    eventually(lambda: "session is read-only" in system.log_text(), "the standby was asked and passed over")
    primary.start()
    committed |= append(database, 50, first=50)
    topic.read_ids(committed)

    def order_is_accepted(number):
        body = json.dumps({**json.loads(ORDER), "order_number": number})
        return system.request("POST", "/api/v1/orders", body)[0] == 201

    eventually(lambda: order_is_accepted("AFTER-RESTART"), "an order is accepted after the restart")
    on_standby = {**standby.dsn, "dbname": database.name}
    with contextlib.closing(psycopg2.connect(**on_standby)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()

        def count(sql):
            cursor.execute(sql)
            return cursor.fetchone()[0]

        eventually(lambda: count("SELECT count(*) FROM txstream.outbox") == 101, "the standby has everything")
        assert count("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'txstream%'") == 0
    primary.kill()
    standby.promote()
    eventually(lambda: order_is_accepted("AFTER-FAILOVER"), "an order is accepted after the failover")
    promoted = copy.copy(database)
    promoted.server = standby.dsn
    committed |= append(promoted, 50, first=100)
    verdict = judge(committed, topic.read_ids(committed))
    print(f"a standby among the hosts: {verdict}")
    assert not verdict.lost and not verdict.order_faults, verdict
    assert system.stop() == 0
    primary.start()  # the fixture drops the database there


def test_a_lock_on_what_the_relay_writes_multiplies_no_records(world):
    """Twice the lease long: statements end on the server, sessions and lanes are kept, and nothing is sent again."""
    database, topic = world.database(), world.topic()
    relay = world.start("relay", database, topic, WORKER_LEASE="5s")
    topic.read_ids(append(database, 20))
    claims = len(relay.logs("claimed lanes"))
    with contextlib.closing(database.connect()) as blocker:
        blocker.autocommit = False
        blocker.cursor().execute("LOCK TABLE txstream.positions IN ACCESS EXCLUSIVE MODE")
        committed = append(database, 200, first=20)
        topic.read_ids(committed)
        blocked = time.monotonic()
        eventually(lambda: time.monotonic() - blocked > 10, "the lock lasts")
        refused = [entry for entry in relay.logs() if entry.get("error_type") in ("55P03", "57014")]
        assert refused, "the server ends the statement"
    eventually(lambda: database.one("SELECT count(*) FROM txstream.events WHERE status = 'pending'") == 0, "all is acknowledged")
    assert len(relay.logs("claimed lanes")) == claims, "the lanes were given up"
    assert topic.count() == 220
    assert relay.stop() == 0


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_behind_a_pooler_that_shares_sessions_nothing_starts_and_the_reason_is_told(world, mode):
    """Also with one server process, which looks like a session of our own for as long as nobody else comes."""
    database, topic = world.database(), world.topic()
    for size, commands in ((1, ("relay", "api")), (5, ("serve",))):
        pooler = world.pooler(database, mode, size)
        environment = {**database.environment(), **topic.environment(), "DATABASE_PORT": str(pooler.port)}
        for command in commands:
            done = run([command], {**environment, "SERVER_PORT": "0", "METRICS_PORT": "0", "CONSOLE_PORT": "0"})
            assert done.returncode not in (0, -6, -11), done.stderr
            assert "session mode" in done.stderr + done.stdout and "Connect directly" in done.stderr + done.stdout
        # What we tried to set must not stay with a process that others use.
        with contextlib.closing(database.connect(port=pooler.port)) as connection:
            cursor = connection.cursor()
            cursor.execute("SHOW row_security")
            assert cursor.fetchone()[0] == "on"


def test_behind_a_pooler_in_session_mode_everything_works(world):
    database, topic = world.database(), world.topic()
    pooler = world.pooler(database, "session", 40)
    system = world.start("serve", database, topic, DATABASE_PORT=str(pooler.port))
    committed = append(database, 100)
    topic.read_ids(committed)
    body = json.dumps({**json.loads(ORDER), "order_number": "POOLED"})
    assert system.request("POST", "/api/v1/orders", body)[0] == 201
    assert system.stop() == 0
