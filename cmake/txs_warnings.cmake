add_library(txs_options INTERFACE)
target_compile_options(txs_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wimplicit-fallthrough
  $<$<BOOL:${TXS_WERROR}>:-Werror>)
if(TXS_SANITIZE)
  target_compile_options(txs_options INTERFACE -fsanitize=${TXS_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(txs_options INTERFACE -fsanitize=${TXS_SANITIZE})
endif()
target_include_directories(txs_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
# Asio: no default executor magic we do not use, and no deprecated interfaces.
target_compile_definitions(txs_options INTERFACE
  BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_BOOST_ARRAY BOOST_ASIO_DISABLE_BOOST_BIND
  BOOST_ASIO_DISABLE_BOOST_REGEX FMT_HEADER_ONLY=0)
