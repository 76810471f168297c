#!/usr/bin/env bash
# A private Grafana with TxStream's dashboards, where the machine has a Grafana: Debian has none, so this script installs none.
#
#   grafana.sh start     --dir DIR --port PORT [--prometheus-port PORT] [--scrape-interval 5s] [--port-variable NAME]
#   grafana.sh stop      --dir DIR
#   grafana.sh status    --dir DIR      exit 0 when it runs, 3 when not
#   grafana.sh available                exit 0 when the machine has one, 1 when not
#
# It listens on 127.0.0.1 only, writes only below DIR, and every visitor is an anonymous viewer. GRAFANA_HOME names the
# directory with conf/ and public/ of a Grafana that is not in /usr/share/grafana.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# The first start makes a database of its own.
READY_SECONDS=90
STOP_SECONDS=20

main() {
    local verb=${1:-help}
    shift || true
    parse_options "$@"
    case $verb in
        start | stop | status)
            [[ -n $DIR ]] || die "$verb needs --dir"
            "do_$verb"
            ;;
        available) find_grafana ;;
        help | --help | -h) usage ;;
        *) refuse_verb "$verb" ;;
    esac
}

parse_options() {
    DIR='' PORT=3000 PROMETHEUS_PORT=9090 SCRAPE_INTERVAL=5s PORT_VARIABLE=--port
    while (($#)); do
        case $1 in
            --dir) DIR=$(realpath -m -- "$2") && shift 2 ;;
            --port) PORT=$2 && shift 2 ;;
            --prometheus-port) PROMETHEUS_PORT=$2 && shift 2 ;;
            --scrape-interval) SCRAPE_INTERVAL=$2 && shift 2 ;;
            --port-variable) PORT_VARIABLE=$2 && shift 2 ;;
            *) die "unknown option $1" ;;
        esac
    done
    PID_FILE=$DIR/server.pid LOG=$DIR/grafana.log
}

# find_grafana: sets SERVER, the command, and GRAFANA_HOME. Newer versions have one program with a subcommand.
find_grafana() {
    local home=${GRAFANA_HOME:-/usr/share/grafana}
    PATH=$PATH:/usr/sbin:$home/bin
    SERVER=()
    if command -v grafana >/dev/null; then
        SERVER=("$(command -v grafana)" server)
    elif command -v grafana-server >/dev/null; then
        SERVER=("$(command -v grafana-server)")
    fi
    [[ ${#SERVER[@]} -gt 0 && -d $home/conf ]] || return 1
    GRAFANA_HOME=$home
}

do_start() {
    local started
    started=$(now_ms)
    find_grafana || die "this machine has no Grafana, and Debian has no package of it; 'make dashboards-preview' draws the same" \
        "dashboards without it. One that is unpacked somewhere is found by GRAFANA_HOME"
    mkdir -p "$DIR"
    with_lock "$DIR/lock"
    if is_running "$PID_FILE" && [[ $(cat "$DIR/port") == "$PORT $PROMETHEUS_PORT $SCRAPE_INTERVAL" ]] && is_ready; then
        say "Grafana already runs on 127.0.0.1:$PORT (pid $(pid_of "$PID_FILE"))"
        return
    fi
    stop_server
    if port_is_taken "$PORT"; then
        port_taken_message "$PORT" Grafana "$PORT_VARIABLE"
        exit "$EXIT_PORT_TAKEN"
    fi
    trap 'stop_server' EXIT
    trap 'exit 130' INT TERM HUP
    launch
    trap - EXIT INT TERM HUP
    say "Grafana runs on 127.0.0.1:$PORT (pid $(pid_of "$PID_FILE"), $(seconds_since "$started") s)"
}

do_stop() {
    if ! is_running "$PID_FILE"; then
        say "Grafana in $DIR is not running"
        return
    fi
    stop_server
    say "Grafana in $DIR stopped"
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
    write_config
    echo "$PORT $PROMETHEUS_PORT $SCRAPE_INTERVAL" >"$DIR/port"
    # Settings of another Grafana in the caller's environment would count before our file.
    local inherited=() name
    while IFS= read -r name; do inherited+=("--unset=$name"); done < <(compgen -e GF_ || true)
    spawn "$PID_FILE" "$LOG" env "${inherited[@]}" "TXSTREAM_PROMETHEUS_URL=http://127.0.0.1:$PROMETHEUS_PORT" \
        "TXSTREAM_SCRAPE_INTERVAL=$SCRAPE_INTERVAL" "TXSTREAM_DASHBOARDS=$TXS_ROOT/deploy/grafana/dashboards" \
        "${SERVER[@]}" "--homepath=$GRAFANA_HOME" "--config=$DIR/grafana.ini"
    wait_until "$READY_SECONDS" settled || true
    is_ready || {
        tail_of "$LOG"
        die "Grafana did not start; its log is $LOG"
    }
}

# Nothing is asked of the world outside: no updates, no news, no plugins, no statistics.
write_config() {
    cat >"$DIR/grafana.ini" <<CONFIG
# Written by $(basename "$0") at each start.
[paths]
data = $DIR/data
logs = $DIR/log
plugins = $DIR/plugins
provisioning = $TXS_ROOT/deploy/grafana/provisioning
[server]
http_addr = 127.0.0.1
http_port = $PORT
[log]
mode = console
[dashboards]
default_home_dashboard_path = $TXS_ROOT/deploy/grafana/dashboards/txstream-overview.json
min_refresh_interval = 1s
[auth]
disable_login_form = true
[auth.anonymous]
enabled = true
org_role = Viewer
[security]
disable_initial_admin_creation = true
[analytics]
reporting_enabled = false
check_for_updates = false
check_for_plugin_updates = false
[news]
news_feed_enabled = false
[plugins]
preinstall_disabled = true
public_key_retrieval_disabled = true
CONFIG
}

settled() { is_ready || is_gone "$PID_FILE"; }

is_ready() {
    local pid
    pid=$(pid_of "$PID_FILE") && pid_listens "$pid" "$PORT" &&
        curl --silent --fail --noproxy '*' --max-time 2 --output /dev/null "http://127.0.0.1:$PORT/api/health"
}

stop_server() { stop_pid_file "$PID_FILE" TERM "$STOP_SECONDS"; }

main "$@"
