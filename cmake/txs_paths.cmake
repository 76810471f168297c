# What is compiled in one checkout is, byte for byte, what is compiled in another.
#
# Paths in the binary, of assertions and of debug information, are those of the repository and not of this machine. Not for
# coverage, whose report looks for the files by name.
if(NOT CMAKE_CXX_FLAGS_DEBUG MATCHES "-fcoverage-mapping")
  target_compile_options(txs_options INTERFACE -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
endif()

# So the cache, told where the checkout begins, has what any of them compiled: a fresh clone builds in seconds.
find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} ${CCACHE})
endif()
