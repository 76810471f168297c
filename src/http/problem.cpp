#include "http/problem.hpp"

#include "base/text.hpp"
#include "http/detail/status.hpp"

#include <fmt/format.h>

#include <utility>

namespace txstream::http {

int status_of(Code code) noexcept {
    switch (code) {
        case Code::invalid_input:
            return 400;
        case Code::not_found:
            return 404;
        case Code::conflict:
            return 409;
        case Code::rejected:
            return 422;
        case Code::corrupt:
            return 500;
        case Code::unavailable:
        case Code::overloaded:
        case Code::cancelled:
            return 503;
        case Code::timed_out:
            return 504;
    }
    return 500;
}

Response problem(const Error& error) {
    const int status = status_of(error.code());
    if (status < 500) return problem(status, error.what());
    Response response(status);
    response.failure = error.what();
    if (status == 503) response.with("Retry-After", "1");
    return response;
}

Response problem(int status, std::string_view error) {
    return json(status, "{\"error\":" + json_string(error) + "}");
}

Response problem_details(
    int status, std::string_view code, std::string_view what, std::string_view request_id
) {
    auto body = fmt::format(
        R"({{"type":"about:blank","title":{},"status":{},"detail":{},"code":{},"request_id":{}}})",
        json_string(detail::reason(status)),
        status,
        json_string(what),
        json_string(code),
        json_string(request_id)
    );
    return Response(status, "application/problem+json", std::move(body));
}

}  // namespace txstream::http
