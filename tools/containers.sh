#!/usr/bin/env bash
# The image and the containers of compose.yaml, with docker or podman, whichever is present.
#
#   containers.sh build               make docker-build   the image txstream, and its bill of materials in build/container
#   containers.sh run [ARGS]          make docker-run     txstream ARGS in a container on the host's network, as locked up as it gets
#   containers.sh up [ARGS]           make compose-up     compose.yaml, until everything is healthy (ARGS='--profile observability')
#   containers.sh down [ARGS]         make compose-down   ends it; volumes stay (ARGS=--volumes removes them)
#   containers.sh engine              which engine would be used
#
# TXSTREAM_ENGINE=docker or podman chooses, where both are present. TXSTREAM_IMAGE is another name than txstream,
# TXSTREAM_BUILD_OPTIONS are for the engine's build.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

IMAGE=${TXSTREAM_IMAGE:-txstream}
OUT=$TXS_ROOT/build/container
SBOM=/usr/share/txstream/sbom.spdx.json
EXIT_NO_ENGINE=3
# What the program is told by its settings, and what a container must be told by its engine.
STOP_SECONDS=30

main() {
    local verb=${1:-help}
    shift || true
    cd "$TXS_ROOT"
    case $verb in
        build | run | up | down | engine)
            find_engine
            "do_$verb" "$@"
            ;;
        help | --help | -h) usage ;;
        *) refuse_verb "$verb" ;;
    esac
}

# A client without its daemon is none: `docker info` asks.
find_engine() {
    local candidate
    for candidate in ${TXSTREAM_ENGINE:-docker podman}; do
        if command -v "$candidate" >/dev/null && "$candidate" info >/dev/null 2>&1; then
            ENGINE=$candidate
            return
        fi
    done
    warn "neither docker nor podman works here; install one of them (Debian: apt-get install podman runc). Without containers:" \
        "'make build' makes the binary, 'make start-all' runs it with all it needs"
    exit "$EXIT_NO_ENGINE"
}

do_engine() { say "$ENGINE"; }

do_build() {
    local started options=()
    started=$(now_ms)
    read -ra options <<<"${TXSTREAM_BUILD_OPTIONS:-}"
    # Podman's own format has no health checks.
    [[ $ENGINE != podman ]] || options+=(--format docker)
    "$ENGINE" build "${options[@]}" --tag "$IMAGE" --build-arg "VERSION=$(version)" --build-arg "REVISION=$(revision)" \
        --build-arg "CREATED=$(created)" --build-arg "SOURCE=${TXSTREAM_SOURCE_URL:-}" "$@" .
    save_sbom
    say "image $IMAGE: $(size) ($(seconds_since "$started") s); its bill of materials: ${OUT#"$TXS_ROOT/"}/sbom.spdx.json"
}

version() { sed -n 's/^project(txstream VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt; }
revision() { git describe --always --dirty 2>/dev/null || echo unknown; }
# Of the sources, so that the same ones make the same labels.
created() { TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null || echo 1970-01-01T00:00:00Z; }
size() { "$ENGINE" image inspect --format '{{.Size}}' "$IMAGE" | awk '{ printf "%.1f MB", $1 / 1e6 }'; }

save_sbom() {
    local container
    mkdir -p "$OUT"
    container=$("$ENGINE" create "$IMAGE" 2>/dev/null)
    "$ENGINE" cp "$container:$SBOM" "$OUT/sbom.spdx.json"
    "$ENGINE" rm "$container" >/dev/null
}

# On the host's network: the addresses of .env mean what they mean for the binary, and servers stay on loopback.
do_run() {
    local env_file=()
    [[ ! -e .env ]] || env_file=(--env-file .env)
    exec "$ENGINE" run --rm --init=false --network host --read-only --cap-drop ALL --security-opt no-new-privileges --user 65532:65532 \
        --stop-timeout "$STOP_SECONDS" "${env_file[@]}" "$IMAGE" "$@"
}

do_up() {
    export TXSTREAM_REVISION
    TXSTREAM_REVISION=$(revision)
    find_compose
    "${COMPOSE[@]}" "$@" up --wait
    say "Orders API    http://127.0.0.1:${SERVER_PORT:-8080}"
    say "Console       http://127.0.0.1:${CONSOLE_PORT:-8082}/#token=$("${COMPOSE[@]}" exec -T postgres cat /run/secrets/console_token)"
    say "Kafka         127.0.0.1:${STACK_KAFKA_PORT:-9092}"
    say "PostgreSQL    127.0.0.1:${STACK_PG_PORT:-15432}"
}

do_down() {
    find_compose
    "${COMPOSE[@]}" --profile observability down "$@"
}

# `docker compose` waits for what depends_on says; podman has it too, where a compose provider is installed.
find_compose() {
    COMPOSE=("$ENGINE" compose)
    "${COMPOSE[@]}" version >/dev/null 2>&1 || {
        warn "'$ENGINE compose' does not work here; install Docker's compose plugin (Debian 13: docker-compose), which both engines call"
        exit "$EXIT_NO_ENGINE"
    }
}

main "$@"
