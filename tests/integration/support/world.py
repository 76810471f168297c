"""What every test needs: a database, a topic, free ports, txstream processes, records read back.

Holds no product code: it talks to the built binary, to PostgreSQL and to Kafka, as a user would.
"""
import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid

import confluent_kafka
import confluent_kafka.admin
import psycopg2
import psycopg2.extensions

ROOT = pathlib.Path(os.environ["TXSTREAM_ROOT"])
BINARY = os.environ["TXSTREAM_BIN"]
KAFKA = os.environ["TXSTREAM_TEST_KAFKA"]
SUPERUSER = psycopg2.extensions.parse_dsn(os.environ["TXSTREAM_TEST_PG"])
PATIENCE = 60.0
# The programs of the servers that tests start: Debian's, or those of `make test-postgres`.
PG_BIN = pathlib.Path(os.environ.get("TXSTREAM_POSTGRES_BIN") or "/usr/lib/postgresql/15/bin")


def eventually(condition, what="the condition", timeout=PATIENCE, pause=0.02):
    """Waits until the condition gives something true, and returns that."""
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout} s: {what} did not come true")
        time.sleep(pause)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Database:
    """A database of its own, migrated, dropped at the end."""

    def __init__(self, server=None, migrate=True):
        self.server = dict(server or SUPERUSER)
        self.name = "txs_" + uuid.uuid4().hex[:16]
        self.on_server(f"CREATE DATABASE {self.name}")
        if migrate:
            done = run(["migrate", "up"], self.environment())
            assert done.returncode == 0, done.stderr

    def drop(self):
        self.on_server(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")

    def on_server(self, sql):
        with contextlib.closing(psycopg2.connect(**self.server)) as connection:
            connection.autocommit = True
            connection.cursor().execute(sql)

    def connect(self, **more):
        connection = psycopg2.connect(**{**self.server, "dbname": self.name, **more})
        connection.autocommit = True
        return connection

    def run(self, sql, *values):
        """Rows of one statement, in a session of its own."""
        with contextlib.closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []

    def one(self, sql, *values):
        return self.run(sql, *values)[0][0]

    def publish(self, key, event_type="Tested", payload="{}", topic=None):
        return self.one("SELECT txstream.publish('Test', %s, %s, %s::json, topic => %s)", key, event_type, payload, topic)

    def environment(self):
        return {
            "DATABASE_HOST": self.server["host"],
            "DATABASE_PORT": str(self.server["port"]),
            "DATABASE_USER": self.server["user"],
            "DATABASE_PASSWORD": self.server["password"],
            "DATABASE_NAME": self.name,
            "DATABASE_SSL_MODE": "disable",
        }


def clean_environment():
    ours = re.compile("(SERVER|DATABASE|KAFKA|WORKER|OUTBOX|METRICS|CONSOLE|LOGGING|SHUTDOWN|OTEL|NOTIFY|WATCHDOG)_|PG[A-Z]+$|DB_")
    return {name: value for name, value in os.environ.items() if not ours.match(name)}


def run(arguments, environment, timeout=PATIENCE, cwd="/"):
    return subprocess.run(
        [BINARY, *arguments], env={**clean_environment(), **environment}, cwd=cwd,
        capture_output=True, text=True, timeout=timeout, check=False)


class Process:
    """A running txstream; its log is shown when the test fails."""

    def __init__(self, role, environment, directory, descriptors=None):
        """`descriptors`: how many it may have open, at most."""
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        self.role = role
        self.port, self.metrics_port, self.console_port = free_ports(3)
        self.log_path = pathlib.Path(directory) / f"{role}-{uuid.uuid4().hex[:8]}.log"
        self.environment = {
            **clean_environment(), "SERVER_PORT": str(self.port), "METRICS_PORT": str(self.metrics_port),
            "CONSOLE_PORT": str(self.console_port), "LOGGING_FORMAT": "json", **environment}
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [BINARY, role], env=self.environment, cwd="/", stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                preexec_fn=limit if descriptors else None)

    def log_text(self):
        return self.log_path.read_text(errors="replace")

    def logs(self, message=None):
        lines = []
        for line in self.log_text().splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if message is None or entry["msg"] == message:
                    lines.append(entry)
        return lines

    def url(self, path):
        port = {"relay": self.metrics_port, "console": self.console_port}.get(self.role, self.port)
        return f"http://127.0.0.1:{port}{path}"

    def request(self, method, path, body=None, headers=None, timeout=30):
        """(status, headers, text)"""
        data = body.encode() if isinstance(body, str) else body
        request = urllib.request.Request(self.url(path), data=data, method=method, headers=headers or {})
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()

    def is_ready(self):
        assert self.process.poll() is None, f"txstream {self.role} ended: {self.log_text()[-3000:]}"
        try:
            return self.request("GET", "/readyz", timeout=5)[0] == 200
        except OSError:
            return False

    def wait_ready(self):
        eventually(self.is_ready, f"txstream {self.role} is ready")
        return self

    def metrics(self):
        """{name{labels}: value} of the page."""
        page = self.request("GET", "/metrics")[2]
        found = {}
        for line in page.splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name] = float(value)
        return found

    def metric(self, name, **labels):
        """The sum of the series with that name and those labels."""
        total = 0.0
        for series, value in self.metrics().items():
            if series != name and not series.startswith(name + "{"):
                continue
            if all(f'{label}="{wanted}"' in series for label, wanted in labels.items()):
                total += value
        return total

    def stop(self, timeout=40):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()


class Topic:
    def __init__(self, partitions=12, bootstrap=None, config=None, create=True):
        self.bootstrap = bootstrap or KAFKA
        self.name = "test." + uuid.uuid4().hex[:16]
        self.partitions = partitions
        if create:
            self.create(config)

    def create(self, config=None):
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 3})
        wanted = confluent_kafka.admin.NewTopic(
            self.name, num_partitions=self.partitions, replication_factor=1, config=config or {})
        for future in admin.create_topics([wanted]).values():
            future.result(PATIENCE)

    def delete(self):
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 3})
        for future in admin.delete_topics([self.name]).values():
            future.result(PATIENCE)

    def environment(self):
        return {"KAFKA_BROKERS": self.bootstrap, "KAFKA_TOPIC_EVENTS": self.name,
                "KAFKA_TOPIC_PARTITIONS": str(self.partitions)}

    def read(self, until, timeout=PATIENCE):
        """All records from the beginning, until the condition on them holds."""
        consumer = confluent_kafka.Consumer({
            "bootstrap.servers": self.bootstrap, "group.id": uuid.uuid4().hex, "enable.auto.commit": False,
            "fetch.wait.max.ms": 20, "auto.offset.reset": "earliest"})
        consumer.assign([
            confluent_kafka.TopicPartition(self.name, partition, confluent_kafka.OFFSET_BEGINNING)
            for partition in range(self.partitions)])
        records = []
        deadline = time.monotonic() + timeout
        try:
            while True:
                for message in consumer.consume(1000, 0.1):
                    if message.error() is None:
                        records.append(message)
                if until(records):
                    return records
                if time.monotonic() > deadline:
                    raise AssertionError(f"after {timeout} s only {len(records)} records in {self.name}")
        finally:
            consumer.close()

    def read_ids(self, wanted, timeout=PATIENCE):
        """Records, once every event of `wanted` has arrived."""
        wanted = {str(one) for one in wanted}
        return self.read(lambda records: wanted <= {event_id(one) for one in records}, timeout)

    def count(self):
        """What the partitions hold now, by their watermarks."""
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.bootstrap, "group.id": uuid.uuid4().hex})

        def bounds(partition):
            try:
                return consumer.get_watermark_offsets(
                    confluent_kafka.TopicPartition(self.name, partition), timeout=PATIENCE)
            except confluent_kafka.KafkaException as error:
                # A broker whose heartbeats to its controller came late on a busy machine leads nothing for a moment.
                if error.args[0].code() != confluent_kafka.KafkaError.NOT_LEADER_FOR_PARTITION:
                    raise
                return None

        try:
            total = 0
            for partition in range(self.partitions):
                low, high = eventually(lambda partition=partition: bounds(partition), f"partition {partition} has a leader")
                total += high - low
            return total
        finally:
            consumer.close()


def header(record, name):
    for key, value in record.headers() or []:
        if key == name:
            return value.decode()
    return None


def event_id(record):
    return header(record, "event_id")


class Broker:
    """A Kafka of its own, for tests that stop it."""

    SCRIPT = str(ROOT / "tools/services/kafka.sh")

    def __init__(self, directory, port="auto", controller_port=None, settings=None):
        self.directory = str(directory)
        self.ports = ["--port", str(port), *(["--controller-port", str(controller_port)] if controller_port else [])]
        self.settings = settings or {}
        self.start()

    def _run(self, verb, *more):
        done = subprocess.run([self.SCRIPT, verb, "--dir", self.directory, *more],
                              capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{verb}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def start(self):
        settings = [part for name, value in self.settings.items() for part in ("--set", f"{name}={value}")]
        self._run("start", "--jit", "c1", *self.ports, *settings)
        self.bootstrap = self._run("bootstrap")

    def stop(self):
        self._run("stop")

    def kill(self):
        self._run("kill")

    def destroy(self):
        self._run("destroy")


class PostgresServer:
    """A PostgreSQL of its own, for tests that stop it."""

    SCRIPT = str(ROOT / "tools/services/postgres.sh")

    def __init__(self, directory, programs=PG_BIN):
        self.directory = str(directory)
        self.programs = programs
        self.start()

    def _run(self, verb, *more):
        done = subprocess.run([self.SCRIPT, verb, "--dir", self.directory, *more],
                              capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{verb}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def start(self):
        self._run("start", "--port", "auto", "--bin", str(self.programs))
        self.dsn = psycopg2.extensions.parse_dsn(self._run("conninfo"))

    def stop(self):
        self._run("stop")

    def kill(self):
        self._run("kill")

    def destroy(self):
        self._run("destroy")


class StandbyServer(PostgresServer):
    """A streaming copy of a server, made when it is."""

    def __init__(self, directory, primary):
        data = directory / "data"
        directory.mkdir()
        copied = subprocess.run(
            [PG_BIN / "pg_basebackup", "-h", primary.dsn["host"], "-p", primary.dsn["port"], "-U", primary.dsn["user"],
             "-D", data, "-R", "-X", "stream", "-c", "fast", "--no-sync"],
            env={**clean_environment(), "PGPASSWORD": primary.dsn["password"]},
            capture_output=True, text=True, timeout=120, check=False)
        assert copied.returncode == 0, copied.stderr
        owner = (pathlib.Path(primary.directory) / "data/PG_VERSION").stat()
        for path in (data, *data.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        shutil.copy(pathlib.Path(primary.directory) / "password", directory / "password")
        super().__init__(directory)

    def promote(self):
        with contextlib.closing(psycopg2.connect(**self.dsn)) as connection:
            connection.cursor().execute("SELECT pg_promote()")


class Pooler:
    """A pgbouncer before a server."""

    def __init__(self, directory, server, mode, size):
        self.port, = free_ports(1)
        directory.mkdir()
        config = directory / "pgbouncer.ini"
        # Whoever asks is the server's user; `pgbouncer` itself refuses to be root.
        config.write_text(
            f"[databases]\n* = host={server['host']} port={server['port']} user={server['user']} password={server['password']}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = {mode}\ndefault_pool_size = {size}\nlogfile = {directory / 'log'}\n")
        directory.chmod(0o777)
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen(["/usr/sbin/pgbouncer", "-q", *user, str(config)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._answers, "pgbouncer listens")

    def _answers(self):
        assert self.process.poll() is None, "pgbouncer ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def destroy(self):
        self.process.kill()
        self.process.wait(10)
