#include "outbox/pauses.hpp"

#include <utility>

namespace txstream::outbox {

namespace {

constexpr pg::Statement kEntries{
    "txs_pause_entries",
    "SELECT scope, name, reason, paused_at, paused_by FROM txstream.pauses ORDER BY id "
    "LIMIT $1::bigint"
};

// $1 scope, $2 name, $3 actor, $4 origin, $5 target, $6 reason, $7 pauses at most.
constexpr pg::Statement kPause{
    "txs_pause",
    R"(
WITH paused AS (INSERT INTO txstream.pauses (scope, name, reason, paused_by)
 SELECT $1, $2, $6, $3 WHERE (SELECT count(*) FROM txstream.pauses) < $7::bigint
 ON CONFLICT DO NOTHING RETURNING 1)
INSERT INTO txstream.audit (actor, origin, action, target, reason, affected, result)
SELECT $3, $4, 'relays pause', $5::json, $6, 1, 'paused' FROM paused RETURNING 1)"
};
// $1 scope, $2 name, $3 actor, $4 origin, $5 target, $6 reason.
constexpr pg::Statement kResume{
    "txs_resume",
    R"(
WITH resumed AS (DELETE FROM txstream.pauses WHERE scope = $1 AND name = $2 RETURNING paused_at)
INSERT INTO txstream.audit (actor, origin, action, target, reason, affected, result)
SELECT $3, $4, 'relays resume', $5::json, $6, 1, 'paused since ' || paused_at FROM resumed RETURNING 1)"
};

pg::Params params_of(Pause what, Signature signature) {
    return pg::Params::of(
        to_string(what.scope),
        std::move(what.name),
        std::move(signature.actor),
        std::move(signature.origin),
        std::move(signature.target),
        std::move(signature.reason)
    );
}

}  // namespace

std::string_view to_string(Pause::Scope scope) noexcept {
    switch (scope) {
        case Pause::Scope::everything:
            return "everything";
        case Pause::Scope::topic:
            return "topic";
        case Pause::Scope::key:
            return "key";
    }
    return "";
}

Task<Result<std::vector<PauseEntry>>> pause_entries(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(
        const auto rows, co_await connection.run(kEntries, pg::Params::of(kPausesMax), deadline)
    );
    std::vector<PauseEntry> all;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto scope = rows.bytes(i, 0);
        auto& one = all.emplace_back();
        if (scope == to_string(Pause::Scope::topic)) one.pause.scope = Pause::Scope::topic;
        if (scope == to_string(Pause::Scope::key)) one.pause.scope = Pause::Scope::key;
        one.pause.name = rows.bytes(i, 1);
        one.pause.reason = rows.bytes(i, 2);
        one.at = rows.time(i, 3);
        one.by = rows.bytes(i, 4);
    }
    co_return all;
}

Task<Result<bool>> pause(
    pg::Connection& connection, Pause what, Signature signature, Deadline deadline
) {
    auto params = params_of(std::move(what), std::move(signature));
    params.add(kPausesMax);
    TXS_CO_TRY(const auto rows, co_await connection.run(kPause, std::move(params), deadline));
    co_return !rows.empty();
}

Task<Result<bool>> resume(
    pg::Connection& connection, Pause what, Signature signature, Deadline deadline
) {
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(kResume, params_of(std::move(what), std::move(signature)), deadline)
    );
    co_return !rows.empty();
}

}  // namespace txstream::outbox
