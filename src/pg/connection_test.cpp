#include "pg/connection.hpp"

#include "pg/test_support.hpp"

#include <gtest/gtest.h>

namespace txstream::pg {
namespace {

using tests::must;
using tests::soon;

constexpr Statement kInsert{"insert", "INSERT INTO numbers VALUES (1)"};

// Aim: a failure that may have come after the commit is never told as one that came before it.
// Method: a server that breaks at a chosen place of the answer.
class ConnectionTest : public testing::Test {
protected:
    template <class T>
    T wait(asio::awaitable<T> task) {
        return tests::run_until_done(io_, [&] { return std::move(task); });
    }
    std::unique_ptr<Connection> connect(const FakeServer& server) {
        return must(wait(Connection::open(io_.get_executor(), server.conninfo(), {}, soon())));
    }
    /// What a transaction of one statement ends with, when the server answers like this.
    Error failure(std::string answer) {
        const FakeServer server(io_, {std::move(answer)});
        const auto session = connect(server);
        std::vector<Connection::Step> steps{{kInsert, {}}};
        const auto failed = wait(session->transact(std::move(steps), soon()));
        EXPECT_FALSE(failed);
        return failed ? Error(Code::invalid_input, "it worked") : failed.error();
    }

    asio::io_context io_;
};

TEST_F(ConnectionTest, ATransactionThatTheServerConfirmedIsDone) {
    const FakeServer server(io_, {wire::kPrepared + wire::kInserted + wire::kReady});
    const auto session = connect(server);
    std::vector<Connection::Step> steps{{kInsert, {}}};
    EXPECT_TRUE(wait(session->transact(std::move(steps), soon())));
}

TEST_F(ConnectionTest, ASessionThatEndsBeforeTheCommitDidNothing) {
    for (const auto& before : {std::string(), wire::kPrepared}) {
        const auto ended = failure(before + wire::error("FATAL", "57P01"));
        EXPECT_EQ(ended.code(), Code::unavailable);
        EXPECT_EQ(ended.origin(), "57P01");
    }
}

TEST_F(ConnectionTest, ASessionThatEndsWhereTheCommitIsDueLeavesTheEffectUnknown) {
    for (const char* severity : {"FATAL", "PANIC"}) {
        const auto ended =
            failure(wire::kPrepared + wire::kInserted + wire::error(severity, "58030"));
        EXPECT_EQ(ended.code(), Code::timed_out) << severity;
        EXPECT_EQ(ended.origin(), "58030");
    }
}

// The commit's fsync is where a server panics; what it answered before need not have come.
TEST_F(ConnectionTest, AServerThatPanicsLeavesTheEffectUnknownWhereverItSaysSo) {
    EXPECT_EQ(failure(wire::error("PANIC", "58030")).code(), Code::timed_out);
    EXPECT_EQ(failure(wire::kPrepared + wire::error("PANIC", "XX000")).code(), Code::timed_out);
}

TEST_F(ConnectionTest, ARefusalAtTheCommitIsToldAsItIs) {
    const auto refused =
        failure(wire::kPrepared + wire::kInserted + wire::error("ERROR", "23505") + wire::kReady);
    EXPECT_EQ(refused.code(), Code::conflict);
    EXPECT_EQ(refused.origin(), "23505");
}

// A script commits where it likes, so the place of the error tells nothing.
TEST_F(ConnectionTest, ASessionThatEndsInAScriptLeavesTheEffectUnknown) {
    const FakeServer server(
        io_, {wire::message('C', wire::zero_ended("COMMIT")) + wire::error("FATAL", "57P01")}
    );
    const auto session = connect(server);
    const auto ended = wait(session->run_script("BEGIN; SELECT 1; COMMIT; SELECT 1", soon()));
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().code(), Code::timed_out);
    EXPECT_EQ(ended.error().origin(), "57P01");
}

}  // namespace
}  // namespace txstream::pg
