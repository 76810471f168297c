-- Retention: old partitions of the outbox are dropped and new ones made ahead (docs/adr/0006-partitioning.md). The relay calls
-- the functions below and has no other right to change a table. They run as their owner, who owns the tables and need not be
-- a superuser; the search path is pinned, and every name says its schema.

-- Where transaction ids were at which time: at `at`, every transaction below `xid` had ended. So a partition whose upper bound
-- is not above `xid` holds nothing younger than `at`. The server's clock counts: a writer may set created_at. Some hundred rows.
CREATE TABLE txstream.outbox_times (
    xid xid8        PRIMARY KEY,
    at  timestamptz NOT NULL
);

-- A partition is not dropped while a letter of it waits.
CREATE INDEX dead_letters_waiting ON txstream.dead_letters (xid) WHERE state IN ('parked', 'replaying');
-- What may be forgotten, the oldest first.
CREATE INDEX dead_letters_done ON txstream.dead_letters (greatest(resolved_at, last_attempt_at))
    WHERE state IN ('replayed', 'discarded') AND NOT decided;

-- The partitions of the outbox. A bound is NULL where the partition is open.
CREATE VIEW txstream.outbox_partitions AS
SELECT name, CASE lower WHEN 'MINVALUE' THEN NULL ELSE lower END::numeric AS lower_bound,
    CASE upper WHEN 'MAXVALUE' THEN NULL ELSE upper END::numeric AS upper_bound,
    -- Without a page of its own a table has no row; the other way round a row may still be invisible, or dead.
    pg_relation_size(oid) = 0 AS is_empty, pg_total_relation_size(oid) AS bytes
FROM (
    SELECT c.oid, c.relname::text AS name, bound[1] AS lower, bound[2] AS upper
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    CROSS JOIN LATERAL regexp_match(pg_get_expr(c.relpartbound, c.oid),
        'FROM \(''?(\d+|MINVALUE)''?\) TO \(''?(\d+|MAXVALUE)''?\)') AS bound
    WHERE i.inhparent = 'txstream.outbox'::regclass AND bound IS NOT NULL
) p;

-- Up to which bound partitions may be dropped, by the two rules that need no look at a row.
CREATE FUNCTION txstream.outbox_droppable(retention interval, OUT published numeric, OUT aged numeric)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT (SELECT min(pg_snapshot_xmin(p.cursor)::text::numeric) FROM txstream.lane_positions p),
        (SELECT max(t.xid::text::numeric) FROM txstream.outbox_times t WHERE t.at <= clock_timestamp() - retention);
END;

-- Remembers the time, a hundred times in a retention and at least once an hour; forgets what no partition needs any more.
CREATE FUNCTION txstream.note_outbox_time(retention interval) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ended xid8 := pg_snapshot_xmin(pg_current_snapshot());
BEGIN
    -- Written in another cluster, before a restore.
    DELETE FROM txstream.outbox_times t WHERE t.xid > ended;
    IF EXISTS (SELECT FROM txstream.outbox_times t
               WHERE t.at > clock_timestamp() - least(retention / 100, interval '1 hour')) THEN
        RETURN;
    END IF;
    -- The earlier time of the same transaction is as true.
    INSERT INTO txstream.outbox_times VALUES (ended, clock_timestamp()) ON CONFLICT DO NOTHING;
    -- Kept: the newest that is old enough, and the first beyond each bound, which says how old that partition is.
    DELETE FROM txstream.outbox_times t
    WHERE EXISTS (SELECT FROM txstream.outbox_times n WHERE n.xid > t.xid AND n.at <= clock_timestamp() - retention)
        AND NOT EXISTS (
            SELECT FROM txstream.outbox_partitions p
            WHERE NOT p.is_empty AND p.upper_bound <= t.xid::text::numeric AND NOT EXISTS (
                SELECT FROM txstream.outbox_times b WHERE b.xid < t.xid AND b.xid::text::numeric >= p.upper_bound));
END $$;

-- How many transaction ids a partition shall span: a tenth of the retention at the rate of late. NULL: not known yet.
-- From 20 partitions on (letters that wait keep theirs) it doubles with each, so that there are never 30.
CREATE FUNCTION txstream.outbox_span(retention interval, ids_min numeric, OUT span numeric)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    slice numeric := extract(epoch FROM retention) / 10;
    here numeric := pg_snapshot_xmax(pg_current_snapshot())::text::numeric;
    since record;
BEGIN
    -- Of the last slice; of less where no more is known, but not of a moment.
    SELECT t.xid::text::numeric AS xid, extract(epoch FROM clock_timestamp() - t.at) AS age INTO since
    FROM txstream.outbox_times t WHERE t.at <= clock_timestamp() - slice * interval '1 s' ORDER BY t.xid DESC LIMIT 1;
    IF NOT FOUND THEN
        SELECT t.xid::text::numeric AS xid, extract(epoch FROM clock_timestamp() - t.at) AS age INTO since
        FROM txstream.outbox_times t WHERE t.at <= clock_timestamp() - slice / 20 * interval '1 s' ORDER BY t.xid LIMIT 1;
    END IF;
    IF since.age > 0 THEN
        span := trunc(greatest((here - since.xid) / since.age * slice, ids_min)
            * 2 ^ greatest((SELECT count(*) FROM txstream.outbox_partitions) - 20, 0));
    END IF;
END $$;

-- A table like the outbox, to become a partition of it: made before the lock, since making files takes longest.
CREATE FUNCTION txstream.make_outbox_table(name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TABLE txstream.%I (LIKE txstream.outbox INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED'
        ' INCLUDING INDEXES INCLUDING STORAGE INCLUDING COMPRESSION)', name);
    -- Whatever ALTER DEFAULT PRIVILEGES gives: it is read and written as a part of the outbox.
    EXECUTE format('REVOKE ALL ON txstream.%I FROM PUBLIC, txstream_writer, txstream_relay, txstream_reader,'
        ' txstream_operator', name);
END $$;

CREATE FUNCTION txstream.attach_to_outbox(name text, lower_bound numeric, upper_bound numeric) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('ALTER TABLE txstream.outbox ATTACH PARTITION txstream.%I FOR VALUES FROM (%s) TO (%s)', name,
        coalesce(quote_literal(lower_bound), 'MINVALUE'), coalesce(quote_literal(upper_bound), 'MAXVALUE'));
END $$;

-- Writers queue behind a lock that is waited for, so it is waited for briefly. Only the parent: whoever reads or writes the
-- outbox locks it first, and an autovacuum of some partition is not in the way. Once it is held, the partitions themselves are
-- free, or it is released soon.
CREATE FUNCTION txstream.lock_outbox() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    LOCK TABLE ONLY txstream.outbox IN ACCESS EXCLUSIVE MODE;
    PERFORM set_config('lock_timeout', '20ms', true);
END $$;

-- All that lies ahead of `lower_bound`: the next partition, one of 64 times its span for the time in which nobody makes new ones,
-- and the tail. The names of the tables, which are made where there are none.
CREATE FUNCTION txstream.prepare_outbox_ahead(lower_bound numeric, next_bound numeric) RETURNS text[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    names text[] := ARRAY['outbox_x' || lower_bound, 'outbox_x' || next_bound, 'outbox_tail'];
    name text;
BEGIN
    FOREACH name IN ARRAY names LOOP
        IF to_regclass(format('txstream.%I', name)) IS NULL THEN
            PERFORM txstream.make_outbox_table(name);
        END IF;
    END LOOP;
    RETURN names;
END $$;

-- Gives these tables their bounds. What lies ahead now is empty: the caller has locked the outbox and looked.
CREATE FUNCTION txstream.arrange_outbox_ahead(names text[], lower_bound numeric, next_bound numeric, span numeric) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old text;
BEGIN
    FOREACH old IN ARRAY ARRAY(SELECT p.name FROM txstream.outbox_partitions p WHERE p.lower_bound >= $2) LOOP
        EXECUTE format('ALTER TABLE txstream.outbox DETACH PARTITION txstream.%I', old);
        IF old <> ALL (names) THEN
            EXECUTE format('DROP TABLE txstream.%I', old);
        END IF;
    END LOOP;
    PERFORM txstream.attach_to_outbox(names[1], lower_bound, next_bound);
    PERFORM txstream.attach_to_outbox(names[2], next_bound, next_bound + 64 * span);
    PERFORM txstream.attach_to_outbox(names[3], next_bound + 64 * span, NULL);
END $$;

-- Makes new partitions from `from_bound` on; false where what is there is not empty.
CREATE FUNCTION txstream.grow_outbox(from_bound numeric, here numeric, span numeric) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    next_bound numeric := greatest(from_bound, here) + span;
    names text[];
BEGIN
    IF EXISTS (SELECT FROM txstream.outbox_partitions p WHERE p.lower_bound >= from_bound AND NOT p.is_empty) THEN
        RETURN false;
    END IF;
    names := txstream.prepare_outbox_ahead(from_bound, next_bound);
    PERFORM txstream.lock_outbox();
    -- Transaction ids went on.
    IF EXISTS (SELECT FROM txstream.outbox_partitions p WHERE p.lower_bound >= from_bound AND NOT p.is_empty) THEN
        RAISE EXCEPTION 'a partition ahead was written to meanwhile' USING ERRCODE = 'lock_not_available';
    END IF;
    PERFORM txstream.arrange_outbox_ahead(names, from_bound, next_bound, span);
    RETURN true;
END $$;

-- Ends the partition in which transaction ids are, where its bound is too far ahead: a tail that holds rows, an outbox that was
-- restored into a cluster with lower ids. PostgreSQL gives a table a bound without a scan under lock only where a constraint
-- proves it, so this takes three calls: a constraint that is not valid yet (a short lock), its validation (which lets writers
-- write), and the exchange (a short lock). A writer beyond the constraint would fail. So it lies ten spans ahead, and is taken
-- away again once half of that is used up.
CREATE FUNCTION txstream.end_outbox_partition(
    part txstream.outbox_partitions, here numeric, span numeric
) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_valid boolean;
    bound numeric;
    new_name text := CASE WHEN part.name = 'outbox_tail' THEN 'outbox_x' || part.lower_bound ELSE part.name END;
BEGIN
    SELECT k.convalidated, substring(pg_get_constraintdef(k.oid) FROM 'xid < ''(\d+)''')::numeric INTO is_valid, bound
    FROM pg_constraint k WHERE k.conname = 'outbox_ends' AND k.conrelid = format('txstream.%I', part.name)::regclass;
    IF bound IS NULL AND EXISTS (
        SELECT FROM txstream.outbox_partitions p WHERE p.lower_bound >= part.upper_bound AND NOT p.is_empty) THEN
        RETURN 'rows_ahead';
    END IF;
    IF NOT is_valid AND bound - here >= 5 * span THEN
        -- An autovacuum of the partition gives way after a second. Writers wait for neither.
        PERFORM set_config('lock_timeout', '5s', true);
        EXECUTE format('ALTER TABLE txstream.%I VALIDATE CONSTRAINT outbox_ends', part.name);
        RETURN 'validated';
    END IF;
    PERFORM txstream.lock_outbox();
    IF bound IS NULL THEN
        EXECUTE format(
            'ALTER TABLE txstream.%I ADD CONSTRAINT outbox_ends CHECK (xid IS NOT NULL AND xid < %L AND xid >= %L) NOT VALID',
            part.name, here + 10 * span, coalesce(part.lower_bound, 0));
        RETURN 'ending';
    END IF;
    IF bound - here < 5 * span OR EXISTS (
        SELECT FROM txstream.outbox_partitions p WHERE p.lower_bound >= bound AND NOT p.is_empty) THEN
        EXECUTE format('ALTER TABLE txstream.%I DROP CONSTRAINT outbox_ends', part.name);
        RETURN 'given_up';
    END IF;
    EXECUTE format('ALTER TABLE txstream.outbox DETACH PARTITION txstream.%I', part.name);
    IF new_name <> part.name THEN
        EXECUTE format('ALTER TABLE txstream.%I RENAME TO %I', part.name, new_name);
    END IF;
    PERFORM txstream.arrange_outbox_ahead(txstream.prepare_outbox_ahead(bound, bound + span), bound, bound + span, span);
    PERFORM txstream.attach_to_outbox(new_name, part.lower_bound, bound);
    EXECUTE format('ALTER TABLE txstream.%I DROP CONSTRAINT outbox_ends', new_name);
    RETURN 'ended';
END $$;

-- Drops up to eight neighbours that may go, and puts one empty partition in their place, so that no transaction id is without
-- one. A partition with a letter that waits stays where it is: a forgotten letter keeps its partition, and none that are younger.
CREATE FUNCTION txstream.drop_outbox_partitions(retention interval) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bound numeric;
    first_bound numeric;
    last_bound numeric;
    neighbours text[] := '{}';
    dropped text[] := '{}';
    new_name text;
    part record;
    old text;
BEGIN
    SELECT least(d.published, d.aged) INTO bound FROM txstream.outbox_droppable(retention) d
    WHERE d.published IS NOT NULL AND d.aged IS NOT NULL;
    FOR part IN
        SELECT p.*, NOT p.is_empty AND EXISTS (
            SELECT FROM txstream.dead_letters d WHERE d.state IN ('parked', 'replaying')
                AND d.xid >= coalesce(p.lower_bound, 0)::text::xid8 AND d.xid < p.upper_bound::text::xid8) AS has_letter
        FROM txstream.outbox_partitions p WHERE p.upper_bound <= bound ORDER BY p.lower_bound NULLS FIRST
    LOOP
        IF part.has_letter THEN
            EXIT WHEN cardinality(dropped) > 0 OR cardinality(neighbours) > 1;
            neighbours := '{}';
            CONTINUE;
        END IF;
        IF cardinality(neighbours) = 0 THEN
            first_bound := part.lower_bound;
            new_name := CASE WHEN first_bound IS NULL THEN 'outbox_p0' ELSE 'outbox_x' || first_bound END;
        END IF;
        neighbours := neighbours || part.name;
        last_bound := part.upper_bound;
        IF NOT part.is_empty THEN
            dropped := dropped || part.name;
        END IF;
        EXIT WHEN cardinality(neighbours) = 8;
    END LOOP;
    -- No row to get rid of, and no two to make one of.
    IF cardinality(dropped) = 0 AND cardinality(neighbours) < 2 THEN
        RETURN NULL;
    END IF;
    PERFORM txstream.make_outbox_table('outbox_new');
    PERFORM txstream.lock_outbox();
    FOREACH old IN ARRAY neighbours LOOP
        EXECUTE format('DROP TABLE txstream.%I', old);
    END LOOP;
    EXECUTE format('ALTER TABLE txstream.outbox_new RENAME TO %I', new_name);
    PERFORM txstream.attach_to_outbox(new_name, first_bound, last_bound);
    RETURN array_to_string(dropped, ', ');
END $$;

-- What is due now; the caller knows that nobody else is at it.
CREATE FUNCTION txstream.maintain_outbox_alone(
    retention interval, ids_min bigint, OUT action text, OUT detail text
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    here numeric := pg_snapshot_xmax(pg_current_snapshot())::text::numeric;
    span numeric := txstream.outbox_span(retention, ids_min);
    part txstream.outbox_partitions;
    ahead bigint;
    is_full boolean;
BEGIN
    SELECT * INTO part FROM txstream.outbox_partitions p
    WHERE coalesce(p.lower_bound <= here, true) AND coalesce(here < p.upper_bound, true);
    SELECT count(*) FILTER (WHERE p.lower_bound >= part.upper_bound), count(*) > 28 INTO ahead, is_full
    FROM txstream.outbox_partitions p;
    IF span IS NOT NULL AND NOT is_full AND coalesce(part.upper_bound - here > 40 * span, NOT part.is_empty) THEN
        action := txstream.end_outbox_partition(part, here, span);
        detail := part.name;
        IF action <> 'rows_ahead' THEN
            RETURN;
        END IF;
    END IF;
    -- The next one, one in reserve, and the tail.
    IF NOT is_full AND (CASE WHEN part.upper_bound IS NULL THEN part.is_empty ELSE ahead < 3 END)
        AND txstream.grow_outbox(coalesce(part.upper_bound, part.lower_bound), here, coalesce(span, 10 * ids_min)) THEN
        action := 'made';
        detail := part.name;
        RETURN;
    END IF;
    detail := txstream.drop_outbox_partitions(retention);
    action := CASE WHEN detail IS NULL THEN 'nothing' ELSE 'dropped' END;
END $$;

-- One step of what is due: `action` says which, `detail` which partition. Any number of callers; one works.
--   made        new partitions ahead
--   ending, validated, ended, given_up   the parts of ending a partition whose bound is too far ahead
--   dropped     partitions (none named: only empty ones became one)
--   nothing     nothing is due
--   busy        another caller is at it
--   locked      somebody uses the outbox for long: a transaction that stays open, a dump
--   foreign     the outbox is not this cluster's, or refused (docs/schema.md, "After a restore")
-- `ids_min` is the least span of a partition.
CREATE FUNCTION txstream.maintain_outbox(
    retention interval, ids_min bigint DEFAULT 100000, OUT action text, OUT detail text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '80ms' AS $$
BEGIN
    IF coalesce(retention <= '0', true) OR coalesce(ids_min < 1, true) THEN
        RAISE EXCEPTION 'a retention and a span are more than 0' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT pg_try_advisory_xact_lock(8392585648256897134) THEN
        action := 'busy';
        RETURN;
    END IF;
    IF NOT EXISTS (
        SELECT FROM txstream.instance i, pg_control_system() c, pg_database d
        WHERE d.datname = current_database() AND i.refused_at IS NULL
            AND (i.system_identifier, i.database_oid) = (c.system_identifier, d.oid)
    ) THEN
        action := 'foreign';
        RETURN;
    END IF;
    PERFORM txstream.note_outbox_time(retention);
    BEGIN
        SELECT m.action, m.detail INTO action, detail FROM txstream.maintain_outbox_alone(retention, ids_min) m;
    EXCEPTION WHEN lock_not_available THEN
        action := 'locked';
    END;
END $$;

-- Deletes old rows, `rows_max` at most, and returns how many. `what`:
--   positions      not those that say where a lane is
--   dead_letters   replayed and discarded ones whose event is gone too; never one that waits
--   audit          what operators did more than 30 days ago: whoever may call this may not hide what was done lately
--   jobs           those that have ended, and that no letter names which waits
CREATE FUNCTION txstream.forget(what text, age interval, rows_max integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $$
DECLARE
    before timestamptz := clock_timestamp() - age;
    forgotten bigint;
BEGIN
    IF coalesce(age <= '0', true) THEN
        RAISE EXCEPTION 'an age is more than 0' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF what = 'positions' THEN
        -- In the order of ids, which is that of time: no index on the time is needed.
        DELETE FROM txstream.positions p
        USING (SELECT o.id, o.written_at FROM txstream.positions o ORDER BY o.id LIMIT rows_max) old
        WHERE p.id = old.id AND old.written_at < before
            AND NOT EXISTS (SELECT FROM txstream.lane_positions l WHERE l.position = old.id);
    ELSIF what = 'dead_letters' THEN
        -- A letter says what became of its event, as long as there is one.
        DELETE FROM txstream.dead_letters l
        USING (
            SELECT d.id, d.xid, d.event_id FROM txstream.dead_letters d
            WHERE d.state IN ('replayed', 'discarded') AND NOT d.decided
                AND greatest(d.resolved_at, d.last_attempt_at) < before
            ORDER BY greatest(d.resolved_at, d.last_attempt_at) LIMIT rows_max
        ) old
        WHERE (l.id, l.xid, l.event_id) = (old.id, old.xid, old.event_id)
            AND l.state IN ('replayed', 'discarded') AND NOT l.decided
            AND NOT EXISTS (SELECT FROM txstream.outbox o WHERE o.id = l.id AND o.xid = l.xid);
    ELSIF what = 'audit' THEN
        DELETE FROM txstream.audit a
        USING (SELECT o.id FROM txstream.audit o ORDER BY o.id LIMIT rows_max) old
        WHERE a.id = old.id AND a.at < least(before, clock_timestamp() - interval '30 days');
    ELSIF what = 'jobs' THEN
        DELETE FROM txstream.jobs j
        USING (
            SELECT o.id FROM txstream.jobs o
            WHERE o.ended_at < before AND NOT EXISTS (
                SELECT FROM txstream.dead_letters d
                WHERE d.job = o.id AND (d.decided OR d.state IN ('parked', 'replaying')))
            ORDER BY o.id LIMIT rows_max
        ) old
        WHERE j.id = old.id;
    ELSE
        RAISE EXCEPTION 'nothing is called %', what USING ERRCODE = 'invalid_parameter_value';
    END IF;
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END $$;

-- Each right is granted here, by name. What is not named is for the functions' owner alone.
REVOKE ALL ON txstream.outbox_times, txstream.outbox_partitions FROM PUBLIC;
REVOKE ALL ON FUNCTION txstream.outbox_droppable, txstream.note_outbox_time, txstream.outbox_span, txstream.make_outbox_table,
    txstream.attach_to_outbox, txstream.lock_outbox, txstream.prepare_outbox_ahead, txstream.arrange_outbox_ahead,
    txstream.grow_outbox, txstream.end_outbox_partition, txstream.drop_outbox_partitions, txstream.maintain_outbox_alone, txstream.maintain_outbox, txstream.forget FROM PUBLIC;
GRANT SELECT ON txstream.outbox_times, txstream.outbox_partitions TO txstream_relay, txstream_reader, txstream_operator;
GRANT EXECUTE ON FUNCTION txstream.outbox_droppable TO txstream_relay, txstream_reader, txstream_operator;
GRANT EXECUTE ON FUNCTION txstream.maintain_outbox, txstream.forget TO txstream_relay;
