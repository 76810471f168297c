# The revision is read at configure time: good enough for build_info, and free for incremental builds.
execute_process(COMMAND git -C ${CMAKE_SOURCE_DIR} describe --always --dirty
  OUTPUT_VARIABLE TXS_REVISION OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT TXS_REVISION)
  set(TXS_REVISION unknown)
endif()
