#pragma once

#include "runtime/task.hpp"

#include <string_view>

namespace txstream::http {

/// Takes a body of unknown length, piece by piece, while its handler makes it.
class BodyWriter {
public:
    virtual ~BodyWriter() = default;

    /// Sends the bytes and returns once the socket has accepted them, so a handler that is faster
    /// than its client waits here and holds one piece. False: the client is gone, or did not
    /// accept a piece within Limits::write_timeout. Then the handler should return.
    virtual Task<bool> write(std::string_view bytes) = 0;

    /// False when the client is gone, and when the server stops. In the second case write() still
    /// works, for a last word, until Limits::drain_timeout cancels the handler.
    virtual bool is_open() const = 0;
};

}  // namespace txstream::http
