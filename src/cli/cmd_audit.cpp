#include "cli/look.hpp"
#include "cli/usage.hpp"
#include "domain/timestamp.hpp"
#include "outbox/audit.hpp"

#include <CLI/CLI.hpp>

#include <limits>
#include <memory>
#include <optional>
#include <string>

namespace txstream::cli {

namespace {

constexpr int kLimitMost = 10'000;

struct Options {
    int limit = 50;
    std::optional<int> before;
};

Json entry_json(const outbox::AuditEntry& entry) {
    std::string at;
    if (domain::has_rfc3339(entry.at)) domain::append_rfc3339(at, entry.at);
    // The column is json, but a number in it may be too large for any program.
    auto target = Json::parse(entry.target, nullptr, false);
    if (target.is_discarded()) target = entry.target;
    return Json{
        {"id", std::to_string(entry.id)},
        {"at", at},
        {"actor", entry.actor},
        {"login", entry.login},
        {"origin", entry.origin},
        {"action", entry.action},
        {"target", std::move(target)},
        {"reason", entry.reason.empty() ? Json(nullptr) : Json(entry.reason)},
        {"affected", entry.affected},
        {"result", entry.result},
        {"job", entry.job ? Json(std::to_string(*entry.job)) : Json(nullptr)},
    };
}

Task<Result<Answer>> list(Look look, std::shared_ptr<Options> options) {
    const auto limit = static_cast<std::size_t>(options->limit);
    TXS_CO_TRY(
        auto entries,
        co_await outbox::audit_entries(
            look.session, options->before, std::nullopt, limit + 1, look.deadline
        )
    );
    Answer answer;
    auto& listing = answer.listing;
    listing.columns = {
        {"ID", "/id"},
        {"WHEN", "/at", Shown::ago},
        {"ACTOR", "/actor"},
        {"ACTION", "/action"},
        {"TARGET", "/target"},
        {"EVENTS", "/affected", Shown::number},
        {"RESULT", "/result"},
        {"REASON", "/reason"}
    };
    listing.none = "no operator has changed anything";
    if (entries.size() > limit) {
        entries.resize(limit);
        listing.note = "there are older ones: --before " + std::to_string(entries.back().id);
    }
    for (const auto& entry : entries) listing.rows.push_back(entry_json(entry));
    co_return answer;
}

}  // namespace

void add_audit(CLI::App& line, const Globals& globals, Run& run) {
    auto& audit = group(line, "audit", "What operators did");
    const auto options = std::make_shared<Options>();
    auto& verb = add_look(
        audit,
        globals,
        run,
        {"list",
         "The newest first: who, when, what, why, and how many events",
         "  txstream audit list\n"
         "  txstream audit list --limit 1000 -o csv > audit.csv\n"},
        [options](Look look) { return list(look, options); }
    );
    allow_numbers(
        *verb.add_option("--limit", options->limit, "Rows")->capture_default_str(), 1, kLimitMost
    );
    allow_numbers(
        *verb.add_option("--before", options->before, "Only rows before this id"),
        1,
        std::numeric_limits<int>::max()
    );
}

}  // namespace txstream::cli
