#!/bin/bash
# Measures the choices behind docs/adr/0004, 0005 and 0006 on a private PostgreSQL 15 cluster that it makes and removes.
#   bench/sql/run.sh [payload] [lane] [partition] [proofs]     default: all of them
# ROUNDS=3, SQLBENCH_PORT=55999, KEEP=1 (keep the cluster directory), SQLBENCH_DIR (where it is made).
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
WORK="${SQLBENCH_DIR:-$(mktemp -d /tmp/sqlbench.XXXXXX)}"; mkdir -p "$WORK"; chmod 755 "$WORK"
# shellcheck source=bench/sql/lib.sh
. "$HERE/lib.sh"
clean_up() {
  local rc=$?
  [ "$rc" = 0 ] || echo "$0: failed ($rc)" >&2
  cluster_stop || true
  [ -n "${KEEP:-}" ] || rm -rf "$WORK"
  exit "$rc"
}
trap clean_up EXIT
cluster_start
cc -O2 -Wall -I"$(pg_config --includedir 2>/dev/null || echo /usr/include/postgresql)" -I/usr/include/postgresql -o "$WORK/reader" "$HERE/reader.c" -lpq
sqlf "$HERE/fixture.sql"
(($#)) || set -- payload lane partition proofs
for part in "$@"; do
  # shellcheck source=/dev/null
  . "$HERE"/[1-4]_"$part".sh
  ${SQLBENCH_ONLY:-part_$part}  # one function of a part, when its tables are there (KEEP=1)
  echo "== $part"; summary "$part"
done
