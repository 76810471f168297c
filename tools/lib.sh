# shellcheck shell=bash
# Functions shared by the scripts under tools/. Sourced, never run; the caller has set -euo pipefail.
#
# The centre is the pid file: a pid alone says nothing after the process died and the number was given away, so ours
# also hold the process's start time and the boot it belongs to. Every signal we send goes through pid_of(), which
# compares both. That is what "stops only what it started" rests on.

# One locale, so that messages, sort order and number formats that we parse never depend on the caller.
export LC_ALL=C.UTF-8

# shellcheck disable=SC2034  # read by the scripts that source this file
TXS_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# The script that was called, wherever it goes afterwards.
TXS_SCRIPT=$(realpath -- "$0")
# shellcheck disable=SC2034
EXIT_PORT_TAKEN=3
EXIT_USAGE=2

say() { printf '%s\n' "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    warn "$*"
    exit 1
}

# usage: the comment at the top of the script.
usage() { sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' "$TXS_SCRIPT"; }

# refuse_verb VERB: a mistyped one must not look like success, to make as little as to a script.
refuse_verb() {
    warn "unknown verb $1"
    usage >&2
    exit "$EXIT_USAGE"
}

# --- time -------------------------------------------------------------------------------------------------------------

now_ms() {
    local us=${EPOCHREALTIME/[.,]/}
    echo $((us / 1000))
}

# seconds_since MS: "1.8" for a start taken with now_ms.
seconds_since() {
    local ms=$(($(now_ms) - $1))
    printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100))
}

# wait_until SECONDS COMMAND...: polls a condition; returns 1 when it did not hold before the deadline.
wait_until() {
    local deadline=$(($(now_ms) + $1 * 1000))
    shift
    until "$@"; do
        (($(now_ms) < deadline)) || return 1
        sleep 0.05
    done
}

# --- processes --------------------------------------------------------------------------------------------------------

# proc_started PID: the start time in clock ticks since boot; fails when there is no such process or only its zombie.
proc_started() {
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    # The command name stands in parentheses and may itself hold blanks and parentheses: cut after the last one.
    local fields
    read -ra fields <<<"${stat##*) }"
    [[ ${fields[0]} != Z && ${fields[0]} != X ]] || return 1
    echo "${fields[19]}"
}

boot_id() { cat /proc/sys/kernel/random/boot_id; }

# pid_of FILE: prints the pid if the process that wrote the pid file still runs; fails otherwise.
pid_of() {
    local pid started boot
    { read -r pid started boot <"$1"; } 2>/dev/null || return 1
    [[ $boot == "$(boot_id)" && $(proc_started "$pid") == "$started" ]] || return 1
    echo "$pid"
}

# record_self FILE: a pid file about this script.
record_self() { echo "$$ $(proc_started $$) $(boot_id)" >"$1"; }

is_running() { pid_of "$1" >/dev/null; }
is_gone() { ! is_running "$1"; }

# spawn PIDFILE LOGFILE COMMAND...: starts a process that outlives us.
#
# The child writes its own pid file and then becomes the command (start times survive exec): there is no moment at which
# the command runs and the file does not say so, whenever we are interrupted. It gets its own session so that Ctrl-C in
# the terminal does not reach it, and none of our descriptors, so that it never holds a lock of ours.
spawn() {
    local pid_file=$1 log_file=$2
    shift 2
    rm -f "$pid_file"
    # shellcheck disable=SC2016  # expanded by the child
    setsid bash -c '
        pid_file=$1 log_file=$2
        shift 2
        exec </dev/null >>"$log_file" 2>&1
        for fd in /proc/$$/fd/*; do
            fd=${fd##*/}
            # 255 is where bash keeps a script it reads; this one comes from -c, so there is nothing to lose.
            ((fd <= 2)) || eval "exec $fd>&-"
        done
        read -r stat <"/proc/$$/stat"
        read -ra fields <<<"${stat##*) }"
        echo "$$ ${fields[19]} $(cat /proc/sys/kernel/random/boot_id)" >"$pid_file.new"
        mv "$pid_file.new" "$pid_file"
        # A shell without job control hands "ignore" for SIGINT and SIGQUIT on to what it starts in the background.
        exec env --default-signal=INT,QUIT,HUP,PIPE "$@"
    ' spawn "$pid_file" "$log_file" "$@" &
    wait_until 10 test -e "$pid_file" || die "could not start $1"
}

# stop_pid_file FILE SIGNAL SECONDS: asks, waits, then kills. Silent and successful when nothing of ours runs.
stop_pid_file() {
    local pid
    if pid=$(pid_of "$1"); then
        kill -s "$2" "$pid" 2>/dev/null || true
        if ! wait_until "$3" is_gone "$1"; then
            warn "pid $pid did not end within $3 s after SIG$2; sending SIGKILL"
            kill_pid_file "$1"
        fi
    fi
    rm -f "$1"
}

kill_pid_file() {
    local pid
    if pid=$(pid_of "$1"); then
        kill -s KILL "$pid" 2>/dev/null || true
        wait_until 10 is_gone "$1" || die "pid $pid does not end"
    fi
    rm -f "$1"
}

# with_lock FILE: takes an exclusive lock for the rest of this script. The kernel drops it however we end.
with_lock() {
    mkdir -p "$(dirname "$1")"
    exec {TXS_LOCK_FD}>>"$1"
    flock --nonblock "$TXS_LOCK_FD" && return
    [[ -z ${2:-} ]] || say "$2"
    flock "$TXS_LOCK_FD"
}

# --- ports ------------------------------------------------------------------------------------------------------------

# port_inodes PORT: the sockets that listen on it, on any address. /proc instead of ss: no package, and it never waits.
port_inodes() {
    local hex
    printf -v hex ':%04X' "$1"
    awk -v port="$hex" '$4 == "0A" && substr($2, length($2) - 4) == port { print $10 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

port_is_taken() { [[ -n $(port_inodes "$1") ]]; }

# pid_listens PID PORT: is it this process that listens there?
pid_listens() {
    local inode
    for inode in $(port_inodes "$2"); do
        [[ -z $(find "/proc/$1/fd" -lname "socket:\[$inode\]" -print -quit 2>/dev/null) ]] || return 0
    done
    return 1
}

# port_owner PORT: "pid 4711 (java -Xmx512m ...)", or that it cannot be known.
port_owner() {
    local inode path pid command
    for inode in $(port_inodes "$1"); do
        path=$(find /proc/[0-9]*/fd -maxdepth 1 -lname "socket:\[$inode\]" -print -quit 2>/dev/null || true)
        [[ -n $path ]] || continue
        pid=${path#/proc/}
        pid=${pid%%/*}
        command=$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null || true)
        [[ ${#command} -le 80 ]] || command="${command:0:77}..."
        echo "pid $pid (${command% })"
        return
    done
    echo "another process (its pid cannot be seen from here)"
}

# port_taken_message PORT WHAT VARIABLE
port_taken_message() {
    local remedy="set $3 to another port"
    [[ $3 != --* ]] || remedy="choose another one with $3"
    warn "port $1 for $2 is taken by $(port_owner "$1"); $remedy"
}

# free_port COUNT: the first of COUNT neighbouring free ports. From below the range the kernel hands to outgoing
# connections (32768 and up), or one of those could sit on the port just when we want to bind it.
free_port() {
    local count=$1 port i
    while :; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        for ((i = 0; i < count; i++)); do
            ! port_is_taken $((port + i)) || continue 2
        done
        echo "$port"
        return
    done
}

# --- small things -----------------------------------------------------------------------------------------------------

# random_token LENGTH: letters and digits only, so that it needs no quoting anywhere.
random_token() {
    local token=
    while ((${#token} < $1)); do
        token+=$(head -c 64 /dev/urandom | base64 --wrap=0 | tr -dc 'A-Za-z0-9')
    done
    echo "${token:0:$1}"
}

hash_of() { sha256sum | cut -c1-12; }

# tail_of FILE: the end of a log, indented, on stderr: the reason a start failed.
tail_of() {
    [[ ! -s $1 ]] || { tail -n "${2:-15}" "$1" | sed 's/^/    /' >&2; }
}

require_command() {
    command -v "$1" >/dev/null || die "$1 is missing; install the Debian package $2 (make deps does it)"
}
