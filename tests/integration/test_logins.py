"""Logins and TLS: what is refused and why, and secrets that are rotated while we run."""
import json
import socket
import subprocess
import uuid

import pytest

from support.world import Broker, eventually, free_ports, run

PLAIN_LOGIN = "listener.name.sasl_plaintext.plain.sasl.jaas.config"


def jaas(password):
    return f'org.apache.kafka.common.security.plain.PlainLoginModule required user_relay="{password}";'


def write(path, text):
    """As tools that rotate secrets do it: the file is never half written."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(path)


# --- PostgreSQL


@pytest.fixture
def role(world):
    """A database and a role of its own that may do everything in it; [database, name]."""
    database = world.database()
    name = "rotated_" + uuid.uuid4().hex[:12]
    database.run(f"CREATE ROLE {name} LOGIN SUPERUSER PASSWORD 'old-s3cret'")
    yield database, name
    database.run(f"DROP ROLE {name}")


def test_a_rotated_password_is_read_at_the_next_connect(world, role, tmp_path):
    database, name = role
    secret = tmp_path / "password"
    write(secret, "old-s3cret\n")
    login = {"DATABASE_USER": name, "DATABASE_PASSWORD_FILE": str(secret)}
    environment = {key: value for key, value in database.environment().items() if key != "DATABASE_PASSWORD"}
    database.environment = lambda: {**environment, **login}
    topic = world.topic()
    relay = world.start("relay", database, topic)
    api = world.start("api", database, topic)
    topic.read_ids([str(database.publish("before"))])

    def end_sessions():
        database.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", name)

    # In the middle of a rotation the file is empty: that is said, and tried again.
    write(secret, "\n")
    database.run(f"ALTER ROLE {name} PASSWORD 'new-s3cret'")
    end_sessions()
    eventually(lambda: any("is empty" in one.get("error", "") for one in relay.logs()), "the relay says what it waits for")
    write(secret, "old-s3cret")
    eventually(lambda: api.request("GET", "/api/v1/orders")[0] == 503, "a login refused for now is no fault of the request")
    write(secret, "new-s3cret\r\n")
    topic.read_ids([str(database.publish("after"))])
    eventually(lambda: api.request("GET", "/api/v1/orders")[0] == 200, "the API is back")
    assert relay.stop() == 0 and api.stop() == 0
    assert "s3cret" not in relay.log_text() + api.log_text()


def test_a_password_that_is_demanded_and_missing_ends_the_start_at_once(world):
    database, topic = world.database(), world.topic()
    environment = {**database.environment(), **topic.environment(), "SERVER_PORT": "0", "METRICS_PORT": "0", "CONSOLE_PORT": "0",
                   "DATABASE_PASSWORD": "", "PGPASSFILE": "/dev/null"}
    for command in (["relay"], ["serve"], ["api"], ["migrate", "up"]):
        done = run(command, environment)
        assert done.returncode == 4, (command, done.returncode, done.stderr)
        assert "set DATABASE_PASSWORD or DATABASE_PASSWORD_FILE" in done.stderr, done.stderr
        assert "waiting" not in done.stdout
    for change, code, text in (({"DATABASE_USER": "no_such_role"}, 4, "no_such_role"),
                               ({"DATABASE_SSL_MODE": "require"}, 4, "DATABASE_SSL_MODE")):
        done = run(["relay"], {**environment, **database.environment(), **change})
        assert done.returncode == code and text in done.stderr, (change, done.returncode, done.stderr)


# --- Kafka


def openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


@pytest.fixture
def guarded(world):
    """A broker with a listener of each kind. Its plain one is for the tests."""
    keys = world.directory / "keys"
    keys.mkdir()
    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(keys, "req", "-x509", *ec, "-days", "30", "-subj", "/CN=test-ca", "-keyout", "ca.key", "-out", "ca.pem")
    openssl(keys, "req", *ec, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
    (keys / "san.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl(keys, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
            "-extfile", "san.ext", "-out", "server.pem")
    openssl(keys, "pkcs12", "-export", "-in", "server.pem", "-inkey", "server.key", "-passout", "pass:changeit", "-out", "server.p12")
    plain, controller, tls, sasl = free_ports(4)
    settings = {
        "listeners": f"PLAINTEXT://127.0.0.1:{plain},SSL://127.0.0.1:{tls},SASL_PLAINTEXT://127.0.0.1:{sasl},"
                     f"CONTROLLER://127.0.0.1:{controller}",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        PLAIN_LOGIN: jaas("new-s3cret"),
        "ssl.keystore.type": "PKCS12", "ssl.keystore.location": str(keys / "server.p12"), "ssl.keystore.password": "changeit"}
    broker = Broker(world.directory / "guarded", port=plain, controller_port=controller, settings=settings)
    world.things.append(broker.destroy)
    broker.tls, broker.sasl, broker.ca = f"127.0.0.1:{tls}", f"127.0.0.1:{sasl}", str(keys / "ca.pem")
    yield broker


def kafka_health(process):
    return json.loads(process.request("GET", "/health")[2])["kafka"]


def test_each_way_of_not_getting_in_is_named_and_a_rotated_login_gets_in(world, guarded, tmp_path):
    database, topic = world.database(), world.topic(bootstrap=guarded.bootstrap)
    other_ca = tmp_path / "other.pem"
    openssl(tmp_path, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
            "-subj", "/CN=other-ca", "-keyout", "other.key", "-out", "other.pem")
    secret = tmp_path / "kafka-password"
    write(secret, "old-s3cret\n")
    sasl = {"KAFKA_SECURITY_PROTOCOL": "sasl_plaintext", "KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": "relay",
            "KAFKA_SASL_PASSWORD_FILE": str(secret)}
    tls = {"KAFKA_SECURITY_PROTOCOL": "ssl", "KAFKA_SSL_CA_LOCATION": guarded.ca}
    silent = socket.create_server(("127.0.0.1", 0))
    cases = {
        "login_refused": ({"KAFKA_BROKERS": guarded.sasl, **sasl}, "KAFKA_SASL_PASSWORD"),
        "login_demanded": ({"KAFKA_BROKERS": guarded.sasl}, "KAFKA_SECURITY_PROTOCOL"),
        "sasl_not_offered": ({"KAFKA_BROKERS": guarded.bootstrap, **sasl}, "KAFKA_SECURITY_PROTOCOL"),
        "certificate_refused": ({"KAFKA_BROKERS": guarded.tls, **tls, "KAFKA_SSL_CA_LOCATION": str(other_ca)},
                                "KAFKA_SSL_CA_LOCATION"),
        "tls_not_offered": ({"KAFKA_BROKERS": guarded.bootstrap, **tls}, "KAFKA_SECURITY_PROTOCOL"),
        "tls_demanded": ({"KAFKA_BROKERS": guarded.tls}, "KAFKA_SECURITY_PROTOCOL"),
        "unresolved_host": ({"KAFKA_BROKERS": "no-such-host.invalid:9092"}, "KAFKA_BROKERS"),
        "no_answer": ({"KAFKA_BROKERS": "127.0.0.1:%d" % silent.getsockname()[1]}, "KAFKA_BROKERS"),
        "connection_refused": ({"KAFKA_BROKERS": "127.0.0.1:1"}, "KAFKA_BROKERS"),
    }
    # So long that no producer is given up: the one that was refused has to log in anew.
    patience = {"WORKER_POOL_SIZE": "1", "KAFKA_TIMEOUT": "10m", "KAFKA_TIMEOUT_DURATION": "10m"}
    relays = {kind: world.start("relay", database, topic, ready=False, **patience, **settings)
              for kind, (settings, _) in cases.items()}
    for kind, relay in relays.items():
        told = eventually(lambda: relay.logs("the topic cannot be used yet; events wait in their table"), f"{kind} is logged")
        assert told[0]["error_type"] == kind and cases[kind][1] in told[0]["error"], told
        error = eventually(lambda: kafka_health(relay).get("last_error"), f"{kind} is in /health")
        assert error["kind"] == kind and cases[kind][1] in error["message"], error
        assert "127.0.0.1" not in error["message"] and kafka_health(relay)["status"] == "degraded"
        assert "s3cret" not in relay.log_text()
        if kind != "login_refused":
            relay.kill()
    silent.close()
    relay = relays["login_refused"]
    write(secret, "new-s3cret\n")
    topic.read_ids([str(database.publish("key"))])
    eventually(lambda: "last_error" not in kafka_health(relay), "it is over")
    # Rotated once more, at the broker first: its session ends, and the file is late.
    guarded.stop()
    guarded.settings[PLAIN_LOGIN] = jaas("newest-s3cret")
    guarded.start()
    event = str(database.publish("key"))
    eventually(lambda: kafka_health(relay).get("last_error", {}).get("kind") == "login_refused", "the producer is refused")
    assert relay.logs("no broker can be used; trying again")[-1]["error_type"] == "login_refused"
    write(secret, "newest-s3cret\n")
    topic.read_ids([event])
    eventually(lambda: "last_error" not in kafka_health(relay), "it is over")
    assert relay.stop() == 0 and "s3cret" not in relay.log_text()
