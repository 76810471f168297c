#!/usr/bin/env bash
# Configures (when needed) and builds one CMake preset into build/<preset>.
#
#   build.sh PRESET [TARGET]...
#   build.sh --configure PRESET     only configures, when needed
set -euo pipefail
# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

main() {
    local only_configure=0
    if [[ $1 == --configure ]]; then
        only_configure=1
        shift
    fi
    local preset=$1 dir=$TXS_ROOT/build/$1
    shift
    cd "$TXS_ROOT"
    mkdir -p "$dir"
    # Two builds in one directory spoil each other's files.
    with_lock "$dir/.lock" "another build of $preset runs in this checkout; waiting for it"
    # Ninja runs cmake again by itself when a CMakeLists.txt changed; of the presets it knows nothing. A directory that was
    # copied or moved with its checkout still names the sources of the old place, and would build those.
    if [[ -e $dir/CMakeCache.txt && $(cached "$dir" CMAKE_HOME_DIRECTORY) != "$TXS_ROOT" ]]; then
        say "$dir was configured for $(cached "$dir" CMAKE_HOME_DIRECTORY); configuring it for this checkout"
        rm -f "$dir/build.ninja"
        cmake --fresh --preset "$preset"
    elif [[ ! -e $dir/build.ninja || CMakePresets.json -nt $dir/build.ninja ]]; then
        cmake --preset "$preset"
    fi
    ((!only_configure)) || return 0
    tools/web.sh build
    cmake --build --preset "$preset" --parallel "${BUILD_JOBS:-$(nproc)}" "${@/#/--target=}"
}

# cached DIR NAME: a variable of the directory's last configuration.
cached() { sed -n "s/^$2:[A-Z]*=//p" "$1/CMakeCache.txt"; }

(($#)) || die "which preset? (dev, release, tsan, coverage)"
main "$@"
