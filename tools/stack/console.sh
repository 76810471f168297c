# shellcheck shell=bash
# The console alone, for those who do not run the rest of txstream here. Sourced by tools/stack.sh.
#
# What start-all runs has the console already; then there is nothing to start, and nothing of it is ended.

CONSOLE_PID_FILE=$HOME_DIR/console.pid
CONSOLE_LOG=$VAR/log/console.log

do_console() {
    case ${1:-up} in
        up) console_up ;;
        down) console_down ;;
        *) refuse_verb "console ${1:-}" ;;
    esac
}

console_up() {
    keep_what_runs
    if ! is_running "$PID_FILE" && ! console_is_up; then
        # Takes the lock for itself.
        "$TXS_SCRIPT" services
        lock_stack
        read_ports
        build
        ask_txstream export_environment
        refuse_own_port "$CONSOLE_PORT" "the console" CONSOLE_PORT
        make_secret "$LINK_TOKEN_FILE"
        (export_background_environment && spawn "$CONSOLE_PID_FILE" "$CONSOLE_LOG" "${TXSTREAM[@]}" console)
        wait_until "$READY_SECONDS" console_settled || true
        console_is_up || {
            tail_of "$CONSOLE_LOG"
            die "the console does not answer; its log is $CONSOLE_LOG"
        }
    fi
    print_console_link
    # In a desktop session only; elsewhere the link is enough.
    [[ -z ${DISPLAY:-}${WAYLAND_DISPLAY:-} ]] || ! command -v xdg-open >/dev/null || xdg-open "$(console_link)" >/dev/null 2>&1 || true
}

console_down() {
    lock_stack
    if is_running "$CONSOLE_PID_FILE"; then
        end_console
    elif is_running "$PID_FILE"; then
        say "the console is part of what make start-all started; make stop-all ends both"
    else
        say "the console is not running"
    fi
}

end_console() {
    is_running "$CONSOLE_PID_FILE" || return 0
    stop_pid_file "$CONSOLE_PID_FILE" TERM "$STOP_SECONDS"
    say "the console stopped"
}

console_settled() { console_is_up || is_gone "$CONSOLE_PID_FILE"; }

console_is_up() {
    local port
    is_running "$CONSOLE_PID_FILE" && port=$(console_port) &&
        curl --silent --fail --noproxy '*' --max-time 2 --output /dev/null "http://127.0.0.1:$port/livez"
}

# That of a console in the background is the one it was started with.
console_port() {
    local port
    port=$(sed -n 's/^.*"msg":"listening","component":"console".*"port":\([0-9]*\).*$/\1/p' "$CONSOLE_LOG" 2>/dev/null | tail -1)
    echo "${port:-${CONSOLE_PORT:-8082}}"
}

console_link() {
    local port=${CONSOLE_PORT:-8082}
    ! is_running "$CONSOLE_PID_FILE" || port=$(console_port)
    echo "http://127.0.0.1:$port/#token=$(cat "$LINK_TOKEN_FILE")"
}

print_console_link() {
    say "The console: $(console_link)"
    say "The token is good once and makes you an operator; without it you look."
}
