#!/usr/bin/env bash
# Installs the Debian packages this project needs, if any is missing.
#
#   deps.sh [SET]...    sets: build, dev, run, unit, test, containers (default: build, run, unit and test)
#   deps.sh --list [SET]...
#
# Nothing is asked and nothing touched when all of them are there. Without root and without sudo it says what to
# install and ends with 1. Services that come with the packages are not started: ours run under var/, on their own ports.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The one place where packages are listed.
declare -A PACKAGES=(
    [build]='clang-19 lld-19 llvm-19 libclang-rt-19-dev clang-format-19 clang-tidy-19 ccache ninja-build cmake make
        pkg-config libboost1.81-dev libexpected-dev libpq-dev librdkafka-dev libfmt-dev prometheus-cpp-dev
        libcli11-dev nlohmann-json3-dev libgtest-dev libssl-dev zlib1g-dev python3 python3-yaml'
    # txstream dev, and what it tells to try next: no JVM, nothing from Maven.
    [dev]='postgresql-15 curl kcat'
    [run]='postgresql-15 postgresql-client-15 prometheus prometheus-alertmanager default-jre-headless maven kcat curl jq python3
        python3-venv'
    # Beside those of build: the tests without servers judge the rules for Prometheus with its own tools.
    [unit]='python3-pytest python3-yaml prometheus prometheus-alertmanager'
    [test]='python3-pytest python3-venv python3-prometheus-client python3-yaml python3-psycopg2 python3-confluent-kafka pgbouncer nginx-light shellcheck wrk
        chromium python3-jsonschema groff-base systemd'
    # An engine that needs no daemon, with a runtime and a network that work anywhere, and what makes a base image of packages.
    [containers]='podman buildah runc netavark aardvark-dns iptables mmdebstrap default-jre-headless maven kcat python3-pytest python3-venv'
)

# Present only while we install; by its text we know one that a killed run of ours left behind.
POLICY_FILE=/usr/sbin/policy-rc.d
POLICY_MARK='# put here by TxStream tools/deps.sh while it installs packages'

main() {
    local list_only=0 sets=() missing=()
    while (($#)); do
        case $1 in
            --list) list_only=1 ;;
            build | dev | run | unit | test | containers) sets+=("$1") ;;
            *) die "unknown set $1; there are: build, dev, run, unit, test, containers" ;;
        esac
        shift
    done
    ((${#sets[@]})) || sets=(build run unit test)
    mapfile -t WANTED < <(for set in "${sets[@]}"; do echo "${PACKAGES[$set]}"; done | tr -s '[:space:]' '\n' | sort -u)
    if ((list_only)); then
        printf '%s\n' "${WANTED[@]}"
        return
    fi
    mapfile -t missing < <(missing_packages)
    [[ " ${sets[*]} " != *" build "* ]] || install_node
    ((${#missing[@]})) || return 0
    say "missing Debian packages: ${missing[*]}"
    choose_sudo || {
        warn "no root and no sudo here; please have these installed: apt-get install --no-install-recommends ${missing[*]}"
        exit 1
    }
    install_packages "${missing[@]}"
}

missing_packages() {
    command -v dpkg-query >/dev/null || {
        warn "this is not a Debian system; needed are the equivalents of: ${WANTED[*]}"
        return 0
    }
    comm -23 <(printf '%s\n' "${WANTED[@]}") <(
        dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' "${WANTED[@]}" 2>/dev/null |
            sed -n 's/^installed //p' | sort -u
    )
}

# The console's page is built with Node. Where a usable one is there, whoever made it, nothing is installed: Debian's npm is at odds
# with other vendors' packages of Node. Without it the build leaves the page out and says so, so a failure here is none.
install_node() {
    local version packages=()
    version=$(node --version 2>/dev/null || echo v0)
    version=${version#v}
    ((${version%%.*} >= 18)) || packages=(nodejs)
    command -v npm >/dev/null || packages+=(npm)
    ((${#packages[@]})) || return 0
    command -v apt-get >/dev/null || return 0
    say "for the console's page: ${packages[*]}"
    # In a shell of its own: its traps and its failure stay there.
    (choose_sudo && install_packages --no-remove "${packages[@]}") ||
        warn "could not install ${packages[*]}; the build will leave the console's page out"
}

choose_sudo() {
    SUDO=()
    ((EUID != 0)) || return 0
    command -v sudo >/dev/null || return 1
    # A question for the password is fine in a terminal and a hang everywhere else.
    if [[ -t 0 ]]; then SUDO=(sudo); else SUDO=(sudo --non-interactive) && sudo --non-interactive true 2>/dev/null; fi
}

install_packages() {
    trap 'remove_policy' EXIT
    trap 'exit 130' INT TERM HUP
    local known_units
    known_units=$(service_units)
    put_policy
    # The package lists of the machine may be old or empty: renewed only if it does not work without.
    if ! apt_install "$@"; then
        say "renewing the package lists"
        "${SUDO[@]}" apt-get update -q || die "apt-get update failed"
        apt_install "$@" || die "could not install: $*"
    fi
    keep_new_services_off "$known_units"
}

apt_install() {
    "${SUDO[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 "$@"
}

# Debian starts a server when it is installed, unless this file says no. An existing one is the administrator's.
put_policy() {
    [[ ! -e $POLICY_FILE ]] || return 0
    printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" | "${SUDO[@]}" tee "$POLICY_FILE" >/dev/null
    "${SUDO[@]}" chmod 0755 "$POLICY_FILE"
}

remove_policy() {
    ! grep -qxF "$POLICY_MARK" "$POLICY_FILE" 2>/dev/null || "${SUDO[@]}" rm -f "$POLICY_FILE"
}

service_units() { systemctl list-unit-files --no-legend 'postgresql*' 'prometheus*' 'pgbouncer*' 2>/dev/null | awk '{ print $1 }' || true; }

# The next boot would start them and take the ports 5432, 9090 and 9093. Units that were there before stay as they are.
keep_new_services_off() {
    [[ -d /run/systemd/system ]] || return 0
    local unit
    for unit in postgresql.service prometheus.service prometheus-alertmanager.service pgbouncer.service; do
        if [[ $'\n'$1$'\n' != *$'\n'$unit$'\n'* ]]; then
            "${SUDO[@]}" systemctl disable --quiet "$unit" 2>/dev/null || true
        fi
    done
}

main "$@"
