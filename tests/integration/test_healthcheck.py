"""`txstream healthcheck`: what container engines and orchestrators call, without a shell and without an HTTP client."""
import signal
import subprocess
import time

from support.world import eventually, free_ports, run


def check(process, *more):
    return run(["healthcheck", *more], process.environment, timeout=10)


def test_each_role_is_found_without_its_name_and_with_it(world):
    database, topic = world.database(), world.topic()
    for role in ("api", "relay", "console"):
        process = world.start(role, database, topic, SERVER_HOST="0.0.0.0")
        # A relay is ready before it has begun, and not for the moment in which its workers begin.
        eventually(lambda process=process, role=role: check(process, "--ready").returncode == 0 and (role != "relay" or process.metric("txstream_lanes_owned")),
                   "it is ready for its work")
        for line in ([], ["--live"], ["--ready"], ["--ready", "--role", role]):
            done = check(process, *line)
            assert done.returncode == 0 and role in done.stdout and done.stderr == "", (role, line, done)
        other = {"api": "console", "relay": "api", "console": "relay"}[role]
        done = check(process, "--role", other)
        assert done.returncode == 1 and f"nothing listens at {other}" in done.stderr, done
        assert process.stop() == 0
        done = check(process)
        assert done.returncode == 1 and "nothing listens at api" in done.stderr, done


def test_a_relay_without_kafka_lives_and_is_not_ready_and_an_api_is(world):
    database, topic = world.database(), world.topic()
    closed, = free_ports(1)
    relay = world.start("relay", database, topic, ready=False, KAFKA_BROKERS=f"127.0.0.1:{closed}")
    eventually(lambda: check(relay).returncode == 0, "the relay lives")
    done = eventually(lambda: (found := check(relay, "--ready")).returncode and found, "the relay is not ready")
    assert done.returncode == 1 and "/readyz 503" in done.stderr and "not_ready" in done.stderr, done
    api = world.start("api", database, topic, KAFKA_BROKERS=f"127.0.0.1:{closed}")
    assert check(api, "--ready").returncode == 0


def test_a_process_that_does_not_answer_is_given_up_before_the_engine_gives_up_the_check(world):
    process = world.start("console", world.database(), world.topic())
    process.process.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    done = check(process)
    assert done.returncode == 1 and "out of time" in done.stderr, done
    assert 2.5 < time.monotonic() - started < 8
    process.process.send_signal(signal.SIGCONT)
    assert check(process).returncode == 0


def test_a_console_that_speaks_tls_and_wants_tokens_is_asked_without_one(world, tmp_path):
    certificate, key, tokens = (tmp_path / name for name in ("cert.pem", "key.pem", "tokens"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=console.example", "-out", certificate, "-keyout", key], check=True, capture_output=True)
    tokens.write_text("me operator 0123456789abcdef0123456789abcdef\n")
    tokens.chmod(0o600)
    process = world.start("console", world.database(), world.topic(), ready=False, CONSOLE_TLS_CERT_FILE=str(certificate),
                          CONSOLE_TLS_KEY_FILE=str(key), CONSOLE_TOKENS_FILE=str(tokens), CONSOLE_HOST="0.0.0.0")
    eventually(lambda: check(process, "--ready").returncode == 0, "the console is ready")


def test_a_configuration_that_cannot_be_asked_about_is_a_failed_check_and_nothing_else():
    for settings, line, text in (({"SERVER_PORT": "x"}, [], "SERVER_PORT=x"),
                                 ({"METRICS_ENABLED": "false"}, ["--role", "relay"], "METRICS_ENABLED=false")):
        done = run(["healthcheck", *line], settings)
        assert done.returncode == 1 and text in done.stderr, "the codes beyond 1 are reserved by Docker"
