#!/usr/bin/env bash
# tools/stack.sh (make start-all, stop-all, run ...) with real services and a stand-in for txstream.
#
# Each test works in a small checkout of its own: the scripts under test, and a CMake project whose "build" copies the
# stand-in to where the binary belongs. So no test disturbs or waits for the real build. Of the real binary (TXSTREAM_BIN,
# or one that is built) it takes the answers about the configuration, so that the two cannot come to differ.
#
#   tests/scripts/test_stack.sh [TEST]...
set -euo pipefail
# shellcheck source=tests/scripts/harness.sh
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

STACK=tools/stack.sh
for preset in dev release; do
    [[ -n ${TXSTREAM_BIN:-} || ! -x $ROOT/build/$preset/txstream ]] || TXSTREAM_BIN=$ROOT/build/$preset/txstream
done
export TXSTREAM_BIN

make_checkout() {
    export TXSTREAM_WEB=off
    mkdir -p "$WORK/checkout/web"
    cd "$WORK/checkout"
    cp -r "$ROOT/tools" "$ROOT/deploy" "$ROOT/Makefile" .
    cat >CMakePresets.json <<'JSON'
{"version": 3,
 "configurePresets": [{"name": "release", "generator": "Ninja", "binaryDir": "${sourceDir}/build/release"}],
 "buildPresets": [{"name": "release", "configurePreset": "release"}]}
JSON
    cat >CMakeLists.txt <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(stand_in NONE)
configure_file(stand_in.py ${CMAKE_BINARY_DIR}/txstream COPYONLY)
CMAKE
    cat >stand_in.py <<'PYTHON'
#!/usr/bin/python3
import http.server, json, os, signal, sys, threading, time
argv = sys.argv[1:]
options = [argv.pop(0), argv.pop(0)] if argv[0] == "--env-file" else []
real = [os.environ["TXSTREAM_BIN"], *options]
if argv[0] == "config":
    os.execv(real[0], [*real, *argv])
print(json.dumps({"argv": argv, "format": os.environ.get("LOGGING_FORMAT")}), flush=True)
if argv[0] == "migrate":
    print("STAND_IN_MIGRATE_CODE" in os.environ and "no such luck" or "nothing to do")
    sys.exit(int(os.environ.get("STAND_IN_MIGRATE_CODE", "0")))
if "STAND_IN_DIES" in os.environ:
    sys.exit("the stand-in gives up")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
settings = {one["name"]: one["value"] for one in json.loads(os.popen(f"'{real[0]}' {' '.join(options)} config print -o json").read())}
print(json.dumps({"settings": settings}), flush=True)
def serve(port, path, body):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found = self.path in path
            self.send_response(200 if found else 404); self.end_headers(); self.wfile.write(body if found else b"")
        def log_message(self, *_): pass
    http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
if argv[0] == "console":
    print(json.dumps({"msg": "listening", "component": "console", "port": int(settings["CONSOLE_PORT"])}, separators=(",", ":")), flush=True)
    serve(settings["CONSOLE_PORT"], ["/livez"], b"{}")
metrics = settings["METRICS_PORT"], [settings["METRICS_PATH"]], b"stand_in 1\n"
threading.Thread(target=serve, args=metrics, daemon=True).start()
serve(settings["SERVER_PORT"], ["/readyz", "/health"], b'{"status": "healthy"}')
PYTHON
    chmod +x stand_in.py
    local base
    base=$(free_port 9)
    export STACK_PG_PORT=$base STACK_KAFKA_PORT=$((base + 1)) STACK_PROMETHEUS_PORT=$((base + 3))
    export SERVER_PORT=$((base + 4)) METRICS_PORT=$((base + 5))
    export STACK_ALERTMANAGER_PORT=$((base + 6)) STACK_GRAFANA_PORT=$((base + 7)) CONSOLE_PORT=$((base + 8))
}

nothing_runs() {
    exits 3 "$STACK" status
    [[ $OUTPUT != *'running on'* ]] || {
        echo "something still runs:"
        echo "$OUTPUT"
        return 1
    }
    local port
    for port in "$STACK_PG_PORT" "$STACK_KAFKA_PORT" "$STACK_PROMETHEUS_PORT" "$STACK_ALERTMANAGER_PORT" "$SERVER_PORT"; do
        port_is_taken "$port" || continue
        echo "port $port is still taken by $(port_owner "$port")"
        return 1
    done
}

pids() { for file in var/stack/*/server.pid var/stack/txstream.pid; do pid_of "$file" || true; done | paste -sd' '; }

test_up_twice_and_down_twice() {
    make_checkout
    exits 0 make start-all
    says 'The system is up'
    says "http://127.0.0.1:$SERVER_PORT"
    says "kcat -C -e -o beginning -b 127.0.0.1:$STACK_KAFKA_PORT -t txstream.events"
    local before
    before=$(pids)
    exits 0 make start-all
    says 'The system already runs.'
    says "http://127.0.0.1:$SERVER_PORT"
    [[ $(pids) == "$before" ]]
    exits 0 env --unset=STACK_PROMETHEUS_PORT --unset=STACK_ALERTMANAGER_PORT make addresses
    says "Alerts        http://127.0.0.1:$STACK_PROMETHEUS_PORT/alerts"
    says "Alertmanager  http://127.0.0.1:$STACK_ALERTMANAGER_PORT"
    prometheus_understands_the_link "$OUTPUT"
    exits 0 make status
    says "alertmanager  running on 127.0.0.1:$STACK_ALERTMANAGER_PORT"
    exits 0 make health
    says healthy
    exits 0 make stop-all
    nothing_runs
    exits 0 make stop-all
    says 'txstream is not running'
    # The data is still there.
    exits 0 make start-all
    exits 0 make clean
    nothing_runs
    [[ ! -e var && ! -e build ]]
}

# Whether its graphs show something is for a txstream to decide: tests/integration/test_demo.py.
prometheus_understands_the_link() {
    /usr/bin/python3 - "$1" <<'PYTHON'
import re, sys, urllib.parse, urllib.request
link = urllib.parse.urlsplit(re.search(r"^http://\S+/graph\?\S+$", sys.argv[1], re.M)[0])
query = urllib.parse.parse_qs(link.query)
assert len(query) == 18, query
for number in range(6):
    ask = urllib.parse.urlencode({"query": query[f"g{number}.expr"][0]})
    urllib.request.urlopen(f"http://{link.netloc}/api/v1/query?{ask}").read()
PYTHON
}

test_a_taken_port_starts_nothing_and_names_all() {
    make_checkout
    listen_on "$STACK_KAFKA_PORT"
    local first=$FOREIGN
    mv "$WORK/foreign.pid" "$WORK/first.pid"
    listen_on "$STACK_ALERTMANAGER_PORT"
    mv "$WORK/foreign.pid" "$WORK/second.pid"
    listen_on "$SERVER_PORT"
    exits 3 "$STACK" up
    says "port $STACK_KAFKA_PORT for Kafka is taken by pid $first"
    says 'set STACK_KAFKA_PORT to another port'
    says "port $STACK_ALERTMANAGER_PORT for Alertmanager is taken"
    says 'set STACK_ALERTMANAGER_PORT to another port'
    says "port $SERVER_PORT for the API is taken by pid $FOREIGN"
    says 'set SERVER_PORT to another port'
    [[ ! -e build ]]
    proc_started "$first"
    proc_started "$FOREIGN"
    exits 3 "$STACK" status
    [[ $OUTPUT != *'running on'* ]]
}

# A stand-in, since there is no Debian package: what tools/services/grafana.sh asks of a real one has a test of its own.
make_grafana() {
    mkdir -p "$WORK/grafana/conf" "$WORK/bin"
    cat >"$WORK/bin/grafana" <<'PYTHON'
#!/usr/bin/python3
import http.server, re, sys
config = open(next(one for one in sys.argv if one.startswith("--config=")).removeprefix("--config=")).read()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(re.search(r"http_port = (\d+)", config)[1])), Handler).serve_forever()
PYTHON
    chmod +x "$WORK/bin/grafana"
    export PATH=$WORK/bin:$PATH GRAFANA_HOME=$WORK/grafana
}

test_a_grafana_is_started_where_there_is_one_and_may_be_missing() {
    make_checkout
    exits 3 "$STACK" status
    says 'grafana       not installed'
    make_grafana
    listen_on "$STACK_GRAFANA_PORT"
    exits 3 "$STACK" up
    says "port $STACK_GRAFANA_PORT for Grafana is taken by pid $FOREIGN"
    kill_pid_file "$WORK/foreign.pid"
    exits 0 "$STACK" up
    says "Grafana       http://127.0.0.1:$STACK_GRAFANA_PORT"
    exits 0 "$STACK" status
    says "grafana       running on 127.0.0.1:$STACK_GRAFANA_PORT"
    # Taken off the machine, what runs of it is still ours to end.
    rm -r "$GRAFANA_HOME"
    exits 0 "$STACK" down
    says 'Grafana in'
    exits 1 port_is_taken "$STACK_GRAFANA_PORT"
    exits 0 "$STACK" addresses
    says 'Grafana       is not installed'
}

test_a_system_elsewhere_is_removed_and_nothing_else_there() {
    make_checkout
    cp stand_in.py other
    mkdir "$WORK/elsewhere"
    touch "$WORK/elsewhere/file"
    export STACK_DIR=$WORK/elsewhere STACK_BINARY=other STACK_SCRAPE=txstream-api=$SERVER_PORT
    exits 0 "$STACK" up
    says 'The system is up'
    [[ ! -e build ]]
    grep -q txstream-api "$STACK_DIR/stack/prometheus/prometheus.yml"
    exits 0 "$STACK" clean
    nothing_runs
    [[ $(ls "$STACK_DIR") == file$'\n'stack.lock ]]
    STACK_BINARY=missing exits 1 "$STACK" up
    says 'STACK_BINARY=missing cannot be executed'
}

test_clean_waits_for_no_demo_and_removes_what_a_killed_one_left() {
    make_checkout
    STACK_DIR=var/demo/system exits 0 "$STACK" services
    listen_on "$(free_port 1)"
    cp "$WORK/foreign.pid" var/demo/owner
    exits 1 "$STACK" clean
    says "make demo is at work here (pid $FOREIGN); end it first"
    STACK_DIR=var/demo/system exits 3 "$STACK" status
    says "kafka         running on 127.0.0.1:$STACK_KAFKA_PORT"
    kill_pid_file "$WORK/foreign.pid"
    exits 0 "$STACK" clean
    [[ ! -e var ]]
    nothing_runs
}

test_down_ends_nothing_that_it_did_not_start() {
    make_checkout
    "$STACK" up
    listen_on "$(free_port 1)"
    # A stale file of a txstream that died, whose number now belongs to somebody else.
    kill_pid_file var/stack/txstream.pid
    echo "$FOREIGN 1 $(boot_id)" >var/stack/txstream.pid
    "$STACK" down
    proc_started "$FOREIGN"
    nothing_runs
}

test_a_failed_migration_leaves_nothing_running() {
    make_checkout
    STAND_IN_MIGRATE_CODE=4 exits 4 "$STACK" up
    says 'no such luck'
    nothing_runs
}

test_a_binary_that_dies_is_shown_and_what_ran_before_stays() {
    make_checkout
    "$STACK" services
    local before
    before=$(pids)
    STAND_IN_DIES=1 exits 1 "$STACK" up
    says 'the stand-in gives up'
    [[ $(pids) == "$before" ]]
    exits 0 "$STACK" up
}

# Prometheus is ready before it has looked at its list of targets.
scrapes() {
    curl -sS --noproxy '*' "http://127.0.0.1:$STACK_PROMETHEUS_PORT/api/v1/targets" |
        jq -e --arg url "$1" '[.data.activeTargets[] | select(.labels.job == "txstream-serve").scrapeUrl] == [$url]' >/dev/null
}

test_env_file_counts_for_all_of_the_stack() {
    make_checkout
    local server=$SERVER_PORT metrics=$METRICS_PORT
    unset SERVER_PORT METRICS_PORT
    # What leads elsewhere has no effect, down to the parameters of the URL and to a secret's file that is not there.
    cat >.env <<DOTENV
export SERVER_PORT="$server"
METRICS_PORT=$metrics # beside it
METRICS_PATH=/figures/of-it
PGUSER=somebody
KAFKA_TOPIC_EVENTS=my.topic
DATABASE_URL='postgresql://somebody:secret@192.0.2.1:1/other?hostaddr=192.0.2.2&options=-csearch_path%3Delsewhere'
  export DATABASE_PASSWORD_FILE = /nowhere/at/all
DATABASE_HOST=192.0.2.1
KAFKA_BROKERS=192.0.2.1:9092
KAFKA_SECURITY_PROTOCOL=sasl_ssl
KAFKA_PROPERTY_security__protocol=ssl
KAFKA_TOPIC_REPLICATION_FACTOR=3
METRICS_ENABLED=false
SERVER_HOST=192.0.2.1
LOGGING_OUTPUT_PATH=elsewhere.log
WORKER_POOL_SIZE=2
DOTENV
    DATABASE_URL=postgresql://192.0.2.3/ PGHOSTADDR=192.0.2.4 KAFKA_SASL_MECHANISM=none exits 0 "$STACK" up
    says "API           http://127.0.0.1:$server"
    says "Metrics       http://127.0.0.1:$metrics/figures/of-it"
    says "kcat -C -e -o beginning -b 127.0.0.1:$STACK_KAFKA_PORT -t my.topic"
    local expected="$OUTPUT"
    wait_until 30 scrapes "http://127.0.0.1:$metrics/figures/of-it"
    local used
    used=$(sed -n 's/^{"settings"/{"settings"/p' var/log/txstream.log | jq -r '.settings | [.SERVER_HOST, .DATABASE_HOST, .DATABASE_PORT, .DATABASE_USER,
        .DATABASE_URL, .DATABASE_PASSWORD, .KAFKA_BROKERS, .KAFKA_SECURITY_PROTOCOL, .KAFKA_PROPERTY_security__protocol,
        .METRICS_ENABLED, .LOGGING_OUTPUT_PATH, .WORKER_POOL_SIZE] | join(" ")')
    [[ $used == "127.0.0.1 127.0.0.1 $STACK_PG_PORT txstream_user  **** 127.0.0.1:$STACK_KAFKA_PORT plaintext  true  2" ]] || {
        echo "$used"
        return 1
    }
    exits 1 grep -E '^[[:blank:]]*(export[[:blank:]]+)?(DATABASE|KAFKA_BROKERS|PG)' var/stack/dotenv
    [[ $(stat -c %a var/stack/dotenv) == 600 ]]
    # What runs is what is told, also when .env says something else by now; and health asks where it is.
    echo 'KAFKA_TOPIC_EVENTS=another' >>.env
    exits 0 "$STACK" up
    says "-t my.topic"
    says "$metrics/figures/of-it"
    [[ ${OUTPUT#*Next:} == "${expected#*Next:}" ]]
    exits 0 "$STACK" health
    exits 0 "$STACK" status
    says "127.0.0.1:$server"
    rm var/stack.env
    exits 0 "$STACK" up
    says "The system is up"
    says "-t another"
}

test_a_mistake_in_env_file_is_told_before_anything_starts() {
    make_checkout
    unset SERVER_PORT
    printf 'WORKER_POOL_SIZE=many\nSERVER_PORT=80x\nDATABASE_HOTS=x\n' >.env
    exits 2 "$STACK" up
    says 'WORKER_POOL_SIZE=many (.env) is not allowed'
    says 'SERVER_PORT=80x (.env) is not allowed'
    says 'DATABASE_HOTS is unknown; did you mean DATABASE_HOST? (.env)'
    says 'nothing was started'
    [[ $OUTPUT != *'runs on'* ]]
    nothing_has_run
    exits 2 "$STACK" run api
    says 'WORKER_POOL_SIZE=many (.env) is not allowed'
    nothing_has_run
    # Any free port is none that could be told to Prometheus.
    echo 'SERVER_PORT=0' >.env
    exits 2 "$STACK" up
    says 'SERVER_PORT=0 is not a port from 1 to 65535'
    nothing_has_run
    # A port that only .env names is looked at as soon as it is known.
    listen_on "$METRICS_PORT"
    echo "METRICS_PORT=$METRICS_PORT" >.env
    exits 3 env --unset=METRICS_PORT SERVER_PORT=$((METRICS_PORT - 1)) "$STACK" up
    says 'set METRICS_PORT to another port'
    nothing_has_run
}

nothing_has_run() { [[ -z $(find var -name '*.pid') ]]; }

test_bad_ports_are_told_at_once_and_by_name() {
    make_checkout
    STACK_PG_PORT=abc SERVER_PORT=80x METRICS_PORT=65536 exits 2 "$STACK" up
    says 'STACK_PG_PORT=abc is not a port'
    says 'SERVER_PORT=80x is not a port'
    says 'METRICS_PORT=65536 is not a port'
    STACK_KAFKA_PORT=65535 STACK_PROMETHEUS_PORT=0 exits 2 "$STACK" services
    says 'STACK_KAFKA_PORT=65535 leaves no port above it'
    says 'STACK_PROMETHEUS_PORT=0 is not a port'
    STACK_PG_PORT=$((STACK_KAFKA_PORT + 1)) SERVER_PORT=$METRICS_PORT exits 2 "$STACK" run api
    says "STACK_PG_PORT and STACK_KAFKA_PORT+1 are both $((STACK_KAFKA_PORT + 1)); one of them must change"
    says "SERVER_PORT and METRICS_PORT are both $METRICS_PORT"
    [[ ! -e build ]]
    nothing_has_run
}

test_each_variable_of_the_stack_is_documented() {
    local name names
    mapfile -t names < <(grep -ohE '\bSTACK_\w+_PORT\b' "$ROOT/$STACK" | sort -u)
    for name in "${names[@]}"; do
        grep -qF "\`$name\`" "$ROOT/README.md" || { echo "README.md says nothing about $name" && return 1; }
    done
}

# Aim: Ctrl-C and SIGTERM at any moment leave nothing behind, and the next start works.
test_interrupted_anywhere_it_leaves_nothing() {
    make_checkout
    local after signal
    for signal in TERM INT; do
        for after in 0.1 0.4 0.9 1.3; do
            # timeout in the foreground signals its child only: as if sent by pid.
            if timeout --foreground --signal="$signal" "$after" env --default-signal=INT "$STACK" up; then
                # Done before the signal came: a fast machine.
                "$STACK" down
            fi
            nothing_runs
        done
    done
    exits 0 "$STACK" up
}

test_killed_anywhere_the_next_start_works() {
    make_checkout
    local after
    for after in 0.2 0.7 1.4 2.2; do
        timeout --foreground --signal=KILL "$after" "$STACK" up || true
        exits 0 "$STACK" up
        exits 0 "$STACK" status
        rm -rf var/stack.env
        exits 0 "$STACK" down
    done
}

test_killed_anywhere_stop_ends_all() {
    make_checkout
    local after
    for after in 0.7 1.6 2.4; do
        timeout --foreground --signal=KILL "$after" "$STACK" up || true
        # What the killed script had under way may still come up; a service's start holds its lock until it is done.
        exits 0 "$STACK" down
        nothing_runs
    done
}

test_two_starts_at_once_make_one_system() {
    make_checkout
    "$STACK" up >first.log 2>&1 &
    local first=$!
    "$STACK" up >second.log 2>&1
    wait "$first"
    [[ $(cat first.log second.log | grep -c 'The system is up') == 1 ]]
    [[ $(cat first.log second.log | grep -c 'The system already runs') == 1 ]]
}

test_the_console_starts_alone_and_gives_way_to_the_whole() {
    make_checkout
    local link="http://127.0.0.1:$CONSOLE_PORT/#token="
    exits 0 make console
    says "$link$(cat var/stack/console_link.token)"
    port_is_taken "$CONSOLE_PORT"
    # It is the same one, wherever the caller believes that it is.
    exits 0 env --unset=CONSOLE_PORT make console
    says "$link"
    exits 0 make console-stop
    says 'the console stopped'
    (! port_is_taken "$CONSOLE_PORT")
    exits 0 make console-stop
    says 'the console is not running'
    exits 0 make console
    exits 0 make start-all
    says 'the console stopped'
    says "Console       $link$(cat var/stack/console_link.token)"
    exits 0 make console
    says "$link"
    exits 0 make console-stop
    says 'part of what make start-all started'
    exits 0 make stop-all
    exits 0 make console
    exits 0 make stop-all
    says 'the console stopped'
    nothing_runs
    ! port_is_taken "$CONSOLE_PORT"
}

test_run_works_on_the_services_and_beside_the_running_system() {
    make_checkout
    exits 0 make migrate
    says '"migrate", "up"'
    says '"format": null'
    "$STACK" up
    exits 3 "$STACK" run api
    says "port $SERVER_PORT for the API is taken by pid $(pid_of var/stack/txstream.pid)"
    says 'make stop-all'
    # What runs keeps its ports, whatever the caller's shell says by now.
    STACK_KAFKA_PORT=1 SERVER_PORT=2 exits 0 "$STACK" up
    says "127.0.0.1:$STACK_KAFKA_PORT"
    says "http://127.0.0.1:$SERVER_PORT"
}

run_all_tests "$@"
