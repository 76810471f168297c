#pragma once

#include "base/assert.hpp"
#include "relay/ports.hpp"
#include "tests/support/fake_rows.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <set>

/// An outbox and a Kafka in memory that fail in every way the real ones can, for whole workers on
/// one event loop. Real time, in milliseconds.
namespace txstream::tests {

using namespace std::chrono_literals;
using namespace relay;
using Clock = Deadline::Clock;

inline constexpr std::int64_t kLanes = 6;
inline constexpr std::int64_t kKeys = 24;
inline constexpr std::chrono::milliseconds kLease = 500ms;

/// The outbox, the table of lanes, and what Kafka has stored.
struct World {
    struct Event {
        std::int64_t xid;
        std::int64_t key;
    };
    struct Lane {
        std::string owner;
        Clock::time_point lease_until{};
        std::int64_t epoch = 0;
        outbox::Snapshot cursor = outbox::Snapshot::parse("1:1:").value();
        std::optional<outbox::Snapshot> target;
        EventSeq last_id;
    };

    explicit World(unsigned seed) : random(seed) {}

    std::int64_t roll(std::int64_t below) {
        return std::uniform_int_distribution<std::int64_t>(0, below - 1)(random);
    }
    bool chance(double probability) {
        return std::uniform_real_distribution<double>(0, 1)(random) < probability * chaos;
    }

    static std::int64_t lane_of(std::int64_t key) { return key % kLanes; }
    bool is_over(std::int64_t id) const { return stored.contains(id) || parked.contains(id); }

    outbox::Snapshot snapshot() const {
        const auto xmin = running.empty() ? next_xid : *running.begin();
        std::string text = std::to_string(xmin) + ':' + std::to_string(next_xid) + ':';
        for (const auto xid : running) text += std::to_string(xid) + ',';
        if (text.back() == ',') text.pop_back();
        return outbox::Snapshot::parse(text).value();
    }

    template <class Condition>
    std::vector<FakeEvent> select(Condition condition) const {
        std::vector<FakeEvent> found;
        for (std::int64_t lane = 0; lane < kLanes; ++lane) {
            for (const auto& [id, event] : events) {
                if (lane_of(event.key) != lane || !condition(id, event)) continue;
                found.push_back(
                    {.id = id,
                     .lane = static_cast<std::int16_t>(lane),
                     .aggregate_id = std::to_string(event.key)}
                );
            }
        }
        return found;
    }

    std::int64_t begin_transaction() {
        running.insert(next_xid);
        return next_xid++;
    }
    /// Only what is written is in the log, and only what is flushed survives.
    void write(std::int64_t xid) { written_xid = std::max(written_xid, xid); }
    void flush() {
        disk.lanes = lanes;
        disk.next_xid = std::max(disk.next_xid, written_xid + 1);
    }
    void write_lanes(bool is_durable) {
        write(next_xid++);
        if (is_durable) flush();
    }
    void commit(std::int64_t xid, const std::map<std::int64_t, std::int64_t>& keys) {
        for (const auto& [id, key] : keys) {
            events[id] = {xid, key};
            if (roll(200) == 0) refused.insert(id);
            if (roll(100) == 0) homeless.insert(id);
            EXPECT_FALSE(lanes[static_cast<std::size_t>(lane_of(key))].cursor.sees(xid))
                << "event " << id << " has an id that its lane's cursor knows";
        }
        write(xid);
        flush();
    }
    /// Ids of transactions that were given, and not written, are given again.
    void crash() {
        ++crashes;
        running.clear();
        lanes = disk.lanes;
        next_xid = written_xid = disk.next_xid;
    }

    /// The one thing that must never be: a cursor behind which lies an event that Kafka has not.
    void move(const outbox::LaneProgress& to) {
        auto& lane = lanes[static_cast<std::size_t>(to.lane.value())];
        for (const auto& [id, event] : events) {
            if (lane_of(event.key) != to.lane.value() || is_over(id)) continue;
            EXPECT_FALSE(to.cursor.sees(event.xid)) << "event " << id << " is passed over";
            EXPECT_FALSE(to.target && to.target->sees(event.xid) && EventSeq(id, 3) <= to.last_id)
                << "event " << id << " is passed over in a page";
        }
        lane.cursor = to.cursor;
        lane.target = to.target;
        lane.last_id = to.last_id;
    }

    void store(std::int64_t id) {
        const auto key = events.at(id).key;
        EXPECT_FALSE(held.contains(key)) << id << " passes a parked event of its key";
        if (stored.insert(id).second) {
            for (const auto& [other, event] : events) {
                if (other >= id) break;
                EXPECT_TRUE(event.key != key || is_over(other)) << id << " passes " << other;
            }
        } else {
            ++again;
        }
        last[key] = id;
    }

    /// `attempt`: as the record says; 0: it does not.
    void handed_over(std::int64_t id, int attempt) {
        EXPECT_LE(attempt - 1, tries[id])
            << "event " << id << " was not handed over so often before";
        ++tries[id];
        if (attempt >= 2) ++marked;
    }

    std::int64_t newest_stored(std::int64_t key) const {
        const auto newest = std::find_if(stored.rbegin(), stored.rend(), [&](std::int64_t id) {
            return events.at(id).key == key;
        });
        return newest == stored.rend() ? 0 : *newest;
    }

    std::mt19937 random;
    double chaos = 1;
    Clock::time_point database_back{};
    Clock::time_point broker_back{};
    std::map<std::int64_t, Event> events;  ///< committed
    std::set<std::int64_t> running;        ///< transactions
    std::int64_t next_xid = 10;
    std::int64_t written_xid = 9;
    std::int64_t next_id = 1;
    std::vector<Lane> lanes{kLanes};
    struct {
        std::vector<Lane> lanes{kLanes};
        std::int64_t next_xid = 10;
    } disk;
    int crashes = 0;
    std::set<std::int64_t> refused;   ///< by the broker, each time, with the batch they are in
    std::set<std::int64_t> homeless;  ///< their topic does not exist before topic_made
    Clock::time_point topic_made = Clock::now() + 700ms;
    std::set<std::int64_t> stored;
    std::map<std::int64_t, std::int64_t> last;  ///< stored of each key
    std::set<std::int64_t> parked;
    std::set<std::int64_t> held;  ///< keys
    int again = 0;
    std::map<std::int64_t, int> tries;  ///< to hand an event to Kafka
    int marked = 0;                     ///< records that said so
    int publishers = 0;
};

/// What both sessions share: time passes, and the connection may be gone.
class Session {
public:
    explicit Session(World& world) : world_(world) {}

protected:
    Task<Result<>> statement(Deadline deadline) {
        asio::steady_timer timer(co_await asio::this_coro::executor);
        auto until = Clock::now() + std::chrono::microseconds(world_.roll(800));
        until = std::max(until, world_.database_back);
        if (world_.chance(0.01)) until += std::chrono::milliseconds(world_.roll(400));
        timer.expires_at(std::min(until, deadline.at()));
        co_await timer.async_wait(asio::use_awaitable);
        if (until > deadline.at()) co_return lost(Code::timed_out);
        if (is_open_ && crashes_ != world_.crashes) co_return lost(Code::unavailable);
        if (world_.chance(0.003)) co_return lost(Code::unavailable);
        co_return Result<>();
    }
    /// It was done, and the answer got lost.
    bool answer_is_lost() { return world_.chance(0.01); }
    tl::unexpected<Error> lost(Code code) {
        is_open_ = false;
        return fail(code, "the connection is gone");
    }

    void opened() {
        is_open_ = true;
        crashes_ = world_.crashes;
    }

    World& world_;
    bool is_open_ = false;
    int crashes_ = 0;
};

class Source final : public EventSource, Session {
public:
    using Session::Session;

    Task<Result<>> open(Deadline deadline) override {
        TXS_CO_CHECK(co_await statement(deadline));
        opened();
        co_return Result<>();
    }
    bool is_open() const override { return is_open_; }

    Task<Result<outbox::Snapshot>> current_snapshot(Deadline deadline) override {
        TXS_CO_CHECK(co_await statement(deadline));
        co_return world_.snapshot();
    }

    Task<Result<outbox::Events>> read_window(
        std::vector<LaneId> lanes,
        outbox::Snapshot cursor,
        outbox::Snapshot target,
        outbox::PageLimit limit,
        Deadline deadline
    ) override {
        TXS_CO_CHECK(co_await statement(deadline));
        auto found = window(lanes, cursor, target);
        if (found.size() > limit.rows) found.resize(limit.rows);
        co_return fake_events(found);
    }

    Task<Result<std::map<LaneId, EventSeq>>> first_ids(
        std::vector<LaneId> lanes,
        outbox::Snapshot cursor,
        outbox::Snapshot target,
        std::chrono::milliseconds timeout
    ) override {
        TXS_CO_CHECK(co_await statement(Deadline::in(timeout)));
        std::map<LaneId, EventSeq> first;
        for (const auto& event : window(lanes, cursor, target))
            first.try_emplace(LaneId(event.lane), EventSeq(event.id, event.xid));
        co_return first;
    }

    Result<> send_page(
        LaneId lane,
        const outbox::Snapshot& cursor,
        const outbox::Snapshot& target,
        EventSeq after,
        outbox::PageLimit limit
    ) override {
        page_ = window({lane}, cursor, target);
        std::erase_if(page_, [&](const auto& event) {
            return EventSeq(event.id, event.xid) <= after;
        });
        if (page_.size() > limit.rows) page_.resize(limit.rows);
        return {};
    }
    Task<Result<outbox::Events>> receive_page(Deadline deadline) override {
        TXS_CO_CHECK(co_await statement(deadline));
        co_return fake_events(page_);
    }

private:
    std::vector<FakeEvent> window(
        const std::vector<LaneId>& lanes,
        const outbox::Snapshot& cursor,
        const outbox::Snapshot& target
    ) const {
        return world_.select([&](std::int64_t, const World::Event& event) {
            return std::ranges::find(
                       lanes, LaneId(static_cast<std::int16_t>(World::lane_of(event.key)))
                   ) != lanes.end() &&
                   target.sees(event.xid) && !cursor.sees(event.xid);
        });
    }

    std::vector<FakeEvent> page_;
};

class Lanes final : public LaneKeeper, Session {
public:
    Lanes(World& world, std::string owner) : Session(world), owner_(std::move(owner)) {}

    Task<Result<>> open(Deadline deadline) override {
        TXS_CO_CHECK(co_await statement(deadline));
        opened();
        co_return Result<>();
    }
    bool is_open() const override { return is_open_; }

    Task<Result<std::vector<outbox::ClaimedLane>>> claim(
        std::vector<LaneId> owned,
        std::size_t limit,
        std::chrono::milliseconds lease,
        Deadline deadline
    ) override {
        TXS_CO_CHECK(co_await statement(deadline));
        std::vector<outbox::ClaimedLane> claimed;
        for (std::size_t i = 0; i < world_.lanes.size() && claimed.size() < limit; ++i) {
            auto& lane = world_.lanes[i];
            const bool is_unknown =
                lane.owner == owner_ &&
                std::ranges::find(owned, LaneId(static_cast<std::int16_t>(i))) == owned.end();
            if (!lane.owner.empty() && lane.lease_until > Clock::now() && !is_unknown) continue;
            lane.owner = owner_;
            lane.lease_until = Clock::now() + lease;
            ++lane.epoch;
            outbox::ClaimedLane one{
                LaneId(static_cast<std::int16_t>(i)),
                Epoch(lane.epoch),
                lane.cursor,
                lane.target,
                lane.last_id,
                {}
            };
            for (const auto key : world_.held) {
                if (World::lane_of(key) == static_cast<std::int64_t>(i))
                    one.held_keys.push_back(std::to_string(key));
            }
            claimed.push_back(std::move(one));
        }
        if (!claimed.empty()) world_.write_lanes(true);
        if (answer_is_lost()) co_return lost(Code::unavailable);
        co_return claimed;
    }

    Task<Result<std::vector<LaneId>>> renew(
        std::vector<LaneId> lanes, std::chrono::milliseconds lease, Deadline deadline
    ) override {
        TXS_CO_CHECK(co_await statement(deadline));
        std::erase_if(lanes, [&](LaneId id) {
            auto& lane = world_.lanes[static_cast<std::size_t>(id.value())];
            if (lane.owner != owner_ || lane.lease_until < Clock::now()) return true;
            lane.lease_until = Clock::now() + lease;
            return false;
        });
        world_.write_lanes(true);
        co_return lanes;
    }

    Task<Result<std::vector<LaneId>>> advance(
        std::vector<outbox::LaneProgress> lanes, std::vector<outbox::Publication>, Deadline deadline
    ) override {
        TXS_CO_CHECK(co_await statement(deadline));
        std::vector<LaneId> moved;
        for (const auto& one : lanes) {
            if (!is_ours(one)) continue;
            world_.move(one);
            moved.push_back(one.lane);
        }
        world_.write_lanes(false);
        if (answer_is_lost()) co_return lost(Code::unavailable);
        co_return moved;
    }

    Task<Result<bool>> park(
        outbox::LaneProgress lane,
        std::vector<outbox::ParkedEvent> parked,
        outbox::Publication,
        outbox::DeadLetter,
        Deadline deadline
    ) override {
        TXS_CO_CHECK(co_await statement(deadline));
        if (!is_ours(lane)) co_return false;
        for (const auto& event : parked) {
            world_.parked.insert(event.id.id());
            world_.held.insert(world_.events.at(event.id.id()).key);
        }
        world_.move(lane);
        world_.write_lanes(true);
        if (answer_is_lost()) co_return lost(Code::unavailable);
        co_return true;
    }

    Task<Result<>> release(Deadline deadline) override {
        TXS_CO_CHECK(co_await statement(deadline));
        for (auto& lane : world_.lanes) {
            if (lane.owner == owner_) lane.owner.clear();
        }
        world_.write_lanes(true);
        co_return Result<>();
    }

private:
    bool is_ours(const outbox::LaneProgress& progress) const {
        const auto& lane = world_.lanes[static_cast<std::size_t>(progress.lane.value())];
        return lane.owner == owner_ && lane.epoch == progress.epoch.value();
    }

    std::string owner_;
};

/// An idempotent producer: stores in order, and once it fails it stores nothing any more.
class Kafka final : public Publisher {
public:
    Kafka(asio::any_io_executor executor, World& world, PublisherEvents events)
        : world_(world), events_(std::move(events)), timer_(executor) {
        ++world_.publishers;
        tick();
    }
    ~Kafka() override {
        // Requests on their way arrive; nobody is told.
        if (is_dead_ || Clock::now() < world_.broker_back) return;
        for (auto n = world_.roll(4); n > 0 && !queue_.empty(); --n) {
            if (world_.refused.contains(queue_.front().id)) return;
            world_.store(queue_.front().id);
            queue_.pop_front();
        }
    }

    Result<> publish(const Record& record) override {
        if (queue_.size() >= 20) return fail(Code::overloaded, "full");
        if (knows_the_topic_is_missing_ && world_.homeless.contains(id_of(record))) {
            knows_the_topic_is_missing_ = false;
            return fail(Code::not_found, "no such topic", "_UNKNOWN_TOPIC");
        }
        queue_.push_back({record.context, id_of(record)});
        world_.handed_over(id_of(record), attempt_of(record));
        return {};
    }
    std::string explain(std::string_view error, std::string_view, std::size_t) const override {
        return std::string(error);
    }

private:
    struct Queued {
        void* context;
        std::int64_t id;
    };

    static int attempt_of(const Record& record) {
        const auto mark = std::ranges::find(record.marks, "txstream-attempt", &Header::name);
        return mark == record.marks.end() ? 0 : std::stoi(std::string(mark->value));
    }
    static std::int64_t id_of(const Record& record) {
        const auto header = std::ranges::find(record.headers, "event_id", &Header::name);
        TXS_ASSERT(header != record.headers.end(), "each record has its event's id");
        const auto digits =
            std::string(header->value.substr(19, 4)) + std::string(header->value.substr(24));
        return std::stoll(digits, nullptr, 16);
    }

    void tick() {
        const auto slow = world_.chance(0.02) ? world_.roll(300'000) : 0;
        timer_.expires_after(std::chrono::microseconds(100 + world_.roll(1500) + slow));
        // The wait may be over and its handler queued when we are destroyed.
        timer_.async_wait([this, alive = std::weak_ptr(alive_)](auto) {
            if (alive.expired()) return;
            if (Clock::now() < world_.broker_back) {
                if (!std::exchange(is_down_, true))
                    events_.brokers_down(Error(Code::unavailable, "down"));
            } else {
                is_down_ = false;
                deliver();
            }
            if (!is_dead_) tick();
        });
    }

    void deliver() {
        std::vector<Report> reports;
        const auto batch = std::min<std::size_t>(queue_.size(), world_.random() % 12);
        const bool is_refused = std::any_of(
            queue_.begin(),
            queue_.begin() + static_cast<std::ptrdiff_t>(batch),
            [&](const auto& one) { return world_.refused.contains(one.id); }
        );
        for (auto n = batch; n > 0; --n) {
            const auto front = queue_.front();
            if (is_refused) {
                reports.push_back({front.context, Outcome::refused_event, -1, -1, "TOO_LARGE"});
            } else if (world_.homeless.contains(front.id) && Clock::now() < world_.topic_made) {
                reports.push_back({front.context, Outcome::refused_topic, -1, -1, "UNKNOWN_TOPIC"});
                // Others go on, and nothing here tells the topics apart whose order is their own.
                is_dead_ = queue_.size() > 1;
                knows_the_topic_is_missing_ = world_.roll(2) == 0;
            } else if (world_.chance(0.002)) {
                reports.push_back({front.context, Outcome::retryable, -1, -1, "TIMED_OUT"});
                is_dead_ = true;
            } else {
                world_.store(front.id);
                reports.push_back({front.context, Outcome::acknowledged, 0, front.id, {}});
            }
            queue_.pop_front();
            if (is_dead_) break;
        }
        is_dead_ = is_dead_ || is_refused;
        // As librdkafka does when it promises no gaps.
        if (is_refused && world_.roll(2) == 0)
            events_.fatal(Error(Code::unavailable, "gap", "_GAPLESS_GUARANTEE"));
        if (world_.chance(0.01)) is_dead_ = true;
        // The reports may come after the news that it is over, or never.
        const bool tells_of_its_end = is_dead_;
        if (!reports.empty() && !world_.chance(0.01))
            events_.reports(reports);
        else if (!reports.empty())
            is_dead_ = true;
        if (tells_of_its_end || is_dead_) events_.fatal(Error(Code::unavailable, "fatal"));
    }

    World& world_;
    PublisherEvents events_;
    asio::steady_timer timer_;
    std::deque<Queued> queue_;
    std::shared_ptr<int> alive_ = std::make_shared<int>();
    bool is_down_ = false;
    bool is_dead_ = false;
    bool knows_the_topic_is_missing_ = false;
};

}  // namespace txstream::tests
