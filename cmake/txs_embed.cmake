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
