"""The image and the engine of the tests (prepare.sh), and the part of systemd that podman relies on: the time for health checks."""
import json
import os
import pathlib
import subprocess
import threading
import time

import pytest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
# What ctest takes for "skipped": prepare.sh says why.
NOT_HERE = 77


class Engine:
    def __init__(self, settings):
        self.environment = {**os.environ, **settings}
        self.compose = settings["DOCKER_COMPOSE"]
        self.figures = pathlib.Path(settings["FIGURES"])

    def note(self, figure):
        """Beside those that prepare.sh took, in var/containers/figures."""
        with self.figures.open("a", encoding="utf-8") as file:
            print(figure, file=file)

    def run(self, *arguments, code=0, timeout=120, **more):
        done = subprocess.run(["podman", *arguments], env=self.environment, capture_output=True, text=True, timeout=timeout,
                              check=False, **more)
        if code is not None:
            assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done

    def inspect(self, name):
        return json.loads(self.run("inspect", name).stdout)[0]


def eventually(condition, what, timeout=120):
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"after {timeout} s: {what} did not come true"
        time.sleep(0.2)
    return found


@pytest.fixture(scope="session")
def engine():
    made = subprocess.run([HERE / "prepare.sh"], stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode == NOT_HERE:
        pytest.exit("not here", returncode=NOT_HERE)
    assert made.returncode == 0
    return Engine(dict(line.split("=", 1) for line in made.stdout.splitlines()))


@pytest.fixture
def health_checks(engine):
    """Podman lets systemd run them, where there is one."""
    ended = threading.Event()
    running = {}

    def loop():
        # At the same time: a slow one, of the broker on a busy machine, does not keep the others waiting.
        while not ended.wait(1):
            try:
                names = engine.run("ps", "--quiet", code=None).stdout.split()
            except subprocess.TimeoutExpired:
                continue
            for name in names:
                if name not in running or running[name].poll() is not None:
                    running[name] = subprocess.Popen(["podman", "healthcheck", "run", name], env=engine.environment,
                                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    thread = threading.Thread(target=loop)
    thread.start()
    yield
    ended.set()
    thread.join()
    for one in running.values():
        one.wait()
