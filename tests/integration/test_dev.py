"""`txstream dev`: everything in one process, and nothing of it afterwards."""
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import time

import psycopg2
import pytest

from support.world import BINARY, PATIENCE, clean_environment, eventually, free_ports

ORDER_LINE = re.compile(r"OrderCreated +\S+ +txstream\.events\[\d+\]@\d+")
DATABASE_URL = re.compile(r"postgresql://\S+")


class Dev:
    def __init__(self, temporary, *arguments, **settings):
        self.port, metrics, self.console_port = free_ports(3)
        self.output = temporary.parent / "dev.log"
        environment = {**clean_environment(), "TMPDIR": str(temporary), "SERVER_PORT": str(self.port),
                       "METRICS_PORT": str(metrics), "CONSOLE_PORT": str(self.console_port), **settings}
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen([BINARY, "dev", *arguments], env=environment, cwd="/",
                                            stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def text(self):
        return self.output.read_text(errors="replace")

    def order_lines(self):
        return len(ORDER_LINE.findall(self.text()))

    def wait_for_orders(self, count):
        def arrived():
            assert self.process.poll() is None, self.text()
            return self.order_lines() >= count
        eventually(arrived, f"{count} orders arrive in the topic")

    def database_answers(self):
        with contextlib.suppress(psycopg2.OperationalError):
            psycopg2.connect(DATABASE_URL.search(self.text()).group(), connect_timeout=2).close()
            return True
        return False

    def end(self, number):
        self.process.send_signal(number)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            pytest.fail(f"it does not end; it printed:\n{self.text()}")

    def kill(self):
        self.process.kill()
        self.process.wait(10)


def processes_in(directory):
    """Pids of those that have it in their command line: PostgreSQL, and what makes its cluster."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            if str(directory).encode() in file.read():
                found.append(int(pid))
    return found


@pytest.fixture
def temporary(world):
    # Sockets and PostgreSQL's user need a short directory that others may enter.
    directory = world.directory / "t"
    directory.mkdir()
    directory.chmod(0o777)
    return directory


def test_events_of_every_topic_are_shown_also_of_one_that_is_made_later(temporary):
    dev = Dev(temporary, "--orders", "1")
    try:
        dev.wait_for_orders(1)
        with contextlib.closing(psycopg2.connect(DATABASE_URL.search(dev.text()).group())) as connection:
            connection.autocommit = True
            for topic in ("own.topic", "another", "own.topic"):
                connection.cursor().execute(
                    "SELECT txstream.publish('Invoice', 'invoice-1', 'InvoiceCreated', '{}', topic => %s)", (topic,))
        shown = re.compile(r"InvoiceCreated +\S+ +(own\.topic|another)\[\d+\]@\d+")
        eventually(lambda: sorted(shown.findall(dev.text())) == ["another", "own.topic", "own.topic"], "all are shown")
        assert dev.order_lines() == 1, "once"
        assert dev.end(signal.SIGINT) == 0, dev.text()
    finally:
        dev.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_orders_arrive_and_a_signal_leaves_nothing_behind(temporary, number):
    dev = Dev(temporary)
    try:
        dev.wait_for_orders(10)
        assert dev.order_lines() == 10
        assert dev.database_answers()
        assert dev.end(number) == 0, dev.text()
        assert not dev.database_answers()
        assert list(temporary.iterdir()) == []
    finally:
        dev.kill()


# Before the directory, while the cluster is made, while PostgreSQL starts, while the service does.
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_any_moment_of_the_start_leaves_nothing_behind(temporary, number):
    for moment in (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.3, 1.6, 1.9):
        dev = Dev(temporary)
        try:
            time.sleep(moment)
            dev.end(number)
            assert list(temporary.iterdir()) == [], (moment, dev.text())
            assert processes_in(temporary) == [], moment
        finally:
            dev.kill()


def test_a_second_signal_during_the_stop_leaves_nothing_behind(temporary):
    dev = Dev(temporary, SHUTDOWN_DELAY="1m")
    try:
        dev.wait_for_orders(1)
        dev.process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            dev.process.wait(0.5)
        assert dev.end(signal.SIGINT) == 130, dev.text()
        assert list(temporary.iterdir()) == [] and processes_in(temporary) == []
    finally:
        dev.kill()


def test_dev_has_its_own_servers_whatever_the_environment_says(temporary):
    dev = Dev(temporary, SERVER_HOST="127.0.0.2", METRICS_ENABLED="false", KAFKA_SECURITY_PROTOCOL="ssl",
              DATABASE_HOST="elsewhere.invalid", KAFKA_BROKERS="elsewhere.invalid:1")
    try:
        dev.wait_for_orders(10)
        assert f"http://127.0.0.2:{dev.port}/metrics" in dev.text(), dev.text()
        assert ":0" not in re.findall(r"http://\S+", dev.text())
        assert dev.end(signal.SIGINT) == 0
    finally:
        dev.kill()


def orders_in(dev):
    with contextlib.closing(psycopg2.connect(DATABASE_URL.search(dev.text()).group())) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM orders")
        return cursor.fetchone()[0]


def test_data_that_is_kept_survives_the_death_of_all(temporary):
    data = temporary / "data"
    for runs in range(3):
        dev = Dev(temporary, "--data", str(data), "--orders", "1")
        try:
            dev.wait_for_orders(1)
            assert "leaves nothing behind" not in dev.text() and f"in {data}" in dev.text()
            assert orders_in(dev) == runs + 1
            server = int((data / "data" / "postmaster.pid").read_text().splitlines()[0])
            doomed = (server, *children_of(dev.process.pid), dev.process.pid)
            for pid in doomed:
                os.kill(pid, signal.SIGKILL)
            dev.process.wait(10)
            # A process that was told to die still holds its locks.
            eventually(lambda: not any(is_running(pid) for pid in doomed), "all are dead")
            assert (data / "data" / "postmaster.pid").exists()
            # The number in a stale file may be somebody's by now.
            (data / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n" + "x\n" * 6 + "ready   \n")
        finally:
            dev.kill()


def is_running(pid):
    try:
        return "\nState:\tZ" not in pathlib.Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def children_of(pid):
    return [int(one) for one in subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True,
                                               check=False).stdout.split()]


def refused(temporary, *arguments):
    dev = Dev(temporary, *arguments)
    try:
        return dev.process.wait(PATIENCE), dev.text()
    finally:
        dev.kill()


def test_a_directory_that_cannot_be_ours_is_refused_and_left_alone(temporary):
    data = temporary / "data"
    data.mkdir()
    (data / "letter").write_text("dear")
    owner = data.stat().st_uid
    code, text = refused(temporary, "--data", str(data))
    assert code == 2 and str(data) in text and "empty directory" in text
    assert data.stat().st_uid == owner and [one.name for one in data.iterdir()] == ["letter"]
    if os.geteuid() == 0:
        closed = temporary / "closed"
        closed.mkdir(mode=0o700)
        code, text = refused(temporary, "--data", str(closed / "data"))
        assert code == 2 and "cannot be entered by the user postgres" in text, text
        assert list(closed.iterdir()) == []
    first = Dev(temporary, "--data", str(temporary / "ours"), "--orders", "1")
    try:
        first.wait_for_orders(1)
        other = temporary / "elsewhere" / "t"
        other.mkdir(parents=True)
        code, text = refused(other, "--data", str(temporary / "ours"))
        assert code == 1 and "is in use" in text, text
        assert first.database_answers()
        assert first.end(signal.SIGINT) == 0
    finally:
        first.kill()


def test_data_that_is_kept_is_there_the_next_time(temporary):
    data = temporary / "data"
    for runs in range(2):
        dev = Dev(temporary, "--data", str(data), "--orders", "3")
        try:
            dev.wait_for_orders(3)
            assert orders_in(dev) == 3 * (runs + 1)
            assert dev.end(signal.SIGINT) == 0, dev.text()
        finally:
            dev.kill()
