#!/usr/bin/python3
"""Takes the heart's guards away, one at a time, and sees the simulation fail: `make sim-mutants`.

    sim_mutants.py                 all of them, in a copy of the sources under build/mutants
    sim_mutants.py NAME...         only those whose name contains one of the words
    sim_mutants.py --check         only that each text is found exactly once, so that none of them rots

One build has all mutants: each place asks whether it is the one that is chosen, by the environment variable TXS_MUTANT.
A guard whose absence no seed notices is either not needed or not tested: both are worth knowing, so that ends with 1.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from sim_mutants_list import MUTANTS

ROOT = pathlib.Path(__file__).resolve().parent.parent
TREE = ROOT / "build" / "mutants"
# At the same place in it as in a checkout, or the compiler's cache would know nothing of it.
BUILD = TREE / "build" / "dev"
SEEDS = 2000
# A mutant may also go round in circles.
SECONDS_MAX = 600
# A mutant may leave something unused; the build is otherwise the dev build, so that what is not changed comes from the
# compiler's cache, and so that a mutant may also be seen by ASan.
HEAD = '#pragma clang diagnostic ignored "-Weverything"\nnamespace txstream { bool is_mutant(int number); }\n'
CHOICE = """
#include <cstdlib>
bool txstream::is_mutant(int number) {
    static const char* const chosen = std::getenv("TXS_MUTANT");
    static const int its_number = chosen == nullptr ? 0 : std::atoi(chosen);
    return number == its_number;
}
"""
HOME_OF_CHOICE = "tests/sim/simulation.cpp"


def place(text, old):
    """Where what is replaced begins and ends; nothing unless the text is found exactly once."""
    before, mark, rest = old.partition("«")
    part, _, after = rest.partition("»") if mark else (before, "", "")
    whole = before + part + after if mark else old
    if text.count(whole) != 1:
        return None
    begin = text.index(whole) + (len(before) if mark else 0)
    return begin, begin + len(part)


def check():
    """The mutants that cannot be made, as lines."""
    for name, file, old, _ in MUTANTS:
        if place((ROOT / file).read_text(), old) is None:
            yield f"{file}: the text of the mutant '{name}' is not found, or found several times"


def with_choices(file, text):
    """The file with all of its mutants."""
    changes = []
    for number, (_, its_file, old, new) in enumerate(MUTANTS, 1):
        if its_file != file:
            continue
        begin, end = place(text, old)
        part = text[begin:end]
        if part.rstrip().endswith((";", "}")):
            choice = f"if (txstream::is_mutant({number})) {{ {new} }} else {{ {part} }}"
        else:
            choice = f"(txstream::is_mutant({number}) ? ({new}) : ({part}))"
        changes.append((begin, end, choice))
    for begin, end, choice in sorted(changes, reverse=True):
        text = text[:begin] + choice + text[end:]
    if file == HOME_OF_CHOICE:
        return HEAD + text + CHOICE
    return HEAD + text if changes else text


def mirror():
    """Brings the copy up to date; what is equal keeps its time, so that little is compiled."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    changed = {file for _, file, _, _ in MUTANTS} | {HOME_OF_CHOICE}
    for name in listed:
        source, target = ROOT / name, TREE / name
        if not source.exists():
            continue
        content = with_choices(name, source.read_text()).encode() if name in changed else source.read_bytes()
        if target.exists() and target.read_bytes() == content:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copymode(source, target) if target.exists() else shutil.copy(source, target)
        target.write_bytes(content)
    wanted = set(listed)
    for path in [path for path in TREE.rglob("*") if path.is_file()]:
        name = str(path.relative_to(TREE))
        if name not in wanted and not name.startswith("build/"):
            path.unlink()


def run(command, **more):
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


def build():
    if not (BUILD / "build.ninja").exists():
        done = run(["cmake", "--preset", "dev"], cwd=TREE)
        if done.returncode != 0:
            sys.exit(done.stdout + done.stderr)
    done = run(["ninja", "-C", BUILD, "-j", str(os.cpu_count()), "txs_sim"])
    if done.returncode != 0:
        sys.exit(f"the mutants do not compile\n{done.stdout[-4000:]}")


def play(number):
    """The first seed that fails with what is broken; nothing when all are well. And the seconds that it took."""
    started = time.monotonic()
    try:
        done = run([BUILD / "tests/sim/txs_sim", "--seeds", str(SEEDS), "--brief"], timeout=SECONDS_MAX,
                   env={**os.environ, "TXS_MUTANT": str(number)})
    except subprocess.TimeoutExpired:
        return ("?", "it does not end"), SECONDS_MAX
    took = time.monotonic() - started
    if done.returncode == 0:
        return None, took
    text = done.stdout + done.stderr
    seed = re.search(r"seed (\d+)", text)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("seed ", "its schedule"))]
    return ((seed.group(1) if seed else "?"), (lines[0].strip() if lines else f"exit code {done.returncode}")), took


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("names", nargs="*")
    given = arguments.parse_args()
    rotten = list(check())
    if rotten or given.check:
        print("\n".join(rotten) if rotten else f"{len(MUTANTS)} mutants can be made")
        return int(bool(rotten))
    chosen = [number for number, one in enumerate(MUTANTS, 1)
              if not given.names or any(word in one[0] for word in given.names)]
    begun = time.monotonic()
    mirror()
    build()
    survivors = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        sound = pool.submit(play, 0)
        for number, (failed, took) in zip(chosen, pool.map(play, chosen)):
            name = MUTANTS[number - 1][0]
            survivors += failed is None
            if failed is None:
                print(f"SURVIVED  {name} ({took:.0f} s)", flush=True)
            else:
                print(f"seed {failed[0]:>4}  {name} ({took:.0f} s): {failed[1]}", flush=True)
        if (failed := sound.result()[0]) is not None:
            sys.exit(f"without any mutant seed {failed[0]} fails: {failed[1]}")
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants found within {SEEDS} seeds, in {time.monotonic() - begun:.0f} s")
    return int(survivors > 0)


sys.exit(main())
