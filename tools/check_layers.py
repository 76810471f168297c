#!/usr/bin/env python3
"""Fails when a room includes a room that is not below it, or another room's detail/."""
import pathlib
import re
import sys

LAYER = {
    "base": 0,
    "domain": 1, "policy": 1, "runtime": 1, "telemetry": 1,
    "pg": 2, "kafka": 2, "http": 2, "otlp": 2,
    "outbox": 3,
    "orders": 4, "relay": 4, "console": 4,
    "config": 5, "app": 6, "dev": 7, "cli": 8,
}


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent
    bad = 0
    for path in sorted((root / "src").rglob("*.[ch]pp")):
        room = path.relative_to(root / "src").parts[0]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r'\s*#include "([a-z_]+)/(detail/)?', line)
            if not found or found[1] == room or found[1] == "tests":
                continue
            if found[1] not in LAYER or LAYER[found[1]] >= LAYER[room] or found[2]:
                print(f"{path.relative_to(root)}:{number}: {room} may not include {line.strip()}")
                bad += 1
    return int(bad != 0)


sys.exit(main())
