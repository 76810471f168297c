"""The SQL contract of the outbox: the first call of every adopter works, whatever its driver makes of the values."""
import contextlib
import copy
import itertools
import subprocess
import uuid

import psycopg2
import psycopg2.extras
import pytest

from support.world import Database, clean_environment, run

IDS = {"literal": "'k'", "text": "'k'::text", "varchar": "'k'::varchar", "uuid": "gen_random_uuid()", "bigint": "7::bigint",
       "integer": "7", "smallint": "7::smallint", "numeric": "7::numeric"}
JSONS = {"literal": "'{ \"a\" :1}'", "text": "'{ \"a\" :1}'::text", "varchar": "'{ \"a\" :1}'::varchar",
         "json": "json_build_object('a', 1)", "jsonb": "jsonb_build_object('a', 1)", "row": "to_jsonb(r)", "null": "NULL"}
EXTRAS = {"none": None, "literal": "'{\"h\": \"1\"}'", "text": "'{\"h\": \"1\"}'::text", "json": "'{\"h\": \"1\"}'::json",
          "jsonb": "'{\"h\": \"1\"}'::jsonb", "null": "NULL"}


@pytest.fixture(scope="module")
def database():
    made = Database()
    yield made
    made.drop()


def call(function, *arguments, **named):
    parts = [*arguments, *(f"{name} => {value}" for name, value in named.items() if value is not None)]
    return f"SELECT txstream.{function}({', '.join(parts)})::text FROM (VALUES (1, 'x')) AS r(n, t)"


def failures_of(database, calls):
    """All of them in one session of a writer's; what went wrong, by the call."""
    failures = {}
    with contextlib.closing(database.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("SET ROLE txstream_writer")
        for sql in calls:
            try:
                cursor.execute(sql)
                uuid.UUID(cursor.fetchone()[0])
            except psycopg2.Error as error:
                failures[sql] = str(error)
    return failures


def test_every_type_that_a_driver_may_send_finds_its_publish(database):
    """A type that no overload takes, or that two take, is "function does not exist" at an adopter's first call."""
    calls = [call("publish", "'T'", an_id, "'E'", payload, headers=extra, metadata=extra)
             for an_id, payload, extra in itertools.product(IDS.values(), JSONS.values(), EXTRAS.values())]
    calls += [call("publish", "'T'", "'k'", "'E'", payload, extra) for payload, extra in
              itertools.product(JSONS.values(), EXTRAS.values()) if extra]
    calls += [call("publish", "'T'", an_id, "'E'", JSONS["jsonb"], metadata=EXTRAS["jsonb"], topic="'t'", key="'x'")
              for an_id in IDS.values()]
    calls += [call("publish_bytes", "'T'", an_id, "'E'", payload, "'avro'", headers=extra, metadata=extra)
              for an_id, payload, extra in itertools.product(IDS.values(), (r"'\x00'", r"'\x00'::bytea", "NULL"), EXTRAS.values())]
    calls += ["SELECT txstream.publish(aggregate_type => 'T', aggregate_id => 7, event_type => 'E',"
              " payload => '{}'::jsonb)::text"]
    assert failures_of(database, calls) == {}


def test_what_is_published_is_what_was_given(database):
    def published(sql):
        event = database.one(sql)
        return database.run("SELECT aggregate_id, payload::text, headers::text, metadata::text, topic, key, content_type,"
                            " payload_bytes FROM txstream.outbox WHERE event_id = %s", event)[0]

    # A text comes back as it was written, which jsonb does not keep.
    assert published("SELECT txstream.publish('T', 'k', 'E', '{ \"b\":1, \"a\":1.10}')")[1] == '{ "b":1, "a":1.10}'
    row = published("SELECT txstream.publish('T', 7, 'E', '{\"a\": 1}'::jsonb, '{\"h\": \"1\"}', '{\"m\": 1}', 'topic', 'key')")
    assert row == ("7", '{"a": 1}', '{"h": "1"}', '{"m": 1}', "topic", "key", "application/json", None)
    row = published(r"SELECT txstream.publish_bytes('T', 'k', 'E', '\x00ff', 'avro', '{}'::jsonb, NULL, 'topic', 'key')")
    assert row[1:7] == (None, "{}", None, "topic", "key", "avro") and bytes(row[7]) == b"\x00\xff"
    assert published("SELECT txstream.publish('T', 'k', 'E', NULL)")[1:4] == (None, None, None)
    psycopg2.extras.register_uuid()
    an_id = uuid.uuid4()
    with contextlib.closing(database.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT txstream.publish(%s, %s, %s, %s)", ("T", an_id, "E", psycopg2.extras.Json({"a": 1})))
        cursor.execute("SELECT aggregate_id, payload FROM txstream.outbox WHERE event_id = %s", cursor.fetchone())
        assert cursor.fetchone() == (str(an_id), {"a": 1})


@pytest.mark.parametrize("sql,state", [
    ("SELECT txstream.publish('T', 'k', 'E', 'no json')", "22P02"),
    ("SELECT txstream.publish('T', 'k', 'E', '{}', headers => 'no json')", "22P02"),
    ("SELECT txstream.publish('T', NULL, 'E', '{}')", "23502"),
    ("SELECT txstream.publish('T', NULL::uuid, 'E', '{}')", "23502"),
])
def test_what_cannot_be_an_event_is_refused_with_the_reason(database, sql, state):
    with pytest.raises(psycopg2.Error) as refused:
        database.run(sql)
    assert refused.value.pgcode == state
    assert state != "22P02" or "invalid input syntax for type json" in str(refused.value)


def test_a_trigger_with_a_hostile_search_path_publishes_the_row(database):
    """Neither the caller's schemas nor temporary objects may stand in for what a function of ours means."""
    database.run(
        "CREATE SCHEMA hostile; CREATE TABLE hostile.outbox (n integer);"
        "CREATE FUNCTION hostile.sha256(bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT '\\x00'::bytea $$;"
        "CREATE FUNCTION hostile.replace(text, text, text) RETURNS text LANGUAGE sql AS $$ SELECT 'x'::text $$;"
        "CREATE DOMAIN hostile.json AS text; CREATE DOMAIN hostile.text AS integer;"
        "CREATE TABLE public.products (id bigint, name text);"
        "CREATE FUNCTION public.told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        "  PERFORM txstream.publish('Product', new.id, 'ProductCreated', pg_catalog.to_jsonb(new)); RETURN new; END $$;"
        "CREATE TRIGGER told AFTER INSERT ON public.products FOR EACH ROW EXECUTE FUNCTION public.told()")
    with contextlib.closing(database.connect(options="-c search_path=hostile,pg_catalog,txstream")) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TEMPORARY TABLE outbox (n integer); INSERT INTO public.products VALUES (9, 'x')")
        cursor.execute("SELECT payload FROM txstream.outbox WHERE aggregate_id = '9'")
        assert cursor.fetchone()[0] == {"id": 9, "name": "x"}
        cursor.execute("SELECT txstream.lane_of('order-1')")
        assert cursor.fetchone()[0] == 11


def test_psql_needs_no_casts(database):
    done = subprocess.run(
        ["psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", "-c",
         "SELECT txstream.publish('Order', 'order-7', 'OrderShipped', '{\"carrier\": \"Correios\"}')",
         psycopg2.extensions.make_dsn(**{**database.server, "dbname": database.name})],
        env=clean_environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    uuid.UUID(done.stdout.strip())


@pytest.mark.parametrize("defaults", [
    "REVOKE ALL ON FUNCTIONS FROM PUBLIC; ALTER DEFAULT PRIVILEGES REVOKE ALL ON TYPES FROM PUBLIC",
    "GRANT ALL ON TABLES TO PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC;"
    " ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC"])
def test_rights_are_those_of_the_roles_whatever_the_defaults_of_the_database_are(world, defaults):
    database = world.database(migrate=False)
    database.run(f"ALTER DEFAULT PRIVILEGES {defaults}")
    done = run(["migrate", "up"], database.environment())
    assert done.returncode == 0, done.stderr
    stranger = f"{database.name}_s"
    database.run(f"CREATE ROLE {stranger}")
    world.things.append(lambda: database.run(f"DROP OWNED BY {stranger}; DROP ROLE {stranger}"))

    def states(role, *statements):
        found = []
        with contextlib.closing(database.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(f"SET ROLE {role}")
            for sql in statements:
                try:
                    cursor.execute(sql)
                    found.append(None)
                except psycopg2.Error as error:
                    found.append(error.pgcode)
        return found

    publish = ["SELECT txstream.publish('T', 'k', 'E', '{}')", "SELECT txstream.publish('T', 7, 'E', '{}'::jsonb)",
               r"SELECT txstream.publish_bytes('T', 'k', 'E', '\x00', 'avro')"]
    append = ["INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type) VALUES ('T', 'k', 'E')"]
    read = [f"SELECT count(*) FROM txstream.{name}" for name in
            ("outbox", "leases", "lanes", "positions", "lane_positions", "dead_letters", "events", "outbox_compat", "members",
             "history", "audit", "schema_migrations", "outbox_times", "outbox_partitions")]
    lane = ["SELECT txstream.lane_of('k')"]
    assert states("txstream_writer", *publish, *append, *lane) == [None] * 5
    assert states("txstream_reader", *read, *lane) == [None] * 15
    write = ["UPDATE txstream.lanes SET lease = lease", "DELETE FROM txstream.members", "UPDATE txstream.history SET at = at"]
    assert states("txstream_relay", *read, *lane, *write) == [None] * 18
    decide = ["UPDATE txstream.dead_letters SET state = state, decided = decided, resolved_by = resolved_by, resolved_at = resolved_at,"
              " resolved_reason = resolved_reason",
              "INSERT INTO txstream.audit (actor, origin, action, target, reason, affected, result)"
              " VALUES ('me', 'cli', 'a', '{}', '', 1, 'done')"]
    assert states("txstream_operator", *read, *lane, *decide) == [None] * 17
    denied = {"42501"}
    assert set(states("txstream_writer", "SELECT payload FROM txstream.outbox", *read[1:], "SELECT nextval('txstream.outbox_id_seq')")) == denied
    assert set(states("txstream_reader", *publish, *append, *write, *decide)) == denied
    assert set(states("txstream_operator", *publish, *append, *write)) == denied
    for statement in (*publish, *append, *read, *lane, *decide):
        assert states(stranger, statement) == ["42501"], statement


CHANGES = [
    ("DROP INDEX txstream.outbox_xid", "missing: index txstream.outbox_xid: CREATE INDEX"),
    ("DROP VIEW txstream.outbox_compat", "missing: view txstream.outbox_compat"),
    ("DROP FUNCTION txstream.lane_of", "missing: function txstream.lane_of(text)"),
    ("CREATE FUNCTION txstream.publish(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'", "not of ours, remove it: function"),
    ("ALTER TABLE txstream.dead_letters DROP COLUMN resolved_reason", "missing: column txstream.dead_letters.resolved_reason"),
    ("ALTER TABLE txstream.outbox ADD COLUMN tenant text", "remove it: column txstream.outbox.tenant"),
    ("ALTER TABLE txstream.lanes ALTER epoch SET DEFAULT 5", "should be bigint NOT NULL DEFAULT (0)"),
    ("ALTER TABLE txstream.outbox DROP CONSTRAINT one_payload", "missing: constraint one_payload on txstream.outbox"),
    ("REVOKE SELECT ON txstream.lanes FROM txstream_relay", "missing: right: GRANT SELECT ON txstream.lanes TO txstream_relay"),
    ("REVOKE INSERT (key) ON txstream.outbox FROM txstream_writer", "GRANT INSERT (key) ON txstream.outbox TO txstream_writer"),
    ("GRANT SELECT ON txstream.outbox TO PUBLIC", "remove it: right: GRANT SELECT ON txstream.outbox TO PUBLIC"),
    ("CREATE RULE eat AS ON INSERT TO txstream.outbox DO INSTEAD NOTHING", "remove it: rule eat on txstream.outbox"),
    ("ALTER TABLE txstream.outbox ENABLE ROW LEVEL SECURITY", "with row-level security"),
    ("CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
     " CREATE TRIGGER eat BEFORE INSERT ON public.orders FOR EACH ROW EXECUTE FUNCTION public.f()", "remove it: trigger eat"),
    ("ALTER TABLE public.orders DISABLE TRIGGER ALL", "changed: the checks of the foreign keys of public.orders"),
    ("CREATE UNIQUE INDEX one_each ON public.orders (customer_id)", "remove it: index public.one_each"),
    ("ALTER SEQUENCE txstream.outbox_id_seq CYCLE", "changed: sequence txstream.outbox_id_seq"),
    ("ALTER TABLE txstream.outbox DETACH PARTITION txstream.outbox_p0", "txstream.outbox_p0 has the columns of an event"),
]


def test_validate_names_all_that_differs_from_the_migrations(world):
    """Checksums of files say nothing about what an operator, a tool or another program did to the tables since."""
    database = world.database()

    def validate():
        return run(["migrate", "validate"], database.environment())

    database.run(f"CREATE INDEX mine ON txstream.outbox (event_type); CREATE ROLE {database.name}_x;"
                 f"GRANT SELECT ON txstream.outbox TO {database.name}_x; CREATE TABLE public.others (n integer)")
    world.things.append(lambda: database.run(f"DROP OWNED BY {database.name}_x; DROP ROLE {database.name}_x"))
    done = validate()
    assert done.returncode == 0, f"what is the operator's own is no difference: {done.stderr}"
    for change, _ in CHANGES:
        database.run(change)
    done = validate()
    assert done.returncode == 6, done.stderr
    for change, words in CHANGES:
        assert words in done.stderr, f"{change}: {done.stderr}"
    assert database.run("SELECT nspname FROM pg_namespace WHERE nspname LIKE '%expected%'") == []


def test_lanes_other_than_the_standard_are_no_difference(world):
    database = world.database(migrate=False)
    for command in (["migrate", "up", "--only", "outbox", "--lanes", "4"], ["migrate", "validate", "--only", "outbox"]):
        done = run(command, database.environment())
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_in_another_encoding_is_refused_and_left_as_it_was(world, encoding):
    database = world.database(migrate=False)
    name = f"{database.name}_e"
    database.on_server(f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    world.things.append(lambda: database.on_server(f"DROP DATABASE {name} WITH (FORCE)"))
    other = copy.copy(database)
    other.name = name
    for command in (["migrate", "up"], ["migrate", "status"], ["migrate", "validate"]):
        done = run(command, other.environment())
        assert done.returncode not in (0, -6), done.stderr
        assert encoding in done.stderr and "ENCODING 'UTF8'" in done.stderr, done.stderr
    script = run(["migrate", "sql"], {}).stdout
    assert script.isascii()
    done = subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", psycopg2.extensions.make_dsn(**{**database.server, "dbname": name})],
                          input=script, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0 and "UTF8" in done.stderr, done.stderr
    assert other.run("SELECT relname FROM pg_class WHERE relname IN ('outbox', 'orders')") == []
