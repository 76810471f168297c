#pragma once

#include "console/context.hpp"
#include "console/number_page.hpp"
#include "http/router.hpp"

#include <optional>
#include <string>

namespace txstream::console {

/// What operators did, newest first.
class AuditApi {
public:
    static constexpr std::chrono::seconds kListTime{6};

    explicit AuditApi(Context& context) : context_(context) {}
    void add_routes(http::Router& router);

private:
    Task<http::Response> list(http::Request request);
    Task<http::Response> make_list(
        NumberPage page, std::optional<std::string> action, Deadline deadline
    );

    Context& context_;
};

}  // namespace txstream::console
