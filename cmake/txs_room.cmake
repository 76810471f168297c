# txs_room(NAME [USES room...] [EXTERNAL target...])
#
# Makes library txs_NAME from the room's .cpp files (also detail/), and one test binary per ring from
# the files whose suffix names what they need: *_test.cpp nothing (label unit), *_pgtest.cpp PostgreSQL
# (label pg), *_kafkatest.cpp a broker (label kafka). main.cpp belongs to a program that the room makes itself.
function(txs_room NAME)
  cmake_parse_arguments(ROOM "" "" "USES;EXTERNAL" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cpp detail/*.cpp)
  set(unit ${sources})
  list(FILTER unit INCLUDE REGEX "_test\\.cpp$")
  set(pg ${sources})
  list(FILTER pg INCLUDE REGEX "_pgtest\\.cpp$")
  set(kafka ${sources})
  list(FILTER kafka INCLUDE REGEX "_kafkatest\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "(_(test|pgtest|kafkatest)|/main)\\.cpp$")
  list(TRANSFORM ROOM_USES PREPEND txs_)

  if(sources)
    add_library(txs_${NAME} STATIC ${sources})
    target_link_libraries(txs_${NAME} PUBLIC txs_options ${ROOM_USES} ${ROOM_EXTERNAL} Threads::Threads)
  else()
    add_library(txs_${NAME} INTERFACE)
    target_link_libraries(txs_${NAME} INTERFACE txs_options ${ROOM_USES} ${ROOM_EXTERNAL} Threads::Threads)
  endif()

  if(TXS_TESTS)
    txs_test(txs_${NAME}_test unit txs_${NAME} ${unit})
    txs_test(txs_${NAME}_pgtest pg txs_${NAME} ${pg})
    txs_test(txs_${NAME}_kafkatest kafka txs_${NAME} ${kafka})
  endif()
endfunction()

# txs_test(TARGET LABEL LIBRARY source...): nothing when there are no sources. Each gtest case is a ctest case
# for the unit ring; the rings with servers run one process per binary, since connecting costs more than testing.
function(txs_test TARGET LABEL LIBRARY)
  if(NOT ARGN)
    return()
  endif()
  add_executable(${TARGET} ${ARGN})
  target_include_directories(${TARGET} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${TARGET} PRIVATE ${LIBRARY} GTest::gtest GTest::gtest_main)
  add_test(NAME ${TARGET} COMMAND ${TARGET} --gtest_shuffle)
  set_tests_properties(${TARGET} PROPERTIES LABELS ${LABEL} TIMEOUT 300)
endfunction()
