"""Judges a run from outside: what the writers committed against what the topic holds."""
import collections
import dataclasses

from support.world import event_id


@dataclasses.dataclass
class Verdict:
    committed: int
    lost: list
    invented: list
    duplicates: int
    order_faults: list

    def __str__(self):
        return (f"committed {self.committed}, lost {len(self.lost)}, invented {len(self.invented)}, "
                f"again {self.duplicates}, out of order {len(self.order_faults)}")


def judge(committed, records):
    """`committed`: event id -> (key, place in the order of its key). Records may repeat an event; the order of a key is
    that of first arrivals, within the key's partition."""
    counts = collections.Counter(event_id(record) for record in records)
    lost = [one for one in committed if one not in counts]
    invented = [one for one in counts if one not in committed]
    duplicates = sum(count - 1 for one, count in counts.items() if one in committed)
    seen = set()
    last = {}
    faults = []
    for record in sorted(records, key=lambda one: (one.partition(), one.offset())):
        one = event_id(record)
        if one in seen or one not in committed:
            continue
        seen.add(one)
        key, place = committed[one]
        if record.key() is not None and record.key().decode() != key:
            faults.append((key, "wrong key", record.key()))
        if place < last.get(key, -1):
            faults.append((key, last[key], place))
        last[key] = max(place, last.get(key, -1))
    return Verdict(len(committed), lost, invented, duplicates, faults)
