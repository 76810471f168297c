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
# shellcheck source=tools/services/web_service.sh
source "$(dirname "${BASH_SOURCE[0]}")/web_service.sh"

SERVICE=Grafana
READY_PATH=/api/health
# The first start makes a database of its own.
READY_SECONDS=90
STOP_SECONDS=20
FURTHER_VERBS=(available)

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

do_available() { find_grafana; }

require_server() {
    find_grafana || die "this machine has no Grafana, and Debian has no package of it; 'make dashboards-preview' draws the same" \
        "dashboards without it. One that is unpacked somewhere is found by GRAFANA_HOME"
}

identity() { echo "$PORT $PROMETHEUS_PORT $SCRAPE_INTERVAL"; }

run_server() {
    write_config
    # Settings of another Grafana in the caller's environment would count before our file.
    local inherited=() name
    while IFS= read -r name; do inherited+=("--unset=$name"); done < <(compgen -e GF_ || true)
    spawn "$PID_FILE" "$LOG" env "${inherited[@]}" "TXSTREAM_PROMETHEUS_URL=http://127.0.0.1:$PROMETHEUS_PORT" \
        "TXSTREAM_SCRAPE_INTERVAL=$SCRAPE_INTERVAL" "TXSTREAM_DASHBOARDS=$TXS_ROOT/deploy/grafana/dashboards" \
        "${SERVER[@]}" "--homepath=$GRAFANA_HOME" "--config=$DIR/grafana.ini"
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

main "$@"
