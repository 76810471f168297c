#include "outbox/backlog.hpp"
#include "outbox/lane_store.hpp"
#include "outbox/reader.hpp"
#include "tests/support/outbox_database.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <random>
#include <set>

namespace txstream::outbox {
namespace {

using namespace std::chrono_literals;
using tests::must;
using tests::soon;

/// A session with an event loop of its own, for a thread of its own.
struct Actor {
    Actor(const tests::TestDatabase& database, const std::string& settings = {})
        : session(database.connect(io, settings)) {}
    template <class T>
    T wait(asio::awaitable<T> task) {
        return tests::run_until_done(io, [&] { return std::move(task); });
    }
    void script(const std::string& sql) { must(wait(session->run_script(sql, soon()))); }

    asio::io_context io;
    std::unique_ptr<pg::Connection> session;
};

/// Publishes as a relay does: windows, pages in parts, parked events; one owner of all lanes.
class Relay : public Actor {
public:
    Relay(const tests::TestDatabase& database, std::uint32_t seed, std::size_t limit)
        : Actor(database, kReaderSettings), random_(seed), limit_(limit) {
        lanes_ = must(wait(store_.claim(*session, {}, 32, 600s, soon())));
    }
    /// One window; false when it was empty.
    bool step() {
        const auto target = must(wait(current_snapshot(*session, soon())));
        // Each lane has come equally far, as the first window begins where the table did.
        std::vector<LaneId> all;
        for (const auto& lane : lanes_) all.push_back(lane.lane);
        const auto cursor = lanes_.front().cursor;
        const auto events = must(
            wait(read_window(*session, all, cursor, target, tests::rows_at_most(limit_), soon()))
        );
        std::map<LaneId, std::vector<EventSeq>> ids;
        if (events.size() == limit_) {
            const auto first = must(wait(first_id(*session, cursor, target, {.rows = 3})));
            ids = pages(all, cursor, target, *first);
        } else {
            for (std::size_t i = 0; i < events.size(); ++i)
                ids[events.lane(i)].push_back(events.id(i));
        }
        for (auto& lane : lanes_) {
            finish(lane, target, ids[lane.lane]);
            lane.cursor = target;
        }
        return !events.empty();
    }
    const std::vector<EventSeq>& read() const { return read_; }
    std::size_t paged() const { return paged_; }
    std::size_t parked() const { return parked_; }

private:
    std::map<LaneId, std::vector<EventSeq>> pages(
        const std::vector<LaneId>& lanes,
        const Snapshot& cursor,
        const Snapshot& target,
        EventSeq first
    ) {
        std::map<LaneId, std::vector<EventSeq>> ids;
        PageQuery query{
            .lanes = lanes,
            .cursor = cursor,
            .target = target,
            .after = first.before(),
            .up_to = must(wait(highest_id(*session, soon()))),
            .limit = tests::rows_at_most(7)
        };
        while (true) {
            must(send_page(*session, query));
            const auto page = must(wait(receive_page(*session, soon())));
            for (std::size_t i = 0; i < page.size(); ++i) ids[page.lane(i)].push_back(page.id(i));
            ++paged_;
            if (page.size() < 7) return ids;
            query.after = page.id(page.size() - 1);
        }
    }
    void finish(const ClaimedLane& lane, const Snapshot& target, const std::vector<EventSeq>& ids) {
        EXPECT_TRUE(std::ranges::is_sorted(ids));
        read_.insert(read_.end(), ids.begin(), ids.end());
        Publication publication;
        publication.lanes = {lane.lane};
        publication.cursor = lane.cursor;
        publication.target = target;
        auto left = static_cast<std::int64_t>(ids.size());
        if (ids.size() > 1 && random_() % 2 == 0) {
            const auto part = 1 + random_() % (ids.size() - 1);
            const auto count = static_cast<std::int64_t>(part);
            const LaneProgress some{
                lane.lane, lane.epoch, lane.cursor, target, ids[part - 1], count
            };
            EXPECT_EQ(
                must(wait(store_.advance(*session, {some}, {publication}, soon()))).size(), 1U
            );
            left -= count;
        }
        LaneProgress whole{lane.lane, lane.epoch, target, std::nullopt, EventSeq(0), left};
        if (left > 0 && random_() % 4 == 0) {
            --whole.published;
            ++parked_;
            const ParkedEvent bad{ids.back(), 3, "X", "too large"};
            EXPECT_TRUE(must(
                wait(store_.park(*session, whole, {bad}, publication, LetterForm::whole, soon()))
            ));
        } else {
            EXPECT_EQ(
                must(wait(store_.advance(*session, {whole}, {publication}, soon()))).size(), 1U
            );
        }
    }

    std::mt19937 random_;
    std::size_t limit_;
    LaneStore store_{"relay"};
    std::vector<ClaimedLane> lanes_;
    std::vector<EventSeq> read_;
    std::size_t paged_ = 0;
    std::size_t parked_ = 0;
};

/// What applications do: small and large transactions, savepoints, rollbacks, and some that stay
/// open while many others come and go.
void write(const tests::TestDatabase& database, std::uint32_t seed, int transactions) {
    std::mt19937 random(seed);
    Actor actor(database, "SET synchronous_commit = off");
    Actor slow(database);
    const auto publish = [&](unsigned events) {
        return "SELECT txstream.publish('T', 'key-' || " + std::to_string(random() % 40) +
               ", 'E', '{}') FROM generate_series(1, " + std::to_string(events) + ");";
    };
    bool is_slow_open = false;
    for (int i = 0; i < transactions; ++i) {
        if (random() % 8 == 0) {
            const std::string end = random() % 4 == 0 ? "ROLLBACK" : "COMMIT";
            slow.script(is_slow_open ? end : "BEGIN;" + publish(2));
            is_slow_open = !is_slow_open;
        }
        auto sql = "BEGIN;" + publish(1 + random() % 5);
        if (random() % 3 == 0) sql += "SAVEPOINT s;" + publish(1) + "ROLLBACK TO s;";
        if (random() % 3 == 0) sql += "SAVEPOINT t;" + publish(1) + "RELEASE t;";
        actor.script(sql + (random() % 5 == 0 ? "ROLLBACK" : "COMMIT"));
    }
    if (is_slow_open) slow.script("COMMIT");
}

class OutboxStormPgTest : public tests::OutboxTest {
protected:
    OutboxStormPgTest() : seed_(seed()) {
        // The seed repeats what each actor does, not how the server's scheduler weaves them.
        std::printf("TXS_TEST_SEED=%u\n", seed_);
    }
    /// Calls `each` until all writers have ended.
    template <class Function>
    void while_writers_write(int writers, int transactions, Function each) {
        std::vector<std::future<void>> all;
        for (int i = 0; i < writers; ++i) {
            all.push_back(std::async(std::launch::async, [&, i] {
                write(database_, seed_ + static_cast<std::uint32_t>(i), transactions);
            }));
        }
        for (auto& writer : all)
            while (writer.wait_for(0s) != std::future_status::ready) each();
        for (auto& writer : all) writer.get();
    }

    std::uint32_t seed_;

private:
    static std::uint32_t seed() {
        const char* given = std::getenv("TXS_TEST_SEED");
        return given ? static_cast<std::uint32_t>(std::stoul(given)) : std::random_device{}();
    }
};

TEST_F(OutboxStormPgTest, EachCommittedEventIsReadOnceAndEachWindowInOrder) {
    Relay relay(database_, seed_, 40);
    while_writers_write(8, 40, [&] { relay.step(); });
    while (relay.step()) {
    }
    const auto committed = rows("SELECT id::text FROM txstream.outbox o ORDER BY o.id");
    std::vector<std::string> read;
    for (const auto id : relay.read()) read.push_back(std::to_string(id.id()));
    EXPECT_EQ(std::set<std::string>(read.begin(), read.end()).size(), read.size()) << "none twice";
    std::ranges::sort(read, {}, [](const auto& id) { return std::stoll(id); });
    EXPECT_EQ(read, committed);
    EXPECT_GT(committed.size(), 400U) << "the storm proved nothing";
    EXPECT_GT(relay.paged(), 0U) << "no window reached the limit";
    EXPECT_EQ(
        one("SELECT sum(published + parked)::text FROM txstream.lane_positions"),
        std::to_string(committed.size())
    );
    EXPECT_EQ(
        one("SELECT count(*)::text FROM txstream.dead_letters"), std::to_string(relay.parked())
    );
    EXPECT_EQ(one("SELECT count(*)::text FROM txstream.events WHERE status = 'pending'"), "0");
}

TEST_F(OutboxStormPgTest, TheBacklogIsExactAtEveryMomentWhoeverWritesAndPublishes) {
    std::atomic<bool> is_over = false;
    auto relay = std::async(std::launch::async, [&] {
        Relay relay(database_, seed_, 1000);
        while (!is_over) relay.step();
    });
    BacklogMeter meter;
    int measured = 0;
    std::uint64_t most = 0;
    // In one transaction the meter and the count see the same.
    const auto compare = [&] {
        script(*superuser_, "BEGIN ISOLATION LEVEL REPEATABLE READ");
        const auto backlog = must(wait(meter.measure(*superuser_, soon())));
        EXPECT_EQ(
            std::to_string(backlog.pending),
            one("SELECT count(*)::text FROM txstream.events WHERE status = 'pending'")
        );
        EXPECT_EQ(
            std::to_string(backlog.parked), one("SELECT count(*)::text FROM txstream.dead_letters")
        );
        script(*superuser_, "COMMIT");
        ++measured;
        most = std::max(most, backlog.pending);
    };
    while_writers_write(6, 40, compare);
    is_over = true;
    relay.get();
    compare();
    EXPECT_GT(measured, 10) << "the storm proved nothing";
    EXPECT_GT(most, 0U);
}

}  // namespace
}  // namespace txstream::outbox
