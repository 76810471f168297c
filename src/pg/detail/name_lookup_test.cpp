#include "pg/detail/name_lookup.hpp"

#include "pg/fake_name_service.hpp"
#include "tests/support/pg_fixture.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <gtest/gtest.h>

namespace txstream::pg::detail {
namespace {

using namespace std::chrono_literals;
using tests::must;
using tests::soon;
using Addresses = Result<std::vector<std::string>>;

class NameLookupTest : public testing::Test {
protected:
    ~NameLookupTest() override { names_.release(); }

    static Addresses wait(asio::io_context& io, const std::string& name, Deadline deadline) {
        return tests::run_until_done(io, [&] {
            return look_up(io.get_executor(), name, deadline);
        });
    }

    FakeNameService& names_ = FakeNameService::get();
};

TEST_F(NameLookupTest, AddressesAndSocketsAreNoNames) {
    for (const char* host : {"", "127.0.0.1", "::1", "fe80::1%lo", "/run/postgresql", "@txs"})
        EXPECT_FALSE(is_name(host)) << host;
    for (const char* host : {"localhost", "db-1.test", "1.2.3.4.test"})
        EXPECT_TRUE(is_name(host)) << host;
    EXPECT_EQ(names_.asked("db-1.test"), 0U);
}

TEST_F(NameLookupTest, EveryAddressIsToldInTheOrderOfTheNameService) {
    names_.set("many.test", {"127.0.0.3", "::1", "127.0.0.2"});
    asio::io_context io;
    const auto found = must(wait(io, "many.test", soon()));
    EXPECT_EQ(found, (std::vector<std::string>{"127.0.0.3", "::1", "127.0.0.2"}));
}

TEST_F(NameLookupTest, ANameThatDoesNotExistIsToldAndMayComeBack) {
    asio::io_context io;
    const auto missing = wait(io, "missing.test", soon());
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code(), Code::unavailable);
    EXPECT_EQ(missing.error().origin(), "EHOSTNAME");
    EXPECT_NE(missing.error().what().find("missing.test"), std::string::npos);
}

TEST_F(NameLookupTest, ASilentNameServiceHoldsUpNeitherTheCallerNorTheEndOfItsLoop) {
    names_.hang("silent.test");
    {
        asio::io_context io;
        const auto late = wait(io, "silent.test", Deadline::in(50ms));
        ASSERT_FALSE(late);
        EXPECT_EQ(late.error().code(), Code::unavailable);
        EXPECT_EQ(late.error().origin(), "EHOSTNAME");
        io.restart();
        io.run();  // nothing is left to wait for
    }
    names_.release();  // answers somebody who has left
}

TEST_F(NameLookupTest, ANameThatHangsHoldsUpNoOther) {
    names_.hang("silent.test");
    names_.set("other.test", {"127.0.0.2"});
    asio::io_context io;
    EXPECT_FALSE(wait(io, "silent.test", Deadline::in(10ms)));
    EXPECT_TRUE(wait(io, "other.test", soon()));
}

TEST_F(NameLookupTest, ThoseWhoAskForTheSameNameAreAnsweredByOneLookUp) {
    names_.hang("popular.test");
    names_.set("popular.test", {"127.0.0.2"});
    asio::io_context io;
    int answered = 0;
    for (int i = 0; i < 25; ++i) {
        tests::start(
            io,
            look_up(io.get_executor(), "popular.test", soon()),
            [&](const std::exception_ptr&, const Addresses& found) { answered += found ? 1 : 0; }
        );
    }
    io.poll();
    EXPECT_FALSE(wait(io, "popular.test", Deadline::in(10ms))) << "who leaves";
    names_.release();
    io.restart();
    io.run_for(tests::kPatience);
    EXPECT_EQ(answered, 25);
    EXPECT_EQ(names_.asked("popular.test"), 1U);
}

TEST_F(NameLookupTest, WhoIsCancelledLeavesAtOnce) {
    names_.hang("silent.test");
    asio::io_context io;
    asio::cancellation_signal stop;
    std::optional<Addresses> result;
    tests::start(
        io,
        look_up(io.get_executor(), "silent.test", soon()),
        asio::bind_cancellation_slot(
            stop.slot(),
            [&](const std::exception_ptr&, Addresses found) { result.emplace(std::move(found)); }
        )
    );
    io.poll();
    stop.emit(asio::cancellation_type::terminal);
    io.restart();
    io.run_for(tests::kPatience);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->error().code(), Code::cancelled);
}

// Aim: who leaves while the answer is on its way gets it neither late nor twice. Method: deadlines
// about as long as the look-up takes, and loops that end at once.
TEST_F(NameLookupTest, LoopsThatEndWhileTheirAnswerArrivesAreLeftAlone) {
    names_.set("quick.test", {"127.0.0.2"});
    int found = 0;
    for (int i = 0; i < 500; ++i) {
        asio::io_context io;
        found += wait(io, "quick.test", Deadline::in(std::chrono::microseconds(i))) ? 1 : 0;
    }
    EXPECT_GT(found, 0);
}

}  // namespace
}  // namespace txstream::pg::detail
