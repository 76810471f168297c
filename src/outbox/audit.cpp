#include "outbox/audit.hpp"

#include <limits>

namespace txstream::outbox {

namespace {

constexpr pg::Statement kEntries{"txs_audit_entries", R"(
SELECT id, at, login, actor, origin, action, target::text, reason, affected, result
FROM txstream.audit WHERE id < $1::bigint ORDER BY id DESC LIMIT $2::bigint)"};

}  // namespace

Task<Result<std::vector<AuditEntry>>> audit_entries(
    pg::Connection& connection,
    std::optional<std::int64_t> before,
    std::size_t limit,
    Deadline deadline
) {
    const auto below = before.value_or(std::numeric_limits<std::int64_t>::max());
    TXS_CO_TRY(
        const auto rows, co_await connection.run(kEntries, pg::Params::of(below, limit), deadline)
    );
    std::vector<AuditEntry> entries;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        AuditEntry entry;
        entry.id = rows.integer(i, 0);
        entry.at = rows.time(i, 1);
        entry.login = rows.bytes(i, 2);
        entry.actor = rows.bytes(i, 3);
        entry.origin = rows.bytes(i, 4);
        entry.action = rows.bytes(i, 5);
        entry.target = rows.bytes(i, 6);
        entry.reason = rows.bytes(i, 7);
        entry.affected = rows.integer(i, 8);
        entry.result = rows.bytes(i, 9);
        entries.push_back(std::move(entry));
    }
    co_return entries;
}

}  // namespace txstream::outbox
