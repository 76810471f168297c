#!/usr/bin/env python3
"""Fails when a room includes a room that is not below it, another room's detail/, or a room that its CMakeLists.txt does
not name under USES; and when it names one there that it does not include."""
import pathlib
import re
import sys

LAYER = {
    "base": 0,
    "domain": 1, "policy": 1, "runtime": 1, "telemetry": 1,
    "pg": 2, "kafka": 2, "http": 2, "otlp": 2,
    "outbox": 3,
    "operations": 4,
    "orders": 5, "relay": 5, "console": 5,
    "config": 6, "app": 7, "dev": 8, "cli": 9,
}
# Plain values of a room: whoever includes these alone does not use the room.
VALUES = {"kafka/record.hpp"}


def uses_of(root):
    """{room: the rooms that it says it uses}."""
    said = {}
    for path in (root / "src").glob("*/CMakeLists.txt"):
        if found := re.search(r"txs_room\((\w+)(?: USES ([a-z ]+))?", path.read_text()):
            said[found[1]] = set((found[2] or "").split())
    return said


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent
    bad = 0
    said = uses_of(root)
    included = {room: set() for room in said}
    for path in sorted((root / "src").rglob("*.[ch]pp")):
        room = path.relative_to(root / "src").parts[0]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r'\s*#include "([a-z_]+)/(detail/)?([^"]*)', line)
            if not found or found[1] == room or found[1] == "tests":
                continue
            if found[1] not in LAYER or LAYER[found[1]] >= LAYER[room] or found[2]:
                print(f"{path.relative_to(root)}:{number}: {room} may not include {line.strip()}")
                bad += 1
            if room in said and f"{found[1]}/{found[3]}" not in VALUES:
                included[room].add(found[1])
    for room, rooms in included.items():
        for other in sorted(rooms ^ said[room]):
            what = "includes it but does not name it" if other in rooms else "names it but does not include it"
            print(f"src/{room}/CMakeLists.txt: USES {other}: the room {what}")
            bad += 1
    return int(bad != 0)


sys.exit(main())
