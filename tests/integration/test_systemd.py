"""What the service manager is told (Type=notify), by a socket that stands for it; and the unit itself, judged by systemd's tools."""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from support.world import BINARY, PATIENCE, ROOT, eventually, run

UNIT = ROOT / "deploy/systemd/txstream@.service"
WATCHDOG = {"WATCHDOG_USEC": "1000000"}
INTERVAL = 0.5


class Manager:
    """The socket of a service manager."""

    def __init__(self, directory):
        self.path = pathlib.Path(directory) / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.told = []

    def environment(self, **more):
        return {"NOTIFY_SOCKET": str(self.path), **more}

    def next(self, timeout=PATIENCE):
        """The lines of the next message; none: nothing came."""
        self.socket.settimeout(timeout)
        try:
            lines = self.socket.recv(4096).decode().splitlines()
        except TimeoutError:
            return None
        self.told += lines
        return lines

    def until(self, wanted, timeout=PATIENCE):
        deadline = time.monotonic() + timeout
        while True:
            lines = self.next(max(0.01, deadline - time.monotonic()))
            assert lines is not None, f"{wanted} did not come, only {self.told[-20:]}"
            if wanted in lines:
                return

    def drain(self):
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.told += self.socket.recv(4096).decode().splitlines()

    def until_silent(self, seconds, timeout=PATIENCE):
        """Until the watchdog is not fed for so long, whatever else is told."""
        deadline = time.monotonic() + timeout
        quiet_at = time.monotonic() + seconds
        while time.monotonic() < quiet_at:
            assert time.monotonic() < deadline, f"it does not fall silent: {self.told[-20:]}"
            lines = self.next(max(0.01, quiet_at - time.monotonic()))
            if lines and "WATCHDOG=1" in lines:
                quiet_at = time.monotonic() + seconds


@pytest.fixture
def manager(world):
    made = Manager(world.directory)
    yield made
    made.socket.close()


@pytest.mark.parametrize("role", ["serve", "api", "relay", "console"])
def test_each_role_says_when_it_is_ready_that_it_goes_on_and_that_it_stops(world, manager, role):
    database, topic = world.database(), world.topic()
    process = world.start(role, database, topic, ready=False, **manager.environment(**WATCHDOG))
    manager.until("READY=1")
    assert process.request("GET", "/livez")[0] == 200, "it listens when it says that it is ready"
    assert "STOPPING=1" not in manager.told
    for _ in range(3):
        manager.until("WATCHDOG=1")
    if role in ("serve", "relay"):
        eventually(lambda: manager.next() and any("relay: 32 lanes, 1 of 1 workers" in one for one in manager.told), "its status")
    process.process.send_signal(signal.SIGTERM)
    manager.until("STOPPING=1")
    assert process.process.wait(60) == 0
    manager.drain()
    assert manager.told.count("READY=1") == 1 and manager.told.count("STOPPING=1") == 1
    assert "STATUS=stopping" in manager.told


def test_what_cannot_start_is_never_ready(world, manager):
    database, topic = world.database(migrate=False), world.topic(create=False)
    for role in ("relay", "api"):
        done = run([role], {**database.environment(), **topic.environment(), **manager.environment(**WATCHDOG), "SERVER_PORT": "0",
                            "METRICS_PORT": "0"})
        assert done.returncode == 6, done.stderr
    manager.drain()
    assert "STATUS=starting" in manager.told and "READY=1" not in manager.told


def test_a_relay_without_kafka_is_ready_and_says_what_holds_it_up(world, manager):
    database, topic = world.database(), world.topic(create=False)
    relay = world.start("relay", database, topic, ready=False, **{**manager.environment(**WATCHDOG), "KAFKA_BROKERS": "127.0.0.1:1"})
    manager.until("READY=1")
    eventually(lambda: manager.next() and any(re.match("STATUS=held up: kafka_unavailable", one) for one in manager.told), "its status")
    for _ in range(5):
        manager.until("WATCHDOG=1")
    assert relay.stop() == 0


def test_a_process_that_stands_still_does_not_feed_the_watchdog(world, manager):
    database, topic = world.database(), world.topic()
    relay = world.start("relay", database, topic, **manager.environment(**WATCHDOG))
    manager.until("WATCHDOG=1")
    relay.process.send_signal(signal.SIGSTOP)
    eventually(lambda: pathlib.Path(f"/proc/{relay.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", "it is stopped")
    manager.drain()
    assert manager.next(timeout=4 * INTERVAL) is None
    relay.process.send_signal(signal.SIGCONT)
    manager.until("WATCHDOG=1")
    assert relay.stop() == 0


class HaltedThread:
    """One thread of a process, held by ptrace; the others go on."""

    SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
    ANY_THREAD = 0x40000000

    def __init__(self, pid, name):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        self.tid = eventually(lambda: self._find(pid, name), f"the thread {name} is there")
        self._ptrace(self.SEIZE)
        self._ptrace(self.INTERRUPT)
        os.waitpid(self.tid, self.ANY_THREAD)

    @staticmethod
    def _find(pid, name):
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                if (task / "comm").read_text().strip() == name:
                    return int(task.name)
        return None

    def _ptrace(self, request):
        assert self.libc.ptrace(request, self.tid, None, None) == 0, os.strerror(ctypes.get_errno())

    def go_on(self):
        self._ptrace(self.DETACH)


@pytest.mark.parametrize("where", ["relay", "serve"])
def test_a_worker_that_hangs_lets_the_watchdog_starve_though_all_else_goes_on(world, manager, where):
    database, topic = world.database(), world.topic()
    process = world.start(where, database, topic, **manager.environment(**WATCHDOG), WORKER_POOL_SIZE="2")
    manager.until("WATCHDOG=1")
    halted = HaltedThread(process.process.pid, "worker/2")
    try:
        manager.until_silent(6 * INTERVAL)
    finally:
        halted.go_on()
    manager.until("WATCHDOG=1")
    assert process.stop() == 0


def test_a_wait_for_the_database_is_no_hang(world, manager):
    """Someone locks the table of lanes: each statement of the keeper waits, for far longer than the watchdog is patient."""
    database, topic = world.database(), world.topic()
    relay = world.start("relay", database, topic, **manager.environment(WATCHDOG_USEC="200000"))
    eventually(lambda: relay.metric("txstream_lanes_owned") == 32, "it holds all lanes")
    waiting = ("SELECT pid, query_start::text FROM pg_stat_activity WHERE datname = %s AND application_name = 'txstream keeper'"
               " AND wait_event_type = 'Lock' AND query_start < clock_timestamp() - interval '300 ms'")

    def is_fed_while_it_waits():
        before = database.run(waiting, database.name)
        if not before:
            return False
        manager.drain()
        return "WATCHDOG=1" in (manager.next() or []) and database.run(waiting, database.name) == before

    with contextlib.closing(database.connect()) as holder:
        holder.autocommit = False
        holder.cursor().execute("LOCK TABLE txstream.lanes, txstream.leases, txstream.positions IN ACCESS EXCLUSIVE MODE")
        eventually(is_fed_while_it_waits, "it is fed while a statement waits")
    assert relay.stop() == 0


def test_what_asks_for_reports_and_takes_none_does_not_hold_up_the_start(world):
    database, topic = world.database(), world.topic()
    relay = world.start("relay", database, topic, NOTIFY_SOCKET="/no/such/socket", **WATCHDOG)
    [told] = relay.logs("cannot report to the service manager, which may end this process")
    assert "NOTIFY_SOCKET" in told["error"]
    assert relay.stop() == 0


def unit_settings():
    found = {}
    for line in UNIT.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_systemd_finds_nothing_wrong_with_the_unit_and_calls_it_hardened(tmp_path):
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=30", str(UNIT)],
        capture_output=True, text=True, timeout=120, check=False)
    print(judged.stdout.strip().splitlines()[-1:])
    assert judged.returncode == 0, judged.stdout + judged.stderr
    # It looks whether the binary is there.
    text = UNIT.read_text()
    assert "ExecStart=/usr/bin/txstream %i\n" in text
    copy = tmp_path / UNIT.name
    copy.write_text(text.replace("/usr/bin/txstream", BINARY))
    verified = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, timeout=120, check=False)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


def test_the_times_of_the_unit_leave_the_process_its_own():
    settings = unit_settings()
    defaults = {one["name"]: one["value"] for one in json.loads(run(["config", "print", "-o", "json"], {}).stdout)}
    seconds = {name: float(defaults[name].removesuffix("s")) for name in ("SHUTDOWN_TIMEOUT", "SHUTDOWN_DELAY")}
    # Two seconds after both the process ends itself; the start waits 30 s for a database.
    assert float(settings["TimeoutStopSec"][0]) > sum(seconds.values()) + 2
    assert float(settings["TimeoutStartSec"][0]) > 30
    assert settings["Type"] == ["notify"] and float(settings["WatchdogSec"][0]) >= 10
    assert settings["RestartPreventExitStatus"] == ["2"]


def test_the_documented_command_lines_of_the_binary_are_ones_that_it_has():
    text = (ROOT / "deploy/systemd/README.md").read_text()
    used = set(re.findall(r"^# txstream (.*?)(?: --env-file.*)?$", text, re.M))
    assert used == {"migrate up"}
    for words in used:
        assert run(["help", *words.split()], {}).returncode == 0
    assert shutil.which("systemd-analyze"), "the package systemd"
