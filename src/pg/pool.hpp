#pragma once

#include "pg/connection.hpp"

#include <cstddef>
#include <memory>
#include <string>

namespace txstream::pg {

/// A bounded set of sessions for short statements. Belongs to the thread of its executor.
class Pool {
public:
    struct Limits {
        std::size_t connections_max = 25;
        std::size_t waiters_max =
            1024;  ///< more callers than this are refused with Code::overloaded
    };
    struct Stats {
        std::size_t open;        ///< sessions that are there, idle or in use
        std::size_t in_use;      ///< of these, leased
        std::size_t connecting;  ///< sessions that are being opened; not among the open
        std::size_t waiting;     ///< callers, for a session
    };

    Pool(asio::any_io_executor executor, ConnInfo conninfo, std::string settings, Limits limits);
    ~Pool();

    /// A session for as long as the lease lives; a closed or broken one is thrown away on return.
    class Lease {
    public:
        Lease(Pool& pool, std::unique_ptr<Connection> connection);
        Lease(Lease&&) noexcept;
        Lease& operator=(Lease&&) noexcept;
        ~Lease();
        Connection* operator->() const noexcept { return connection_.get(); }
        Connection& operator*() const noexcept { return *connection_; }

    private:
        Pool* pool_;
        std::unique_ptr<Connection> connection_;
    };
    /// Never Code::timed_out: who has no session has sent nothing. Code::overloaded: waited in
    /// vain.
    Task<Result<Lease>> acquire(Deadline deadline);
    Stats stats() const noexcept;
    /// Closes idle sessions; leased ones close on return.
    void close();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace txstream::pg
