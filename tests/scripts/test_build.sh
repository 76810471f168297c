#!/usr/bin/env bash
# The parts of the build that CMake does not look after by itself.
#
#   tests/scripts/test_build.sh [TEST]...
set -euo pipefail
# shellcheck source=tests/scripts/harness.sh
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

# A repository of its own, with our rule and our sources for the version and nothing else.
make_repository() {
    mkdir -p "$WORK/repository/src/base"
    cd "$WORK/repository"
    cp -r "$ROOT/cmake" .
    cp "$ROOT"/src/base/version.[ch]pp src/base
    cat >CMakeLists.txt <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(revision VERSION 9.8.7 LANGUAGES CXX)
set(CMAKE_CXX_STANDARD 20)
include(cmake/txs_version.cmake)
add_library(base STATIC src/base/version.cpp)
target_include_directories(base PUBLIC src)
target_compile_definitions(base PRIVATE TXS_VERSION="${PROJECT_VERSION}")
txs_revision(base)
add_executable(show main.cpp)
target_link_libraries(show base)
CMAKE
    cat >main.cpp <<'CPP'
#include "base/version.hpp"
#include <cstdio>
#include <string>
int main() { std::puts(std::string(txstream::version()).append(" ").append(txstream::revision()).c_str()); }
CPP
    echo /build/ >.gitignore
}

commit() { git -c user.name=test -c user.email=test@invalid commit -q --all -m "$1"; }

# Sets SHOWN and LINKED.
build() {
    cmake --build build >build.log
    SHOWN=$(build/show)
    LINKED=$(stat -c %y build/show)
}

test_the_revision_follows_head_and_links_only_when_it_changes() {
    make_repository
    git init -q
    git add --all
    commit first
    cmake -G Ninja -S . -B build -D CMAKE_CXX_COMPILER="${CXX:-clang++-19}" >/dev/null
    build
    [[ $SHOWN == "9.8.7 $(git rev-parse --short HEAD)" ]]
    local before=$LINKED
    # Touching the index without a change is none.
    touch main.cpp.untracked .gitignore
    build
    [[ $LINKED == "$before" ]]
    echo '# edited' >>.gitignore
    build
    [[ $SHOWN == "9.8.7 $(git rev-parse --short HEAD)-dirty" && $LINKED != "$before" ]]
    commit second
    build
    [[ $SHOWN == "9.8.7 $(git rev-parse --short HEAD)" ]]
    before=$LINKED
    build
    [[ $LINKED == "$before" ]]
    git checkout -q --detach HEAD~1
    build
    [[ $SHOWN == "9.8.7 $(git rev-parse --short HEAD)" ]]
}

test_without_git_the_revision_is_unknown() {
    make_repository
    # Nor is a repository around it looked at.
    export GIT_CEILING_DIRECTORIES=$WORK
    cmake -G Ninja -S . -B build -D CMAKE_CXX_COMPILER="${CXX:-clang++-19}" >/dev/null
    build
    [[ $SHOWN == '9.8.7 unknown' ]]
}

test_another_checkout_finds_in_the_cache_what_this_one_compiled() {
    export CCACHE_DIR=$WORK/cache
    local checkout
    for checkout in "$WORK/one" "$WORK/a/longer/path"; do
        mkdir -p "$checkout"
        cd "$checkout"
        cp -r "$ROOT/cmake" .
        echo 'inline const char* where() { return __FILE__; }' >where.hpp
        printf '#include "where.hpp"\nconst char* shown() { return *where() ? __FILE__ : nullptr; }\n' >shown.cpp
        cat >CMakeLists.txt <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(paths LANGUAGES CXX)
include(cmake/txs_warnings.cmake)
include(cmake/txs_paths.cmake)
add_library(shown OBJECT shown.cpp)
target_include_directories(shown PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(shown PRIVATE txs_options)
CMAKE
        ccache --zero-stats >/dev/null
        cmake -G Ninja -S . -B build -D CMAKE_CXX_COMPILER="${CXX:-clang++-19}" -D CMAKE_BUILD_TYPE=Debug >/dev/null
        cmake --build build >/dev/null
        exits 1 grep -c "$WORK" build/CMakeFiles/shown.dir/shown.cpp.o
    done
    exits 0 ccache --print-stats
    [[ $OUTPUT =~ direct_cache_hit[[:blank:]]+1 ]]
    cmp "$WORK"/{one,a/longer/path}/build/CMakeFiles/shown.dir/shown.cpp.o
}

# A checkout of which tools/web.sh sees all that it reads, with a page of other sources; and a PATH without Node.
make_page() {
    mkdir -p "$WORK/checkout/tools" "$WORK/checkout/web/dist" "$WORK/checkout/src/console" "$WORK/bin"
    cd "$WORK/checkout"
    cp "$ROOT"/tools/{web,lib}.sh tools
    touch web/package.json web/package-lock.json web/.npmrc src/console/openapi.yaml
    echo stale >web/dist/index.html
    echo other >web/dist/.sources
    local program
    for program in bash env sed sha256sum find sort xargs cut cat mkdir flock dirname realpath rm tail; do
        ln -s "$(command -v "$program")" "$WORK/bin/$program"
    done
}

test_without_node_the_page_is_left_out_and_a_stale_one_removed() {
    make_page
    exits 0 env PATH="$WORK/bin" tools/web.sh build
    says "node or npm is missing"
    says "without the console's page"
    [[ ! -e web/dist ]]
    exits 1 env PATH="$WORK/bin" TXSTREAM_WEB=required tools/web.sh build
    exits 77 env PATH="$WORK/bin" tools/web.sh test unit
}

test_a_node_that_is_too_old_is_not_used() {
    make_page
    printf '#!/bin/sh\necho v16.20.2\n' >"$WORK/bin/node"
    printf '#!/bin/sh\nexit 9\n' >"$WORK/bin/npm"
    chmod +x "$WORK"/bin/{node,npm}
    exits 0 env PATH="$WORK/bin" tools/web.sh build
    says "node is v16.20.2; the page needs 18 or newer"
    [[ ! -e web/dist ]]
}

test_where_npm_reaches_no_registry_the_page_is_left_out() {
    make_page
    printf '#!/bin/sh\necho v18.20.4\n' >"$WORK/bin/node"
    printf '#!/bin/sh\necho "npm error network ENOTFOUND" >&2\nexit 1\n' >"$WORK/bin/npm"
    chmod +x "$WORK"/bin/{node,npm}
    exits 0 env PATH="$WORK/bin" tools/web.sh build
    says "ENOTFOUND"
    says "npm could not install its packages (var/web-npm.log)"
    [[ ! -e web/dist ]]
}

test_files_of_a_tree_are_embedded_by_path_and_an_equal_source_is_left_alone() {
    cd "$WORK"
    mkdir -p page/assets page/.vite
    echo one >page/index.html
    echo two >page/assets/a.js
    echo three >page/.vite/manifest.json
    embed() { /usr/bin/python3 "$ROOT/tools/embed.py" some::where files out.cpp --tree "$1"; }
    embed page
    grep -q '"assets/a.js"' out.cpp
    grep -q '"index.html"' out.cpp
    exits 1 grep -c manifest out.cpp
    local before
    before=$(stat -c %y out.cpp)
    embed page
    [[ $(stat -c %y out.cpp) == "$before" ]]
    embed nowhere
    grep -q 'EmbeddedFile, 0>' out.cpp
}

# Our build script around a project of one program that tells which sources it was made of.
make_checkout() {
    mkdir -p "$1/tools"
    cd "$1"
    cp "$ROOT"/tools/{build,lib}.sh tools
    # It has no page.
    printf '#!/bin/sh\n' >tools/web.sh
    chmod +x tools/web.sh
    cat >CMakePresets.json <<'JSON'
{"version": 6, "configurePresets": [{"name": "dev", "generator": "Ninja", "binaryDir": "${sourceDir}/build/dev"}],
 "buildPresets": [{"name": "dev", "configurePreset": "dev"}]}
JSON
    cat >CMakeLists.txt <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(where LANGUAGES C)
add_executable(where where.c)
CMAKE
    say_where "$2"
}

say_where() { printf '#include <stdio.h>\nint main(void) { return puts("%s") < 0; }\n' "$1" >where.c; }

test_a_copied_or_moved_checkout_is_built_from_its_own_sources() {
    make_checkout "$WORK/first" first
    exits 0 tools/build.sh dev
    [[ $(build/dev/where) == first ]]
    cp -a "$WORK/first" "$WORK/copy"
    cd "$WORK/copy"
    say_where copy
    exits 0 tools/build.sh dev
    says "was configured for $WORK/first"
    [[ $(build/dev/where) == copy ]]
    exits 0 tools/build.sh dev
    [[ $OUTPUT != *"was configured"* ]]
    mv "$WORK/first" "$WORK/moved"
    cd "$WORK/moved"
    say_where moved
    exits 0 tools/build.sh dev
    [[ $(build/dev/where) == moved ]]
    # By another name of the same place nothing is done again.
    ln -s "$WORK/moved" "$WORK/link"
    cd "$WORK/link"
    exits 0 tools/build.sh dev
    says 'no work to do'
}

run_all_tests "$@"
