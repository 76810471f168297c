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

# Our build script around a project of one program that tells which sources it was made of.
make_checkout() {
    mkdir -p "$1/tools"
    cd "$1"
    cp "$ROOT"/tools/{build,lib}.sh tools
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
