#include "pg/pool.hpp"

#include "base/assert.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <list>
#include <utility>
#include <vector>

namespace txstream::pg {

// A permit is the right to hold one session. There are as many as sessions may be open, and who
// wants one when none is left waits in line; a permit goes from hand to hand, so that a newcomer
// never passes those who wait.
class Pool::Impl {
public:
    Impl(asio::any_io_executor executor, ConnInfo conninfo, std::string settings, Limits limits)
        : executor_(std::move(executor)),
          conninfo_(std::move(conninfo)),
          settings_(std::move(settings)),
          limits_(limits),
          permits_(limits.connections_max) {
        TXS_ASSERT(limits.connections_max > 0, "a pool without connections serves nobody");
    }
    ~Impl() {
        TXS_ASSERT(
            permits_ == limits_.connections_max && waiters_.empty(), "a pool outlives its leases"
        );
    }

    Task<Result<std::unique_ptr<Connection>>> acquire(Deadline deadline) {
        if (closed_) co_return fail(Code::unavailable, "the connection pool is closed");
        Permit permit(*this);
        TXS_CO_CHECK(co_await permit.take(deadline));
        if (closed_)
            co_return fail(Code::unavailable, "the connection pool was closed while waiting");
        while (!idle_.empty()) {
            auto connection = std::move(idle_.back());
            idle_.pop_back();
            if (!connection->is_alive()) continue;
            permit.keep();
            ++leased_;
            co_return connection;
        }
        auto opened = co_await open(deadline);
        if (opened) {
            permit.keep();
            ++leased_;
        }
        co_return opened;
    }

    void give_back(std::unique_ptr<Connection> connection) {
        // What ended one session (a switch-over, a restart, a server that says nothing) is true of
        // the others with that server, and each would cost a caller an error.
        if (!connection->is_open()) idle_.clear();
        // An open transaction holds locks, and the next user would be inside it.
        if (!closed_ && connection->is_open() && !connection->in_transaction())
            idle_.push_back(std::move(connection));
        connection.reset();
        --leased_;
        release();
    }

    Stats stats() const noexcept {
        return {
            .open = idle_.size() + leased_,
            .in_use = leased_,
            .connecting = connecting_,
            .waiting = waiters_.size()
        };
    }

    void close() {
        closed_ = true;
        idle_.clear();
    }

private:
    struct Waiter {
        explicit Waiter(const asio::any_io_executor& executor) : timer(executor) {}
        asio::steady_timer timer;
        bool has_permit = false;
    };

    // However the one who asks ends, also by a destroyed coroutine, its permit does not get lost.
    class Permit {
    public:
        explicit Permit(Impl& pool) : pool_(pool) {}
        ~Permit() {
            if (is_held_) pool_.release();
        }
        Permit(const Permit&) = delete;
        Permit& operator=(const Permit&) = delete;

        Task<Result<>> take(Deadline deadline) {
            if (pool_.permits_ > 0) {
                --pool_.permits_;
                is_held_ = true;
                co_return Result<>();
            }
            if (pool_.waiters_.size() >= pool_.limits_.waiters_max) {
                co_return fail(Code::overloaded, "too many wait for a PostgreSQL session");
            }
            const Place place(pool_);
            auto& waiter = *place.waiter;
            waiter.timer.expires_at(deadline.at());
            co_await waiter.timer.async_wait(asio::as_tuple(asio::use_awaitable));
            if (waiter.has_permit) {
                waiter.has_permit = false;
                is_held_ = true;
                co_return Result<>();
            }
            if (!deadline.passed()) co_return fail(Code::cancelled, "cancelled while waiting");
            co_return fail(
                Code::overloaded,
                "no PostgreSQL session became free in time; DATABASE_MAX_OPEN_CONNS allows " +
                    std::to_string(pool_.limits_.connections_max)
            );
        }
        /// The permit now belongs to the lease.
        void keep() { is_held_ = false; }

    private:
        struct Place {
            explicit Place(Impl& of)
                : pool(of), waiter(of.waiters_.emplace(of.waiters_.end(), of.executor_)) {}
            ~Place() {
                const bool has_permit = waiter->has_permit;
                pool.waiters_.erase(waiter);
                if (has_permit) pool.release();
            }
            Place(const Place&) = delete;
            Place& operator=(const Place&) = delete;

            Impl& pool;
            std::list<Waiter>::iterator waiter;
        };

        Impl& pool_;
        bool is_held_ = false;
    };

    struct Connecting {
        explicit Connecting(Impl& of) : pool(of) { ++pool.connecting_; }
        ~Connecting() { --pool.connecting_; }
        Connecting(const Connecting&) = delete;
        Connecting& operator=(const Connecting&) = delete;
        Impl& pool;
    };

    Task<Result<std::unique_ptr<Connection>>> open(Deadline deadline) {
        const Connecting connecting(*this);
        co_return co_await Connection::open(executor_, conninfo_, settings_, deadline);
    }

    void release() {
        for (auto& waiter : waiters_) {
            if (waiter.has_permit) continue;
            waiter.has_permit = true;
            waiter.timer.cancel();
            return;
        }
        ++permits_;
    }

    asio::any_io_executor executor_;
    ConnInfo conninfo_;
    std::string settings_;
    Limits limits_;
    std::size_t permits_;
    // What became of the permits that are taken, but for those just handed to who waited.
    std::size_t leased_ = 0;
    std::size_t connecting_ = 0;
    std::list<Waiter> waiters_;
    std::vector<std::unique_ptr<Connection>> idle_;  // the one used last is used first
    bool closed_ = false;
};

Pool::Pool(asio::any_io_executor executor, ConnInfo conninfo, std::string settings, Limits limits)
    : impl_(std::make_unique<Impl>(
          std::move(executor), std::move(conninfo), std::move(settings), limits
      )) {
}
Pool::~Pool() = default;

Task<Result<Pool::Lease>> Pool::acquire(Deadline deadline) {
    TXS_CO_TRY(auto connection, co_await impl_->acquire(deadline));
    co_return Lease(*this, std::move(connection));
}

Pool::Stats Pool::stats() const noexcept {
    return impl_->stats();
}

void Pool::close() {
    impl_->close();
}

Pool::Lease::Lease(Pool& pool, std::unique_ptr<Connection> connection)
    : pool_(&pool), connection_(std::move(connection)) {
}
Pool::Lease::Lease(Lease&&) noexcept = default;

Pool::Lease& Pool::Lease::operator=(Lease&& other) noexcept {
    if (this == &other) return *this;
    if (connection_) pool_->impl_->give_back(std::move(connection_));
    pool_ = other.pool_;
    connection_ = std::move(other.connection_);
    return *this;
}

Pool::Lease::~Lease() {
    if (connection_) pool_->impl_->give_back(std::move(connection_));
}

}  // namespace txstream::pg
