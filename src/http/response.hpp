#pragma once

#include "http/body_writer.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace txstream::http {

/// What a handler answers. Content-Length, Date, Connection and X-Request-Id are the server's.
///
/// A status of 500 and more without a body gets the standard one: a fixed text for the status and
/// the request's id, never what went wrong inside.
class Response {
public:
    Response() = default;
    explicit Response(int with_status) : status(with_status) {}
    Response(int with_status, std::string_view type, std::string content)
        : status(with_status), content_type(type), body(std::move(content)) {}

    int status = 200;
    std::string content_type;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::string failure;  ///< for the log, never for the client
    /// Makes a body of unknown length; used instead of `body`. It runs after the head has been
    /// sent, and not at all for HEAD. It must own what it uses: the handler has returned by then. A
    /// client that goes away cancels it: its wait fails with operation_aborted, as does each later
    /// one. If it throws, the connection ends without the body's end, so the client sees the loss.
    std::function<Task<>(BodyWriter&)> stream;

    Response& with(std::string_view name, std::string value) &;
    Response&& with(std::string_view name, std::string value) &&;
};

/// `body` is JSON text already.
Response json(int status, std::string body);

}  // namespace txstream::http
