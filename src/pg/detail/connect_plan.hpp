#pragma once

#include "base/error.hpp"
#include "pg/detail/libpq.hpp"
#include "runtime/deadline.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <string>

namespace txstream::pg::detail {

/// One host of a connection string, at one address; empty members are libpq's to choose.
struct Candidate {
    std::string host;     // a name, an address, or a socket's directory
    std::string address;  // of the host; a name gets it by a look-up
    std::string port;
    std::string session_attributes;  // libpq's target_session_attrs

    bool needs_look_up() const;
};

/// A connection string, taken apart into the hosts that are tried one after the other.
///
/// libpq would do that itself. But it looks names up blocking, and in its non-blocking form it
/// leaves time-outs to us, who could only give up all of its hosts: the first one that is silent
/// would keep us from the others.
///
/// Refused: PQconnectdb, which does all of it, on a thread of runtime::Offload. With libpq 15
/// - connect_timeout does not bound the look-up of a name: with connect_timeout=2 and a service
///   that was silent for 7 s it took 7.0 s, in which no other host was tried;
/// - a time-out has whole seconds and at least two (connect_timeout=1 took 2.0 s, 0.3 is refused),
///   so that two silent hosts use up the 5 s of many of our deadlines;
/// - a failed login has no SQLSTATE, since the verbosity of errors can be set only between
///   PQconnectStart and PQconnectPoll: a wrong password looks like a server that starts up;
/// - nothing ends it, and the thread must be waited for: a stop would take as long as the hosts.
/// What mends these is what is here: our own loop over the hosts, look-ups on threads that can be
/// left behind, PQconnectPoll.
class ConnectPlan {
public:
    /// Fails with what libpq would refuse before it asks any server.
    static Result<ConnectPlan> of(const std::string& conninfo);

    /// In the order in which to try them.
    std::deque<Candidate> candidates() const;
    /// How long to try the next candidate: connect_timeout, but no longer than its part of what is
    /// left, since a host that is silent must leave time for those after it.
    Deadline attempt_deadline(Deadline whole, std::size_t candidates_left) const;
    /// Begins to connect. The candidate is no name without an address.
    PgConn start(const Candidate& candidate) const;

private:
    ConnectPlan() = default;

    std::map<std::string, std::string> options_;
    std::optional<std::chrono::duration<double>> timeout_;
    std::deque<Candidate> hosts_;
};

}  // namespace txstream::pg::detail
