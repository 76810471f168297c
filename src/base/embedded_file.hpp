#pragma once

#include <string_view>

namespace txstream::base {

/// A file that the build put into the binary (cmake/txs_embed.cmake).
struct EmbeddedFile {
    std::string_view name;
    std::string_view bytes;
};

}  // namespace txstream::base
