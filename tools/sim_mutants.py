#!/usr/bin/python3
"""Takes the heart's guards away, one at a time, and sees the simulation fail: `make sim-mutants`.

    sim_mutants.py                 all of them, in a copy of the sources under build/mutants; some minutes
    sim_mutants.py NAME...         only those whose name contains one of the words
    sim_mutants.py --check         only that each text is found exactly once, so that none of them rots

A guard whose absence no seed notices is either not needed or not tested: both are worth knowing, so that ends with 1.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import time

from sim_mutants_list import MUTANTS

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "mutants"
TREE = WORK / "tree"
BUILD = WORK / "build"
SEEDS = 2000
# A mutant may also go round in circles.
SECONDS_MAX = 600


def check():
    """The mutants that cannot be made, as lines."""
    for name, file, old, _ in MUTANTS:
        found = (ROOT / file).read_text().count(old)
        if found != 1:
            yield f"{file}: the text of the mutant '{name}' is found {found} times"


def mirror():
    """Brings the copy up to date; what is equal keeps its time, so that little is compiled."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in listed:
        source, target = ROOT / name, TREE / name
        if not source.exists() or (target.exists() and target.read_bytes() == source.read_bytes()):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    wanted = set(listed)
    for path in [path for path in TREE.rglob("*") if path.is_file()]:
        if str(path.relative_to(TREE)) not in wanted:
            path.unlink()


def run(command, **more):
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


def build():
    if not (BUILD / "build.ninja").exists():
        # The dev build's flags: what is not changed comes from the compiler's cache, and a mutant may also be seen by ASan.
        done = run(["cmake", "--preset", "dev", "-B", BUILD, "-DTXS_WERROR=OFF"], cwd=TREE)
        if done.returncode != 0:
            sys.exit(done.stdout + done.stderr)
    return run(["ninja", "-C", BUILD, "txs_sim"])


def play():
    """The first seed that fails with what is broken; nothing when all are well."""
    try:
        done = run([BUILD / "tests/sim/txs_sim", "--seeds", str(SEEDS), "--brief"], timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return "?", "it does not end"
    if done.returncode == 0:
        return None
    text = done.stdout + done.stderr
    seed = re.search(r"seed (\d+)", text)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("seed ", "its schedule"))]
    return (seed.group(1) if seed else "?"), (lines[0].strip() if lines else f"exit code {done.returncode}")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("names", nargs="*")
    given = arguments.parse_args()
    rotten = list(check())
    if rotten or given.check:
        print("\n".join(rotten) if rotten else f"{len(MUTANTS)} mutants can be made")
        return int(bool(rotten))
    chosen = [one for one in MUTANTS if not given.names or any(word in one[0] for word in given.names)]
    begun = time.monotonic()
    mirror()
    built = build()
    if built.returncode != 0:
        sys.exit(built.stdout[-4000:])
    if (failed := play()) is not None:
        sys.exit(f"without any mutant seed {failed[0]} fails: {failed[1]}")
    survivors = 0
    for name, file, old, new in chosen:
        path = TREE / file
        whole = path.read_text()
        path.write_text(whole.replace(old, new))
        started = time.monotonic()
        try:
            built = build()
            if built.returncode != 0:
                sys.exit(f"{name}: it does not compile\n{built.stdout[-4000:]}")
            failed = play()
        finally:
            path.write_text(whole)
        took = time.monotonic() - started
        if failed is None:
            survivors += 1
            print(f"SURVIVED  {name} ({took:.0f} s)", flush=True)
        else:
            print(f"seed {failed[0]:>4}  {name} ({took:.0f} s): {failed[1]}", flush=True)
    build()
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants found within {SEEDS} seeds, in {time.monotonic() - begun:.0f} s")
    return int(survivors > 0)


sys.exit(main())
