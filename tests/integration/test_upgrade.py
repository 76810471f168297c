"""pg_upgrade to a newer PostgreSQL: what was pending, published and parked before it, and what the relay makes of it afterwards."""
import copy
import pathlib
import shutil
import subprocess

from support.checker import judge
from support.world import PG_BIN, ROOT, clean_environment, event_id
from test_delivery import append
from test_rebase import deliver, expect_refused, give, lived, rebase, replay

NEWER = {"14": "17", "15": "17", "16": "18", "17": "18", "18": "18"}


def programs(version):
    script = str(ROOT / "tools/services/postgres_binaries.sh")
    done = subprocess.run([script, version], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return pathlib.Path(done.stdout.strip())


def upgraded(world, old, version):
    """The stopped server's data, of the newer version, in a server that runs."""
    newer = programs(version)
    data = pathlib.Path(old.directory) / "data"
    owner = (data / "PG_VERSION").stat()
    place = world.directory / "upgraded"
    place.mkdir(mode=0o755)
    give(place, owner)

    def as_owner(tool, *words):
        done = subprocess.run([newer / tool, *words], user=owner.st_uid, group=owner.st_gid, cwd=place, capture_output=True, text=True,
                              env={**clean_environment(), "PGPASSWORD": old.dsn["password"]}, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    # PostgreSQL 18 has checksums unless it is told not to, and both have to be the same.
    sums = ["--no-data-checksums"] if version == "18" and not has_checksums(old, data) else []
    as_owner("initdb", "-D", place / "data", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", *sums)
    as_owner("pg_upgrade", "-b", PG_BIN, "-B", newer, "-d", data, "-D", place / "data", "-U", "postgres", "-s", place, "--no-sync")
    with open(place / "data/postgresql.conf", "a", encoding="utf-8") as settings:
        settings.write("include = 'txstream.conf'\n")
    shutil.copy(pathlib.Path(old.directory) / "password", place / "password")
    return world.of_data(place, newer)


def has_checksums(old, data):
    shown = subprocess.run([PG_BIN / "pg_controldata", data], capture_output=True, text=True, timeout=60, check=True,
                           env={**clean_environment(), "LC_ALL": "C"})
    return "Data page checksum version:           0" not in shown.stdout


def test_a_newer_postgresql_goes_on_where_the_older_one_stopped(world):
    old = world.postgres()
    database = world.database(server=old.dsn)
    topic = world.topic(config={"max.message.bytes": "20000"})
    committed, parked = lived(world, database, topic)
    before = database.one("SHOW server_version").split(".")[0]
    old.stop()
    new = upgraded(world, old, NEWER[before])
    database = copy.copy(database)
    database.server = new.dsn
    after = database.one("SHOW server_version").split(".")[0]
    assert int(after) >= int(before) and after == NEWER[before]
    # It has another system identifier, so an operator says that it is the same data.
    expect_refused(world, database, topic)
    committed |= append(database, 30, first=100)
    done = rebase(database, "--yes", "--reason", f"upgraded to {after}")
    assert "Decided: 70 events will be sent, 0 of them" in done, done
    deliver(world, database, topic, committed)
    records = replay(world, database, topic, parked)
    verdict = judge(committed | parked, records)
    print(f"PostgreSQL {before} to {after}: {verdict}")
    assert not verdict.lost and not verdict.order_faults and verdict.duplicates == 0, verdict
    assert parked.keys() <= {event_id(one) for one in records}
    new.stop()
    old.start()  # the fixture drops the database there
