#include "relay/worker.hpp"

#include "telemetry/log.hpp"
#include "tests/support/stormy_world.hpp"

#include <boost/asio/io_context.hpp>

#include <cstdlib>

// Two whole workers in tests/support/stormy_world.hpp, driven by a seed.
namespace txstream::relay {
namespace {

using namespace tests;

class Storm {
public:
    explicit Storm(unsigned seed)
        : world_(seed),
          breaker_(
              {.failure_threshold = 5, .success_threshold = 3, .reset_timeout = 40ms}, nullptr
          ),
          writers_(loop_.get_executor()),
          workers_(loop_.get_executor()) {
        for (const char* owner : {"a", "b"}) start_worker(owner);
        for (int i = 0; i < 4; ++i) writers_.spawn(write());
        writers_.spawn(trouble());
    }

    void run() {
        until([&] { return writers_.size() == 0; }, 20s, "the writers end");
        world_.chaos = 0;
        until([&] { return is_done(); }, 20s, "all events are published or parked");
        for (auto& worker : list_) worker->stop(Deadline::in(5s));
        until([&] { return workers_.size() == 0; }, 10s, "the workers end");
        for (const auto& lane : world_.lanes) EXPECT_EQ(lane.owner, "") << "given back";
        EXPECT_GT(world_.publishers, 2) << "nothing went wrong: the storm was none";
        for (const auto id : world_.refused) EXPECT_TRUE(world_.parked.contains(id)) << id;
        for (const auto& [key, id] : world_.last)
            EXPECT_EQ(id, world_.newest_stored(key)) << "the last record of a key is an old one";
        for (const auto id : world_.parked) {
            const auto key = world_.events.at(id).key;
            EXPECT_TRUE(world_.held.contains(key)) << id;
            EXPECT_TRUE(std::ranges::any_of(
                world_.refused,
                [&](const auto guilty) {
                    return guilty <= id && world_.events.at(guilty).key == key;
                }
            )) << id
               << " was parked for its neighbour's sake";
        }
    }
    const World& world() const { return world_; }

private:
    void start_worker(std::string owner) {
        Ports ports;
        ports.source = [this](auto) { return std::make_unique<Source>(world_); };
        ports.keeper = [this](auto, std::string name) {
            return std::make_unique<Lanes>(world_, std::move(name));
        };
        ports.publisher =
            [this](auto executor, PublisherEvents events) -> Result<std::unique_ptr<Publisher>> {
            return std::make_unique<Kafka>(executor, world_, std::move(events));
        };
        WorkerOptions options;
        options.topic = "t";
        options.gate = {
            {.exponential = true, .base_delay = 2ms, .max_delay = 20ms, .multiplier = 2.0},
            150ms,
            80ms
        };
        options.delivery.refused_retry_delay = 3ms;
        options.delivery.reports_grace = 10ms;
        options.delivery.topic_retry_delay = 80ms;
        options.delivery.lane.attempts_max = 2;
        options.limits.lanes_max = 4;
        options.limits.lease = kLease;
        options.limits.page.rows = 5;
        options.limits.poll_min = 1ms;
        options.limits.poll_max = 4ms;
        options.limits.acknowledge_interval = 2ms;
        options.limits.claim_interval = 10ms;
        options.limits.statement_timeout = 100ms;
        list_.push_back(std::make_unique<Worker>(
            loop_.get_executor(),
            std::move(owner),
            ports,
            breaker_,
            blockages_,
            metrics_,
            options,
            load_,
            [](auto) {}
        ));
        workers_.spawn(list_.back()->run());
    }

    Task<> wait(std::int64_t microseconds) {
        asio::steady_timer timer(loop_, std::chrono::microseconds(microseconds));
        co_await timer.async_wait(asio::use_awaitable);
    }

    // Transactions that take their time, overlap, and roll back; no two hold the same key.
    Task<> write() {
        for (int i = 0; i < 100; ++i) {
            const auto xid = world_.begin_transaction();
            const auto crashes = world_.crashes;
            const auto lock_number = ++locks_;
            std::map<std::int64_t, std::int64_t> mine;
            for (auto n = 1 + world_.roll(4); n > 0; --n) {
                const auto key = world_.roll(kKeys);
                if (const auto [at, is_free] = locked_.try_emplace(key, lock_number);
                    !is_free && at->second != lock_number)
                    continue;
                mine[world_.next_id++] = key;
                co_await wait(world_.roll(1200));
            }
            while (is_quiet_) co_await wait(500);
            if (crashes == world_.crashes) {
                if (world_.roll(5) > 0) world_.commit(xid, mine);
                world_.running.erase(xid);
            }
            std::erase_if(locked_, [&](const auto& lock) { return lock.second == lock_number; });
            co_await wait(world_.roll(4000));
        }
    }

    Task<> trouble() {
        for (int i = 0; i < 2; ++i) {
            co_await wait(20'000 + world_.roll(100'000));
            world_.database_back = Clock::now() + std::chrono::milliseconds(world_.roll(300));
            co_await wait(world_.roll(100'000));
            // Ids that nobody writes: the workers' snapshots know them, the log does not.
            is_quiet_ = true;
            world_.next_xid += 50;
            co_await wait(12'000);
            world_.crash();
            is_quiet_ = false;
            world_.database_back = Clock::now() + std::chrono::milliseconds(world_.roll(100));
            co_await wait(world_.roll(100'000));
            world_.broker_back = Clock::now() + std::chrono::milliseconds(world_.roll(250));
        }
    }

    // What lies behind a parked event of its key is parked in the end, even if nothing tells of it.
    bool is_done() const {
        return std::ranges::all_of(world_.events, [&](const auto& entry) {
            return world_.is_over(entry.first);
        });
    }

    template <class Condition>
    void until(Condition condition, std::chrono::seconds limit, const char* what) {
        const auto end = Clock::now() + limit;
        while (!condition() && Clock::now() < end) loop_.run_one_for(50ms);
        ASSERT_TRUE(condition()) << what;
    }

    asio::io_context loop_;
    World world_;
    telemetry::Registry registry_;
    Metrics metrics_{registry_};
    Load load_;
    SharedBreaker breaker_;
    Blockages blockages_{nullptr};
    std::map<std::int64_t, std::int64_t> locked_;  ///< key, whose transaction
    std::int64_t locks_ = 0;
    bool is_quiet_ = false;
    std::vector<std::unique_ptr<Worker>> list_;
    runtime::TaskGroup writers_;
    runtime::TaskGroup workers_;
};

TEST(WorkerTest, NoStormLosesAnEventPassesOneOverOrTurnsTheOrderOfAKey) {
    log::Options quiet;
    quiet.level = log::Level::fatal;
    ASSERT_TRUE(log::setup(quiet));
    const char* given = std::getenv("TXS_TEST_SEED");
    const auto first = given ? static_cast<unsigned>(std::atoi(given)) : std::random_device{}();
    const char* count = std::getenv("TXS_TEST_STORMS");
    int events = 0, again = 0, marked = 0, parked = 0, publishers = 0;
    const unsigned storms = count ? static_cast<unsigned>(std::atoi(count)) : 2;
    for (unsigned i = 0; i < storms && !HasFailure(); ++i) {
        SCOPED_TRACE(testing::Message() << "TXS_TEST_SEED=" << first + i);
        Storm storm(first + i);
        storm.run();
        events += static_cast<int>(storm.world().events.size());
        parked += static_cast<int>(storm.world().parked.size());
        again += storm.world().again;
        marked += storm.world().marked;
        publishers += storm.world().publishers;
    }
    std::printf(
        "%u storms: %d events, %d parked, %d published again, %d marked, %d producers\n",
        storms,
        events,
        parked,
        again,
        marked,
        publishers
    );
    EXPECT_GT(marked, 0) << "what is sent again says so";
}

}  // namespace
}  // namespace txstream::relay
