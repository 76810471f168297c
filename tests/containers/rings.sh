#!/usr/bin/env bash
# The rings of tests (unit, pg, kafka) with the compiler, the flags and the libraries of the image's build stage.
#
#   rings.sh build COMPILER    compiles rooms and tests; COMPILER is clang++-19, which makes the image, or g++-14
#   rings.sh run COMPILER      runs them; servers as for other tests, TXSTREAM_TEST_PG and TXSTREAM_TEST_KAFKA
#
# tools/run_tests.sh --rings COMPILER does both, with servers of its own.
set -euo pipefail
# shellcheck source=tests/containers/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

IMAGE=txstream-rings
RINGS='^txs_.*_(test|pgtest|kafkatest)$'

main() {
    local verb=${1:-help} compiler=${2:-}
    case $verb in
        build | run) [[ $compiler == clang++-19 || $compiler == g++-14 ]] || die "which compiler? (clang++-19, g++-14)" ;;
        *) refuse_verb "$verb" ;;
    esac
    make_engine
    mkdir -p "$HOME_DIR/rings/$compiler" "$HOME_DIR/rings/ccache"
    need_base
    "do_$verb" "$compiler"
}

do_build() {
    local linker=-Wl,-z,relro
    [[ $1 != clang* ]] || linker=-fuse-ld=lld-19
    build_plain txstream-toolchain --target toolchain "$TXS_ROOT"
    build_plain "$IMAGE" "$HERE/rings"
    # Images are made; who waits for the storage need not wait for a compiler.
    exec {TXS_LOCK_FD}>&-
    timed "the rings with $1" inside "$1" sh -c "cmake -S /src -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-O2 \
        -DCMAKE_CXX_COMPILER=$1 -DCMAKE_EXE_LINKER_FLAGS=$linker -DTXS_TESTS=ON -DTXS_BENCH=OFF \
        && cmake --build /build --parallel ${BUILD_JOBS:-$(nproc)}"
}

do_run() { inside "$1" ctest --test-dir /build --output-on-failure --no-tests=error --tests-regex "$RINGS"; }

inside() {
    local compiler=$1
    shift
    podman run --rm --network host --volume "$TXS_ROOT:/src:ro" --volume "$HOME_DIR/rings/$compiler:/build" --volume "$HOME_DIR/rings/ccache:/ccache" \
        --env CCACHE_DIR=/ccache --env TXSTREAM_ROOT=/src --env TXSTREAM_TEST_PG --env TXSTREAM_TEST_KAFKA "$IMAGE" "$@"
}

main "$@"
