#!/usr/bin/env bash
# A private one-node Apache Kafka (KRaft) in a directory of its own, for tests, benchmarks and `make start-all`.
#
#   kafka.sh fetch                              jars and class archive, once per checkout
#   kafka.sh start   --dir DIR --port PORT|auto [--controller-port PORT] [--heap 512m] [--jit full|c1]
#                    [--set NAME=VALUE]... [--cluster-id ID] [--port-variable NAME]
#   kafka.sh stop    --dir DIR                  clean shutdown
#   kafka.sh kill    --dir DIR                  SIGKILL, for fault tests
#   kafka.sh status  --dir DIR                  exit 0 when it runs, 3 when not
#   kafka.sh bootstrap --dir DIR                prints 127.0.0.1:PORT
#   kafka.sh tool    --dir DIR -- CLASS ARGS... a tool of Kafka, e.g. org.apache.kafka.tools.TopicCommand
#   kafka.sh destroy --dir DIR                  kill, and remove DIR
#
# Started again in the same DIR it comes back with its data; `--port auto` then takes the port it had before if it can.
# The controller listens on PORT+1 unless told otherwise. --set appends to server.properties, where the last word wins,
# and counts for this start only. --jit c1 starts faster and is slower under load: for functional tests.
#
# Jars lie in var/kafka-libs (or TXSTREAM_KAFKA_LIBS), in a directory named after the pom they came from.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

POM=$TXS_ROOT/tools/services/kafka/pom.xml
LIBS=${TXSTREAM_KAFKA_LIBS:-$TXS_ROOT/var/kafka-libs}/$(hash_of <"$POM")
MAVEN_GOAL=org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies
READY_SECONDS=60
# A broker with some gigabytes of log needs about a second; a slow disk gets its time before we resort to SIGKILL.
STOP_SECONDS=30

main() {
    local verb=${1:-help}
    shift || true
    parse_options "$@"
    case $verb in
        fetch) do_fetch ;;
        start | stop | kill | status | bootstrap | tool | destroy)
            [[ -n $DIR ]] || die "$verb needs --dir"
            "do_$verb"
            ;;
        help | --help | -h) usage ;;
        *) refuse_verb "$verb" ;;
    esac
}

parse_options() {
    DIR='' PORT=auto PORT_VARIABLE=--port CONTROLLER_PORT='' HEAP=512m JIT=full CLUSTER_ID='' EXTRA_SETTINGS=() REST=()
    while (($#)); do
        case $1 in
            --dir) DIR=$(realpath -m -- "$2") && shift 2 ;;
            --port) PORT=$2 && shift 2 ;;
            --port-variable) PORT_VARIABLE=$2 && shift 2 ;;
            --controller-port) CONTROLLER_PORT=$2 && shift 2 ;;
            --heap) HEAP=$2 && shift 2 ;;
            --jit) JIT=$2 && shift 2 ;;
            --cluster-id) CLUSTER_ID=$2 && shift 2 ;;
            --set) EXTRA_SETTINGS+=("$2") && shift 2 ;;
            --) shift && REST=("$@") && return ;;
            *) die "unknown option $1" ;;
        esac
    done
    PID_FILE=$DIR/server.pid LOG=$DIR/kafka.log PROPERTIES=$DIR/server.properties
}

# --- verbs ------------------------------------------------------------------------------------------------------------

do_start() {
    local started
    started=$(now_ms)
    find_java
    mkdir -p "$DIR"
    with_lock "$DIR/lock"
    if already_on_this_port; then
        say "Kafka already runs on 127.0.0.1:$(cat "$DIR/port") (pid $(pid_of "$PID_FILE"))"
        return
    fi
    [[ -n ${TXS_KAFKA_TRAIN:-} ]] || do_fetch
    stop_server
    trap 'stop_server' EXIT
    trap 'exit 130' INT TERM HUP
    launch_on_a_free_port
    trap - EXIT INT TERM HUP
    say "Kafka runs on 127.0.0.1:$PORT (pid $(pid_of "$PID_FILE"), $(seconds_since "$started") s)"
}

do_stop() {
    if ! is_running "$PID_FILE"; then
        say "Kafka in $DIR is not running"
        return
    fi
    stop_server
    say "Kafka in $DIR stopped"
}

do_kill() {
    if ! is_running "$PID_FILE"; then
        say "Kafka in $DIR is not running"
        return
    fi
    kill_pid_file "$PID_FILE"
    say "Kafka in $DIR killed"
}

do_status() {
    if is_running "$PID_FILE"; then
        say "running on 127.0.0.1:$(cat "$DIR/port") (pid $(pid_of "$PID_FILE"))"
    else
        say "not running"
        exit 3
    fi
}

do_bootstrap() {
    [[ -r $DIR/port ]] || die "no broker was ever started in $DIR"
    say "127.0.0.1:$(cat "$DIR/port")"
}

do_tool() {
    find_java
    exec "$JAVA" "${JVM_COMMON[@]}" -XX:TieredStopAtLevel=1 -cp "$(class_path)" "${REST[@]}"
}

do_destroy() {
    do_kill
    rm -rf "$DIR"
}

# --- jars and archive -------------------------------------------------------------------------------------------------

find_java() {
    JAVA=${JAVA_HOME:+$JAVA_HOME/bin/}java
    require_command "$JAVA" default-jre-headless
    # The archive fits exactly one JVM; an update of Java gets a new one.
    JAVA_KEY=$(stat -L -c '%n %s %Y' "$(readlink -f "$(command -v "$JAVA")")" | hash_of)
    ARCHIVE=$LIBS/classes-$JAVA_KEY.jsa
    JVM_COMMON=(-XX:+UseSerialGC -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX")
    [[ ! -e $ARCHIVE ]] || JVM_COMMON+=("-XX:SharedArchiveFile=$ARCHIVE" -Xlog:cds=off -Xlog:class+path=off)
}

class_path() { printf '%s\n' "$LIBS"/jars/*.jar | paste -sd:; }

# Each step ends in a rename, so an interrupted one is repeated and a finished one never.
do_fetch() {
    find_java
    [[ ! -d $LIBS/jars || ! -e $LIBS/bootstrap.checkpoint || ! -e $ARCHIVE ]] || return 0
    (
        with_lock "${LIBS%/*}/lock" "another process fetches Kafka; waiting for it"
        [[ -d $LIBS/jars ]] || fetch_jars
        [[ -e $LIBS/bootstrap.checkpoint ]] || make_checkpoint
        [[ -e $ARCHIVE ]] || make_archive
    )
    find_java
}

fetch_jars() {
    local started fresh=$LIBS/jars.new
    started=$(now_ms)
    require_command mvn maven
    rm -rf "$fresh"
    mkdir -p "$LIBS"
    say "fetching Kafka's jars (44 MB, once)"
    mvn -q -B -ntp -Dstyle.color=never -f "$POM" "$MAVEN_GOAL" -DincludeScope=runtime "-DoutputDirectory=$fresh" \
        || die "Maven could not fetch Kafka's jars; run again when the network is back"
    mv "$fresh" "$LIBS/jars"
    say "Kafka's jars are there ($(seconds_since "$started") s)"
}

# Formatting a storage directory takes a JVM about a second and yields two files: meta.properties, which is four lines
# of text, and this one, the same for every broker of one version. So we format once and write the rest ourselves.
make_checkpoint() {
    local scratch=$LIBS/format.new
    rm -rf "$scratch"
    mkdir -p "$scratch"
    DIR=$scratch PROPERTIES=$scratch/server.properties PORT=9092 CONTROLLER_PORT=9093 write_properties
    "$JAVA" "${JVM_COMMON[@]}" -cp "$(class_path)" kafka.tools.StorageTool format -t "$(new_uuid)" \
        -c "$scratch/server.properties" >"$scratch/log" 2>&1 || {
        tail_of "$scratch/log"
        die "Kafka's storage could not be formatted"
    }
    mv "$scratch/data/bootstrap.checkpoint" "$LIBS/bootstrap.checkpoint"
    rm -rf "$scratch"
}

# The archive of loaded classes halves the time to start. The JVM writes it when a broker that has worked a little ends.
make_archive() {
    local scratch=$LIBS/train
    say "preparing Kafka's class archive (once)"
    # A training broker that an interrupted run left behind.
    [[ ! -d $scratch ]] || "$0" destroy --dir "$scratch" >/dev/null
    if TXS_KAFKA_TRAIN=$ARCHIVE.new "$0" start --dir "$scratch" --port auto >/dev/null; then
        exercise "$scratch"
        "$0" stop --dir "$scratch" >/dev/null
    fi
    if [[ -s $ARCHIVE.new ]]; then
        mv "$ARCHIVE.new" "$ARCHIVE"
        "$0" destroy --dir "$scratch" >/dev/null
    else
        warn "no class archive could be made; Kafka starts slower without it (log: $scratch/kafka.log)"
    fi
}

# One record in and out loads the classes of the paths every test takes. Without kcat the archive is merely smaller.
exercise() {
    command -v kcat >/dev/null || return 0
    local broker
    broker=$("$0" bootstrap --dir "$1")
    echo key:value | timeout 20 kcat -b "$broker" -P -t train -K: -X enable.idempotence=true >/dev/null 2>&1 || true
    timeout 20 kcat -b "$broker" -C -t train -e -q -o beginning >/dev/null 2>&1 || true
    timeout 20 kcat -b "$broker" -G train train -e -q -X auto.offset.reset=earliest >/dev/null 2>&1 || true
}

# --- configuration ----------------------------------------------------------------------------------------------------

# A Kafka uuid: 16 bytes in URL-safe base64 without padding. A leading dash would look like an option to the tools.
new_uuid() {
    local id=-
    while [[ $id == -* ]]; do
        id=$(head -c 16 /dev/urandom | base64 --wrap=0 | tr '+/' '-_' | tr -d =)
    done
    echo "$id"
}

# Short sessions, so that a broker killed with SIGKILL is let in again after 2 s instead of 9. One-replica internal
# topics with few partitions; the group coordinator does not wait for further members.
write_properties() {
    {
        cat <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$CONTROLLER_PORT
listeners=PLAINTEXT://127.0.0.1:$PORT,CONTROLLER://127.0.0.1:$CONTROLLER_PORT
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$DIR/data
num.partitions=12
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
log.segment.delete.delay.ms=1000
log.cleaner.dedupe.buffer.size=4194304
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=200
PROPERTIES
        ((${#EXTRA_SETTINGS[@]} == 0)) || printf '%s\n' "${EXTRA_SETTINGS[@]}"
    } >"$PROPERTIES"
}

property() { sed -n "s/^$1=//p" "$PROPERTIES" | tail -n 1; }

# meta.properties last: the broker takes a directory that has one for formatted.
format_storage() {
    local data=$DIR/data
    [[ ! -e $data/meta.properties ]] || return 0
    mkdir -p "$data"
    cp "$LIBS/bootstrap.checkpoint" "$data/"
    cat >"$data/meta.properties.new" <<PROPERTIES
version=1
cluster.id=${CLUSTER_ID:-$(new_uuid)}
node.id=$(property node.id)
directory.id=$(new_uuid)
PROPERTIES
    mv "$data/meta.properties.new" "$data/meta.properties"
}

# --- start and stop ---------------------------------------------------------------------------------------------------

already_on_this_port() {
    is_running "$PID_FILE" || return 1
    local port
    port=$(cat "$DIR/port") && [[ $PORT == auto || $PORT == "$port" ]] || return 1
    # An earlier start may have been killed while its broker was still coming up.
    PORT=$port wait_until "$READY_SECONDS" settled && PORT=$port is_ready
}

launch_on_a_free_port() {
    local attempt automatic=0
    [[ $PORT != auto ]] || automatic=1
    for attempt in 1 2 3 4 5; do
        ((!automatic)) || choose_port
        refuse_taken_port "$PORT" Kafka "$PORT_VARIABLE"
        refuse_taken_port "${CONTROLLER_PORT:=$((PORT + 1))}" "Kafka's controller" "$PORT_VARIABLE"
        ! launch || return 0
        # Somebody else was faster between our look and the broker's bind: only then another try can help.
        ((automatic)) || break
        grep -q 'BindException\|Address already in use' "$LOG.start" || break
        rm -f "$DIR/port"
        CONTROLLER_PORT=''
    done
    tail_of "$LOG.start"
    die "Kafka did not start ($attempt attempts); its log is $LOG"
}

choose_port() {
    PORT=$(cat "$DIR/port" 2>/dev/null || free_port 2)
    if port_is_taken "$PORT" || port_is_taken $((PORT + 1)); then
        PORT=$(free_port 2)
    fi
}

refuse_taken_port() {
    port_is_taken "$1" || return 0
    port_taken_message "$@"
    exit "$EXIT_PORT_TAKEN"
}

launch() {
    write_properties
    format_storage
    echo "$PORT" >"$DIR/port"
    # Kafka unpacks native libraries into the JVM's directory for temporary files, once a start.
    rm -rf "$DIR/tmp"
    mkdir -p "$DIR/tmp"
    local log_size jvm=("${JVM_COMMON[@]}" "-Xmx$HEAP" -XX:-UsePerfData "-Djava.io.tmpdir=$DIR/tmp")
    [[ $JIT != c1 ]] || jvm+=(-XX:TieredStopAtLevel=1)
    [[ -z ${TXS_KAFKA_TRAIN:-} ]] || jvm+=("-XX:ArchiveClassesAtExit=$TXS_KAFKA_TRAIN")
    log_size=$(stat -c %s "$LOG" 2>/dev/null || echo 0)
    spawn "$PID_FILE" "$LOG" "$JAVA" "${jvm[@]}" -cp "$(class_path)" kafka.Kafka "$PROPERTIES"
    wait_until "$READY_SECONDS" settled || true
    tail -c "+$((log_size + 1))" "$LOG" >"$LOG.start"
    is_ready
}

settled() { is_ready || is_gone "$PID_FILE"; }

# Ready is: the port belongs to our process, and the broker names itself in an answer to a client.
is_ready() {
    local pid
    pid=$(pid_of "$PID_FILE") && pid_listens "$pid" "$PORT" && (($(brokers_in_metadata "$PORT") >= 1))
}

# Asks for Metadata (version 4, no topics) as a client would and prints how many brokers the answer holds. By hand,
# because kcat is not needed for anything else here and a JVM would take longer to ask than the broker to start.
brokers_in_metadata() {
    local request='\x00\x00\x00\x13\x00\x03\x00\x04\x00\x00\x00\x01\x00\x04txst\x00\x00\x00\x00\x00'
    # The answer: its size, our correlation id, the throttle time, then the number of brokers; four bytes each.
    local answer
    answer=$(
        exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$1" || exit 0
        # shellcheck disable=SC2059  # the request is a format: it has escapes
        printf "$request" >&3
        timeout 2 head -c 16 <&3 | od -An -v -tu1 -w16
    ) || true
    local bytes
    read -ra bytes <<<"$answer" || true
    ((${#bytes[@]} == 16)) && echo "${bytes[15]}" || echo 0
}

stop_server() { stop_pid_file "$PID_FILE" TERM "$STOP_SECONDS"; }

main "$@"
