#include "outbox/instance.hpp"

#include "outbox/detail/instance_sql.hpp"

#include <string>

namespace txstream::outbox {

namespace {

constexpr pg::Statement kInstance{
    "txs_instance", "SELECT refused_why, why FROM (" TXS_INSTANCE_JUDGED ") judged"
};

// Judges again: it may have waited for an operator who was deciding, and must not refuse what was
// decided meanwhile.
constexpr pg::Statement kRefuse{
    "txs_refuse",
    "UPDATE txstream.instance i SET refused_at = clock_timestamp(), refused_why = judged.why"
    " FROM (" TXS_INSTANCE_JUDGED ") judged WHERE i.refused_at IS NULL AND judged.why IS NOT NULL"
};

}  // namespace

Task<Result<>> check_instance(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kInstance, {}, deadline));
    const bool is_refused = !rows.is_null(0, 0);
    if (!is_refused && rows.is_null(0, 1)) co_return Result<>();
    const std::string why(rows.bytes(0, is_refused ? 0 : 1));
    if (!is_refused) {
        TXS_CO_TRY(const auto none, co_await connection.run(kRefuse, {}, deadline));
    }
    co_return fail(
        Code::corrupt,
        why +
            ": it was restored or copied. Its cursors do not say any more what was published;"
            " nothing is published until that is decided: `txstream outbox rebase --dry-run` shows"
            " what would be sent (docs/schema.md, \"After a restore\")",
        kForeignInstance
    );
}

Task<Result<std::string>> why_refused(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kInstance, {}, deadline));
    if (!rows.is_null(0, 0)) co_return std::string(rows.bytes(0, 0));
    co_return rows.is_null(0, 1) ? std::string() : std::string(rows.bytes(0, 1));
}

}  // namespace txstream::outbox
