#include "pg/detail/session.hpp"

#include <algorithm>
#include <utility>

namespace txstream::pg::detail {
namespace {

constexpr const char* kRollback = "ROLLBACK";

// NAMEDATALEN - 1: the server cuts longer names, and two statements might become one.
constexpr std::size_t kNameBytesMax = 63;

// Of a statement's time: what the server has, and between which bounds the limit that it knows
// already will do, so that statements with like deadlines do not set it each time.
constexpr double kLimitPart = 3.0 / 4;
constexpr double kLimitPartMax = 7.0 / 8;
constexpr double kLimitPartMin = 3.0 / 8;
// The server's clock counts whole milliseconds, and up to 24 days of them.
constexpr std::chrono::milliseconds kLimitableMin{20};
constexpr std::chrono::milliseconds kLimitableMax = std::chrono::hours(24);

}  // namespace

// --- one statement

Task<Result<Rows>> Session::run(Statement statement, Params params, Deadline deadline) {
    TXS_CO_CHECK(check_ready(deadline));
    begin_exchange();
    if (!queue_limit(deadline) || !queue(statement, params)) co_return tl::unexpected(take_error());
    TXS_CO_CHECK(end_exchange());
    Call call(*this, deadline);
    while (!drain()) {
        auto [ec] = co_await socket_.async_wait(kReadable, kAwait);
        if (!resume(ec)) break;
    }
    if (error_) co_return tl::unexpected(take_error());
    co_return std::move(rows_.back());
}

Result<> Session::send(const Statement& statement, const Params& params) {
    TXS_ASSERT(!pending_, "receive() must follow send()");
    if (!is_open()) return fail(Code::unavailable, "the PostgreSQL session is closed");
    begin_exchange();
    if (!queue(statement, params)) return tl::unexpected(take_error());
    return end_exchange();
}

Task<Result<Rows>> Session::receive(Deadline deadline) {
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

Task<Result<std::vector<Rows>>> Session::transact(
    std::vector<Connection::Step> steps, Deadline deadline
) {
    TXS_CO_CHECK(check_ready(deadline));
    TXS_ASSERT(!in_transaction(), "transact() inside a transaction");
    Call call(*this, deadline);
    // What stands before one sync is one transaction, without BEGIN and COMMIT, which would cost
    // the server as much as two more statements. It commits at the sync, or not at all.
    begin_exchange();
    bool queued = queue_limit(deadline);
    for (const auto& step : steps) queued = queued && queue(step.statement, step.params);
    if (!queued) co_return tl::unexpected(take_error());
    TXS_CO_CHECK(end_exchange());
    co_await settle();
    if (error_) co_return tl::unexpected(take_error());
    TXS_ASSERT(rows_.size() == steps.size(), "an answer for each statement");
    co_return std::move(rows_);
}

Task<Result<>> Session::run_script(std::string sql, Deadline deadline) {
    TXS_CO_CHECK(check_ready(deadline));
    if (sql.find('\0') != std::string::npos) {
        co_return fail(Code::invalid_input, "the script holds a NUL byte");
    }
    Call call(*this, deadline);
    limit_ = {};  // it may set the time-out, or undo our setting with its transaction
    const bool had_failed = PQtransactionStatus(conn_.get()) == PQTRANS_INERROR;
    std::optional<Error> error;
    for (const char* text : {sql.c_str(), kRollback}) {
        if (error &&
            (had_failed || !is_open() || PQtransactionStatus(conn_.get()) != PQTRANS_INERROR))
            break;
        if (!error && text == kRollback) break;
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

Result<> Session::check_ready(Deadline deadline) const {
    TXS_ASSERT(!pending_ && !in_call_, "one statement at a time");
    if (!is_open()) return fail(Code::unavailable, "the PostgreSQL session is closed");
    if (deadline.passed()) {
        return fail(Code::unavailable, "the deadline passed before the statement was sent");
    }
    return {};
}

void Session::begin_exchange() {
    expected_.clear();
    answered_ = 0;
    rows_.clear();
    error_.reset();
    has_failed_ = false;
}

// A transaction counts under the name of its last statement.
void Session::tell_observer(std::chrono::nanoseconds took) const {
    if (!observer_) return;
    const auto last = std::find_if(expected_.rbegin(), expected_.rend(), [](const auto& one) {
        return one.kind == Kind::execute;
    });
    if (last != expected_.rend()) observer_(last->statement.name, took, is_open() && !has_failed_);
}

bool Session::queue(const Statement& statement, const Params& params) {
    auto* conn = conn_.get();
    if (!conn) return false;
    if (statement.planning == Planning::prepared && needs_preparing(statement)) {
        // Parameter types are the server's to infer.
        if (PQsendPrepare(conn, statement.name, statement.sql, 0, nullptr) != 1) {
            give_up(Code::unavailable, first_line(PQerrorMessage(conn)));
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
    const auto count = static_cast<int>(given.size());
    const auto* values = values_.data();
    const auto* lengths = lengths_.data();
    const auto* formats = formats_.data();
    const int sent =
        statement.planning == Planning::prepared
            ? PQsendQueryPrepared(conn, statement.name, count, values, lengths, formats, 1)
            : PQsendQueryParams(conn, statement.sql, count, nullptr, values, lengths, formats, 1);
    if (sent != 1) {
        give_up(Code::unavailable, first_line(PQerrorMessage(conn)));
        return false;
    }
    expected_.push_back({Kind::execute, statement});
    return true;
}

bool Session::queue_limit(Deadline deadline) {
    static constexpr Statement kLimit{
        "time limit",
        "SELECT pg_catalog.set_config('statement_timeout', $1, false)",
        Planning::each_time
    };
    if (!limits_) return true;
    using Time = std::chrono::duration<double, std::milli>;
    const Time left = std::min<Time>(deadline.left(), kLimitableMax);
    if (left < kLimitableMin) return true;
    if (limit_ <= left * kLimitPartMax && limit_ >= left * kLimitPartMin) return true;
    limit_ = std::chrono::duration_cast<std::chrono::milliseconds>(left * kLimitPart);
    if (!queue(kLimit, Params::of(limit_.count()))) return false;
    expected_.back().kind = Kind::limit;
    return true;
}

bool Session::needs_preparing(const Statement& statement) const {
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

Result<> Session::end_exchange() {
    if (!conn_) return tl::unexpected(take_error());
    expected_.push_back({Kind::sync, {"commit", ""}});
    pending_ = true;
    if (PQpipelineSync(conn_.get()) != 1) {
        lose();
        return tl::unexpected(take_error());
    }
    flush();
    return {};
}

void Session::flush() {
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

Task<> Session::settle() {
    while (!drain()) {
        auto [ec] = co_await socket_.async_wait(kReadable, kAwait);
        if (!resume(ec)) break;
    }
}

// Takes the answers that have arrived. True when there is nothing to wait for: all are here, or the
// session is lost.
bool Session::drain() {
    bool after_separator = false;
    while (pending_ && conn_) {
        if (PQisBusy(conn_.get())) return false;
        PgResult result(PQgetResult(conn_.get()));
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

void Session::take(PgResult result) {
    TXS_ASSERT(answered_ < expected_.size(), "more answers than statements");
    const auto expected = expected_[answered_];
    // An error where the sync is due comes from the commit; the sync itself follows.
    const bool is_of_commit =
        expected.kind == Kind::sync && PQresultStatus(result.get()) == PGRES_FATAL_ERROR;
    if (expected.kind != Kind::script && !is_of_commit) ++answered_;
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
            if (is_stale_statement(*result)) {
                fail_with(Error(
                    Code::unavailable,
                    std::string(expected.statement.name) +
                        ": the schema changed since the statement was prepared; a new session "
                        "prepares it again",
                    error_of(*result).origin()
                ));
                close();
                return;
            }
            refuse(*result, expected);
            return;
        default:
            fail_with(Error(
                Code::rejected, std::string(expected.statement.name) + ": COPY cannot be run here"
            ));
            close();
            return;
    }
}

void Session::refuse(const PGresult& result, const Expected& expected) {
    auto error = error_of(result).while_doing(expected.statement.name);
    const auto severity = severity_of(result);
    // The end of a session rolls back what was not committed. Where the sync is due it may have
    // been; a script commits where it likes; and a server panics above all when it cannot flush a
    // commit, which its recovery may find complete.
    const bool may_have_committed =
        severity == Severity::panic ||
        (severity == Severity::fatal &&
         (expected.kind == Kind::sync || expected.kind == Kind::script));
    if (may_have_committed) {
        error = Error(
            Code::timed_out, error.what() + "; whether it took effect is unknown", error.origin()
        );
    }
    const bool was_read_only = error.origin() == kReadOnly;
    if (was_read_only) {
        error = Error(
            error.code(),
            error.what() + "; the next session looks for a server that takes writes",
            error.origin()
        );
    }
    fail_with(std::move(error));
    if (severity != Severity::error || was_read_only) close();
}

bool Session::consume() {
    if (PQconsumeInput(conn_.get()) == 1) return true;
    // What arrived before the end, an error above all, still counts.
    drain();
    if (pending_) lose();
    return false;
}

// After a wait; false when the exchange is over.
bool Session::resume(ErrorCode ec) {
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

// Thousands of statements a second, each with a deadline seconds away, would re-arm a timer for
// nothing. It is armed once and looks, when it fires, whether the deadline of the call that waits
// by then has come.
void Session::watch(Deadline deadline) {
    deadline_ = deadline.at();
    if (timer_armed_ && timer_.expiry() <= deadline_) return;
    arm_timer();
}

void Session::arm_timer() {
    timer_armed_ = true;
    timer_.expires_at(deadline_);
    // A handler of an earlier arming may be on its way already; it must not count as this one.
    timer_.async_wait([weak = weak_from_this(), generation = ++timer_generation_](ErrorCode ec) {
        const auto self = weak.lock();
        if (!ec && self && self->timer_generation_ == generation) self->look_at_clock();
    });
}

void Session::look_at_clock() {
    timer_armed_ = false;
    if (!in_call_) return;
    if (Deadline::Clock::now() < deadline_) {
        arm_timer();
        return;
    }
    timed_out_ = true;
    socket_.cancel();
}

}  // namespace txstream::pg::detail
