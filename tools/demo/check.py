"""Was anything lost? Compares what the API accepted with what the topic holds."""
import collections
import dataclasses
import datetime
import json
import re
import subprocess

READ_SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Record:
    key: str
    event_id: str
    event_type: str
    # From the event's creation to the moment when the relay handed it to Kafka.
    waited_seconds: float


@dataclasses.dataclass
class Verdict:
    accepted: int
    delivered: int  # accepted orders with an event in the topic
    lost: list  # orders that were accepted and are nowhere
    invented: list  # orders in the topic that were never accepted
    again: int  # records whose event_id was there before
    parked: int
    misplaced: list  # events that should be parked and are not, or the reverse
    longest_wait_seconds: float

    def passes(self):
        return self.accepted > 0 and not (self.lost or self.invented or self.misplaced)


def judge(accepted, to_be_parked, parked, records):
    """`accepted`: ids of orders that were answered with 201. `to_be_parked`: event ids of the poison and what stands behind
    it; `parked`: those among the dead letters, of all events."""
    events = {}
    for record in records:
        if record.event_type == "OrderCreated":
            events.setdefault(record.key, set()).add(record.event_id)
    parked, to_be_parked = set(parked), set(to_be_parked)
    arrived = collections.Counter(record.event_id for record in records)
    several = [key for key, ids in events.items() if len(ids) > 1]
    return Verdict(
        accepted=len(accepted),
        delivered=len(set(accepted) & set(events)),
        lost=sorted(set(accepted) - set(events)),
        invented=sorted({*(set(events) - set(accepted)), *several}),
        again=arrived.total() - len(arrived),
        parked=len(parked),
        misplaced=sorted((parked ^ to_be_parked) | (to_be_parked & set(arrived))),
        longest_wait_seconds=max((record.waited_seconds for record in records), default=0.0))


def read_topic(broker, topic):
    """All records that the topic holds now."""
    done = subprocess.run(
        ["kcat", "-C", "-e", "-q", "-J", "-o", "beginning", "-b", broker, "-t", topic],
        capture_output=True, text=True, timeout=READ_SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(f"kcat cannot read {topic}: {done.stderr.strip()}")
    return [parse(line) for line in done.stdout.splitlines()]


def parse(line):
    """A record as kcat -J prints it: headers are a flat list of names and values."""
    found = json.loads(line)
    headers = dict(zip(found["headers"][::2], found["headers"][1::2]))
    return Record(found["key"], headers["event_id"], headers["event_type"],
                  found["ts"] / 1000 - instant(headers["created_at"]))


def instant(text):
    """Seconds of an RFC 3339 time; Python wants six decimals or none."""
    seconds, fraction = re.fullmatch(r"(.*?)(\.\d+)?Z", text).groups()
    return datetime.datetime.fromisoformat(seconds + "+00:00").timestamp() + float(fraction or 0)
