#pragma once

#include "base/assert.hpp"
#include "pg/connection.hpp"
#include "pg/detail/libpq.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <optional>
#include <unordered_map>

namespace txstream::pg::detail {

class ConnectPlan;
struct Candidate;

using ErrorCode = boost::system::error_code;

inline constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
inline constexpr auto kReadable = asio::posix::descriptor_base::wait_read;
inline constexpr auto kWritable = asio::posix::descriptor_base::wait_write;

/// A PostgreSQL session without threads: libpq never blocks, Asio says when its socket is ready.
///
/// The session stays in libpq's pipeline mode, since that is what lets a statement be prepared and
/// run, or a whole transaction be sent, in one round trip. What was sent is remembered in
/// `expected_`; drain() matches the answers with it until the sync at its end. Scripts need the
/// simple protocol and leave pipeline mode for as long as they run.
///
/// Writing never waits: what the socket does not take at once is flushed by a handler while the
/// caller reads. Otherwise a large statement and a large answer would wait for each other.
class Session : public std::enable_shared_from_this<Session> {
public:
    explicit Session(const asio::any_io_executor& executor) : socket_(executor), timer_(executor) {}
    ~Session() {
        TXS_ASSERT(!in_call_, "a connection was destroyed under a statement that still waits");
        close();
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    Task<Result<>> connect(std::string conninfo, Deadline deadline);
    Task<Result<Rows>> run(Statement statement, Params params, Deadline deadline);
    Task<Result<std::vector<Rows>>> transact(
        std::vector<Connection::Step> steps, Deadline deadline
    );
    Result<> send(const Statement& statement, const Params& params);
    Task<Result<Rows>> receive(Deadline deadline);
    Task<Result<>> run_script(std::string sql, Deadline deadline);

    /// From here on the server ends a statement of run() and transact() before its deadline does: a
    /// clean error, and the session goes on. What send() sends has the limit of the last run().
    void limit_statements() noexcept { limits_ = true; }

    void observe(StatementObserver observer) { observer_ = std::move(observer); }

    bool is_open() const noexcept { return conn_ != nullptr; }
    bool is_alive();
    bool in_transaction() const noexcept {
        return conn_ && PQtransactionStatus(conn_.get()) != PQTRANS_IDLE;
    }
    int server_version() const noexcept { return conn_ ? PQserverVersion(conn_.get()) : 0; }
    /// The server process that the handshake named; a pooler names one of its own invention.
    int handshake_pid() const noexcept { return conn_ ? PQbackendPID(conn_.get()) : 0; }
    std::string place() const { return conn_ ? place_of(*conn_) : std::string(); }
    void close() noexcept;

private:
    enum class Kind : std::uint8_t { limit, prepare, execute, sync, script };
    struct Expected {
        Kind kind;
        Statement statement;
    };

    // One call that waits. However it ends, also by a cancelled coroutine whose frame is destroyed:
    // a session with an answer outstanding must not be used again, or the next caller would read
    // this one's rows.
    class Call {
    public:
        Call(Session& session, Deadline deadline)
            : session_(session), begun_(Deadline::Clock::now()) {
            TXS_ASSERT(!session.in_call_, "a second call while one waits");
            session.in_call_ = true;
            session.timed_out_ = false;
            session.watch(deadline);
        }
        ~Call() {
            session_.in_call_ = false;
            if (session_.pending_) session_.close();
            session_.tell_observer(Deadline::Clock::now() - begun_);
        }
        Call(const Call&) = delete;
        Call& operator=(const Call&) = delete;

    private:
        Session& session_;
        Deadline::Clock::time_point begun_;
    };

    // The exchange has ended, however.
    void tell_observer(std::chrono::nanoseconds took) const;

    Task<Result<>> attempt(const ConnectPlan& plan, const Candidate& candidate, Deadline until);
    Result<> check_ready(Deadline deadline) const;
    void begin_exchange();
    bool queue(const Statement& statement, const Params& params);
    bool queue_limit(Deadline deadline);
    Result<> end_exchange();
    bool needs_preparing(const Statement& statement) const;

    Task<> settle();
    bool drain();
    void take(PgResult result);
    void refuse(const PGresult& result, const Expected& expected);
    bool consume();
    bool resume(ErrorCode ec);

    void flush();
    void watch(Deadline deadline);
    void arm_timer();
    void look_at_clock();

    void lose();
    void give_up(Code code, std::string_view why);
    void fail_with(Error error);
    Error take_error();
    ErrorCode attach();
    void detach() noexcept;
    static void receive_notice(void* self, const PGresult* result);

    asio::posix::stream_descriptor socket_;  // libpq's descriptor, borrowed
    asio::steady_timer timer_;
    PgConn conn_;

    std::vector<Expected> expected_;
    std::size_t answered_ = 0;
    bool pending_ = false;  // something was sent whose answer has not come to its end
    bool in_call_ = false;
    std::vector<Rows> rows_;
    std::optional<Error> error_;     // the first of the exchange
    bool has_failed_ = false;        // also when that error was taken
    std::optional<Error> farewell_;  // what the server said when it ended the session unasked

    bool flushing_ = false;
    bool broken_ = false;  // writing failed

    StatementObserver observer_;
    bool limits_ = false;
    std::chrono::milliseconds limit_{};  // the server's statement_timeout; zero: unknown

    Deadline::Clock::time_point deadline_;
    std::uint64_t timer_generation_ = 0;
    bool timer_armed_ = false;
    bool timed_out_ = false;

    std::unordered_map<std::string_view, std::string_view> prepared_;  // name, sql
    // Scratch of queue(), kept for their capacity.
    std::vector<const char*> values_;
    std::vector<int> lengths_;
    std::vector<int> formats_;
};

}  // namespace txstream::pg::detail
