#!/usr/bin/env bash
# A private Prometheus that scrapes a txstream on this machine, with the rules of deploy/prometheus.
#
#   prometheus.sh start  --dir DIR --port PORT [--metrics-port PORT | --scrape JOB=PORT...] [--metrics-path PATH]
#                        [--alertmanager-port PORT] [--port-variable NAME]
#   prometheus.sh stop   --dir DIR
#   prometheus.sh status --dir DIR      exit 0 when it runs, 3 when not
#
# --metrics-port PORT is --scrape txstream-serve=PORT; deploy/prometheus/prometheus.yml says which jobs there are. Without
# --alertmanager-port alerts are evaluated and shown, and notify no one.
set -euo pipefail
# shellcheck source=tools/services/web_service.sh
source "$(dirname "${BASH_SOURCE[0]}")/web_service.sh"

SERVICE=Prometheus
READY_PATH=/-/ready
RULES=$TXS_ROOT/deploy/prometheus/rules
READY_SECONDS=30
STOP_SECONDS=10

parse_options() {
    DIR='' PORT=9090 METRICS_PORT=9091 SCRAPES=() METRICS_PATH=/metrics ALERTMANAGER_PORT='' GRAFANA_PORT=3000 PORT_VARIABLE=--port
    while (($#)); do
        case $1 in
            --dir) DIR=$(realpath -m -- "$2") && shift 2 ;;
            --port) PORT=$2 && shift 2 ;;
            --metrics-port) METRICS_PORT=$2 && shift 2 ;;
            --scrape) SCRAPES+=("$2") && shift 2 ;;
            --metrics-path) METRICS_PATH=$2 && shift 2 ;;
            --alertmanager-port) ALERTMANAGER_PORT=$2 && shift 2 ;;
            --grafana-port) GRAFANA_PORT=$2 && shift 2 ;;
            --port-variable) PORT_VARIABLE=$2 && shift 2 ;;
            *) die "unknown option $1" ;;
        esac
    done
    ((${#SCRAPES[@]})) || SCRAPES=("txstream-serve=$METRICS_PORT")
}

require_server() { require_command prometheus prometheus; }

run_server() {
    config >"$DIR/prometheus.yml"
    spawn "$PID_FILE" "$LOG" prometheus "--config.file=$DIR/prometheus.yml" "--storage.tsdb.path=$DIR/data" \
        --storage.tsdb.retention.time=200h "--web.listen-address=127.0.0.1:$PORT"
}

# The port, and what else makes a running one the wanted one: its configuration and the rules.
identity() { echo "$PORT $({ config && cat "$RULES"/*.yml; } | hash_of)"; }

# The shape of deploy/prometheus/prometheus.yml, so that its rules find the names of jobs and labels they expect.
config() {
    local rules="$RULES/*.yml" docs="file://$TXS_ROOT"
    cat <<CONFIG
# Written by $(basename "$0") at each start.
global:
  scrape_interval: 5s
  evaluation_interval: 5s
  external_labels:
    docs: '${docs//\'/\'\'}'
    grafana: 'http://127.0.0.1:$GRAFANA_PORT'
rule_files:
  - '${rules//\'/\'\'}'
scrape_configs:
  - job_name: prometheus
    static_configs:
      - targets: ['127.0.0.1:$PORT']
CONFIG
    scrape_jobs
    [[ -z $ALERTMANAGER_PORT ]] || cat <<CONFIG
alerting:
  alert_relabel_configs:
    - action: labeldrop
      regex: docs|grafana
  alertmanagers:
    - static_configs:
        - targets: ['127.0.0.1:$ALERTMANAGER_PORT']
CONFIG
}

# A job for each name, with all targets of that name.
scrape_jobs() {
    local one job
    while read -r job; do
        cat <<CONFIG
  - job_name: $job
    metrics_path: '${METRICS_PATH//\'/\'\'}'
    static_configs:
      - labels:
          outbox: local
        targets:
CONFIG
        for one in "${SCRAPES[@]}"; do
            [[ ${one%=*} != "$job" ]] || echo "          - '127.0.0.1:${one#*=}'"
        done
    done < <(printf '%s\n' "${SCRAPES[@]%=*}" | sort -u)
}

main "$@"
