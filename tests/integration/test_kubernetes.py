"""The Pods of deploy/kubernetes as processes: with their environment, their secrets as files and the documented logins they migrate,
take an order, deliver it, show it, answer their probes, and end in the time they are given."""
import json
import os
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

import psycopg2
import pytest
from support.world import ROOT, Process, Topic, eventually, run

sys.path.insert(0, str(ROOT / "tests/deploy"))
from rendered import RELEASES  # noqa: E402

DOCUMENT = (ROOT / "docs/kubernetes.md").read_text()
LOGINS = re.search(r"<!-- test: logins -->\n```sql\n(.*?)^```$", DOCUMENT, re.M | re.S)[1]
[BASE] = [one for one in RELEASES if one.name == "kustomize-base"]
PODS = {pod.command: pod for pod in BASE.pods()}
DATABASE = "txstream_db"
TOKEN = "a-token-of-a-viewer"
ORDER = json.loads((ROOT / "tests/data/earlier-examples/create-simple.json").read_text())


class Cluster:
    """A PostgreSQL that knows only the documented logins, and what a kubelet would mount."""

    def __init__(self, world):
        self.world = world
        self.server = world.postgres()
        self.topic = Topic(create=False)
        self.secrets = {("txstream-database", f"{command}-password"): f"{command}-pass" for command in PODS}
        self.secrets["txstream-console-tokens", "tokens"] = f"someone viewer {TOKEN}"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                        "-subj", "/CN=localhost", "-keyout", "tls.key", "-out", "tls.crt"],
                       cwd=world.directory, check=True, capture_output=True)
        for name in ("tls.key", "tls.crt"):
            self.secrets["txstream-console-tls", name] = (world.directory / name).read_text()
        dsn = self.server.dsn
        connection = psycopg2.connect(**dsn)
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {DATABASE}")
        connection.close()
        variables = {"database": DATABASE, **{f"{command}_password": f"{command}-pass" for command in PODS}}
        done = subprocess.run(
            ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *[word for one in variables.items() for word in ("-v", "=".join(one))],
             "-h", dsn["host"], "-p", dsn["port"], "-U", dsn["user"], "-d", DATABASE],
            env={**os.environ, "PGPASSWORD": dsn["password"]}, input=LOGINS, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    def environment(self, pod):
        """The Pod's own, but for where the servers of this test are. Off loopback nothing of a test listens."""
        root = self.world.directory / pod.command
        for path, secret in pod.files().items():
            file = root / path.removeprefix("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self.secrets[secret])
            file.chmod(0o440)
        made = {name: str(root) + value if value.startswith("/run/secrets/") else value for name, value in pod.environment().items()}
        for name in made.keys() & {"SERVER_HOST", "METRICS_HOST", "CONSOLE_HOST"}:
            made[name] = "127.0.0.1"
        made.update({"DATABASE_HOST": self.server.dsn["host"], "DATABASE_PORT": self.server.dsn["port"], "DATABASE_SSL_MODE": "disable"})
        if "KAFKA_BROKERS" in made:
            made.update(self.topic.environment())
        return made

    def start(self, command):
        environment = self.environment(PODS[command])
        # Ports of the test's own.
        free = {name: value for name, value in environment.items() if name not in ("SERVER_PORT", "METRICS_PORT", "CONSOLE_PORT")}
        process = Process(command, free, self.world.directory)
        self.world.processes.append(process)
        return process


def asked(process, path, scheme="http", headers=None):
    """Status and text; as a kubelet does, without a look at the certificate."""
    context = ssl._create_unverified_context() if scheme == "https" else None
    request = urllib.request.Request(process.url(path).replace("http:", scheme + ":"), headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


@pytest.fixture
def cluster(world):
    return Cluster(world)


def test_the_pods_deliver_an_order_with_the_documented_logins_answer_their_probes_and_end_in_time(cluster):
    migrated = run(PODS["migrate"].container["args"], cluster.environment(PODS["migrate"]))
    assert migrated.returncode == 0, migrated.stderr
    processes = {command: cluster.start(command) for command in ("api", "relay", "console")}
    for command, process in processes.items():
        for kind, probe in PODS[command].probes().items():
            scheme = probe.get("scheme", "HTTP").lower()
            eventually(lambda process=process, probe=probe, scheme=scheme: asked(process, probe["path"], scheme)[0] == 200,
                       f"{kind} of {command} succeeds: {process.log_text()[-2000:]}")
    status, _, text = processes["api"].request("POST", "/api/v1/orders", json.dumps(ORDER))
    assert status == 201, text
    [record] = cluster.topic.read(lambda records: len(records) == 1)
    assert record.key().decode() == json.loads(text)["id"]
    seen = asked(processes["console"], "/api/console/v1/orders", "https", {"Authorization": f"Bearer {TOKEN}"})
    assert seen[0] == 200 and ORDER["order_number"] in seen[1]
    assert asked(processes["console"], "/api/console/v1/orders", "https")[0] == 401
    for command, process in processes.items():
        assert process.stop(timeout=PODS[command].spec["terminationGracePeriodSeconds"]) == 0, process.log_text()[-2000:]
