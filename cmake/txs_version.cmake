# txs_revision(TARGET): adds `txstream::revision()`, as git describes the source when it is built.
#
# Git is asked at each build (some milliseconds), since a commit touches no file that a build looks at. The source is
# written only when the answer is another one, so a build in which nothing changed compiles and links nothing.
function(txs_revision TARGET)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/revision.cpp)
  add_custom_target(${TARGET}_revision
    COMMAND ${CMAKE_COMMAND} -D SOURCE=${CMAKE_SOURCE_DIR} -D OUT=${out} -P ${CMAKE_SOURCE_DIR}/cmake/txs_write_revision.cmake
    BYPRODUCTS ${out}
    COMMENT "The revision, of git"
    VERBATIM)
  target_sources(${TARGET} PRIVATE ${out})
  add_dependencies(${TARGET} ${TARGET}_revision)
endfunction()
