// How a session comes to its server: several hosts, several addresses, silence.

#include "pg/connection.hpp"
#include "pg/fake_name_service.hpp"
#include "pg/test_support.hpp"

#include <boost/asio/steady_timer.hpp>

namespace txstream::pg {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;
using tests::must;
using tests::soon;

class ConnectPgTest : public testing::Test {
protected:
    ~ConnectPgTest() override { names_.release(); }

    std::uint16_t real_port() const {
        const auto& conninfo = database_.conninfo();
        return static_cast<std::uint16_t>(std::stoi(conninfo.substr(conninfo.find("port=") + 5)));
    }
    /// One that accepts, since the kernel does, and says nothing.
    tcp::acceptor silent(const char* address = "127.0.0.1", std::uint16_t port = 0) {
        return {io_, {asio::ip::make_address(address), port}};
    }
    /// "first,second" of two ports.
    std::string ports(std::uint16_t first) const {
        return std::to_string(first) + "," + std::to_string(real_port());
    }
    Result<std::unique_ptr<Connection>> open(const std::string& extra, Deadline deadline = soon()) {
        auto conninfo = database_.conninfo() + " " + extra;
        return tests::run_until_done(io_, [&] {
            return Connection::open(io_.get_executor(), conninfo, {}, deadline);
        });
    }
    /// That the session works, and with the real server.
    void expect_real(Connection& session) {
        static constexpr Statement kPort{"port", "SELECT inet_server_port()"};
        const auto rows =
            must(tests::run_until_done(io_, [&] { return session.run(kPort, {}, soon()); }));
        EXPECT_EQ(rows.integer(0, 0), real_port());
    }

    FakeNameService& names_ = FakeNameService::get();
    tests::TestDatabase database_;
    asio::io_context io_;
};

TEST_F(ConnectPgTest, ASilentHostIsPassedOverAfterItsTimeOut) {
    const auto mute = silent();
    const auto began = Deadline::Clock::now();
    const auto session = must(open(
        "host=127.0.0.1,127.0.0.1 connect_timeout=0.3 port=" + ports(mute.local_endpoint().port())
    ));
    EXPECT_GE(Deadline::Clock::now() - began, 300ms) << "the silent one was not tried";
    EXPECT_LT(Deadline::Clock::now() - began, tests::kPatience / 2);
    expect_real(*session);
}

TEST_F(ConnectPgTest, ASilentHostLeavesTimeForTheOthersUnderAShortDeadline) {
    const auto mute = silent();
    const auto session = must(open(
        "host=127.0.0.1,127.0.0.1 connect_timeout=60 port=" + ports(mute.local_endpoint().port()),
        Deadline::in(6s)
    ));
    expect_real(*session);
}

TEST_F(ConnectPgTest, EachAddressOfANameIsTriedAndNotByTheLoopsThread) {
    const auto mute = silent("127.0.0.2", real_port());
    names_.set("two.test", {"127.0.0.2", "127.0.0.1"});
    const auto session = must(open("host=two.test connect_timeout=0.3"));
    expect_real(*session);
    EXPECT_GE(names_.asked("two.test"), 1U);
    EXPECT_FALSE(names_.has_asked(std::this_thread::get_id()));
}

TEST_F(ConnectPgTest, ASilentNameServiceStopsNeitherTheLoopNorTheSearch) {
    names_.hang("silent.test");
    bool ended = false;
    int ticks = 0;
    const auto tick = [&]() -> asio::awaitable<void> {
        asio::steady_timer timer(io_);
        while (!ended) {
            ++ticks;
            timer.expires_after(5ms);
            co_await timer.async_wait(asio::use_awaitable);
        }
    };
    bool ticked = false;
    tests::start(io_, tick(), [&](const std::exception_ptr&) { ticked = true; });
    const auto failed = open("host=silent.test", Deadline::in(300ms));
    const auto session = must(open("host=silent.test,127.0.0.1 connect_timeout=0.3"));
    expect_real(*session);
    ended = true;
    tests::run_until_done(io_, [&]() -> asio::awaitable<bool> {
        while (!ticked) co_await asio::post(io_, asio::use_awaitable);
        co_return true;
    });
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code(), Code::unavailable);
    EXPECT_EQ(failed.error().origin(), "EHOSTNAME");
    EXPECT_GT(ticks, 20) << "something held up the loop";
    EXPECT_FALSE(names_.has_asked(std::this_thread::get_id()));
}

TEST_F(ConnectPgTest, AHostWithoutTheWantedAttributesIsPassedOver) {
    const std::string attributes = " sslmode=disable gssencmode=disable target_session_attrs=";
    const FakeServer standby(
        io_,
        {},
        wire::parameter("in_hot_standby", "on") +
            wire::parameter("default_transaction_read_only", "off")
    );
    const auto hosts = "host=127.0.0.1,127.0.0.1 port=" +
                       ports(static_cast<std::uint16_t>(std::stoi(standby.port())));
    expect_real(*must(open(hosts + attributes + "read-write")));
    const auto none = open("host=127.0.0.1" + attributes + "standby");
    ASSERT_FALSE(none);
    EXPECT_TRUE(none.error().retryable());
    expect_real(*must(open("host=127.0.0.1" + attributes + "prefer-standby")));
}

TEST_F(ConnectPgTest, AServerThatTakesNoWritesIsPassedOverUnlessItIsAskedFor) {
    database_.on_server(
        "ALTER DATABASE " + database_.name() + " SET default_transaction_read_only = on"
    );
    const auto frozen = open("");
    ASSERT_FALSE(frozen);
    EXPECT_EQ(frozen.error().origin(), "25006") << frozen.error().what();
    EXPECT_TRUE(frozen.error().retryable());
    EXPECT_NE(frozen.error().what().find("DATABASE_HOST"), std::string::npos);
    EXPECT_TRUE(open("target_session_attrs=any"));
    // The next host may be writable: what the first one says is not the last word.
    const auto nobody = silent().local_endpoint().port();
    const auto both = open(
        "host=127.0.0.1,127.0.0.1 port=" + std::to_string(real_port()) + "," +
        std::to_string(nobody)
    );
    ASSERT_FALSE(both);
    EXPECT_NE(both.error().what().find(std::to_string(nobody)), std::string::npos);
}

TEST_F(ConnectPgTest, EveryHostThatFailedIsNamed) {
    const auto nobody = silent().local_endpoint().port();
    const auto mute = silent();
    const auto failed = open(
        "host=127.0.0.1,127.0.0.1 connect_timeout=0.1 port=" + std::to_string(nobody) + "," +
        std::to_string(mute.local_endpoint().port())
    );
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code(), Code::unavailable);
    for (const auto port : {nobody, mute.local_endpoint().port()})
        EXPECT_NE(failed.error().what().find(std::to_string(port)), std::string::npos)
            << failed.error().what();
}

// As with libpq: the next server would refuse it too, and its silence would hide the reason.
TEST_F(ConnectPgTest, AServerThatRefusesTheUserHasTheLastWord) {
    const auto mute = silent();
    const auto refused = open(
        "host=127.0.0.1,127.0.0.1 password=wrong port=" + std::to_string(real_port()) + "," +
        std::to_string(mute.local_endpoint().port())
    );
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().origin(), "28P01");
    EXPECT_EQ(refused.error().code(), Code::rejected);
}

}  // namespace
}  // namespace txstream::pg
