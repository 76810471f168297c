#!/usr/bin/env bash
# A private Alertmanager with the routes and inhibitions of deploy/prometheus/alertmanager.yml.
#
#   alertmanager.sh start  --dir DIR --port PORT [--webhook URL] [--port-variable NAME]
#   alertmanager.sh stop   --dir DIR
#   alertmanager.sh status --dir DIR      exit 0 when it runs, 3 when not
#
# Notifications go to URL/page and URL/ticket. Without --webhook alerts are grouped and shown, and notify no one.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

TEMPLATE=$TXS_ROOT/deploy/prometheus/alertmanager.yml
# The receivers' address in there.
EXAMPLE_WEBHOOK=http://127.0.0.1:9099
READY_SECONDS=30
STOP_SECONDS=10

main() {
    local verb=${1:-help}
    shift || true
    parse_options "$@"
    case $verb in
        start | stop | status)
            [[ -n $DIR ]] || die "$verb needs --dir"
            "do_$verb"
            ;;
        help | --help | -h) usage ;;
        *) refuse_verb "$verb" ;;
    esac
}

parse_options() {
    DIR='' PORT=9093 WEBHOOK='' PORT_VARIABLE=--port
    while (($#)); do
        case $1 in
            --dir) DIR=$(realpath -m -- "$2") && shift 2 ;;
            --port) PORT=$2 && shift 2 ;;
            --webhook) WEBHOOK=${2%/} && shift 2 ;;
            --port-variable) PORT_VARIABLE=$2 && shift 2 ;;
            *) die "unknown option $1" ;;
        esac
    done
    PID_FILE=$DIR/server.pid LOG=$DIR/alertmanager.log
}

do_start() {
    local started
    started=$(now_ms)
    require_command prometheus-alertmanager prometheus-alertmanager
    mkdir -p "$DIR"
    with_lock "$DIR/lock"
    if is_running "$PID_FILE" && [[ $(cat "$DIR/port") == "$(identity)" ]] && is_ready; then
        say "Alertmanager already runs on 127.0.0.1:$PORT (pid $(pid_of "$PID_FILE"))"
        return
    fi
    stop_server
    if port_is_taken "$PORT"; then
        port_taken_message "$PORT" Alertmanager "$PORT_VARIABLE"
        exit "$EXIT_PORT_TAKEN"
    fi
    trap 'stop_server' EXIT
    trap 'exit 130' INT TERM HUP
    launch
    trap - EXIT INT TERM HUP
    say "Alertmanager runs on 127.0.0.1:$PORT (pid $(pid_of "$PID_FILE"), $(seconds_since "$started") s)"
}

do_stop() {
    if ! is_running "$PID_FILE"; then
        say "Alertmanager in $DIR is not running"
        return
    fi
    stop_server
    say "Alertmanager in $DIR stopped"
}

do_status() {
    if is_running "$PID_FILE"; then
        say "running on 127.0.0.1:$(cut -d' ' -f1 "$DIR/port") (pid $(pid_of "$PID_FILE"))"
    else
        say "not running"
        exit 3
    fi
}

launch() {
    config >"$DIR/alertmanager.yml"
    identity >"$DIR/port"
    # An empty cluster address: the only one of its kind, without a second port for gossip.
    spawn "$PID_FILE" "$LOG" prometheus-alertmanager "--config.file=$DIR/alertmanager.yml" "--storage.path=$DIR/data" \
        --cluster.listen-address= "--web.listen-address=127.0.0.1:$PORT"
    wait_until "$READY_SECONDS" settled || true
    is_ready || {
        tail_of "$LOG"
        die "Alertmanager did not start; its log is $LOG"
    }
}

# The port, and what else makes a running one the wanted one.
identity() { echo "$PORT $(config | hash_of)"; }

config() {
    if [[ -n $WEBHOOK ]]; then
        sed "s|$EXAMPLE_WEBHOOK|$WEBHOOK|" "$TEMPLATE"
    else
        sed -E '/^ +webhook_configs:/d; /^ +- url:/d' "$TEMPLATE"
    fi
}

settled() { is_ready || is_gone "$PID_FILE"; }

is_ready() {
    local pid
    pid=$(pid_of "$PID_FILE") && pid_listens "$pid" "$PORT" &&
        curl --silent --fail --noproxy '*' --max-time 2 --output /dev/null "http://127.0.0.1:$PORT/-/ready"
}

stop_server() { stop_pid_file "$PID_FILE" TERM "$STOP_SECONDS"; }

main "$@"
