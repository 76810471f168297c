"""What is made of the grammar has all of it: completions, the manual, and the page docs/cli.md, which people write."""
import re
import subprocess

import pytest

from support.world import ROOT, clean_environment, run


def printed(*words):
    done = run(list(words), {})
    assert done.returncode == 0, done.stderr
    return done.stdout


def section(text, title):
    found = re.search(rf"^{title}:\n((?:  .*\n)+)", text, re.M)
    return found[1] if found else ""


def grammar():
    """{path: (its verbs, its options)}, as the help tells them."""
    found, open_paths = {}, [()]
    while open_paths:
        path = open_paths.pop()
        text = printed("help", *path)
        verbs = re.findall(r"^  ([a-z-]+) ", section(text, "Subcommands"), re.M)
        options = set()
        for names in re.findall(r"^  (-[-\w,]+)", section(text, "Options"), re.M):
            options |= set(names.split(","))
        found[path] = (verbs, options)
        open_paths += [(*path, verb) for verb in verbs]
    return found


GRAMMAR = grammar()
assert ("outbox", "list") in GRAMMAR and len(GRAMMAR) > 25, "the help is understood"
# Of all commands, though only the first help has them.
COMMON = GRAMMAR[()][1]


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    script = tmp_path_factory.mktemp("bash") / "completion"
    script.write_text(printed("completion", "bash"))

    def complete(*words):
        """What a real bash offers for the last word."""
        program = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _txstream; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "--norc", "-euc", program, script, "txstream", *words], env=clean_environment(),
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        return set(done.stdout.split())

    return complete


@pytest.mark.parametrize("path", sorted(GRAMMAR), ids=" ".join)
def test_bash_offers_each_verb_and_option(complete, path):
    verbs, options = GRAMMAR[path]
    offered = complete(*path, "")
    assert set(verbs) | options | COMMON <= offered
    assert {one for one in complete(*path, "--") if not one.startswith("--")} == set()
    for verb in verbs:
        assert verb in complete(*path, verb[:2])


def test_bash_offers_what_a_value_may_be(complete):
    assert complete("outbox", "list", "--output", "") == {"table", "json", "ndjson", "csv"}
    assert complete("outbox", "list", "-o", "n") == {"ndjson"}
    assert complete("outbox", "list", "--output", "=", "c") == {"csv"}
    assert complete("outbox", "list", "--output", "=") == {"table", "json", "ndjson", "csv"}
    assert complete("outbox", "list", "--status", "pen") == {"pending"}
    assert complete("outbox", "list", "--status", "pending", "--li") == {"--limit"}
    assert complete("outbox", "list", "--key", "") == set()
    assert complete("migrate", "--env-file", "x", "u") == {"up"}
    assert complete("completion", "b") == {"bash"}
    done = subprocess.run(["bash", "-nc", printed("completion", "bash")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", sorted(GRAMMAR), ids=" ".join)
def test_the_other_shells_and_the_manual_have_each_verb_and_option(path):
    verbs, options = GRAMMAR[path]
    zsh, fish, manual = printed("completion", "zsh"), printed("completion", "fish"), printed("man")
    name = " ".join(path)
    line = re.search(rf"^ +'{name}'\) verbs=\((.*)\); options=\((.*)\) ;;$", zsh, re.M)
    assert set(re.findall(r"'([a-z-]+):", line[1])) >= set(verbs)
    assert set(re.findall(r"'(-[\w-]+):", line[2])) >= options
    begin = f'.SH "txstream {name}"'.replace("-", "\\-") if path else ".SH DESCRIPTION"
    page = manual.split(begin + "\n")[1].split("\n.SH")[0].replace("\\-", "-")
    for option in options:
        assert f"\\fB{option}\\fR" in page, option
        wanted = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
        condition = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in path)
        begins = "complete -c txstream " + (f"-n '{condition}' " if path and option not in COMMON else "-")
        assert any(one.startswith(begins) and f" {wanted} " in one for one in fish.splitlines()), (option, begins)
    for verb in verbs:
        assert f"\\fB{verb}\\fR" in page, verb


def test_the_manual_is_roff_without_a_warning():
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww"], input=printed("man"), capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "txstream outbox list" in re.sub("\x1b\\[[0-9;]*m|.\x08", "", done.stdout)


def test_the_page_names_each_command_and_option_and_no_other():
    page = (ROOT / "docs/cli.md").read_text()
    for path, (verbs, options) in GRAMMAR.items():
        for verb in verbs:
            assert re.search(rf"`[^`]*\b{verb}\b[^`]*`|^## .*\b{verb}\b", page, re.M), (path, verb)
        for option in options:
            assert re.search(rf"`{option}[ `]", page), (path, option)
    known = set().union(*(options for _, options in GRAMMAR.values()))
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", page)) <= known
    # What looks has its own part.
    for path, (verbs, options) in GRAMMAR.items():
        if "--timeout" in options and not verbs:
            part = page.split(f"## txstream {' '.join(path)}\n")[1].split("\n## ")[0]
            assert "```\n$ txstream " + " ".join(path) in part, path
            for option in options - COMMON - {"-o", "--output", "--timeout"}:
                assert f"`{option}`" in part, (path, option)


def test_the_page_of_error_codes_is_what_the_program_prints():
    assert printed("errors", "docs") == (ROOT / "docs/kafka-errors.md").read_text(), \
        "renew it: txstream errors docs > docs/kafka-errors.md"
