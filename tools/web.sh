#!/usr/bin/env bash
# The console's page in web/: its packages from the lock file, its build, its tests.
#
#   web.sh build           web/dist, if its sources changed; without it when there is no Node or no package to be had
#   web.sh dev             Vite's server on loopback, which passes /api on to a console (CONSOLE_URL, default http://127.0.0.1:8082)
#   web.sh mock            the same with made-up data instead of a console
#   web.sh test [PART]...  lint, types, unit, size; 77 where there is no page to test
#
# TXSTREAM_WEB=required turns a page that cannot be built into an error; TXSTREAM_WEB=off builds none.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

WEB=$TXS_ROOT/web
# Debian 12 has 18.
NODE_MIN=18
# What ctest takes for "skipped".
EXIT_NO_PAGE=77

main() {
    (($#)) || {
        usage >&2
        exit "$EXIT_USAGE"
    }
    local verb=$1
    shift
    cd "$WEB"
    case $verb in
        build) build ;;
        dev | mock)
            with_web_lock
            packages || die "$REASON"
            unlock
            if [[ $verb == mock ]]; then exec node dev/server.mjs "$@"; else exec npm run --silent dev -- "$@"; fi
            ;;
        test) run_tests "$@" ;;
        *) refuse_verb "$verb" ;;
    esac
}

build() {
    with_web_lock
    if [[ ${TXSTREAM_WEB:-} == off ]]; then
        rm -rf dist
        say "web: TXSTREAM_WEB=off; the binary is built without the console's page"
        return
    fi
    local wanted
    wanted=$(sources_hash)
    [[ ! -e dist/.sources || $(<dist/.sources) != "$wanted" ]] || return 0
    # A page that does not fit its server would be worse than none.
    rm -rf dist
    packages || {
        without_page
        return
    }
    local started log
    started=$(now_ms)
    log=node_modules/.txs-build.log
    npm run --silent build >"$log" 2>&1 || {
        tail_of "$log" 40
        die "web: the page does not build"
    }
    echo "$wanted" >dist/.sources
    say "web: page built ($(seconds_since "$started") s)"
}

without_page() {
    [[ ${TXSTREAM_WEB:-} != required ]] || die "web: $REASON"
    warn "web: $REASON; the binary is built without the console's page (its API is there)"
}

# Only one build at a time; two presets may be built at once.
with_web_lock() { with_lock "$TXS_ROOT/var/web.lock" "web: another build of the page runs in this checkout; waiting for it"; }
unlock() { exec {TXS_LOCK_FD}>&-; }

# Everything that decides what the page is.
sources_hash() {
    {
        find . \( -path ./node_modules -o -path ./dist -o -path ./src/api/schema.ts \) -prune -o -type f -print0
        printf '%s\0' ../src/console/openapi.yaml
    } | sort -z | xargs -0 sha256sum | hash_of
}

# packages: node_modules is what the lock file says. Fails with REASON.
packages() {
    local version log
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
        REASON="node or npm is missing (make deps installs them)"
        return 1
    fi
    version=$(node --version)
    if ! [[ $version =~ ^v([0-9]+)\. ]] || ((BASH_REMATCH[1] < NODE_MIN)); then
        REASON="node is $version; the page needs $NODE_MIN or newer"
        return 1
    fi
    local wanted
    wanted="$(cat package.json package-lock.json .npmrc | hash_of) ${version%%.*}"
    [[ ! -e node_modules/.txs-lock || $(<node_modules/.txs-lock) != "$wanted" ]] || return 0
    say "web: installing the packages of web/package-lock.json"
    mkdir -p "$TXS_ROOT/var"
    log=$TXS_ROOT/var/web-npm.log
    # Without its own patience npm waits minutes for a registry that does not answer.
    npm ci --prefer-offline --fetch-retries=1 --fetch-timeout=20000 >"$log" 2>&1 || {
        tail_of "$log" 8
        rm -rf node_modules
        REASON="npm could not install its packages (${log#"$TXS_ROOT/"})"
        return 1
    }
    echo "$wanted" >node_modules/.txs-lock
}

run_tests() {
    (($#)) || set -- lint types unit size
    with_web_lock
    packages || {
        [[ ${TXSTREAM_WEB:-} != required ]] || die "web: $REASON"
        warn "web: $REASON"
        exit "$EXIT_NO_PAGE"
    }
    local part
    for part in "$@"; do
        [[ $part != size || -e dist/index.html ]] || die "web: no page in web/dist; run tools/web.sh build"
        npm run --silent "$part"
    done
}

main "$@"
