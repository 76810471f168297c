#!/usr/bin/env bash
# What the tests of the image and of compose.yaml need: an engine that works here, the image, and stand-ins for other images.
#
#   prepare.sh      makes what is missing, and prints settings for the tests, NAME=VALUE for each; 77 where it cannot be, with the reason
#
# No registry is asked. The base image is made of Debian's packages and gets the name that the Dockerfile uses; PostgreSQL and Kafka are
# stand-ins with the names that compose.yaml uses (standins/). All of it lies in a storage of its own below var/containers: images
# with these names must never be met by anything else. `docker compose` is Docker's own program, built from source where there is a Go.
#
# TXSTREAM_CONTAINERS=on asks for these tests (make test-containers does); without it they are not run, since they take minutes.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"

HERE=$TXS_ROOT/tests/containers
HOME_DIR=$TXS_ROOT/var/containers
BASE=docker.io/library/debian:13-slim
POSTGRES=docker.io/library/postgres:17.6
KAFKA=docker.io/apache/kafka:4.1.0
COMPOSE_VERSION=v2.40.3
# What ctest takes for "skipped".
EXIT_NOT_HERE=77

main() {
    local tool
    [[ ${TXSTREAM_CONTAINERS:-} == on ]] || not_here "they take minutes and were not asked for: make test-containers"
    for tool in podman runc mmdebstrap; do
        command -v "$tool" >/dev/null || not_here "$tool is missing (make test-containers installs it)"
    done
    ((EUID == 0)) || not_here "they need root: a base image is made"
    mkdir -p "$HOME_DIR"
    with_lock "$HOME_DIR/lock"
    configure
    podman info >/dev/null 2>"$HOME_DIR/podman.log" || not_here "podman does not work: $(tail -n 1 "$HOME_DIR/podman.log")"
    {
        has "$BASE" || make_base
        ! is_stale txstream || TXSTREAM_ENGINE=podman TXSTREAM_BUILD_OPTIONS="--isolation chroot --network host --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt" \
            tools_containers build
        has "$POSTGRES" || build_plain "$POSTGRES" "$HERE/standins/postgres"
        has "$KAFKA" || make_kafka
    } >&2
    printf '%s\n' "CONTAINERS_CONF=$CONTAINERS_CONF" "CONTAINERS_STORAGE_CONF=$CONTAINERS_STORAGE_CONF" "DOCKER_COMPOSE=$(compose)"
}

not_here() {
    warn "not run: $*"
    exit "$EXIT_NOT_HERE"
}

# Limits below those of small machines, the runtime that works with control groups of version 1, and a network with names.
configure() {
    export CONTAINERS_CONF=$HOME_DIR/containers.conf CONTAINERS_STORAGE_CONF=$HOME_DIR/storage.conf
    cat >"$CONTAINERS_CONF" <<CONF
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[network]
network_backend = "netavark"
network_config_dir = "$HOME_DIR/networks"
CONF
    cat >"$CONTAINERS_STORAGE_CONF" <<CONF
[storage]
driver = "overlay"
graphroot = "$HOME_DIR/storage"
runroot = "$HOME_DIR/run"
CONF
    mkdir -p "$HOME_DIR/networks"
}

has() { podman image exists "$1"; }
tools_containers() { "$TXS_ROOT/tools/containers.sh" "$@"; }

# An image is of this checkout when its label has the revision, and nothing was changed since.
is_stale() {
    local label
    label=$(podman image inspect --format '{{index .Labels "org.opencontainers.image.revision"}}' "$1" 2>/dev/null) || return 0
    [[ $label == *-dirty || $label != "$(git -C "$TXS_ROOT" describe --always --dirty)" ]]
}

make_base() {
    mmdebstrap --quiet --variant=minbase trixie "$HOME_DIR/base.tar"
    podman import --quiet "$HOME_DIR/base.tar" "$BASE"
    rm -f "$HOME_DIR/base.tar"
}

build_plain() { podman build --isolation chroot --network host --format docker --tag "$1" "$2"; }

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

# compose: prints the path of a `docker-compose` of version 2, or nothing where there is none and no Go to build it.
compose() {
    local home=$HOME_DIR/compose-$COMPOSE_VERSION source
    export PATH=$PATH:/usr/local/go/bin GOTOOLCHAIN=local GOFLAGS=-mod=readonly
    if [[ ! -x $home/docker-compose ]]; then
        command -v go >/dev/null || return 0
        mkdir -p "$home"
        source=$(cd / && go mod download -json "github.com/docker/compose/v2@$COMPOSE_VERSION" 2>/dev/null | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
        [[ -d $source ]] || return 0
        cp -r "$source" "$home/source"
        chmod -R u+w "$home/source"
        (cd "$home/source" && go build -ldflags '-s -w' -o ../docker-compose ./cmd) >"$home/log" 2>&1 || {
            tail_of "$home/log"
            return 0
        }
        rm -rf "$home/source"
    fi
    echo "$home/docker-compose"
}

main "$@"
