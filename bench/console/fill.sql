-- An outbox as the console may find it: :events events (a tenth of them of orders), all published but the last fiftieth, a hundredth
-- parked, one row of the log of positions for each transaction of a thousand. Events are 10 ms apart, so that times and ids belong together.
SET synchronous_commit = off;
SELECT set_config('console_bench.transactions', (:events / 1000)::text, false);

CREATE TABLE public.filled (n int PRIMARY KEY, xid xid8 NOT NULL, first_id bigint NOT NULL, last_id bigint NOT NULL);
DO $$
DECLARE
    transactions int := current_setting('console_bench.transactions')::int;
    began timestamptz := now() - transactions * 1000 * interval '10 milliseconds';
BEGIN
    FOR i IN 0 .. transactions - 1 LOOP
        INSERT INTO public.orders (id, customer_id, order_number, total_amount,
                shipping_street, shipping_number, shipping_city, shipping_state, shipping_zip_code, shipping_country,
                billing_street, billing_number, billing_city, billing_state, billing_zip_code, billing_country, created_at)
            SELECT md5('order' || (i * 100 + n))::uuid, 'customer-' || (i * 100 + n) % 5000,
                'ORD-' || lpad((i * 100 + n)::text, 9, '0'), n, 's', '1', 'c', 'SP', 'z', 'BR', 's', '1', 'c', 'SP', 'z', 'BR',
                began + (i * 1000 + n * 10) * interval '10 milliseconds'
            FROM generate_series(0, 99) n;
        INSERT INTO public.order_items (order_id, product_id, product_name, quantity, unit_price, total_price)
            SELECT md5('order' || (i * 100 + n))::uuid, 'p', 'Product', 1, n, n FROM generate_series(0, 99) n;
        WITH appended AS (
            INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, topic, payload, headers, created_at)
                SELECT CASE WHEN n % 10 = 0 THEN 'Order' ELSE 'Stock' END,
                    CASE WHEN n % 10 = 0 THEN md5('order' || (i * 100 + n / 10))::uuid::text ELSE 'stock-' || (i * 1000 + n) % 50000 END,
                    CASE WHEN n % 10 = 0 THEN 'OrderCreated' ELSE 'StockMoved' || n % 7 END,
                    CASE WHEN n % 5 = 1 THEN 'stock' END,
                    json_build_object('number', i * 1000 + n, 'padding', repeat('x', 300)),
                    json_build_object('traceparent', '00-' || md5((i * 1000 + n)::text) || '-00f067aa0ba902b7-01'),
                    began + (i * 1000 + n) * interval '10 milliseconds'
                FROM generate_series(0, 999) n
            RETURNING id, xid)
        INSERT INTO public.filled SELECT i, max(xid::text)::xid8, min(id), max(id) FROM appended;
        COMMIT;
    END LOOP;
END $$;

INSERT INTO txstream.positions (lease, lanes, active, first_event, last_event, events, since, cursor, records, written_at)
    SELECT 0, l.lanes, cardinality(l.lanes), first_id, last_id, 1000, format('%1$s:%1$s:', xid)::pg_snapshot,
        format('%1$s:%1$s:', xid::text::bigint + 1)::pg_snapshot,
        json_build_array(json_build_object('topic', 'txstream.events', 'partition', n % 12, 'first', n * 1000, 'last', n * 1000 + 999)),
        now() - (:events / 1000 - n) * interval '10 seconds'
    FROM public.filled, (SELECT array_agg(lane ORDER BY lane) AS lanes FROM txstream.lanes) l
    WHERE n < :events / 1000 * 49 / 50 ORDER BY n;
UPDATE txstream.lanes SET cursor = (
    SELECT format('%1$s:%1$s:', xid)::pg_snapshot FROM public.filled WHERE n = :events / 1000 * 49 / 50);
INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type, aggregate_id, event_type, topic, key, payload,
        content_type, headers, created_at, attempts, error_class, error, state)
    SELECT o.id, o.xid, o.event_id, o.lane, o.aggregate_type, o.aggregate_id, o.event_type, o.topic, o.aggregate_id, o.payload,
        o.content_type, o.headers, o.created_at, o.id % 3,
        (ARRAY['MSG_SIZE_TOO_LARGE', 'held', 'held', 'INVALID_RECORD'])[1 + o.id / 100 % 4], 'Broker: refused',
        (ARRAY['parked', 'parked', 'parked', 'discarded'])[1 + o.id / 700 % 4]
    FROM public.filled f JOIN txstream.outbox o ON o.xid = f.xid
    WHERE o.id % 100 = 7 AND f.n < :events / 1000 * 49 / 50;
DROP TABLE public.filled;
VACUUM ANALYZE;
CHECKPOINT;
