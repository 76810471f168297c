#pragma once

#include "console/context.hpp"
#include "http/router.hpp"
#include "outbox/audit.hpp"

#include <nlohmann/json_fwd.hpp>

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
        std::optional<std::int64_t> before,
        std::optional<std::string> action,
        std::size_t rows,
        Deadline deadline
    );

    Context& context_;
};

/// As the audit and the progress of a decision show it.
nlohmann::ordered_json audit_entry(const outbox::AuditEntry& entry);

}  // namespace txstream::console
