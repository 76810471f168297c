#!/usr/bin/python3
"""Minutes of orders with what goes wrong in practice: Kafka goes away and comes back, an event is larger than its topic
takes, a relay is killed. Then it counts whether anything was lost, and draws what Prometheus has seen.

    tools/demo/demo.py [--minutes N] [--rate N] [--directory DIR] [--free-ports] [--no-previews]
    make demo [DEMO_MINUTES=N] [ARGS=...]

It starts a system of its own (PostgreSQL, Kafka, Prometheus, an API, two relays) in var/demo/system, on the usual ports or,
where one of them is taken, on free ones. It ends all of it at the end, in a terminal after Ctrl-C; Ctrl-C before that ends it
at once. Exit code 0 when nothing was lost, 1 when something was, or could not be shown, 130 when interrupted.
"""
import argparse
import contextlib
import dataclasses
import json
import pathlib
import secrets
import signal
import subprocess
import sys
import threading
import time

import check
import load
import system

ROOT = system.ROOT
MINUTES_MIN = 0.5
MINUTES_MAX = 120
# Where things happen, in parts of the whole time.
KAFKA_STOPS, KAFKA_STARTS, POISON, RELAY_DIES, RELAY_RETURNS = 0.18, 0.53, 0.64, 0.74, 0.82
# Below this many minutes the relay's pauses would fill the time: settings that it is given then.
SHORT_MINUTES = 5
SHORT_SETTINGS = {"WORKER_LEASE": "3s", "KAFKA_RESET_TIMEOUT": "2s", "KAFKA_MAX_DELAY": "2s"}
FIGURES = 40
# For the last events, once no more orders come; the longest pause of a relay is 30 s.
DRAIN_SECONDS = 90
# Prometheus looks every 5 s.
SCRAPED_SECONDS = 12
POISON_BYTES = 1_200_000


class Narrator:
    """Lines with the time since the first order in front."""

    def __init__(self):
        self.began = time.monotonic()

    def elapsed(self):
        return time.monotonic() - self.began

    def say(self, text):
        seconds = int(self.elapsed())
        print(f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}  {text}", flush=True)


class Demo:
    def __init__(self, arguments, stopped):
        self.seconds = arguments.minutes * 60
        self.directory, self.draws = arguments.directory, arguments.previews
        short = SHORT_SETTINGS if arguments.minutes < SHORT_MINUTES else {}
        self.stopped = stopped
        self.system = system.System(self.directory / "system", short, arguments.free_ports, stopped)
        self.rate = arguments.rate
        self.load = None
        self.to_be_parked = []
        self.began_at = self.kafka_stopped_at = self.kafka_away = 0.0

    def run(self):
        """True when nothing was lost."""
        print("Starting a system of its own; what runs already is left alone.", flush=True)
        if self.draws:
            prepare_drawing()
        self.system.start()
        self.system.print_addresses()
        print(f"\n{self.rate:g} orders a second for {self.seconds / 60:g} minutes.\n", flush=True)
        self.load = load.Load(self.system.api.port, self.rate, secrets.token_hex(3))
        self.narrator = Narrator()
        self.began_at = time.time()
        self.load.start()
        self.narrator.say("Orders come in; each is in Kafka some milliseconds later.")
        for part, act in ((KAFKA_STOPS, self.stop_kafka), (KAFKA_STARTS, self.start_kafka), (POISON, self.publish_poison),
                          (RELAY_DIES, self.kill_relay), (RELAY_RETURNS, self.return_relay), (1, self.end_orders)):
            self.let_pass(part * self.seconds)
            act()
        verdict = self.judge()
        self.report(verdict)
        return verdict.passes() and self.draw()

    # --- the story ----------------------------------------------------------------------------------------------------

    def stop_kafka(self):
        self.kafka_stopped_at = time.monotonic()
        self.system.stop_kafka()
        self.narrator.say("Kafka is stopped. Orders are still accepted; their events wait in PostgreSQL. "
                          "Look at: What held delivery up; Backlog; Age of the oldest waiting event.")

    def start_kafka(self):
        self.system.start_kafka()
        self.kafka_away = time.monotonic() - self.kafka_stopped_at
        self.narrator.say("Kafka is back. The relay notices within 30 s, then the backlog is gone in a moment. "
                          "Look at: In and out; Latency from commit to Kafka.")

    def publish_poison(self):
        text = f"json_build_object('text', repeat('x', {POISON_BYTES}))"
        small = "json_build_object('pages', 3)"
        self.to_be_parked = [self.system.publish("report-1", "ReportPrinted", text)]
        # Of the same key: it must not overtake what is parked. The other key has nothing to do with it.
        self.to_be_parked.append(self.system.publish("report-1", "ReportSent", small))
        self.system.publish("report-2", "ReportSent", small)
        self.narrator.say(f"An event of {POISON_BYTES / 1e6:.1f} MB is in the outbox, more than the topic accepts. It is parked, "
                          "and so is the next event of its key; all others are delivered. Look at: Events parked.")

    def kill_relay(self):
        owner = self.system.owner()
        lanes = self.system.lanes()[owner.name]
        owner.kill()
        self.narrator.say(f"{owner.name}, the owner of {lanes} lanes, is killed with SIGKILL. When its leases end, the other relay claims "
                          "them and sends again what was not acknowledged. Look at: Lanes owned by process; Processes.")

    def return_relay(self):
        dead = next(relay for relay in self.system.relays if not relay.runs())
        other = next(relay for relay in self.system.relays if relay.runs())
        dead.start()
        self.system.wait_ready(dead)
        self.narrator.say(f"{dead.name} is started again; {other.name} owns {self.system.lanes()[other.name]} lanes, and hands half of them "
                          "over within seconds. Nothing is sent twice for it.")

    def end_orders(self):
        self.load.stop()
        self.load.resolve_unknown()
        self.narrator.say(f"No more orders: {self.load.ledger.count()} were accepted. Comparing them with the topic.")

    def let_pass(self, until):
        """Waits for that many seconds since the first order, with some figures in between."""
        step = max(self.seconds / FIGURES, 5)
        while (left := until - self.narrator.elapsed()) > 0:
            self.wait(min(left, step))
            if left > step:
                self.say_figures()

    def say_figures(self):
        waiting = self.system.waiting()
        lanes = ", ".join(f"{name} {count} lanes" for name, count in self.system.lanes().items())
        alerts = ", ".join(self.system.firing_alerts())
        self.narrator.say(f"  {self.load.ledger.count():6} orders accepted, {'?' if waiting is None else waiting:>5} events wait, "
                          f"{lanes}{', alerts: ' if alerts else ''}{alerts}")

    def wait(self, seconds):
        if self.stopped.wait(seconds):
            raise system.Interrupted

    # --- the end ------------------------------------------------------------------------------------------------------

    def judge(self):
        """As soon as all is there; after the deadline what is missing is lost."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while True:
            verdict = check.judge(self.load.ledger.accepted, self.to_be_parked, self.system.parked(),
                                  check.read_topic(self.system.broker, self.system.topic))
            if verdict.passes() or time.monotonic() > deadline:
                return verdict
            self.wait(1)

    def report(self, verdict):
        ledger = self.load.ledger
        refused = ", ".join(f"{count} × {status}" for status, count in sorted(ledger.refused.items()))
        print(f"""
  orders accepted          {verdict.accepted:7}
  their events in Kafka    {verdict.delivered:7}   lost {len(verdict.lost)}, invented {len(verdict.invented)}
  duplicates               {verdict.again:7}   records with the event_id of an earlier one
  dead letters             {verdict.parked:7}   {len(self.to_be_parked)} expected: the large event, and the one behind it
  Kafka was away for       {self.kafka_away:7.0f} s the longest wait of an event was {verdict.longest_wait_seconds:.0f} s
  bad requests refused     {ledger.refused.total():7}   {refused}
  reads answered           {ledger.reads:7}
""", flush=True)
        problems = [f"without any answer: {', '.join(ledger.unknown[:5])}"] if ledger.unknown else []
        problems += [f"{count} times an answer that should not be: {what}" for what, count in ledger.unexpected.items()]
        problems += [f"{len(ids)} {what}: {', '.join(ids[:5])}" for what, ids in (
            ("lost", verdict.lost), ("invented", verdict.invented), ("parked or sent, and should not be", verdict.misplaced)) if ids]
        for problem in problems:
            print(f"  {problem}")
        print("Nothing was lost." if verdict.passes() else "SOMETHING IS WRONG.", flush=True)
        result = {**dataclasses.asdict(verdict), "passes": verdict.passes(), "kafka_away_seconds": round(self.kafka_away, 1),
                  "refused": ledger.refused, "reads": ledger.reads, "unexpected": ledger.unexpected,
                  "from": self.began_at, "to": time.time()}
        (self.directory / "result.json").write_text(json.dumps(result, indent=1) + "\n")

    def draw(self):
        if not self.draws:
            return True
        self.wait(SCRAPED_SECONDS)
        done = subprocess.run(
            [ROOT / "tools/dashboards/preview.py", "--prometheus", self.system.prometheus, "--from", str(int(self.began_at)),
             "--to", str(int(time.time())), "--out", self.directory], stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            print("Some of the previews could not be drawn.", file=sys.stderr)
        return done.returncode == 0


def prepare_drawing():
    """What it needs may have to be downloaded. That should fail before the orders, not after them."""
    done = subprocess.run([ROOT / "tools/venv.sh", ROOT / "tools/dashboards/requirements.txt"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise system.Failure("the previews could not be drawn in the end; --no-previews does without them")


@contextlib.contextmanager
def alone(directory):
    """One demo at a time, with a file that tools/stack.sh reads: whose pid, started when, since which boot."""
    directory.mkdir(parents=True, exist_ok=True)
    owner = directory / "owner"
    script = f'source {ROOT}/tools/lib.sh; pid_of "$1" || {{ echo "$PPID $(proc_started $PPID) $(boot_id)" >"$1"; echo 0; }}'
    pid = system.output(["bash", "-c", script, system.STACK, str(owner)]).strip()
    if pid != "0":
        raise system.Failure(f"a demo is at work here (pid {pid}); end it first")
    try:
        yield
    finally:
        owner.unlink()


def wait_for_the_reader(stopped):
    if sys.stdin.isatty() and sys.stdout.isatty():
        print("\nEverything is still up, at the addresses above. Ctrl-C ends it.", flush=True)
        stopped.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help=f"of orders, {MINUTES_MIN} to {MINUTES_MAX} (default: 10)")
    parser.add_argument("--rate", type=float, default=8, help="orders a second (default: 8)")
    parser.add_argument("--directory", type=pathlib.Path, default=ROOT / "var/demo", help="default: var/demo")
    parser.add_argument("--free-ports", action="store_true", help="do not try the usual ports: for several demos at one time")
    parser.add_argument("--no-previews", dest="previews", action="store_false", help="do not draw what Prometheus has seen")
    arguments = parser.parse_args()
    if not MINUTES_MIN <= arguments.minutes <= MINUTES_MAX:
        parser.error(f"--minutes {arguments.minutes:g}: it takes from {MINUTES_MIN} to {MINUTES_MAX} minutes")
    if not 0.1 <= arguments.rate <= 200:
        parser.error(f"--rate {arguments.rate:g}: from 0.1 to 200 orders a second")
    arguments.directory = arguments.directory.resolve()
    stopped = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, lambda *_: stopped.set())
    try:
        with alone(arguments.directory):
            demo = Demo(arguments, stopped)
            try:
                passes = demo.run()
                wait_for_the_reader(stopped)
            except system.Interrupted:
                print("\nInterrupted; ending what the demo has started.", flush=True)
                return 130
            finally:
                demo.system.stop()
            return 0 if passes else 1
    except system.Failure as failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
