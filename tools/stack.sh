#!/usr/bin/env bash
# The whole system on this machine: PostgreSQL, Kafka, Prometheus, Alertmanager and txstream, all private and below var/;
# and Grafana, where it is installed.
#
#   stack.sh up         make start-all   builds what is missing and starts everything
#   stack.sh down       make stop-all    ends exactly what was started here
#   stack.sh status     make status      exit 0 when everything runs, 3 when not
#   stack.sh addresses  make addresses   where everything is, with a link that opens the most useful graphs
#   stack.sh services                    all but txstream
#   stack.sh console up|down             the console alone, or the link of the one that runs (make console)
#   stack.sh run ARGS   make run         txstream ARGS in the foreground, against these services (started if needed)
#   stack.sh debug ARGS make debug       txstream api ARGS of the dev build under gdb, likewise
#   stack.sh health     make health      what the API says about itself
#   stack.sh logs       make logs        follows txstream's log
#   stack.sh clean      make clean       down, then removes var/ and build/
#
# Ports of the services: STACK_PG_PORT, STACK_KAFKA_PORT (and the one above it), STACK_PROMETHEUS_PORT,
# STACK_ALERTMANAGER_PORT, STACK_GRAFANA_PORT. All else is txstream's own configuration, from the environment and .env as
# always; but the database, the broker and the addresses are those of this stack, whatever is said there. What was chosen
# stands in var/stack.env, in a form that a shell can source.
#
# STACK_DIR is the directory for all of it (var/), STACK_BINARY another txstream than the release build; nothing is built
# then. STACK_SCRAPE says what Prometheus looks at, as JOB=PORT JOB=PORT ..., where it is not the one txstream that `up`
# starts. So a second system can run beside the first: the demo does (tools/demo).
#
# It may be interrupted anywhere, even by SIGKILL: each part can be recognised as ours afterwards, `up` takes over what
# runs and starts the rest, `down` ends it. When `up` fails, it ends what it started and leaves what it found.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

VAR=$(realpath -m -- "${STACK_DIR:-$TXS_ROOT/var}")
ENV_FILE=$VAR/stack.env
DOTENV=$TXS_ROOT/.env
HOME_DIR=$VAR/stack
LOG=$VAR/log/txstream.log
PID_FILE=$HOME_DIR/txstream.pid
PASSWORD_FILE=$HOME_DIR/txstream_user.password
LINK_TOKEN_FILE=$HOME_DIR/console_link.token
BINARY=$(realpath -m -- "${STACK_BINARY:-$TXS_ROOT/build/release/txstream}")
SERVICES=(postgres kafka prometheus alertmanager)
declare -A TITLES=([postgres]=PostgreSQL [kafka]=Kafka [prometheus]=Prometheus [alertmanager]=Alertmanager [grafana]=Grafana)
declare -A PORT_VARIABLES=([postgres]=STACK_PG_PORT [kafka]=STACK_KAFKA_PORT [prometheus]=STACK_PROMETHEUS_PORT
    [alertmanager]=STACK_ALERTMANAGER_PORT [grafana]=STACK_GRAFANA_PORT)
# Below those that the kernel gives to outgoing connections, or one of them holds ours now and then. Alertmanager's own
# default is the port of Kafka's controller.
declare -A USUAL_PORTS=([postgres]=15432 [kafka]=9092 [prometheus]=9090 [alertmanager]=9094 [grafana]=3000)
READY_SECONDS=30
# More than txstream's own deadline for draining what is in flight.
STOP_SECONDS=40
# What we must know of txstream's configuration to build the rest around it.
ASKED_NAMES=(SERVER_PORT METRICS_PORT METRICS_PATH CONSOLE_PORT KAFKA_TOPIC_EVENTS)
# What leads to a database, a broker or an address, and counts neither in the caller's environment nor in .env.
OWN_NAMES='DATABASE_(URL|HOST|PORT|USER|NAME|SSL_MODE|PASSWORD|PASSWORD_FILE)'
OWN_NAMES+='|KAFKA_(BROKERS|TOPIC_REPLICATION_FACTOR|SECURITY_PROTOCOL|SASL_[A-Z_]+|SSL_[A-Z_]+)'
OWN_NAMES+='|KAFKA_PROPERTY_(SECURITY|SASL|SSL)__\w+|SERVER_HOST|METRICS_HOST|METRICS_ENABLED|PG[A-Z]+'
OWN_NAMES+='|CONSOLE_(HOST|ENABLED|BASE_PATH|LINK_TOKEN|LINK_TOKEN_FILE|TLS_[A-Z_]+)'

# shellcheck source=tools/stack/addresses.sh
source "$TXS_ROOT/tools/stack/addresses.sh"
# shellcheck source=tools/stack/console.sh
source "$TXS_ROOT/tools/stack/console.sh"

main() {
    local verb=${1:-help}
    shift || true
    cd "$TXS_ROOT"
    # Debian has no Grafana, so it is the one that may be missing. One that we have started can be ended all the same.
    if tools/services/grafana.sh available || [[ -e $HOME_DIR/grafana/server.pid ]]; then SERVICES+=(grafana); fi
    # Without a trap bash forgets a SIGINT that came while it waited for a program which did not die of it.
    trap 'exit 130' INT TERM HUP
    case $verb in
        up | down | status | addresses | services | console | run | debug | health | logs | clean) "do_$verb" "$@" ;;
        help | --help | -h) usage ;;
        *) refuse_verb "$verb" ;;
    esac
}

# --- verbs ------------------------------------------------------------------------------------------------------------

do_up() {
    local began
    began=$(now_ms)
    lock_stack
    keep_what_runs
    read_ports
    if everything_runs; then
        say "The system already runs."
        print_urls
        print_next_commands
        return
    fi
    refuse_taken_ports
    prepare "$began"
    settle
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
    keep_what_runs
    read_ports
    if services_run; then
        return
    fi
    refuse_taken_ports
    prepare "$(now_ms)"
    settle
    remember_what_runs
    trap 'undo_start' EXIT
    start_services
    create_database
    trap - EXIT
}

do_down() {
    lock_stack
    end_console
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
        printf '%-14s' "$service"
        service "$service" status || all=3
    done
    has_grafana || printf '%-14s%s\n' grafana "not installed"
    printf '%-14s' txstream
    if is_running "$PID_FILE"; then
        say "running on 127.0.0.1:$(remembered SERVER_PORT) (pid $(pid_of "$PID_FILE"))"
    else
        say "not running"
        all=3
    fi
    return "$all"
}

do_addresses() {
    [[ -e $ENV_FILE ]] || die "nothing was started here yet; make start-all does it"
    # shellcheck source=/dev/null
    source "$ENV_FILE"
    print_urls
}

do_run() {
    (($#)) || die "run what? (api, relay, migrate up, ...)"
    prepare_foreground "$1"
    # An --env-file of the caller's is an answer to what we would say.
    [[ " $*" != *' --env-file'* ]] || TXSTREAM=("$BINARY")
    exec "${TXSTREAM[@]}" "$@"
}

do_debug() {
    prepare_foreground api
    exec gdb --args "$TXS_ROOT/build/dev/txstream" "${TXSTREAM[@]:1}" api "$@"
}

# prepare_foreground COMMAND: services, binary, schema and environment for it.
prepare_foreground() {
    "$TXS_SCRIPT" services
    read_ports
    build
    ask_txstream export_environment
    case $1 in
        api) refuse_own_port "$SERVER_PORT" "the API" SERVER_PORT ;;
        relay) refuse_own_port "$METRICS_PORT" "the metrics" METRICS_PORT ;;
        console) refuse_own_port "$CONSOLE_PORT" "the console" CONSOLE_PORT ;;
    esac
    export_environment
    [[ $1 == migrate ]] || "${TXSTREAM[@]}" migrate up
}

refuse_own_port() {
    port_is_ours_to_take "$@" && return
    ! is_running "$PID_FILE" || warn "(make start-all runs API and relay already; make stop-all ends them)"
    exit "$EXIT_PORT_TAKEN"
}

do_health() {
    local port=${SERVER_PORT:-}
    # That of the caller may be for an API in the foreground; one in the background has what it was started with.
    [[ -n $port ]] && ! is_running "$PID_FILE" || port=$(remembered SERVER_PORT)
    : "${port:=8080}"
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
    if [[ -n ${STACK_DIR:-} ]]; then
        do_down
        remove_system
        return
    fi
    for run in "$VAR"/test-*/; do
        ! is_running "$run/owner" || die "make test is at work here (pid $(pid_of "$run/owner")); end it first"
    done
    ! is_running "$VAR/demo/owner" || die "make demo is at work here (pid $(pid_of "$VAR/demo/owner")); end it first"
    do_down
    for run in "$VAR"/test-*/; do
        [[ ! -d $run ]] || tools/run_tests.sh --remove "${run%/}"
    done
    # What a killed demo left.
    [[ ! -d $VAR/demo/system ]] || STACK_DIR=$VAR/demo/system "$TXS_SCRIPT" clean
    remove_system
    # The lock is a file in there; it stays ours until we end.
    rm -rf "$VAR" "$TXS_ROOT/build"
}

# Only what we have put there: STACK_DIR may be any directory.
remove_system() {
    ! [[ -d $HOME_DIR/postgres ]] || tools/services/postgres.sh destroy --dir "$HOME_DIR/postgres" >/dev/null
    rm -rf "$HOME_DIR" "${LOG%/*}" "$ENV_FILE"
}

lock_stack() { with_lock "$VAR/stack.lock" "another make start-all or stop-all of this checkout is at work; waiting for it"; }

# --- settings ---------------------------------------------------------------------------------------------------------

# What runs in the background stays as it is, whatever the caller's shell says by now. Not for `run`, whose own ports have
# nothing to do with it.
keep_what_runs() {
    local name value
    mkdir -p "$HOME_DIR" "${LOG%/*}"
    [[ -s $PASSWORD_FILE ]] || make_secret "$PASSWORD_FILE"
    [[ -s $LINK_TOKEN_FILE ]] || make_secret "$LINK_TOKEN_FILE"
    is_running "$PID_FILE" && [[ -e $ENV_FILE ]] || return 0
    for name in "${ASKED_NAMES[@]}"; do
        value=$(remembered "$name")
        printf -v "$name" %s "$value"
    done
}

# remembered NAME: what was chosen at the last start; nothing when there was none.
remembered() {
    [[ -e $ENV_FILE ]] || return 0
    (
        unset "$1"
        # shellcheck source=/dev/null
        source "$ENV_FILE"
        printf %s "${!1:-}"
    )
}

# All that is wrong with them is said here, before anything is built or started for minutes.
read_ports() {
    local service name names
    for service in "${SERVICES[@]}"; do
        name=${PORT_VARIABLES[$service]}
        printf -v "$name" %s "${!name:-${USUAL_PORTS[$service]}}"
        keep_running_port "$service" "$name"
    done
    mapfile -t names < <(port_variables)
    for name in "${ASKED_NAMES[@]}"; do
        # An empty one means the default, as with those of the services.
        if [[ -z ${!name:-} ]]; then unset "$name"; elif [[ $name == *_PORT ]]; then names+=("$name"); fi
    done
    refuse_bad_ports "${names[@]}"
}

port_variables() {
    local service
    for service in "${SERVICES[@]}"; do echo "${PORT_VARIABLES[$service]}"; done
}

keep_running_port() {
    local port
    service_runs "$1" || return 0
    read -r port _ <"$HOME_DIR/$1/port"
    printf -v "$2" %s "$port"
}

# refuse_bad_ports NAME...: each is a port, and none is that of another.
refuse_bad_ports() {
    local name port bad=0
    local -A of=()
    for name in "$@"; do
        port=${!name}
        if ! [[ $port =~ ^[1-9][0-9]{0,4}$ ]] || ((port > 65535)); then
            warn "$name=$port is not a port from 1 to 65535"
            bad=1
            continue
        fi
        if [[ $name == STACK_KAFKA_PORT ]]; then
            ((port < 65535)) || { warn "$name=$port leaves no port above it for Kafka's controller" && bad=1; }
            name_port $((port + 1)) "$name+1"
        fi
        name_port "$port" "$name"
    done
    ((!bad)) || exit "$EXIT_USAGE"
}

name_port() {
    if [[ -n ${of[$1]:-} ]]; then
        warn "${of[$1]} and $2 are both $1; one of them must change"
        bad=1
    fi
    of[$1]=$2
}

# With the binary at hand: what it makes of environment and .env is what we go by, and its complaints come before
# anything is started.
settle() {
    ask_txstream export_background_environment
    refuse_taken_ports
    write_settings >"$ENV_FILE.new"
    mv "$ENV_FILE.new" "$ENV_FILE"
}

# ask_txstream ENVIRONMENT: as what that function exports.
ask_txstream() {
    local name value answer code=0 complaints=$HOME_DIR/config.log
    copy_dotenv
    ("$1" && "${TXSTREAM[@]}" config check >/dev/null 2>"$complaints") || code=$?
    if ((code)); then
        # The copy is no name to a reader.
        sed "s|$HOME_DIR/dotenv|.env|g" "$complaints" >&2
        warn "the configuration has mistakes; nothing was started"
        exit "$code"
    fi
    answer=$("$1" && "${TXSTREAM[@]}" config print -o json 2>/dev/null)
    for name in "${ASKED_NAMES[@]}"; do
        value=$(jq -r --arg name "$name" '.[] | select(.name == $name).value' <<<"$answer")
        printf -v "$name" %s "$value"
    done
    local names
    mapfile -t names < <(port_variables)
    refuse_bad_ports "${names[@]}" SERVER_PORT METRICS_PORT CONSOLE_PORT
}

# Sets TXSTREAM, the command to run. A variable of the environment wins over one of .env, but the parameters of a
# DATABASE_URL there would still come through, and a _FILE that is not there would be a mistake. So txstream reads a copy
# in which those names are others, that it does not look at. Lines and their numbers stay.
copy_dotenv() {
    TXSTREAM=("$BINARY")
    [[ -e $DOTENV ]] || return 0
    (
        umask 077
        LC_ALL=C sed -E "s/^((\xEF\xBB\xBF)?[[:blank:]]*(export[[:blank:]]+)?)(($OWN_NAMES)[[:blank:]]*=)/\1STACK_IGNORES_\4/I" \
            "$DOTENV" >"$HOME_DIR/dotenv.new"
        mv "$HOME_DIR/dotenv.new" "$HOME_DIR/dotenv"
    ) || die "$DOTENV cannot be read"
    TXSTREAM+=(--env-file "$HOME_DIR/dotenv")
}

# Whole, or not at all: what reads it may come at any moment.
make_secret() { (umask 077 && random_token 32 >"$1.new" && mv "$1.new" "$1"); }

write_settings() {
    local name value
    echo "# Written by tools/stack.sh; made anew at each start."
    while IFS='=' read -r name value; do
        printf '%s=%q\n' "$name" "$value"
    done < <(
        while read -r name; do echo "$name=${!name}"; done < <(port_variables)
        own_settings
        for name in "${ASKED_NAMES[@]}"; do echo "$name=${!name}"; done
    )
}

# One broker, so what may be replicated elsewhere has one copy here.
own_settings() {
    cat <<SETTINGS
SERVER_HOST=127.0.0.1
METRICS_HOST=127.0.0.1
METRICS_ENABLED=true
CONSOLE_HOST=127.0.0.1
CONSOLE_ENABLED=true
CONSOLE_LINK_TOKEN_FILE=$LINK_TOKEN_FILE
DATABASE_HOST=127.0.0.1
DATABASE_PORT=$STACK_PG_PORT
DATABASE_USER=txstream_user
DATABASE_NAME=txstream_db
DATABASE_SSL_MODE=disable
DATABASE_PASSWORD_FILE=$PASSWORD_FILE
KAFKA_BROKERS=127.0.0.1:$STACK_KAFKA_PORT
KAFKA_SECURITY_PROTOCOL=plaintext
KAFKA_TOPIC_REPLICATION_FACTOR=1
SETTINGS
}

# For txstream.
export_environment() {
    local name value names
    mapfile -t names < <(compgen -e | grep -xiE "$OWN_NAMES")
    ((${#names[@]} == 0)) || unset "${names[@]}"
    while IFS='=' read -r name value; do
        export "$name=$value"
    done < <(own_settings)
    for name in "${ASKED_NAMES[@]}"; do
        [[ -z ${!name:-} ]] || export "${name?}"
    done
}

# In the foreground the terminal and the caller decide about the log; here it is read from a file of ours.
export_background_environment() {
    export_environment
    export LOGGING_FORMAT=json LOGGING_OUTPUT_PATH=
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

everything_runs() { services_run && is_running "$PID_FILE" && all_is_known && txstream_is_ready; }

# Not when var/stack.env is gone, or of a version that knew less.
all_is_known() {
    local name
    for name in "${ASKED_NAMES[@]}"; do
        [[ -n ${!name:-} ]] || return 1
    done
}

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
    local service name bad=0
    for service in "${SERVICES[@]}"; do
        name=${PORT_VARIABLES[$service]}
        service_runs "$service" || port_is_ours_to_take "${!name}" "${TITLES[$service]}" "$name" || bad=1
    done
    service_runs kafka || port_is_ours_to_take $((STACK_KAFKA_PORT + 1)) "Kafka's controller" STACK_KAFKA_PORT || bad=1
    is_running "$PID_FILE" || port_is_ours_to_take "$(likely SERVER_PORT 8080)" "the API" SERVER_PORT || bad=1
    is_running "$PID_FILE" || port_is_ours_to_take "$(likely METRICS_PORT 9091)" "the metrics" METRICS_PORT || bad=1
    is_running "$PID_FILE" || is_running "$CONSOLE_PID_FILE" || port_is_ours_to_take "$(likely CONSOLE_PORT 8082)" "the console" CONSOLE_PORT || bad=1
    ((!bad)) || exit "$EXIT_PORT_TAKEN"
}

# likely NAME DEFAULT: before the binary is built only .env may know better; then this is nothing, and looked at later.
likely() {
    if [[ -n ${!1:-} ]]; then
        echo "${!1}"
    elif ! grep -qE "^[[:blank:]]*(export[[:blank:]]+)?$1[[:blank:]]*=" "$DOTENV" 2>/dev/null; then
        echo "$2"
    fi
}

port_is_ours_to_take() {
    [[ -n $1 ]] && port_is_taken "$1" || return 0
    port_taken_message "$@"
    return 1
}

# Packages, the binary and Kafka's jars. The fetch overlaps with the compiler, both may take long the first time only.
prepare() {
    tools/deps.sh build run
    tools/services/kafka.sh fetch &
    local fetch=$!
    build
    wait "$fetch" || exit 1
    say "packages, binary and Kafka's jars are there ($(seconds_since "$1") s)"
}

build() {
    if [[ -z ${STACK_BINARY:-} ]]; then
        tools/build.sh release
    else
        [[ -x $BINARY ]] || die "STACK_BINARY=$STACK_BINARY cannot be executed"
    fi
}

start_services() {
    local service name pids=() pid code=0
    for service in "${SERVICES[@]}"; do
        name=${PORT_VARIABLES[$service]}
        options_of "$service"
        service "$service" start --port "${!name}" --port-variable "$name" "${OPTIONS[@]}" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || code=$?
    done
    return "$code"
}

# options_of SERVICE: sets OPTIONS.
options_of() {
    local one
    OPTIONS=()
    case $1 in
        prometheus)
            OPTIONS=(--alertmanager-port "$STACK_ALERTMANAGER_PORT" --metrics-path "$METRICS_PATH")
            for one in ${STACK_SCRAPE:-"txstream-serve=$METRICS_PORT"}; do OPTIONS+=(--scrape "$one"); done
            ;;
        grafana) OPTIONS=(--prometheus-port "$STACK_PROMETHEUS_PORT") ;;
    esac
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
    (export_background_environment && "${TXSTREAM[@]}" migrate up) >"$log" 2>&1 || {
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
    # It takes the console's port.
    end_console
    # Good once: a link that was used, or seen by others, opens nothing after the next start.
    make_secret "$LINK_TOKEN_FILE"
    (export_background_environment && spawn "$PID_FILE" "$LOG" "${TXSTREAM[@]}" serve)
    wait_until "$READY_SECONDS" txstream_settled || true
    txstream_is_ready || {
        tail -c "+$((log_size + 1))" "$LOG" >"$LOG.start"
        tail_of "$LOG.start"
        die "txstream is not ready after $(seconds_since "$started") s; its log is $LOG"
    }
    say "txstream runs on 127.0.0.1:$SERVER_PORT (pid $(pid_of "$PID_FILE"), $(seconds_since "$started") s)"
}

txstream_settled() { txstream_is_ready || is_gone "$PID_FILE"; }

txstream_is_ready() {
    local pid
    pid=$(pid_of "$PID_FILE") && pid_listens "$pid" "$SERVER_PORT" &&
        curl --silent --fail --noproxy '*' --max-time 2 --output /dev/null "http://127.0.0.1:$SERVER_PORT/readyz"
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

main "$@"
