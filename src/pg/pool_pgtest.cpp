#include "pg/pool.hpp"
#include "tests/support/pg_fixture.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <map>

namespace txstream::pg {
namespace {

using namespace std::chrono_literals;
using tests::must;
using tests::soon;

constexpr Statement kPid{"pid", "SELECT pg_backend_pid()"};
constexpr Statement kEnd{"end", "SELECT pg_terminate_backend($1::integer)"};

class PoolPgTest : public testing::Test {
protected:
    Pool make(std::size_t connections, std::size_t waiters = 100) {
        return Pool(io_.get_executor(), database_.conninfo(), {}, {connections, waiters});
    }
    template <class T>
    T wait(asio::awaitable<T> task) {
        return tests::run_until_done(io_, [&] { return std::move(task); });
    }
    /// co_spawn wants results that can be made from nothing; a lease cannot.
    static Task<> acquire_into(
        Pool& pool, Deadline deadline, std::optional<Result<Pool::Lease>>& result
    ) {
        result.emplace(co_await pool.acquire(deadline));
    }
    Result<Pool::Lease> try_acquire(Pool& pool) {
        std::optional<Result<Pool::Lease>> result;
        wait(acquire_into(pool, soon(), result));
        return std::move(*result);
    }
    Pool::Lease acquire(Pool& pool) { return must(try_acquire(pool)); }
    std::int64_t pid(Connection& session) {
        return must(wait(session.run(kPid, {}, soon()))).integer(0, 0);
    }
    /// Acquires in the background; what came of it is under `name` in `results_`.
    void ask(Pool& pool, const std::string& name, Deadline deadline = soon()) {
        tests::start(
            io_,
            keep(pool, name, deadline),
            asio::bind_cancellation_slot(
                stop_[name].slot(),
                [](const std::exception_ptr& error) {
                    if (error) std::rethrow_exception(error);
                }
            )
        );
        poll();
    }
    Task<> keep(Pool& pool, std::string name, Deadline deadline) {
        auto lease = co_await pool.acquire(deadline);
        results_.emplace(name, std::move(lease));
    }
    void poll() {
        io_.restart();
        io_.poll();
    }
    bool comes(const std::string& name) {
        const auto give_up_at = soon();
        while (!results_.contains(name) && !give_up_at.passed()) {
            io_.restart();
            io_.run_one_for(1s);
        }
        return results_.contains(name);
    }
    Code code(const std::string& name) { return results_.at(name).error().code(); }

    tests::TestDatabase database_;
    asio::io_context io_;
    std::map<std::string, asio::cancellation_signal> stop_;
    std::map<std::string, Result<Pool::Lease>> results_;
};

TEST_F(PoolPgTest, ASessionIsUsedAgain) {
    auto pool = make(5);
    const auto first = [&] { return pid(*acquire(pool)); };
    EXPECT_EQ(first(), first());
    EXPECT_EQ(pool.stats().open, 1U);
    EXPECT_EQ(pool.stats().in_use, 0U);
}

// After a switch-over all are with a server that takes no writes: one failure is enough.
TEST_F(PoolPgTest, ASessionWithAReadOnlyServerTakesTheIdleOnesAlong) {
    auto pool = make(5);
    std::optional<Pool::Lease> first = acquire(pool);
    std::optional<Pool::Lease> second = acquire(pool);
    second.reset();
    EXPECT_EQ(pool.stats().open, 2U);
    must(wait((*first)->run_script("SET default_transaction_read_only = on", soon())));
    EXPECT_FALSE(wait((*first)->run_script("CREATE TABLE public.t (n integer)", soon())));
    first.reset();
    EXPECT_EQ(pool.stats().open, 0U);
}

TEST_F(PoolPgTest, WhoWaitsIsServedInTheOrderOfAskingAndNoNewcomerPasses) {
    auto pool = make(1);
    std::optional<Pool::Lease> held = acquire(pool);
    ask(pool, "first");
    ask(pool, "second");
    EXPECT_EQ(pool.stats().waiting, 2U);
    EXPECT_TRUE(results_.empty());
    held.reset();
    ask(pool, "newcomer");
    ASSERT_TRUE(comes("first"));
    EXPECT_EQ(results_.size(), 1U);
    results_.clear();
    ASSERT_TRUE(comes("second"));
    results_.clear();
    ASSERT_TRUE(comes("newcomer"));
    EXPECT_EQ(pool.stats().open, 1U);
    results_.clear();
}

TEST_F(PoolPgTest, MoreThanTheLimitOfWaitersAreRefusedAtOnce) {
    auto pool = make(1, 2);
    std::optional<Pool::Lease> held = acquire(pool);
    ask(pool, "a");
    ask(pool, "b");
    ask(pool, "c");
    ASSERT_TRUE(results_.contains("c"));
    EXPECT_EQ(code("c"), Code::overloaded);
    EXPECT_EQ(results_.size(), 1U);
    held.reset();
    ASSERT_TRUE(comes("a"));
    results_.clear();
    ASSERT_TRUE(comes("b"));
    results_.clear();
}

TEST_F(PoolPgTest, WhoWaitsTooLongIsToldTheLimitAndTakesNothingAlong) {
    auto pool = make(1);
    std::optional<Pool::Lease> held = acquire(pool);
    ask(pool, "late", Deadline::in(50ms));
    ASSERT_TRUE(comes("late"));
    EXPECT_EQ(code("late"), Code::overloaded) << "no statement was sent: the effect is known";
    EXPECT_NE(
        results_.at("late").error().what().find("DATABASE_MAX_OPEN_CONNS"), std::string::npos
    );
    EXPECT_EQ(pool.stats().waiting, 0U);
    held.reset();
    EXPECT_GT(pid(*acquire(pool)), 0);
}

TEST_F(PoolPgTest, ACancelledWaiterPassesItsTurnOn) {
    auto pool = make(1);
    std::optional<Pool::Lease> held = acquire(pool);
    ask(pool, "cancelled");
    ask(pool, "next");
    stop_["cancelled"].emit(asio::cancellation_type::all);
    ASSERT_TRUE(comes("cancelled"));
    EXPECT_EQ(code("cancelled"), Code::cancelled);
    held.reset();
    ASSERT_TRUE(comes("next"));
    EXPECT_TRUE(results_.at("next"));
    results_.clear();
}

TEST_F(PoolPgTest, ATurnThatArrivesWithTheCancellationIsNotLost) {
    auto pool = make(1);
    std::optional<Pool::Lease> held = acquire(pool);
    ask(pool, "cancelled");
    held.reset();  // its turn has come, but it has not run yet
    stop_["cancelled"].emit(asio::cancellation_type::all);
    ASSERT_TRUE(comes("cancelled"));
    results_.clear();
    EXPECT_GT(pid(*acquire(pool)), 0);
    EXPECT_EQ(pool.stats().in_use, 0U);
}

TEST_F(PoolPgTest, ASessionThatTheServerEndedIsNotHandedOut) {
    auto pool = make(1);
    const auto ended = pid(*acquire(pool));
    const auto killer = database_.connect(io_);
    must(wait(killer->run(kEnd, Params::of(ended), soon())));
    static constexpr Statement kGone{
        "gone", "SELECT count(*) FROM pg_stat_activity WHERE pid = $1::integer"
    };
    const auto give_up_at = soon();
    while (must(wait(killer->run(kGone, Params::of(ended), soon()))).integer(0, 0) > 0)
        ASSERT_FALSE(give_up_at.passed());
    EXPECT_NE(pid(*acquire(pool)), ended);
    EXPECT_EQ(pool.stats().open, 1U);
}

TEST_F(PoolPgTest, ASessionThatComesBackInATransactionOrClosedIsThrownAway) {
    auto pool = make(1);
    std::int64_t before = 0;
    {
        auto lease = acquire(pool);
        before = pid(*lease);
        must(wait(lease->run_script("BEGIN", soon())));
    }
    EXPECT_EQ(pool.stats().open, 0U);
    {
        auto lease = acquire(pool);
        EXPECT_NE(pid(*lease), before);
        EXPECT_FALSE(lease->in_transaction());
        (void)wait(lease->run_script("SELECT pg_sleep(60)", Deadline::in(20ms)));
        EXPECT_FALSE(lease->is_open());
    }
    EXPECT_EQ(pool.stats().open, 0U);
    EXPECT_GT(pid(*acquire(pool)), 0);
}

TEST_F(PoolPgTest, AFailedOpeningGivesItsPlaceBack) {
    Pool pool(
        io_.get_executor(), database_.conninfo() + " dbname=nowhere", {}, Pool::Limits{2, 10}
    );
    for (int i = 0; i < 5; ++i) {
        const auto refused = try_acquire(pool);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().origin(), "3D000") << "the reason, not a full pool";
    }
    EXPECT_EQ(pool.stats().open, 0U);
    EXPECT_EQ(pool.stats().in_use, 0U);
}

TEST_F(PoolPgTest, ARotatedPasswordCountsFromTheNextSessionOn) {
    const auto right = database_.conninfo();
    std::optional<std::string> now = right;
    const ConnInfo::Source source = [&now]() -> Result<std::string> {
        if (!now) return fail(Code::unavailable, "the file is being replaced");
        return *now;
    };
    Pool pool(io_.get_executor(), source, {}, Pool::Limits{2, 10});
    {
        const auto first = acquire(pool);
        now = right + " password=rotated";
        const auto refused = try_acquire(pool);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().origin(), "28P01");
        now.reset();
        const auto missing = try_acquire(pool);
        ASSERT_FALSE(missing);
        EXPECT_TRUE(missing.error().retryable());
        EXPECT_EQ(missing.error().what(), "the file is being replaced");
        now = right;
        EXPECT_NE(pid(*acquire(pool)), pid(*first));
    }
}

TEST_F(PoolPgTest, ASessionThatIsBeingOpenedIsNeitherOpenNorInUse) {
    asio::ip::tcp::acceptor mute(io_, {asio::ip::address_v4::loopback(), 0});
    const auto port = std::to_string(mute.local_endpoint().port());
    Pool pool(
        io_.get_executor(), "host=127.0.0.1 user=u dbname=d port=" + port, {}, Pool::Limits{1, 10}
    );
    ask(pool, "opening", Deadline::in(200ms));
    ask(pool, "waiting", Deadline::in(100ms));
    EXPECT_EQ(pool.stats().connecting, 1U);
    EXPECT_EQ(pool.stats().waiting, 1U);
    EXPECT_EQ(pool.stats().open, 0U);
    EXPECT_EQ(pool.stats().in_use, 0U);
    ASSERT_TRUE(comes("opening"));
    EXPECT_EQ(code("opening"), Code::unavailable) << "no statement was sent";
    EXPECT_EQ(code("waiting"), Code::overloaded);
    EXPECT_EQ(pool.stats().connecting, 0U);
    EXPECT_EQ(pool.stats().waiting, 0U);
}

TEST_F(PoolPgTest, AClosedPoolKeepsNoSessionAndGivesNone) {
    auto pool = make(2);
    std::optional<Pool::Lease> one = acquire(pool);
    std::optional<Pool::Lease> two = acquire(pool);
    ask(pool, "waiter");
    two.reset();
    ASSERT_TRUE(comes("waiter"));
    results_.clear();
    EXPECT_EQ(pool.stats().open, 2U);
    pool.close();
    EXPECT_EQ(pool.stats().open, 1U);
    const auto refused = try_acquire(pool);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::unavailable);
    one.reset();
    EXPECT_EQ(pool.stats().open, 0U);
}

TEST_F(PoolPgTest, WhoWaitsWhileThePoolClosesGetsNoSession) {
    auto pool = make(1);
    std::optional<Pool::Lease> held = acquire(pool);
    ask(pool, "a");
    ask(pool, "b");
    pool.close();
    held.reset();
    for (const char* name : {"a", "b"}) {
        ASSERT_TRUE(comes(name));
        ASSERT_FALSE(results_.at(name));
        EXPECT_EQ(code(name), Code::unavailable);
    }
}

// Aim: whatever the callers do, no more sessions than allowed and no place lost. Method: callers
// with short deadlines that hold, break and abandon sessions at random.
TEST_F(PoolPgTest, AStormOfCallersKeepsTheLimitAndLosesNoPlace) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    auto pool = make(4, 20);
    constexpr int kServedMin = 50;  // fewer prove nothing
    int left = 30;
    int served = 0;
    const auto give_up_at = soon();
    const auto caller = [&]() -> asio::awaitable<void> {
        for (int i = 0; i < 20 || (served < kServedMin && !give_up_at.passed()); ++i) {
            // On a busy machine a session may take longer to open than the storm's callers wait.
            const std::chrono::milliseconds patience(random() % (i < 20 ? 200 : 10'000));
            auto lease = co_await pool.acquire(Deadline::in(patience));
            EXPECT_LE(pool.stats().in_use, 4U);
            EXPECT_LE(pool.stats().in_use, pool.stats().open);
            EXPECT_LE(pool.stats().open + pool.stats().connecting, 4U);
            if (!lease) {
                // One that finds the queue full is refused at once.
                co_await asio::post(io_, asio::use_awaitable);
                continue;
            }
            ++served;
            switch (random() % 8) {
                case 0:
                    (void)co_await (*lease)->run(kPid, {}, soon());
                    break;
                case 1:
                    (void)co_await (*lease)->run_script("BEGIN", soon());
                    break;
                case 2:
                    (void)co_await (*lease)->run_script("SELECT pg_sleep(60)", Deadline::in(1ms));
                    break;
                default:
                    break;
            }
        }
        --left;
    };
    for (int i = 0; i < 30; ++i) {
        tests::start(io_, caller(), [](const std::exception_ptr& error) {
            if (error) std::rethrow_exception(error);
        });
    }
    io_.restart();
    while (left > 0 && !give_up_at.passed()) io_.run_one_for(1s);
    ASSERT_EQ(left, 0);
    EXPECT_GE(served, kServedMin);
    EXPECT_EQ(pool.stats().in_use, 0U);
    EXPECT_EQ(pool.stats().waiting, 0U);
    EXPECT_EQ(pool.stats().connecting, 0U);
    std::vector<Pool::Lease> all;
    for (int i = 0; i < 4; ++i) all.push_back(acquire(pool));
    EXPECT_EQ(pool.stats().in_use, 4U);
}

}  // namespace
}  // namespace txstream::pg
