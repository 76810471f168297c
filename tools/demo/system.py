"""The demo's own system: services of tools/stack.sh in a directory of their own, the API and two relays as its children.

Nothing that it did not start is ever touched. It is made from scratch each time; what a killed demo left is removed first.
"""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STACK = str(ROOT / "tools/stack.sh")
# Where tools/stack.sh listens when it is free to choose, and how many in a row: the controller of Kafka takes the second.
PORTS = {"STACK_PG_PORT": (15432, 1), "STACK_KAFKA_PORT": (9092, 2), "STACK_PROMETHEUS_PORT": (9090, 1),
         "STACK_ALERTMANAGER_PORT": (9094, 1), "STACK_GRAFANA_PORT": (3000, 1), "SERVER_PORT": (8080, 1),
         "METRICS_PORT": (9091, 1), "SECOND_METRICS_PORT": (9095, 1), "CONSOLE_PORT": (8082, 1)}
STOP_SECONDS = 40
# On a loaded machine, with sanitizers.
READY_SECONDS = 60
POLL_SECONDS = 0.1
SERIES = re.compile(r"(\w+)(\{.*\})? (\S+)")


class Failure(Exception):
    """The demo cannot go on; the text says why."""


class Interrupted(Exception):
    """Ctrl-C, or a signal that asks to end."""


class Process:
    """A txstream that `stack.sh run` has become: it has the stack's settings, and the pid is its own."""

    def __init__(self, name, role, port, environment, log):
        self.name, self.role, self.port, self.environment, self.log = name, role, port, environment, log
        self.child = None

    def start(self):
        # With the demo ends what it started, however the demo ends.
        command = ["setpriv", "--pdeathsig", "TERM", STACK, "run", self.role]
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def runs(self):
        return self.child is not None and self.child.poll() is None

    def is_ready(self):
        if not self.runs():
            raise Failure(f"{self.name} has ended: {self.log} says why")
        return self.ask("/readyz")[0] == 200

    def ask(self, path):
        """(status, text); status None when there was no answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return None, str(error)

    def metric(self, name, label=""):
        """The sum of its series whose labels contain the text; None when there are none, or nobody answers."""
        found = [float(value) for one, labels, value in SERIES.findall(self.ask("/metrics")[1])
                 if one == name and label in labels]
        return sum(found) if found else None

    def kill(self):
        self.child.kill()
        self.child.wait()

    def stop(self):
        if not self.runs():
            return
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


class System:
    def __init__(self, directory, settings, free_ports, stopped):
        """`settings`: for txstream, beyond those of the stack. `free_ports`: do not try the usual ones. `stopped`: an Event that
        ends every wait."""
        self.directory, self.stopped = directory, stopped
        self.environment = {**os.environ, "STACK_DIR": str(directory)}
        # Before the choice of ports: what a killed demo left would still be on them.
        self._stack("clean", stdout=subprocess.DEVNULL)
        ports = choose_ports(free_ports)
        relay_ports = ports["METRICS_PORT"], ports.pop("SECOND_METRICS_PORT")
        self.environment = {
            **self.environment, **settings, **{name: str(port) for name, port in ports.items()}, "LOGGING_FORMAT": "json", "LOGGING_OUTPUT_PATH": "", "METRICS_PATH": "/metrics",
            "STACK_SCRAPE": " ".join([f"txstream-api={ports['SERVER_PORT']}", *(f"txstream-relay={port}" for port in relay_ports)])}
        self.api = self._process("api", "api", ports["SERVER_PORT"], {})
        self.relays = [self._process(f"relay-{number + 1}", "relay", port, {"METRICS_PORT": str(port)})
                       for number, port in enumerate(relay_ports)]
        self.prometheus = f"http://127.0.0.1:{ports['STACK_PROMETHEUS_PORT']}"
        self.broker = f"127.0.0.1:{ports['STACK_KAFKA_PORT']}"
        self.topic = None

    def _process(self, name, role, port, more):
        return Process(name, role, port, {**self.environment, **more}, self.directory / "log" / f"{name}.log")

    def start(self):
        self._stack("services", stopped=self.stopped)
        self.topic = self._setting("KAFKA_TOPIC_EVENTS")
        # One after the other: the first relay gets all lanes, the second one waits for them.
        for process in (self.relays[0], self.api, self.relays[1]):
            process.start()
            self.wait_ready(process)

    def stop(self):
        for process in (self.api, *self.relays):
            process.stop()
        if (self.directory / "stack").exists():
            self._stack("down", stdout=subprocess.DEVNULL)

    def print_addresses(self):
        self._stack("addresses")

    def _stack(self, verb, stdout=None, stopped=None):
        # A session of its own: Ctrl-C in the terminal reaches us, and we decide.
        child = subprocess.Popen([STACK, verb], env=self.environment, stdin=subprocess.DEVNULL, stdout=stdout, start_new_session=True)
        while child.poll() is None:
            if stopped is not None and stopped.is_set():
                os.killpg(child.pid, signal.SIGTERM)
                child.wait()
                raise Interrupted
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(POLL_SECONDS)
        if child.returncode:
            raise Failure(f"tools/stack.sh {verb} failed")

    def wait_ready(self, process):
        deadline = time.monotonic() + READY_SECONDS
        while not process.is_ready():
            if time.monotonic() > deadline:
                raise Failure(f"{process.name} is not ready after {READY_SECONDS} s: {process.ask('/health')[1]}; its log is {process.log}")
            if self.stopped.wait(POLL_SECONDS):
                raise Interrupted

    def _setting(self, name):
        return output(["bash", "-c", 'source "$1" && printf %s "${!2}"', "setting", str(self.directory / "stack.env"), name])

    def _service(self, name, verb, *arguments):
        return output([str(ROOT / f"tools/services/{name}.sh"), verb, "--dir", str(self.directory / "stack" / name), *arguments])

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    def stop_kafka(self):
        self._service("kafka", "stop")

    def start_kafka(self):
        # On a machine that is busy otherwise a JVM may take longer than one start waits for it.
        for is_last in (False, True):
            try:
                self._service("kafka", "start", "--port", self.broker.split(":")[1])
                return
            except Failure:
                if is_last or self.stopped.is_set():
                    raise

    def owner(self):
        """The relay with the most lanes."""
        return max(self.relays, key=lambda relay: relay.metric("txstream_lanes_owned") or 0)

    def publish(self, key, event_type, data):
        """Appends an event as any application would; `data` is an SQL expression of type json. Returns the event's id."""
        return self._sql(f"SELECT txstream.publish('Report', '{key}', '{event_type}', {data})")

    def parked(self):
        return self._sql("SELECT event_id FROM txstream.dead_letters").split()

    def _sql(self, statement):
        return self._service("postgres", "psql", "--", "-d", "txstream_db", "-Atc", statement).strip()

    # --- what is seen -------------------------------------------------------------------------------------------------

    def lanes(self):
        return {relay.name: int(relay.metric("txstream_lanes_owned") or 0) for relay in self.relays if relay.runs()}

    def waiting(self):
        """Events that are committed and not yet in Kafka. Only one of the relays says it; None: none does."""
        found = [relay.metric("txstream_events_in_queue", 'status="pending"') for relay in self.relays if relay.runs()]
        return max((int(one) for one in found if one is not None), default=None)

    def firing_alerts(self):
        try:
            with urllib.request.urlopen(f"{self.prometheus}/api/v1/alerts", timeout=5) as answer:
                alerts = json.load(answer)["data"]["alerts"]
        except OSError:
            return []
        return sorted({one["labels"]["alertname"] for one in alerts if one["state"] == "firing"})


def output(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, start_new_session=True)
    if done.returncode:
        raise Failure(f"{pathlib.Path(command[0]).name} failed: {done.stdout}{done.stderr}".strip())
    return done.stdout


def choose_ports(free):
    """The stack's usual ports, or others when one of them is taken or `free` asks for them."""
    script = f'source {ROOT}/tools/lib.sh; set -euo pipefail; for port in "$@"; do ! port_is_taken $port || exit 1; done'
    usual = [str(first + number) for first, count in PORTS.values() for number in range(count)]
    if not free and subprocess.run(["bash", "-c", script, STACK, *usual], check=False).returncode == 0:
        return {name: first for name, (first, _) in PORTS.items()}
    count = sum(count for _, count in PORTS.values())
    port = int(output(["bash", "-c", f"source {ROOT}/tools/lib.sh; free_port {count}", STACK]))
    ports = {}
    for name, (_, count) in PORTS.items():
        ports[name] = port
        port += count
    return ports
