#!/usr/bin/env bash
# What the tests of the image and of compose.yaml need: an engine that works here, the image, and stand-ins for other images.
#
#   prepare.sh      makes what is missing, and prints settings for the tests, NAME=VALUE for each; 77 where it cannot be, with the reason
#
# PostgreSQL and Kafka are stand-ins with the names that compose.yaml uses (standins/). `docker compose` is Docker's own program, in the
# version of the Debian release on which the image is built.
#
# TXSTREAM_CONTAINERS=on asks for these tests (make test-containers does); without it they are not run, since they take minutes.
set -euo pipefail
# shellcheck source=tests/containers/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

POSTGRES=docker.io/library/postgres:17.6
KAFKA=docker.io/apache/kafka:4.1.0
COMPOSE=$HOME_DIR/docker-compose

main() {
    [[ ${TXSTREAM_CONTAINERS:-} == on ]] || not_here "they take minutes and were not asked for: make test-containers"
    make_engine
    {
        need_base
        ! is_stale txstream || timed image make_image
        has "$POSTGRES" || timed postgres build_plain "$POSTGRES" "$HERE/standins/postgres"
        has "$KAFKA" || timed kafka make_kafka
        [[ -x $COMPOSE ]] || timed compose make_compose
    } >&2
    printf '%s\n' "CONTAINERS_CONF=$CONTAINERS_CONF" "CONTAINERS_STORAGE_CONF=$CONTAINERS_STORAGE_CONF" "DOCKER_COMPOSE=$COMPOSE" "FIGURES=$FIGURES"
}

# An image is of this checkout when its label has the revision, and nothing was changed since.
is_stale() {
    local label
    label=$(podman image inspect --format '{{index .Labels "org.opencontainers.image.revision"}}' "$1" 2>/dev/null) || return 0
    [[ $label == *-dirty || $label != "$(git -C "$TXS_ROOT" describe --always --dirty)" ]]
}

make_image() { TXSTREAM_ENGINE=podman TXSTREAM_BUILD_OPTIONS="${BUILD_OPTIONS[*]}" "$TXS_ROOT/tools/containers.sh" build; }

# The machine's JVM and the jars that the other tests use.
make_kafka() {
    local context jars java
    "$TXS_ROOT/tools/services/kafka.sh" fetch
    jars=${TXSTREAM_KAFKA_LIBS:-$TXS_ROOT/var/kafka-libs}/$(hash_of <"$TXS_ROOT/tools/services/kafka/pom.xml")/jars
    java=$(readlink -f "$(command -v java)")
    context=$(mktemp -d "$HOME_DIR/kafka-XXXXXX")
    cp "$HERE"/standins/kafka/* "$context/"
    cp -r "$jars" "$context/jars"
    # Its configuration lies in /etc; the links to it are followed. That to the sources, where they are not installed, leads nowhere.
    mkdir "$context/java"
    tar -C "${java%/bin/java}" --dereference --exclude=./lib/src.zip -c . | tar -C "$context/java" -x
    build_plain "$KAFKA" "$context"
    rm -rf "$context"
}

# The program of Debian's package, which runs on this machine: a Go binary that needs little but the kernel.
make_compose() {
    local name
    build_plain compose "$HERE/compose"
    name=$(podman create compose true)
    podman cp "$name:/docker-compose" "$COMPOSE"
    podman rm "$name" >/dev/null
}

main "$@"
