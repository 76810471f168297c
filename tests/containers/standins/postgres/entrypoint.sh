#!/usr/bin/env bash
# Of the official image's entry point: become postgres, make the cluster once, run the scripts, serve.
set -euo pipefail

if ((EUID == 0)); then
    mkdir -p "$PGDATA" /run/postgresql
    chown postgres:postgres "$PGDATA" /run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --clear-groups -- "$0" "$@"
fi
if [[ $1 == postgres && ! -s $PGDATA/PG_VERSION ]]; then
    initdb --auth-local=trust --auth-host=scram-sha-256 --pwfile="$POSTGRES_PASSWORD_FILE" >/dev/null
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    # Meanwhile it listens on its socket only, like the image's.
    pg_ctl --wait -o "-c listen_addresses=''" start
    for script in /docker-entrypoint-initdb.d/*.sh; do "$script"; done
    pg_ctl --wait stop
fi
exec "$@" -c listen_addresses='*'
