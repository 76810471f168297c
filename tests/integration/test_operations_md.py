"""OPERATIONS.md does what it says: every `sh` block of it runs as it stands, section by section, on a system that is in the state the
section is about. Only addresses, paths and the one number are those of the test."""
import contextlib
import json
import os
import pathlib
import re
import subprocess

import confluent_kafka
import confluent_kafka.admin
import psycopg2
import pytest

from conftest import a_world
from support.world import BINARY, ROOT, Topic, clean_environment, eventually, run

TEXT = (ROOT / "OPERATIONS.md").read_text()
# Sections with their blocks: (heading, [(language, text)]).
SECTIONS = [
    (section.partition("\n")[0], re.findall(r"^```(\w*)\n(.*?)^```$", section, re.M | re.S))
    for section in re.split(r"^## ", TEXT, flags=re.M)[1:]]
EXAMPLE = json.loads((ROOT / "tests/data/earlier-examples/create-simple.json").read_text())
CLASSES = {
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
}


def sh_blocks(heading):
    [found] = [blocks for name, blocks in SECTIONS if name == heading]
    return [text for language, text in found if language == "sh"]


class System:
    """What an operator has: a checkout's deploy directory, an .env, the programs on the PATH, `txstream serve` at work."""

    def __init__(self, world):
        self.world = world
        self.postgres, self.broker = world.postgres(), world.broker()
        self.directory = world.directory / "place"
        for name in ("etc/secrets", "log", "bin"):
            (self.directory / name).mkdir(parents=True)
        self._programs()
        (self.directory / "deploy").symlink_to(ROOT / "deploy")
        (self.directory / "etc/secrets/database_password").write_text("the first one")
        self.admin("CREATE ROLE txstream_user LOGIN CREATEROLE PASSWORD 'the first one'")
        self.admin("CREATE DATABASE txstream_db OWNER txstream_user")
        self.topic = Topic(bootstrap=self.broker.bootstrap, create=False)
        self.topic.name = "txstream.events"
        self.topic.create({"max.message.bytes": "20000"})
        self.settings = {
            "DATABASE_HOST": "127.0.0.1", "DATABASE_PORT": self.postgres.dsn["port"], "DATABASE_USER": "txstream_user",
            "DATABASE_PASSWORD_FILE": str(self.directory / "etc/secrets/database_password"), "DATABASE_NAME": "txstream_db",
            "DATABASE_SSL_MODE": "disable", "KAFKA_BROKERS": self.broker.bootstrap,
            "LOGGING_OUTPUT_PATH": str(self.directory / "log/txstream.log")}
        lines = [f"{name}={value}\n" for name, value in self.settings.items() if not name.startswith("LOGGING")]
        (self.directory / ".env").write_text("".join(lines))
        migrated = run(["migrate", "up"], self.environment())
        assert migrated.returncode == 0, migrated.stderr
        self.serve = world.start("serve", self, self)

    def _programs(self):
        (self.directory / "bin/txstream").symlink_to(BINARY)
        for name, class_name in CLASSES.items():
            path = self.directory / "bin" / name
            path.write_text(f'#!/bin/sh\nexec {ROOT}/tools/services/kafka.sh tool --dir {self.broker.directory} -- {class_name} "$@"\n')
            path.chmod(0o755)

    def environment(self):
        return self.settings

    def restart(self):
        assert self.serve.stop() == 0
        self.serve = self.world.start("serve", self, self)

    def admin(self, sql, *values, database="postgres"):
        with contextlib.closing(psycopg2.connect(**{**self.postgres.dsn, "dbname": database})) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []

    def one(self, sql, *values):
        return self.admin(sql, *values, database="txstream_db")[0][0]

    def publish(self, key, payload="{}"):
        return str(self.one("SELECT txstream.publish('Test', %s, 'Tested', %s::json)", key, payload))

    def shell(self, text, **replaced):
        """What the block prints."""
        dsn = self.postgres.dsn
        ports = {"8080": str(self.serve.port)}
        text = re.sub(r"127\.0\.0\.1:(\d+)", lambda found: "127.0.0.1:" + ports[found[1]], text)
        for name, ours in {"/etc/txstream": "etc", "/var/log/txstream": "log"}.items():
            text = text.replace(name, str(self.directory / ours))
        for name, ours in replaced.items():
            assert name.lstrip("n") in text
            text = text.replace(name.lstrip("n"), ours)
        environment = {
            **clean_environment(), "PATH": f"{self.directory / 'bin'}:{os.environ['PATH']}", "no_proxy": "*",
            "ADMIN_URL": f"postgresql://{dsn['user']}:{dsn['password']}@127.0.0.1:{dsn['port']}/txstream_db",
            "KAFKA_BROKERS": self.broker.bootstrap}
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=self.directory, env=environment,
                              capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, f"{text}\n{done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout


def is_delivering(system, stats, check, health):
    status, _, text = system.serve.request("POST", "/api/v1/orders", json.dumps(EXAMPLE))
    assert status == 201, text
    eventually(lambda: system.serve.metric("txstream_events_published_total") == 1, "Kafka has the event")
    assert re.search(r"^pending +0$", system.shell(stats), re.M | re.I)
    # Relays write down once in two seconds that they are there.
    eventually(lambda: system.one("SELECT count(*) FROM txstream.members") > 0, "the relay is known")
    assert system.shell(check)
    told = json.loads(system.shell(health))
    assert told["status"] == "healthy" and told["delivery"] is not None


def is_stuck(system, doctor, closer):
    system.publish("large", json.dumps({"x": "y" * 50_000}))
    system.held = system.publish("large")
    eventually(lambda: system.one("SELECT count(*) FROM txstream.dead_letters") == 2, "they are parked")
    assert "outbox.letters" in system.shell(doctor)
    told = system.shell(closer)
    assert "BLOCKED" in told and "MSG_SIZE_TOO_LARGE" in told


def is_where(system, find, read):
    assert re.search(r"published.*txstream\.events, partition \d+, offset 0", system.shell(find))
    number = json.dumps(EXAMPLE["order_number"])
    assert number in system.shell(read)


def are_replayed(system, configure, replay, jobs):
    system.shell(configure)
    system.restart()  # a relay remembers the limits of topics
    assert re.search(r"Replayed: 1 event\b", told := system.shell(replay)), told
    system.topic.read_ids([system.held])
    assert re.search(r"\breplay\b.*\bdone\b|\bdone\b.*\breplay\b", told := system.shell(jobs)), told


def is_skipped(system, discard, audit):
    # Larger than any topic may be told to take here.
    system.publish("poison", json.dumps({"x": "y" * 1_200_000}))
    behind = system.publish("poison")
    eventually(lambda: system.one("SELECT count(*) FROM txstream.dead_letters WHERE state = 'parked'") == 2, "they are parked")
    poison = system.one("SELECT id FROM txstream.dead_letters WHERE state = 'parked' ORDER BY id LIMIT 1")
    told = system.shell(discard, n4711=str(poison))
    assert "MSG_SIZE_TOO_LARGE" in told and re.search(r"Discarded: 1 event\b", told), told
    system.topic.read_ids([behind])
    assert "agreed with billing" in system.shell(audit)


def is_paused(system, block):
    told = system.shell(block)
    assert re.search(r"^topic +billing", told, re.M) and re.search(r"^key +customer-7", told, re.M), told
    assert system.one("SELECT count(*) FROM txstream.pauses") == 0


def is_taken_out(system, drain, wait, lanes):
    other = system.world.start("relay", system, system, LOGGING_OUTPUT_PATH="stdout")
    name = "SELECT name FROM txstream.members WHERE pid = %s"
    eventually(lambda: system.admin(name, other.process.pid, database="txstream_db"), "the other is known")
    system.shell(drain, **{"host-1-4711": system.one(name, other.process.pid)})
    assert other.stop() == 0
    system.shell(wait)
    assert len([line for line in system.shell(lanes).splitlines() if re.match(r"\d", line.strip())]) == 32


def is_added(system, relays):
    other = system.world.start("relay", system, system, WORKER_STANDBY="true", LOGGING_OUTPUT_PATH="stdout")
    eventually(lambda: system.one("SELECT count(*) FROM txstream.members") == 2, "both are known")
    assert len(system.shell(relays).strip().splitlines()) == 3
    assert other.stop() == 0


def has_more_partitions(system, add, resume):
    before = system.publish("a key")
    system.topic.read_ids([before])
    client = confluent_kafka.Consumer({"bootstrap.servers": system.broker.bootstrap, "group.id": "consumers"})
    client.commit(offsets=[confluent_kafka.TopicPartition("txstream.events", 0, 0)], asynchronous=False)
    client.close()
    told = system.shell(add)
    assert "consumers" in told, told
    waits = system.publish("a key")
    system.restart()
    system.shell(resume)
    metadata = confluent_kafka.admin.AdminClient({"bootstrap.servers": system.broker.bootstrap}).list_topics("txstream.events", timeout=60)
    system.topic.partitions = len(metadata.topics["txstream.events"].partitions)
    assert system.topic.partitions == 24
    system.topic.read_ids([waits])


def are_kept(system, prune, size):
    assert re.search(r"^\d+ partitions", system.shell(prune))
    assert re.search(r"\d", system.shell(size))


def is_rotated(system, rotate):
    assert "ALTER ROLE" in system.shell(rotate)
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(**{**system.postgres.dsn, "user": "txstream_user", "password": "the first one", "dbname": "txstream_db"})
    system.admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'txstream_user'")
    system.topic.read_ids([system.publish("after the rotation")])


def is_encrypted(system, check):
    system.shell(check)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                    "-subj", "/CN=localhost", "-keyout", "console.key", "-out", "console.crt"],
                   cwd=system.directory / "etc", check=True, capture_output=True)
    (system.directory / "etc/ca.pem").write_text((system.directory / "etc/console.crt").read_text())
    (system.directory / "etc/secrets/kafka_password").write_text("secret")
    [settings] = re.findall(r"^<!-- test: settings -->\n```ini\n(.*?)^```$", TEXT, re.M | re.S)
    file = system.directory / "tls.env"
    file.write_text(settings.replace("/etc/txstream", str(system.directory / "etc")))
    done = run(["config", "check", "--env-file", str(file)], {})
    assert done.returncode == 0, done.stderr


def is_upgraded(system, block):
    assert "up to date" in system.shell(block)


def is_restored(system, backup, decide):
    system.topic.read_ids([system.publish("before the backup")])
    eventually(lambda: system.one("SELECT count(*) FROM txstream.events WHERE status = 'pending'") == 0, "all is acknowledged")
    system.shell(backup)
    restored = {**system.settings, "DATABASE_NAME": "txstream_restored"}
    # The relay of the original looks alive until its lease, which was copied, has ended.
    eventually(lambda: run(["outbox", "rebase", "--dry-run"], restored).returncode == 0, "its relays are gone")
    told = system.shell(decide)
    assert "0 events will be sent" in told and "Nothing was changed" in told and "Decided" in told, told


def are_alerts(system, check):
    assert "SUCCESS" in system.shell(check)


def are_logs(system, look):
    assert "dead letters" in system.shell(look) or "parked" in system.shell(look)


SCENARIOS = {
    "Is it delivering?": is_delivering,
    "What is stuck, and why?": is_stuck,
    "Where is order ORD-001 in Kafka?": is_where,
    "How are parked events sent after all?": are_replayed,
    "How is a poison event skipped?": is_skipped,
    "How is delivery paused and resumed?": is_paused,
    "How is one relay taken out of service?": is_taken_out,
    "How do I add a relay?": is_added,
    "How do I add partitions to the topic?": has_more_partitions,
    "How long are events kept?": are_kept,
    "How do I rotate a password?": is_rotated,
    "How do I turn on TLS and SASL?": is_encrypted,
    "How do I upgrade TxStream?": is_upgraded,
    "How are backups made and restored?": is_restored,
    "Which alerts are there?": are_alerts,
    "Where are the logs?": are_logs,
}


def test_every_command_works_in_its_section():
    with a_world() as world:
        system = System(world)
        for heading, scenario in SCENARIOS.items():
            print(f"## {heading}")
            scenario(system, *sh_blocks(heading))


def test_no_block_is_left_out():
    assert [heading for heading, blocks in SECTIONS if any(language == "sh" for language, _ in blocks)] == list(SCENARIOS)
    assert len(re.findall(r"^ *```\w", TEXT, re.M)) == sum(len(blocks) for _, blocks in SECTIONS), "each block is one of a section"
    assert all(heading.endswith("?") for heading, _ in SECTIONS)
    # What cannot run here: counted, so that nothing hides behind another word.
    others = [(heading, language) for heading, blocks in SECTIONS for language, _ in blocks if language != "sh"]
    assert others == [
        ("How is one relay taken out of service?", "console"), ("How do I turn on TLS and SASL?", "ini"), ("Where are dashboards?", "console"),
        ("How do I run it with systemd?", "console"), ("How do I run it in containers?", "console")]


def test_what_cannot_run_here_names_what_exists():
    lines = [line for _, blocks in SECTIONS for language, text in blocks if language == "console" for line in text.splitlines()]
    for line in lines:
        program, *words = re.fullmatch(r"[#$] (.*)", line)[1].split()
        assert program in ("systemctl", "journalctl", "kubectl", "make"), line
        if program == "make":
            done = subprocess.run(["make", "-n", words[0]], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0 and done.stdout, done.stderr
        if program == "kubectl":
            assert pathlib.Path(ROOT, words[-1], "kustomization.yaml").exists()
        for unit in re.findall(r"txstream@(\w+)", line):
            assert unit in ("serve", "api", "relay", "console")
