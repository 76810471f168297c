#include "pg/connection.hpp"

#include "pg/detail/session.hpp"

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

}  // namespace

Task<Result<std::unique_ptr<Connection>>> Connection::open(
    asio::any_io_executor executor, ConnInfo conninfo, std::string settings, Deadline deadline
) {
    TXS_CO_TRY(auto text, conninfo.get());
    auto session = std::make_shared<detail::Session>(executor);
    TXS_CO_CHECK(co_await session->connect(std::move(text), deadline));
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
