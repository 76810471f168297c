// How a session begins and how it ends.

#include "pg/detail/session.hpp"

#include <fmt/format.h>

#include <array>
#include <poll.h>
#include <utility>

namespace txstream::pg::detail {

// --- connecting

Task<Result<>> Session::connect(std::string conninfo, Deadline deadline) {
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
    PQsetNoticeReceiver(conn_.get(), &Session::receive_notice, this);

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
                timed_out_ ? Code::unavailable : Code::cancelled,
                timed_out_ ? "no answer in time" : "cancelled while connecting"
            );
            co_return tl::unexpected(take_error());
        }
        status = PQconnectPoll(conn_.get());
    }
    if (status == PGRES_POLLING_FAILED) {
        auto error = connect_error_of(*conn_);
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

ErrorCode Session::attach() {
    ErrorCode ec;
    socket_.assign(PQsocket(conn_.get()), ec);
    return ec;
}

void Session::detach() noexcept {
    if (socket_.is_open()) socket_.release();
}

// libpq's own receiver would write every notice to stderr.
void Session::receive_notice(void* self, const PGresult* result) {
    auto& session = *static_cast<Session*>(self);
    if (severity_of(*result) != Severity::error) session.farewell_ = error_of(*result);
}

// --- endings

void Session::lose() {
    if (farewell_) {
        fail_with(std::move(*farewell_).while_doing("the server ended the session"));
        close();
        return;
    }
    give_up(
        Code::timed_out,
        "the connection broke before the answer; whether it took effect is unknown: " +
            first_line(PQerrorMessage(conn_.get()))
    );
}

void Session::give_up(Code code, std::string_view why) {
    const auto* step = answered_ < expected_.size() ? expected_[answered_].statement.name : "";
    fail_with(Error(
        code,
        fmt::format("{}{}{} (PostgreSQL at {})", step, *step ? ": " : "", why, place_of(*conn_))
    ));
    close();
}

void Session::fail_with(Error error) {
    if (!error_) error_ = std::move(error);
}

Error Session::take_error() {
    TXS_ASSERT(error_, "a failed exchange has an error");
    auto error = std::move(*error_);
    error_.reset();
    return error;
}

void Session::close() noexcept {
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

bool Session::is_alive() {
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

}  // namespace txstream::pg::detail
