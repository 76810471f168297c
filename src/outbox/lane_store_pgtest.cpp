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
    LaneStore& store(const std::string& owner) {
        return stores_.try_emplace(owner, owner).first->second;
    }
    std::vector<ClaimedLane> claim(
        const std::string& owner, std::size_t limit, std::vector<LaneId> owned = {}
    ) {
        return must(wait(store(owner).claim(*superuser_, std::move(owned), limit, kLong, soon())));
    }
    ClaimedLane claim_one(const std::string& owner = "a") { return claim(owner, 1).at(0); }
    static std::vector<LaneId> all_but(LaneId one) {
        std::vector<LaneId> lanes;
        for (std::int16_t lane = 0; lane < 32; ++lane)
            if (lane != one.value()) lanes.emplace_back(lane);
        return lanes;
    }
    Snapshot now() { return must(wait(current_snapshot(*superuser_, soon()))); }
    std::string of_lane(LaneId lane, const std::string& expression) {
        return one(
            "SELECT (" + expression +
            ")::text FROM txstream.lane_positions WHERE lane = " + std::to_string(lane.value())
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
        LetterForm form = LetterForm::whole
    ) {
        return must(wait(store("a").park(*superuser_, to, std::move(parked), what, form, soon())));
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
    std::vector<LaneId> advance(
        const LaneProgress& lane, const Publication& what, const std::string& owner = "a"
    ) {
        return must(wait(store(owner).advance(*superuser_, {lane}, {what}, soon())));
    }

    std::map<std::string, LaneStore> stores_;
};

TEST_F(LaneStorePgTest, TwoRelaysShareTheLanesAndNoneHasTwoOwners) {
    EXPECT_EQ(must(wait(lane_count(*superuser_, soon()))), 32U);
    EXPECT_EQ(claim("a", 20).size(), 20U);
    EXPECT_EQ(claim("b", 20).size(), 12U);
    EXPECT_EQ(claim("c", 20).size(), 0U);
    EXPECT_EQ(
        one("SELECT count(DISTINCT lane)::text FROM txstream.lane_positions WHERE owner IN ('a', "
            "'b')"),
        "32"
    );
}

TEST_F(LaneStorePgTest, ALaneWhoseLeaseEndedGoesToTheNextUnderAHigherEpoch) {
    const auto first = claim_one("a");
    end_lease("a");
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

TEST_F(LaneStorePgTest, WhatTheOwnerDoesNotKnowOfIsTheFirstThatItGets) {
    const auto known = claim("a", 3);
    const auto again = claim("a", 1, {known[0].lane, known[2].lane});
    ASSERT_EQ(again.size(), 1U);
    EXPECT_EQ(again[0].lane, known[1].lane);
}

TEST_F(LaneStorePgTest, ALeaseIsProlongedForItsOwnersLanesAndNotAfterItsEnd) {
    const auto lanes = claim("a", 2);
    const auto others = claim("b", 1);
    const std::vector<LaneId> asked{lanes[0].lane, lanes[1].lane, others[0].lane};
    const auto renewed = must(wait(store("a").renew(*superuser_, asked, 2 * kLong, soon())));
    EXPECT_EQ(
        std::set<LaneId>(renewed.begin(), renewed.end()),
        (std::set<LaneId>{lanes[0].lane, lanes[1].lane})
    );
    EXPECT_EQ(
        of_lane(lanes[0].lane, "lease_ends_at > clock_timestamp() + interval '100 s'"), "true"
    );
    EXPECT_EQ(
        of_lane(others[0].lane, "lease_ends_at < clock_timestamp() + interval '100 s'"), "true"
    );
    end_lease("a");
    EXPECT_TRUE(must(wait(store("a").renew(*superuser_, asked, kLong, soon()))).empty());
}

TEST_F(LaneStorePgTest, WhoStandsByWritesNothing) {
    claim("a", 32);
    const auto written = [&] {
        return one(
            "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::text FROM pg_stat_xact_user_tables"
        );
    };
    script(*superuser_, "BEGIN");
    const auto before = written();
    EXPECT_TRUE(claim("b", 32).empty());
    EXPECT_EQ(written(), before);
    script(*superuser_, "COMMIT");
    EXPECT_EQ(one("SELECT count(*)::text FROM txstream.leases"), "1");
}

TEST_F(LaneStorePgTest, ALateAcknowledgementChangesNothing) {
    const auto first = claim_one("a");
    const auto target = now();
    end_lease("a");
    const auto second = claim_one("b");
    EXPECT_TRUE(advance(progress(first, target, 5), publication(first, target, 5)).empty());
    EXPECT_EQ(of_lane(first.lane, "cursor"), first.cursor.text());
    EXPECT_EQ(of_lane(first.lane, "published"), "0");
    EXPECT_EQ(
        advance(progress(second, target, 5), publication(second, target, 5), "b"),
        std::vector<LaneId>{second.lane}
    );
    EXPECT_EQ(of_lane(first.lane, "cursor"), target.text());
}

// The next owner goes on behind what was acknowledged in the moment in which it took over.
TEST_F(LaneStorePgTest, WhoTakesOverWaitsForTheAcknowledgementThatIsUnderWay) {
    const auto mine = must(wait(store("a").claim(*superuser_, {}, 1, 1ms, soon()))).at(0);
    const auto target = now();
    script(*superuser_, "BEGIN");
    // Of the two statements that acknowledge, the one that runs in a transaction of ours.
    EXPECT_TRUE(park(progress(mine, target, 5), {}, publication(mine, target, 5)));
    const auto other = connect();
    LaneStore next("b");
    for (const auto& lane : must(wait(next.claim(*other, {}, 32, kLong, soon()))))
        EXPECT_NE(lane.lane, mine.lane) << "it is not fenced yet";
    script(*superuser_, "COMMIT");
    const auto taken = must(wait(next.claim(*other, all_but(mine.lane), 32, kLong, soon())));
    ASSERT_EQ(taken.size(), 1U);
    EXPECT_EQ(taken[0].cursor, target);
}

TEST_F(LaneStorePgTest, ANewSessionOfAnOwnerRefusesWhatItsOldOneMayStillWrite) {
    const auto mine = claim_one("a");
    LaneStore old = store("a");
    store("a").forget();
    const auto again = claim("a", 1);
    ASSERT_EQ(again.at(0).lane, mine.lane);
    const auto target = now();
    const auto late = progress(mine, target, 5);
    EXPECT_TRUE(
        must(wait(old.advance(*superuser_, {late}, {publication(mine, target, 5)}, soon()))).empty()
    );
    EXPECT_EQ(of_lane(mine.lane, "cursor"), mine.cursor.text());
}

// Of idle lanes too: none may be far back in the log.
TEST_F(LaneStorePgTest, AllLanesOfAPositionAreOneRow) {
    const auto lanes = claim("a", 4);
    const auto target = now();
    std::vector<LaneProgress> all;
    for (const auto& lane : lanes) all.push_back(progress(lane, target, 0));
    all[1].published = 7;
    all[3].cursor = lanes[3].cursor;
    auto page = publication(lanes[1], target, 7);
    page.records = {{"t", 0, 5, 13}};
    EXPECT_EQ(must(wait(store("a").advance(*superuser_, all, {page}, soon()))).size(), 4U);
    EXPECT_EQ(
        rows("SELECT lanes::text || ' ' || active || ' ' || events || ' ' || published::text || "
             "records"
             " FROM txstream.positions ORDER BY id"),
        (std::vector<std::string>{
            "{1,0,2} 1 7 {7,0,0}[{\"topic\":\"t\",\"partition\":0,\"first\":5,\"last\":13}]",
            "{3} 0 0 {0}[]"
        })
    );
    for (const auto& lane : all)
        EXPECT_EQ(of_lane(lane.lane, "cursor"), lane.cursor.text()) << lane.lane.value();
    EXPECT_EQ(of_lane(lanes[1].lane, "published"), "7");
}

TEST_F(LaneStorePgTest, WhatIsAcknowledgedWritesNoRowOfLanesOrLeasesAgain) {
    const auto lane = claim_one();
    const auto versions = [&] {
        return one(
            "SELECT (SELECT string_agg(l.ctid || l.xmin::text, ' ' ORDER BY lane) FROM "
            "txstream.lanes l)"
            " || (SELECT string_agg(e.ctid || e.xmin::text, ' ' ORDER BY owner) FROM "
            "txstream.leases e)"
        );
    };
    const auto before = versions();
    for (int i = 0; i < 3; ++i) {
        script(*superuser_, "SELECT pg_current_xact_id()");
        const auto target = now();
        EXPECT_EQ(advance(progress(lane, target, 5), publication(lane, target, 5)).size(), 1U);
    }
    EXPECT_EQ(versions(), before);
    EXPECT_EQ(of_lane(lane.lane, "published"), "15");
}

// A disk that is busy for seconds may not cost the lanes; what is parked must survive.
TEST_F(LaneStorePgTest, RenewingAndAcknowledgingDoNotWaitForTheDiskAndParkingDoes) {
    script(
        *superuser_,
        "SET synchronous_commit = on; CREATE TABLE public.written (what text, waits text);"
        "CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO public.written VALUES (TG_TABLE_NAME, current_setting('synchronous_commit'));"
        " RETURN NULL; END $$"
    );
    script(*superuser_, "SELECT txstream.publish('T', 'bad', 'E', '1')");
    const auto lane = claim_theirs();
    for (const char* table : {"leases", "positions", "dead_letters"})
        script(
            *superuser_,
            std::string("CREATE TRIGGER note AFTER INSERT OR UPDATE ON txstream.") + table +
                " FOR EACH STATEMENT EXECUTE FUNCTION public.note()"
        );
    const auto written = [&] {
        auto all = rows("SELECT what || ' ' || waits FROM public.written ORDER BY what");
        script(*superuser_, "TRUNCATE public.written");
        return all;
    };
    using Texts = std::vector<std::string>;
    must(wait(store("a").renew(*superuser_, {lane.lane}, kLong, soon())));
    EXPECT_EQ(written(), (Texts{"leases off"}));
    advance(progress(lane, lane.cursor, 0), publication(lane, lane.cursor, 0));
    EXPECT_EQ(written(), (Texts{"positions off"}));
    const auto target = now();
    EXPECT_TRUE(park(
        progress(lane, target, 0), {{events().front(), 3, "X", "x"}}, publication(lane, target, 0)
    ));
    EXPECT_EQ(written(), (Texts{"dead_letters on", "positions on"}));
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
    end_lease("a");
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
    stale.epoch = Epoch(mine.epoch.value() + 1);
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
    must(wait(store("a").release(*superuser_, soon())));
    const auto again = claim("b", 32);
    EXPECT_EQ(
        std::ranges::find(again, lane, &ClaimedLane::lane)->held_keys,
        std::vector<std::string>{"bad"}
    );
}

TEST_F(LaneStorePgTest, ManyThatClaimInTheSameMomentShareAllLanes) {
    std::vector<std::unique_ptr<pg::Connection>> sessions;
    for (int i = 0; i < 8; ++i) sessions.push_back(connect());
    const auto of = [&](std::size_t i) -> LaneStore& { return store(std::to_string(i)); };
    for (int round = 0; round < 20; ++round) {
        std::multiset<LaneId> claimed;
        std::size_t left = sessions.size();
        for (std::size_t i = 0; i < sessions.size(); ++i) {
            tests::start(
                io_,
                of(i).claim(*sessions[i], {}, 8, kLong, soon()),
                [&](const std::exception_ptr&, Result<std::vector<ClaimedLane>> lanes) {
                    for (const auto& lane : must(std::move(lanes))) claimed.insert(lane.lane);
                    --left;
                }
            );
        }
        io_.restart();
        while (left > 0) ASSERT_GT(io_.run_one_for(tests::kPatience), 0U);
        EXPECT_EQ(claimed.size(), 32U);
        EXPECT_EQ(std::set<LaneId>(claimed.begin(), claimed.end()).size(), claimed.size());
        for (std::size_t i = 0; i < sessions.size(); ++i)
            must(wait(of(i).release(*sessions[i], soon())));
    }
}

TEST_F(LaneStorePgTest, ARowOfWhichALaneWasTakenAwayIsNotWrittenAndOthersAre) {
    const auto lanes = claim("a", 3);
    const auto target = now();
    give_lanes("b", "lane = " + std::to_string(lanes[1].lane.value()));
    auto both = publication(lanes[0], target, 9);
    both.lanes.push_back(lanes[1].lane);
    script(*superuser_, "SELECT pg_current_xact_id()");
    const auto later = now();
    const auto mine = publication(lanes[2], later, 3);
    std::vector<LaneProgress> all;
    for (const auto& lane : lanes) all.push_back(progress(lane, target, 3));
    all[2].cursor = later;
    EXPECT_EQ(
        must(wait(store("a").advance(*superuser_, all, {both, mine}, soon()))),
        std::vector<LaneId>{lanes[2].lane}
    );
    EXPECT_EQ(one("SELECT lanes::text FROM txstream.positions"), "{2}");
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
    claim("a", 32);
    EXPECT_FALSE(unowned());
    end_lease("a");
    EXPECT_TRUE(unowned());
}

TEST_F(LaneStorePgTest, ReleasedLanesAreFreeAtOnce) {
    claim("a", 32);
    must(wait(store("a").release(*superuser_, soon())));
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
        progress(mine, now(), 0), {{id, 1, "X", "x"}}, publication(mine, now(), 0), LetterForm::bare
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
