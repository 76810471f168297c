"""A console that is not looked at costs nothing, and ten tabs cost what one costs."""
import concurrent.futures
import http.client
import os
import pathlib
import re
import threading
import time

import pytest
from conftest import a_world
from support.console import ConsoleWorld, ask, listens
from support.contract import PREFIX, Contract
from support.world import eventually

# What open tabs ask again and again.
LOOKED_AT = ["/session", "/overview", "/overview/history?hours=1", "/events", "/dead-letters/groups", "/orders", "/relays"]
LOOK_SECONDS, QUIET_SECONDS = 6, 5
KAFKA_IDLE = 60


@pytest.fixture(scope="module")
def filled():
    """The console in a process of its own, so that its sessions and connections are all that it has."""
    with a_world() as world:
        made = ConsoleWorld(world).fill()
        made.alone = world.start("console", made.database, made.topic, ready=False)
        eventually(lambda: listens(made.alone), "the console listens")
        made.world = world
        yield made


def get(console, path):
    status, _, text = ask(console, "GET", PREFIX + path, {"Sec-Fetch-Site": "same-origin"})
    assert status == 200, (path, status, text[:300])
    return text


def sessions(made):
    """What the console's sessions did last: (pid, when it began)."""
    return sorted(made.database.run(
        "SELECT pid, query_start FROM pg_stat_activity WHERE application_name = 'txstream console' AND datname = %s", made.database.name))


def kafka_connections(console, bootstrap):
    """Established connections of the process to the broker, by /proc."""
    wanted = f"{int(bootstrap.rsplit(':', 1)[1]):04X}"
    pid = console.process.pid
    sockets = set()
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(fd))
        except FileNotFoundError:
            continue
        if found:
            sockets.add(found[1])
    count = 0
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            count += fields[2].endswith(":" + wanted) and fields[3] == "01" and fields[9] in sockets
    return count


def statements(console):
    """How many it has sent so far, by its own metrics."""
    return sum(value for name, value in metrics(console).items() if name.startswith("txstream_db_query_duration_seconds_count"))


def metrics(console):
    _, _, text = ask(console, "GET", "/metrics")
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.decode().splitlines() if line and line[0] != "#"}


def test_ten_tabs_cost_what_one_costs(filled):
    def tab(until):
        while time.monotonic() < until:
            for path in LOOKED_AT:
                get(filled.alone, path)

    def cost(tabs):
        """Statements while that many tabs look for as long, as often as they can."""
        before, until = statements(filled.alone), time.monotonic() + LOOK_SECONDS
        with concurrent.futures.ThreadPoolExecutor(tabs) as pool:
            for done in [pool.submit(tab, until) for _ in range(tabs)]:
                done.result()
        return statements(filled.alone) - before

    one, ten = cost(1), cost(10)
    print(f"{len(LOOKED_AT)} requests a tab, for {LOOK_SECONDS} s: {one:.0f} statements of one tab, {ten:.0f} of ten")
    assert one > 0, "answers do not live as long as that"
    # Their last answers may be one more of each.
    assert ten <= 1.3 * one + len(LOOKED_AT), (one, ten)


def test_without_an_open_tab_there_is_no_query_and_no_kafka_connection(filled):
    tails = [http.client.HTTPConnection("127.0.0.1", filled.alone.console_port, timeout=30) for _ in range(10)]
    for one in tails:
        one.request("GET", f"{PREFIX}/topics/{filled.topic.name}/messages/stream", headers={"Sec-Fetch-Site": "same-origin"})
        answer = one.getresponse()
        assert answer.status == 200, answer.read()
        assert answer.read1(1), "the stream begins"
    for _, path, _ in [one for one in Contract().operations() if one[0] == "GET" and not one[1].endswith("/stream")]:
        ask(filled.alone, "GET", filled.filled(path), {"Sec-Fetch-Site": "same-origin"})
    assert kafka_connections(filled.alone, filled.bootstrap) > 0, "the tour needed Kafka"
    for one in tails:
        one.close()
    began = time.monotonic()
    eventually(lambda: kafka_connections(filled.alone, filled.bootstrap) == 0, "Kafka is left alone", timeout=KAFKA_IDLE)
    print(f"the last Kafka connection closed {time.monotonic() - began:.0f} s after the last request and the end of ten tails")
    before, asked = sessions(filled), statements(filled.alone)
    assert asked > 0
    threading.Event().wait(QUIET_SECONDS)  # that nothing happens cannot be waited for
    assert statements(filled.alone) == asked
    assert sessions(filled) == before
    assert kafka_connections(filled.alone, filled.bootstrap) == 0
