#include "outbox/dead_letter_decisions.hpp"
#include "outbox/dead_letter_groups.hpp"
#include "outbox/event_detail.hpp"
#include "outbox/letter_copies.hpp"
#include "tests/support/outbox_database.hpp"

namespace txstream::outbox {
namespace {

using tests::must;
using tests::soon;

/// Letters that do not hold their keys, as those who decide and those who look see them; and
/// letters that are to be copied.
class SkippedLettersPgTest : public tests::OutboxTest {
protected:
    SkippedLettersPgTest() { script(*superuser_, kDecisionSettings); }

    /// The id of an event of this key.
    std::int64_t publish(const std::string& key) {
        const auto event_id = one("SELECT txstream.publish('T', '" + key + "', 'E', '{}')::text");
        return std::stoll(
            one("SELECT id::text FROM txstream.outbox WHERE event_id = '" + event_id + "'")
        );
    }
    void park(std::int64_t id, bool holds, const std::string& error_class = "BAD") {
        script(
            *superuser_,
            "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type,"
            " aggregate_id, event_type, topic, key, payload, payload_bytes, content_type, headers,"
            " created_at, attempts, error_class, error, holds) SELECT id, xid, event_id, lane,"
            " aggregate_type, aggregate_id, event_type, topic, coalesce(key, aggregate_id), "
            "payload,"
            " payload_bytes, content_type, headers, created_at, 1, '" +
                error_class + "', 'why', " + (holds ? "true" : "false") +
                " FROM txstream.outbox WHERE id = " + std::to_string(id)
        );
    }
    void publish_all() {
        script(*superuser_, "UPDATE txstream.lanes SET cursor = pg_current_snapshot()");
    }
    DecisionCounts count(LetterSelection selection) {
        return must(
            wait(count_decision(*superuser_, Decision::replay, std::move(selection), 5, soon()))
        );
    }
    EventRow letter(std::int64_t id) {
        return must(wait(letters_named(*superuser_, EventSeq(id), "", soon()))).at(0);
    }
};

TEST_F(SkippedLettersPgTest, ALetterThatDoesNotHoldItsKeyIsNoObstacleAndHasNone) {
    const auto skipped = publish("k");
    const auto parked = publish("k");
    const auto late = publish("k");
    park(skipped, false);
    park(parked, true);
    park(late, false);
    EXPECT_FALSE(must(wait(blocker_of(*superuser_, letter(parked), soon()))));
    EXPECT_FALSE(must(wait(blocker_of(*superuser_, letter(late), soon()))));
    LetterSelection selection;
    selection.seq = letter(late).seq;
    EXPECT_EQ(count(selection).letters, 1U);
    EXPECT_EQ(count(selection).blocked, 0U);
    const auto held = publish("k");
    park(held, true, "held");
    selection.seq = letter(parked).seq;
    EXPECT_EQ(count(selection).held, 1U) << "it follows the one that holds it";
    selection.seq = letter(skipped).seq;
    EXPECT_EQ(count(selection).held, 0U) << "nothing waits for it";
    const auto all = count({});
    EXPECT_EQ(all.letters, 3U);
    EXPECT_EQ(all.keys, 1U);
    EXPECT_EQ(all.held, 1U);
}

TEST_F(SkippedLettersPgTest, APlanCountsTheKeysThatHaveNewerPublishedEvents) {
    for (const auto* key : {"a", "b", "c"}) park(publish(key), false);
    park(publish("d"), true);
    EXPECT_EQ(count({}).keys_passed, 0U);
    for (const auto* key : {"a", "a", "b", "d", "stranger"}) publish(key);
    EXPECT_EQ(count({}).keys_passed, 0U) << "they are not published";
    publish_all();
    publish("c");
    EXPECT_EQ(count({}).keys_passed, 2U);
    EXPECT_EQ(count({}).keys, 4U);
    LetterSelection one_key;
    one_key.key = "b";
    EXPECT_EQ(count(one_key).keys_passed, 1U);
}

TEST_F(SkippedLettersPgTest, WhoLooksSeesWhetherItHoldsItsKeyAndNothingWaitsForOneThatDoesNot) {
    const auto skipped = publish("k");
    const auto later = publish("k");
    park(skipped, false);
    const auto found = must(wait(dead_letters(*superuser_, {}, std::nullopt, {}, soon())));
    ASSERT_EQ(found.letters.size(), 1U);
    EXPECT_FALSE(found.letters[0].holds);
    const auto groups = must(wait(dead_letter_groups(*superuser_, {}, soon())));
    ASSERT_EQ(groups.groups.size(), 1U);
    EXPECT_FALSE(groups.groups[0].example.holds);
    EXPECT_EQ(groups.groups[0].cause.error_class, "BAD");
    const auto shown = must(wait(event_detail(*superuser_, letter(skipped).seq, {}, soon())));
    ASSERT_TRUE(shown.dead_letter);
    EXPECT_FALSE(shown.dead_letter->holds);
    const auto place = EventSeq(
        later,
        std::stoll(one("SELECT xid::text FROM txstream.outbox WHERE id = " + std::to_string(later)))
    );
    EXPECT_FALSE(must(wait(event_detail(*superuser_, place, {}, soon()))).held_behind);
    script(*superuser_, "UPDATE txstream.dead_letters SET holds = true");
    EXPECT_TRUE(must(wait(event_detail(*superuser_, place, {}, soon()))).held_behind);
}

TEST_F(SkippedLettersPgTest, WhatIsToBeCopiedIsReadUntilItIsWrittenThatItWas) {
    for (int i = 0; i < 3; ++i) park(publish("k" + std::to_string(i)), true);
    script(
        *superuser_,
        "UPDATE txstream.dead_letters SET to_copy = true WHERE key <> 'k1'; UPDATE"
        " txstream.dead_letters SET attempts = 2 WHERE key = 'k2'"
    );
    std::vector<LaneId> lanes;
    for (std::int16_t i = 0; i < 32; ++i) lanes.emplace_back(i);
    const auto read = [&](std::size_t rows) {
        return must(wait(letters_to_copy(*superuser_, lanes, {rows, 1U << 20U, 1U << 20U}, soon()))
        );
    };
    EXPECT_EQ(read(1).events.size(), 1U);
    const auto found = read(10);
    ASSERT_EQ(found.events.size(), 2U);
    EXPECT_EQ(found.events.at(0).key, "k0");
    EXPECT_TRUE(found.events.at(0).has_content);
    EXPECT_EQ(found.faults[0].error_class, "BAD");
    EXPECT_EQ(found.faults[0].error, "why");
    EXPECT_EQ(found.faults[1].attempts, 2);
    EXPECT_TRUE(found.faults[0].first_attempt_at.ends_with("Z"));
    std::vector<CopiedLetter> copied;
    for (std::size_t i = 0; i < 2; ++i)
        copied.push_back({found.events.id(i), found.faults[i].event_id, 1});
    must(wait(letters_copied(*superuser_, copied, soon())));
    const auto left = read(10);
    ASSERT_EQ(left.events.size(), 1U) << "the other one was refused again since it was read";
    EXPECT_EQ(left.events.at(0).key, "k2");
    copied[1].attempts = 2;
    must(wait(letters_copied(*superuser_, copied, soon())));
    EXPECT_TRUE(read(10).events.empty());
}

}  // namespace
}  // namespace txstream::outbox
