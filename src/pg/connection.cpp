#include "pg/connection.hpp"

#include "pg/detail/session.hpp"
#include "pg/detail/session_pins.hpp"

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

#include <utility>

namespace txstream::pg {
namespace {

// A time-out closes the socket, but a server that computes or waits for a lock does not look at it
// and would run on, holding its locks. With this it looks (PostgreSQL 14 and newer, on Linux).
constexpr const char* kLookForUs = "SET client_connection_check_interval = '5s'";
constexpr int kLooksForUsSince = 140000;

// What the settings did ends with the session: nobody needs to ask what became of it.
Error nothing_was_done(Error error) {
    if (error.code() != Code::timed_out) return error;
    return Error(Code::unavailable, error.what(), error.origin());
}

constexpr Statement kBackendPid{
    "backend pid", "SELECT pg_catalog.pg_backend_pid()", Planning::each_time
};
constexpr int kSharingRounds = 8;
constexpr std::chrono::seconds kOtherSessionTimeout{2};

Error shared_error(const detail::Session& session) {
    return Error(
        Code::rejected,
        fmt::format(
            "a pooler in transaction or statement mode is between us and PostgreSQL (at {}): it "
            "gives one server process to several sessions, and TxStream needs one for each. "
            "Connect "
            "directly, or through a pool in session mode (pgbouncer: pool_mode = session)",
            session.place()
        ),
        "shared_session"
    );
}

// Between our transactions a pooler in transaction or statement mode gives the server's process to
// others: prepared statements are gone, and neither snapshots nor settings are ours. One in session
// mode never gives one process to two sessions, so ask two of ours in turn which process serves
// them. An idle pooler gives both the same one; one with other clients changes ours.
Task<Result<>> check_is_not_shared(
    detail::Session& session, std::string conninfo, std::int64_t pid, Deadline deadline
) {
    auto other = std::make_shared<detail::Session>(co_await asio::this_coro::executor);
    const auto patience = Deadline::in(kOtherSessionTimeout).sooner(deadline);
    const auto has_other = co_await other->connect(std::move(conninfo), patience);
    for (int round = 0; round < kSharingRounds; ++round) {
        TXS_CO_TRY(const auto ours, co_await session.run(kBackendPid, {}, deadline));
        bool is_shared = ours.integer(0, 0) != pid;
        // One without a second process to spare makes the other wait: then ours is our own.
        if (has_other && other->is_open() && !is_shared) {
            const auto theirs = co_await other->run(kBackendPid, {}, patience);
            is_shared = theirs && theirs->integer(0, 0) == pid;
        }
        if (is_shared) co_return tl::unexpected(shared_error(session));
    }
    co_return Result<>();
}

Task<Result<>> pin(detail::Session& session, std::string conninfo, Deadline deadline) {
    const auto sql = detail::pins_sql(session.server_version());
    const Statement pins{"session pins", sql.c_str(), Planning::each_time};
    auto pid = static_cast<std::int64_t>(session.handshake_pid());
    while (true) {
        auto rows = co_await session.run(pins, Params::of(pid), deadline);
        if (!rows) co_return tl::unexpected(nothing_was_done(std::move(rows).error()));
        TXS_CO_TRY(const auto pinned, detail::read_pinned(*rows));
        if (pinned.backend_pid == pid) co_return Result<>();
        if (pid != session.handshake_pid()) co_return tl::unexpected(shared_error(session));
        pid = pinned.backend_pid;
        TXS_CO_CHECK(co_await check_is_not_shared(session, conninfo, pid, deadline));
    }
}

}  // namespace

Task<Result<std::unique_ptr<Connection>>> Connection::open(
    asio::any_io_executor executor, ConnInfo conninfo, std::string settings, Deadline deadline
) {
    TXS_CO_TRY(auto text, conninfo.get());
    auto session = std::make_shared<detail::Session>(executor);
    TXS_CO_CHECK(co_await session->connect(text, deadline));
    TXS_CO_CHECK(co_await pin(*session, std::move(text), deadline));
    if (session->server_version() >= kLooksForUsSince) {
        // A server on a system without the means refuses; it is an improvement, not a condition.
        auto looked = co_await session->run_script(kLookForUs, deadline);
        if (!session->is_open())
            co_return tl::unexpected(nothing_was_done(std::move(looked).error()));
    }
    if (!settings.empty()) {
        auto set = co_await session->run_script(std::move(settings), deadline);
        if (!set) {
            co_return tl::unexpected(
                nothing_was_done(std::move(set).error()).while_doing("session settings")
            );
        }
    }
    session->limit_statements();
    session->observe(conninfo.observer());
    co_return std::unique_ptr<Connection>(new Connection(std::move(session)));
}

Connection::Connection(std::shared_ptr<detail::Session> session) : session_(std::move(session)) {
}
Connection::~Connection() = default;

bool Connection::is_open() const noexcept {
    return session_->is_open();
}

bool Connection::is_alive() {
    return session_->is_alive();
}

bool Connection::in_transaction() const noexcept {
    return session_->in_transaction();
}

Task<Result<Rows>> Connection::run(Statement statement, Params params, Deadline deadline) {
    return session_->run(statement, std::move(params), deadline);
}

Task<Result<std::vector<Rows>>> Connection::transact(std::vector<Step> steps, Deadline deadline) {
    return session_->transact(std::move(steps), deadline);
}

Result<> Connection::send(Statement statement, Params params) {
    return session_->send(statement, params);
}

Task<Result<Rows>> Connection::receive(Deadline deadline) {
    return session_->receive(deadline);
}

Task<Result<>> Connection::run_script(std::string sql, Deadline deadline) {
    return session_->run_script(std::move(sql), deadline);
}

}  // namespace txstream::pg
