#!/usr/bin/env bash
# A private Alertmanager with the routes and inhibitions of deploy/prometheus/alertmanager.yml.
#
#   alertmanager.sh start  --dir DIR --port PORT [--webhook URL] [--port-variable NAME]
#   alertmanager.sh stop   --dir DIR
#   alertmanager.sh status --dir DIR      exit 0 when it runs, 3 when not
#
# Notifications go to URL/page and URL/ticket. Without --webhook alerts are grouped and shown, and notify no one.
set -euo pipefail
# shellcheck source=tools/services/web_service.sh
source "$(dirname "${BASH_SOURCE[0]}")/web_service.sh"

SERVICE=Alertmanager
READY_PATH=/-/ready
TEMPLATE=$TXS_ROOT/deploy/prometheus/alertmanager.yml
# The receivers' address in there.
EXAMPLE_WEBHOOK=http://127.0.0.1:9099
READY_SECONDS=30
STOP_SECONDS=10

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
}

require_server() { require_command prometheus-alertmanager prometheus-alertmanager; }

run_server() {
    config >"$DIR/alertmanager.yml"
    # An empty cluster address: the only one of its kind, without a second port for gossip.
    spawn "$PID_FILE" "$LOG" prometheus-alertmanager "--config.file=$DIR/alertmanager.yml" "--storage.path=$DIR/data" \
        --cluster.listen-address= "--web.listen-address=127.0.0.1:$PORT"
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

main "$@"
