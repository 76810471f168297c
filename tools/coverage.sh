#!/usr/bin/env bash
# Line coverage of the product code per room, over the tests: `make test-coverage`.
#
#   coverage.sh [CTEST ARGUMENT]...
#
# A process that a test ends with SIGKILL writes no counts; what only such processes execute is missing here.
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

BUILD=$TXS_ROOT/build/coverage
PROFILES=$BUILD/profiles
NOT_PRODUCT='_(test|pgtest|kafkatest|benchmark)\.cpp$|/(tests|bench|build)/|^/usr/'

main() {
    local code=0
    cd "$TXS_ROOT"
    rm -rf "$PROFILES"
    mkdir -p "$PROFILES"
    # %4m: at most four files per binary, merged as the processes end, instead of one per process.
    LLVM_PROFILE_FILE=$PROFILES/%4m.profraw tools/run_tests.sh --preset coverage "$@" || code=$?
    report
    ((code == 0)) || warn "not all tests passed (exit code $code): the figures above are of an incomplete run"
    return "$code"
}

report() {
    local binaries=() objects=() binary
    compgen -G "$PROFILES/*.profraw" >/dev/null || die "no test wrote counts; was the preset built with -fprofile-instr-generate?"
    mapfile -t binaries < <(find "$BUILD" -type f -executable ! -path '*/CMakeFiles/*' -exec grep -laF __llvm_covmap {} +)
    for binary in "${binaries[@]}"; do
        objects+=(-object "$binary")
    done
    llvm-profdata-19 merge -sparse -o "$BUILD/all.profdata" "$PROFILES"/*.profraw
    llvm-cov-19 export -summary-only -instr-profile "$BUILD/all.profdata" -ignore-filename-regex "$NOT_PRODUCT" \
        "${objects[@]}" >"$BUILD/coverage.json"
    /usr/bin/python3 - "$BUILD/coverage.json" "$TXS_ROOT/src/" <<'PYTHON'
import collections, json, sys

rooms = collections.defaultdict(lambda: [0, 0])
for file in json.load(open(sys.argv[1]))["data"][0]["files"]:
    if file["filename"].startswith(sys.argv[2]):
        room = file["filename"][len(sys.argv[2]):].split("/")[0]
        for name in (room, "~all"):
            rooms[name][0] += file["summary"]["lines"]["covered"]
            rooms[name][1] += file["summary"]["lines"]["count"]
print(f"\n{'room':<12}{'lines':>8}{'covered':>9}{'':>8}")
for name in sorted(rooms):
    covered, lines = rooms[name]
    print(f"{name.lstrip('~'):<12}{lines:>8}{covered:>9}{100 * covered / max(lines, 1):>7.1f}%")
PYTHON
    say
    say "by line: llvm-cov-19 show -instr-profile build/coverage/all.profdata build/coverage/txstream src/<room>/<file>"
}

main "$@"
