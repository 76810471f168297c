# Part 3: RANGE(xid), RANGE(id) or no partitions; the two reader queries; splitting and dropping under load.
# Old events carry made-up xids 10000..110000 (ten events per transaction): pg_visible_in_snapshot() only compares numbers.
ROWS="${PART_ROWS:-1000000}"
COLS="(xid xid8 NOT NULL DEFAULT pg_current_xact_id(), id bigint GENERATED ALWAYS AS IDENTITY, event_id uuid NOT NULL DEFAULT gen_random_uuid(),
  aggregate_type text NOT NULL, aggregate_id text NOT NULL, event_type text NOT NULL, topic text, key text,
  payload json, payload_bytes bytea, content_type text NOT NULL DEFAULT 'application/json', metadata json, headers jsonb, created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  lane smallint NOT NULL GENERATED ALWAYS AS ((get_byte(sha256(replace(coalesce(key,aggregate_id),'\\','\\\\')::bytea),0) & 31)::smallint) STORED, CHECK (payload IS NULL OR payload_bytes IS NULL))"
LIST="id,xid,lane,event_id,aggregate_type,aggregate_id,event_type,topic,key,payload,payload_bytes,content_type,metadata,headers,created_at"
PIN=("SET enable_seqscan=off" "SET enable_bitmapscan=off" "SET jit=off" "SET max_parallel_workers_per_gather=0")
bound() { echo $((10000 + $1 * ROWS / 10 / $2)); } # i n: lower bound of partition i of n
make_table() { # name kind n [lane: the keys begin with it]
  local n=$3 i from to
  case $2 in
    none) q "CREATE TABLE $1 $COLS";;
    xid|id) q "CREATE TABLE $1 $COLS PARTITION BY RANGE ($2)"
      for i in $(seq 0 $((n-1))); do
        from=$(bound $i $n); to=$(bound $((i+1)) $n); [ $2 = id ] && { from=$((i*ROWS/n+1)); to=$(((i+1)*ROWS/n+1)); }
        from="'$from'"; to="'$to'"; [ $i = 0 ] && from=MINVALUE; [ $i = $((n-1)) ] && to=MAXVALUE
        q "CREATE TABLE $1_$i PARTITION OF $1 FOR VALUES FROM ($from) TO ($to)"
      done;;
  esac
  case "${4:-}" in lane) q "CREATE INDEX ON $1(lane,id); CREATE INDEX ON $1(lane,xid)";; *) keys "$1";; esac
}
poll_sql() { # table form
  local rest="FROM $1 WHERE get_bit(\$1::bytea,lane)=1 AND"; [ "$1" = y10 ] && rest="FROM $1 WHERE lane = ANY(\$1::smallint[]) AND"
  local new="$rest xid >= \$2::xid8 AND xid < \$3::xid8 AND pg_visible_in_snapshot(xid,\$4::pg_snapshot)"
  local old="$rest xid = ANY(\$5::xid8[]) AND pg_visible_in_snapshot(xid,\$4::pg_snapshot)"
  case $2 in
    sorted) echo "SELECT $LIST FROM (SELECT * $old UNION ALL SELECT * $new) w ORDER BY id,xid LIMIT \$6::bigint";;
    range) echo "WITH w AS MATERIALIZED ((SELECT $LIST $old AND xid >= \$7::xid8 AND xid < \$2::xid8) UNION ALL (SELECT $LIST $new) LIMIT \$6::bigint) SELECT * FROM w ORDER BY id,xid";;
    lateral) echo "WITH w AS MATERIALIZED ((SELECT o.* FROM unnest(\$5::xid8[]) AS r(x) CROSS JOIN LATERAL (SELECT $LIST $rest xid = r.x AND pg_visible_in_snapshot(xid,\$4::pg_snapshot) OFFSET 0) o) UNION ALL (SELECT $LIST $new) LIMIT \$6::bigint) SELECT * FROM w ORDER BY id,xid";;
    cte)  echo "WITH w AS MATERIALIZED ((SELECT $LIST $old) UNION ALL (SELECT $LIST $new) LIMIT \$6::bigint) SELECT * FROM w ORDER BY id,xid";;
  esac
}
page_sql() { # table form
  local w="FROM $1 WHERE (id,xid)>(\$3::bigint,\$4::xid8) AND pg_visible_in_snapshot(xid,\$1::pg_snapshot) AND NOT pg_visible_in_snapshot(xid,\$2::pg_snapshot)"
  case $2 in
    plain) echo "SELECT $LIST $w ORDER BY id,xid LIMIT \$5::bigint";;
    pruned) echo "SELECT $LIST $w AND xid >= pg_snapshot_xmin(\$2::pg_snapshot) AND xid < pg_snapshot_xmax(\$1::pg_snapshot) ORDER BY id,xid LIMIT \$5::bigint";;
  esac
}
lanes() { # table 32|8|1   bits, or the array where the keys begin with the lane
  case "$1 $2" in
    "y10 32") echo "{0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31}";;
    "y10 8") echo "{0,1,2,3,4,5,6,7}";; "y10 1") echo "{6}";;
    *" 32") echo '\xffffffff';; *" 8") echo '\xff000000';; *" 1") echo '\x40000000';;
  esac
}
poll() { # variant sqlfile 32|8|1 window_tx xip limit settings...
  local v=$1 f=$2 lanes win=$4 xip=$5 lim=$6
  local hi=$((10000 + ROWS/10)) lo; lo=$((hi-win)); lanes=$(lanes "${v%% *}" "$3")
  shift 6
  set -- $("$WORK/reader" poll "$f" 200 -p "$lanes" -p "$lo" -p "$hi" -p "$hi:$hi:" -p "$xip" -p "$lim" "${PIN[@]}" "$@")
  note partition "$v" poll_cpu_us "$4"; note partition "$v" poll_p50_us "$2"; note partition "$v" poll_rows "$1"
}
part_partition() { part_load; part_poll; part_running; part_page; part_insert; }
part_load() {
  local T="none x2 x10 x30 i10 y10 z10" v
  for v in $T; do q "DROP TABLE IF EXISTS $v"; done
  make_table none none 1; make_table x2 xid 2; make_table x10 xid 10; make_table x30 xid 30; make_table i10 id 10; make_table y10 xid 10 lane; make_table z10 xid 10
  q "CREATE INDEX ON z10(xid,lane)"
  q "INSERT INTO none(xid,aggregate_type,aggregate_id,event_type,payload) SELECT (10000+(g-1)/10)::text::xid8,'order','order-'||g/3,'OrderCreated','{\"order_id\": 1, \"total_amount\": 1.10}' FROM generate_series(1,$ROWS) g ORDER BY g"
  for v in x2 x10 x30 i10 y10 z10; do q "INSERT INTO $v(xid,id,aggregate_type,aggregate_id,event_type,payload) OVERRIDING SYSTEM VALUE SELECT xid,id,aggregate_type,aggregate_id,event_type,payload FROM none ORDER BY id"
    q "SELECT setval(pg_get_serial_sequence('$v','id'),$ROWS)" >/dev/null; done
  q "VACUUM ANALYZE"; q CHECKPOINT
  write_sql
}
GEN="SET plan_cache_mode=force_generic_plan"; CUST="SET plan_cache_mode=force_custom_plan"
write_sql() { local v f
  for v in none x2 x10 x30 i10 y10 z10; do for f in sorted cte range lateral; do poll_sql $v $f >"$WORK/poll_${v}_$f.sql"; done; for f in plain pruned; do page_sql $v $f >"$WORK/page_${v}_$f.sql"; done; done
}
part_poll() {
  local r v f m xips; xips=$(q "SELECT array_agg($((10000+ROWS/10-100))+g) FROM generate_series(0,7) g")
  for r in $(seq "$ROUNDS"); do
    for v in none x2 x10 x30 i10 y10 z10; do
      f="$WORK/poll_${v}_cte.sql"
      for m in generic custom; do
        set -- "$GEN"; [ $m = custom ] && set -- "$CUST"
        poll "$v $m 32l 0ev" "$f" 32 0 "{}" 2001 "$1"
        poll "$v $m 32l 100ev" "$f" 32 10 "{}" 2001 "$1"
        poll "$v $m 1l 100ev" "$f" 1 10 "{}" 2001 "$1"
        poll "$v $m 32l 100ev xip8" "$f" 32 10 "$xips" 2001 "$1"
        poll "$v $m 32l 1000ev" "$f" 32 100 "{}" 2001 "$1"
      done
      poll "$v generic 32l 100ev nosort" "$f" 32 10 "{}" 2001 "$GEN" "SET enable_sort=off"
      poll "$v generic 32l 100ev sorted" "$WORK/poll_${v}_sorted.sql" 32 10 "{}" 2001 "$GEN"
      poll "$v generic 32l 100ev sorted nosort" "$WORK/poll_${v}_sorted.sql" 32 10 "{}" 2001 "$GEN" "SET enable_sort=off"
    done
  done
}
page() { # variant form T C settings...
  local v="$1" f=$2 t=$3 c=$4; shift 4
  set -- $(timeout 120 "$WORK/reader" page "$WORK/page_${v%% *}_$f.sql" "$t" "$c" 2000 "${PIN[@]}" "$@" || echo "0 0 0 0 0")
  note partition "$v" page_rows "$1"; note partition "$v" page_events_per_s "$4"; note partition "$v" page_cpu_us_per_event "$5"
}
running() { # variant sqlfile 32|8|1 n age   a window of 100 events; n transactions still running in the cursor, the oldest began age transactions ago
  local v=$1 f=$2 lanes n=$4 age=$5 hi=$((10000 + ROWS/10)) lo arr p; lo=$((hi-10)); lanes=$(lanes "${v%% *}" "$3")
  arr=$(q "SELECT coalesce(array_agg(x ORDER BY x),'{}') FROM (SELECT $lo-10-g*3 x FROM generate_series(1,$n-1) g UNION SELECT $lo-$age WHERE $n>0) z")
  p=(-p "$lanes" -p "$lo" -p "$hi" -p "$hi:$hi:" -p "$arr" -p 2001); case $f in *range*) p+=(-p $((lo-age)));; esac
  set -- $("$WORK/reader" poll "$f" 100 "${p[@]}" "${PIN[@]}" "$GEN" "SET enable_sort=off")
  note partition "$v" poll_cpu_us "$4"; note partition "$v" poll_p50_us "$2"; note partition "$v" poll_rows "$1"
}
part_running() { # the xip part: array with bounds, or one probe per running transaction; the second index by its columns
  local r v n f; write_sql
  for r in $(seq "$ROUNDS"); do for v in none x2 x10 x30 y10; do for f in cte range lateral; do
    for n in 0 1 8 32; do running "$v $f 32l xip$n" "$WORK/poll_${v}_$f.sql" 32 $n 150; done
    running "$v $f 32l xip8 old" "$WORK/poll_${v}_$f.sql" 32 8 $((ROWS*9/100))
    running "$v $f 8l xip8" "$WORK/poll_${v}_$f.sql" 8 8 150
    running "$v $f 1l xip8" "$WORK/poll_${v}_$f.sql" 1 8 150
  done; done; done
}
part_page() {
  local r v hi=$((10000 + ROWS/10)) c
  for r in $(seq "$ROUNDS"); do for v in none x2 x10 x30 i10; do
    for m in custom generic; do
      set -- "$GEN"; [ $m = custom ] && set -- "$CUST"
      page "$v plain $m all" plain "$hi:$hi:" 1:1: "$1"
      page "$v pruned $m all nosort" pruned "$hi:$hi:" 1:1: "$1" "SET enable_sort=off"
    done
    [ "$v$r" != x101 ] || page "$v pruned generic all sort" pruned "$hi:$hi:" 1:1: "$GEN"  # slow: once
  done; done
  part_window
}
part_window() {
  local r v hi=$((10000 + ROWS/10)) c
  # 1 M events, the window is the last tenth: first page from id 0 (no min(id)), and from the window's min(id)
  c=$((hi - ROWS/100))
  for r in $(seq "$ROUNDS"); do for v in none x10 x30 i10; do
    page "$v plain generic tenth" plain "$hi:$hi:" "$c:$c:" "$GEN"
    page "$v pruned generic tenth nosort" pruned "$hi:$hi:" "$c:$c:" "$GEN" "SET enable_sort=off"
    page "$v pruned generic tenth sort" pruned "$hi:$hi:" "$c:$c:" "$GEN"
  done; done
  # where a window starts: the lowest id, once for all lanes
  for v in none x10 x30; do
    echo "SELECT min(id) FROM (SELECT id FROM $v WHERE xid >= \$1::xid8 AND xid < \$2::xid8 OFFSET 0) w" >"$WORK/min_$v.sql"
    for w in 10000 100000; do
      set -- $("$WORK/reader" poll "$WORK/min_$v.sql" 3 -p $((hi-w)) -p $hi "${PIN[@]}" "$GEN" "SET enable_sort=off")
      note partition "$v $((w*10))ev" min_id_ms "$(( $2/1000 ))"
    done
  done
}
part_insert() {
  local v r
  q "DROP TABLE IF EXISTS n_event, n_agg, n_uniq; "
  for v in n_event n_agg n_uniq; do make_table $v none 1; done
  q "CREATE INDEX ON n_event(event_id); CREATE INDEX ON n_agg(aggregate_id); CREATE UNIQUE INDEX ON n_uniq(event_id)"
  for v in n_event n_agg n_uniq; do q "INSERT INTO $v(xid,id,aggregate_type,aggregate_id,event_type,payload) OVERRIDING SYSTEM VALUE SELECT xid,id,aggregate_type,aggregate_id,event_type,payload FROM none ORDER BY id"
    q "SELECT setval(pg_get_serial_sequence('$v','id'),$ROWS)" >/dev/null; done
  local T="none x2 x10 x30 i10 y10 z10 n_event n_agg n_uniq"  # in another order each round: place in the round matters
  for v in $T; do
    printf '%s\n' '\set k random(1,1000000)' "INSERT INTO $v(aggregate_type,aggregate_id,event_type,metadata,payload) VALUES('order','order-'||:k,'OrderCreated',:m,:b);" >"$WORK/i_$v.one.sql"
    echo "INSERT INTO $v(aggregate_type,aggregate_id,event_type,metadata,payload) SELECT 'order','order-'||(random()*1e6)::int,'OrderCreated',meta::json,b::json FROM batch_text;" >"$WORK/i_$v.batch.sql"
  done
  q "DROP TABLE IF EXISTS batch_text; CREATE TABLE batch_text AS SELECT n,meta,body b FROM sample"; q "VACUUM ANALYZE"
  VARS=(-D "m=$(q 'SELECT meta FROM sample WHERE n=7')" -D "b=$(q 'SELECT body FROM sample WHERE n=7')")
  for r in $(seq "$ROUNDS"); do q CHECKPOINT; for v in $(shuf -e $T); do bench_insert partition $v single "$WORK/i_$v.one.sql" 8 2500 1; done; done
  VARS=()
  for r in $(seq "$ROUNDS"); do q CHECKPOINT; for v in $(shuf -e $T); do bench_insert partition $v batch "$WORK/i_$v.batch.sql" 1 30 1000; done; done
}
