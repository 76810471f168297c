#include "outbox/audit.hpp"

#include <limits>

namespace txstream::outbox {

namespace {

constexpr pg::Statement kEntries{"txs_audit_entries", R"(
SELECT )" TXS_AUDIT_ENTRY R"(
FROM txstream.audit WHERE id < $1::bigint AND ($3::text IS NULL OR action = $3::text)
ORDER BY id DESC LIMIT $2::bigint)"};

}  // namespace

AuditEntry audit_entry_at(const pg::Rows& rows, std::size_t row) {
    AuditEntry entry;
    entry.id = rows.integer(row, 0);
    entry.at = rows.time(row, 1);
    entry.login = rows.bytes(row, 2);
    entry.actor = rows.bytes(row, 3);
    entry.origin = rows.bytes(row, 4);
    entry.action = rows.bytes(row, 5);
    entry.target = rows.bytes(row, 6);
    entry.reason = rows.bytes(row, 7);
    entry.affected = rows.integer(row, 8);
    entry.result = rows.bytes(row, 9);
    if (!rows.is_null(row, 10)) entry.job = rows.integer(row, 10);
    return entry;
}

Task<Result<std::vector<AuditEntry>>> audit_entries(
    pg::Connection& connection,
    std::optional<std::int64_t> before,
    std::optional<std::string> action,
    std::size_t limit,
    Deadline deadline
) {
    const auto below = before.value_or(std::numeric_limits<std::int64_t>::max());
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(kEntries, pg::Params::of(below, limit, action), deadline)
    );
    std::vector<AuditEntry> entries;
    for (std::size_t i = 0; i < rows.size(); ++i) entries.push_back(audit_entry_at(rows, i));
    co_return entries;
}

}  // namespace txstream::outbox
