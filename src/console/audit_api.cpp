#include "console/audit_api.hpp"

#include "base/utf8.hpp"
#include "console/json.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace txstream::console {

namespace {

constexpr std::chrono::milliseconds kKept{1000};
constexpr std::size_t kActionBytesMax = 100;

Result<std::int64_t> place_of(std::string_view cursor) {
    TXS_TRY(const auto json, read_cursor(cursor));
    if (!json.is_number_integer())
        return fail(Code::invalid_input, "cursor is not one of this list's");
    return json.get<std::int64_t>();
}

}  // namespace

Json audit_entry(const outbox::AuditEntry& entry) {
    // The column is json, but a number in it may be too large for any program.
    auto target = Json::parse(entry.target, nullptr, false);
    if (!target.is_object()) target = Json::object();
    return Json{
        {"id", number(entry.id)},
        {"at", rfc3339(entry.at)},
        {"actor", entry.actor},
        {"login", entry.login},
        {"origin", entry.origin},
        {"action", entry.action},
        {"target", std::move(target)},
        {"reason", entry.reason.empty() ? Json(nullptr) : Json(entry.reason)},
        {"affected", number(entry.affected)},
        {"result", entry.result},
    };
}

void AuditApi::add_routes(http::Router& router) {
    router.add(
        http::Method::get,
        "/api/console/v1/audit",
        [this](http::Request request) { return list(std::move(request)); },
        http::Role::viewer
    );
}

Task<http::Response> AuditApi::list(http::Request request) {
    const auto size = query_number(request, "size", 1, 100, 50);
    if (!size) co_return invalid("size", size.error().what());
    std::optional<std::int64_t> before;
    if (const auto cursor = request.query("cursor")) {
        const auto place = place_of(*cursor);
        if (!place) co_return invalid("cursor", place.error().what());
        before = *place;
    }
    std::optional<std::string> action;
    if (const auto word = request.query("action"); word && !word->empty()) {
        if (!is_utf8(*word) || word->size() > kActionBytesMax)
            co_return invalid("action", "action is one that the audit has, 100 bytes at most");
        action = std::string(*word);
    }
    co_return co_await context_.cache.answer(
        "audit " + request.target,
        kKept,
        [this, before, action = std::move(action), rows = static_cast<std::size_t>(*size)]() {
            return make_list(before, action, rows, Deadline::in(kListTime));
        }
    );
}

Task<http::Response> AuditApi::make_list(
    std::optional<std::int64_t> before,
    std::optional<std::string> action,
    std::size_t rows,
    Deadline deadline
) {
    auto session = co_await context_.pool.acquire(deadline);
    if (!session) co_return problem_of(session.error());
    auto entries =
        co_await outbox::audit_entries(**session, before, std::move(action), rows + 1, deadline);
    if (!entries) co_return problem_of(entries.error());
    Json next = nullptr;
    if (entries->size() > rows) {
        entries->resize(rows);
        next = cursor_of(Json(entries->back().id));
    }
    auto items = Json::array();
    for (const auto& entry : *entries) items.push_back(audit_entry(entry));
    co_return ok(Json{{"items", std::move(items)}, {"next_cursor", std::move(next)}});
}

}  // namespace txstream::console
