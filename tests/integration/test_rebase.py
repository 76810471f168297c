"""An outbox in another cluster than the one that made it, or after its transaction ids moved: what is refused, what goes on by
itself, and what `txstream outbox rebase` makes of it. Judged by what the topic holds: none lost, how many twice, each key in order."""
import contextlib
import copy
import json
import os
import pathlib
import shutil
import subprocess

import psycopg2
import pytest

from conftest import a_world
from support.checker import judge
from support.world import PG_BIN, SUPERUSER, clean_environment, event_id, eventually, run
from test_delivery import append
from test_topics import set_config

NEXT_ID = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"


@pytest.fixture(scope="module")
def fresh_server():
    """A server whose transaction ids are far behind those of the server that all tests share."""
    with a_world() as made:
        yield made.postgres()


def use_up_ids(database, until):
    if database.one(NEXT_ID) < until:
        database.run("DO $$ BEGIN WHILE pg_current_xact_id()::text::bigint < %s LOOP COMMIT; END LOOP; END $$", until)


def pg(tool, server, *words, text=None):
    done = subprocess.run(
        [PG_BIN / tool, "-h", server["host"], "-p", str(server["port"]), "-U", server["user"], *words],
        env={**clean_environment(), "PGPASSWORD": server["password"]}, input=text, capture_output=True, text=True, timeout=60,
        check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_roles(database):
    for role in ("writer", "relay", "reader", "operator"):
        with contextlib.suppress(psycopg2.errors.DuplicateObject):
            database.on_server(f"CREATE ROLE txstream_{role} NOLOGIN")


def restored(world, database, server):
    """The database, dumped and restored into another server."""
    target = world.database(server=server, migrate=False)
    make_roles(target)
    pg("psql", target.server, "-q", "-v", "ON_ERROR_STOP=1", target.name, text=pg("pg_dump", database.server, database.name))
    return target


def deliver(world, database, topic, events):
    """A relay delivers the events and ends."""
    relay = world.start("relay", database, topic)
    topic.read_ids(events)
    assert relay.stop() == 0


def expect_refused(world, database, topic):
    before = topic.count()
    relay = world.start("relay", database, topic, ready=False)
    told = eventually(lambda: relay.logs("events are not delivered"), "it is refused")
    assert told[0]["reason"] == "foreign_instance" and "txstream outbox rebase" in told[0]["error"]
    assert relay.stop() == 0 and topic.count() == before


def rebase(database, *options):
    done = run(["outbox", "rebase", *options], database.environment())
    assert done.returncode == 0, done.stderr
    return done.stdout


def lived(world, database, topic):
    """Published, parked, held and pending events: (all that will have to arrive, the parked ones)."""
    committed = append(database, 60)
    large = str(database.publish("large", payload=json.dumps({"x": "y" * 50_000})))
    held = str(database.publish("large"))
    relay = world.start("relay", database, topic)
    topic.read_ids(committed)
    eventually(lambda: database.one("SELECT count(*) FROM txstream.dead_letters") == 2, "two are parked")
    eventually(lambda: database.one("SELECT count(*) FROM txstream.events WHERE status = 'pending'") == 0, "all is acknowledged")
    assert relay.stop() == 0
    committed |= append(database, 40, first=60)
    return committed, {large: ("large", 0), held: ("large", 1)}


def replay(world, database, topic, parked):
    """The cause is mended, and what was parked comes after all, in its order."""
    set_config(topic, max_message_bytes="200000")
    relay = world.start("relay", database, topic)
    done = run(["dead-letters", "replay", "--all", "--yes", "--wait"], database.environment())
    assert done.returncode == 0, (done.stdout, done.stderr)
    arrived = topic.read_ids(parked)
    assert relay.stop() == 0
    return arrived


@pytest.mark.parametrize("ids", ["lower", "higher"])
def test_a_dump_in_another_cluster_sends_what_waited_and_what_was_written_there(world, fresh_server, ids):
    here, there = (SUPERUSER, fresh_server.dsn) if ids == "lower" else (fresh_server.dsn, SUPERUSER)
    near, far = world.database(server=here, migrate=False), world.database(server=there, migrate=False)
    ahead, behind = (near, far) if ids == "lower" else (far, near)
    use_up_ids(ahead, behind.one(NEXT_ID) + 5000)
    # Afterwards, so that its first cursors are beyond the other server's ids.
    database = world.database(server=here)
    topic = world.topic(config={"max.message.bytes": "20000"})
    committed, parked = lived(world, database, topic)
    copied = restored(world, database, there)
    expect_refused(world, copied, topic)
    committed |= append(copied, 30, first=100)
    shown = rebase(copied, "--dry-run")
    assert "70 events will be sent, of 32 lanes; 0 of them perhaps not for the first time" in shown, shown
    assert "2 events parked stay so" in shown and "Nothing was changed" in shown, shown
    expect_refused(world, copied, topic)
    done = rebase(copied, "--yes", "--reason", "restored from Monday")
    assert "Decided: 70 events will be sent, 0 of them" in done, done
    assert "Nothing to decide" in rebase(copied, "--yes")
    deliver(world, copied, topic, committed)
    records = replay(world, copied, topic, parked)
    verdict = judge(committed | parked, records)
    print(f"ids {ids}: {verdict}")
    assert not verdict.lost and not verdict.order_faults and verdict.duplicates == 0, verdict
    entry = json.loads(run(["audit", "list", "-o", "json"], copied.environment()).stdout)[-1]
    assert (entry["action"], entry["affected"], entry["reason"]) == ("outbox rebase", 70, "restored from Monday")


def test_a_copy_of_the_rows_beside_the_original_keeps_order_though_its_ids_begin_again(world):
    database, topic = world.database(), world.topic()
    committed = append(database, 60)
    deliver(world, database, topic, committed)
    committed |= append(database, 40, first=60)
    copied = world.database()
    copied.run("DELETE FROM txstream.lanes; DELETE FROM txstream.instance")
    columns = "xid, id, created_at, event_id, aggregate_type, aggregate_id, event_type, topic, key, payload, content_type"
    for table, which, overriding in (
            ("outbox", columns, "OVERRIDING SYSTEM VALUE"), ("lanes", None, ""), ("positions", None, "OVERRIDING SYSTEM VALUE"),
            ("instance", None, "")):
        which = which or database.one("SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute"
                                      " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped", f"txstream.{table}")
        rows = database.run(f"SELECT row_to_json(t)::text FROM (SELECT {which} FROM txstream.{table}) t")
        copied.run(
            f"INSERT INTO txstream.{table} ({which}) {overriding} SELECT {which} FROM json_populate_recordset("
            f"NULL::txstream.{table}, %s::json)", "[" + ",".join(row for row, in rows) + "]")
    # Of the same keys, under the ids of what was copied.
    committed |= append(copied, 20, first=100)
    assert copied.one("SELECT min(id) FROM txstream.outbox") == 1
    expect_refused(world, copied, topic)
    done = rebase(copied, "--yes")
    assert "Decided: 60 events" in done and "20 events written here had ids that were given before" in done, done
    deliver(world, copied, topic, committed)
    verdict = judge(committed, topic.read_ids(committed))
    print(f"a copy of the rows: {verdict}")
    assert not verdict.lost and not verdict.order_faults and verdict.duplicates == 0, verdict


def reset(server, *words):
    """pg_resetwal on a server that was stopped cleanly."""
    data = pathlib.Path(server.directory) / "data"
    server.stop()
    done = subprocess.run([PG_BIN / "pg_resetwal", *words, data], user=(data / "PG_VERSION").stat().st_uid, cwd="/",
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    server.start()


def test_ids_that_jump_ahead_change_nothing_and_ids_that_go_back_are_refused(world):
    server = world.postgres()
    database, topic = world.database(server=server.dsn), world.topic()
    committed = append(database, 30)
    deliver(world, database, topic, committed)
    waiting = append(database, 30, first=30)
    reset(server, "-e", "1")
    database.server = server.dsn
    assert database.one(NEXT_ID) > 2**32
    committed |= waiting | append(database, 30, first=60)
    assert "Nothing to decide" in rebase(database, "--yes")
    deliver(world, database, topic, committed)
    verdict = judge(committed, topic.read_ids(committed))
    print(f"ids that jump ahead: {verdict}")
    assert not verdict.lost and not verdict.order_faults and verdict.duplicates == 0, verdict

    committed |= append(database, 30, first=90)
    reset(server, "-e", "0")
    database.server = server.dsn
    assert database.one(NEXT_ID) < 2**32
    committed |= append(database, 30, first=120)
    expect_refused(world, database, topic)
    done = rebase(database, "--yes")
    deliver(world, database, topic, committed)
    verdict = judge(committed, topic.read_ids(committed))
    print(f"ids that go back: {verdict}; {done}")
    assert not verdict.lost and not verdict.order_faults, verdict
    # Those of before the jump look like those that were written after the way back, and these like them.
    assert verdict.duplicates == 60 and "120 events will be sent, 90 of them perhaps" in done, (verdict, done)


def test_recovery_to_a_point_in_time_goes_on_by_itself(world):
    """The same system identifier, and cursors and events of one moment: nothing notices it and nothing needs to."""
    server = world.postgres()
    database, topic = world.database(server=server.dsn), world.topic()
    committed = append(database, 30)
    deliver(world, database, topic, committed)
    backup = world.directory / "recovered"
    backup.mkdir()
    pg("pg_basebackup", server.dsn, "-D", str(backup / "data"), "-X", "none", "-c", "fast", "--no-sync")
    again = append(database, 30, first=30)
    committed |= again
    database.run("SELECT pg_create_restore_point('here')")
    relay = world.start("relay", database, topic)
    topic.read_ids(committed)
    undone = append(database, 30, first=60)
    topic.read_ids(undone)
    assert relay.stop() == 0
    server.kill()  # a clean end would recycle the logs that the backup needs
    logs = pathlib.Path(server.directory) / "data/pg_wal"
    with open(backup / "data/postgresql.conf", "a", encoding="utf-8") as settings:
        settings.write(f"restore_command = 'cp {logs}/%f %p'\nrecovery_target_name = 'here'\nrecovery_target_action = promote\n")
    (backup / "data/recovery.signal").touch()
    give(backup / "data", (logs / "../PG_VERSION").stat())
    shutil.copy(pathlib.Path(server.directory) / "password", backup / "password")
    recovered = world.of_data(backup)
    database = copy.copy(database)
    database.server = recovered.dsn
    eventually(lambda: not database.one("SELECT pg_is_in_recovery()"), "it is promoted")
    assert database.one("SELECT count(*) FROM txstream.outbox") == 60
    committed |= append(database, 30, first=90)
    assert "Nothing to decide" in rebase(database, "--yes")
    deliver(world, database, topic, committed)
    records = [one for one in topic.read_ids(committed) if event_id(one) not in undone]
    verdict = judge(committed, records)
    print(f"recovered to a point in time: {verdict}")
    assert not verdict.lost and not verdict.order_faults and verdict.duplicates == len(again), verdict
    server.start()  # the fixture drops the database there


def give(directory, owner):
    for path in (directory, *directory.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def test_after_pg_upgrade_a_rebase_sends_nothing_again(world):
    old = world.postgres()
    database, topic = world.database(server=old.dsn), world.topic()
    committed = append(database, 30)
    deliver(world, database, topic, committed)
    committed |= append(database, 30, first=30)
    old.stop()
    data = pathlib.Path(old.directory) / "data"
    owner = (data / "PG_VERSION").stat()
    new = world.directory / "upgraded"
    new.mkdir(mode=0o755)
    give(new, owner)

    def as_owner(tool, *words):
        done = subprocess.run([PG_BIN / tool, *words], user=owner.st_uid, group=owner.st_gid, cwd=new, capture_output=True, text=True,
                              env={**clean_environment(), "PGPASSWORD": old.dsn["password"]}, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    as_owner("initdb", "-D", new / "data", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
    as_owner("pg_upgrade", "-b", PG_BIN, "-B", PG_BIN, "-d", data, "-D", new / "data", "-U", "postgres", "-s", new, "--no-sync")
    with open(new / "data/postgresql.conf", "a", encoding="utf-8") as settings:
        settings.write("include = 'txstream.conf'\n")
    shutil.copy(pathlib.Path(old.directory) / "password", new / "password")
    upgraded = world.of_data(new)
    database = copy.copy(database)
    database.server = upgraded.dsn
    expect_refused(world, database, topic)
    committed |= append(database, 30, first=60)
    done = rebase(database, "--yes")
    assert "Decided: 60 events will be sent, 0 of them" in done, done
    deliver(world, database, topic, committed)
    verdict = judge(committed, topic.read_ids(committed))
    print(f"after pg_upgrade: {verdict}")
    assert not verdict.lost and not verdict.order_faults and verdict.duplicates == 0, verdict
    old.start()  # the fixture drops the database there


def test_the_owner_of_the_tables_decides_without_being_a_superuser_and_nobody_else(world):
    database = world.database(migrate=False)
    make_roles(database)
    names = {one: f"{one}_{database.name}" for one in ("owner", "other")}
    for name in names.values():
        database.run(f"CREATE ROLE {name} LOGIN PASSWORD 'pw'")
    try:
        database.run(f"GRANT CREATE ON DATABASE {database.name} TO {names['owner']}")
        as_owner, as_other = ({**database.environment(), "DATABASE_USER": one, "DATABASE_PASSWORD": "pw"} for one in names.values())
        done = run(["migrate", "up", "--only", "outbox"], as_owner)
        assert done.returncode == 0, done.stderr
        database.run(f"GRANT txstream_operator, txstream_relay TO {names['other']}")
        database.publish("key")
        database.run("UPDATE txstream.instance SET system_identifier = 1")
        refused = run(["outbox", "rebase", "--yes"], as_other)
        assert refused.returncode == 4 and f"the rights of {names['owner']}" in refused.stderr, refused.stderr
        assert run(["outbox", "rebase", "--yes"], as_owner).returncode == 0
        assert database.one("SELECT count(*) FROM txstream.instance WHERE refused_at IS NULL AND system_identifier <> 1") == 1
    finally:
        database.run("; ".join(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}" for name in names.values()))
