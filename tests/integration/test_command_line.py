"""The command line: our own words for every mistake, help for every command, and exit codes."""
import os
import re
import subprocess

import pytest

from support.world import BINARY, clean_environment, eventually, run

COMMANDS = ["serve", "api", "relay", "dev", "migrate", "config", "version", "help", "migrate up", "migrate status",
            "migrate validate", "migrate sql", "config print", "config check", "config docs", "doctor", "healthcheck", "outbox", "outbox list",
            "outbox get", "outbox stats", "outbox prune", "outbox rebase", "events find", "dead-letters", "dead-letters groups", "dead-letters list",
            "dead-letters get", "dead-letters replay", "dead-letters discard", "jobs", "jobs list", "jobs get", "jobs cancel",
            "audit list", "lanes list", "relays list", "breaker status", "completion", "man"]


@pytest.mark.parametrize(("line", "told"), [
    ("migrate down", "txstream migrate has no command down; migrations are not undone"),
    ("migrate upp", "txstream migrate has no command upp; did you mean up?"),
    ("migrate", "txstream migrate needs a command: up, status, validate, sql"),
    ("config", "txstream config needs a command: print, check, docs"),
    ("config prnt", "txstream config has no command prnt; did you mean print?"),
    ("confg print", "txstream has no command confg; did you mean config?"),
    ("validate", "txstream has no command validate; did you mean txstream migrate validate?"),
    ("relay --lanes 4", "txstream relay has no option --lanes; `txstream help relay` shows what there is"),
    ("migrate --only outbox up", "txstream migrate has no option --only; write it behind the command: txstream migrate up --only"),
    ("migrate up --onyl outbox", "txstream migrate up has no option --onyl; did you mean --only?"),
    ("serve --server-port 80", "txstream serve has no option --server-port; that is a setting: SERVER_PORT="),
    ("serve -x", "txstream serve has no option -x"),
    ("serve now", "txstream serve takes no argument such as now; `txstream help serve` shows what there is"),
    ("migrate up now", "txstream migrate up takes no argument such as now"),
    ("--env-file", "--env-file needs a value: Read this file instead of .env"),
    ("config check --env-file=", "--env-file needs a value"),
    ("migrate up --only", "--only needs a value: Only this set of tables"),
    ("migrate up --only --lanes 8", "--only needs a value"),
    ("migrate up --only outbx", "--only: outbx is not allowed; did you mean outbox?"),
    ("migrate up --only orders --only outbox", "--only is given twice"),
    ("migrate sql --lanes 7", "--lanes: 7 is not allowed; allowed is a power of two"),
    ("migrate sql --lanes many", "--lanes: many is not allowed; allowed is a power of two"),
    ("config print -o xml", "--output: xml is not allowed; allowed is table or json"),
    ("config docs --env=yes", "--env takes no value"),
    ("dev --orders few", "--orders: few is not allowed; allowed is a whole number from 0 to 100000"),
    ("healthcheck --role worker", "--role: worker is not allowed; allowed is api or relay or console"),
    ("healthcheck --live --ready", "--live excludes --ready"),
    ("outbox list --type", "--type needs a value: Only of this event type; may be repeated"),
    ("outbox lst", "txstream outbox has no command lst; did you mean list?"),
    ("stats", "txstream has no command stats; did you mean txstream outbox stats?"),
    ("completion tcsh", "shell: tcsh is not allowed; did you mean bash?"),
    ("help migrat", "txstream has no command migrat; did you mean migrate?"),
    ("help migrate down", "txstream migrate has no command down"),
])
def test_a_mistake_is_told_in_our_words_with_the_nearest_thing_that_exists(line, told):
    done = run(line.split(), {})
    assert done.returncode == 2 and done.stdout == "", (done.returncode, done.stdout)
    assert done.stderr.startswith("txstream: " + told), done.stderr
    assert done.stderr.count("\n") == 1


def test_every_command_explains_itself_in_each_way_of_asking():
    for command in COMMANDS:
        words = command.split()
        asked = run(["help", *words], {})
        assert asked.returncode == 0 and asked.stderr == "", asked.stderr
        for way in ([*words, "--help"], [*words, "-h"]):
            assert run(way, {}).stdout == asked.stdout, way
        assert f"Usage: txstream {command}" in asked.stdout
        examples = asked.stdout.split("Examples:\n")[1].split("\nExit codes:\n")
        assert all(f"txstream {words[0]}" in one for one in examples[0].splitlines()), examples[0]
        assert re.search(r"^  0   done$", examples[1], re.M), asked.stdout
    assert "[10]" in run(["help", "dev"], {}).stdout or "=10" in run(["help", "dev"], {}).stdout, "the default is shown"
    assert "32" in run(["help", "migrate", "up"], {}).stdout, "the default is shown"
    whole = run(["help"], {})
    assert whole.returncode == 0 and whole.stdout == run([], {}).stdout == run(["--help"], {}).stdout
    assert all(command in whole.stdout for command in ("serve", "migrate", "help"))


def test_the_version_is_one():
    told = run(["version"], {}).stdout
    assert re.match(r"txstream \d+\.\d+\.\d+ \(\S+, .+\)\n$", told)
    for way in (["--version"], ["-V"], ["serve", "--version"]):
        done = run(way, {})
        assert done.returncode == 0 and done.stdout == told, way


def test_output_that_is_not_wanted_or_cannot_be_written_does_no_harm():
    environment = clean_environment()
    for command in ("version", "config docs"):
        nobody, end = os.pipe()
        os.close(nobody)
        done = subprocess.run([BINARY, *command.split()], env=environment, cwd="/", stdout=end, stderr=subprocess.PIPE, check=False)
        os.close(end)
        assert done.returncode == 0 and done.stderr == b"", (command, done)
    for command in ("version", "config docs"):
        done = subprocess.run(f"exec '{BINARY}' {command} >/dev/full", shell=True, env=environment, cwd="/", check=False,
                              capture_output=True, text=True)
        assert done.returncode == 1 and "cannot write to standard output: No space left" in done.stderr, done.stderr
        done = subprocess.run(f"exec '{BINARY}' {command} >&-", shell=True, env=environment, cwd="/", check=False,
                              capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == "", done.stderr


def test_the_check_finds_what_cannot_work_and_warns_of_what_may_not(tmp_path):
    done = run(["config", "check"], {
        "SERVER_PORT": "x", "KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_PASSWORD": "s3cret", "KAFKA_PROPERTY_foo": "1",
        "KAFKA_PROPERTY_batch__size": "0", "DATABASE_SSL_MODE": "verify-full", "PGSSLROOTCERT": "/no/ca"})
    assert done.returncode == 2 and "s3cret" not in done.stderr
    told = done.stderr.splitlines()
    for name in ("SERVER_PORT=x", "KAFKA_SASL_PASSWORD, KAFKA_SASL_USERNAME have no effect", "KAFKA_PROPERTY_foo=1",
                 "KAFKA_PROPERTY_batch__size=0", "DATABASE_SSL_MODE=verify-full needs"):
        assert sum(name in one for one in told) == 1, (name, told)
    assert len(told) == 5, told
    ca = tmp_path / "ca.pem"
    ca.write_text("no certificate\n")
    done = run(["config", "check"], {"KAFKA_SECURITY_PROTOCOL": "ssl", "KAFKA_SSL_CA_LOCATION": str(ca),
                                     "KAFKA_PROPERTY_retries": "0"})
    assert done.returncode == 2 and "ssl.ca.location" in done.stderr and "KAFKA_PROPERTY_retries=0" in done.stderr, done.stderr
    scram = {"KAFKA_SECURITY_PROTOCOL": "sasl_plaintext", "KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
             "KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_PASSWORD": "s3cret"}
    done = run(["config", "check"], scram)
    assert done.returncode == 0 and "The configuration is usable" in done.stdout
    old = run(["config", "check"], {**scram, "KAFKA_SASL_MECHANISM": "PLAIN"})
    assert old.returncode == 0 and old.stderr == ""


def test_the_outbox_alone_needs_nothing_of_the_orders(world):
    database, topic = world.database(migrate=False), world.topic()
    assert run(["migrate", "validate"], database.environment()).returncode == 6
    done = run(["migrate", "up", "--only", "outbox"], database.environment())
    assert done.returncode == 0
    for step in ("GRANT txstream_writer TO", "SELECT txstream.publish(", "txstream relay"):
        assert step in done.stdout, done.stdout
    publish = re.search(r"SELECT txstream\.publish\(.*?\);", done.stdout).group()
    done = run(["migrate", "validate"], database.environment())
    assert done.returncode == 0 and "not looked at: orders" in done.stdout, (done.stdout, done.stderr)
    assert run(["migrate", "validate", "--only", "orders"], database.environment()).returncode == 6
    for role in ("relay", "serve"):
        process = world.start(role, database, topic, ready=False)
        event = database.one(publish)
        topic.read_ids([str(event)])
        is_off = any("the orders API is off" in one["msg"] for one in process.logs())
        assert is_off == (role == "serve"), process.log_text()
        process.role = "relay"  # its health is at the port of the metrics
        eventually(process.is_ready, "it is ready")
        assert process.stop() == 0
    done = run(["api"], {**database.environment(), "SERVER_PORT": "0"})
    assert done.returncode == 6 and "migrate up" in done.stderr, done.stderr
