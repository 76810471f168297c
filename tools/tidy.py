#!/usr/bin/python3
"""The house rules that no compiler knows. Prints each breach as FILE:LINE: rule; ends with 1 if there is one."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINES_MAX = 650
README_LINES_MAX = 40

# What may not be written, where it may be all the same, why, and an example by which the pattern proves itself.
RULES = [
    (r"\basio::detached\b", [], "a detached coroutine outlives what it uses: runtime::TaskGroup", "x, asio::detached);"),
    (r"\bco_spawn\(", ["src/runtime/task_group.cpp", "tests/support/"], "coroutines start in a runtime::TaskGroup",
     "asio::co_spawn(loop,"),
    (r"\bsleep_(for|until)\(", ["src/dev/private_postgres.cpp", "bench/"],
     "wait for a condition with a deadline (private_postgres.cpp waits for a process, where nothing can be awaited)",
     "std::this_thread::sleep_for(x)"),
    (r"\bstd::c(out|err)\b", [], "telemetry::log or stdio in main", "std::cout << 1"),
    (r"(^|[;{}):]\s*)throw\b", ["src/http/detail/session.cpp", "src/console/messages_api.cpp", "src/console/events_api.cpp",
      "src/console/dead_letters_api.cpp", "_test.cpp", "_kafkatest.cpp", "_pgtest.cpp", "tests/support/"],
     "expected failures are Result, bugs are TXS_ASSERT (http passes cancellation on, an export that fails breaks off)", "if (bad) throw Bad();"),
    (r"\b(FIXME|TODO|XXX)\b", [], "do it or write an issue", "// TODO: later"),
    (r"\bGTEST_SKIP\b|\bDISABLED_|pytest\.(mark\.)?(skip|xfail)", [], "a test runs or does not exist", "GTEST_SKIP() <<"),
]

# Rooms that a simulation runs whole: a seed gives one schedule only when nothing in them asks the machine.
SIMULATED = ("src/relay/", "src/policy/")
FROM_THE_MACHINE = r"\b(steady_clock|system_clock|high_resolution_clock)::now\b|\bsteady_timer\b|\brandom_device\b"
FROM_THE_MACHINE_EXAMPLES = ("std::chrono::steady_clock::now()", "std::chrono::system_clock::now()", "asio::steady_timer t;",
                             "std::random_device{}()")


def tracked(*patterns):
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return sorted(name for name in listed if name and (ROOT / name).exists())


def without_comments(line):
    return re.sub(r"//.*", "", line)


def check_patterns(name, lines):
    for number, line in enumerate(lines, 1):
        for pattern, allowed, why, _ in RULES:
            code = line if "TODO" in pattern else without_comments(line)
            if re.search(pattern, code) and not any(part in name for part in allowed):
                yield f"{name}:{number}: {why}: {line.strip()}"


def check_simulated(name, lines):
    if not name.startswith(SIMULATED) or "_test." in name:
        return
    for number, line in enumerate(lines, 1):
        if re.search(FROM_THE_MACHINE, without_comments(line)):
            yield f"{name}:{number}: runtime::Clock, WallClock and Timer, or a seed from outside: {line.strip()}"


def check_file(name, lines):
    if len(lines) > LINES_MAX:
        yield f"{name}:{len(lines)}: more than {LINES_MAX} lines; which half has a name of its own?"
    if lines and not lines[-1].strip():
        yield f"{name}:{len(lines)}: an empty line at the end"
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield f"{name}:{number}: a space at the end of a line"


def check_header(name, lines, sources):
    if lines[0] != "#pragma once":
        yield f"{name}:1: a header begins with #pragma once"
    path = name.removeprefix("src/")
    if not any(f'#include "{path}"' in text for text in sources.values()):
        yield f"{name}:1: no file includes it"


def check_source_is_built(name):
    parts = pathlib.PurePath(name).parts
    folder = parts[:-1] if parts[-2] != "detail" else parts[:-2]
    if not (ROOT.joinpath(*folder) / "CMakeLists.txt").exists():
        yield f"{name}:1: no target compiles it"


def check_markdown(name, lines):
    titles, in_code = [], False
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        if not in_code and line.startswith("# "):
            titles.append(number)
    if titles != [1]:
        yield f"{name}:1: one title, in the first line (found in lines {titles})"


def check_rooms():
    for room in sorted(path.parent for path in (ROOT / "src").glob("*/CMakeLists.txt")):
        readme = room / "README.md"
        if not readme.exists():
            yield f"{readme.relative_to(ROOT)}:1: each room says what it is for"
        elif (count := len(readme.read_text().splitlines())) > README_LINES_MAX:
            yield f"{readme.relative_to(ROOT)}:{count}: at most {README_LINES_MAX} lines; the code says the rest"


def check_tests_are_run():
    listed = re.search(r"foreach\(name ([^)]*)\)\n  add_test\(NAME integration_", (ROOT / "tests/CMakeLists.txt").read_text())[1].split()
    for path in sorted((ROOT / "tests/integration").glob("test_*.py")):
        if path.stem.removeprefix("test_") not in listed:
            yield f"{path.relative_to(ROOT)}:1: tests/CMakeLists.txt does not name it, so nothing runs it"


def breaches():
    sources = {name: (ROOT / name).read_text() for name in tracked("*.cpp", "*.hpp")}
    for name, text in sources.items():
        lines = text.splitlines()
        yield from check_patterns(name, lines)
        yield from check_file(name, lines)
        yield from check_simulated(name, lines)
        if name.endswith(".hpp"):
            yield from check_header(name, lines, sources)
        else:
            yield from check_source_is_built(name)
    for name in tracked("*.py", "*.sh", "bench/run", "*.sql", "*.lua", "*.cmake", "*CMakeLists.txt"):
        lines = (ROOT / name).read_text().splitlines()
        yield from check_file(name, lines)
        if name != "tools/tidy.py":
            yield from check_patterns(name, lines)
    for name in tracked("*.md"):
        yield from check_markdown(name, (ROOT / name).read_text().splitlines())
    yield from check_rooms()
    yield from check_tests_are_run()


def main():
    for pattern, _, why, example in RULES:
        assert re.search(pattern, example), f"the rule '{why}' does not see its own example"
    for example in FROM_THE_MACHINE_EXAMPLES:
        assert re.search(FROM_THE_MACHINE, example), f"the rule about simulated rooms does not see {example}"
    found = list(breaches())
    print("\n".join(found) if found else "the house is tidy")
    return int(bool(found))


sys.exit(main())
