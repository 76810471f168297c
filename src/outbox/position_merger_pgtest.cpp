#include "outbox/lane_store.hpp"
#include "outbox/position_merger.hpp"
#include "outbox/reader.hpp"
#include "tests/support/outbox_database.hpp"

#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <random>
#include <sstream>

namespace txstream::outbox {
namespace {

using namespace std::chrono_literals;
using tests::must;
using tests::soon;

/// Two owners of sixteen lanes each, which acknowledge at random some lanes and not others; the
/// rows they write are moved into the past, some ten of them to a minute.
class PositionMergerPgTest : public tests::OutboxTest {
protected:
    PositionMergerPgTest() {
        const char* given = std::getenv("TXS_TEST_SEED");
        const auto seed = given ? std::strtoul(given, nullptr, 10) : std::random_device{}();
        std::printf("TXS_TEST_SEED=%lu\n", static_cast<unsigned long>(seed));
        random_.seed(static_cast<std::mt19937::result_type>(seed));
        for (auto* owner : {&a_, &b_})
            owner->lanes = must(wait(owner->store.claim(*superuser_, {}, 16, 1h, soon())));
    }
    struct Owner {
        LaneStore store;
        std::vector<ClaimedLane> lanes;
    };

    void append(int events) {
        script(
            *superuser_,
            "SELECT txstream.publish('T', 'k' || n % 200, 'E', '{}') FROM generate_series(1, " +
                std::to_string(events) + ") n"
        );
    }
    /// Some lanes come up to now, those that came from the same cursor in one row.
    void acknowledge(Owner& owner, bool all = false) {
        const auto target = must(wait(current_snapshot(*superuser_, soon())));
        std::map<std::string, Publication> groups;
        std::vector<LaneProgress> progress;
        for (auto& lane : owner.lanes) {
            if (!all && random_() % 3 == 0) continue;
            const auto found = must(wait(read_window(
                *superuser_,
                std::vector{lane.lane},
                lane.cursor,
                target,
                tests::rows_at_most(10000),
                soon()
            )));
            const auto count = static_cast<std::int64_t>(found.size());
            progress.push_back({lane.lane, lane.epoch, target, std::nullopt, EventSeq(0), count});
            if (count > 0) {
                auto& group = groups[lane.cursor.text()];
                group.cursor = lane.cursor;
                group.target = target;
                group.lanes.push_back(lane.lane);
                const auto last = found.id(found.size() - 1);
                group.first_id =
                    group.events == 0 ? found.id(0) : std::min(group.first_id, found.id(0));
                group.last_id = std::max(group.last_id, last);
                group.events += count;
                add_records(group.records, {"t", 0, offset_, offset_ + count - 1});
                for (std::size_t i = 0; i < found.size(); ++i)
                    offsets_[found.id(i).id()] = offset_++;
            }
            lane.cursor = target;
        }
        std::vector<Publication> publications;
        for (auto& [since, group] : groups) publications.push_back(std::move(group));
        const auto moved =
            must(wait(owner.store.advance(*superuser_, progress, publications, soon())));
        EXPECT_EQ(moved.size(), progress.size());
    }
    void age() {
        script(
            *superuser_,
            "UPDATE txstream.positions SET written_at = date_trunc('minute', now()) - interval '5 "
            "hours' + id * interval '6 s'"
        );
    }
    std::size_t merge(std::size_t rows_per_step) {
        PositionMerger merger({.age = 1h, .rows = rows_per_step});
        std::size_t steps = 1;
        while (must(wait(merger.step(*superuser_, soon())))) ++steps;
        return steps;
    }
    /// Of each event its id, the minute, and the offsets of the row with which it was acknowledged.
    std::map<std::int64_t, std::vector<std::string>> found() {
        std::map<std::int64_t, std::vector<std::string>> all;
        for (const auto& line :
             rows("SELECT concat_ws(' ', o.id, extract(epoch FROM date_trunc('minute',"
                  "  p.written_at))::bigint, p.records -> 0 ->> 'first', p.records -> 0 ->> 'last')"
                  " FROM txstream.outbox o LEFT JOIN LATERAL (SELECT * FROM txstream.positions p"
                  "  WHERE p.events > 0 AND p.last_event >= o.id AND p.first_event <= o.id"
                  "   AND txstream.acknowledged_with(p, o.lane, o.id, o.xid)"
                  "  ORDER BY p.last_event LIMIT 1) p ON true")) {
            std::istringstream in(line);
            std::vector<std::string> words{
                std::istream_iterator<std::string>(in), std::istream_iterator<std::string>()
            };
            all[std::stoll(words.at(0))] = words;
        }
        return all;
    }
    std::string where_the_lanes_are() {
        return one("SELECT string_agg(p::text, ' ' ORDER BY lane) FROM txstream.lane_positions p");
    }
    int count() { return std::stoi(one("SELECT count(*)::text FROM txstream.positions")); }

    std::mt19937 random_;
    Owner a_{LaneStore("a"), {}};
    Owner b_{LaneStore("b"), {}};
    std::int64_t offset_ = 0;
    std::map<std::int64_t, std::int64_t> offsets_;
};

TEST_F(PositionMergerPgTest, EachEventIsStillFoundWithItsMinuteAndItsRecord) {
    for (int i = 0; i < 60; ++i) {
        append(1 + static_cast<int>(random_() % 20));
        acknowledge(i % 2 == 0 ? a_ : b_);
    }
    for (auto* owner : {&a_, &b_}) acknowledge(*owner, true);
    age();
    const auto before = found();
    const auto lanes_before = where_the_lanes_are();
    const auto rows_before = count();
    ASSERT_EQ(before.size(), offsets_.size());
    const auto steps = merge(25);
    const auto minutes =
        std::stoi(one("SELECT count(DISTINCT date_trunc('minute', written_at))::text"
                      " FROM txstream.positions"));
    std::printf(
        "%d rows of %d minutes and two owners became %d, in %zu steps\n",
        rows_before,
        minutes,
        count(),
        steps
    );
    EXPECT_GT(steps, 2U) << "the limit cut through no minute";
    EXPECT_LE(count(), minutes + 4) << "one for each, and where the lanes are";
    EXPECT_EQ(where_the_lanes_are(), lanes_before);
    for (const auto& [id, words] : found()) {
        ASSERT_EQ(words.size(), 4U) << "event " << id << " is not found";
        EXPECT_EQ(words[1], before.at(id)[1]) << "event " << id;
        EXPECT_LE(std::stoll(words[2]), offsets_.at(id)) << "event " << id;
        EXPECT_GE(std::stoll(words[3]), offsets_.at(id)) << "event " << id;
    }
    const auto merged = count();
    merge(50);
    EXPECT_EQ(count(), merged) << "once";
    EXPECT_EQ(one("SELECT count(*)::text FROM txstream.events WHERE published_at IS NULL"), "0");
}

// A minute in which lanes changed hands: its row has lanes of both owners, and the lease of one.
TEST_F(PositionMergerPgTest, AMergedRowSaysWhereNoLaneIs) {
    append(50);
    acknowledge(b_, true);
    end_lease("b");
    std::vector<LaneId> owned;
    for (const auto& lane : a_.lanes) owned.push_back(lane.lane);
    const auto taken = must(wait(a_.store.claim(*superuser_, owned, 32, 1h, soon())));
    ASSERT_EQ(taken.size(), 16U);
    std::vector<LaneProgress> where_they_are;
    for (const auto& lane : taken)
        where_they_are.push_back({lane.lane, lane.epoch, lane.cursor, lane.target, lane.last_id, 0}
        );
    must(wait(a_.store.advance(*superuser_, where_they_are, {}, soon())));
    for (int i = 0; i < 2; ++i) {
        append(50);
        acknowledge(a_, true);
    }
    age();
    const auto before = where_the_lanes_are();
    const auto rows_before = count();
    merge(100);
    EXPECT_LT(count(), rows_before);
    EXPECT_EQ(where_the_lanes_are(), before);
}

TEST_F(PositionMergerPgTest, WhatIsYoungStaysAsItIs) {
    append(50);
    acknowledge(a_, true);
    append(50);
    acknowledge(a_, true);
    const auto before = count();
    EXPECT_FALSE(must(wait(PositionMerger().step(*superuser_, soon()))));
    EXPECT_EQ(count(), before);
}

// An hour of a busy outbox has ten times as many rows.
TEST_F(PositionMergerPgTest, WhatIsYoungIsMergedLaterHoweverManyRowsThatAre) {
    for (int i = 0; i < 6; ++i) {
        append(50);
        acknowledge(a_, true);
    }
    PositionMerger merger({.age = 1h, .rows = 2});
    for (int i = 0; i < 5; ++i) EXPECT_FALSE(must(wait(merger.step(*superuser_, soon()))));
    age();
    const auto before = count();
    EXPECT_EQ(merger.merged(), 0U);
    while (must(wait(merger.step(*superuser_, soon())))) {
    }
    EXPECT_LT(count(), before);
    EXPECT_EQ(static_cast<std::int64_t>(merger.merged()), before - count());
}

TEST_F(PositionMergerPgTest, OneRelayAtATimeMerges) {
    for (int i = 0; i < 3; ++i) {
        append(50);
        acknowledge(a_, true);
    }
    age();
    const auto before = count();
    const auto other = connect();
    script(*superuser_, "BEGIN");
    must(wait(PositionMerger().step(*superuser_, soon())));
    must(wait(PositionMerger().step(*other, soon())));
    script(*superuser_, "ROLLBACK");
    EXPECT_EQ(count(), before);
    must(wait(PositionMerger().step(*other, soon())));
    EXPECT_LT(count(), before);
}

// A day of the log, as a relay writes it at 1,000 events/s: five times a second, two rows.
TEST_F(PositionMergerPgTest, ADayOfTheLogBecomesAThousandAndSomeRows) {
    const auto minutes = 30;
    script(
        *superuser_,
        "INSERT INTO txstream.positions (lease, lanes, active, published, cursor, since, events,"
        " first_event, last_event, records, written_at)"
        " SELECT 1, (SELECT array_agg(l) FROM generate_series(0, 31) l), 25, (SELECT array_agg(l"
        "  + n) FROM generate_series(0, 31) l), format('%s:%1$s:', 1000 + n)::pg_snapshot,"
        "  format('%s:%1$s:', 999 + n)::pg_snapshot, 100, n * 100, n * 100 + 99,"
        "  (SELECT json_agg(json_build_object('topic', 'orders', 'partition', p, 'first', n * 10,"
        "   'last', n * 10 + 9)) FROM generate_series(0, 11) p),"
        "  date_trunc('minute', now()) - interval '1 day' + n * interval '100 ms'"
        " FROM generate_series(1, " +
            std::to_string(minutes * 600) + ") n"
    );
    const auto bytes = [&] {
        return std::stoll(one("SELECT pg_total_relation_size('txstream.positions_p0')::text"));
    };
    const auto rows_before = count();
    const auto bytes_before = bytes();
    const auto begin = std::chrono::steady_clock::now();
    merge(5000);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    script(*superuser_, "VACUUM FULL txstream.positions");
    std::printf(
        "a day of the log: %d rows, %lld MB; merged %d rows, %lld kB (%.2f ms of merging for each "
        "minute)\n",
        rows_before * 1440 / minutes,
        bytes_before * 1440 / minutes / 1'000'000,
        count() * 1440 / minutes,
        bytes() * 1440 / minutes / 1000,
        took.count() / minutes
    );
    EXPECT_LE(rows_before * 1440 / minutes, 2'000'000);
    EXPECT_LE(count() * 1440 / minutes, 2000);
}

}  // namespace
}  // namespace txstream::outbox
