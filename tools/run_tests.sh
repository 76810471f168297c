#!/usr/bin/env bash
# Builds and runs the tests: `make test`, `make test-unit` and their relatives.
#
#   run_tests.sh [--unit | --deploy | --containers] [--preset NAME] [CTEST ARGUMENT]...
#   run_tests.sh --postgres VERSION [CTEST ARGUMENT]...   with the server and the client programs of that version, 14 to 18
#   run_tests.sh --rings COMPILER             unit, pg and kafka with the compiler and libraries of the image (tests/containers/rings.sh)
#   run_tests.sh --remove var/test-XXXXXX     what a killed run left behind (the next run does it by itself)
#
# Starts a private PostgreSQL and a private Kafka for this run, in a directory and on ports of their own, so that any
# number of runs, in this checkout or in others, and a running `make start-all` do not meet. Tests find them by
#
#   TXSTREAM_TEST_PG      libpq connection string of a superuser
#   TXSTREAM_TEST_KAFKA   host:port
#   TXSTREAM_POSTGRES_BIN the programs of PostgreSQL, if they are not Debian's
#   TXSTREAM_BIN          the built binary
#   TXSTREAM_ROOT         this checkout
#
# --unit, --deploy and --containers run the tests of that label, which need none of it, and start none of it. The last thing printed is
# ctest's own summary, and its exit code is ours. No test that was asked for is left out: without its services the run fails before it begins.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

POSTGRES=$TXS_ROOT/tools/services/postgres.sh
KAFKA=$TXS_ROOT/tools/services/kafka.sh
KEPT_LOGS=$TXS_ROOT/var/last-failed-test

main() {
    local bare='' rings='' preset=dev version=''
    while (($#)); do
        case $1 in
            --unit | --deploy | --containers) bare=${1#--} && shift ;;
            --rings) rings=$2 && shift 2 ;;
            --remove) remove_run "$2" && return ;;
            --postgres) version=$2 && shift 2 ;;
            --preset) preset=$2 && shift 2 ;;
            *) break ;;
        esac
    done
    cd "$TXS_ROOT"
    # Without a trap bash forgets a SIGINT that came while it waited for a program which did not die of it.
    trap 'exit 130' INT TERM HUP
    export TXSTREAM_ROOT=$TXS_ROOT TXSTREAM_BIN=$TXS_ROOT/build/$preset/txstream
    if [[ $rings ]]; then
        run_rings "$rings"
        return
    fi
    if [[ $bare ]]; then
        tools/deps.sh build unit
        # Those of the other labels make a Python of their own; an image compiles for itself.
        [[ $bare == unit ]] || tools/deps.sh run
        if [[ $bare == containers ]]; then
            tools/deps.sh containers
            tools/build.sh --configure "$preset"
        else
            tools/build.sh "$preset"
        fi
        run_ctest "$preset" -L "^$bare\$" "$@"
        return
    fi
    tools/deps.sh build run unit test
    if [[ $version ]]; then
        TXSTREAM_POSTGRES_BIN=$(tools/services/postgres_binaries.sh "$version") || exit
        export TXSTREAM_POSTGRES_BIN PATH=$TXSTREAM_POSTGRES_BIN:$PATH
        say "PostgreSQL is $("$TXSTREAM_POSTGRES_BIN/postgres" -V | awk '{ print $3 }')"
    fi
    # The steps that may need the network; they overlap with the compiler.
    "$KAFKA" fetch &
    local fetch=$!
    tools/venv.sh tools/dashboards/requirements.txt >/dev/null &
    local venv=$!
    tools/venv.sh tests/integration/otlp/requirements.txt >/dev/null &
    local otlp=$!
    tools/venv.sh tools/manifests/requirements.txt >/dev/null &
    local manifests=$!
    # What a server of 15 is upgraded to.
    tools/services/postgres_binaries.sh 17 >/dev/null &
    local postgres=$!
    # Without a Go there are none, and their test says so; a failure is that test's as well.
    nice tools/manifests/tools.sh >/dev/null 2>&1 &
    local charts=$!
    # Where they were asked for (TXSTREAM_CONTAINERS=on): ctest shows why not, if not. An image compiled while tests run would disturb them.
    nice tests/containers/prepare.sh >/dev/null 2>&1 &
    local containers=$!
    tools/build.sh "$preset"
    wait "$fetch" || die "there is no Kafka to test against"
    wait "$venv" || die "there is no Python to draw dashboards with"
    wait "$otlp" || die "there is no Python to read traces with"
    wait "$postgres" || die "there is no PostgreSQL 17 to upgrade to"
    wait "$manifests" || die "there is no Python to judge manifests with"
    wait "$charts" || true
    wait "$containers" || true
    with_services run_ctest "$preset" "$@"
}

run_rings() {
    tools/deps.sh run containers
    "$KAFKA" fetch
    tests/containers/rings.sh build "$1"
    with_services tests/containers/rings.sh run "$1"
}

run_ctest() {
    local preset=$1
    shift
    # No test at all is an error: a misspelt label must not look like success.
    ctest --test-dir "build/$preset" --output-on-failure --no-tests=error --parallel "${TEST_JOBS:-2}" "$@"
}

with_services() {
    local started code=0
    started=$(now_ms)
    sweep_abandoned_runs
    make_run_directory
    trap 'clean_up' EXIT
    "$POSTGRES" start --dir "$RUN/postgres" --port auto &
    local postgres=$!
    "$KAFKA" start --dir "$RUN/kafka" --port auto --jit c1 &
    local kafka=$!
    wait "$postgres" || die "there is no PostgreSQL to test against"
    wait "$kafka" || die "there is no Kafka to test against"
    TXSTREAM_TEST_PG=$("$POSTGRES" conninfo --dir "$RUN/postgres")
    TXSTREAM_TEST_KAFKA=$("$KAFKA" bootstrap --dir "$RUN/kafka")
    export TXSTREAM_TEST_PG TXSTREAM_TEST_KAFKA
    say "services are up ($(seconds_since "$started") s); should a test fail, their logs stay in ${KEPT_LOGS#"$TXS_ROOT/"}"
    run_in_own_group "$@" || code=$?
    ((code == 0)) || keep_logs
    return "$code"
}

# A group of its own, so that an interrupted run can end ctest together with all the tests it has under way; and in the
# background, since a trap is only served while the shell waits.
run_in_own_group() {
    set -m
    "$@" &
    TESTS=$!
    set +m
    wait "$TESTS"
}

end_tests() {
    [[ -n ${TESTS:-} ]] && kill -s TERM -- "-$TESTS" 2>/dev/null || return 0
    wait_until 10 group_has_ended || kill -s KILL -- "-$TESTS" 2>/dev/null || true
}

group_has_ended() { ! kill -s 0 -- "-$TESTS" 2>/dev/null; }

# Appears under its final name together with its owner's pid, or a sweep of another run might take it for abandoned.
make_run_directory() {
    mkdir -p "$TXS_ROOT/var"
    local fresh
    fresh=$(mktemp -d "$TXS_ROOT/var/.new-XXXXXX")
    # PostgreSQL runs as another user and has to pass.
    chmod 0755 "$fresh"
    record_self "$fresh/owner"
    RUN=$TXS_ROOT/var/test-${fresh##*-}
    mv "$fresh" "$RUN"
}

sweep_abandoned_runs() {
    local dir
    for dir in "$TXS_ROOT"/var/test-*/; do
        if [[ -e $dir/owner ]] && is_gone "$dir/owner"; then
            remove_run "${dir%/}"
        fi
    done
}

# Silent, since ctest has the last word. Nothing in there is worth a clean shutdown.
remove_run() {
    "$POSTGRES" destroy --dir "$1/postgres" >/dev/null
    "$KAFKA" destroy --dir "$1/kafka" >/dev/null
    rm -rf "$1"
}

keep_logs() {
    rm -rf "$KEPT_LOGS"
    mkdir -p "$KEPT_LOGS"
    cp "$RUN"/postgres/postgres.log "$RUN"/kafka/kafka.log "$KEPT_LOGS"/ 2>/dev/null || true
}

# shellcheck disable=SC2317  # called by the trap
clean_up() {
    trap '' INT TERM HUP
    end_tests
    # A start that is still under way ends first, or it would start what we have just looked for.
    wait
    remove_run "$RUN"
}

main "$@"
