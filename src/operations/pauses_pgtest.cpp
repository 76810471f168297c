#include "operations/pauses.hpp"
#include "outbox/audit.hpp"
#include "tests/support/outbox_database.hpp"

namespace txstream::operations {
namespace {

using Scope = outbox::Pause::Scope;
using tests::must;
using tests::soon;

/// Under the rights of operators.
class PausesPgTest : public tests::OutboxTest {
protected:
    Result<> pause(const outbox::Pause& what, const std::string& reason = "it moves") {
        return wait(operations::pause(
            *operator_, what, {"me@here", "console", reason, std::nullopt}, soon()
        ));
    }
    Result<> resume(const outbox::Pause& what) {
        return wait(operations::resume(
            *operator_, what, {"me@here", "console", "done", std::nullopt}, soon()
        ));
    }

    std::unique_ptr<pg::Connection> operator_ = connect("SET ROLE txstream_operator");
};

TEST_F(PausesPgTest, APauseStandsUntilItIsResumedAndBothAreInTheAudit) {
    const outbox::Pause topic{Scope::topic, "a \"topic\""};
    const outbox::Pause key{Scope::key, std::string(4096, 'k')};
    must(pause(topic));
    must(pause(key));
    must(pause({}));
    const auto all = must(wait(outbox::pause_entries(*operator_, soon())));
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[0].pause, (outbox::Pause{topic.scope, topic.name, "it moves"}));
    EXPECT_EQ(all[1].pause.name, key.name);
    EXPECT_EQ(all[2].pause.scope, Scope::everything);
    EXPECT_EQ(all[2].by, "me@here");
    EXPECT_EQ(pause(topic, "again").error().code(), Code::conflict);
    must(resume(topic));
    EXPECT_EQ(resume(topic).error().code(), Code::not_found);
    must(pause(topic));
    const auto entries = must(wait(outbox::audit_entries(*operator_, {}, {}, 10, soon())));
    ASSERT_EQ(entries.size(), 5U);
    EXPECT_EQ(entries[1].action, "relays resume");
    EXPECT_EQ(entries[1].target, R"({"topic":"a \"topic\""})");
    EXPECT_EQ(entries[1].result.substr(0, 13), "paused since ");
    EXPECT_EQ(entries[4].action, "relays pause");
    EXPECT_EQ(entries[4].reason, "it moves");
}

TEST_F(PausesPgTest, WhatCannotBeAPauseIsRefused) {
    EXPECT_EQ(pause({}, "").error().code(), Code::invalid_input);
    EXPECT_EQ(pause({}, std::string(2001, 'x')).error().code(), Code::invalid_input);
    EXPECT_EQ(pause({Scope::topic, ""}).error().code(), Code::invalid_input);
    EXPECT_EQ(pause({Scope::key, std::string(4097, 'k')}).error().code(), Code::invalid_input);
    EXPECT_EQ(pause({Scope::key, "\xff"}).error().code(), Code::invalid_input);
    EXPECT_TRUE(must(wait(outbox::pause_entries(*operator_, soon()))).empty());
}

TEST_F(PausesPgTest, OnlyOperatorsPause) {
    for (const auto* role : {"txstream_relay", "txstream_reader", "txstream_writer"}) {
        const auto session = connect("SET ROLE " + std::string(role));
        const auto done = wait(
            operations::pause(*session, {}, {"me@here", "cli", "it moves", std::nullopt}, soon())
        );
        ASSERT_FALSE(done) << role;
        EXPECT_EQ(done.error().origin(), "42501") << role;
    }
}

}  // namespace
}  // namespace txstream::operations
