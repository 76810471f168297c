# shellcheck shell=bash
# An engine that works here, with a storage of its own, and the base image. Sourced by prepare.sh and rings.sh.
#
# No registry is asked. The base image is made of Debian's packages and gets the name that the Dockerfile uses; images with such names
# must never be met by anything else, so all of it lies below var/containers.
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"

# shellcheck disable=SC2034  # read by the scripts that source this file
HERE=$TXS_ROOT/tests/containers
HOME_DIR=$TXS_ROOT/var/containers
FIGURES=$HOME_DIR/figures
BASE=docker.io/library/debian:13-slim
# The Dockerfile's RUN steps in a directory tree of their own, on the machine's network. A proxy's certificate is the machine's.
BUILD_OPTIONS=(--isolation chroot --network host --secret "id=ca,src=/etc/ssl/certs/ca-certificates.crt")
# What ctest takes for "skipped".
EXIT_NOT_HERE=77

not_here() {
    warn "not run: $*"
    exit "$EXIT_NOT_HERE"
}

# make_engine: settings for podman, or the end of the script with the reason why there is none.
make_engine() {
    local tool
    for tool in podman runc mmdebstrap; do
        command -v "$tool" >/dev/null || not_here "$tool is missing (tools/deps.sh containers installs it)"
    done
    ((EUID == 0)) || not_here "they need root: a base image is made"
    mkdir -p "$HOME_DIR"
    with_lock "$HOME_DIR/lock"
    configure
    podman info >/dev/null 2>"$HOME_DIR/podman.log" || not_here "podman does not work: $(tail -n 1 "$HOME_DIR/podman.log")"
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
build_plain() { podman build "${BUILD_OPTIONS[@]}" --format docker --tag "$@"; }

need_base() { has "$BASE" || timed base make_base; }

make_base() {
    mmdebstrap --quiet --variant=minbase trixie "$HOME_DIR/base.tar"
    podman import --quiet "$HOME_DIR/base.tar" "$BASE"
    rm -f "$HOME_DIR/base.tar"
}

# timed NAME COMMAND...: its seconds, and those of the processor, into the figures.
timed() {
    local TIMEFORMAT="made $1: %R s, of processor time %U + %S s"
    { time "${@:2}" 2>&3; } 3>&2 2>>"$FIGURES"
}
