-- 1,000 order events of about 600 bytes as an application would write them (spaces after colons, UTF-8, two decimals).
DROP TABLE IF EXISTS sample;
CREATE TABLE sample(n int PRIMARY KEY, body text NOT NULL, meta text NOT NULL);
INSERT INTO sample SELECT n, format(
 '{"order_id": "%s", "customer_id": "customer-%s", "order_number": "ORD-%s", "status": "pending", "total_amount": %s, "currency": "BRL", "items_count": 2, '
 '"items": [{"product_id": "prod-%s", "product_name": "Caf\u00e9 torrado 1kg", "quantity": 2, "unit_price": %s}, {"product_id": "prod-%s", "product_name": "Filtro", "quantity": 1, "unit_price": 9.90}], '
 '"shipping_address": {"street": "Rua das Laranjeiras %s", "city": "São Paulo", "state": "SP", "postal_code": "01310-100", "country": "BR"}, "created_at": "2025-01-15T10:%s:%sZ", "note": "%s"}',
 gen_random_uuid(), n, lpad(n::text,6,'0'), (n*1.10)::numeric(12,2), n%97, (n*0.55)::numeric(12,2), n%89, n, lpad((n%60)::text,2,'0'), lpad((n%59)::text,2,'0'), md5(n::text)),
 format('{"source": "txstream-api", "version": "1.0", "correlation_id": "%s"}', gen_random_uuid())
FROM generate_series(1,1000) n;
