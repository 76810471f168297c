# A script, run at each build: writes OUT when git describes SOURCE otherwise than it says. See txs_version.cmake.
# An image is built without the repository: its Dockerfile says what was checked out.
set(revision "$ENV{TXS_REVISION}")
if(NOT revision)
  # Without optional locks: looking must not hold up a commit.
  execute_process(COMMAND git --no-optional-locks -C ${SOURCE} describe --always --dirty
    OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT revision)
  set(revision unknown)  # an archive without git
endif()
file(CONFIGURE OUTPUT ${OUT} @ONLY CONTENT [[
// Written by cmake/txs_write_revision.cmake.
#include "base/version.hpp"

namespace txstream {

std::string_view revision() noexcept {
    return "@revision@";
}

}  // namespace txstream
]])
