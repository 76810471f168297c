"""`make demo`: it counts truly, it shows what it says, and however it ends, nothing of it is left and it can run again.

The whole of it runs in half a minute instead of ten; what is larger in the long one is only the time between its events.
"""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

import pytest
from support.world import BINARY, ROOT, eventually

sys.path.insert(0, str(ROOT / "tools/demo"))
import check  # noqa: E402

MINUTES = "0.5"
# Tools of the stack choose other ports themselves when these are taken; the caller's say nothing here.
OURS = re.compile("(STACK|SERVER|DATABASE|KAFKA|WORKER|METRICS|LOGGING|SHUTDOWN)_|PG[A-Z]+$")


def record(key, event_id, event_type="OrderCreated"):
    return check.Record(key, event_id, event_type, 0.1)


def verdict(accepted, records, to_be_parked=(), parked=()):
    return check.judge({key: "number" for key in accepted}, to_be_parked, parked, records)


def test_all_that_was_accepted_and_only_that_is_well():
    found = verdict("ab", [record("a", "1"), record("b", "2"), record("report", "3", "ReportSent")])
    assert found.passes() and (found.accepted, found.delivered, found.again) == (2, 2, 0)


def test_a_record_that_comes_again_is_counted_and_no_fault():
    found = verdict("a", [record("a", "1"), record("a", "1")])
    assert found.passes() and found.again == 1


@pytest.mark.parametrize(("found", "fault"), [
    (verdict("ab", [record("a", "1")]), {"lost": ["b"]}),
    # An event of another type with the order's key is not the order's event.
    (verdict("a", [record("a", "1", "ReportSent")]), {"lost": ["a"]}),
    (verdict("a", [record("a", "1"), record("c", "2")]), {"invented": ["c"]}),
    (verdict("a", [record("a", "1"), record("a", "2")]), {"invented": ["a"]}),
    (verdict("a", [record("a", "1")], to_be_parked=["p"]), {"misplaced": ["p"]}),
    (verdict("a", [record("a", "1")], parked=["q"]), {"misplaced": ["q"]}),
    (verdict("a", [record("a", "1"), record("r", "p", "ReportSent")], ["p"], ["p"]), {"misplaced": ["p"]}),
    (verdict("", []), {}),
], ids=["lost", "of another type", "invented", "two events", "not parked", "parked", "parked and sent", "nothing at all"])
def test_what_is_wrong_is_named(found, fault):
    assert not found.passes()
    assert {name: getattr(found, name) for name in ("lost", "invented", "misplaced") if getattr(found, name)} == fault


def test_a_record_is_read_as_kcat_prints_it():
    line = json.dumps({"topic": "t", "ts": 1767225602500, "key": "k", "payload": "{}", "headers": [
        "event_type", "OrderCreated", "event_id", "e", "created_at", "2026-01-01T00:00:00.25Z"]})
    assert check.parse(line) == check.Record("k", "e", "OrderCreated", 2.25)


class Demo:
    def __init__(self, directory):
        environment = {name: value for name, value in os.environ.items() if not OURS.match(name)}
        self.directory, self.said = directory, ""
        self.process = subprocess.Popen(
            [ROOT / "tools/demo/demo.py", "--minutes", MINUTES, "--rate", "20", "--directory", directory, "--free-ports"],
            env={**environment, "STACK_BINARY": BINARY}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def read_until(self, text):
        for line in self.process.stdout:
            self.said += line
            if text in line:
                return
        raise AssertionError(f"it did not say {text!r}: {self.said}")

    def end(self):
        """Its exit code, once all of its output is there."""
        self.said += self.process.stdout.read()
        return self.process.wait(60)

    def running(self):
        """Names of its servers whose process still runs: none may, but for a killed demo's services."""
        pids = {path.parent.name: path.read_text().split()[0] for path in self.directory.glob("system/stack/*/server.pid")}
        pids["owner"] = (self.directory / "owner").read_text().split()[0] if (self.directory / "owner").exists() else "0"
        found = {name for name, pid in pids.items() if pathlib.Path(f"/proc/{pid}").exists()}
        return found | {f"txstream {pid}" for pid in self.children()}

    def children(self):
        """txstream processes with the demo's directory in their environment."""
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (path / "comm").read_text() == "txstream\n" and \
                        f"STACK_DIR={self.directory}/system\0".encode() in (path / "environ").read_bytes():
                    yield path.name


@pytest.fixture
def demo():
    # Not below pytest's own directory: each pytest that starts closes it to other users, and PostgreSQL runs as one.
    with tempfile.TemporaryDirectory(prefix="txstream-") as name:
        directory = pathlib.Path(name)
        directory.chmod(0o755)
        started = []

        def start():
            started.append(Demo(directory / "demo"))
            return started[-1]

        yield start
        for one in started:
            one.process.kill()
            one.process.wait()
        subprocess.run([ROOT / "tools/stack.sh", "clean"], env={**os.environ, "STACK_DIR": f"{directory}/demo/system"},
                       stdout=subprocess.DEVNULL, check=True)


def graphs(said):
    """Expressions of the link that opens the graphs, and the server's address."""
    link = urllib.parse.urlsplit(re.search(r"^http://\S+/graph\?\S+$", said, re.M)[0])
    query = urllib.parse.parse_qs(link.query)
    assert set(query) == {f"g{number}.{name}" for number in range(6) for name in ("expr", "tab", "range_input")}
    return [query[f"g{number}.expr"][0] for number in range(6)], f"http://{link.netloc}"


def shows(server, expression):
    with urllib.request.urlopen(f"{server}/api/v1/query?" + urllib.parse.urlencode({"query": expression}), timeout=10) as answer:
        return [one["value"][1] for one in json.load(answer)["data"]["result"]]


def test_killed_and_interrupted_it_leaves_nothing_and_then_shows_that_nothing_is_lost(demo):
    killed = demo()
    killed.read_until("Orders come in")
    killed.process.kill()
    eventually(lambda: not list(killed.children()), "what was the demo's child has ended")
    assert "kafka" in killed.running()

    interrupted = demo()
    interrupted.read_until("Kafka is stopped")
    interrupted.process.send_signal(signal.SIGINT)
    assert interrupted.end() == 130, interrupted.said
    assert not interrupted.running()

    whole = demo()
    whole.read_until("is killed with SIGKILL")
    expressions, server = graphs(whole.said)
    for expression in expressions:
        eventually(lambda: shows(server, expression), f"{expression} shows something", 15)
    code = whole.end()
    print(whole.said)
    assert code == 0
    assert not whole.running()
    result = json.loads((whole.directory / "result.json").read_text())
    # Three quarters of what was to be sent, for a machine that is busy otherwise.
    assert result["accepted"] == result["delivered"] > 450
    assert not result["lost"] and not result["unexpected"]
    assert result["parked"] == 2 and result["kafka_away_seconds"] > 5
    assert {"400", "404", "409", "415"} >= set(result["refused"]) and result["reads"] > 0
    assert "Nothing was lost." in whole.said
    for name in ("txstream-overview", "txstream-relay", "txstream-api"):
        assert (whole.directory / f"{name}.html").stat().st_size > 10_000
        assert (whole.directory / f"{name}.png").read_bytes().startswith(b"\x89PNG")
