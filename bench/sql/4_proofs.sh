# Part 4: what must be true, shown: bytes, stale generic plans, splitting and dropping under load, a cluster whose xids restart.
. "$HERE/3_partition.sh"
part_proofs() { proof_bytes; proof_stale_plan; proof_split; proof_split_filled; proof_restore; }

proof_bytes() {
  echo "-- bytes in = bytes out: for each hard JSON text, does the column give back the bytes that were sent?"
  q "DROP TABLE IF EXISTS bytes_in; CREATE TABLE bytes_in(what text, body text, j json, b jsonb, y bytea);
     INSERT INTO bytes_in(what,body) VALUES ('key order','{\"b\":1,\"a\":2}'),('duplicate keys','{\"a\":1,\"a\":2}'),('whitespace',E' {\"a\" :\\t1 }\\r\\n'),('1.10','{\"a\":1.10}'),('1e2, -0','[1e2,-0,1E+2]'),
       ('30 digits','[123456789012345678901234567890.1]'),('UTF-8','{\"c\":\"São Paulo 日本 😀\"}'),('escaped','{\"c\":\"S\\u00e3o \\/ \\ud83d\\ude00\"}'),('scalar','null'),('empty object','{}');
     UPDATE bytes_in SET j=body::json, b=body::jsonb, y=convert_to(body,'UTF8')"
  q "SELECT rpad(what,16), 'json '||(json_send(j)=convert_to(body,'UTF8')), 'jsonb '||(substr(jsonb_send(b),2)=convert_to(body,'UTF8')), 'bytea '||(y=convert_to(body,'UTF8')) FROM bytes_in"
  echo "   refused by json: $(psql -XqAt -c "SELECT '{\"a\":1'::json" 2>&1 | head -1) ; \\u0000 json: $(psql -XqAt -c "SELECT octet_length('{\"a\":\"\\u0000\"}'::json::text)" 2>&1 | head -1), jsonb: $(psql -XqAt -c "SELECT '{\"a\":\"\\u0000\"}'::jsonb" 2>&1 | head -1)"
}

proof_stale_plan() {
  local ROWS=1000000; echo "-- a generic plan made while the table was empty and never analysed, used when it holds 200,000 events: a poll, a page of a whole window, a page of a window in the last partition"
  q "DROP TABLE IF EXISTS fresh"; make_table fresh xid 10; q "ALTER TABLE fresh_0 SET (autovacuum_enabled=off); ALTER TABLE fresh_9 SET (autovacuum_enabled=off)"
  { for s in "${PIN[@]}" "SET enable_sort=off" "SET plan_cache_mode=force_generic_plan"; do echo "$s;"; done
    echo "PREPARE poll AS $(poll_sql fresh lateral);"; echo "PREPARE page(pg_snapshot,pg_snapshot,bigint,xid8,bigint) AS $(page_sql fresh pruned);"
    echo "EXECUTE poll('$(lanes fresh 32)','99990','100000','100000:100000:','{91000,95000,99000}',2001); EXECUTE page('100000:100000:','1:1:',0,'0',2000);"
    echo "\\! psql -Xq -c \"INSERT INTO fresh(xid,id,aggregate_type,aggregate_id,event_type,payload) OVERRIDING SYSTEM VALUE SELECT (90000+g/20)::text::xid8,g,'order','order-'||g/3,'OrderCreated','{}' FROM generate_series(1,199999) g\""
    echo "\\o /dev/null"; echo "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE poll('$(lanes fresh 32)','99990','100000','100000:100000:','{91000,95000,99000}',2001);"; echo "\\o"
    echo "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE poll('$(lanes fresh 32)','99990','100000','100000:100000:','{91000,95000,99000}',2001);"
    echo "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE page('100000:100000:','1:1:',0,'0',2000);"
    echo "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE page('100000:100000:','99500:99500:',150000,'0',2000);"; } >"$WORK/stale.sql"
  sqlf "$WORK/stale.sql" | grep -v '^$' | grep -E 'Index|Sort|Execution|Removed|rows=|Subplans' | sed 's/^/   /'
  q "DROP TABLE fresh"
}

# split: the open-ended last partition [B, MAXVALUE) becomes [B, B2) and [B2, MAXVALUE). It is empty: B lies in the future.
split_sql() { # table n B B2
  echo "SET lock_timeout='200ms'; BEGIN; LOCK TABLE $1 IN ACCESS EXCLUSIVE MODE; SELECT clock_timestamp() AS t0 \\gset
DROP TABLE $1_$2; CREATE TABLE $1_$2 PARTITION OF $1 FOR VALUES FROM ('$3') TO ('$4'); CREATE TABLE $1_$(($2+1)) PARTITION OF $1 FOR VALUES FROM ('$4') TO (MAXVALUE);
COMMIT; SELECT 'held', round(extract(epoch FROM clock_timestamp()-:'t0'::timestamptz)*1000,1);"
}
proof_split() {
  echo "-- 20 splits of the empty last partition while 8 writers insert (one row per transaction); then the oldest partitions are dropped"
  local i b n0 t0 t1 pid rc=0 x
  q "DROP TABLE IF EXISTS s"; b=$(q "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 3000")
  q "CREATE TABLE s $COLS PARTITION BY RANGE (xid);
     CREATE TABLE s_0 PARTITION OF s FOR VALUES FROM (MINVALUE) TO ('$b'); CREATE TABLE s_1 PARTITION OF s FOR VALUES FROM ('$b') TO (MAXVALUE)"
  keys s
  printf '%s\n' "INSERT INTO s(aggregate_type,aggregate_id,event_type,payload) VALUES('order','o','e','{}');" >"$WORK/s.sql"
  pgbench -n -M prepared -f "$WORK/s.sql" -c 8 -j 2 -t 12000 -l --log-prefix="$WORK/split" >"$WORK/split.out" 2>&1 & pid=$!
  : >"$WORK/split.ms"
  for i in $(seq 1 20); do
    # wait until the writers are near the bound, then split ahead of them
    until x=$(q "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint") && { [ "$x" -gt $((b-2500)) ] || ! kill -0 $pid 2>/dev/null; }; do :; done
    until split_sql s "$i" "$b" "$((b+4000))" >"$WORK/split.sql"; t0=$(date +%s%N); psql -XqAt -v ON_ERROR_STOP=1 -f "$WORK/split.sql" >>"$WORK/split.ms" 2>>"$WORK/split.err"; do rc=$((rc+1)); done
    t1=$(date +%s%N); echo "total|$(( (t1-t0)/1000000 ))" >>"$WORK/split.ms"; b=$((b+4000))
  done
  wait $pid || echo "   WRITERS FAILED"
  grep -E 'processed|failed|tps|latency' "$WORK/split.out" | sed 's/^/   /'
  awk -F'|' '{v[$1]=v[$1]" "$2; n[$1]++; s[$1]+=$2; if($2>m[$1])m[$1]=$2} END{for(k in n) printf "   %s ms: mean %.1f max %.1f of %d\n",k,s[k]/n[k],m[k],n[k]}' "$WORK/split.ms"; echo "   retries after lock_timeout: $rc"
  cat "$WORK"/split.[0-9]* | awk '{print $3}' | sort -n | awk '{v[NR]=$1} END{printf "   writer transaction ms: p50 %.2f p99 %.2f p99.9 %.2f max %.2f\n", v[int(NR/2)]/1e3, v[int(NR*.99)]/1e3, v[int(NR*.999)]/1e3, v[NR]/1e3}'; rm -f "$WORK"/split.[0-9]*
  echo "   rows: $(q 'SELECT count(*) FROM s') in $(q 'SELECT count(DISTINCT tableoid) FROM s') partitions"
  echo "-- drop s_1 (upper bound <= min xmin of the cursors) while writers insert; the floor [MINVALUE, ..) grows over it, so that no gap opens"
  pgbench -n -M prepared -f "$WORK/s.sql" -c 8 -j 2 -t 3000 >"$WORK/drop.out" 2>&1 & pid=$!
  local up; up=$(q "SELECT substring(pg_get_expr(relpartbound,oid) FROM 'TO \\(''(\\d+)''') FROM pg_class WHERE relname='s_1'")
  q "CREATE TABLE cursors(cursor pg_snapshot); INSERT INTO cursors SELECT pg_current_snapshot()"
  echo "   safe: $(q "SELECT '$up'::xid8 <= min(pg_snapshot_xmin(cursor)::text::bigint)::text::xid8 FROM cursors")"
  echo "SET lock_timeout='200ms'; BEGIN; LOCK TABLE s IN ACCESS EXCLUSIVE MODE; SELECT clock_timestamp() AS t0 \\gset
DROP TABLE s_0; DROP TABLE s_1; CREATE TABLE s_floor PARTITION OF s FOR VALUES FROM (MINVALUE) TO ('$up'); COMMIT; SELECT '   dropped, lock held ms', round(extract(epoch FROM clock_timestamp()-:'t0'::timestamptz)*1000,1);" >"$WORK/drop.sql"
  until sqlf "$WORK/drop.sql"; do :; done
  wait $pid; grep -E 'processed|failed' "$WORK/drop.out" | sed 's/^/   /'; q "DROP TABLE cursors"
  echo "-- an open transaction of a writer: the split gives up after its lock_timeout, others wait at most that long"
  mkfifo "$WORK/slow"; psql -XqAt <"$WORK/slow" >/dev/null & local sp=$!; exec 9>"$WORK/slow"; echo "BEGIN; INSERT INTO s(aggregate_type,aggregate_id,event_type) VALUES('o','slow','e');" >&9
  until [ "$(q "SELECT count(*) FROM pg_locks WHERE relation='s'::regclass AND mode='RowExclusiveLock'")" -gt 0 ]; do :; done
  split_sql s 21 "$b" "$((b+4000))" >"$WORK/split.sql"; t0=$(date +%s%N); sqlf "$WORK/split.sql" 2>&1 | sed 's/^/   /' || true; echo "   gave up after $(( ($(date +%s%N)-t0)/1000000 )) ms"
  echo "COMMIT;" >&9; exec 9>&-; wait $sp; rm -f "$WORK/slow"
}
proof_split_filled() {
  echo "-- the last partition already holds 500,000 events (nobody split it in time): close it at a bound ahead, scanning outside of the exclusive lock"
  q "DROP TABLE IF EXISTS f"; make_table f xid 2
  q "INSERT INTO f(xid,aggregate_type,aggregate_id,event_type) SELECT (60000+g/10)::text::xid8,'o','r','e' FROM generate_series(1,500000) g"
  printf '%s\n' "INSERT INTO f(aggregate_type,aggregate_id,event_type,payload) VALUES('order','o','e','{}');" >"$WORK/f.sql"
  local b pid lo; lo=$(bound 1 2); b=$(q "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 1000000")
  pgbench -n -M prepared -f "$WORK/f.sql" -c 8 -j 2 -t 3000 >"$WORK/fill.out" 2>&1 & pid=$!
  echo "SET lock_timeout='200ms'; ALTER TABLE f_1 ADD CONSTRAINT closed CHECK (xid IS NOT NULL AND xid >= '$lo' AND xid < '$b') NOT VALID;
\\timing on
ALTER TABLE f_1 VALIDATE CONSTRAINT closed;
\\timing off
BEGIN; LOCK TABLE f IN ACCESS EXCLUSIVE MODE; SELECT clock_timestamp() AS t0 \\gset
ALTER TABLE f DETACH PARTITION f_1; ALTER TABLE f ATTACH PARTITION f_1 FOR VALUES FROM ('$lo') TO ('$b'); CREATE TABLE f_2 PARTITION OF f FOR VALUES FROM ('$b') TO (MAXVALUE);
COMMIT; SELECT 'lock held ms', round(extract(epoch FROM clock_timestamp()-:'t0'::timestamptz)*1000,1);
ALTER TABLE f_1 DROP CONSTRAINT closed;" >"$WORK/fill.sql"
  sqlf "$WORK/fill.sql" 2>&1 | sed 's/^/   /'; wait $pid; grep -E 'processed|failed' "$WORK/fill.out" | sed 's/^/   /'; q "DROP TABLE f"
}
proof_restore() {
  echo "-- xids restart (restore into a new cluster): does a new event find a partition?"
  local up; up=$(q "SELECT substring(pg_get_expr(relpartbound,oid) FROM 'TO \\(''(\\d+)''') FROM pg_class WHERE relname='s_floor'")
  for x in 743 $((up-1)) "$up" 9000000000000000000; do echo "   xid $x -> $(psql -XqAt -c "INSERT INTO s(xid,aggregate_type,aggregate_id,event_type) VALUES('$x','o','r','e') RETURNING tableoid::regclass" 2>&1)"; done
  echo "   without a floor: $(psql -XqAt -c "BEGIN" -c "DROP TABLE s_floor" -c "INSERT INTO s(xid,aggregate_type,aggregate_id,event_type) VALUES('743','o','r','e')" -c "ROLLBACK" 2>&1 | head -1)"
  q "DROP TABLE s"
}
