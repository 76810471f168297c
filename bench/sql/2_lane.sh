# Part 2: the hash that gives an event its lane. Same table; only the expression of the generated column differs.
part_lane() {
  echo "-- volatility of the pieces (i immutable, s stable); a generated column takes only immutable ones"
  q "SELECT string_agg(proname||'('||pg_get_function_arguments(oid)||')='||provolatile::text, '  ' ORDER BY proname) FROM pg_proc
     WHERE pronamespace='pg_catalog'::regnamespace AND proname IN ('convert_to','sha256','md5','get_byte','textsend','hashtextextended','byteain','textout','replace') AND pronargs<4"
  q "DROP SCHEMA IF EXISTS l CASCADE; CREATE SCHEMA l;
     CREATE FUNCTION l.sql_convert(k text) RETURNS smallint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS \$\$ SELECT (get_byte(sha256(convert_to(k,'UTF8')),0) & 31)::smallint \$\$;
     CREATE FUNCTION l.sql_inlined(k text) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS \$\$ SELECT (get_byte(sha256(replace(k,'\\','\\\\')::bytea),0) & 31)::smallint \$\$;
     CREATE FUNCTION l.atomic_convert(k text) RETURNS smallint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE BEGIN ATOMIC SELECT (get_byte(sha256(convert_to(k,'UTF8')),0) & 31)::smallint; END;
     CREATE FUNCTION l.atomic_inlined(k text) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN (get_byte(sha256(replace(k,'\\','\\\\')::bytea),0) & 31)::smallint;
     CREATE FUNCTION l.plpgsql_convert(k text) RETURNS smallint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS \$\$ BEGIN RETURN get_byte(sha256(convert_to(k,'UTF8')),0) & 31; END \$\$;
     CREATE FUNCTION l.plpgsql_fnv(k text) RETURNS smallint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS \$\$ DECLARE b bytea := convert_to(k,'UTF8'); h bigint := 2166136261; BEGIN
       FOR i IN 0..length(b)-1 LOOP h := ((h # get_byte(b,i)) * 16777619) & 4294967295; END LOOP; RETURN h & 31; END \$\$"
  local K='coalesce(key,aggregate_id)' v e
  local -A X=([none]="" [constant]="1::smallint"
    [expression]="(get_byte(sha256(replace($K,'\\','\\\\')::bytea),0) & 31)::smallint"
    [md5]="(('x'||substr(md5($K),1,2))::bit(8)::int & 31)::smallint"
    [hashtextextended]="(hashtextextended($K,0) & 31)::smallint"
    [sql_convert]="l.sql_convert($K)" [sql_inlined]="l.sql_inlined($K)" [atomic_convert]="l.atomic_convert($K)" [atomic_inlined]="l.atomic_inlined($K)"
    [plpgsql_convert]="l.plpgsql_convert($K)" [plpgsql_fnv]="l.plpgsql_fnv($K)")
  local ORDER="constant expression md5 hashtextextended sql_convert sql_inlined atomic_convert atomic_inlined plpgsql_convert plpgsql_fnv"
  for v in $ORDER; do e=${X[$v]}
    q "DROP TABLE IF EXISTS l.t_$v; CREATE TABLE l.t_$v(xid xid8 NOT NULL DEFAULT pg_current_xact_id(), id bigint GENERATED ALWAYS AS IDENTITY, event_id uuid NOT NULL DEFAULT gen_random_uuid(),
       aggregate_type text NOT NULL, aggregate_id text NOT NULL, event_type text NOT NULL, key text, payload json, created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
       lane smallint NOT NULL GENERATED ALWAYS AS ($e) STORED)"
    keys "l.t_$v"
    printf '%s\n' '\set k random(1,1000000)' "INSERT INTO l.t_$v(aggregate_type,aggregate_id,event_type,payload) VALUES('order','order-'||:k,'OrderCreated','{\"a\": 1}');" >"$WORK/l_$v.one.sql"
    echo "INSERT INTO l.t_$v(aggregate_type,aggregate_id,event_type,payload) SELECT 'order','order-'||g,'OrderCreated','{\"a\": 1}' FROM generate_series(1,1000) g;" >"$WORK/l_$v.batch.sql"
  done
  q CHECKPOINT
  for r in $(seq "$ROUNDS"); do for v in $ORDER; do bench_insert lane $v single "$WORK/l_$v.one.sql" 8 2500 1; done; done
  for r in $(seq "$ROUNDS"); do for v in $ORDER; do bench_insert lane $v batch "$WORK/l_$v.batch.sql" 1 40 1000; done; done
  echo "-- inlined or called? (EXPLAIN VERBOSE of the expression)"
  for v in sql_convert sql_inlined atomic_convert atomic_inlined; do echo "$v: $(q "EXPLAIN (VERBOSE, COSTS OFF) SELECT l.$v(aggregate_id) FROM l.t_constant" | grep Output)"; done
  echo "-- rights: an append-only role without EXECUTE on the function"
  q "DROP ROLE IF EXISTS appender" ; q "CREATE ROLE appender; GRANT USAGE ON SCHEMA l TO appender; GRANT INSERT(aggregate_type,aggregate_id,event_type,key,payload) ON ALL TABLES IN SCHEMA l TO appender; REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA l FROM PUBLIC"
  for v in expression sql_inlined plpgsql_convert; do echo "$v: $(psql -XqAt -c 'SET ROLE appender' -c "INSERT INTO l.t_$v(aggregate_type,aggregate_id,event_type) VALUES('o','1','e')" 2>&1 && echo allowed || true)"; done
  echo "-- an appender may not choose xid, id or lane"
  for c in "xid) VALUES('o','1','e','5')" "id) OVERRIDING SYSTEM VALUE VALUES('o','1','e',5)" "lane) VALUES('o','1','e',5)"; do psql -XqAt -c 'SET ROLE appender' -c "INSERT INTO l.t_expression(aggregate_type,aggregate_id,event_type,$c" 2>&1 || true; done
  echo "-- the same bytes as convert_to() for every kind of key (must be 0)"
  q "SELECT count(*) FROM (VALUES (''),('\\'),('\\x41'),('\\\\'),('a\\101b'),('São Paulo'),('日本語'),(E'\\n\\t'),('''\"'),(repeat('\\',100))) v(k) WHERE replace(k,'\\','\\\\')::bytea <> convert_to(k,'UTF8')"
  q "SET bytea_output='escape'; SELECT count(*) FROM generate_series(1,1114111) g WHERE g NOT BETWEEN 55296 AND 57343 AND replace(chr(g)||'\\'||chr(g),'\\','\\\\')::bytea <> convert_to(chr(g)||'\\'||chr(g),'UTF8')"
  lane_distribution
  for v in $ORDER; do q "DROP TABLE l.t_$v"; done
}
lane_distribution() {
  echo "-- distribution of 1,000,000 keys over 32 lanes and 256 (chi-square; 31 and 255 degrees of freedom: 99.9 % of fair hashes stay under 61.1 and 330.5), largest lane / mean"
  for e in "md5(g::text)::uuid::text=uuid" "'order-'||g=order-N" "'customer-'||g=customer-N" "g::text=N"; do for m in 32 256; do
    q "SELECT '${e##*=}', $m, round(sum((c-1000000.0/$m)^2/(1000000.0/$m)),1) chi2, round(max(c)/(1000000.0/$m),4) max_over_mean FROM (SELECT count(*) c FROM generate_series(1,1000000) g, LATERAL (SELECT ${e%=*} k) z GROUP BY get_byte(sha256(replace(k,'\\','\\\\')::bytea),0) & ($m-1)) x"; done; done
  echo "-- test vectors: key, first byte of sha256 (lane = byte & (lanes - 1)), lane of 32"
  q "SELECT k, get_byte(sha256(replace(k,'\\','\\\\')::bytea),0), get_byte(sha256(replace(k,'\\','\\\\')::bytea),0) & 31 FROM (VALUES (1,''),(2,'a'),(3,'order-1'),(4,'order-2'),(5,'customer-42'),(6,'ORD-001'),(7,'550e8400-e29b-41d4-a716-446655440000'),(8,'São Paulo'),(9,'日本語'),(10,'back\\slash')) v(n,k) ORDER BY n"
}
