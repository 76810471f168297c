# Part 1: type of the payload column. Same table, same indexes, same rows; only the payload differs.
N="${PAYLOAD_ROWS:-150000}"
VARIANTS="json jsonb text bytea bytea_check two"
table() { # variant
  local col expr
  case "$1" in
    json|jsonb|text) col="payload $1"; expr="body::$1";;
    bytea) col="payload bytea"; expr="convert_to(body,'UTF8')";;
    bytea_check) col="payload bytea CHECK (content_type <> 'application/json' OR convert_from(payload,'UTF8')::json IS NOT NULL)"; expr="convert_to(body,'UTF8')";;
    two) col="payload json, payload_bytes bytea, CHECK (payload IS NULL OR payload_bytes IS NULL)"; expr="body::json";;
  esac
  q "DROP TABLE IF EXISTS p_$1; CREATE TABLE p_$1(xid xid8 NOT NULL DEFAULT pg_current_xact_id(), id bigint GENERATED ALWAYS AS IDENTITY,
     event_id uuid NOT NULL DEFAULT gen_random_uuid(), aggregate_type text NOT NULL, aggregate_id text NOT NULL, event_type text NOT NULL, topic text, key text,
     content_type text NOT NULL DEFAULT 'application/json', metadata json, headers jsonb, created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
     lane smallint NOT NULL GENERATED ALWAYS AS ((get_byte(sha256(replace(coalesce(key,aggregate_id),'\\','\\\\')::bytea),0) & 31)::smallint) STORED, $col)"
  keys "p_$1"
  q "INSERT INTO p_$1(aggregate_type,aggregate_id,event_type,metadata,payload) SELECT 'order','order-'||g,'OrderCreated',meta::json,$expr
     FROM generate_series(1,$N) g JOIN sample ON n=1+g%1000 ORDER BY g"
  local cols=payload; [ "$1" = two ] && cols=payload,payload_bytes
  echo "SELECT id,xid,lane,event_id,aggregate_type,aggregate_id,event_type,topic,key,content_type,metadata,headers,created_at,$cols FROM p_$1
    WHERE (id,xid)>(\$3::bigint,\$4::xid8) AND pg_visible_in_snapshot(xid,\$1::pg_snapshot) AND NOT pg_visible_in_snapshot(xid,\$2::pg_snapshot) ORDER BY id,xid LIMIT \$5::bigint" >"$WORK/p_$1.page.sql"
  # what a writer sends: parameters in text form (hex for bytea), parsed by the server on every execution
  local type=$1; case "$1" in bytea_check) type=bytea;; two) type=json;; esac
  printf '%s\n' '\set k random(1,1000000)' "INSERT INTO p_$1(aggregate_type,aggregate_id,event_type,metadata,payload) VALUES('order','order-'||:k,'OrderCreated',:m,:b);" >"$WORK/p_$1.one.sql"
  echo "INSERT INTO p_$1(aggregate_type,aggregate_id,event_type,metadata,payload) SELECT 'order','order-'||n,'OrderCreated',meta::json,b::$type FROM batch_$type ORDER BY n;" >"$WORK/p_$1.batch.sql"
}
part_payload() {
  q "DROP TABLE IF EXISTS batch_json,batch_jsonb,batch_text,batch_bytea; CREATE TABLE batch_text AS SELECT n,meta,body b FROM sample;
     CREATE TABLE batch_bytea AS SELECT n,meta,'\\x'||encode(convert_to(body,'UTF8'),'hex') b FROM sample; CREATE TABLE batch_json AS TABLE batch_text; CREATE TABLE batch_jsonb AS TABLE batch_text"
  for v in $VARIANTS; do table $v; done
  q "VACUUM ANALYZE"; q CHECKPOINT
  for r in $(seq "$ROUNDS"); do for v in $VARIANTS; do
    T=$(q 'SELECT pg_current_snapshot()')
    set -- $("$WORK/reader" page "$WORK/p_$v.page.sql" "$T" 1:1: 2000 "SET plan_cache_mode=force_custom_plan" "SET enable_seqscan=off" "SET enable_bitmapscan=off" "SET jit=off" "SET max_parallel_workers_per_gather=0")
    note payload $v read_events_per_s "$4"; note payload $v read_cpu_us_per_event "$5"
  done; done
  for v in $VARIANTS; do note payload $v heap_bytes_per_row "$(q "SELECT pg_table_size('p_$v')/$N")"; done
  local meta body hex; meta=$(q 'SELECT meta FROM sample WHERE n=7'); body=$(q 'SELECT body FROM sample WHERE n=7'); hex=$(q "SELECT '\x'||encode(convert_to(body,'UTF8'),'hex') FROM sample WHERE n=7")
  for r in $(seq "$ROUNDS"); do for v in $VARIANTS; do
    case $v in bytea*) b=$hex;; *) b=$body;; esac
    VARS=(-D "m=$meta" -D "b=$b"); bench_insert payload $v single "$WORK/p_$v.one.sql" 8 3000 1; VARS=()
  done; done
  for r in $(seq "$ROUNDS"); do for v in $VARIANTS; do bench_insert payload $v batch "$WORK/p_$v.batch.sql" 1 40 1000; done; done
  for v in $VARIANTS; do q "DROP TABLE p_$v"; done
}
