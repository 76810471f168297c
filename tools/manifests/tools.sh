#!/usr/bin/env bash
# helm and kustomize, built from source below var/, in the versions of go.mod.
#
#   tools.sh      builds them when they are not there, and prints their directory; 77 where there is no Go that can
#
# Debian 12's Go is too old for both; another one counts when it is on the PATH or in /usr/local/go. The first build compiles
# Kubernetes' client, over a minute of two cores; later ones, of any checkout, take it from Go's cache.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

HERE=$TXS_ROOT/tools/manifests
# What ctest takes for "skipped".
EXIT_NO_GO=77

main() {
    (($# == 0)) || {
        usage >&2
        exit "$EXIT_USAGE"
    }
    export PATH=$PATH:/usr/local/go/bin
    # The Go that is there: none is fetched in its place.
    export GOTOOLCHAIN=local GOFLAGS='-mod=readonly -buildvcs=false'
    cd "$HERE"
    has_go || {
        warn "$REASON: helm and kustomize are not built, and what renders with them is not tested"
        exit "$EXIT_NO_GO"
    }
    local home log
    home=$TXS_ROOT/var/manifests/$({ go version && cat go.mod go.sum; } | hash_of)
    log=$home.log
    with_lock "$home.lock"
    if [[ ! -e $home/complete ]]; then
        mkdir -p "$home"
        # Symbols are left out: linking is what remains when all else is in the cache.
        go build -ldflags '-s -w' -o "$home/" tool >"$log" 2>&1 || {
            tail_of "$log"
            die "helm and kustomize could not be built; the log is ${log#"$TXS_ROOT/"}"
        }
        touch "$home/complete"
    fi
    echo "$home"
}

has_go() {
    local wanted found
    command -v go >/dev/null || {
        REASON="there is no Go"
        return 1
    }
    wanted=$(sed -n 's/^go //p' go.mod)
    # Not here: an old one cannot read go.mod.
    found=$(cd / && go env GOVERSION)
    found=${found#go}
    REASON="Go $found is older than $wanted"
    [[ $(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1) == "$wanted" ]]
}

main "$@"
