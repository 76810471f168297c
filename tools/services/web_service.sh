# shellcheck shell=bash disable=SC2153,SC2154  # the script that sources it sets them
# What prometheus.sh, alertmanager.sh and grafana.sh share: start, stop and status of one server below DIR, with one port, that
# says over HTTP when it is ready. Sourced; the script then defines
#
#   SERVICE, READY_PATH, READY_SECONDS, STOP_SECONDS
#   parse_options ARG...   sets DIR, PORT and PORT_VARIABLE
#   require_server         ends with a message when the machine lacks it
#   identity               one line, the port first: what makes a running server the wanted one
#   run_server             writes its configuration and spawns it, as PID_FILE and LOG say
#
# and calls main "$@". Further verbs are functions do_VERB that FURTHER_VERBS names; they get no --dir.
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

FURTHER_VERBS=()

main() {
    local verb=${1:-help}
    shift || true
    parse_options "$@"
    PID_FILE=$DIR/server.pid LOG=$DIR/${SERVICE,,}.log
    case $verb in
        start | stop | status)
            [[ -n $DIR ]] || die "$verb needs --dir"
            "do_$verb"
            ;;
        help | --help | -h) usage ;;
        *)
            [[ " ${FURTHER_VERBS[*]} " == *" $verb "* ]] || refuse_verb "$verb"
            "do_$verb"
            ;;
    esac
}

do_start() {
    local started
    started=$(now_ms)
    require_server
    mkdir -p "$DIR"
    with_lock "$DIR/lock"
    if is_running "$PID_FILE" && [[ $(cat "$DIR/port") == "$(identity)" ]] && is_ready; then
        say "$SERVICE already runs on 127.0.0.1:$PORT (pid $(pid_of "$PID_FILE"))"
        return
    fi
    stop_server
    if port_is_taken "$PORT"; then
        port_taken_message "$PORT" "$SERVICE" "$PORT_VARIABLE"
        exit "$EXIT_PORT_TAKEN"
    fi
    trap 'stop_server' EXIT
    trap 'exit 130' INT TERM HUP
    launch
    trap - EXIT INT TERM HUP
    say "$SERVICE runs on 127.0.0.1:$PORT (pid $(pid_of "$PID_FILE"), $(seconds_since "$started") s)"
}

do_stop() {
    if ! is_running "$PID_FILE"; then
        say "$SERVICE in $DIR is not running"
        return
    fi
    stop_server
    say "$SERVICE in $DIR stopped"
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
    identity >"$DIR/port"
    run_server
    wait_until "$READY_SECONDS" settled || true
    is_ready || {
        tail_of "$LOG"
        die "$SERVICE did not start; its log is $LOG"
    }
}

settled() { is_ready || is_gone "$PID_FILE"; }

is_ready() {
    local pid
    pid=$(pid_of "$PID_FILE") && pid_listens "$pid" "$PORT" &&
        curl --silent --fail --noproxy '*' --max-time 2 --output /dev/null "http://127.0.0.1:$PORT$READY_PATH"
}

stop_server() { stop_pid_file "$PID_FILE" TERM "$STOP_SECONDS"; }
