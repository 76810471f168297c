// A PostgreSQL session without threads: libpq never blocks, Asio says when its socket is ready.
//
// The session stays in libpq's pipeline mode, since that is what lets a statement be prepared and
// run, or a whole transaction be sent, in one round trip. What was sent is remembered in
// `expected_`; drain() matches the answers with it until the sync at its end. Scripts need the
// simple protocol and leave pipeline mode for as long as they run.
//
// Writing never waits: what the socket does not take at once is flushed by a handler while the
// caller reads. Otherwise a large statement and a large answer would wait for each other.

#include "pg/connection.hpp"

#include "base/assert.hpp"
#include "pg/detail/libpq.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <array>
#include <optional>
#include <poll.h>
#include <unordered_map>
#include <utility>

namespace txstream::pg {
namespace {

using ErrorCode = boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr auto kReadable = asio::posix::descriptor_base::wait_read;
constexpr auto kWritable = asio::posix::descriptor_base::wait_write;

constexpr Statement kBegin{"begin", "BEGIN"};
constexpr Statement kCommit{"commit", "COMMIT"};
constexpr Statement kRollback{"rollback", "ROLLBACK"};

// A time-out closes the socket, but a server that computes or waits for a lock does not look at it
// and would run on, holding its locks. With this it looks (PostgreSQL 14 and newer, on Linux).
constexpr const char* kLookForUs = "SET client_connection_check_interval = '5s'";
constexpr int kLooksForUsSince = 140000;

// NAMEDATALEN - 1: the server cuts longer names, and two statements might become one.
constexpr std::size_t kNameBytesMax = 63;

}  // namespace

class Connection::Impl : public std::enable_shared_from_this<Connection::Impl> {
public:
    explicit Impl(const asio::any_io_executor& executor) : socket_(executor), timer_(executor) {}
    ~Impl() {
        TXS_ASSERT(!in_call_, "a connection was destroyed under a statement that still waits");
        close();
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    Task<Result<>> connect(std::string conninfo, Deadline deadline);
    Task<Result<Rows>> run(Statement statement, Params params, Deadline deadline);
    Task<Result<std::vector<Rows>>> transact(std::vector<Step> steps, Deadline deadline);
    Result<> send(const Statement& statement, const Params& params);
    Task<Result<Rows>> receive(Deadline deadline);
    Task<Result<>> run_script(std::string sql, Deadline deadline);

    bool is_open() const noexcept { return conn_ != nullptr; }
    bool is_alive();
    bool in_transaction() const noexcept {
        return conn_ && PQtransactionStatus(conn_.get()) != PQTRANS_IDLE;
    }
    int server_version() const noexcept { return conn_ ? PQserverVersion(conn_.get()) : 0; }
    void close() noexcept;

    std::function<void(std::string_view, std::string_view)> on_notice;

private:
    enum class Kind : std::uint8_t { prepare, execute, sync, script };
    struct Expected {
        Kind kind;
        Statement statement;
    };

    // One call that waits. However it ends, also by a cancelled coroutine whose frame is destroyed:
    // a session with an answer outstanding must not be used again, or the next caller would read
    // this one's rows.
    class Call {
    public:
        Call(Impl& impl, Deadline deadline) : impl_(impl) {
            TXS_ASSERT(!impl.in_call_, "a second call while one waits");
            impl.in_call_ = true;
            impl.timed_out_ = false;
            impl.watch(deadline);
        }
        ~Call() {
            impl_.in_call_ = false;
            if (impl_.pending_) impl_.close();
        }
        Call(const Call&) = delete;
        Call& operator=(const Call&) = delete;

    private:
        Impl& impl_;
    };

    Result<> check_ready(Deadline deadline) const;
    void begin_exchange();
    bool queue(const Statement& statement, const Params& params);
    Result<> end_exchange();
    bool needs_preparing(const Statement& statement) const;

    Task<> settle();
    bool drain();
    void take(detail::PgResult result);
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
    detail::PgConn conn_;

    std::vector<Expected> expected_;
    std::size_t answered_ = 0;
    bool pending_ = false;  // something was sent whose answer has not come to its end
    bool in_call_ = false;
    std::vector<Rows> rows_;
    std::optional<Error> error_;     // the first of the exchange
    std::optional<Error> farewell_;  // what the server said when it ended the session unasked

    bool flushing_ = false;
    bool broken_ = false;  // writing failed

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

// --- one statement
// ----------------------------------------------------------------------------------------------------

Task<Result<Rows>> Connection::Impl::run(Statement statement, Params params, Deadline deadline) {
    TXS_CO_CHECK(check_ready(deadline));
    TXS_CO_CHECK(send(statement, params));
    Call call(*this, deadline);
    while (!drain()) {
        auto [ec] = co_await socket_.async_wait(kReadable, kAwait);
        if (!resume(ec)) break;
    }
    if (error_) co_return tl::unexpected(take_error());
    co_return std::move(rows_.back());
}

Result<> Connection::Impl::send(const Statement& statement, const Params& params) {
    TXS_ASSERT(!pending_, "receive() must follow send()");
    if (!is_open()) return fail(Code::unavailable, "the PostgreSQL session is closed");
    begin_exchange();
    if (!queue(statement, params)) return tl::unexpected(take_error());
    return end_exchange();
}

Task<Result<Rows>> Connection::Impl::receive(Deadline deadline) {
    if (!is_open()) co_return fail(Code::unavailable, "the PostgreSQL session is closed");
    TXS_ASSERT(pending_, "receive() without send()");
    Call call(*this, deadline);
    // The answer is often there already, and then there is nothing to wait for.
    consume();
    while (!drain()) {
        auto [ec] = co_await socket_.async_wait(kReadable, kAwait);
        if (!resume(ec)) break;
    }
    if (error_) co_return tl::unexpected(take_error());
    co_return std::move(rows_.back());
}

// --- several
// ----------------------------------------------------------------------------------------------------------

Task<Result<std::vector<Rows>>> Connection::Impl::transact(
    std::vector<Step> steps, Deadline deadline
) {
    TXS_CO_CHECK(check_ready(deadline));
    TXS_ASSERT(!in_transaction(), "transact() inside a transaction");
    Call call(*this, deadline);
    begin_exchange();
    bool queued = queue(kBegin, {});
    for (const auto& step : steps) queued = queued && queue(step.statement, step.params);
    queued = queued && queue(kCommit, {});
    if (!queued) co_return tl::unexpected(take_error());
    TXS_CO_CHECK(end_exchange());
    co_await settle();
    if (!error_) {
        TXS_ASSERT(rows_.size() == steps.size() + 2, "an answer for each statement");
        co_return std::vector<Rows>(
            std::make_move_iterator(rows_.begin() + 1), std::make_move_iterator(rows_.end() - 1)
        );
    }
    auto error = take_error();
    // The server skipped everything after the failing step, COMMIT included: the transaction is
    // still open.
    if (in_transaction()) {
        begin_exchange();
        if (queue(kRollback, {}) && end_exchange()) co_await settle();
        if (error_) close();
    }
    co_return tl::unexpected(std::move(error));
}

Task<Result<>> Connection::Impl::run_script(std::string sql, Deadline deadline) {
    TXS_CO_CHECK(check_ready(deadline));
    if (sql.find('\0') != std::string::npos) {
        co_return fail(Code::invalid_input, "the script holds a NUL byte");
    }
    Call call(*this, deadline);
    const bool had_failed = PQtransactionStatus(conn_.get()) == PQTRANS_INERROR;
    std::optional<Error> error;
    for (const char* text : {sql.c_str(), kRollback.sql}) {
        if (error &&
            (had_failed || !is_open() || PQtransactionStatus(conn_.get()) != PQTRANS_INERROR))
            break;
        if (!error && text == kRollback.sql) break;
        begin_exchange();
        expected_.push_back({Kind::script, {"script", ""}});
        if (PQexitPipelineMode(conn_.get()) != 1 || PQsendQuery(conn_.get(), text) != 1) {
            lose();
        } else {
            pending_ = true;
            flush();
            co_await settle();
        }
        if (is_open()) {
            const bool entered = PQenterPipelineMode(conn_.get()) == 1;
            TXS_ASSERT(entered, "an idle session can enter pipeline mode");
        }
        if (error_ && !error) error = take_error();
    }
    if (error) co_return tl::unexpected(std::move(*error));
    co_return Result<>();
}

// --- sending
// ----------------------------------------------------------------------------------------------------------

Result<> Connection::Impl::check_ready(Deadline deadline) const {
    TXS_ASSERT(!pending_ && !in_call_, "one statement at a time");
    if (!is_open()) return fail(Code::unavailable, "the PostgreSQL session is closed");
    if (deadline.passed()) {
        return fail(Code::timed_out, "the deadline passed before the statement was sent");
    }
    return {};
}

void Connection::Impl::begin_exchange() {
    expected_.clear();
    answered_ = 0;
    rows_.clear();
    error_.reset();
}

bool Connection::Impl::queue(const Statement& statement, const Params& params) {
    auto* conn = conn_.get();
    if (!conn) return false;
    if (needs_preparing(statement)) {
        // Parameter types are the server's to infer.
        if (PQsendPrepare(conn, statement.name, statement.sql, 0, nullptr) != 1) {
            give_up(Code::unavailable, detail::first_line(PQerrorMessage(conn)));
            return false;
        }
        expected_.push_back({Kind::prepare, statement});
    }
    const auto given = params.values();
    values_.clear();
    lengths_.clear();
    formats_.clear();
    for (const auto& value : given) {
        values_.push_back(value.is_null ? nullptr : value.bytes.c_str());
        lengths_.push_back(static_cast<int>(value.bytes.size()));
        formats_.push_back(value.is_binary ? 1 : 0);
    }
    const int sent = PQsendQueryPrepared(
        conn,
        statement.name,
        static_cast<int>(given.size()),
        values_.data(),
        lengths_.data(),
        formats_.data(),
        1
    );
    if (sent != 1) {
        give_up(Code::unavailable, detail::first_line(PQerrorMessage(conn)));
        return false;
    }
    expected_.push_back({Kind::execute, statement});
    return true;
}

bool Connection::Impl::needs_preparing(const Statement& statement) const {
    const std::string_view name = statement.name;
    auto same = [&](std::string_view sql) {
        TXS_ASSERT(
            sql.data() == statement.sql || sql == statement.sql, "two statements share a name"
        );
        return false;
    };
    if (const auto found = prepared_.find(name); found != prepared_.end())
        return same(found->second);
    for (const auto& earlier : expected_) {
        if (earlier.kind == Kind::prepare && name == earlier.statement.name) {
            return same(earlier.statement.sql);
        }
    }
    TXS_ASSERT(!name.empty() && name.size() <= kNameBytesMax, "a statement's name is too long");
    return true;
}

Result<> Connection::Impl::end_exchange() {
    if (!conn_) return tl::unexpected(take_error());
    expected_.push_back({Kind::sync, {"", ""}});
    pending_ = true;
    if (PQpipelineSync(conn_.get()) != 1) {
        lose();
        return tl::unexpected(take_error());
    }
    flush();
    return {};
}

void Connection::Impl::flush() {
    if (flushing_) return;
    const int left = PQflush(conn_.get());
    if (left == 0) return;
    if (left < 0) {
        broken_ = true;
        socket_.cancel();
        return;
    }
    flushing_ = true;
    socket_.async_wait(kWritable, [weak = weak_from_this()](ErrorCode ec) {
        const auto self = weak.lock();
        if (!self) return;
        self->flushing_ = false;
        if (!ec && self->is_open()) self->flush();
    });
}

// --- receiving
// --------------------------------------------------------------------------------------------------------

Task<> Connection::Impl::settle() {
    while (!drain()) {
        auto [ec] = co_await socket_.async_wait(kReadable, kAwait);
        if (!resume(ec)) break;
    }
}

// Takes the answers that have arrived. True when there is nothing to wait for: all are here, or the
// session is lost.
bool Connection::Impl::drain() {
    bool after_separator = false;
    while (pending_ && conn_) {
        if (PQisBusy(conn_.get())) return false;
        detail::PgResult result(PQgetResult(conn_.get()));
        if (result) {
            after_separator = false;
            take(std::move(result));
            continue;
        }
        if (PQstatus(conn_.get()) == CONNECTION_BAD) {
            lose();
        } else if (expected_.front().kind == Kind::script) {
            pending_ = false;
        } else {
            // One NULL ends each statement of a pipeline; a second one would mean that libpq waits
            // for nothing.
            TXS_ASSERT(!after_separator, "the pipeline ended without its sync");
            after_separator = true;
        }
    }
    return true;
}

void Connection::Impl::take(detail::PgResult result) {
    TXS_ASSERT(answered_ < expected_.size(), "more answers than statements");
    const auto expected = expected_[answered_];
    if (expected.kind != Kind::script) ++answered_;
    switch (PQresultStatus(result.get())) {
        case PGRES_PIPELINE_SYNC:
            TXS_ASSERT(expected.kind == Kind::sync, "the sync comes last");
            pending_ = false;
            return;
        case PGRES_PIPELINE_ABORTED:
            return;
        case PGRES_COMMAND_OK:
        case PGRES_TUPLES_OK:
        case PGRES_EMPTY_QUERY:
            if (expected.kind == Kind::prepare) {
                prepared_.emplace(expected.statement.name, expected.statement.sql);
            } else if (expected.kind == Kind::execute) {
                rows_.emplace_back(std::shared_ptr<void>(result.release(), [](void* owned) {
                    PQclear(static_cast<PGresult*>(owned));
                }));
            }
            return;
        case PGRES_FATAL_ERROR:
            // Without a SQLSTATE it is libpq's own: the connection broke, and drain() or consume()
            // will see it.
            if (PQresultErrorField(result.get(), PG_DIAG_SQLSTATE) == nullptr) {
                lose();
                return;
            }
            if (detail::is_stale_statement(*result)) {
                fail_with(Error(
                    Code::unavailable,
                    std::string(expected.statement.name) +
                        ": the schema changed since the statement was prepared; a new session "
                        "prepares it again",
                    detail::error_of(*result).origin()
                ));
                close();
                return;
            }
            fail_with(detail::error_of(*result).while_doing(expected.statement.name));
            if (detail::is_fatal(*result)) close();
            return;
        default:
            fail_with(Error(
                Code::rejected, std::string(expected.statement.name) + ": COPY cannot be run here"
            ));
            close();
            return;
    }
}

bool Connection::Impl::consume() {
    if (PQconsumeInput(conn_.get()) == 1) return true;
    // What arrived before the end, an error above all, still counts.
    drain();
    if (pending_) lose();
    return false;
}

// After a wait; false when the exchange is over.
bool Connection::Impl::resume(ErrorCode ec) {
    if (!consume()) return false;
    if (!ec && !timed_out_) return true;
    // The answer may have come with the last tick.
    if (drain()) return false;
    if (broken_) {
        lose();
    } else if (timed_out_) {
        give_up(Code::timed_out, "no answer in time; whether it took effect is unknown");
    } else if (ec == asio::error::operation_aborted) {
        give_up(Code::cancelled, "cancelled while waiting for the answer");
    } else {
        give_up(Code::timed_out, "waiting for the answer failed: " + ec.message());
    }
    return false;
}

// --- time
// -------------------------------------------------------------------------------------------------------------

// Thousands of statements a second, each with a deadline seconds away, would re-arm a timer for
// nothing. It is armed once and looks, when it fires, whether the deadline of the call that waits
// by then has come.
void Connection::Impl::watch(Deadline deadline) {
    deadline_ = deadline.at();
    if (timer_armed_ && timer_.expiry() <= deadline_) return;
    arm_timer();
}

void Connection::Impl::arm_timer() {
    timer_armed_ = true;
    timer_.expires_at(deadline_);
    // A handler of an earlier arming may be on its way already; it must not count as this one.
    timer_.async_wait([weak = weak_from_this(), generation = ++timer_generation_](ErrorCode ec) {
        const auto self = weak.lock();
        if (!ec && self && self->timer_generation_ == generation) self->look_at_clock();
    });
}

void Connection::Impl::look_at_clock() {
    timer_armed_ = false;
    if (!in_call_) return;
    if (Deadline::Clock::now() < deadline_) {
        arm_timer();
        return;
    }
    timed_out_ = true;
    socket_.cancel();
}

// --- endings
// ----------------------------------------------------------------------------------------------------------

void Connection::Impl::lose() {
    if (farewell_) {
        fail_with(std::move(*farewell_).while_doing("the server ended the session"));
        close();
        return;
    }
    give_up(
        Code::timed_out,
        "the connection broke before the answer; whether it took effect is unknown: " +
            detail::first_line(PQerrorMessage(conn_.get()))
    );
}

void Connection::Impl::give_up(Code code, std::string_view why) {
    const auto* step = answered_ < expected_.size() ? expected_[answered_].statement.name : "";
    fail_with(Error(
        code,
        fmt::format(
            "{}{}{} (PostgreSQL at {})", step, *step ? ": " : "", why, detail::place_of(*conn_)
        )
    ));
    close();
}

void Connection::Impl::fail_with(Error error) {
    if (!error_) error_ = std::move(error);
}

Error Connection::Impl::take_error() {
    TXS_ASSERT(error_, "a failed exchange has an error");
    auto error = std::move(*error_);
    error_.reset();
    return error;
}

void Connection::Impl::close() noexcept {
    // Forget the descriptor before PQfinish closes it. In the other order the kernel may hand the
    // same number to a new connection while the reactor still waits on it for us.
    detach();
    conn_.reset();
    pending_ = false;
    prepared_.clear();
    ++timer_generation_;
    timer_armed_ = false;
    timer_.cancel();
}

bool Connection::Impl::is_alive() {
    if (!conn_) return false;
    TXS_ASSERT(!pending_ && !in_call_, "only an idle session can be looked at");
    pollfd ready{.fd = PQsocket(conn_.get()), .events = POLLIN, .revents = 0};
    // Unasked the server says little (a notice, a changed setting) and then one poll shows silence
    // again; or it says why it ends the session, and what follows is the end of the stream.
    while (::poll(&ready, 1, 0) > 0) {
        const bool consumed = PQconsumeInput(conn_.get()) == 1;
        (void)PQisBusy(conn_.get());  // parses; an idle session is never busy
        if (!consumed || farewell_ || PQstatus(conn_.get()) == CONNECTION_BAD) {
            close();
            return false;
        }
    }
    return true;
}

// --- connecting
// -------------------------------------------------------------------------------------------------------

Task<Result<>> Connection::Impl::connect(std::string conninfo, Deadline deadline) {
    // PQconnectStart would repeat the malformed part in its message, and that may be a piece of the
    // password.
    char* complaint = nullptr;
    auto* options = PQconninfoParse(conninfo.c_str(), &complaint);
    PQfreemem(complaint);
    if (!options) {
        co_return fail(
            Code::invalid_input,
            "the PostgreSQL connection string is malformed (not shown, it may hold a password); "
            "write host=... port=... dbname=... user=... password='...' with libpq's names, or a "
            "postgresql:// URL"
        );
    }
    PQconninfoFree(options);

    static constexpr std::array kNames{
        "dbname", "client_encoding", "fallback_application_name", (const char*)nullptr
    };
    const std::array values{conninfo.c_str(), "UTF8", "txstream", (const char*)nullptr};
    // Looks up host names, which blocks: libpq has no other way. Use addresses or a local resolver
    // where that matters.
    conn_.reset(PQconnectStartParams(kNames.data(), values.data(), 1));
    if (!conn_) co_return fail(Code::unavailable, "no memory for a PostgreSQL session");
    PQsetErrorVerbosity(conn_.get(), PQERRORS_VERBOSE);  // puts the SQLSTATE into the message
    PQsetNoticeReceiver(conn_.get(), &Impl::receive_notice, this);

    expected_.assign({{Kind::sync, {"connect", ""}}});
    error_.reset();
    pending_ = true;
    Call call(*this, deadline);
    auto status =
        PQstatus(conn_.get()) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
    while (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING) {
        if (auto ec = attach()) {
            give_up(Code::unavailable, "cannot wait for the socket: " + ec.message());
            co_return tl::unexpected(take_error());
        }
        auto [ec] = co_await socket_.async_wait(
            status == PGRES_POLLING_READING ? kReadable : kWritable, kAwait
        );
        // PQconnectPoll may close the socket and open another (next address, or without TLS), under
        // the same number even: the reactor must never hold one across it.
        detach();
        if (timed_out_ || ec == asio::error::operation_aborted) {
            give_up(
                timed_out_ ? Code::timed_out : Code::cancelled,
                timed_out_ ? "no answer in time" : "cancelled while connecting"
            );
            co_return tl::unexpected(take_error());
        }
        status = PQconnectPoll(conn_.get());
    }
    if (status == PGRES_POLLING_FAILED) {
        auto error = detail::connect_error_of(*conn_);
        close();
        co_return tl::unexpected(std::move(error));
    }
    PQsetErrorVerbosity(conn_.get(), PQERRORS_DEFAULT);
    if (auto ec = attach();
        ec || PQsetnonblocking(conn_.get(), 1) != 0 || PQenterPipelineMode(conn_.get()) != 1) {
        give_up(Code::unavailable, "cannot use the socket: " + ec.message());
        co_return tl::unexpected(take_error());
    }
    pending_ = false;
    co_return Result<>();
}

ErrorCode Connection::Impl::attach() {
    ErrorCode ec;
    socket_.assign(PQsocket(conn_.get()), ec);
    return ec;
}

void Connection::Impl::detach() noexcept {
    if (socket_.is_open()) socket_.release();
}

void Connection::Impl::receive_notice(void* self, const PGresult* result) {
    auto& impl = *static_cast<Impl*>(self);
    if (detail::is_fatal(*result)) impl.farewell_ = detail::error_of(*result);
    if (!impl.on_notice) return;
    const char* severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char* text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    impl.on_notice(severity ? severity : "NOTICE", text ? text : "");
}

// --- the front
// --------------------------------------------------------------------------------------------------------

Task<Result<std::unique_ptr<Connection>>> Connection::open(
    asio::any_io_executor executor, std::string conninfo, std::string settings, Deadline deadline
) {
    auto impl = std::make_shared<Impl>(executor);
    TXS_CO_CHECK(co_await impl->connect(std::move(conninfo), deadline));
    if (impl->server_version() >= kLooksForUsSince) {
        // A server on a system without the means refuses; it is an improvement, not a condition.
        auto looked = co_await impl->run_script(kLookForUs, deadline);
        if (!impl->is_open()) co_return tl::unexpected(std::move(looked).error());
    }
    if (!settings.empty()) {
        auto set = co_await impl->run_script(std::move(settings), deadline);
        if (!set) co_return tl::unexpected(std::move(set).error().while_doing("session settings"));
    }
    co_return std::unique_ptr<Connection>(new Connection(std::move(impl)));
}

Connection::Connection(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {
}
Connection::~Connection() = default;

bool Connection::is_open() const noexcept {
    return impl_->is_open();
}

bool Connection::is_alive() {
    return impl_->is_alive();
}

bool Connection::in_transaction() const noexcept {
    return impl_->in_transaction();
}

Task<Result<Rows>> Connection::run(Statement statement, Params params, Deadline deadline) {
    return impl_->run(statement, std::move(params), deadline);
}

Task<Result<std::vector<Rows>>> Connection::transact(std::vector<Step> steps, Deadline deadline) {
    return impl_->transact(std::move(steps), deadline);
}

Result<> Connection::send(Statement statement, Params params) {
    return impl_->send(statement, params);
}

Task<Result<Rows>> Connection::receive(Deadline deadline) {
    return impl_->receive(deadline);
}

Task<Result<>> Connection::run_script(std::string sql, Deadline deadline) {
    return impl_->run_script(std::move(sql), deadline);
}

void Connection::on_notice(
    std::function<void(std::string_view severity, std::string_view text)> callback
) {
    impl_->on_notice = std::move(callback);
}

}  // namespace txstream::pg
