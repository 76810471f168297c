#include "pg/connection.hpp"
#include "pg/sqlstate.hpp"
#include "tests/support/pg_fixture.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <limits>

namespace txstream::pg {
namespace {

using namespace std::chrono_literals;
using tests::must;
using tests::soon;

constexpr Statement kOne{"one", "SELECT 1"};
constexpr Statement kEcho{"echo", "SELECT $1::text"};
constexpr Statement kSleep{"sleep", "SELECT pg_sleep(60)"};
constexpr Statement kPid{"pid", "SELECT pg_backend_pid()"};
constexpr Statement kInsert{"insert", "INSERT INTO numbers VALUES ($1::integer)"};
constexpr Statement kCount{"count", "SELECT count(*) FROM numbers"};
constexpr Statement kEnd{"end", "SELECT pg_terminate_backend($1::integer)"};

class ConnectionPgTest : public testing::Test {
protected:
    std::unique_ptr<Connection> connect() { return database_.connect(io_); }
    template <class T>
    T wait(asio::awaitable<T> task) {
        return tests::run_until_done(io_, [&] { return std::move(task); });
    }
    Rows run(Connection& session, Statement statement, Params params = {}) {
        return must(wait(session.run(statement, std::move(params), soon())));
    }
    void script(const std::string& sql) { must(wait(session_->run_script(sql, soon()))); }
    std::int64_t count(Connection& session) { return run(session, kCount).integer(0, 0); }
    /// The error that opening a session with this string ends with.
    Error refusal(const std::string& conninfo, Deadline deadline = soon()) {
        auto opened = wait(Connection::open(io_.get_executor(), conninfo, {}, deadline));
        EXPECT_FALSE(opened) << "a session that should have been refused";
        return opened ? Error(Code::invalid_input, "opened") : opened.error();
    }

    tests::TestDatabase database_;
    asio::io_context io_;
    std::unique_ptr<Connection> session_ = connect();
};

TEST_F(ConnectionPgTest, AStatementIsPreparedOnceUnlessItIsToBePlannedEachTime) {
    static constexpr Statement kPlanned{"planned", "SELECT $1::text", Planning::each_time};
    static constexpr Statement kPrepared{
        "prepared", "SELECT string_agg(name, ' ' ORDER BY name) FROM pg_prepared_statements"
    };
    for (const char* text : {"a", "b"}) {
        EXPECT_EQ(run(*session_, kPlanned, Params::of(text)).bytes(0, 0), text);
        EXPECT_EQ(run(*session_, kEcho, Params::of(text)).bytes(0, 0), text);
    }
    EXPECT_EQ(run(*session_, kPrepared).bytes(0, 0), "echo prepared");
    session_ = connect();
    auto failed = wait(session_->run(
        {"division", "SELECT 1 / $1::integer", Planning::each_time}, Params::of(0), soon()
    ));
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().origin(), "22012");
    EXPECT_EQ(run(*session_, kEcho, Params::of("after")).bytes(0, 0), "after");
}

TEST_F(ConnectionPgTest, ValuesOfAllTypesComeBackAsTheyWent) {
    static constexpr Statement kTypes{
        "types",
        "SELECT $1::smallint, $2::integer, $3::bigint, $4::xid8, $5::boolean, $6::text, $7::bytea,"
        " $8::uuid, $9::json, $10::text, $11::timestamptz"
    };
    constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
    const std::string text = "S\u00e3o 'Paulo' \"\\ \n\u65e5";
    const std::string json = "{ \"a\" : 1.10,\"a\":\"\\u0000\" }";
    const std::string bytes("\0\xff'\\", 4);
    auto params = Params::of(-32768, 2147483647, kMin, "18446744073709551", true, text);
    params.add(R"(\x00ff275c)")
        .add("6f1c2a00-0000-4000-8000-000000000001")
        .add(json)
        .add(std::nullopt);
    params.add("1969-12-31 23:59:59.999999+00");
    const auto rows = run(*session_, kTypes, std::move(params));
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows.integer(0, 0), -32768);
    EXPECT_EQ(rows.integer(0, 1), 2147483647);
    EXPECT_EQ(rows.integer(0, 2), kMin);
    EXPECT_EQ(rows.integer(0, 3), 18446744073709551);
    EXPECT_TRUE(rows.boolean(0, 4));
    EXPECT_EQ(rows.bytes(0, 5), text);
    EXPECT_EQ(rows.bytes(0, 6), bytes);
    EXPECT_EQ(rows.uuid(0, 7), "6f1c2a00-0000-4000-8000-000000000001");
    EXPECT_EQ(rows.bytes(0, 8), json);
    EXPECT_TRUE(rows.is_null(0, 9));
    EXPECT_EQ(rows.time(0, 10).time_since_epoch().count(), -1);
}

TEST_F(ConnectionPgTest, ArraysOfHardTextsComeBackElementByElement) {
    static constexpr Statement kUnnest{"unnest", "SELECT * FROM unnest($1::text[])"};
    const std::array<std::optional<std::string>, 6> texts{
        "", "NULL", std::nullopt, "a\"b\\c", "{d,e}", " \u00e9\n"
    };
    Params params;
    params.add_texts(texts);
    const auto rows = run(*session_, kUnnest, std::move(params));
    ASSERT_EQ(rows.size(), texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
        EXPECT_EQ(rows.is_null(i, 0), !texts[i]) << i;
        if (texts[i]) EXPECT_EQ(rows.bytes(i, 0), *texts[i]) << i;
    }
}

// Server and client each want to be read before they read on: whoever only writes blocks both.
TEST_F(ConnectionPgTest, FiftyMegabytesGoOutWhileAsManyComeBack) {
    const std::string big(5'000'000, 'x');
    std::vector<Connection::Step> steps;
    for (int i = 0; i < 10; ++i) steps.push_back({kEcho, Params::of(big)});
    const auto results = must(wait(session_->transact(std::move(steps), soon())));
    ASSERT_EQ(results.size(), 10U);
    for (const auto& rows : results) EXPECT_EQ(rows.bytes(0, 0), big);
    EXPECT_EQ(run(*session_, kEcho, Params::of("small")).bytes(0, 0), "small");
}

TEST_F(ConnectionPgTest, ATransactionIsAppliedAsAWholeOrNotAtAll) {
    script("CREATE TABLE numbers (n integer PRIMARY KEY)");
    std::vector<Connection::Step> good{{kInsert, Params::of(1)}, {kInsert, Params::of(2)}};
    must(wait(session_->transact(std::move(good), soon())));
    std::vector<Connection::Step> bad{
        {kInsert, Params::of(3)}, {kInsert, Params::of(1)}, {kInsert, Params::of(4)}
    };
    const auto refused = wait(session_->transact(std::move(bad), soon()));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::conflict);
    EXPECT_EQ(refused.error().origin(), "23505");
    EXPECT_TRUE(session_->is_open());
    EXPECT_FALSE(session_->in_transaction());
    EXPECT_EQ(count(*session_), 2);
}

TEST_F(ConnectionPgTest, AConstraintThatLooksAtCommitFailsTheTransaction) {
    script("CREATE TABLE numbers (n integer PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)");
    std::vector<Connection::Step> doubles{{kInsert, Params::of(1)}, {kInsert, Params::of(1)}};
    const auto refused = wait(session_->transact(std::move(doubles), soon()));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().origin(), "23505");
    EXPECT_FALSE(session_->in_transaction());
    EXPECT_EQ(count(*session_), 0);
}

TEST_F(ConnectionPgTest, AStatementThatCouldNotBePreparedIsPreparedTheNextTime) {
    const auto missing = wait(session_->run(kCount, {}, soon()));
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code(), Code::not_found);
    EXPECT_EQ(missing.error().origin(), "42P01");
    script("CREATE TABLE numbers (n integer)");
    EXPECT_EQ(count(*session_), 0);
}

TEST_F(ConnectionPgTest, AnErrorTellsNeitherTheStatementNorTheRow) {
    script("CREATE TABLE numbers (n integer CHECK (n < 100), secret text DEFAULT 'hush')");
    const auto refused = wait(session_->run(kInsert, Params::of(7654), soon()));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::invalid_input);
    for (const char* word : {"INSERT", "VALUES", "7654", "hush"})
        EXPECT_EQ(refused.error().what().find(word), std::string::npos) << refused.error().what();
}

TEST_F(ConnectionPgTest, AStatementWhoseColumnsChangedAsksForANewSession) {
    static constexpr Statement kAll{"all", "SELECT * FROM numbers"};
    script("CREATE TABLE numbers (n integer)");
    run(*session_, kAll);
    script("ALTER TABLE numbers ADD COLUMN m integer");
    const auto stale = wait(session_->run(kAll, {}, soon()));
    ASSERT_FALSE(stale);
    EXPECT_EQ(stale.error().code(), Code::unavailable);
    EXPECT_TRUE(stale.error().retryable());
    EXPECT_FALSE(session_->is_open());
    EXPECT_TRUE(run(*connect(), kAll).empty());
}

// --- send and receive

TEST_F(ConnectionPgTest, TheServerWorksBetweenSendAndReceive) {
    script("CREATE TABLE numbers (n integer)");
    must(session_->send(kInsert, Params::of(1)));
    const auto other = connect();
    const auto give_up_at = soon();
    while (count(*other) == 0)
        ASSERT_FALSE(give_up_at.passed()) << "nothing was done before receive";
    EXPECT_TRUE(wait(session_->receive(soon())));
}

TEST_F(ConnectionPgTest, AFailureBetweenSendAndReceiveIsToldByReceive) {
    must(session_->send(kCount, {}));
    EXPECT_EQ(wait(session_->receive(soon())).error().origin(), "42P01");
    EXPECT_EQ(run(*session_, kOne).size(), 1U);
}

// --- scripts

TEST_F(ConnectionPgTest, AScriptThatFailsLeavesNothingAndNoOpenTransaction) {
    for (const char* sql :
         {"CREATE TABLE a (n int); SELECT 1/0", "BEGIN; CREATE TABLE a (n int); SELECT 1/0; COMMIT"
         }) {
        const auto failed = wait(session_->run_script(sql, soon()));
        ASSERT_FALSE(failed) << sql;
        EXPECT_EQ(failed.error().origin(), "22012") << sql;
        EXPECT_FALSE(session_->in_transaction()) << sql;
        script("CREATE TABLE a (n int); DROP TABLE a");
    }
}

TEST_F(ConnectionPgTest, CopyIsRefusedAndNobodyWaitsForIt) {
    static constexpr Statement kCopy{"copy", "COPY (SELECT 1) TO STDOUT"};
    EXPECT_FALSE(wait(session_->run(kCopy, {}, soon())));
    const auto second = connect();
    EXPECT_FALSE(wait(second->run_script("COPY (SELECT 1) TO STDOUT", soon())));
}

TEST_F(ConnectionPgTest, NoticesAreDroppedAndNotWrittenToStderr) {
    testing::internal::CaptureStderr();
    script("DO $$ BEGIN RAISE WARNING 'look here'; END $$");
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

// --- endings

TEST_F(ConnectionPgTest, AServerThatEndsTheSessionUnderAStatementIsUnavailable) {
    const auto pid = run(*session_, kPid).integer(0, 0);
    const auto killer = connect();
    must(session_->send(kSleep, {}));
    run(*killer, kEnd, Params::of(pid));
    const auto ended = wait(session_->receive(soon()));
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().code(), Code::unavailable) << "it said so: nothing was done";
    EXPECT_EQ(ended.error().origin(), "57P01");
    EXPECT_FALSE(session_->is_open());
    const auto after = wait(session_->run(kOne, {}, soon()));
    ASSERT_FALSE(after);
    EXPECT_EQ(after.error().code(), Code::unavailable);
}

TEST_F(ConnectionPgTest, AnIdleSessionThatTheServerEndedIsSeenWithoutARoundTrip) {
    const auto pid = run(*session_, kPid).integer(0, 0);
    EXPECT_TRUE(session_->is_alive());
    run(*connect(), kEnd, Params::of(pid));
    const auto give_up_at = soon();
    while (session_->is_alive()) ASSERT_FALSE(give_up_at.passed());
    EXPECT_FALSE(session_->is_open());
}

// A lost answer must never look like a refusal: the statement may have taken effect.
TEST_F(ConnectionPgTest, AConnectionThatBreaksWithoutAWordLeavesTheEffectUnknown) {
    using asio::ip::tcp;
    const std::string& conninfo = database_.conninfo();
    const auto number = conninfo.find("port=") + 5;
    const auto port = static_cast<std::uint16_t>(std::stoi(conninfo.substr(number)));
    tcp::acceptor acceptor(io_, {asio::ip::address_v4::loopback(), 0});
    tcp::socket inner(io_);
    tcp::socket outer(io_);
    const auto pass = [](tcp::socket& from, tcp::socket& to) -> asio::awaitable<void> {
        std::array<char, 4096> buffer{};
        while (true) {
            const auto [ec, size] = co_await from.async_read_some(
                asio::buffer(buffer), asio::as_tuple(asio::use_awaitable)
            );
            if (ec) co_return;
            asio::write(to, asio::buffer(buffer.data(), size));
        }
    };
    const auto passed = [](const std::exception_ptr&) {};
    acceptor.async_accept(outer, [&](boost::system::error_code ec) {
        if (ec) return;
        inner.connect({asio::ip::address_v4::loopback(), port});
        tests::start(io_, pass(outer, inner), passed);
        tests::start(io_, pass(inner, outer), passed);
    });
    const auto gate = std::to_string(acceptor.local_endpoint().port());
    const auto through = must(wait(Connection::open(
        io_.get_executor(), conninfo + " port=" + gate + " sslmode=disable", {}, soon()
    )));
    EXPECT_EQ(run(*through, kOne).integer(0, 0), 1);
    must(through->send(kSleep, {}));
    outer.close();
    const auto broken = wait(through->receive(soon()));
    inner.close();
    ASSERT_FALSE(broken);
    EXPECT_EQ(broken.error().code(), Code::timed_out);
    EXPECT_FALSE(through->is_open());
}

TEST_F(ConnectionPgTest, ADeadlineClosesTheSessionAndTheServersStatementEnds) {
    static constexpr Statement kRunning{
        "running",
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND query LIKE '%pg_sleep%' AND pid <> "
        "pg_backend_pid()"
    };
    // A script, since the server would end a statement before.
    const auto late = wait(session_->run_script("SELECT pg_sleep(60)", Deadline::in(100ms)));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code(), Code::timed_out);
    EXPECT_FALSE(session_->is_open());
    // The server looks for us every five seconds.
    const auto other = connect();
    const auto give_up_at = Deadline::in(20s);
    while (run(*other, kRunning).integer(0, 0) > 0)
        ASSERT_FALSE(give_up_at.passed()) << "the statement of a lost session runs on";
}

// Aim: a blocked statement costs its caller an error, not its session, whose end would leave the
// effect unknown and a relay without its lanes.
TEST_F(ConnectionPgTest, TheServerEndsABlockedStatementBeforeItsDeadlineAndNothingWasDone) {
    script("CREATE TABLE numbers (n integer)");
    const auto other = connect();
    must(wait(other->run_script("BEGIN; LOCK TABLE numbers", soon())));
    const auto expect_clean = [&](const Result<>& late, const char* state) {
        ASSERT_FALSE(late);
        EXPECT_EQ(late.error().code(), Code::unavailable) << late.error().what();
        EXPECT_EQ(late.error().origin(), state);
        EXPECT_TRUE(session_->is_open());
        EXPECT_FALSE(session_->in_transaction());
    };
    const auto insert = [&](Deadline deadline) {
        return wait(session_->run(kInsert, Params::of(1), deadline)).map([](auto&&) {});
    };
    std::vector<Connection::Step> steps{{kOne, {}}, {kInsert, Params::of(1)}};
    // The second deadline is served by the limit that the first one set, the third is not.
    for (const auto time : {1000ms, 1100ms, 300ms})
        expect_clean(insert(Deadline::in(time)), "57014");
    expect_clean(wait(session_->transact(steps, Deadline::in(300ms))).map([](auto&&) {}), "57014");
    script("SET lock_timeout = '50ms'");
    expect_clean(insert(soon()), "55P03");
    must(wait(other->run_script("COMMIT", soon())));
    EXPECT_EQ(count(*session_), 0);
    must(insert(soon()));
    must(wait(session_->transact(steps, soon())));
    EXPECT_EQ(count(*session_), 2);
}

TEST_F(ConnectionPgTest, ALongDeadlineIsNotCutByTheLimitOfAShortOne) {
    static constexpr Statement kNap{"nap", "SELECT pg_sleep(0.3)"};
    const auto nap = [&](std::chrono::milliseconds time) {
        return wait(session_->run(kNap, {}, Deadline::in(time))).has_value();
    };
    EXPECT_FALSE(nap(200ms));
    EXPECT_TRUE(nap(60s));
    EXPECT_FALSE(nap(200ms));
    // What a rolled back transaction set is gone, and what it was before is in force again.
    script("BEGIN");
    EXPECT_TRUE(nap(60s));
    script("ROLLBACK");
    EXPECT_FALSE(nap(200ms));
    EXPECT_TRUE(nap(60s));
}

TEST_F(ConnectionPgTest, ADeadlineThatHasPassedSendsNothingAndHarmsNothing) {
    script("CREATE TABLE numbers (n integer)");
    const auto late = wait(session_->run(kInsert, Params::of(1), Deadline::in(-1s)));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code(), Code::unavailable) << "nothing was sent: the effect is known";
    EXPECT_TRUE(session_->is_open());
    EXPECT_EQ(count(*session_), 0);
}

TEST_F(ConnectionPgTest, ACallThatIsCancelledClosesTheSession) {
    asio::cancellation_signal stop;
    std::optional<Result<Rows>> result;
    tests::start(
        io_,
        session_->run(kSleep, {}, soon()),
        asio::bind_cancellation_slot(
            stop.slot(),
            [&](const std::exception_ptr&, Result<Rows> rows) { result.emplace(std::move(rows)); }
        )
    );
    io_.restart();
    io_.poll();
    ASSERT_FALSE(result);
    stop.emit(asio::cancellation_type::all);
    io_.restart();
    while (!result) ASSERT_GT(io_.run_one_for(60s), 0U) << "the cancelled call did not end";
    ASSERT_FALSE(*result);
    EXPECT_EQ(result->error().code(), Code::cancelled);
    EXPECT_FALSE(session_->is_open()) << "the next caller would read this one's answer";
}

TEST_F(ConnectionPgTest, ASessionWhoseServerTakesNoWritesIsClosed) {
    script("CREATE TABLE numbers (n integer); SET default_transaction_read_only = on");
    const auto refused = wait(session_->run(kInsert, Params::of(1), soon()));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().origin(), "25006");
    EXPECT_TRUE(refused.error().retryable());
    EXPECT_FALSE(session_->is_open());
    session_ = connect();
    script("SET default_transaction_read_only = on");
    EXPECT_FALSE(wait(session_->run_script("INSERT INTO numbers VALUES (1)", soon())));
    EXPECT_FALSE(session_->is_open());
}

// --- connecting

TEST_F(ConnectionPgTest, ARefusedSessionIsToldWithItsPlaceAndRemedyAndNeverThePassword) {
    const auto password = refusal(database_.conninfo() + " password='wr0ng pass'");
    EXPECT_EQ(password.code(), Code::rejected);
    EXPECT_EQ(password.origin(), "28P01");
    const auto missing = refusal(database_.conninfo() + " dbname=nowhere password='" + [&] {
        const auto& all = database_.conninfo();
        const auto at = all.find("password=") + 9;
        return all.substr(at, all.find(' ', at) - at);
    }() + "'");
    EXPECT_EQ(missing.code(), Code::not_found);
    EXPECT_EQ(missing.origin(), "3D000");
    EXPECT_NE(missing.what().find("nowhere"), std::string::npos);
    // Bound and closed again: nothing listens there.
    const auto port =
        asio::ip::tcp::acceptor(io_, {asio::ip::address_v4::loopback(), 0}).local_endpoint().port();
    const auto nobody = refusal(
        "host=127.0.0.1 user=u dbname=d password='wr0ng pass' port=" + std::to_string(port)
    );
    EXPECT_EQ(nobody.code(), Code::unavailable);
    EXPECT_EQ(nobody.origin(), "ECONNREFUSED");
    EXPECT_TRUE(nobody.retryable());
    for (const auto* error : {&password, &missing, &nobody}) {
        EXPECT_NE(error->what().find("127.0.0.1:"), std::string::npos) << error->what();
        EXPECT_NE(error->what().find("; "), std::string::npos) << "no remedy: " << error->what();
        EXPECT_EQ(error->what().find("wr0ng"), std::string::npos) << error->what();
        EXPECT_EQ(error->what().find("LOCATION"), std::string::npos) << error->what();
    }
}

// Waiting would not help, unlike with a server that is away.
TEST_F(ConnectionPgTest, ALoginThatNoRetryCanMendIsNoServerThatIsAway) {
    const auto none = refusal(database_.conninfo() + " password='' passfile=/dev/null");
    EXPECT_EQ(none.code(), Code::rejected);
    EXPECT_EQ(none.origin(), "28P01");
    EXPECT_NE(none.what().find("set DATABASE_PASSWORD or"), std::string::npos) << none.what();
    const auto plain = refusal(database_.conninfo() + " sslmode=require");
    EXPECT_EQ(plain.code(), Code::rejected);
    EXPECT_NE(plain.what().find("DATABASE_SSL_MODE"), std::string::npos) << plain.what();
    for (const char* missing : {"sslrootcert=/no/ca.pem sslmode=verify-full"}) {
        const auto error = refusal(database_.conninfo() + " " + missing);
        EXPECT_FALSE(error.retryable()) << error.what();
        EXPECT_EQ(error.origin(), "TLS") << error.what();
    }
}

TEST_F(ConnectionPgTest, AMalformedConnectionStringIsNotRepeated) {
    for (const char* conninfo : {"host=x password='s3cret", "s3cret", "passwort=s3cret"}) {
        const auto error = refusal(conninfo);
        EXPECT_EQ(error.code(), Code::invalid_input) << conninfo;
        EXPECT_EQ(error.what().find("s3cret"), std::string::npos) << error.what();
    }
}

TEST_F(ConnectionPgTest, APeerThatNeverAnswersIsGivenUpAtTheDeadline) {
    asio::ip::tcp::acceptor mute(io_, {asio::ip::address_v4::loopback(), 0});
    const auto error = refusal(
        "host=127.0.0.1 user=u dbname=d port=" + std::to_string(mute.local_endpoint().port()),
        Deadline::in(100ms)
    );
    EXPECT_EQ(error.code(), Code::unavailable) << "no statement was sent";
}

TEST_F(ConnectionPgTest, SettingsThatTheServerDoesNotAnswerAreNoUnknownEffect) {
    auto opened = wait(Connection::open(
        io_.get_executor(), database_.conninfo(), "SELECT pg_sleep(60)", Deadline::in(500ms)
    ));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code(), Code::unavailable);
}

TEST_F(ConnectionPgTest, SettingsThatTheServerRefusesFailTheOpening) {
    auto opened =
        wait(Connection::open(io_.get_executor(), database_.conninfo(), "SET no_such = 1", soon()));
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().what().find("session settings"), std::string::npos);
}

}  // namespace
}  // namespace txstream::pg
