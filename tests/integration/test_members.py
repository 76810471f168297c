"""What relays write down about themselves in PostgreSQL, for a console that may run elsewhere."""
import contextlib

import psycopg2.extras

from support.world import eventually
from test_delivery import append


def members(database):
    with contextlib.closing(database.connect(cursor_factory=psycopg2.extras.RealDictCursor)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT *, clock_timestamp() - seen_at < interval '20 s' AS is_alive FROM txstream.members ORDER BY started_at")
        return cursor.fetchall()


def newest(database, column):
    rows = database.run(f"SELECT {column} FROM txstream.history ORDER BY at DESC LIMIT 1")
    return rows[0][0] if rows else None


def test_a_relay_describes_itself_and_leaves_no_row_when_it_ends(world):
    database, topic = world.database(), world.topic()
    relay = world.start("relay", database, topic)
    row, = eventually(lambda: [one for one in members(database) if len(one["lanes"]) == 32], "it owns all lanes")
    assert row["pid"] == relay.process.pid and row["workers"] == row["workers_alive"] == 1
    assert row["breaker"] == "closed" and row["blockages"] == []
    assert row["settings"]["KAFKA_TOPIC_EVENTS"] == topic.name
    owners = {owner for owner, in database.run("SELECT DISTINCT owner FROM txstream.lane_positions")}
    assert owners == {f"{row['name']}/1"}
    topic.read_ids(append(database, 100))
    eventually(lambda: (newest(database, "settled"), newest(database, "pending")) == (100, 0), "the history says so")
    eventually(lambda: members(database)[0]["published"] == 100, "the relay says so")
    assert newest(database, "p50_us") > 0 and newest(database, "lanes_owned") == 32 and newest(database, "relays") == 1
    # Seen again without any change.
    seen = members(database)[0]["seen_at"]
    eventually(lambda: members(database)[0]["seen_at"] > seen, "it is alive")
    assert relay.stop() == 0
    assert members(database) == []


def test_a_blockage_is_written_down_with_its_lanes_within_seconds_and_taken_back(world):
    database, topic = world.database(), world.topic()
    world.start("relay", database, topic, WORKER_TOPIC_RETRY_DELAY="200ms", KAFKA_PROPERTY_allow__auto__create__topics="false",
                KAFKA_PROPERTY_topic__metadata__propagation__max__ms="500").wait_ready()
    missing = world.topic(create=False)
    database.publish("somebody", topic=missing.name)
    lane = database.one("SELECT txstream.lane_of('somebody')")

    def held():
        return [(blocked["code"], blocked.get("lanes")) for one in members(database) for blocked in one["blockages"]]

    eventually(lambda: held() == [("topic_refused", [{"lane": lane, "topic": missing.name}])], "the lane is named", 10)
    eventually(lambda: newest(database, "blockages") == ["topic_refused"], "the history has it", 10)
    missing.create()
    eventually(lambda: held() == [], "it is over")


def test_where_nothing_can_be_written_down_delivery_goes_on(world):
    database, topic = world.database(), world.topic()
    relay = world.start("relay", database, topic).wait_ready()
    eventually(lambda: members(database), "it is there")
    with contextlib.closing(database.connect()) as blocker:
        blocker.autocommit = False
        blocker.cursor().execute("LOCK TABLE txstream.members, txstream.history IN ACCESS EXCLUSIVE MODE")
        eventually(lambda: relay.logs("cannot write down what this relay does; delivery goes on, the console knows less"), "it is logged")
        topic.read_ids(append(database, 100))
        eventually(lambda: relay.metric("txstream_events_in_queue", status="pending") == 0, "the backlog is measured")
        assert relay.request("GET", "/readyz")[0] == 200
    eventually(lambda: newest(database, "settled") == 100, "it is written when it can be")
    assert relay.stop() == 0


def test_a_killed_relay_stays_in_the_table(world):
    database, topic = world.database(), world.topic()
    relay = world.start("relay", database, topic).wait_ready()
    eventually(lambda: members(database), "it is there")
    relay.kill()
    other = world.start("relay", database, topic).wait_ready()
    eventually(lambda: [one["pid"] for one in members(database)] == [relay.process.pid, other.process.pid], "both are there")
    assert other.stop() == 0
    assert [one["pid"] for one in members(database)] == [relay.process.pid]
