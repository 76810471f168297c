#include "console/audit_api.hpp"

#include "base/utf8.hpp"
#include "outbox/audit.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace txstream::console {

namespace {

constexpr std::chrono::milliseconds kKept{1000};
constexpr std::size_t kActionBytesMax = 100;

Json audit_entry(const outbox::AuditEntry& entry) {
    return Json{
        {"id", number(entry.id)},
        {"at", rfc3339(entry.at)},
        {"actor", entry.actor},
        {"login", entry.login},
        {"origin", entry.origin},
        {"action", entry.action},
        {"target", stored_object(entry.target)},
        {"reason", entry.reason.empty() ? Json(nullptr) : Json(entry.reason)},
        {"affected", number(entry.affected)},
        {"result", entry.result},
        {"job", entry.job ? number(*entry.job) : Json(nullptr)},
    };
}

}  // namespace

void AuditApi::add_routes(http::Router& router) {
    router.add(
        http::Method::get,
        "/api/console/v1/audit",
        [this](http::Request request) { return list(std::move(request)); },
        http::Role::viewer
    );
}

Task<http::Response> AuditApi::list(http::Request request) {
    const auto page = number_page(request);
    if (!page) co_return page.error();
    std::optional<std::string> action;
    if (const auto word = request.query("action"); word && !word->empty()) {
        if (!is_utf8(*word) || word->size() > kActionBytesMax)
            co_return invalid("action", "action is one that the audit has, 100 bytes at most");
        action = std::string(*word);
    }
    co_return co_await context_.cache.answer(
        "audit " + request.target,
        kKept,
        [this, page = *page, action = std::move(action)]() {
            return make_list(page, action, Deadline::in(kListTime));
        }
    );
}

Task<http::Response> AuditApi::make_list(
    NumberPage page, std::optional<std::string> action, Deadline deadline
) {
    auto session = co_await context_.pool.acquire(deadline);
    if (!session) co_return problem_of(session.error());
    auto entries = co_await outbox::audit_entries(
        **session, page.before, std::move(action), page.rows + 1, deadline
    );
    if (!entries) co_return problem_of(entries.error());
    co_return page_of(std::move(*entries), page.rows, audit_entry);
}

}  // namespace txstream::console
