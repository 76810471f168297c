# shellcheck shell=bash
# What tools/stack.sh says at the end: where everything is, and what to do next. Sourced by it, with the ports set.

# What the link opens, one graph each. docs/metrics.md says what the metrics mean.
GRAPHS=(
    # What keeps events from being delivered: each cause is 0 or 1.
    'max by (reason) (txstream_delivery_blocked)'
    # Events a second, into the outbox and out to Kafka.
    'label_replace(sum(rate(txstream_outbox_events_appended_total[1m])), "flow", "in", "", "") or label_replace(sum(rate(txstream_events_published_total[1m])), "flow", "out", "", "")'
    # Backlog.
    'sum(txstream_events_in_queue{status="pending"})'
    # Age of the oldest event that waits, in seconds; 0 when none does.
    '(time() - (max(txstream_outbox_oldest_pending_timestamp_seconds) > 0)) or max(txstream_outbox_oldest_pending_timestamp_seconds)'
    # From COMMIT to Kafka'"'"'s acknowledgement, in seconds.
    'histogram_quantile(0.99, sum by (le) (rate(txstream_event_end_to_end_duration_seconds_bucket[1m])))'
    # Parked events.
    'sum(txstream_events_in_queue{status="dead_letter"})'
)

print_urls() {
    local prometheus=http://127.0.0.1:$STACK_PROMETHEUS_PORT
    cat <<URLS

  API           http://127.0.0.1:$SERVER_PORT
  Console       http://127.0.0.1:$CONSOLE_PORT/#token=$(cat "$LINK_TOKEN_FILE")  (good once; later without the token)
  Metrics       http://127.0.0.1:$METRICS_PORT$METRICS_PATH
  Prometheus    $prometheus
  Alerts        $prometheus/alerts
  Alertmanager  http://127.0.0.1:$STACK_ALERTMANAGER_PORT
  Grafana       $(grafana_address)
  Kafka         127.0.0.1:$STACK_KAFKA_PORT
  PostgreSQL    postgresql://txstream_user@127.0.0.1:$STACK_PG_PORT/txstream_db  (password in ${PASSWORD_FILE#"$TXS_ROOT/"})
  Logs          $(dirname "${LOG#"$TXS_ROOT/"}")

Causes, events in and out, backlog, oldest age, latency and dead letters as graphs:

$prometheus/graph?$(graphs_query)
URLS
}

has_grafana() { [[ " ${SERVICES[*]} " == *' grafana '* ]]; }

grafana_address() {
    if has_grafana; then
        echo "http://127.0.0.1:$STACK_GRAFANA_PORT"
    else
        echo "is not installed; make dashboards-preview draws its dashboards as pictures"
    fi
}

# The form that the pages of Prometheus 2 have: g0.expr=...&g0.tab=0&g1.expr=...
graphs_query() {
    jq --null-input --raw-output '[$ARGS.positional | to_entries[]
        | "g\(.key).expr=\(.value | @uri)&g\(.key).tab=0&g\(.key).range_input=15m"] | join("&")' --args "${GRAPHS[@]}"
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

kcat -C -e -o beginning -b 127.0.0.1:$STACK_KAFKA_PORT -t $KAFKA_TOPIC_EVENTS

make stop-all
COMMANDS
}
