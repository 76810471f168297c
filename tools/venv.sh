#!/usr/bin/env bash
# A Python with exactly the packages of a requirements file, below var/.
#
#   venv.sh REQUIREMENTS.txt      makes it when it is not there, and prints the path of its python
#
# Its directory is named after the file's content and the interpreter's version: other requirements make another one, and
# the same ones cost nothing. Every package is compared with its hash. An interrupted run leaves a directory without the
# mark `complete`; the next run makes it again.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Debian's, whatever stands first on the PATH: the tests run with the same one.
PYTHON=/usr/bin/python3

main() {
    (($# == 1)) || {
        usage >&2
        exit "$EXIT_USAGE"
    }
    local requirements=$1 home log
    [[ -r $requirements ]] || die "$requirements cannot be read"
    [[ -x $PYTHON ]] || die "$PYTHON is missing; install the Debian package python3 (make deps does it)"
    home=$TXS_ROOT/var/venv/$({ "$PYTHON" --version && cat "$requirements"; } | hash_of)
    log=$home.log
    # Installing takes up to a minute when packages must be downloaded; a second caller waits for the first.
    with_lock "$home.lock"
    if [[ ! -e $home/complete ]]; then
        rm -rf "$home"
        make_venv "$home" "$requirements" "$log"
        touch "$home/complete"
    fi
    echo "$home/bin/python"
}

make_venv() {
    local home=$1 requirements=$2 log=$3
    "$PYTHON" -c 'import ensurepip' 2>/dev/null ||
        die "venv is missing in $PYTHON; install the Debian package python3-venv (make deps does it)"
    if ! { "$PYTHON" -m venv "$home" && "$home/bin/python" -m pip install --quiet --disable-pip-version-check \
        --no-input --require-hashes --only-binary :all: --requirement "$requirements"; } >"$log" 2>&1; then
        tail_of "$log"
        die "the packages of ${requirements#"$TXS_ROOT/"} could not be installed; the log is ${log#"$TXS_ROOT/"}." \
            "Without a network, point PIP_FIND_LINKS to a directory that has them"
    fi
}

main "$@"
