// How a session begins.

#include "pg/detail/connect_plan.hpp"
#include "pg/detail/name_lookup.hpp"
#include "pg/detail/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace txstream::pg::detail {
namespace {

// As with libpq the next host is tried when a server is not there, or starts up, or lacks the
// required target_session_attrs; not when it refuses user or database.
bool is_last_word(const Error& error) {
    if (error.code() == Code::cancelled || error.code() == Code::invalid_input) return true;
    return is_sqlstate(error.origin()) && error.origin() != "57P03" && error.origin() != kReadOnly;
}

Error summary_of(std::vector<Error> failures) {
    auto last = std::move(failures.back());
    failures.pop_back();
    if (failures.empty() || last.code() == Code::cancelled) return last;
    std::string text;
    for (const auto& failure : failures) text += failure.what() + "; then ";
    // Hosts that disagree: as long as one of them may come back, so may the connection.
    const bool agree = std::ranges::all_of(failures, [&last](const auto& failure) {
        return failure.code() == last.code();
    });
    return Error(
        agree ? last.code() : Code::unavailable, text + last.what(), agree ? last.origin() : ""
    );
}

}  // namespace

Task<Result<>> Session::connect(std::string conninfo, Deadline deadline) {
    TXS_CO_TRY(const auto plan, ConnectPlan::of(conninfo));
    auto left = plan.candidates();
    std::vector<Error> failures;
    do {
        const auto until = plan.attempt_deadline(deadline, left.size());
        const auto next = std::move(left.front());
        left.pop_front();
        if (next.needs_look_up()) {
            const auto addresses = co_await look_up(socket_.get_executor(), next.host, until);
            if (addresses) {
                const auto place = left.insert(left.begin(), addresses->size(), next);
                std::ranges::transform(*addresses, place, [&next](const auto& address) {
                    auto candidate = next;
                    candidate.address = address;
                    return candidate;
                });
                continue;
            }
            failures.push_back(addresses.error());
        } else {
            auto connected = co_await attempt(plan, next, until);
            if (connected) co_return connected;
            failures.push_back(std::move(connected).error());
        }
        if (is_last_word(failures.back()) || deadline.passed()) break;
    } while (!left.empty());
    co_return tl::unexpected(summary_of(std::move(failures)));
}

Task<Result<>> Session::attempt(
    const ConnectPlan& plan, const Candidate& candidate, Deadline until
) {
    conn_ = plan.start(candidate);
    if (!conn_) co_return fail(Code::unavailable, "no memory for a PostgreSQL session");
    PQsetErrorVerbosity(conn_.get(), PQERRORS_VERBOSE);  // puts the SQLSTATE into the message
    PQsetNoticeReceiver(conn_.get(), &Session::receive_notice, this);

    expected_.assign({{Kind::sync, {"connect", ""}}});
    error_.reset();
    pending_ = true;
    Call call(*this, until);
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
        // PQconnectPoll may close the socket and open another (without TLS), under the same number
        // even: the reactor must never hold one across it.
        detach();
        if (timed_out_ || ec == asio::error::operation_aborted) {
            // Not Code::timed_out, since no statement was sent: there is no effect to be unknown.
            give_up(
                timed_out_ ? Code::unavailable : Code::cancelled,
                timed_out_ ? "no answer in time; is the server reachable?"
                           : "cancelled while connecting"
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

}  // namespace txstream::pg::detail
