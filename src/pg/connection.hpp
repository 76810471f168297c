#pragma once

#include "base/error.hpp"
#include "pg/conn_info.hpp"
#include "pg/params.hpp"
#include "pg/rows.hpp"
#include "runtime/deadline.hpp"
#include "runtime/task.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::pg::detail {
class Session;
}

namespace txstream::pg {

enum class Planning : std::uint8_t {
    prepared,  ///< at first use on a connection; PostgreSQL may choose one plan for all values
    each_time  ///< for its values: where they decide the plan, and planning costs little beside it
};

/// A statement with a name of its own. Lives for the whole program: declare it as a constant beside
/// the function that runs it.
struct Statement {
    const char* name;
    const char* sql;
    Planning planning = Planning::prepared;
};

/// One PostgreSQL session, driven without blocking by one event loop.
///
/// Belongs to the thread of its executor. One statement at a time, except between send() and
/// receive(). Any failure that leaves the protocol in doubt (time-out, lost connection, cancelled
/// coroutine) closes the session: is_open() is false and every further call fails with
/// Code::unavailable; its owner makes a new one. A connection that breaks under a statement without
/// a word from the server is Code::timed_out: the effect is unknown. Results arrive in binary
/// format. Errors carry the SQLSTATE as origin (pg/sqlstate.hpp sorts them) and never SQL text.
/// The server's notices are dropped.
class Connection {
public:
    /// `conninfo` as libpq's; it may hold a password and never appears in errors. Of several hosts,
    /// and of a name's addresses, the first that lets us in is taken; connect_timeout (in seconds,
    /// with a fraction if you like) is for each of them.
    /// client_encoding is UTF8, application_name is the caller's; `settings` are SQL run once, e.g.
    /// "SET jit = off". Never Code::timed_out: a session that was not opened has done nothing.
    static Task<Result<std::unique_ptr<Connection>>> open(
        asio::any_io_executor executor, ConnInfo conninfo, std::string settings, Deadline deadline
    );
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    bool is_open() const noexcept;
    /// False too when the server has ended the session while nobody asked it anything; one poll(2),
    /// no round trip.
    bool is_alive();
    /// A transaction was begun by a statement of the caller's and has not ended.
    bool in_transaction() const noexcept;

    /// Runs one prepared statement; with no open transaction it is its own transaction. COPY is
    /// refused.
    Task<Result<Rows>> run(Statement statement, Params params, Deadline deadline);

    /// Runs the statements in one transaction and one network round trip: a pipeline's implicit
    /// transaction. Fails as a whole: after an error nothing was applied (Code::timed_out:
    /// unknown).
    struct Step {
        Statement statement;
        Params params;
    };
    Task<Result<std::vector<Rows>>> transact(std::vector<Step> steps, Deadline deadline);

    /// The halves of run(): after send() the server works while the caller does something else;
    /// receive() must follow.
    Result<> send(Statement statement, Params params);
    Task<Result<Rows>> receive(Deadline deadline);

    /// Any number of statements separated by semicolons, without parameters (migrations, settings).
    /// Without a BEGIN of their own they are one transaction. A transaction that fails in here is
    /// rolled back.
    Task<Result<>> run_script(std::string sql, Deadline deadline);

private:
    explicit Connection(std::shared_ptr<detail::Session> session);
    // Shared so that the handlers of its timer and socket, which may run after it, can see that it
    // is gone.
    std::shared_ptr<detail::Session> session_;
};

}  // namespace txstream::pg
