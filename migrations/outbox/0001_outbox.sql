-- The outbox core. Adopt it in any application's database; nothing here knows of orders.
--
-- {{lanes}} (a power of two, 1..256) is written in when the migration is applied and never changes afterwards: a key's
-- lane is stored with each event, so another number would send one key down two lanes and lose its order.

DO $$
BEGIN
    -- The lane is a hash of the key's bytes; only in UTF8 are these the bytes that every writer and reader means.
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'the outbox needs a database in UTF8, this one is %', current_setting('server_encoding');
    END IF;
END $$;

-- Events. Append-only: nobody updates a row. Partitioned by the writer's transaction id, so that
--   * the reader's query (xid above the cursor's xmax) touches only the newest partitions, and
--   * retention may drop a partition without looking inside: once its upper bound is below the xmin of every lane's
--     cursor, each row in it has been published or parked.
-- There is no DEFAULT partition (it would forbid detaching without a full lock). The first partition is open downwards:
-- after a restore into another cluster transaction ids start low again and must find a home. The last is open upwards:
-- a writer never fails because maintenance did not run.
CREATE TABLE txstream.outbox (
    -- Nobody but the default writes xid (writers have no right on the column): a wrong one loses the event.
    xid            xid8        NOT NULL DEFAULT pg_current_xact_id(),
    -- An id alone names no event: a sequence that was set back gives ids again, and no unique index over all partitions
    -- could forbid it. An event is named by (id, xid).
    id             bigint      NOT NULL GENERATED ALWAYS AS IDENTITY (CACHE 1),
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Bytes of what makes the record. The reader bounds its pages by it, and leaves out what Kafka can never take, without
    -- reading either: the length of a json value is not known before it is decompressed.
    size           bigint      NOT NULL GENERATED ALWAYS AS (
        octet_length(aggregate_id)::bigint + coalesce(octet_length(key), 0) + coalesce(octet_length(headers::text), 0)
        + CASE WHEN payload IS NOT NULL THEN octet_length(payload::text)::bigint + coalesce(octet_length(metadata::text), 0)
               ELSE coalesce(octet_length(payload_bytes), 0) END
    ) STORED,
    event_id       uuid        NOT NULL DEFAULT gen_random_uuid(),
    -- First byte of SHA-256 of the key's bytes, modulo the lanes: the same in every version of PostgreSQL (hashtext is
    -- not), under FIPS (md5 is not), and without calling a function that the writer would need a right on.
    lane           smallint    NOT NULL GENERATED ALWAYS AS (
        (get_byte(sha256(replace(coalesce(key, aggregate_id), '\', '\\')::bytea), 0) & ({{lanes}} - 1))::smallint
    ) STORED,
    aggregate_type text        NOT NULL CHECK (aggregate_type <> ''),
    aggregate_id   text        NOT NULL CHECK (aggregate_id <> ''),
    event_type     text        NOT NULL CHECK (event_type <> ''),
    -- What no topic of Kafka's can be called is refused where it is written.
    topic          text        CHECK (topic ~ '^[a-zA-Z0-9._-]{1,249}$' AND topic NOT IN ('.', '..')),
    key            text,
    -- json keeps the text as it was written (jsonb does not) and costs half of jsonb to read.
    payload        json,
    payload_bytes  bytea,
    content_type   text        NOT NULL DEFAULT 'application/json',
    metadata       json,
    headers        json,
    -- A backlog is paged by it, all lanes together, so that it is read in the order in which it lies on disk. Both indexes
    -- grow at their right edge: with the lane in front, each writer touches a leaf for each lane.
    PRIMARY KEY (id, xid),
    CONSTRAINT one_payload CHECK (payload IS NULL OR payload_bytes IS NULL),
    -- The casts refuse what is no text (half a surrogate pair, \u0000); json alone keeps it as it was written. JSON null
    -- is how some client libraries say "none".
    CONSTRAINT headers_are_an_object CHECK (jsonb_typeof(headers::jsonb) IN ('object', 'null')),
    CONSTRAINT metadata_is_an_object CHECK (json_typeof(metadata) IN ('object', 'null')),
    CONSTRAINT content_type_is_printable_ascii CHECK (content_type <> '' AND content_type !~ '[^ -~]'),
    -- The relay holds these in memory, and in the table of dead letters, whatever else it leaves out.
    CONSTRAINT aggregate_type_has_at_most_255_bytes CHECK (octet_length(aggregate_type) <= 255),
    CONSTRAINT aggregate_id_has_at_most_4096_bytes CHECK (octet_length(aggregate_id) <= 4096),
    CONSTRAINT event_type_has_at_most_255_bytes CHECK (octet_length(event_type) <= 255),
    CONSTRAINT key_has_at_most_4096_bytes CHECK (octet_length(key) <= 4096),
    CONSTRAINT content_type_has_at_most_255_bytes CHECK (octet_length(content_type) <= 255),
    CONSTRAINT headers_have_at_most_65536_bytes CHECK (octet_length(headers::text) <= 65536)
) PARTITION BY RANGE (xid);

-- With the id, so that the lowest id of a backlog is found without reading the table.
CREATE INDEX outbox_xid ON txstream.outbox (xid, id);

DO $$
DECLARE
    -- Four million transactions ahead: the open-ended tail stays empty for long, and an empty one is split for free.
    bound xid8 := (((pg_snapshot_xmax(pg_current_snapshot())::text::numeric + 4000000)::text)::xid8);
BEGIN
    EXECUTE format('CREATE TABLE txstream.outbox_p0 PARTITION OF txstream.outbox FOR VALUES FROM (MINVALUE) TO (%L)', bound);
    EXECUTE format('CREATE TABLE txstream.outbox_tail PARTITION OF txstream.outbox FOR VALUES FROM (%L) TO (MAXVALUE)', bound);
END $$;

-- Whose outbox this is. A cursor means nothing in another cluster or in a copy of the database: where the two numbers do
-- not fit, or a cursor knows transactions that have not been, nothing is published. The refusal stays until an operator has
-- decided what was published and what was not (docs/schema.md, "After a restore").
CREATE TABLE txstream.instance (
    is_the_one        boolean     PRIMARY KEY DEFAULT true CHECK (is_the_one),
    system_identifier bigint      NOT NULL,
    database_oid      oid         NOT NULL,
    refused_at        timestamptz,
    refused_why       text
);
INSERT INTO txstream.instance (system_identifier, database_oid)
    SELECT c.system_identifier, d.oid FROM pg_control_system() c, pg_database d WHERE d.datname = current_database();

-- Ownership, positions and leases are apart, because they change at different rates. PostgreSQL keeps every version of a row
-- that the oldest snapshot may still see: what is updated all the time grows, and gets slow, while any session holds one.
--
-- A lease: one narrow row for each worker of a relay that lives, with lanes or without, and the only row that is updated
-- while nothing changes hands. Whoever takes over the lanes of an owner deletes its lease first: this waits for the
-- acknowledgements that are under way (they hold the row FOR SHARE) and refuses all later ones. A number is never given twice.
CREATE TABLE txstream.leases (
    owner        text        PRIMARY KEY,
    number       bigint      NOT NULL UNIQUE GENERATED ALWAYS AS IDENTITY,
    ends_at      timestamptz NOT NULL,
    -- What the lanes are shared out by: how many it would have, at most, and whether only while nobody else is there.
    lanes_wanted smallint    NOT NULL DEFAULT 0,
    stands_by    boolean     NOT NULL DEFAULT false,
    -- An operator wants it to have none as long as others can have them.
    drains       boolean     NOT NULL DEFAULT false
) WITH (fillfactor = 50);

-- Who has each lane: the owner whose lease has this number; no one where there is no such lease. A row is written only when
-- the lane changes hands, and then holds the position (cursor; target and the last event, by id and xid, while a window is
-- being paged) and the totals that it had. What its owner acknowledged since is in txstream.positions.
CREATE TABLE txstream.lanes (
    lane        smallint    PRIMARY KEY,
    lease       bigint      NOT NULL DEFAULT 0,
    epoch       bigint      NOT NULL DEFAULT 0,
    cursor      pg_snapshot NOT NULL DEFAULT pg_current_snapshot(),
    target      pg_snapshot,
    last_id     bigint      NOT NULL DEFAULT 0,
    last_xid    xid8        NOT NULL DEFAULT '0',
    published   bigint      NOT NULL DEFAULT 0,
    parked      bigint      NOT NULL DEFAULT 0,
    advanced_at timestamptz,
    -- The newest row of txstream.positions at that time: only newer ones of this lease count.
    position    bigint      NOT NULL DEFAULT 0,
    -- When this owner got it.
    taken_at    timestamptz
) WITH (fillfactor = 50);

INSERT INTO txstream.lanes (lane) SELECT generate_series(0, {{lanes}} - 1);

-- The log of what was acknowledged, and so of where each event is in Kafka. Rows are appended and never updated: under a
-- held snapshot the log costs space, and its readers walk it backwards by its key. A lane is where the newest row says that
-- names it, has its lease's number and is newer than lanes.position; else where txstream.lanes says. Its owner names
-- every lane at least every ten seconds while it appends, so the walk is short.
--
-- An event was acknowledged with the row that names its lane among the active ones and in whose window it is: visible in
-- coalesce(target, cursor), not in since, with an id from first_event to last_event.
--
-- Rows older than an hour are merged, to one for each minute, whoever wrote them; a merged row says where no lane
-- is.
CREATE TABLE txstream.positions (
    id          bigint      NOT NULL GENERATED ALWAYS AS IDENTITY (CACHE 1),
    lease       bigint,     -- NULL: the row is merged
    written_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Where these lanes are. The first ones, so many as are active, have events in this row; the others are only named.
    lanes       smallint[]  NOT NULL,
    active      smallint    NOT NULL,
    cursor      pg_snapshot NOT NULL,
    target      pg_snapshot,
    last_id     bigint      NOT NULL DEFAULT 0,
    last_xid    xid8        NOT NULL DEFAULT '0',
    -- Totals of each of the lanes since the outbox was made; NULL: none is parked, or the row is merged.
    published   bigint[],
    parked      bigint[],
    -- What was published: how many events, from which snapshot on, with ids from which to which.
    events      integer     NOT NULL DEFAULT 0,
    since       pg_snapshot NOT NULL,
    first_event bigint      NOT NULL DEFAULT 0,
    last_event  bigint      NOT NULL DEFAULT 0,
    -- [{"topic": ..., "partition": ..., "first": ..., "last": ...}]: offsets in Kafka. Records of other producers may lie between.
    records     json        NOT NULL DEFAULT '[]',
    -- Where the lanes did not come from the same snapshot to the same position: which did, [{"lanes", "since", "cursor",
    -- "target", "last_id", "last_xid", "first_event", "last_event"}]. An event is looked for in its lane's part.
    parts       json,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX positions_last_event ON txstream.positions (last_event) WHERE events > 0;
-- As for the outbox: open at both ends, so that no acknowledgement fails for want of a partition.
CREATE TABLE txstream.positions_p0 PARTITION OF txstream.positions FOR VALUES FROM (MINVALUE) TO (100000000);
CREATE TABLE txstream.positions_tail PARTITION OF txstream.positions FOR VALUES FROM (100000000) TO (MAXVALUE);

-- Events that were moved aside, with all they hold: retention may drop their partition.
CREATE TABLE txstream.dead_letters (
    id               bigint      NOT NULL,
    xid              xid8        NOT NULL,
    event_id         uuid        NOT NULL,
    lane             smallint    NOT NULL,
    aggregate_type   text        NOT NULL,
    aggregate_id     text        NOT NULL,
    event_type       text        NOT NULL,
    topic            text,
    key              text        NOT NULL,
    payload          json,
    payload_bytes    bytea,
    content_type     text        NOT NULL,
    metadata         json,
    headers          json,
    created_at       timestamptz NOT NULL,
    state            text        NOT NULL DEFAULT 'parked' CHECK (state IN ('parked', 'replaying', 'replayed', 'discarded')),
    attempts         integer     NOT NULL,
    error_class      text        NOT NULL,
    error            text        NOT NULL,
    -- Its fault is its topic's, which takes nothing: it is sent by itself when the topic takes records again.
    waits            boolean     NOT NULL DEFAULT false,
    -- Later events of its key wait behind it. False where the relay that parked it was told to skip its topic or type.
    holds            boolean     NOT NULL DEFAULT true,
    -- It is to be sent to the topic for dead letters, and Kafka has not confirmed that.
    to_copy          boolean     NOT NULL DEFAULT false,
    first_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_attempt_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- An operator has decided about it, and the owner of its lane has not carried that out: what is replaying is to be sent,
    -- what is discarded holds its key no longer. Who decided, when and why.
    decided          boolean     NOT NULL DEFAULT false,
    resolved_by      text,
    resolved_at      timestamptz,
    resolved_reason  text,
    -- The job that decided about it last, so that the job's progress is counted; NULL: none has.
    job              bigint,
    -- With event_id: after a restore into another cluster transaction ids are given again, too.
    PRIMARY KEY (id, xid, event_id)
);
-- What a lane's owner has to carry out.
CREATE INDEX dead_letters_decided ON txstream.dead_letters (lane, id, xid) WHERE decided;
-- The keys a lane must hold back, read at each claim, and what holds each, in its order; what holds nothing lies apart. The key's
-- hash stands for it: an index entry has a limit, and the last resort must not be able to fail.
CREATE INDEX dead_letters_of_key ON txstream.dead_letters (lane, hashtextextended(key, 0), holds, id, xid)
    WHERE state IN ('parked', 'replaying');
-- What is sent when its topic takes records again, by topic; of each lane the first.
CREATE INDEX dead_letters_for_topic ON txstream.dead_letters (coalesce(topic, ''), lane, id, xid)
    WHERE waits AND state = 'parked';
-- What is to be copied; nothing, where there is no topic for dead letters.
CREATE INDEX dead_letters_to_copy ON txstream.dead_letters (lane, id, xid) WHERE to_copy;
-- Causes first: one probe for each, however many events it has, and the newest of a cause without a sort. Its texts have
-- limits (topic and event_type where they are written, error_class in the relay), so no entry is too large. The topic itself
-- lets the events of a cause be counted in the index alone.
CREATE INDEX dead_letters_by_cause ON txstream.dead_letters (error_class, event_type, coalesce(topic, ''), state, id, xid)
    INCLUDE (topic);

-- What of a job is not carried out, and what of it was refused again: its progress.
CREATE INDEX dead_letters_of_job ON txstream.dead_letters (job, decided)
    WHERE job IS NOT NULL AND (decided OR state IN ('parked', 'replaying'));

-- Decisions about dead letters: each replay or discard is a job. Few letters are decided in the transaction that makes it; more of
-- them, or those with a rate, step by step by the relays: whichever is there locks the row, decides, and writes down how far the job
-- is, in one statement. So a job outlives every process. Few rows; letters name theirs without a foreign key, which would cost each of
-- them a look-up.
CREATE TABLE txstream.jobs (
    id            bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY (CACHE 1),
    kind          text        NOT NULL CHECK (kind IN ('replay', 'discard')),
    -- Which letters, as txstream.audit.target says it.
    selection     json        NOT NULL CHECK (json_typeof(selection) = 'object' AND octet_length(selection::text) <= 65536),
    -- Letters a second at most.
    rate          integer     CHECK (rate BETWEEN 1 AND 100000),
    -- Letters that it is about, and how many of them are decided.
    total         bigint      NOT NULL CHECK (total BETWEEN 1 AND 1000000),
    decided       bigint      NOT NULL DEFAULT 0 CHECK (decided BETWEEN 0 AND total),
    -- The last letter that a step has looked at; the next one begins behind it.
    after_id      bigint      NOT NULL DEFAULT 0,
    after_xid     xid8        NOT NULL DEFAULT '0',
    -- As in txstream.audit.
    login         text        NOT NULL DEFAULT session_user,
    actor         text        NOT NULL CHECK (actor <> '' AND octet_length(actor) <= 512),
    origin        text        NOT NULL CHECK (origin IN ('cli', 'console')),
    reason        text        NOT NULL CHECK (octet_length(reason) <= 2000),
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The first step, and the last one until now with the relay that took it.
    started_at    timestamptz,
    stepped_at    timestamptz,
    runner        text        CHECK (octet_length(runner) <= 512),
    -- Since then no more letters are decided: all are, or it was cancelled, or it failed.
    decided_at    timestamptz,
    cancelled_at  timestamptz,
    cancelled_by  text        CHECK (cancelled_by <> '' AND octet_length(cancelled_by) <= 512),
    cancel_reason text        CHECK (octet_length(cancel_reason) <= 2000),
    error         text        CHECK (error <> '' AND octet_length(error) <= 2000),
    -- What was decided is carried out. Before, the letters themselves are counted.
    ended_at      timestamptz,
    carried_out   bigint,
    parked_again  bigint,
    CONSTRAINT cancelled_by_somebody CHECK (num_nulls(cancelled_at, cancelled_by, cancel_reason) IN (0, 3)),
    CONSTRAINT ended_with_figures CHECK (
        num_nulls(ended_at, carried_out, parked_again) IN (0, 3) AND (ended_at IS NULL OR decided_at IS NOT NULL))
);
CREATE INDEX jobs_open ON txstream.jobs (id) WHERE ended_at IS NULL;

-- What is not to be sent until an operator says so: everything, a topic, or a key. Relays look each second.
CREATE TABLE txstream.pauses (
    id        bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY (CACHE 1),
    scope     text        NOT NULL CHECK (scope IN ('everything', 'topic', 'key')),
    name      text        NOT NULL CHECK (octet_length(name) <= 4096 AND (name = '') = (scope = 'everything')),
    reason    text        NOT NULL CHECK (reason <> '' AND octet_length(reason) <= 2000),
    paused_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    paused_by text        NOT NULL CHECK (paused_by <> '' AND octet_length(paused_by) <= 512)
);
-- Once. A key may be too long for an index entry; its hash is not.
CREATE UNIQUE INDEX pauses_once ON txstream.pauses (scope, md5(name));

-- What operators did: one row for each transaction that changed something, written in that transaction. Append-only: no role may
-- change or delete a row. Nobody may write `at` and `login`, so a program cannot sign with another login's name.
CREATE TABLE txstream.audit (
    id       bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY (CACHE 1),
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Who the database let in, and who the program says that it worked for.
    login    text        NOT NULL DEFAULT session_user,
    actor    text        NOT NULL CHECK (actor <> '' AND octet_length(actor) <= 512),
    origin   text        NOT NULL CHECK (origin IN ('cli', 'console')),
    action   text        NOT NULL CHECK (action <> '' AND octet_length(action) <= 100),
    -- What was asked for: {"all": true}, or what was to fit: {"id": "7.901"}, {"key": ..., "error_class": ..., ...}.
    target   json        NOT NULL CHECK (json_typeof(target) = 'object' AND octet_length(target::text) <= 65536),
    reason   text        NOT NULL CHECK (octet_length(reason) <= 2000),
    -- How many rows this transaction changed; an action in several steps has a row for each.
    affected bigint      NOT NULL,
    result   text        NOT NULL CHECK (octet_length(result) <= 2000),
    -- The job that it made, cancelled, or took a step of.
    job      bigint
);

-- What each relay process reports about itself, so that a console on any host can say what every relay does and why an event
-- waits. Delivery never reads it. Few, hot rows: fillfactor leaves room for in-page updates.
CREATE TABLE txstream.members (
    -- The first part of leases.owner, which is "<name>/<worker>".
    name                 text        PRIMARY KEY CHECK (octet_length(name) <= 512),
    host                 text        NOT NULL,
    pid                  bigint      NOT NULL,
    version              text        NOT NULL,
    revision             text        NOT NULL,
    started_at           timestamptz NOT NULL,
    -- The server's clock: a row that is not renewed belongs to a dead process. The other times are the relay's.
    seen_at              timestamptz NOT NULL,
    lanes                smallint[]  NOT NULL,
    workers              integer     NOT NULL,
    workers_alive        integer     NOT NULL,
    breaker              text        NOT NULL CHECK (breaker IN ('closed', 'half_open', 'open')),
    breaker_failures     integer     NOT NULL,
    breaker_failures_max integer     NOT NULL,
    breaker_since        timestamptz NOT NULL,
    breaker_probe_at     timestamptz,
    -- [{"code": ..., "since": ..., "detail": ..., "lanes": [{"lane": ..., "topic": ...}]}]; the codes are those of /health.
    blockages            json        NOT NULL,
    -- Topics that are not on the fast path: [{"name": ..., "state": "careful" or "closed", "error": ..., "since": ...,
    -- "until": ..., "events": ..., "keys": ..., "next_try": ...}]: how many events wait, of how many keys, and when a closed topic
    -- is tried again.
    topics               json        NOT NULL,
    -- How often a worker has lost its lease with lanes in hand since the process started; when and how the last time.
    leases_lost          bigint      NOT NULL,
    lease_lost_at        timestamptz,
    lease_lost_how       text,
    -- The settings that all relays of one outbox should have in common, and their digest. No secret is among them.
    settings             json        NOT NULL,
    config_digest        text        NOT NULL,
    -- Since the process started.
    published            bigint      NOT NULL,
    failed               bigint      NOT NULL,
    parked               bigint      NOT NULL,
    -- Thousandths of an event per second, of the last seconds.
    published_rate       bigint      NOT NULL,
    in_flight            bigint      NOT NULL,
    -- Of every lane, from the relay that measures the outbox as a whole; NULL: another one does.
    pending_by_lane      bigint[]
) WITH (fillfactor = 30);

-- The last 24 hours in slots of ten seconds: slot is the number of the ten seconds since 1970 modulo 8640, so the table never
-- grows beyond that and no row is ever deleted. The relay that owns the first lane writes it.
CREATE TABLE txstream.history (
    slot              smallint    PRIMARY KEY CHECK (slot BETWEEN 0 AND 8639),
    at                timestamptz NOT NULL,
    pending           bigint      NOT NULL,
    is_estimate       boolean     NOT NULL,
    oldest_pending_ms bigint,
    -- Totals since the outbox was made.
    appended          bigint      NOT NULL,
    settled           bigint      NOT NULL,
    -- Dead letters that wait for a decision.
    parked            bigint      NOT NULL,
    -- The worst of all relays: 0 closed, 1 half-open, 2 open.
    breaker           smallint    NOT NULL,
    blockages         text[]      NOT NULL,
    -- From commit to acknowledgement, of what this relay published in the last seconds; NULL: nothing.
    p50_us            bigint,
    p95_us            bigint,
    p99_us            bigint,
    lanes_owned       smallint    NOT NULL,
    relays            smallint    NOT NULL
) WITH (fillfactor = 50);

-- The lane of a key, for people. Like all functions here it says with its schema what it means: the caller's search_path
-- does not count.
CREATE FUNCTION txstream.lane_of(key text) RETURNS smallint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (get_byte(sha256(replace(key, '\', '\\')::bytea), 0) & ({{lanes}} - 1))::smallint;

-- Appends an event in the caller's transaction; returns its event_id. What publish and publish_bytes come to.
CREATE FUNCTION txstream.append(
    aggregate_type text, aggregate_id text, event_type text, payload json, payload_bytes bytea, content_type text,
    headers json, metadata json, topic text, key text
) RETURNS uuid LANGUAGE sql VOLATILE
BEGIN ATOMIC
    INSERT INTO txstream.outbox
        (aggregate_type, aggregate_id, event_type, payload, payload_bytes, content_type, headers, metadata, topic, key)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING event_id;
END;

-- The client library for every language. One call for the types that drivers and expressions bring: an id of any type
-- (anyelement, and text for literals, whose type is unknown); a payload of json, jsonb or text, which is parsed; headers
-- and metadata of any of these (both of one, which anycompatible asks for, or literals).
DO $do$
DECLARE
    id_type text;
    payload_type text;
BEGIN
    FOREACH id_type IN ARRAY ARRAY['text', 'anyelement'] LOOP
        FOREACH payload_type IN ARRAY ARRAY['text', 'json', 'jsonb'] LOOP
            EXECUTE format(
                'CREATE FUNCTION txstream.publish('
                '    aggregate_type text, aggregate_id %s, event_type text, payload %s, headers anycompatible DEFAULT NULL,'
                '    metadata anycompatible DEFAULT NULL, topic text DEFAULT NULL, key text DEFAULT NULL'
                ') RETURNS uuid LANGUAGE sql VOLATILE AS $$'
                '    SELECT txstream.append($1, $2::pg_catalog.text, $3, $4::pg_catalog.json, NULL, ''application/json'','
                '        $5::pg_catalog.text::pg_catalog.json, $6::pg_catalog.text::pg_catalog.json, $7, $8)'
                '$$', id_type, payload_type);
        END LOOP;
        -- A payload that is not JSON (Avro, Protobuf); content_type says what it is.
        EXECUTE format(
            'CREATE FUNCTION txstream.publish_bytes('
            '    aggregate_type text, aggregate_id %s, event_type text, payload bytea, content_type text,'
            '    headers anycompatible DEFAULT NULL, metadata anycompatible DEFAULT NULL, topic text DEFAULT NULL,'
            '    key text DEFAULT NULL'
            ') RETURNS uuid LANGUAGE sql VOLATILE AS $$'
            '    SELECT txstream.append($1, $2::pg_catalog.text, $3, NULL, $4, $5,'
            '        $6::pg_catalog.text::pg_catalog.json, $7::pg_catalog.text::pg_catalog.json, $8, $9)'
            '$$', id_type);
    END LOOP;
END $do$;

-- Who owns each lane and how far it is published: the one place to look. Materialized, so that a statement that joins many
-- events with their lanes looks each lane up once. The coalesce around the lease's number keeps the planner from expecting
-- that few rows have it: nearly all have, and the walk ends at the first. The order, and the key on
-- leases.number, are for sessions without enable_seqscan: there the price of a scan hides the price of all that is joined.
CREATE VIEW txstream.lane_positions AS
WITH found AS MATERIALIZED (
    SELECT l.lane, e.owner, l.epoch,
        CASE WHEN p.id IS NULL THEN l.cursor ELSE p.cursor END AS cursor,
        CASE WHEN p.id IS NULL THEN l.target ELSE p.target END AS target,
        CASE WHEN p.id IS NULL THEN l.last_id ELSE p.last_id END AS last_id,
        CASE WHEN p.id IS NULL THEN l.last_xid ELSE p.last_xid END AS last_xid,
        CASE WHEN p.id IS NULL THEN l.published ELSE p.published[array_position(p.lanes, l.lane)] END AS published,
        CASE WHEN p.id IS NULL THEN l.parked ELSE coalesce(p.parked[array_position(p.lanes, l.lane)], 0) END AS parked,
        CASE WHEN p.id IS NULL THEN l.advanced_at ELSE p.written_at END AS advanced_at,
        e.ends_at AS lease_ends_at,
        coalesce(p.id, l.position) AS position,
        CASE WHEN e.number IS NOT NULL THEN l.taken_at END AS taken_at
    FROM txstream.lanes l
    LEFT JOIN txstream.leases e ON e.number = l.lease
    LEFT JOIN LATERAL (
        SELECT * FROM txstream.positions p
        WHERE p.id > l.position AND coalesce(p.lease = l.lease, false) AND l.lane = ANY (p.lanes)
        ORDER BY p.id DESC LIMIT 1
    ) p ON true
    ORDER BY l.lane
)
SELECT * FROM found;

-- Whether an event was acknowledged with a row of the log, of which the caller knows that it has events, and that the
-- event's id is between its first and its last one.
CREATE FUNCTION txstream.acknowledged_with(entry txstream.positions, lane smallint, id bigint, xid xid8) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN lane = ANY ((entry).lanes[:(entry).active]) AND CASE WHEN (entry).parts IS NULL
    THEN pg_visible_in_snapshot(xid, coalesce((entry).target, (entry).cursor)) AND NOT pg_visible_in_snapshot(xid, (entry).since)
    ELSE EXISTS (
        SELECT FROM json_to_recordset((entry).parts) AS part(lanes smallint[], since pg_snapshot, cursor pg_snapshot,
            target pg_snapshot, last_id bigint, last_xid xid8, first_event bigint, last_event bigint)
        WHERE acknowledged_with.lane = ANY (part.lanes)
            AND acknowledged_with.id BETWEEN part.first_event AND part.last_event
            AND NOT pg_visible_in_snapshot(xid, part.since)
            AND (pg_visible_in_snapshot(xid, part.cursor) OR (pg_visible_in_snapshot(xid, part.target)
                AND (acknowledged_with.id, xid) <= (part.last_id, part.last_xid)))
    ) END;

-- For people: every event with what became of it.
CREATE VIEW txstream.events AS
SELECT
    o.id, o.xid, o.event_id, o.aggregate_type, o.aggregate_id, o.event_type, o.lane, o.size,
    coalesce(d.state,
             CASE WHEN pg_visible_in_snapshot(o.xid, l.cursor)
                    OR (l.target IS NOT NULL AND pg_visible_in_snapshot(o.xid, l.target)
                        AND (o.id, o.xid) <= (l.last_id, l.last_xid))
                  THEN 'published' ELSE 'pending' END) AS status,
    coalesce(o.payload::text, encode(o.payload_bytes, 'base64')) AS payload,
    o.payload AS payload_json,
    o.metadata, o.headers, o.created_at,
    CASE WHEN d.id IS NULL THEN (
        SELECT p.written_at FROM txstream.positions p
        WHERE p.events > 0 AND p.last_event >= o.id AND p.first_event <= o.id
          AND txstream.acknowledged_with(p, o.lane, o.id, o.xid)
        ORDER BY p.last_event LIMIT 1
    ) END AS published_at,
    coalesce(d.attempts, 0) AS attempts,
    d.error AS last_error
FROM txstream.outbox o
JOIN txstream.lane_positions l USING (lane)
LEFT JOIN txstream.dead_letters d ON d.id = o.id AND d.xid = o.xid AND d.event_id = o.event_id;

-- The earlier system's table, as a view: its queries and habits keep working ('parked' was called 'failed').
CREATE VIEW txstream.outbox_compat AS
SELECT
    event_id AS id, aggregate_id, aggregate_type, event_type, payload_json AS event_data, metadata AS event_metadata,
    CASE status WHEN 'parked' THEN 'failed' WHEN 'replaying' THEN 'pending' WHEN 'replayed' THEN 'published' ELSE status END
        AS status,
    created_at, published_at, attempts AS retry_count, last_error AS error_message
FROM txstream.events;

-- Rights. Group roles without login, made once for each cluster; grant them to the roles that log in.
DO $$
DECLARE role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['txstream_writer', 'txstream_relay', 'txstream_reader', 'txstream_operator'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN NULL;  -- another database's migration was faster
            END;
        END IF;
    END LOOP;
END $$;

-- Whatever ALTER DEFAULT PRIVILEGES gives to all or keeps from them: each right is granted here, by name.
REVOKE ALL ON SCHEMA txstream FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA txstream FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA txstream FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA txstream FROM PUBLIC;
GRANT EXECUTE ON FUNCTION txstream.lane_of TO txstream_writer, txstream_relay, txstream_reader, txstream_operator;
GRANT EXECUTE ON FUNCTION txstream.acknowledged_with TO txstream_relay, txstream_reader, txstream_operator;
DO $$
DECLARE function regprocedure;
BEGIN
    FOR function IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'txstream'::regnamespace AND proname IN ('append', 'publish', 'publish_bytes')
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO txstream_writer', function);
    END LOOP;
END $$;

GRANT USAGE ON SCHEMA txstream TO txstream_writer, txstream_relay, txstream_reader, txstream_operator;
-- No xid, no id, no event_id of others to read: a writer appends and does nothing else.
GRANT INSERT (event_id, aggregate_type, aggregate_id, event_type, topic, key, payload, payload_bytes, content_type,
              metadata, headers, created_at), SELECT (event_id) ON txstream.outbox TO txstream_writer;
GRANT SELECT ON txstream.outbox, txstream.leases, txstream.lanes, txstream.positions, txstream.dead_letters, txstream.pauses,
    txstream.lane_positions, txstream.events, txstream.outbox_compat, txstream.instance, txstream.members, txstream.history, txstream.audit,
    txstream.jobs, txstream.schema_migrations
    TO txstream_relay, txstream_reader, txstream_operator;
GRANT INSERT, UPDATE, DELETE ON txstream.leases TO txstream_relay;
GRANT UPDATE ON txstream.lanes TO txstream_relay;
GRANT UPDATE (refused_at, refused_why) ON txstream.instance TO txstream_relay;
GRANT INSERT, UPDATE ON txstream.dead_letters TO txstream_relay;
-- An operator decides what becomes of a dead letter, and says so; what is in it stays as it was written.
GRANT UPDATE (drains) ON txstream.leases TO txstream_operator;
GRANT UPDATE (state, decided, resolved_by, resolved_at, resolved_reason, job) ON txstream.dead_letters TO txstream_operator;
GRANT INSERT (kind, selection, rate, total, decided, actor, origin, reason, started_at, decided_at),
    UPDATE (cancelled_at, cancelled_by, cancel_reason) ON txstream.jobs TO txstream_operator;
GRANT INSERT (scope, name, reason, paused_by), DELETE ON txstream.pauses TO txstream_operator;
GRANT INSERT (actor, origin, action, target, reason, affected, result, job) ON txstream.audit TO txstream_operator;
-- A relay takes the steps of jobs: it says in whose name it decided. It makes none, and cancels none.
GRANT INSERT (actor, origin, action, target, reason, affected, result, job) ON txstream.audit TO txstream_relay;
GRANT UPDATE (decided, after_id, after_xid, started_at, stepped_at, runner, decided_at, error, ended_at, carried_out, parked_again)
    ON txstream.jobs TO txstream_relay;
-- Merging replaces old rows by one.
GRANT INSERT, UPDATE, DELETE ON txstream.positions TO txstream_relay;
GRANT INSERT, UPDATE, DELETE ON txstream.members TO txstream_relay;
GRANT INSERT, UPDATE ON txstream.history TO txstream_relay;
