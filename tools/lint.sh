#!/usr/bin/env bash
# Everything that reads the code without running it: `make lint`; with --fix `make fmt`.
#
#   lint.sh           clang-tidy on the files that differ from LINT_BASE (default HEAD), all else on everything
#   lint.sh --all     clang-tidy on every file; takes minutes
#   lint.sh --fix     only formats
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

FORMAT=clang-format-19
TIDY=clang-tidy-19
failed=()

main() {
    cd "$TXS_ROOT"
    tools/deps.sh build test
    mapfile -t SOURCES < <(cpp_files)
    if [[ ${1:-} == --fix ]]; then
        ((${#SOURCES[@]} == 0)) || "$FORMAT" -i "${SOURCES[@]}"
        return
    fi
    check formatting check_formatting
    check layers check_script tools/check_layers.py
    check tidy check_script tools/tidy.py
    check shellcheck check_shell
    check clang-tidy check_clang_tidy "${1:-}"
    check web check_web
    ((${#failed[@]} == 0)) || die "failed: ${failed[*]}"
}

# check NAME COMMAND...: all of them run, so that one round shows everything.
check() {
    local name=$1 started
    shift
    started=$(now_ms)
    if "$@"; then
        say "ok      $name ($(seconds_since "$started") s)"
    else
        say "FAILED  $name ($(seconds_since "$started") s)"
        failed+=("$name")
    fi
}

cpp_files() { find src tests bench -name '*.[ch]pp' -type f 2>/dev/null | sort || true; }

check_formatting() {
    ((${#SOURCES[@]} == 0)) || "$FORMAT" --dry-run -Werror "${SOURCES[@]}"
}

check_script() { /usr/bin/python3 "$1"; }

check_shell() {
    local scripts=()
    mapfile -t scripts < <(grep -rlE '^#!(/usr/bin/env |/bin/)(ba)?sh|^# shellcheck shell=' tools tests bench .ci 2>/dev/null)
    shellcheck --external-sources "${scripts[@]}"
}

check_web() {
    local code=0
    tools/web.sh test lint types || code=$?
    ((code == 0 || code == 77))
}

check_clang_tidy() {
    local files=()
    if [[ $1 == --all ]]; then
        mapfile -t files < <(printf '%s\n' "${SOURCES[@]}" | grep '\.cpp$' | grep -v '^bench/')
    else
        mapfile -t files < <(affected_sources)
    fi
    if ((${#files[@]} == 0)); then
        say "clang-tidy: no file differs from ${LINT_BASE:-HEAD}; 'make lint ARGS=--all' checks every file"
        return
    fi
    tools/build.sh --configure dev >/dev/null
    printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$(nproc)" "$TIDY" -p build/dev --quiet
}

# The changed sources, and those that include a changed header themselves.
affected_sources() {
    local file
    changed_files | while read -r file; do
        case $file in
            *.cpp) echo "$file" ;;
            src/*.hpp) grep -rlF "#include \"${file#src/}\"" src tests bench --include='*.cpp' 2>/dev/null || true ;;
        esac
    done | sort -u
}

changed_files() {
    {
        git diff --name-only --diff-filter=d "${LINT_BASE:-HEAD}" -- src tests bench
        git ls-files --others --exclude-standard -- src tests bench
    } | sort -u
}

main "$@"
