"""`txstream dev`: everything in one process, and nothing of it afterwards."""
import contextlib
import re
import signal
import subprocess

import psycopg2
import pytest

from support.world import BINARY, clean_environment, eventually, free_ports

ORDER_LINE = re.compile(r"OrderCreated +\S+ +txstream\.events\[\d+\]@\d+")
DATABASE_URL = re.compile(r"postgresql://\S+")


class Dev:
    def __init__(self, temporary, *arguments):
        self.temporary = temporary
        self.port, metrics = free_ports(2)
        self.output = temporary.parent / "dev.log"
        environment = {**clean_environment(), "TMPDIR": str(temporary), "SERVER_PORT": str(self.port),
                       "METRICS_PORT": str(metrics)}
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
        return self.process.wait(30)


@pytest.fixture
def temporary(world):
    # Sockets and PostgreSQL's user need a short directory that others may enter.
    directory = world.directory / "t"
    directory.mkdir()
    directory.chmod(0o777)
    return directory


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
        dev.process.kill()
        dev.process.wait(10)


def test_data_that_is_kept_is_there_the_next_time(temporary):
    data = temporary / "data"
    for runs in range(2):
        dev = Dev(temporary, "--data", str(data), "--orders", "3")
        try:
            dev.wait_for_orders(3)
            with contextlib.closing(psycopg2.connect(DATABASE_URL.search(dev.text()).group())) as connection:
                cursor = connection.cursor()
                cursor.execute("SELECT count(*) FROM orders")
                assert cursor.fetchone()[0] == 3 * (runs + 1)
            assert dev.end(signal.SIGINT) == 0, dev.text()
        finally:
            dev.process.kill()
            dev.process.wait(10)
