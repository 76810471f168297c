"""compose.yaml as a whole: `docker compose up --wait` with Docker's own program, on podman, with stand-ins for PostgreSQL and Kafka.

What it proves is our side: wiring, settings, secrets, health checks, order of starts. The images postgres and apache/kafka are not in it.
"""
import contextlib
import json
import pathlib
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from conftest import ROOT, eventually

ORDER = re.search(r"-d '(\{.*?\n  \})'", (ROOT / "README.md").read_text(), re.S)[1]
PORTS = ["SERVER_PORT", "CONSOLE_PORT", "STACK_PG_PORT", "STACK_KAFKA_PORT"]


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [str(one.getsockname()[1]) for one in sockets]


class Project:
    def __init__(self, engine, socket_path, name):
        self.engine, self.name = engine, name
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        # Podman keeps local images below localhost; Docker looks for the bare name.
        self.environment = {**engine.environment, **self.ports, "DOCKER_HOST": f"unix://{socket_path}", "TXSTREAM_IMAGE": "localhost/txstream"}

    def compose(self, *arguments, timeout=420):
        done = subprocess.run([self.engine.compose, "--project-name", self.name, *arguments], cwd=ROOT, env=self.environment,
                              capture_output=True, text=True, timeout=timeout, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def up(self, *arguments):
        started = time.monotonic()
        self.compose("up", "--detach", "--wait", "--no-build", *arguments)
        return time.monotonic() - started

    def is_ready(self):
        with contextlib.suppress(OSError):
            return self.ask("SERVER_PORT", "/readyz")[0] == 200
        return False

    def resident(self, service):
        """Memory of the program, in MB, as the kernel counts it: the engine's figure has the page cache in it."""
        name, = self.containers(service)
        status = pathlib.Path(f"/proc/{self.engine.inspect(name)['State']['Pid']}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1e3

    def ask(self, port, path, body=None, token=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports[port]}{path}", data=body and body.encode())
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def order(self, number):
        status, text = self.ask("SERVER_PORT", "/api/v1/orders", ORDER.replace("ORD-001", number))
        assert status == 201, (status, text)
        return json.loads(text)["id"]

    def keys(self):
        """Of the records, by the listener for the host."""
        return subprocess.run(["kcat", "-C", "-e", "-q", "-b", f"127.0.0.1:{self.ports['STACK_KAFKA_PORT']}", "-t", "txstream.events", "-f",
                               "%k\n"], capture_output=True, text=True, timeout=60, check=False).stdout.split()

    def containers(self, service=None):
        label = [f"label=com.docker.compose.service={service}"] if service else []
        wanted = [part for one in [f"label=com.docker.compose.project={self.name}", *label] for part in ("--filter", one)]
        return self.engine.run("ps", "--all", "--format", "{{.Names}}", *wanted).stdout.split()


@pytest.fixture
def project(engine, health_checks, tmp_path):
    path = tmp_path / "podman.sock"
    with open(tmp_path / "service.log", "wb") as log:
        service = subprocess.Popen(["podman", "system", "service", "--time", "0", f"unix://{path}"], env=engine.environment, stdout=log,
                                   stderr=log)
    eventually(path.exists, "podman answers")
    made = Project(engine, path, "txstream-test")
    try:
        made.compose("down", "--volumes")
        yield made
        made.compose("down", "--volumes", "--timeout", "10")
    finally:
        service.terminate()
        service.wait(30)


def test_each_service_of_all_profiles_has_a_version_a_health_check_files_that_exist_and_no_port_for_others(engine):
    shown = subprocess.run([engine.compose, "--profile", "*", "config", "--format", "json"], cwd=ROOT, env=engine.environment,
                           stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout
    services = json.loads(shown)["services"]
    assert {"prometheus", "alertmanager", "grafana"} <= {name for name, one in services.items() if one.get("profiles") == ["observability"]}
    for name, one in services.items():
        assert one["image"] == "txstream" or re.search(r":v?\d+\.\d+", one["image"]), name
        assert one.get("restart", "no") == "no" or one["healthcheck"]["test"], f"{name} runs on and is not asked how it is"
        assert {port["host_ip"] for port in one.get("ports", [])} <= {"127.0.0.1"}, name
        for mount in one["volumes"]:
            assert mount["type"] == "volume" or pathlib.Path(mount["source"]).exists(), (name, mount)
    checked = subprocess.run(["promtool", "check", "config", "--syntax-only", ROOT / "deploy/compose/prometheus.yml"], capture_output=True,
                             text=True, check=False, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_one_command_brings_all_up_an_order_becomes_a_record_and_a_second_relay_takes_over_from_a_killed_one(engine, project):
    engine.note(f"compose up --wait, images present: {project.up():.0f} s")
    first = project.order("ORD-001")
    eventually(lambda: first in project.keys(), "the order is a record")

    token = project.compose("exec", "-T", "postgres", "cat", "/run/secrets/console_token").strip()
    assert project.ask("CONSOLE_PORT", "/api/console/v1/topics")[0] in (401, 403)
    assert project.ask("CONSOLE_PORT", "/api/console/v1/topics", token=token)[0] == 200
    # Secrets are files: what an engine shows of a container has none.
    password = project.compose("exec", "-T", "postgres", "cat", "/run/secrets/txstream_password").strip()
    for name in project.containers():
        shown = json.dumps(engine.inspect(name))
        assert password not in shown and token not in shown, name
        for bindings in (engine.inspect(name)["HostConfig"]["PortBindings"] or {}).values():
            assert {one["HostIp"] for one in bindings or []} <= {"127.0.0.1"}, name

    engine.note("resident, after one order: " + ", ".join(f"{role} {project.resident(role):.1f} MB" for role in ("api", "relay", "console")))

    # Podman names images otherwise than Docker, and Compose would take all containers for outdated.
    project.up("--no-recreate", "--scale", "relay=2")
    killed, = (one for one in project.containers("relay") if one.endswith("1"))
    engine.run("kill", "--signal", "KILL", killed)
    second = project.order("ORD-002")
    eventually(lambda: second in project.keys(), "the other relay delivers")

    api, = project.containers("api")
    engine.run("stop", "--time", "30", api)
    assert engine.inspect(api)["State"]["ExitCode"] == 0, "SIGTERM drains"
    started = time.monotonic()
    engine.run("start", api)
    eventually(project.is_ready, "the API is ready again")
    engine.note(f"from the start of the API's container until it is ready: {time.monotonic() - started:.1f} s")
    project.compose("down", "--timeout", "10")
    volumes = engine.run("volume", "ls", "--format", "{{.Name}}").stdout.split()
    assert sorted(volumes) == [f"{project.name}_{one}" for one in ("kafka", "postgres", "secrets")], "only those that have names"
    assert project.containers() == []
