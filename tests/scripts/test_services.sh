#!/usr/bin/env bash
# tools/services/*.sh against the real servers.
#
#   tests/scripts/test_services.sh [TEST]...
set -euo pipefail
# shellcheck source=tests/scripts/harness.sh
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

sql() { "$POSTGRES" psql --dir "$1" -- -Atc "$2"; }
records() { kcat -b "$("$KAFKA" bootstrap --dir "$1")" -C -t t -e -q -o beginning; }
produce() { echo "$2" | kcat -b "$("$KAFKA" bootstrap --dir "$1")" -P -t t -X acks=all; }

test_postgres_keeps_its_data_over_stop_and_kill() {
    "$POSTGRES" start --dir "$WORK/pg" --port auto
    local port
    port=$(<"$WORK/pg/port")
    sql "$WORK/pg" 'CREATE TABLE t AS SELECT 1 AS n'
    "$POSTGRES" stop --dir "$WORK/pg"
    exits 3 "$POSTGRES" status --dir "$WORK/pg"
    "$POSTGRES" start --dir "$WORK/pg" --port auto
    sql "$WORK/pg" 'INSERT INTO t VALUES (2)'
    "$POSTGRES" kill --dir "$WORK/pg"
    exits 3 "$POSTGRES" status --dir "$WORK/pg"
    "$POSTGRES" start --dir "$WORK/pg" --port auto
    [[ $(sql "$WORK/pg" 'SELECT sum(n) FROM t') == 3 ]]
    [[ $(<"$WORK/pg/port") == "$port" ]]
    exits 0 "$POSTGRES" status --dir "$WORK/pg"
}

test_postgres_is_durable_private_and_not_root() {
    "$POSTGRES" start --dir "$WORK/pg" --port auto --set work_mem=7MB
    [[ $(sql "$WORK/pg" "SELECT string_agg(current_setting(s), ' ') FROM unnest('{fsync,synchronous_commit,wal_level,listen_addresses,max_prepared_transactions,max_connections,work_mem}'::text[]) s") == \
        'on on replica 127.0.0.1 64 200 7MB' ]]
    [[ $(stat -c %a "$WORK/pg/password") == 600 ]]
    [[ $(stat -c %u "/proc/$(pid_of "$WORK/pg/server.pid")") != 0 ]]
    psql "$("$POSTGRES" conninfo --dir "$WORK/pg")" -Atc 'SELECT 1'
    local port
    port=$(<"$WORK/pg/port")
    PGPASSWORD=wrong exits 2 psql -h 127.0.0.1 -p "$port" -U postgres -w -c 'SELECT 1'
    PGPASSWORD=wrong exits 2 psql -h "$WORK/pg/run" -p "$port" -U postgres -w -c 'SELECT 1'
}

test_postgres_starts_where_its_user_cannot_go() {
    mkdir -m 0700 "$WORK/closed"
    "$POSTGRES" start --dir "$WORK/closed/pg" --port auto
    [[ $(sql "$WORK/closed/pg" 'SELECT 1') == 1 ]]
    local outside
    outside=$(dirname "$(realpath "$WORK/closed/pg/data")")
    "$POSTGRES" destroy --dir "$WORK/closed/pg"
    [[ ! -e $WORK/closed/pg ]]
    # Without root there is no second user, and the data stays where it was asked for.
    ((EUID != 0)) || [[ $outside == /var/tmp/* && ! -e $outside ]]
}

test_postgres_starts_below_a_path_too_long_for_a_socket() {
    local dir length
    # The server's own limit, from just below to far above.
    for length in 75 88 89 90 91 92 93 150; do
        dir=$WORK/
        while ((${#dir} < length)); do dir+=x; done
        "$POSTGRES" start --dir "$dir" --port auto
        psql "$("$POSTGRES" conninfo --dir "$dir") host=$(realpath "$dir/run")" -Atc 'SELECT 1'
        "$POSTGRES" destroy --dir "$dir"
    done
}

test_kafka_keeps_its_records_over_stop_and_kill() {
    "$KAFKA" start --dir "$WORK/kafka" --port auto --jit c1
    local port
    port=$(<"$WORK/kafka/port")
    produce "$WORK/kafka" one
    "$KAFKA" stop --dir "$WORK/kafka"
    exits 3 "$KAFKA" status --dir "$WORK/kafka"
    "$KAFKA" start --dir "$WORK/kafka" --port auto --jit c1
    produce "$WORK/kafka" two
    "$KAFKA" kill --dir "$WORK/kafka"
    exits 3 "$KAFKA" status --dir "$WORK/kafka"
    "$KAFKA" start --dir "$WORK/kafka" --port auto --jit c1
    [[ $(records "$WORK/kafka" | sort | paste -sd,) == one,two ]]
    [[ $(<"$WORK/kafka/port") == "$port" ]]
}

test_several_brokers_with_settings_of_their_own() {
    "$KAFKA" start --dir "$WORK/a" --port auto --jit c1 --set num.partitions=3 &
    "$KAFKA" start --dir "$WORK/b" --port auto --jit c1 --set auto.create.topics.enable=false --set message.max.bytes=2000 &
    wait
    produce "$WORK/a" x
    [[ $(kcat -b "$("$KAFKA" bootstrap --dir "$WORK/a")" -L -J | jq '.topics[] | select(.topic == "t") | .partitions | length') == 3 ]]
    exits 1 kcat -b "$("$KAFKA" bootstrap --dir "$WORK/b")" -C -t t -e
}

test_a_taken_port_is_named_with_pid_and_variable() {
    local port
    port=$(free_port 2)
    listen_on "$port"
    exits 3 "$POSTGRES" start --dir "$WORK/pg" --port "$port" --port-variable STACK_PG_PORT
    says "port $port for PostgreSQL is taken by pid $FOREIGN"
    says 'set STACK_PG_PORT to another port'
    exits 3 "$KAFKA" start --dir "$WORK/kafka" --port "$port" --port-variable STACK_KAFKA_PORT
    says "port $port for Kafka is taken by pid $FOREIGN"
    exits 3 "$KAFKA" start --dir "$WORK/kafka" --port $((port - 1)) --port-variable STACK_KAFKA_PORT
    says "port $port for Kafka's controller is taken by pid $FOREIGN"
    exits 3 "$ROOT/tools/services/prometheus.sh" start --dir "$WORK/prometheus" --port "$port"
    says 'choose another one with --port'
    exits 3 "$ROOT/tools/services/alertmanager.sh" start --dir "$WORK/alertmanager" --port "$port"
    says "port $port for Alertmanager is taken by pid $FOREIGN"
    proc_started "$FOREIGN"
    is_gone "$WORK/pg/server.pid" && is_gone "$WORK/kafka/server.pid"
}

test_stop_and_kill_leave_a_process_alone_that_only_has_the_pid() {
    listen_on "$(free_port 1)"
    local dir script
    for script in postgres kafka prometheus alertmanager; do
        dir=$WORK/$script
        mkdir "$dir"
        echo "$FOREIGN 1 $(boot_id)" >"$dir/server.pid"
        exits 0 "$ROOT/tools/services/$script.sh" stop --dir "$dir"
        says 'is not running'
        exits 3 "$ROOT/tools/services/$script.sh" status --dir "$dir"
        [[ $script == prometheus || $script == alertmanager ]] || exits 0 "$ROOT/tools/services/$script.sh" kill --dir "$dir"
    done
    proc_started "$FOREIGN"
}

# Aim: wherever a start dies, the next one works. Method: SIGKILL at moments spread over the time a first start takes.
test_postgres_recovers_from_a_start_killed_anywhere() {
    local after
    for after in 0.05 0.15 0.25 0.4 0.6; do
        timeout --signal=KILL "$after" "$POSTGRES" start --dir "$WORK/pg" --port auto || true
        "$POSTGRES" start --dir "$WORK/pg" --port auto
        [[ $(sql "$WORK/pg" 'SELECT 1') == 1 ]]
        "$POSTGRES" destroy --dir "$WORK/pg"
    done
}

test_kafka_recovers_from_a_start_killed_anywhere() {
    local after
    for after in 0.1 0.3 0.8 1.3; do
        timeout --signal=KILL "$after" "$KAFKA" start --dir "$WORK/kafka" --port auto --jit c1 || true
        "$KAFKA" start --dir "$WORK/kafka" --port auto --jit c1
        produce "$WORK/kafka" "$after"
        "$KAFKA" destroy --dir "$WORK/kafka"
    done
}

test_an_interrupted_start_leaves_no_process() {
    local script
    "$KAFKA" start --dir "$WORK/kafka" --port auto --set broker.heartbeat.interval.ms=1900 &
    script=$!
    wait_until 30 is_running "$WORK/kafka/server.pid"
    kill -TERM "$script"
    if wait "$script"; then return 1; fi
    is_gone "$WORK/kafka/server.pid"
    ! port_is_taken "$(<"$WORK/kafka/port")"
}

test_two_starts_at_once_yield_one_server() {
    local pids=() pid
    for _ in 1 2; do
        "$POSTGRES" start --dir "$WORK/pg" --port auto &
        pids+=($!)
        "$KAFKA" start --dir "$WORK/kafka" --port auto --jit c1 &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid"; done
    [[ $(sql "$WORK/pg" 'SELECT 1') == 1 ]]
    produce "$WORK/kafka" x
}

test_a_mistyped_verb_is_refused() {
    local script
    for script in stack.sh services/postgres.sh services/kafka.sh services/prometheus.sh services/alertmanager.sh; do
        exits 2 "$ROOT/tools/$script" strat
        says 'unknown verb strat'
        says "${script##*/} status"
        exits 0 "$ROOT/tools/$script" help
        says "${script##*/} status"
    done
}

test_prometheus_has_the_committed_rules_and_finds_its_alertmanager() {
    local prometheus alertmanager
    prometheus=$(free_port 1) alertmanager=$(free_port 1)
    "$ROOT/tools/services/alertmanager.sh" start --dir "$WORK/alertmanager" --port "$alertmanager"
    "$ROOT/tools/services/prometheus.sh" start --dir "$WORK/prometheus" --port "$prometheus" --metrics-port 1 \
        --metrics-path "/it's" --alertmanager-port "$alertmanager"
    ask() { curl -sS --noproxy '*' "http://127.0.0.1:$1/$2"; }
    [[ $(ask "$prometheus" api/v1/rules) == *TxStreamRelayDown* ]]
    # shellcheck disable=SC2317  # called by wait_until
    found() { [[ $(ask "$prometheus" api/v1/alertmanagers) == *":$alertmanager/api/v2/alerts"* ]]; }
    wait_until 20 found
    [[ $(ask "$alertmanager" api/v2/status) == *TxStreamRelayDown* ]]
    exits 0 "$ROOT/tools/services/prometheus.sh" start --dir "$WORK/prometheus" --port "$prometheus" --metrics-port 1 \
        --metrics-path "/it's" --alertmanager-port "$alertmanager"
    says 'Prometheus already runs'
    exits 0 "$ROOT/tools/services/alertmanager.sh" start --dir "$WORK/alertmanager" --port "$alertmanager"
    says 'Alertmanager already runs'
}

test_prometheus_scrapes_each_job_it_is_given() {
    local port
    port=$(free_port 1)
    "$ROOT/tools/services/prometheus.sh" start --dir "$WORK/prometheus" --port "$port" --scrape txstream-relay=1 \
        --scrape txstream-api=2 --scrape txstream-relay=3
    # shellcheck disable=SC2317  # called by wait_until
    targets() {
        [[ $(curl -sS --noproxy '*' "http://127.0.0.1:$port/api/v1/targets" | jq -r '.data.activeTargets[].labels
            | select(.outbox == "local") | "\(.job) \(.instance)"' | sort | paste -sd,) == \
            'txstream-api 127.0.0.1:2,txstream-relay 127.0.0.1:1,txstream-relay 127.0.0.1:3' ]]
    }
    wait_until 20 targets
}

test_psql_without_a_server_of_ours_connects_nowhere() {
    # With psql's own default it would be whoever listens there.
    PGPORT=$(free_port 1)
    export PGPORT
    exits 1 "$POSTGRES" psql --dir "$WORK/none" -- -Atc 'SELECT 1'
    says "no server was ever started in $WORK/none"
    mkdir "$WORK/none"
    touch "$WORK/none/port" "$WORK/none/password"
    exits 1 "$POSTGRES" psql --dir "$WORK/none" -- -Atc 'SELECT 1'
    says "no server was ever started in $WORK/none"
    exits 1 "$POSTGRES" conninfo --dir "$WORK/none"
}

test_a_server_that_cannot_start_says_why() {
    exits 1 "$POSTGRES" start --dir "$WORK/pg" --port auto --bin "$WORK"
    says "$WORK has no PostgreSQL"
    exits 1 "$ROOT/tools/services/postgres_binaries.sh" 13
    says 'the versions are 14, 15, 16, 17, 18'
    exits 1 "$POSTGRES" start --dir "$WORK/pg" --port auto --set no_such_setting=1
    says no_such_setting
    exits 1 "$KAFKA" start --dir "$WORK/kafka" --port auto --set num.io.threads=none
    says num.io.threads
}

run_all_tests "$@"
