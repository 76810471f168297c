# shellcheck shell=bash
# For the tests of the scripts in tools/: bash alone, since there is no bats on every machine. Sourced by them.
#
# Each test_* function is a test, run in a shell of its own with a directory of its own in $WORK. A failing command fails it.
# Names given as arguments select tests. Prints one line per test and exits 1 when one failed.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
POSTGRES=$ROOT/tools/services/postgres.sh
KAFKA=$ROOT/tools/services/kafka.sh
# Whether the page must be built is for each test to say.
unset TXSTREAM_WEB
export TXSTREAM_KAFKA_LIBS=${TXSTREAM_KAFKA_LIBS:-$ROOT/var/kafka-libs}
# shellcheck source=tools/lib.sh
source "$ROOT/tools/lib.sh"

run_all_tests() {
    if [[ ${1:-} == --one ]]; then
        WORK=$3
        trap 'echo "failed: line $LINENO: $BASH_COMMAND"' ERR
        set -E
        "$2"
        return
    fi
    local tests=("$@") test failed=()
    ((${#tests[@]})) || mapfile -t tests < <(declare -F | sed -n 's/^declare -f \(test_\)/\1/p')
    TOP=$(mktemp -d "${TMPDIR:-/tmp}/txstream-scripts-XXXXXX")
    # PostgreSQL runs as another user and has to pass.
    chmod 0755 "$TOP"
    trap 'end_everything' EXIT
    trap 'exit 130' INT TERM HUP
    for test in "${tests[@]}"; do
        run_test "$test" || failed+=("$test")
    done
    ((${#failed[@]} == 0)) || die "failed: ${failed[*]}"
}

# A shell of its own for each: bash ignores set -e, even set again, wherever a result is asked for as it is here.
run_test() {
    local started code=0 log=$TOP/$1.log
    started=$(now_ms)
    mkdir "$TOP/$1"
    bash -euo pipefail "$0" --one "$1" "$TOP/$1" >"$log" 2>&1 || code=$?
    end_services_below "$TOP/$1"
    if ((code == 0)); then
        say "ok      $1 ($(seconds_since "$started") s)"
    else
        say "FAILED  $1 ($(seconds_since "$started") s)"
        sed 's/^/    /' "$log"
    fi
    return "$code"
}

end_services_below() {
    local file dir
    while read -r file; do
        dir=$(dirname "$file")
        if [[ -e $dir/server.properties ]]; then
            "$KAFKA" destroy --dir "$dir" >/dev/null
        elif [[ -e $dir/initdb.log ]]; then
            "$POSTGRES" destroy --dir "$dir" >/dev/null
        else
            kill_pid_file "$file"
        fi
    done < <(find "$1" \( -name '*.pid' -o -name initdb.log \) -not -path '*/data/*' 2>/dev/null)
}

end_everything() {
    end_services_below "$TOP"
    rm -rf "$TOP"
}

# --- assertions -------------------------------------------------------------------------------------------------------

# exits CODE COMMAND...: the command ends with that code. Its output is in $OUTPUT.
exits() {
    local expected=$1 code=0
    shift
    OUTPUT=$("$@" 2>&1) || code=$?
    [[ $code == "$expected" ]] || {
        echo "expected exit code $expected, got $code from: $*"
        echo "$OUTPUT"
        return 1
    }
}

says() {
    [[ $OUTPUT == *"$1"* ]] || {
        echo "expected the output to hold: $1"
        echo "$OUTPUT"
        return 1
    }
}

# A program that listens on a port and is none of ours. Sets FOREIGN.
listen_on() {
    spawn "$WORK/foreign.pid" "$WORK/foreign.log" /usr/bin/python3 -c '
import socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(); time.sleep(600)' "$1"
    # shellcheck disable=SC2034
    FOREIGN=$(pid_of "$WORK/foreign.pid")
    wait_until 10 port_is_taken "$1"
}
