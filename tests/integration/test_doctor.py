"""`txstream doctor` against real servers: each trouble is found by the check that is for it, with its remedy, and nothing is changed.
The judgements themselves have their cases in DoctorTest."""
import json
import time

import pytest

from support.world import ROOT, free_ports, run
from test_console_kafka import guarded  # noqa: F401  a broker that demands a login on one port and advertises a dead one on another
from test_topics import set_config


def examined(*sources, options=(), **more):
    """(the findings by check, the exit code)"""
    environment = {name: value for source in sources for name, value in source.environment().items()}
    done = run(["doctor", "-o", "json", *options], {**environment, **more})
    findings = {}
    for one in json.loads(done.stdout):
        findings.setdefault(one["check"], []).append(one)
    return findings, done.returncode


def problems(findings):
    return {check for check, all_of_it in findings.items() if any(one["level"] == "problem" for one in all_of_it)}


@pytest.fixture
def place(world):
    return world.database(), world.topic()


def test_of_an_installation_that_works_it_finds_no_problem_and_in_a_table_says_so(world, place):
    database, topic = place
    relay = world.start("relay", database, topic)
    topic.read_ids([database.publish("key")])
    findings, code = examined(database, topic)
    assert code == 0 and not problems(findings), findings
    assert {one["level"] for all_of_it in findings.values() for one in all_of_it} <= {"ok", "note"}, findings
    version = database.one("SHOW server_version").split()[0]
    assert f"PostgreSQL {version}" in findings["database.version"][0]["found"]
    assert "1 relay is alive" in findings["relays.alive"][0]["found"]
    assert "12 partitions" in findings["kafka.topic"][0]["found"]
    table = run(["doctor"], {**database.environment(), **topic.environment()})
    assert table.returncode == 0 and table.stdout.splitlines()[0].split() == ["LEVEL", "CHECK", "FOUND", "REMEDY"], table.stdout
    brief = run(["doctor", "--brief"], {**database.environment(), **topic.environment()})
    assert len(brief.stdout.splitlines()) < len(table.stdout.splitlines())
    assert relay.stop() == 0


@pytest.mark.parametrize(("spoil", "check", "told"), [
    ("ALTER SEQUENCE txstream.outbox_id_seq CACHE 50", "outbox.sequence", "CACHE 1"),
    ("UPDATE txstream.instance SET system_identifier = 1", "outbox.identity", "txstream outbox rebase"),
    ("CREATE RULE hides AS ON INSERT TO txstream.outbox DO INSTEAD NOTHING", "outbox.structure", "hides"),
    ("ALTER DATABASE {} SET default_transaction_read_only = on", "database.recovery", "read-only"),
    ("SELECT txstream.publish('T', 'k', 'E', '{{}}')", "relays.alive", "1 event waits"),
], ids=["sequence", "identity", "rule", "read-only", "no-relay"])
def test_what_is_wrong_in_the_database_is_a_problem_of_its_check(place, spoil, check, told):
    database, topic = place
    database.run(spoil.format(database.name))
    findings, code = examined(database, topic)
    assert code == 8 and check in problems(findings), findings
    assert told in findings[check][0]["found"] + (findings[check][0]["remedy"] or ""), findings[check]
    assert findings["kafka.topic"][0]["level"] == "ok", "the rest is looked at all the same"


def test_it_changes_nothing(world, place):
    database, _ = place
    missing = world.topic(create=False)
    database.run("UPDATE txstream.instance SET system_identifier = 1")
    findings, _ = examined(database, missing)
    assert "outbox.identity" in problems(findings)
    assert database.one("SELECT refused_at FROM txstream.instance") is None
    found = findings["kafka.topic"][0]
    assert found["level"] == "warning" and missing.name in found["found"] and "kafka-topics.sh" in found["remedy"], found
    assert examined(database, missing)[0]["kafka.topic"][0]["level"] == "warning", "the first look has not made it"


def test_what_may_go_wrong_later_is_a_warning_and_no_failure(place):
    database, topic = place
    database.run(f"ALTER DATABASE {database.name} SET synchronous_commit = off")
    set_config(topic, max_message_bytes="5000")
    findings, code = examined(database, topic)
    assert code == 0, findings
    assert findings["database.durability"][0]["level"] == "warning", findings
    assert "larger events will be parked" in findings["kafka.topic_settings"][0]["found"], findings


def test_replicas_that_cannot_be_in_sync_are_a_problem(place):
    database, topic = place
    set_config(topic, min_insync_replicas="2")
    findings, code = examined(database, topic)
    assert code == 8 and problems(findings) == {"kafka.topic_settings"}, findings
    assert "min.insync.replicas is 2" in findings["kafka.topic_settings"][0]["found"], findings


def test_a_login_that_lacks_rights_is_told_which_and_for_which_role(place):
    database, topic = place
    poor = "poor_" + database.name
    database.run(f"CREATE ROLE {poor} LOGIN PASSWORD 'pw'; GRANT txstream_reader TO {poor}")
    try:
        findings, code = examined(database, topic, DATABASE_USER=poor, DATABASE_PASSWORD="pw")
        assert code == 8 and problems(findings) == {"outbox.rights"}, findings
        found = {one["found"].split(": ")[0]: one for one in findings["outbox.rights"]}
        assert "UPDATE on txstream.lanes" in found["the login lacks what relay needs"]["found"], found
        assert "GRANT txstream_relay" in found["the login lacks what relay needs"]["remedy"], found
        assert findings["outbox.schema"][0]["level"] == "note", findings
        findings, code = examined(database, topic, options=["--role", "console"], DATABASE_USER=poor, DATABASE_PASSWORD="pw")
        assert code == 0 and not problems(findings), findings
    finally:
        database.run(f"DROP ROLE {poor}")


def test_a_refused_login_a_dead_port_and_a_pooler_are_named_and_the_other_server_is_looked_at(world, place, guarded):  # noqa: F811
    database, topic = place
    findings, code = examined(database, topic, DATABASE_PASSWORD="wrong")
    assert code == 8 and problems(findings) == {"database.login"}, findings
    assert findings["database.reach"][0]["level"] == "skipped" and findings["outbox.schema"][0]["level"] == "skipped", findings
    pooler = world.pooler(database, "transaction", 1)
    findings, _ = examined(database, topic, DATABASE_PORT=str(pooler.port))
    assert problems(findings) == {"database.pooler"}, findings
    findings, _ = examined(database, topic, DATABASE_SSL_MODE="require")
    assert problems(findings) == {"database.tls"}, findings

    sasl = {"KAFKA_BROKERS": guarded.sasl, "KAFKA_SECURITY_PROTOCOL": "sasl_plaintext", "KAFKA_SASL_MECHANISM": "PLAIN",
            "KAFKA_SASL_USERNAME": "viewer", "KAFKA_SASL_PASSWORD": "wrong"}
    findings, _ = examined(database, topic, **sasl)
    assert problems(findings) == {"kafka.login"} and findings["outbox.schema"][0]["level"] == "ok", findings
    findings, _ = examined(database, topic, KAFKA_BROKERS=guarded.bootstrap, KAFKA_SECURITY_PROTOCOL="ssl")
    assert problems(findings) == {"kafka.tls"}, findings
    findings, _ = examined(database, topic, KAFKA_BROKERS=guarded.trap)
    assert "kafka.brokers" in problems(findings), findings
    assert "advertises 127.0.0.1:1," in findings["kafka.brokers"][0]["found"], findings

    port, = free_ports(1)
    begun = time.monotonic()
    findings, code = examined(options=["--timeout", "2s"], **{
        **database.environment(), "DATABASE_PORT": str(port), "KAFKA_BROKERS": f"127.0.0.1:{port}"})
    assert code == 8 and problems(findings) == {"database.reach", "kafka.reach"}, findings
    assert time.monotonic() - begun < 20


def test_a_database_without_tables_is_one_problem(world):
    findings, code = examined(world.database(migrate=False), world.topic())
    assert code == 8 and problems(findings) == {"outbox.schema"}, findings
    assert "migrate up" in findings["outbox.schema"][0]["remedy"], findings


def test_where_the_configuration_is_wrong_no_server_is_asked(place):
    database, topic = place
    findings, code = examined(database, topic, SERVER_PORT="x")
    assert code == 8 and problems(findings) == {"config.values"}, findings
    assert findings["database.reach"][0]["level"] == findings["kafka.reach"][0]["level"] == "skipped", findings


def test_the_page_of_checks_is_that_of_the_program():
    done = run(["doctor", "--list"], {})
    assert done.returncode == 0 and done.stdout == (ROOT / "docs/doctor.md").read_text()
