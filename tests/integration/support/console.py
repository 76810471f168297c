"""A world that has something to show on every page of the console, and the parameters that every route of it needs."""
import http.client
import json
import urllib.parse
import uuid

import confluent_kafka
import confluent_kafka.admin

from .world import KAFKA, PATIENCE, ROOT, Topic, eventually

ORDERS = 5
CUSTOMER = "customer-of-the-console"
BIG = 300 * 1024
NUMBERS = '{"a":9223372036854775807,"b":0.10,"c":1e400,"d":-0}'
ODD = [
    # key, value, headers
    (b"tombstone", None, []),
    (b"empty", b"", []),
    (None, b"no key", []),
    (b"binary", bytes(range(256)), [("binary", b"\xff\x00\xfe")]),
    (b"big", b'{"padding":"' + b"x" * BIG + b'"}', []),
    (b"headers", b"{}", [("twice", b"1"), ("twice", b"2"), ("null", None), ("", b"no name")]),
    (b"control", "a\x00b\x1b[31mred\x1b[0m\r\nline\u202eright to left".encode(), []),
    (b"a/key with/slashes?and#more %2F", b"slashes", []),
    (b"<script>alert(1)</script>", b'<img src=x onerror="alert(1)">', []),
    (b"numbers", NUMBERS.encode(), []),
    (b"twice", b'{"a":1,"a":2, "b" : [ ] }', []),
    (b"long", json.dumps({"one": "w" * 4000, "words": "lorem ipsum " * 200}).encode(), []),
]


class ConsoleWorld:
    """Topics carry `prefix`, so that several worlds may share a broker."""

    def __init__(self, world, bootstrap=KAFKA, prefix=None, database=None, **settings):
        self.bootstrap = bootstrap
        self.prefix = f"c{uuid.uuid4().hex[:8]}." if prefix is None else prefix
        self.database = database or world.database()
        self.topic = self._topic("orders.events", partitions=3)  # the relay creates it
        self.narrow, self.odd = self._topic("narrow"), self._topic("odd records".replace(" ", "_"))
        self.transactional, self.compacted = self._topic("transactional"), self._topic("compacted")
        self.missing = self.prefix + "payments"
        self.groups = [self.prefix + "billing", self.prefix + "shipping/eu"]
        self.members, self.places = [], {}
        world.things.append(self.end)
        self.settings = settings
        self.serve = world.start("serve", self.database, self.topic, KAFKA_BROKERS=bootstrap, **settings)

    def _topic(self, name, partitions=1):
        made = Topic(partitions=partitions, bootstrap=self.bootstrap, create=False)
        made.name = self.prefix + name
        return made

    def end(self):
        for one in self.members:
            one.close()

    def fill(self):
        self.narrow.create({"max.message.bytes": "2000"})
        self.odd.create()
        self.transactional.create()
        self.compacted.create({"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "segment.ms": "1000"})
        self.orders = [self._order(number) for number in range(ORDERS)]
        self.database.publish("customer-7", "CustomerRenamed", '{"name":"São Paulo","total":100.00}')
        self.parked = self.database.publish("big-one", "InvoicePrinted", json.dumps({"text": "p" * 5000}), self.narrow.name)
        self.held = self.database.publish("big-one", "InvoiceSent", "{}", self.narrow.name)
        self.waiting = self.database.publish("payment-1", "PaymentReceived", '{"amount":12.50}', self.missing)
        self._odd_records()
        self._transactions()
        self._compacted_records()
        self.topic.read(lambda records: len(records) >= ORDERS + 1)
        self._groups()
        eventually(lambda: self.database.one("SELECT count(*) FROM txstream.dead_letters") >= 2, "an event is parked and one held")
        eventually(lambda: self.database.one("SELECT count(*) FROM txstream.events WHERE status = 'published'") >= ORDERS + 1,
                   "the orders' events are acknowledged")
        # A decision that nobody has to carry out.
        self.job = self.database.one(
            "INSERT INTO txstream.jobs (kind, selection, total, decided, actor, origin, reason, started_at, decided_at, ended_at, carried_out,"
            " parked_again) VALUES ('replay', '{\"key\": \"none\"}', 1, 1, 'ana@host', 'cli', 'as before', now(), now(), now(), 1, 0) RETURNING id")
        self.database.run(
            "INSERT INTO txstream.audit (actor, origin, action, target, reason, affected, result, job)"
            " VALUES ('ana@host', 'cli', 'dead-letters replay', '{\"key\": \"none\"}', 'as before', 1, 'done', %s)", self.job)
        self.refs = dict(self.database.run("SELECT event_id::text, id || '.' || xid::text FROM txstream.outbox"))
        return self

    def _order(self, number):
        body = json.loads((ROOT / "tests/data/earlier-examples/create-multi-item.json").read_text())
        body.update(order_number=f"{self.prefix}ORD-{number:03}", customer_id=CUSTOMER)
        trace = {"traceparent": f"00-{uuid.uuid4().hex}-00f067aa0ba902b7-01"}
        status, _, text = self.serve.request("POST", "/api/v1/orders", json.dumps(body), trace)
        assert status == 201, text
        return json.loads(text)

    def _producer(self, **more):
        return confluent_kafka.Producer({"bootstrap.servers": self.bootstrap, "log_level": 3, "linger.ms": 1, **more})

    def _odd_records(self):
        producer = self._producer()
        for key, value, headers in ODD:
            producer.produce(self.odd.name, key=key, value=value, headers=headers or None)
        assert producer.flush(PATIENCE) == 0

    def _transactions(self):
        producer = self._producer(**{"transactional.id": uuid.uuid4().hex})
        producer.init_transactions(PATIENCE)
        for number, ends in enumerate(["commit", "abort", "commit"]):
            producer.begin_transaction()
            for one in range(3):
                producer.produce(self.transactional.name, key=f"t{number}", value=json.dumps({"transaction": number, "ends": ends, "record": one}))
            assert producer.flush(PATIENCE) == 0  # what was never sent could not be aborted either
            (producer.commit_transaction if ends == "commit" else producer.abort_transaction)(PATIENCE)

    def _compacted_records(self):
        producer = self._producer()
        for number in range(200):
            producer.produce(self.compacted.name, key=f"k{number % 5}", value=f"version {number}")
        producer.flush(PATIENCE)

    def _groups(self):
        behind = confluent_kafka.Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.groups[0], "log_level": 3})
        offsets = [confluent_kafka.TopicPartition(self.topic.name, partition, 0) for partition in range(3)]
        behind.commit(offsets=offsets, asynchronous=False)
        behind.close()
        alive = confluent_kafka.Consumer({
            "bootstrap.servers": self.bootstrap, "group.id": self.groups[1], "client.id": "shipping-eu-1", "log_level": 3,
            "auto.offset.reset": "earliest", "auto.commit.interval.ms": 200})
        alive.subscribe([self.topic.name])
        self.members.append(alive)
        seen = []
        eventually(lambda: seen.append(alive.poll(0.2)) or sum(one is not None for one in seen) >= ORDERS + 1,
                   "the living group reads everything")
        alive.commit(asynchronous=False)

    def record_of(self, key):
        """(partition, offset) of the first one in the topic of orders."""
        if key not in self.places:
            for one in reversed(self.topic.read(lambda records: any(record.key() == key.encode() for record in records))):
                self.places[one.key().decode()] = one.partition(), one.offset()
        return self.places[key]

    def filled(self, path):
        """A path template of the contract with this world's values, and the query that it needs."""
        quote = lambda text: urllib.parse.quote(str(text), safe="")
        partition, offset = self.record_of(self.orders[0]["id"])
        event = self.database.one("SELECT event_id::text FROM txstream.outbox WHERE aggregate_id = %s", self.orders[0]["id"])
        values = {
            "ref": self.refs[event], "topic": self.topic.name, "partition": partition, "offset": offset, "part": "value",
            "group": self.groups[0], "id": self.orders[0]["id"] if "/orders/" in path else self.job if "/jobs/" in path else self._broker(),
            "name": self.database.one("SELECT name FROM txstream.members ORDER BY seen_at DESC LIMIT 1") if "/relays/" in path else ""}
        for name, value in values.items():
            path = path.replace("{" + name + "}", quote(value))
        query = {
            "/topics/offsets": {"names": self.topic.name}, "/topics/groups": {"names": self.topic.name},
            "/groups/describe": {"ids": ",".join(quote(one) for one in self.groups)}, "/filter": {"text": "json.a>1"},
        }
        for end, needed in query.items():
            if path.endswith(end):
                return path + "?" + urllib.parse.urlencode(needed)
        return path

    def _broker(self):
        return next(iter(self._admin().list_topics(timeout=PATIENCE).brokers))

    def _admin(self):
        return confluent_kafka.admin.AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 3})

    def kafka_state(self):
        """Groups, topics and committed offsets of this world."""
        admin = self._admin()
        topics = sorted(one for one in admin.list_topics(timeout=PATIENCE).topics if one.startswith(self.prefix))
        groups = sorted(one.id for one in admin.list_groups(timeout=PATIENCE)
                        if one.id.startswith(self.prefix) or "console" in one.id or "txstream" in one.id)
        committed = {}
        for group in self.groups:
            reader = confluent_kafka.Consumer({"bootstrap.servers": self.bootstrap, "group.id": group, "log_level": 3})
            wanted = [confluent_kafka.TopicPartition(self.topic.name, one) for one in range(self.topic.partitions)]
            committed[group] = [one.offset for one in reader.committed(wanted, timeout=PATIENCE)]
            reader.close()
        return topics, groups, committed

    def database_state(self):
        """Every row of ours that a person could want to change; what the relay writes while it runs is not among them."""
        tables = self.database.run(
            "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
            " AND table_schema IN ('txstream', 'public') AND table_name !~ '^(members|leases|lanes|positions|lane_positions|history)' ORDER BY 1")
        return {name: self.database.one(f"SELECT md5(coalesce(string_agg(t::text, '' ORDER BY t::text), '')) FROM {name} t")
                for name, in tables}


def ask(process, method, path, headers=None, body=None, host=None, whole=True, timeout=30):
    """(status, headers, bytes) of the console of a process, with exactly these headers. `whole`: a stream is not read."""
    connection = http.client.HTTPConnection("127.0.0.1", process.console_port, timeout=timeout)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        sent = {"Host": host or f"127.0.0.1:{process.console_port}", **(headers or {})}
        if body is not None:
            sent = {"Content-Type": "application/json", "Content-Length": str(len(body)), **sent}
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        is_stream = answer.headers.get("Content-Type", "").startswith("text/event-stream")
        return answer.status, answer.headers, answer.read() if whole and not is_stream else b""
    finally:
        connection.close()


def listens(process):
    """Whether its console answers, whatever it can reach."""
    try:
        return ask(process, "GET", "/livez")[0] == 200
    except OSError:
        return False
