// How a session ends.

#include "pg/detail/session.hpp"

#include <fmt/format.h>

#include <poll.h>
#include <utility>

namespace txstream::pg::detail {

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
    limit_ = {};  // rolled back with the rest, if it was set
    has_failed_ = true;
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
    limit_ = {};
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
