# Sourced by run.sh and the parts: a private PostgreSQL 15 cluster, and what every part needs to measure.
export PGHOST="$WORK" PGPORT="${SQLBENCH_PORT:-55999}" PGUSER=postgres PGDATABASE=postgres PGOPTIONS='-c client_min_messages=warning'
BIN="${PG_BIN:-/usr/lib/postgresql/15/bin}"
export PATH="$BIN:$PATH"
ROUNDS="${ROUNDS:-3}"
VARS=()

as_pg() { if [ "$(id -u)" = 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi; }

cluster_start() {
  [ "$(id -u)" = 0 ] && chown postgres "$WORK"
  if [ ! -s "$WORK/data/PG_VERSION" ]; then
    as_pg "$BIN/initdb" -D "$WORK/data" -A trust -U postgres -E UTF8 --locale=C.UTF-8 >"$WORK/initdb.log" 2>&1 || { cat "$WORK/initdb.log" >&2; return 1; }
    cat >>"$WORK/data/postgresql.conf" <<CONF
port = $PGPORT
listen_addresses = ''
unix_socket_directories = '$WORK'
shared_buffers = 1GB
max_wal_size = 8GB
checkpoint_timeout = 1h
max_prepared_transactions = 20
autovacuum = on
CONF
  fi
  as_pg "$BIN/pg_ctl" -D "$WORK/data" -l "$WORK/server.log" -w start >"$WORK/start.log" 2>&1 || { cat "$WORK/start.log" "$WORK/server.log" >&2; return 1; }
}
cluster_stop() { [ -s "$WORK/data/postmaster.pid" ] && as_pg "$BIN/pg_ctl" -D "$WORK/data" -m fast -w stop >/dev/null; }

q() { psql -XqAt -v ON_ERROR_STOP=1 -c "$1"; }
sqlf() { psql -XqAt -v ON_ERROR_STOP=1 -f "$@"; }

# CPU seconds of the whole server: postmaster, the children it reaped, the children alive.
server_cpu() {
  local pm; pm=$(head -1 "$WORK/data/postmaster.pid")
  { cat "/proc/$pm/stat"; for p in $(cat "/proc/$pm/task/$pm/children"); do cat "/proc/$p/stat" 2>/dev/null || true; done; } |
    awk -v pm="$pm" '{s+=$14+$15; if($1==pm) s+=$16+$17} END{printf "%.2f\n", s/100}'
}
# The keys of txstream.outbox.
keys() { q "CREATE UNIQUE INDEX ON $1(id,xid); CREATE INDEX ON $1(xid,id)"; }
# A number measured by name and variant; summary prints the median of each.
note() { printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" >>"$WORK/figures.tsv"; }
summary() { # part
  [ -s "$WORK/figures.tsv" ] || return 0
  sort -s -t"$(printf '\t')" -k1,1 -k3,3 -k2,2 -k4,4g "$WORK/figures.tsv" | awk -F'\t' -v part="$1" '
    $1!=part{next} {k=$3 "\t" $2; if(k!=prev){flush(); prev=k; n=0} v[n++]=$4} END{flush()}
    function flush(){ if(n) printf "%-30s %-26s median %12s   min %12s   max %12s   n %d\n", substr(prev,1,index(prev,"\t")-1), substr(prev,index(prev,"\t")+1), v[int(n/2)], v[0], v[n-1], n }'
}
# pgbench with a fixed number of transactions (no clock): note <metric> tx/s and server CPU per row
bench_insert() { # part variant metric file clients tx_per_client rows_per_tx
  local c0 c1 l0 l1 out tps n; n=$(( $5 * $6 * $7 ))
  c0=$(server_cpu); l0=$(q 'select pg_current_wal_insert_lsn()')
  out=$(pgbench -n -M prepared -f "$4" -c "$5" -j 2 -t "$6" "${VARS[@]}" 2>&1) || { echo "$out" >&2; return 1; }
  l1=$(q 'select pg_current_wal_insert_lsn()'); c1=$(server_cpu)
  tps=$(echo "$out" | sed -n 's/^tps = \([0-9.]*\).*/\1/p')
  note "$1" "$2" "$3_rows_per_s" "$(awk "BEGIN{printf \"%.0f\", $tps*$7}")"
  note "$1" "$2" "$3_cpu_us_per_row" "$(awk "BEGIN{printf \"%.2f\", ($c1-$c0)/$n*1e6}")"
  note "$1" "$2" "$3_wal_per_row" "$(q "select round(('$l1'::pg_lsn-'$l0'::pg_lsn)/$n)")"
}
