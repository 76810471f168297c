# txs_embed(TARGET NAMESPACE SYMBOL file...): makes `NAMESPACE::SYMBOL()` return the files' names and bytes.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
function(txs_embed TARGET NAMESPACE SYMBOL)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${SYMBOL}_embedded.cpp)
  add_custom_command(
    OUTPUT ${out}
    COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/tools/embed.py ${NAMESPACE} ${SYMBOL} ${out} ${ARGN}
    DEPENDS ${CMAKE_SOURCE_DIR}/tools/embed.py ${ARGN}
    VERBATIM)
  target_sources(${TARGET} PRIVATE ${out})
endfunction()

# txs_embed_tree(TARGET NAMESPACE SYMBOL DIRECTORY): the same for all that is in a directory, named by paths. Which files those
# are may change between two builds, and there may be none: the script looks at each build, and writes only what differs.
function(txs_embed_tree TARGET NAMESPACE SYMBOL DIRECTORY)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${SYMBOL}_embedded.cpp)
  # A file that never exists makes it run always. The source is its byproduct, or Ninja would take it for changed as often.
  add_custom_command(
    OUTPUT ${out}.always
    BYPRODUCTS ${out}
    COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/tools/embed.py ${NAMESPACE} ${SYMBOL} ${out} --tree ${DIRECTORY}
    VERBATIM)
  set_source_files_properties(${out}.always PROPERTIES SYMBOLIC TRUE)
  target_sources(${TARGET} PRIVATE ${out} ${out}.always)
endfunction()
