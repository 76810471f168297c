#pragma once

#include "base/error.hpp"
#include "otlp/endpoint.hpp"
#include "runtime/deadline.hpp"
#include "runtime/task.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace txstream::otlp::detail {

struct Reply {
    int status = 0;
    std::string retry_after;  ///< as it was sent; empty: not
    std::string body;
};

/// Posts JSON to one endpoint, each time over a connection of its own: exports are seconds apart,
/// and a connection that is kept must be watched. For one thread.
class HttpPost {
public:
    /// `certificate_file`: whom to trust; empty: whom the system trusts. Without https it is not
    /// read.
    static Result<std::unique_ptr<HttpPost>> create(
        Endpoint endpoint, Pairs headers, const std::string& certificate_file
    );
    ~HttpPost();
    HttpPost(const HttpPost&) = delete;
    HttpPost& operator=(const HttpPost&) = delete;

    /// Any answer is a reply. The deadline counts for connecting, writing and reading together, but
    /// not for the look-up of the host's name, which the C library bounds.
    Task<Result<Reply>> post(std::string_view body, Deadline deadline);

private:
    class Impl;
    explicit HttpPost(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace txstream::otlp::detail
