#include "outbox/lane_store.hpp"
#include "outbox/reader.hpp"
#include "tests/support/outbox_database.hpp"

#include <set>

namespace txstream::outbox {
namespace {

using namespace std::chrono_literals;
using tests::must;
using tests::soon;

constexpr std::chrono::milliseconds kLong = 60s;

class LaneStorePgTest : public tests::OutboxTest {
protected:
    std::vector<ClaimedLane> claim(
        const std::string& owner, std::size_t limit, std::vector<LaneId> owned = {}
    ) {
        return must(wait(claim_lanes(*superuser_, owner, std::move(owned), limit, kLong, soon())));
    }
    ClaimedLane claim_one(const std::string& owner = "a") { return claim(owner, 1).at(0); }
    Snapshot now() { return must(wait(current_snapshot(*superuser_, soon()))); }
    void end_lease(LaneId lane) {
        script(
            *superuser_,
            "UPDATE txstream.lanes SET lease_ends_at = clock_timestamp() - interval '1 s' WHERE "
            "lane = " +
                std::to_string(lane.value())
        );
    }
    std::string of_lane(LaneId lane, const std::string& expression) {
        return one(
            "SELECT (" + expression +
            ")::text FROM txstream.lanes WHERE lane = " + std::to_string(lane.value())
        );
    }
    std::vector<EventSeq> events() {
        std::vector<EventSeq> all;
        for (const auto& pair :
             rows("SELECT id || ' ' || xid FROM txstream.outbox ORDER BY id, xid")) {
            const auto space = pair.find(' ');
            all.emplace_back(std::stoll(pair.substr(0, space)), std::stoll(pair.substr(space)));
        }
        return all;
    }
    /// Claims all lanes; the one that has the events, which are of one key.
    ClaimedLane claim_theirs() {
        const LaneId lane(static_cast<std::int16_t>(
            std::stoi(one("SELECT DISTINCT lane::text FROM txstream.outbox"))
        ));
        const auto lanes = claim("a", 32);
        return *std::ranges::find(lanes, lane, &ClaimedLane::lane);
    }
    bool park(
        const LaneProgress& to,
        std::vector<ParkedEvent> parked,
        const Publication& what,
        DeadLetter form = DeadLetter::whole
    ) {
        return must(wait(park_and_advance(*superuser_, to, std::move(parked), what, form, soon())));
    }
    LaneProgress progress(const ClaimedLane& lane, const Snapshot& to, std::int64_t published) {
        return {lane.lane, lane.epoch, to, std::nullopt, EventSeq(0), published};
    }
    Publication publication(const ClaimedLane& lane, const Snapshot& to, std::int64_t events) {
        Publication result;
        result.lanes = {lane.lane};
        result.first_id = EventSeq(1);
        result.last_id = EventSeq(9);
        result.events = events;
        result.cursor = lane.cursor;
        result.target = to;
        return result;
    }
    std::vector<LaneId> advance(const LaneProgress& lane, const Publication& what) {
        return must(wait(advance_lanes(*superuser_, {lane}, {what}, soon())));
    }
};

TEST_F(LaneStorePgTest, TwoRelaysShareTheLanesAndNoneHasTwoOwners) {
    EXPECT_EQ(must(wait(lane_count(*superuser_, soon()))), 32U);
    EXPECT_EQ(claim("a", 20).size(), 20U);
    EXPECT_EQ(claim("b", 20).size(), 12U);
    EXPECT_EQ(claim("c", 20).size(), 0U);
    EXPECT_EQ(
        one("SELECT count(DISTINCT lane)::text FROM txstream.lanes WHERE owner IN ('a', 'b')"), "32"
    );
}

TEST_F(LaneStorePgTest, ALaneWhoseLeaseEndedGoesToTheNextUnderAHigherEpoch) {
    const auto first = claim_one("a");
    end_lease(first.lane);
    const auto second = claim_one("b");
    EXPECT_EQ(second.lane, first.lane);
    EXPECT_EQ(second.epoch.value(), first.epoch.value() + 1);
    EXPECT_EQ(second.cursor, first.cursor);
}

TEST_F(LaneStorePgTest, WhatTheOwnerDoesNotKnowOfComesBackToItAtOnceAndToNobodyElse) {
    const auto known = claim("a", 2);
    const auto again = claim("a", 32, {known[0].lane});
    ASSERT_FALSE(again.empty());
    EXPECT_TRUE(std::ranges::any_of(again, [&](const auto& lane) {
        return lane.lane == known[1].lane && lane.epoch.value() == known[1].epoch.value() + 1;
    }));
    EXPECT_TRUE(std::ranges::none_of(again, [&](const auto& lane) {
        return lane.lane == known[0].lane;
    }));
    EXPECT_TRUE(claim("b", 32).empty());
}

TEST_F(LaneStorePgTest, OnlyTheNamedLanesAreProlongedAndAnEndedLeaseIsNot) {
    const auto lanes = claim("a", 3);
    end_lease(lanes[2].lane);
    const auto before = of_lane(lanes[1].lane, "lease_ends_at");
    const auto renewed =
        must(wait(renew_lanes(*superuser_, "a", {lanes[0].lane, lanes[2].lane}, 2 * kLong, soon()))
        );
    EXPECT_EQ(renewed, std::vector<LaneId>{lanes[0].lane});
    EXPECT_EQ(of_lane(lanes[1].lane, "lease_ends_at"), before);
    EXPECT_EQ(
        of_lane(lanes[0].lane, "lease_ends_at > clock_timestamp() + interval '100 s'"), "true"
    );
    EXPECT_TRUE(must(wait(renew_lanes(*superuser_, "b", {lanes[0].lane}, kLong, soon()))).empty());
}

TEST_F(LaneStorePgTest, ACursorMovesUnderItsEpochAndALateAcknowledgementChangesNothing) {
    const auto first = claim_one("a");
    const auto target = now();
    end_lease(first.lane);
    const auto second = claim_one("b");
    EXPECT_TRUE(advance(progress(first, target, 5), publication(first, target, 5)).empty());
    EXPECT_EQ(of_lane(first.lane, "cursor"), first.cursor.text());
    EXPECT_EQ(of_lane(first.lane, "published"), "0");
    EXPECT_EQ(
        advance(progress(second, target, 5), publication(second, target, 5)),
        std::vector<LaneId>{second.lane}
    );
    EXPECT_EQ(of_lane(first.lane, "cursor"), target.text());
}

TEST_F(LaneStorePgTest, AnAcknowledgementThatIsRepeatedCountsOnce) {
    const auto lane = claim_one();
    const auto target = now();
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(
            advance(progress(lane, target, 5), publication(lane, target, 5)),
            std::vector<LaneId>{lane.lane}
        ) << "the first answer may have been lost";
    }
    EXPECT_EQ(of_lane(lane.lane, "published"), "5");
}

TEST_F(LaneStorePgTest, AWindowThatIsBeingPagedGoesOnWhereItWas) {
    const auto lane = claim_one("a");
    const auto target = now();
    auto paging = progress(lane, lane.cursor, 5);
    paging.target = target;
    paging.last_id = EventSeq(77, 5);
    advance(paging, publication(lane, target, 5));
    end_lease(lane.lane);
    const auto next = claim_one("b");
    EXPECT_EQ(next.cursor, lane.cursor);
    EXPECT_EQ(next.target, target);
    EXPECT_EQ(next.last_id, EventSeq(77, 5));
}

TEST_F(LaneStorePgTest, ParkingAndTheCursorAreOneAndTheKeyIsHeldFromThenOn) {
    const auto event = one("SELECT txstream.publish('T', 'bad', 'Happened', '{\"x\": 1}')::text");
    const auto id = events().front();
    const auto mine = claim_theirs();
    const auto lane = mine.lane;
    const auto target = now();
    const std::vector<ParkedEvent> parked{{id, 3, "MSG_SIZE_TOO_LARGE", "too large"}};
    auto stale = progress(mine, target, 0);
    stale.epoch = Epoch(mine.epoch.value() - 1);
    EXPECT_FALSE(park(stale, parked, publication(mine, target, 0)));
    EXPECT_EQ(one("SELECT count(*)::text FROM txstream.dead_letters"), "0");
    for (int i = 0; i < 2; ++i) {
        EXPECT_TRUE(park(progress(mine, target, 0), parked, publication(mine, target, 0)));
    }
    EXPECT_EQ(
        one("SELECT event_id || ' ' || key || ' ' || payload || ' ' || attempts || ' ' || "
            "error_class || ' ' || state"
            " FROM txstream.dead_letters"),
        event + " bad {\"x\": 1} 3 MSG_SIZE_TOO_LARGE parked"
    );
    EXPECT_EQ(of_lane(lane, "cursor"), target.text());
    EXPECT_EQ(of_lane(lane, "parked"), "1");
    must(wait(release_lanes(*superuser_, "a", soon())));
    const auto again = claim("b", 32);
    EXPECT_EQ(
        std::ranges::find(again, lane, &ClaimedLane::lane)->held_keys,
        std::vector<std::string>{"bad"}
    );
}

TEST_F(LaneStorePgTest, ManyThatClaimInTheSameMomentShareAllLanes) {
    std::vector<std::unique_ptr<pg::Connection>> sessions;
    for (int i = 0; i < 8; ++i) sessions.push_back(connect());
    std::multiset<LaneId> claimed;
    std::size_t left = sessions.size();
    for (std::size_t i = 0; i < sessions.size(); ++i) {
        tests::start(
            io_,
            claim_lanes(*sessions[i], "owner-" + std::to_string(i), {}, 8, kLong, soon()),
            [&](const std::exception_ptr&, Result<std::vector<ClaimedLane>> lanes) {
                for (const auto& lane : must(std::move(lanes))) claimed.insert(lane.lane);
                --left;
            }
        );
    }
    io_.restart();
    while (left > 0) ASSERT_GT(io_.run_one_for(tests::kPatience), 0U);
    EXPECT_EQ(claimed.size(), 32U);
    EXPECT_EQ(std::set<LaneId>(claimed.begin(), claimed.end()).size(), 32U);
}

TEST_F(LaneStorePgTest, APublicationOfSeveralLanesTellsOfThoseThatWereNotLost) {
    const auto lanes = claim("a", 3);
    const auto target = now();
    end_lease(lanes[1].lane);
    ASSERT_EQ(claim("b", 1).at(0).lane, lanes[1].lane);
    auto page = publication(lanes[0], target, 9);
    page.records = R"([{"topic":"t","partition":0,"first":5,"last":13}])";
    std::vector<LaneProgress> progresses;
    page.lanes.clear();
    for (const auto& lane : lanes) {
        page.lanes.push_back(lane.lane);
        progresses.push_back(progress(lane, target, 3));
    }
    auto lost = publication(lanes[1], target, 3);
    const auto moved = must(wait(advance_lanes(*superuser_, progresses, {page, lost}, soon())));
    EXPECT_EQ(
        std::set<LaneId>(moved.begin(), moved.end()),
        (std::set<LaneId>{lanes[0].lane, lanes[2].lane})
    );
    EXPECT_EQ(
        rows("SELECT (SELECT array_agg(l ORDER BY l) FROM unnest(lanes) l)::text || records FROM "
             "txstream.publications"),
        std::vector<std::string>{"{0,2}" + page.records}
    ) << "and nothing of a page whose only lane was lost";
}

TEST_F(LaneStorePgTest, BytesAndTombstonesAreParkedAsTheyAre) {
    script(
        *superuser_,
        "SELECT txstream.publish_bytes('T', 'k', 'E', '\\x00ff', 'application/avro', headers => "
        "'{\"h\": \"v\"}', topic => 't.x');"
        "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type) VALUES ('T', 'k', "
        "'Gone')"
    );
    const auto ids = events();
    const auto mine = claim_theirs();
    const auto target = now();
    std::vector<ParkedEvent> parked;
    for (const auto& id : ids) parked.push_back({id, 0, "HELD", "held"});
    EXPECT_TRUE(park(progress(mine, target, 0), parked, publication(mine, target, 0)));
    EXPECT_EQ(
        one("SELECT count(*)::text FROM txstream.dead_letters d JOIN txstream.outbox o USING (id, "
            "event_id, lane, aggregate_type, aggregate_id, event_type, content_type, created_at)"
            " WHERE d.topic IS NOT DISTINCT FROM o.topic AND d.key = o.aggregate_id AND d.payload "
            "IS NULL AND d.payload_bytes IS NOT DISTINCT FROM o.payload_bytes AND d.headers::text "
            "IS NOT DISTINCT FROM o.headers::text"),
        "2"
    );
    EXPECT_EQ(of_lane(mine.lane, "parked"), "2");
}

TEST_F(LaneStorePgTest, ALaneWithoutAnOwnerOrWithAnEndedLeaseIsUnowned) {
    const auto unowned = [&] { return must(wait(has_unowned_lanes(*superuser_, soon()))); };
    EXPECT_TRUE(unowned());
    const auto lanes = claim("a", 32);
    EXPECT_FALSE(unowned());
    end_lease(lanes[7].lane);
    EXPECT_TRUE(unowned());
}

TEST_F(LaneStorePgTest, ReleasedLanesAreFreeAtOnce) {
    claim("a", 32);
    must(wait(release_lanes(*superuser_, "a", soon())));
    EXPECT_EQ(claim("b", 32).size(), 32U);
}

TEST_F(LaneStorePgTest, AnEventWhoseIdWasGivenBeforeIsParkedBesideTheOther) {
    const std::string append = "SELECT txstream.publish('T', 'k', 'E', '1')";
    script(*superuser_, append);
    script(*superuser_, "ALTER TABLE txstream.outbox ALTER COLUMN id RESTART WITH 1");
    script(*superuser_, append);
    const auto both = events();
    ASSERT_EQ(both.size(), 2U);
    ASSERT_EQ(both[0].id(), both[1].id());
    const auto mine = claim_theirs();
    const auto target = now();
    EXPECT_TRUE(park(
        progress(mine, target, 1), {{both[1], 4, "X", "the second"}}, publication(mine, target, 1)
    ));
    EXPECT_EQ(
        rows("SELECT status || ' ' || coalesce(last_error, '-') FROM txstream.events ORDER BY xid"),
        (std::vector<std::string>{"published -", "parked the second"})
    );
    EXPECT_TRUE(park(
        progress(mine, target, 0), {{both[0], 4, "X", "the first"}}, publication(mine, target, 0)
    ));
    EXPECT_EQ(one("SELECT count(*)::text FROM txstream.dead_letters"), "2");
}

TEST_F(LaneStorePgTest, ParkingFailsForNoTextOfAWritersOrABrokers) {
    // As long as the table lets them be: not compressible, so that an index entry would be as long.
    script(
        *superuser_,
        "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, topic, key, "
        "payload)"
        " SELECT left(t, 255), left(t, 4096), left(t, 255), repeat('t', 249), right(t, 4096), "
        "to_json(t) FROM (SELECT string_agg(encode(sha256(n::text::bytea), 'hex'), '') AS t"
        " FROM generate_series(1, 200) n) texts"
    );
    const auto id = events().front();
    const auto mine = claim_theirs();
    const std::string nonsense =
        std::string("\0\xff\xed\xa0\x80\"\\{},", 10) + std::string(100'000, 'e');
    EXPECT_TRUE(
        park(progress(mine, now(), 0), {{id, 1, nonsense, nonsense}}, publication(mine, now(), 0))
    );
    EXPECT_EQ(
        one("SELECT length(key) || ' ' || octet_length(error_class) || ' ' || octet_length(error)"
            " FROM txstream.dead_letters"),
        "4096 100 2000"
    );
    EXPECT_EQ(claim("a", 32, {}).size(), 32U);
}

TEST_F(LaneStorePgTest, ABareDeadLetterHoldsTheKeyAndLeavesTheContentWhereItIs) {
    script(*superuser_, "SELECT txstream.publish('T', 'k', 'E', '1', '{\"h\": \"v\"}')");
    const auto id = events().front();
    const auto mine = claim_theirs();
    EXPECT_TRUE(park(
        progress(mine, now(), 0), {{id, 1, "X", "x"}}, publication(mine, now(), 0), DeadLetter::bare
    ));
    EXPECT_EQ(
        one("SELECT key || ' ' || (payload IS NULL AND headers IS NULL) FROM txstream.dead_letters"
        ),
        "k true"
    );
}

TEST_F(LaneStorePgTest, WhatIsTooLongToBeHeldIsRefusedWhereItIsWritten) {
    const std::string columns[] = {
        "aggregate_type", "aggregate_id", "event_type", "key", "content_type"
    };
    for (const auto& column : columns) {
        std::string values;
        for (const auto& other : columns)
            values += (values.empty() ? "" : ", ") +
                      (other == column ? "repeat('x', 4097)" : std::string("'x'"));
        const auto inserted = try_script(
            *superuser_,
            "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, key, "
            "content_type)"
            " VALUES (" +
                values + ")"
        );
        ASSERT_FALSE(inserted) << column;
        EXPECT_EQ(inserted.error().origin(), "23514") << column << inserted.error().what();
    }
}

}  // namespace
}  // namespace txstream::outbox
