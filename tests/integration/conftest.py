import contextlib
import pathlib
import random
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from support.world import PG_BIN, Broker, Database, Pooler, PostgresServer, Process, StandbyServer, Topic  # noqa: E402


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call" and report.failed:
        for process in item.funcargs.get("world", World(None)).processes:
            report.sections.append((f"log of txstream {process.role}", process.log_text()[-6000:]))


class World:
    """Makes things for a test and ends them with it."""

    def __init__(self, directory):
        self.directory = directory
        self.processes = []
        self.things = []

    def database(self, **options):
        made = Database(**options)
        self.things.append(made.drop)
        return made

    def topic(self, **options):
        return Topic(**options)

    def broker(self):
        made = Broker(self.directory / "kafka")
        self.things.append(made.destroy)
        return made

    def postgres(self):
        made = PostgresServer(self.directory / "postgres")
        self.things.append(made.destroy)
        return made

    def of_data(self, directory, programs=PG_BIN):
        """A server of a data directory that was made before."""
        made = PostgresServer(directory, programs)
        self.things.append(made.destroy)
        return made

    def standby_of(self, primary):
        made = StandbyServer(self.directory / "standby", primary)
        self.things.append(made.destroy)
        return made

    def pooler(self, database, mode, size):
        made = Pooler(self.directory / f"pooler-{len(self.things)}", database.server, mode, size)
        self.things.append(made.destroy)
        return made

    def start(self, role, database, topic, ready=True, descriptors=None, **settings):
        process = Process(role, {**database.environment(), **topic.environment(), **settings}, self.directory, descriptors)
        self.processes.append(process)
        return process.wait_ready() if ready else process

    def end(self):
        for process in self.processes:
            process.end()
        for undo in reversed(self.things):
            undo()


@contextlib.contextmanager
def a_world():
    """Not below pytest's own directory: each pytest that starts closes it to other users, and PostgreSQL runs as one."""
    with tempfile.TemporaryDirectory(prefix="txstream-") as name:
        directory = pathlib.Path(name)
        directory.chmod(0o755)
        made = World(directory)
        try:
            yield made
        finally:
            made.end()


@pytest.fixture
def world():
    with a_world() as made:
        yield made


@pytest.fixture
def seed(request):
    chosen = random.randrange(2**31)
    print(f"seed {chosen}")
    return chosen
