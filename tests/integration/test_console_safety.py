"""Who may ask the console for what, from where, with which headers, and that nothing is left in PostgreSQL and Kafka by who may not."""
import http.client
import itertools
import json
import subprocess

import pytest
from conftest import a_world
from support.console import ConsoleWorld, ask
from support.contract import PREFIX, Contract
from support.world import BINARY, clean_environment, eventually

VIEWER, OPERATOR = "viewer-token-0123456789", "operator-token-0123456789"
TOKENS = f"# who may see the console\nana operator {OPERATOR}\nbob viewer {VIEWER}\n"
SECRET = "s3cret-of-a-customer"
MASKS = "$.secret,$.event_data.secret"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"]
CHANGING = ["POST", "PUT", "PATCH", "DELETE", "QUERY"]
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
                               " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
CONTRACT = Contract()
ROUTES = [(method, path) for method, path, _ in CONTRACT.operations()]
STREAM = PREFIX + "/topics/{topic}/messages/stream"
SESSION = PREFIX + "/session"


def bearer(token):
    return {"Authorization": f"Bearer {token}"} if token else {}


@pytest.fixture(scope="module")
def filled():
    """With tokens and masks."""
    with a_world() as world:
        tokens = world.directory / "tokens"
        tokens.write_text(TOKENS)
        tokens.chmod(0o600)
        made = ConsoleWorld(world, CONSOLE_TOKENS_FILE=str(tokens), CONSOLE_MASK=MASKS)
        made.tokens = tokens
        made.fill()
        made.secret = made.database.publish("masked", "CustomerMoved", json.dumps({"secret": SECRET, "shown": "visible"}))
        made.topic.read_ids([made.secret])
        eventually(lambda: made.database.one("SELECT status FROM txstream.events WHERE event_id = %s", made.secret) == "published",
                   "the masked event is acknowledged")
        made.refs[made.secret] = made.database.one(
            "SELECT id || '.' || xid::text FROM txstream.outbox WHERE event_id = %s", made.secret)
        yield made


@pytest.fixture(scope="module")
def opened():
    """Without tokens, on loopback, alone."""
    with a_world() as world:
        database, topic = world.database(), world.topic()
        yield world.start("console", database, topic)


def every_answer_has_the_headers(headers, where):
    for name, value in PAGE_HEADERS.items():
        assert headers.get_all(name) == [value], (where, name, headers.get_all(name))
    assert "Permissions-Policy" in headers, where
    assert "Sec-Fetch-Site" in ", ".join(headers.get_all("Vary")), where
    assert not [name for name in headers if name.lower().startswith("access-control-")], where
    assert "Set-Cookie" not in headers, where


def test_every_route_asks_for_its_role_and_no_viewer_changes_anything(filled):
    before, kafka_before = filled.database_state(), filled.kafka_state()
    for path in sorted({path for _, path in ROUTES}):
        known = {method for method, one in ROUTES if one == path}
        # What changes something is for operators, here or beside what is read.
        is_changed_here = "GET" not in known
        target = filled.filled(path)
        for method, token in itertools.product(METHODS, [None, "a-wrong-token-0123456789", VIEWER, OPERATOR]):
            if token and token.startswith("a-wrong") and (method, path) != ("GET", SESSION):
                continue  # a token that is wrong ten times in a minute is answered 429, whatever it asks for
            headers = {**bearer(token), "Sec-Fetch-Site": "same-origin"}
            body = b"{}" if method in CHANGING else None
            status, got, text = ask(filled.serve, method, target, headers, body)
            where = (method, path, token, status, text[:300])
            every_answer_has_the_headers(got, where)
            if method in ("TRACE", "QUERY"):
                assert status in (501, 405, 401), where
            elif (method, path) == ("POST", SESSION):
                assert status in (400, 401), where
            elif method == "OPTIONS" and (token or path == SESSION):
                # Anyone may exchange a start link's token, so anyone may ask what the path takes.
                assert status == (403 if is_changed_here and token == VIEWER else 204), where
            elif token is None or token.startswith("a-wrong"):
                # What a path takes is no secret; what it holds is.
                assert status == 401 or (method not in known and status == 405), where
            elif method in CHANGING and method in known:
                # An operator gets past the role, and is told what the empty body lacks.
                assert status == (403 if token == VIEWER else 400), where
            elif method == "HEAD" and "GET" in known or method in known:
                assert status == 200, where
            else:
                assert status == 405, where
    assert filled.database_state() == before
    assert filled.kafka_state() == kafka_before


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_every_answer_is_one_of_the_contract(filled, role):
    token = bearer({"viewer": VIEWER, "operator": OPERATOR}[role])
    failures = []
    for method, path in ROUTES:
        if method != "GET" or path == STREAM:
            continue
        for target in {filled.filled(path), filled.filled(path).replace(filled.topic.name, "no-such-topic"),
                       filled.filled(path) + ("&" if "?" in filled.filled(path) else "?") + "size=-1&cursor=nonsense&limit=x&from=y&p=z"}:
            status, headers, text = ask(filled.serve, "GET", target, token)
            assert status < 500, (target, status, text[:300])
            try:
                CONTRACT.check("GET", path, status, headers["Content-Type"], text)
            except AssertionError as wrong:
                failures.append(f"{target}: {wrong}")
    assert not failures, "\n".join(failures)


def test_what_does_not_exist_is_a_problem_and_not_a_page(filled):
    for path in ("/api", "/api/", "/api/console", "/api/console/v1", "/api/console/v1/nothing", "/api/console/v2/session",
                 "/api/console/v1/events/1.1/nothing", "/api/console/v1/operations", "/api/console/v1/../session",
                 "/assets/nothing.js", "/assets/../api/console/v1/session"):
        status, headers, text = ask(filled.serve, "GET", path, bearer(OPERATOR))
        assert status in (400, 404), (path, status)
        assert headers["Content-Type"] == "application/problem+json", (path, headers["Content-Type"])
        assert json.loads(text)["status"] == status
        every_answer_has_the_headers(headers, path)


def own_origin(process):
    return f"http://127.0.0.1:{process.console_port}"


@pytest.mark.parametrize("token", [None, VIEWER])
@pytest.mark.parametrize("kind", ["POST", "stream"])
def test_a_write_and_a_stream_prove_that_they_come_from_the_own_page(filled, opened, kind, token):
    process = filled.serve if token else opened
    own = own_origin(process)
    sites = [None, "same-origin", "same-site", "cross-site", "none"]
    origins = [None, own, "http://evil.example", "null", own + ".evil.example", own.replace("http:", "https:"), "http://localhost:1"]
    for site, origin in itertools.product(sites, origins):
        headers = {name: value for name, value in {"Sec-Fetch-Site": site, "Origin": origin, **bearer(token)}.items() if value}
        method, path = ("POST", SESSION) if kind == "POST" else ("GET", STREAM.replace("{topic}", filled.topic.name))
        status, got, text = ask(process, method, path, headers, b"{}" if kind == "POST" else None)
        proven = site in ("same-origin", "none") or (site is None and (origin == own or (origin is None and token)))
        where = (kind, site, origin, token, status, text[:200])
        if not proven:
            assert status == 403, where
        elif kind == "stream":
            assert status == 200, where
        else:
            assert status in (400, 401, 422, 429), where
        every_answer_has_the_headers(got, where)


def test_only_the_own_names_are_answered(opened):
    port = opened.console_port
    for host, good in {f"127.0.0.1:{port}": True, f"localhost:{port}": True, f"[::1]:{port}": True, "127.0.0.1": True,
                       f"evil.example:{port}": False, f"localhost.evil.example:{port}": False, f"127.0.0.1.evil.example:{port}": False,
                       f"192.168.1.1:{port}": False, f"127.0.0.1@evil.example:{port}": False}.items():
        for path in ("/", SESSION, "/metrics", "/readyz"):
            status, headers, _ = ask(opened, "GET", path, host=host)
            assert (status == 200) == good, (host, path, status)
            assert good or status in (400, 403), (host, path, status)
            every_answer_has_the_headers(headers, (host, path))


def test_off_loopback_it_does_not_start_without_tokens_and_encryption(tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text(TOKENS)
    tokens.chmod(0o600)

    def start(**settings):
        return subprocess.run([BINARY, "console"], env={**clean_environment(), "CONSOLE_HOST": "0.0.0.0", "CONSOLE_PORT": "0", **settings},
                              cwd="/", capture_output=True, text=True, timeout=30, check=False)

    for settings, named in [({}, ["CONSOLE_TOKENS_FILE", "CONSOLE_TLS_CERT_FILE"]),
                            ({"CONSOLE_TOKENS_FILE": str(tokens)}, ["CONSOLE_TLS_CERT_FILE"])]:
        done = start(**settings)
        assert done.returncode == 2, done
        for one in [*named, "CONSOLE_INSECURE=true"]:
            assert one in done.stderr, done.stderr
    tokens.chmod(0o644)
    done = subprocess.run([BINARY, "console"], env={**clean_environment(), "CONSOLE_PORT": "0", "CONSOLE_TOKENS_FILE": str(tokens)},
                          cwd="/", capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2 and str(tokens) in done.stderr, done
    assert VIEWER not in done.stdout + done.stderr and OPERATOR not in done.stdout + done.stderr


def test_a_token_names_its_caller_and_a_changed_file_is_read_again(filled):
    def session(token):
        status, _, text = ask(filled.serve, "GET", SESSION, bearer(token))
        return json.loads(text) if status == 200 else status

    assert (session(OPERATOR)["name"], session(OPERATOR)["role"], session(OPERATOR)["is_masked"]) == ("ana", "operator", False)
    assert (session(VIEWER)["name"], session(VIEWER)["role"], session(VIEWER)["is_masked"]) == ("bob", "viewer", True)
    third = "third-token-0123456789"
    filled.tokens.write_text(TOKENS + f"eve viewer {third}\n")
    eventually(lambda: session(third) != 401 and session(third)["name"] == "eve", "the new token is known", timeout=15)
    filled.tokens.write_text(TOKENS)
    eventually(lambda: session(third) in (401, 429), "the token is gone", timeout=15)
    log = filled.serve.log_text()
    assert VIEWER not in log and OPERATOR not in log and third not in log


def masked_paths(filled):
    """Every route that shows a payload, for the event with the secret."""
    partition, offset = filled.record_of("masked")
    ref, topic = filled.refs[filled.secret], f"{PREFIX}/topics/{filled.topic.name}"
    return [f"{PREFIX}/events?q=id:{filled.secret}", f"{PREFIX}/events/{ref}", f"{PREFIX}/events/{ref}/payload", f"{topic}/messages?limit=100",
            f"{topic}/messages/{partition}/{offset}",
            f"{topic}/messages/{partition}/{offset}/value", f"{topic}/messages/export?format=ndjson&from=oldest",
            f"{topic}/messages/export?format=csv&from=oldest", f"{PREFIX}/dead-letters/export", f"{PREFIX}/dead-letters/groups"]


def read_stream(process, path, token, *steps):
    """Reads until each step's bytes have come, and does then what the step says."""
    connection = http.client.HTTPConnection("127.0.0.1", process.console_port, timeout=20)
    try:
        connection.request("GET", path, headers=bearer(token))
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        read = b""
        for wanted, then in steps:
            while wanted not in read:
                part = answer.read1(65536)
                assert part, read[-500:]
                read += part
            then()
        return read
    finally:
        connection.close()


def test_a_viewer_sees_no_masked_value_anywhere_and_an_operator_does(filled):
    shown = 0
    for path in masked_paths(filled):
        status, _, text = ask(filled.serve, "GET", path, bearer(VIEWER))
        assert status == 200, (path, status, text[:300])
        # The filter's own text may be echoed; the payload may not.
        assert SECRET.encode() not in text, (path, text[:2000])
        status, _, text = ask(filled.serve, "GET", path, bearer(OPERATOR))
        assert status == 200, (path, status)
        shown += SECRET.encode() in text
    assert shown >= 7, shown
    # Searching a masked value would tell it, letter by letter.
    asks = f"{PREFIX}/topics/{filled.topic.name}/messages?filter=value~{SECRET[:4]}"
    status, _, text = ask(filled.serve, "GET", asks, bearer(VIEWER))
    assert status in (400, 403) or json.loads(text)["items"] == [], text[:500]
    assert json.loads(ask(filled.serve, "GET", asks, bearer(OPERATOR))[2])["items"], "an operator may"
    partition, _ = filled.record_of("masked")
    again = json.dumps({"secret": SECRET, "shown": "visible"})
    for token in (VIEWER, OPERATOR):
        read = read_stream(filled.serve, f"{PREFIX}/topics/{filled.topic.name}/messages/stream?p={partition}", token,
                           (b"event: progress", lambda: filled.database.publish("masked", "CustomerMoved", again)),
                           (b"visible", lambda: None))
        assert (SECRET.encode() in read) == (token == OPERATOR), read[-2000:]


def test_downloads_are_attachments_of_unnamed_type(filled):
    odd = f"{PREFIX}/topics/{filled.odd.name}/messages"
    status, _, text = ask(filled.serve, "GET", f"{odd}?from=oldest&limit=100", bearer(OPERATOR))
    assert status == 200, text[:300]
    script = next(one for one in json.loads(text)["items"] if one["key"] and "<script>" in one["key"]["data"])
    ref = filled.refs[filled.parked]
    for path in (f"{odd}/{script['partition']}/{script['offset']}/value", f"{odd}/{script['partition']}/{script['offset']}/key",
                 f"{odd}/export?format=csv", f"{odd}/export?format=ndjson", f"{PREFIX}/events/{ref}/payload", f"{PREFIX}/dead-letters/export"):
        status, headers, _ = ask(filled.serve, "GET", path, bearer(OPERATOR))
        assert status == 200, (path, status)
        assert headers["Content-Type"] == "application/octet-stream", (path, headers["Content-Type"])
        assert headers["Content-Disposition"].startswith("attachment"), (path, headers["Content-Disposition"])
        every_answer_has_the_headers(headers, path)


def test_no_statement_of_the_console_can_write_or_run_for_long(world):
    """A view in the table's place does what no SQL of ours does: it writes, and it sleeps."""
    database, topic = world.database(), world.topic()
    console = world.start("console", database, topic)
    database.publish("key")
    assert len(json.loads(ask(console, "GET", f"{PREFIX}/events")[2])["items"]) == 1
    database.run("CREATE TABLE public.spied (at timestamptz DEFAULT now())")
    spy = "CREATE OR REPLACE FUNCTION public.spy() RETURNS boolean LANGUAGE sql VOLATILE AS $$ {} $$"
    database.run(spy.format("INSERT INTO public.spied DEFAULT VALUES; SELECT true"))
    database.run("ALTER TABLE txstream.outbox RENAME TO outbox_kept")
    database.run("CREATE VIEW txstream.outbox AS SELECT * FROM txstream.outbox_kept WHERE public.spy()")
    status, _, text = ask(console, "GET", f"{PREFIX}/events?size=11")
    assert status >= 500 and b"read-only" in text.lower(), (status, text)
    database.run(spy.format("SELECT pg_sleep(60) IS NOT NULL"))
    status, _, text = ask(console, "GET", f"{PREFIX}/events?size=12", timeout=15)
    assert status in (503, 504) and b"statement timeout" in text, (status, text)
    assert database.one("SELECT count(*) FROM public.spied") == 0
    assert database.one("SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = 'txstream console'",
                        database.name) > 0, "its sessions say who they are"
