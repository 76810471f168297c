#!/usr/bin/env bash
# A private PostgreSQL in a directory of its own, for tests, benchmarks and `make start-all`.
#
#   postgres.sh start   --dir DIR --port PORT|auto [--set NAME=VALUE]... [--port-variable NAME] [--bin DIRECTORY]
#   postgres.sh stop    --dir DIR      fast shutdown (open sessions are ended, nothing is lost)
#   postgres.sh kill    --dir DIR      SIGKILL to the server and its children: a crash, for fault tests
#   postgres.sh status  --dir DIR      exit 0 when it runs, 3 when not
#   postgres.sh conninfo --dir DIR     the superuser's libpq connection string
#   postgres.sh psql    --dir DIR -- ARGUMENTS...
#   postgres.sh destroy --dir DIR      kill, and remove DIR
#
# Started again in the same DIR it comes back with its data; `--port auto` then takes the port it had before if it can.
# --set may name any server parameter and counts for this start only. --bin, or TXSTREAM_POSTGRES_BIN, is where the programs
# of another version than Debian's 15 are (postgres_binaries.sh). DIR holds port, password, server.pid,
# postgres.log; the data directory and the socket directory are DIR/data and DIR/run, which are symbolic links when the
# server's user cannot reach DIR (a checkout below a home directory that is closed to others).
#
# Durable settings throughout: a relay that is tested with fsync off proves nothing about crashes.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

SERVER_SETTINGS=(
    listen_addresses=127.0.0.1
    max_connections=200
    max_prepared_transactions=64
    shared_buffers=256MB
    fsync=on
    full_page_writes=on
    synchronous_commit=on
    wal_level=replica
    log_min_messages=warning
    "log_line_prefix=%m [%p] %q%u@%d "
    log_timezone=UTC
    timezone=UTC
    lc_messages=C
)
READY_SECONDS=60
STOP_SECONDS=30

main() {
    local verb=${1:-help}
    shift || true
    parse_options "$@"
    case $verb in
        start | stop | kill | status | conninfo | psql | destroy)
            [[ -n $DIR ]] || die "$verb needs --dir"
            "do_$verb"
            ;;
        help | --help | -h) usage ;;
        *) refuse_verb "$verb" ;;
    esac
}

parse_options() {
    DIR='' PORT=auto PORT_VARIABLE=--port EXTRA_SETTINGS=() REST=() PROGRAMS=${TXSTREAM_POSTGRES_BIN:-}
    while (($#)); do
        case $1 in
            --dir) DIR=$(realpath -m -- "$2") && shift 2 ;;
            --port) PORT=$2 && shift 2 ;;
            --port-variable) PORT_VARIABLE=$2 && shift 2 ;;
            --bin) PROGRAMS=$2 && shift 2 ;;
            --set) EXTRA_SETTINGS+=("$2") && shift 2 ;;
            --) shift && REST=("$@") && return ;;
            *) die "unknown option $1" ;;
        esac
    done
    PID_FILE=$DIR/server.pid LOG=$DIR/postgres.log
}

# --- verbs ------------------------------------------------------------------------------------------------------------

do_start() {
    local started
    started=$(now_ms)
    find_binaries
    mkdir -p "$DIR"
    with_lock "$DIR/lock"
    if already_on_this_port; then
        say "PostgreSQL already runs on 127.0.0.1:$(cat "$DIR/port") (pid $(pid_of "$PID_FILE"))"
        return
    fi
    stop_server
    choose_user
    choose_place
    # The server's user may not be allowed where we stand, and initdb and postgres look at their working directory.
    cd /
    trap 'abandon_start' EXIT
    trap 'exit 130' INT TERM HUP
    [[ -e $DIR/data/PG_VERSION ]] || create_cluster
    launch_on_a_free_port
    trap - EXIT INT TERM HUP
    say "PostgreSQL runs on 127.0.0.1:$PORT (pid $(pid_of "$PID_FILE"), $(seconds_since "$started") s)"
}

do_stop() {
    if ! is_running "$PID_FILE"; then
        say "PostgreSQL in $DIR is not running"
        return
    fi
    stop_server
    say "PostgreSQL in $DIR stopped"
}

# Children are found before the server dies: afterwards they are orphans like any other. They would end by themselves
# when they notice, but until then they hold the shared memory and a restart is refused.
do_kill() {
    local pid child children=()
    pid=$(pid_of "$PID_FILE") || { say "PostgreSQL in $DIR is not running" && return; }
    # Stopped first, so that it cannot fork a child after we have listed them.
    kill -s STOP "$pid"
    mapfile -t children < <(children_of "$pid")
    kill_pid_file "$PID_FILE"
    for child in "${children[@]}"; do
        kill -s KILL "$child" 2>/dev/null || true
    done
    for child in "${children[@]}"; do
        wait_until 10 has_ended "$child" || die "child $child of the killed server does not end"
    done
    say "PostgreSQL in $DIR killed"
}

# Through /proc, since procps is not on every machine.
children_of() {
    cat /proc/[0-9]*/stat 2>/dev/null | awk -v parent="$1" '{ pid = $1; sub(/^.*\) /, "") } $2 == parent { print pid }' || true
}

has_ended() { ! proc_started "$1" >/dev/null; }

do_status() {
    if is_running "$PID_FILE"; then
        say "running on 127.0.0.1:$(cat "$DIR/port") (pid $(pid_of "$PID_FILE"))"
    else
        say "not running"
        exit 3
    fi
}

do_conninfo() {
    require_server
    say "host=127.0.0.1 port=$(cat "$DIR/port") user=postgres password=$(cat "$DIR/password") dbname=postgres"
}

do_psql() {
    require_server
    # PGHOSTADDR, PGOPTIONS and their like are about the caller's own servers.
    unset "${!PG@}"
    find_binaries
    PGPASSWORD=$(cat "$DIR/password") exec "$PG_BIN/psql" -h 127.0.0.1 -p "$(cat "$DIR/port")" -U postgres -d postgres \
        --no-psqlrc --set ON_ERROR_STOP=1 "${REST[@]}"
}

# Without the port of ours, psql would take 5432 and find somebody else's server there.
require_server() { [[ -s $DIR/port && -s $DIR/password ]] || die "no server was ever started in $DIR"; }

do_destroy() {
    do_kill
    local link
    for link in "$DIR/data" "$DIR/run"; do
        [[ ! -L $link ]] || remove_outside_place "$(dirname "$(readlink "$link")")"
    done
    rm -rf "$DIR"
}

# --- where and as whom ------------------------------------------------------------------------------------------------

find_binaries() {
    if [[ $PROGRAMS ]]; then
        [[ -x $PROGRAMS/postgres && -x $PROGRAMS/initdb ]] || die "$PROGRAMS has no PostgreSQL (--bin, TXSTREAM_POSTGRES_BIN)"
        PG_BIN=$PROGRAMS
        return
    fi
    local candidate
    for candidate in /usr/lib/postgresql/15/bin "$(pg_config --bindir 2>/dev/null || true)"; do
        if [[ -x $candidate/postgres && -x $candidate/initdb && $("$candidate/postgres" -V) == *' 15.'* ]]; then
            PG_BIN=$candidate
            return
        fi
    done
    die "PostgreSQL 15 is missing; install the Debian package postgresql-15 (make deps does it)"
}

# PostgreSQL refuses to run as root.
choose_user() {
    AS_USER=()
    SERVER_USER=$(id -un)
    ((EUID == 0)) || return 0
    SERVER_USER=postgres
    id postgres >/dev/null 2>&1 || SERVER_USER=nobody
    AS_USER=(setpriv "--reuid=$SERVER_USER" "--regid=$(id -g "$SERVER_USER")" --clear-groups --no-new-privs --)
}

# Finds a place for data and socket that the server's user can reach, and makes DIR/data and DIR/run lead to it.
choose_place() {
    local outside place
    outside=/var/tmp/txstream-$(id -u)-$(printf %s "$DIR" | hash_of)
    if [[ -L $DIR/data ]]; then
        place=$(dirname "$(readlink "$DIR/data")")
        make_outside_place "$place"
    elif "${AS_USER[@]}" test -x "$DIR"; then
        place=$DIR
    else
        say "user $SERVER_USER cannot reach $DIR; the data goes to $outside"
        place=$outside
        make_outside_place "$place"
        ln -sfnT "$place/data" "$DIR/data"
    fi
    PLACE=$place
    choose_socket_directory "$outside"
}

# The kernel takes 107 bytes for a socket's path, the file name included.
choose_socket_directory() {
    RUN=$PLACE/run
    local longest=$RUN/.s.PGSQL.65535
    if ((${#longest} > 107)); then
        make_outside_place "$1"
        RUN=$1/run
    fi
    [[ $RUN == "$DIR/run" ]] || ln -sfnT "$RUN" "$DIR/run"
    make_server_directory "$RUN" 0755
}

# /var/tmp is open to everyone: a directory that somebody else put there under our name is not used.
make_outside_place() {
    mkdir -m 0711 "$1" 2>/dev/null || true
    [[ -d $1 && ! -L $1 && $(stat -c %u "$1") == "$EUID" ]] || die "$1 exists and is not ours; remove it"
}

remove_outside_place() {
    [[ $1 == /var/tmp/txstream-* && -d $1 && ! -L $1 && $(stat -c %u "$1") == "$EUID" ]] || return 0
    rm -rf "$1"
}

make_server_directory() {
    mkdir -p "$1"
    chmod "$2" "$1"
    ((EUID != 0)) || chown "$SERVER_USER:" "$1"
}

# --- the cluster ------------------------------------------------------------------------------------------------------

# Made beside its final place and renamed, so that an interrupted initdb leaves nothing that looks finished.
create_cluster() {
    local fresh=$PLACE/fresh
    rm -rf "$fresh"
    make_server_directory "$fresh" 0700
    (umask 077 && random_token 32 >"$DIR/password")
    install -m 0600 "$DIR/password" "$fresh/password"
    ((EUID != 0)) || chown "$SERVER_USER:" "$fresh/password"
    # --no-sync: a cluster lost to a power cut one second after its birth is simply made again.
    if ! "${AS_USER[@]}" "$PG_BIN/initdb" --pgdata="$fresh/data" --username=postgres --pwfile="$fresh/password" \
        --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync --no-instructions >"$DIR/initdb.log" 2>&1; then
        tail_of "$DIR/initdb.log"
        die "initdb failed"
    fi
    echo "include = 'txstream.conf'" >>"$fresh/data/postgresql.conf"
    mv "$fresh/data" "$PLACE/data"
    rm -rf "$fresh"
}

write_settings() {
    local setting file=$DIR/data/txstream.conf
    {
        echo "# Written by $(basename "$0") at each start; ALTER SYSTEM overrides it."
        for setting in "${SERVER_SETTINGS[@]}" "port=$PORT" "unix_socket_directories=$RUN" "${EXTRA_SETTINGS[@]}"; do
            printf "%s = '%s'\n" "${setting%%=*}" "${setting#*=}"
        done
    } >"$file"
    ((EUID != 0)) || chown "$SERVER_USER:" "$file"
}

# --- start and stop ---------------------------------------------------------------------------------------------------

already_on_this_port() {
    is_running "$PID_FILE" && is_ready && [[ $PORT == auto || $PORT == "$(cat "$DIR/port")" ]]
}

launch_on_a_free_port() {
    local attempt automatic=0
    [[ $PORT != auto ]] || automatic=1
    for attempt in 1 2 3 4 5; do
        if ((automatic)); then
            PORT=$(cat "$DIR/port" 2>/dev/null || free_port 1)
            ! port_is_taken "$PORT" || PORT=$(free_port 1)
        elif port_is_taken "$PORT"; then
            port_taken_message "$PORT" PostgreSQL "$PORT_VARIABLE"
            exit "$EXIT_PORT_TAKEN"
        fi
        ! launch || return 0
        # Somebody else was faster between our look and the server's bind: only then another try can help.
        grep -q 'could not bind IPv4 address' "$LOG.start" || break
        rm -f "$DIR/port"
    done
    tail_of "$LOG.start"
    die "PostgreSQL did not start ($attempt attempts); its log is $LOG"
}

launch() {
    write_settings
    remove_stale_lock_files
    echo "$PORT" >"$DIR/port"
    local log_size
    log_size=$(stat -c %s "$LOG" 2>/dev/null || echo 0)
    spawn "$PID_FILE" "$LOG" "${AS_USER[@]}" "$PG_BIN/postgres" -D "$PLACE/data"
    wait_until "$READY_SECONDS" settled || true
    tail -c "+$((log_size + 1))" "$LOG" >"$LOG.start"
    is_ready
}

settled() { is_ready || is_gone "$PID_FILE"; }

# What pg_ctl looks at: the eighth line of postmaster.pid. Better than asking the port, which might be somebody else's.
is_ready() {
    local lines=()
    mapfile -t lines 2>/dev/null <"$DIR/data/postmaster.pid" || return 1
    [[ ${lines[0]:-} == "$(pid_of "$PID_FILE")" && ${lines[7]:-} == ready* ]]
}

# After a SIGKILL the lock files remain, and when their pid has been given to some other process (or its zombie waits to
# be collected) the server believes that one to be itself and refuses to start. A real one would have the data directory
# as its working directory.
remove_stale_lock_files() {
    local file=$DIR/data/postmaster.pid pid=
    { read -r pid <"$file"; } 2>/dev/null || true
    if [[ -z $pid || $(readlink "/proc/$pid/cwd" 2>/dev/null) != "$(realpath "$DIR/data")" ]]; then
        rm -f "$file" "$RUN"/.s.PGSQL.*
    fi
}

# SIGINT is PostgreSQL's "fast" shutdown; SIGTERM would wait for every session to leave by itself.
stop_server() { stop_pid_file "$PID_FILE" INT "$STOP_SECONDS"; }

abandon_start() {
    stop_server
    rm -rf "${PLACE:-$DIR}/fresh"
}

main "$@"
