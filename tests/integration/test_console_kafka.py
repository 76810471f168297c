"""The console's pages of topics, brokers and groups: what they say of a cluster, and what of parts that refuse or are away."""
import datetime
import json
import subprocess
import time
import urllib.parse
import uuid

import confluent_kafka
import confluent_kafka.admin
import pytest
from support.world import KAFKA, PATIENCE, Broker, Process, eventually, free_ports

PROGRAM = {"Sec-Fetch-Site": "none"}
PLAIN_LOGIN = "listener.name.sasl_plaintext.plain.sasl.jaas.config"
JAAS = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_viewer="s3cret";'


def ask(console, path, **query):
    """(status, answer)"""
    target = "/api/console/v1" + path + ("?" + urllib.parse.urlencode(query) if query else "")
    status, _, text = console.request("GET", target, headers=PROGRAM)
    return status, json.loads(text)


def get(console, path, **query):
    status, answer = ask(console, path, **query)
    assert status == 200, (path, answer)
    return answer


def start(world, topic, **settings):
    """A console; Kafka need not be there."""
    console = world.start("console", world.database(), topic, ready=False, **settings)

    def listens():
        try:
            return console.request("GET", "/livez", timeout=5)[0] == 200
        except OSError:
            return False

    eventually(listens, "the console listens")
    return console


def names_of(bootstrap):
    """Topics and groups of a broker."""
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})
    return set(admin.list_topics(timeout=PATIENCE).topics), {one.id for one in admin.list_groups(timeout=PATIENCE)}


def commit(bootstrap, group, topic, offset, partition=0):
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 3})

    def done():
        try:
            consumer.commit(offsets=[confluent_kafka.TopicPartition(topic, partition, offset)], asynchronous=False)
            return True
        except confluent_kafka.KafkaException:  # a broker that has just started loads its groups
            return False

    eventually(done, "the offset is committed")
    consumer.close()


def committed(bootstrap, group, topic):
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 3})
    found = consumer.committed([confluent_kafka.TopicPartition(topic, 0)], timeout=PATIENCE)[0].offset
    consumer.close()
    return found


def test_lag_ends_at_the_last_stable_offset_and_looking_changes_nothing(world):
    topic = world.topic(partitions=2, config={"cleanup.policy": "compact"})
    group = "group/" + uuid.uuid4().hex
    producer = confluent_kafka.Producer({"bootstrap.servers": KAFKA, "transactional.id": uuid.uuid4().hex, "log_level": 3})
    producer.init_transactions(PATIENCE)
    for ends in (producer.commit_transaction, producer.abort_transaction, None):
        producer.begin_transaction()
        for _ in range(5):
            producer.produce(topic.name, key="k", value="v", partition=0)
        producer.flush(PATIENCE)
        if ends:
            ends(PATIENCE)
    commit(KAFKA, group, topic.name, 3)
    console = start(world, topic)
    missing = "missing." + uuid.uuid4().hex

    detail = get(console, f"/topics/{topic.name}")
    first, second = detail["partitions"]
    # 5 records, a marker, 5 aborted ones, a marker; then 5 that are not committed yet.
    assert (first["low"], first["end"], first["high"]) == ("0", "12", "17"), first
    assert (second["low"], second["end"], second["high"]) == ("0", "0", "0"), second
    assert detail["topic"]["is_ours"]
    assert detail["newest_at"] is not None and abs(time.time() - datetime.datetime.fromisoformat(detail["newest_at"]).timestamp()) < 120
    policy = next(one for one in detail["config"] if one["name"] == "cleanup.policy")
    assert (policy["value"], policy["source"], policy["is_default"]) == ("compact", "topic", False)
    assert "compacted" in [one["code"] for one in detail["warnings"]]
    compacted = next(one for one in detail["warnings"] if one["code"] == "compacted")
    assert topic.name in compacted["remedy"]["text"]

    quoted = urllib.parse.quote(group, safe="")
    found = get(console, f"/groups/{quoted}")
    assert found["group"]["state"] == "Empty" and found["group"]["lag"] == "9", found
    assert [(one["committed"], one["end"], one["lag"]) for one in found["offsets"]] == [("3", "12", "9")]
    measured = get(console, "/groups/describe", ids=f"{quoted},{missing}")["items"]
    assert {one["id"]: one["lag"] for one in measured} == {group: "9", missing: None}
    assert get(console, "/groups", q=group)["items"] == [{"id": group, "state": "Empty", "is_simple": True}]
    readers = get(console, f"/topics/{topic.name}/groups")["items"]
    assert [(one["group"], one["lag"]) for one in readers] == [(group, "9")]
    of_topics = get(console, "/topics/groups", names=topic.name)
    assert of_topics["items"] == [{"name": topic.name, "groups": 1, "lag": "9"}]
    assert of_topics["groups_seen"] <= of_topics["groups_total"]
    assert get(console, "/topics/offsets", names=topic.name)["items"][0]["offsets"] == "12"

    status, problem = ask(console, f"/topics/{missing}")
    assert status == 404 and problem["remedy"] == {
        "kind": "command", "text": f"kafka-topics.sh --bootstrap-server {topic.bootstrap} --create --topic {missing} --partitions 12"
        " --replication-factor 1"}
    status, problem = ask(console, "/topics/a%3Bb")
    assert status == 400 and problem["field"] == "topic"
    assert get(console, "/topics/offsets", names=missing)["items"][0]["error"]
    assert ask(console, f"/topics/{missing}/groups")[0] == 404
    assert ask(console, f"/groups/{missing}")[0] == 404
    topics, groups = names_of(KAFKA)
    assert topic.name in topics and missing not in topics
    assert group in groups and missing not in groups and not [one for one in groups if "txstream" in one or "console" in one]
    assert committed(KAFKA, group, topic.name) == 3
    producer.commit_transaction(PATIENCE)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A broker that lets `viewer` see one topic and one group; and a listener that advertises an address where nothing listens."""
    plain, controller, sasl, trap = free_ports(4)
    broker = Broker(tmp_path_factory.mktemp("guarded") / "kafka", port=plain, controller_port=controller, settings={
        "listeners": f"PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl},TRAP://127.0.0.1:{trap},"
                     f"CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl},TRAP://127.0.0.1:1",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,TRAP:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN", PLAIN_LOGIN: JAAS,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users": "User:ANONYMOUS",
        # It is never killed, and on a busy machine a short session would fence it while it starts.
        "broker.session.timeout.ms": "30000", "broker.heartbeat.interval.ms": "1000"})
    broker.sasl, broker.trap = f"127.0.0.1:{sasl}", f"127.0.0.1:{trap}"
    try:
        yield broker
    finally:
        broker.destroy()


def allow(broker, *what, change=("--add",)):
    done = subprocess.run(
        [Broker.SCRIPT, "tool", "--dir", broker.directory, "--", "org.apache.kafka.tools.AclCommand", "--bootstrap-server",
         broker.bootstrap, *change, "--allow-principal", "User:viewer", *what],
        capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_this_user_may_not_see_is_an_error_of_its_own_row(world, guarded, tmp_path):
    shown, hidden = world.topic(bootstrap=guarded.bootstrap), world.topic(bootstrap=guarded.bootstrap)
    groups = ["shown." + uuid.uuid4().hex, "hidden." + uuid.uuid4().hex]
    for group in groups:
        commit(guarded.bootstrap, group, shown.name, 0)
    allow(guarded, "--operation", "Describe", "--cluster")
    allow(guarded, "--operation", "Describe", "--topic", shown.name)
    allow(guarded, "--operation", "Describe", "--group", groups[0])
    secret = tmp_path / "secret"
    secret.write_text("wrong")
    console = start(world, shown, KAFKA_BROKERS=guarded.sasl, KAFKA_SECURITY_PROTOCOL="sasl_plaintext", KAFKA_SASL_MECHANISM="PLAIN",
                    KAFKA_SASL_USERNAME="viewer", KAFKA_SASL_PASSWORD_FILE=str(secret))
    status, problem = ask(console, "/topics")
    assert status == 503 and "KAFKA_SASL_PASSWORD" in problem["detail"] and "wrong" not in json.dumps(problem), problem
    secret.write_text("s3cret")
    eventually(lambda: ask(console, "/topics")[0] == 200, "the rotated secret gets in without a restart")

    assert [one["name"] for one in get(console, "/topics")["items"]] == [shown.name]
    detail = get(console, f"/topics/{shown.name}")
    assert detail["partitions"][0]["end"] == "0" and detail["config"] == [], detail
    assert "authorization" in detail["config_error"].lower()
    status, problem = ask(console, f"/topics/{hidden.name}")
    assert (status, problem["code"]) == (403, "kafka_forbidden"), problem
    measured = {one["id"]: one for one in get(console, "/groups/describe", ids=",".join(groups))["items"]}
    assert measured[groups[0]]["lag"] == "0" and measured[groups[0]]["error"] is None, measured
    assert measured[groups[1]]["lag"] is None and "authorization" in measured[groups[1]]["error"].lower(), measured
    brokers = get(console, "/brokers")
    assert brokers["items"][0]["is_reachable"] and brokers["partial"] is None, "a broker that denies its settings has answered"
    assert ask(console, "/brokers/1/config")[1]["code"] == "kafka_forbidden"


def test_a_broker_that_advertises_an_address_where_nothing_listens_is_named_with_the_setting(world, guarded):
    topic = world.topic(bootstrap=guarded.bootstrap)
    console = start(world, topic, KAFKA_BROKERS=guarded.trap)
    brokers = get(console, "/brokers")
    assert brokers["items"][0]["port"] == 1 and brokers["items"][0]["is_reachable"] is False, brokers
    assert brokers["partial"]["text"].startswith("0 of 1 brokers answered"), brokers
    warning = brokers["warnings"][0]
    assert "advertises 127.0.0.1:1," in warning["text"] and "advertised.listeners" in warning["remedy"]["text"], warning
    # The list is there; what only the broker itself could say has its reason.
    assert topic.name in [one["name"] for one in get(console, "/topics", q=topic.name)["items"]]
    detail = get(console, f"/topics/{topic.name}")
    assert detail["partitions"][0]["end"] is None and detail["partitions"][0]["error"], detail


def test_the_development_broker_has_topics_and_says_what_it_has_not(world):
    dev = Process("dev", {}, world.directory)
    world.processes.append(dev)
    dev.wait_ready()
    dev.port = dev.console_port

    def first_topic():
        status, answer = ask(dev, "/topics")
        return status == 200 and answer["items"] and answer["items"][0]["name"]

    topic = eventually(first_topic, "the topic is there")
    detail = get(dev, f"/topics/{topic}")
    assert detail["partitions"][0]["end"] is not None
    assert detail["config"] == [] and "not supported" in detail["config_error"], detail
    status, problem = ask(dev, "/groups")
    assert (status, problem["code"]) == (501, "not_supported"), problem
    assert get(dev, "/brokers")["items"][0]["is_reachable"]
    assert dev.stop() == 0
