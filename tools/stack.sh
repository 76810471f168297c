#!/usr/bin/env bash
# The whole system on this machine: PostgreSQL, Kafka, Prometheus and txstream, all private and below var/.
#
#   stack.sh up         make start-all   builds what is missing and starts everything
#   stack.sh down       make stop-all    ends exactly what was started here
#   stack.sh status     make status      exit 0 when everything runs, 3 when not
#   stack.sh services                    PostgreSQL, Kafka and Prometheus only
#   stack.sh run ARGS   make run         txstream ARGS in the foreground, against these services (started if needed)
#   stack.sh debug ARGS make debug       txstream api ARGS of the dev build under gdb, likewise
#   stack.sh health     make health      what the API says about itself
#   stack.sh logs       make logs        follows txstream's log
#   stack.sh clean      make clean       down, then removes var/ and build/
#
# Ports: STACK_PG_PORT, STACK_KAFKA_PORT (and the one above it), STACK_PROMETHEUS_PORT, SERVER_PORT, METRICS_PORT.
# What was chosen stands in var/stack.env, in a form that a shell can source.
#
# It may be interrupted anywhere, even by SIGKILL: each part can be recognised as ours afterwards, `up` takes over what
# runs and starts the rest, `down` ends it. When `up` fails, it ends what it started and leaves what it found.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

VAR=$TXS_ROOT/var
ENV_FILE=$VAR/stack.env
HOME_DIR=$VAR/stack
LOG=$VAR/log/txstream.log
PID_FILE=$HOME_DIR/txstream.pid
PASSWORD_FILE=$HOME_DIR/txstream_user.password
BINARY=$TXS_ROOT/build/release/txstream
SERVICES=(postgres kafka prometheus)
READY_SECONDS=30
# More than txstream's own deadline for draining what is in flight.
STOP_SECONDS=40

main() {
    local verb=${1:-help}
    shift || true
    cd "$TXS_ROOT"
    # Without a trap bash forgets a SIGINT that came while it waited for a program which did not die of it.
    trap 'exit 130' INT TERM HUP
    case $verb in
        up | down | status | services | run | debug | health | logs | clean) "do_$verb" "$@" ;;
        help | --help | -h) usage ;;
        *) refuse_verb "$verb" ;;
    esac
}

# --- verbs ------------------------------------------------------------------------------------------------------------

do_up() {
    local began
    began=$(now_ms)
    lock_stack
    choose_settings
    if everything_runs; then
        say "The system already runs."
        print_urls
        print_next_commands
        return
    fi
    refuse_taken_ports
    prepare "$began"
    began=$(now_ms)
    remember_what_runs
    trap 'undo_start' EXIT
    start_services
    create_database
    migrate
    start_txstream
    trap - EXIT
    say "The system is up ($(seconds_since "$began") s)."
    print_urls
    print_next_commands
}

do_services() {
    lock_stack
    choose_settings
    if services_run; then
        return
    fi
    refuse_taken_ports
    prepare "$(now_ms)"
    remember_what_runs
    trap 'undo_start' EXIT
    start_services
    create_database
    trap - EXIT
}

do_down() {
    lock_stack
    if is_running "$PID_FILE"; then
        stop_pid_file "$PID_FILE" TERM "$STOP_SECONDS"
        say "txstream stopped"
    else
        say "txstream is not running"
    fi
    for_all_services stop
}

do_status() {
    local service all=0
    for service in "${SERVICES[@]}"; do
        printf '%-12s' "$service"
        service "$service" status || all=3
    done
    printf '%-12s' txstream
    if is_running "$PID_FILE"; then
        say "running on 127.0.0.1:$(sed -n 's/^SERVER_PORT=//p' "$ENV_FILE") (pid $(pid_of "$PID_FILE"))"
    else
        say "not running"
        all=3
    fi
    return "$all"
}

do_run() {
    (($#)) || die "run what? (api, relay, migrate up, ...)"
    prepare_foreground "$1"
    exec "$BINARY" "$@"
}

do_debug() {
    prepare_foreground api
    exec gdb --args "$TXS_ROOT/build/dev/txstream" api "$@"
}

# prepare_foreground COMMAND: services, binary, schema and environment for it.
prepare_foreground() {
    local format=${LOGGING_FORMAT:-}
    "$TXS_SCRIPT" services
    read_settings
    case $1 in
        api) refuse_own_port "$SERVER_PORT" "the API" SERVER_PORT ;;
        relay) refuse_own_port "$METRICS_PORT" "the metrics" METRICS_PORT ;;
    esac
    tools/build.sh release
    export_environment
    # In the foreground the terminal decides the format, unless the caller does.
    if [[ -n $format ]]; then export LOGGING_FORMAT=$format; else unset LOGGING_FORMAT; fi
    [[ $1 == migrate ]] || "$BINARY" migrate up
}

refuse_own_port() {
    port_is_ours_to_take "$@" && return
    ! is_running "$PID_FILE" || warn "(make start-all runs API and relay already; make stop-all ends them)"
    exit "$EXIT_PORT_TAKEN"
}

do_health() {
    local port=${SERVER_PORT:-8080}
    ! is_running "$PID_FILE" || port=$(sed -n 's/^SERVER_PORT=//p' "$ENV_FILE")
    curl --silent --show-error --noproxy '*' --max-time 5 "http://127.0.0.1:$port/health" \
        --write-out '\nHTTP %{http_code}\n' --fail-with-body || {
        warn "no healthy API on port $port; make status shows what runs"
        exit 1
    }
}

do_logs() {
    [[ -e $LOG ]] || die "there is no log yet; make start-all starts txstream, make run logs to the terminal"
    exec tail -n 100 -F "$LOG"
}

do_clean() {
    local run
    for run in "$VAR"/test-*/; do
        ! is_running "$run/owner" || die "make test is at work here (pid $(pid_of "$run/owner")); end it first"
    done
    do_down
    for run in "$VAR"/test-*/; do
        [[ ! -d $run ]] || tools/run_tests.sh --remove "${run%/}"
    done
    ! [[ -d $HOME_DIR/postgres ]] || tools/services/postgres.sh destroy --dir "$HOME_DIR/postgres" >/dev/null
    # The lock is a file in there; it stays ours until we end.
    rm -rf "$VAR" "$TXS_ROOT/build"
}

lock_stack() { with_lock "$VAR/stack.lock" "another make start-all or stop-all of this checkout is at work; waiting for it"; }

# --- settings ---------------------------------------------------------------------------------------------------------

# What runs stays where it is; then counts what the caller set, then the defaults.
read_settings() {
    : "${STACK_PG_PORT:=54320}" "${STACK_KAFKA_PORT:=9092}" "${STACK_PROMETHEUS_PORT:=9090}"
    keep_running_port postgres STACK_PG_PORT
    keep_running_port kafka STACK_KAFKA_PORT
    keep_running_port prometheus STACK_PROMETHEUS_PORT
    SERVER_HOST=127.0.0.1
    : "${SERVER_PORT:=8080}" "${METRICS_PORT:=9091}"
}

keep_running_port() {
    local port
    service_runs "$1" || return 0
    read -r port _ <"$HOME_DIR/$1/port"
    printf -v "$2" %s "$port"
}

# For everything but `run`, whose own ports have nothing to do with those of a txstream in the background.
choose_settings() {
    mkdir -p "$HOME_DIR" "${LOG%/*}"
    if is_running "$PID_FILE" && [[ -e $ENV_FILE ]]; then
        SERVER_PORT=$(sed -n 's/^SERVER_PORT=//p' "$ENV_FILE")
        METRICS_PORT=$(sed -n 's/^METRICS_PORT=//p' "$ENV_FILE")
    fi
    read_settings
    [[ -s $PASSWORD_FILE ]] || (umask 077 && random_token 32 >"$PASSWORD_FILE.new" && mv "$PASSWORD_FILE.new" "$PASSWORD_FILE")
    write_settings >"$ENV_FILE.new"
    mv "$ENV_FILE.new" "$ENV_FILE"
}

write_settings() {
    local name value
    echo "# Written by tools/stack.sh; made anew at each start."
    while IFS='=' read -r name value; do
        printf '%s=%q\n' "$name" "$value"
    done < <(settings)
}

settings() {
    cat <<SETTINGS
STACK_PG_PORT=$STACK_PG_PORT
STACK_KAFKA_PORT=$STACK_KAFKA_PORT
STACK_PROMETHEUS_PORT=$STACK_PROMETHEUS_PORT
SERVER_HOST=$SERVER_HOST
SERVER_PORT=$SERVER_PORT
METRICS_PORT=$METRICS_PORT
DATABASE_HOST=127.0.0.1
DATABASE_PORT=$STACK_PG_PORT
DATABASE_USER=txstream_user
DATABASE_NAME=txstream_db
DATABASE_SSL_MODE=disable
DATABASE_PASSWORD_FILE=$PASSWORD_FILE
KAFKA_BROKERS=127.0.0.1:$STACK_KAFKA_PORT
LOGGING_FORMAT=json
SETTINGS
}

# For txstream: without the ports of the services, which are no settings of its own.
export_environment() {
    local name value
    while IFS='=' read -r name value; do
        export "$name=$value"
    done < <(settings | grep -v '^STACK_')
    # A password or URL from the caller's shell would lead to another database.
    unset DATABASE_PASSWORD DATABASE_URL "${!PG@}"
}

# --- what runs --------------------------------------------------------------------------------------------------------

# service NAME VERB...: the script that looks after it.
service() {
    local name=$1
    shift
    "tools/services/$name.sh" "$1" --dir "$HOME_DIR/$name" "${@:2}"
}

service_runs() { is_running "$HOME_DIR/$1/server.pid"; }

services_run() {
    local service
    for service in "${SERVICES[@]}"; do
        service_runs "$service" || return 1
    done
}

everything_runs() { services_run && is_running "$PID_FILE" && txstream_is_ready; }

remember_what_runs() {
    local service
    FOUND_RUNNING=' '
    for service in "${SERVICES[@]}"; do
        ! service_runs "$service" || FOUND_RUNNING+="$service "
    done
}

# --- up ---------------------------------------------------------------------------------------------------------------

# All of them at once and before the compiler runs, so that nobody waits minutes for the second message.
refuse_taken_ports() {
    local bad=0
    service_runs postgres || port_is_ours_to_take "$STACK_PG_PORT" PostgreSQL STACK_PG_PORT || bad=1
    service_runs kafka || port_is_ours_to_take "$STACK_KAFKA_PORT" Kafka STACK_KAFKA_PORT || bad=1
    service_runs kafka || port_is_ours_to_take $((STACK_KAFKA_PORT + 1)) "Kafka's controller" STACK_KAFKA_PORT || bad=1
    service_runs prometheus || port_is_ours_to_take "$STACK_PROMETHEUS_PORT" Prometheus STACK_PROMETHEUS_PORT || bad=1
    is_running "$PID_FILE" || port_is_ours_to_take "$SERVER_PORT" "the API" SERVER_PORT || bad=1
    is_running "$PID_FILE" || port_is_ours_to_take "$METRICS_PORT" "the metrics" METRICS_PORT || bad=1
    ((!bad)) || exit "$EXIT_PORT_TAKEN"
}

port_is_ours_to_take() {
    port_is_taken "$1" || return 0
    port_taken_message "$@"
    return 1
}

# Packages, the binary and Kafka's jars. The fetch overlaps with the compiler, both may take long the first time only.
prepare() {
    tools/deps.sh build run
    tools/services/kafka.sh fetch &
    local fetch=$!
    tools/build.sh release
    wait "$fetch" || exit 1
    say "packages, binary and Kafka's jars are there ($(seconds_since "$1") s)"
}

start_services() {
    local pids=() pid code=0
    service postgres start --port "$STACK_PG_PORT" --port-variable STACK_PG_PORT &
    pids+=($!)
    service kafka start --port "$STACK_KAFKA_PORT" --port-variable STACK_KAFKA_PORT &
    pids+=($!)
    service prometheus start --port "$STACK_PROMETHEUS_PORT" --port-variable STACK_PROMETHEUS_PORT \
        --metrics-port "$METRICS_PORT" &
    pids+=($!)
    for pid in "${pids[@]}"; do
        wait "$pid" || code=$?
    done
    return "$code"
}

# CREATEROLE, because the migrations create the roles for writers, relays and readers. Through stdin: arguments of a
# command, and with them the password, can be read by every user of the machine.
create_database() {
    service postgres psql -- --quiet <<SQL >/dev/null
SELECT 'CREATE ROLE txstream_user' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'txstream_user') \gexec
ALTER ROLE txstream_user LOGIN CREATEROLE PASSWORD '$(cat "$PASSWORD_FILE")';
SELECT 'CREATE DATABASE txstream_db OWNER txstream_user'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'txstream_db') \gexec
SQL
}

migrate() {
    local log=${LOG%/*}/migrate.log
    (export_environment && "$BINARY" migrate up) >"$log" 2>&1 || {
        local code=$?
        tail_of "$log"
        warn "the migrations failed (exit code $code); their output is $log"
        return "$code"
    }
}

start_txstream() {
    local started log_size
    started=$(now_ms)
    if is_running "$PID_FILE"; then
        wait_until "$READY_SECONDS" txstream_settled || true
        ! txstream_is_ready || return 0
        stop_pid_file "$PID_FILE" TERM "$STOP_SECONDS"
    fi
    log_size=$(stat -c %s "$LOG" 2>/dev/null || echo 0)
    (export_environment && spawn "$PID_FILE" "$LOG" "$BINARY" serve)
    wait_until "$READY_SECONDS" txstream_settled || true
    txstream_is_ready || {
        tail -c "+$((log_size + 1))" "$LOG" >"$LOG.start"
        tail_of "$LOG.start"
        die "txstream is not ready after $(seconds_since "$started") s; its log is $LOG"
    }
    say "txstream runs on $SERVER_HOST:$SERVER_PORT (pid $(pid_of "$PID_FILE"), $(seconds_since "$started") s)"
}

txstream_settled() { txstream_is_ready || is_gone "$PID_FILE"; }

txstream_is_ready() {
    local pid
    pid=$(pid_of "$PID_FILE") && pid_listens "$pid" "$SERVER_PORT" &&
        curl --silent --fail --noproxy '*' --max-time 2 --output /dev/null "http://$SERVER_HOST:$SERVER_PORT/readyz"
}

# Nothing half-started remains, and nothing is ended that ran before us.
# shellcheck disable=SC2317  # called by a trap
undo_start() {
    local code=$? service
    trap '' INT TERM HUP
    warn "start abandoned; ending what it had started"
    # Starts that are still under way, or they would come up behind our back.
    wait
    stop_pid_file "$PID_FILE" TERM "$STOP_SECONDS"
    for service in "${SERVICES[@]}"; do
        [[ $FOUND_RUNNING == *" $service "* ]] || service "$service" stop >&2 || true
    done
    exit "$code"
}

# --- down -------------------------------------------------------------------------------------------------------------

for_all_services() {
    local service pids=() pid code=0
    for service in "${SERVICES[@]}"; do
        service "$service" "$1" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || code=$?
    done
    return "$code"
}

# --- what is said -----------------------------------------------------------------------------------------------------

print_urls() {
    cat <<URLS

  API          http://127.0.0.1:$SERVER_PORT
  Metrics      http://127.0.0.1:$METRICS_PORT/metrics
  Prometheus   http://127.0.0.1:$STACK_PROMETHEUS_PORT
  Kafka        127.0.0.1:$STACK_KAFKA_PORT
  PostgreSQL   postgresql://txstream_user@127.0.0.1:$STACK_PG_PORT/txstream_db  (password in ${PASSWORD_FILE#"$TXS_ROOT/"})
  Logs         ${LOG#"$TXS_ROOT/"}
URLS
}

print_next_commands() {
    local address='{"street": "Rua Demo", "number": "123", "city": "São Paulo", "state": "SP", "zip_code": "01234-567", "country": "Brasil"}'
    cat <<COMMANDS

Next: post an order, read its event back from Kafka, and end it all.

curl -sS -H 'Content-Type: application/json' http://127.0.0.1:$SERVER_PORT/api/v1/orders -d '{
  "customer_id": "demo-1", "order_number": "ORD-001",
  "items": [{"product_id": "prod-1", "product_name": "Produto Demo", "quantity": 1, "unit_price": 100.00}],
  "shipping_address": $address,
  "billing_address": $address
}'

kcat -C -e -o beginning -b 127.0.0.1:$STACK_KAFKA_PORT -t ${KAFKA_TOPIC_EVENTS:-txstream.events}

make stop-all
COMMANDS
}

main "$@"
