#include "http/access.hpp"

#include "http/detail/failure_limit.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace txstream::http {
namespace {

using namespace std::chrono_literals;

constexpr const char* kAna = "ana-s3cret-token";
constexpr const char* kBob = "bob-s3cret-token";

class AccessTest : public testing::Test {
protected:
    AccessTest() {
        std::string name = testing::TempDir() + "txs_tokens_XXXXXX";
        directory_ = ::mkdtemp(name.data());
        path_ = directory_ + "/tokens";
        write(std::string("ana operator ") + kAna + "\nbob viewer " + kBob + "\n");
    }
    ~AccessTest() override {
        ::unlink(path_.c_str());
        ::rmdir(directory_.c_str());
    }

    void write(const std::string& text, ::mode_t mode = 0600) {
        const std::string fresh = path_ + ".new";
        std::ofstream(fresh) << text;
        EXPECT_EQ(::chmod(fresh.c_str(), mode), 0);
        EXPECT_EQ(::rename(fresh.c_str(), path_.c_str()), 0);
    }
    Tokens tokens() {
        Tokens made({}, [this](std::string_view what) { troubles_.emplace_back(what); });
        EXPECT_TRUE(made.load(path_));
        return made;
    }
    static std::string role(
        Access& access,
        const std::string& token,
        Access::Clock::time_point now,
        const char* peer = "10.0.0.1"
    ) {
        auto request = Request::make(Method::get, "/").value();
        if (!token.empty()) request.headers.add("Authorization", "Bearer " + token);
        const auto caller = access.identify(request, asio::ip::make_address(peer), now);
        if (!caller) return std::to_string(caller.error().status);
        return caller->name + ':' + std::string(to_string(caller->role));
    }

    std::string directory_;
    std::string path_;
    std::vector<std::string> troubles_;
    Access::Clock::time_point now_{1h};
};

TEST_F(AccessTest, ATokenNamesItsCaller) {
    Access access(tokens());
    EXPECT_EQ(role(access, kAna, now_), "ana:operator");
    EXPECT_EQ(role(access, kBob, now_), "bob:viewer");
    EXPECT_EQ(role(access, "", now_), ":none");
    for (const char* const wrong :
         {"x", "ana-s3cret-toke", "ana-s3cret-token2", "ANA-s3cret-token"})
        EXPECT_EQ(role(access, wrong, now_), "401") << wrong;
}

TEST_F(AccessTest, TheHeaderIsReadStrictly) {
    Access access(tokens());
    const auto peer = asio::ip::make_address("10.0.0.1");
    const auto status = [&](std::vector<std::string> values) {
        auto request = Request::make(Method::get, "/").value();
        for (const auto& value : values) request.headers.add("Authorization", value);
        const auto caller = access.identify(request, peer, now_);
        return caller ? std::string(to_string(caller->role))
                      : std::to_string(caller.error().status);
    };
    const std::string ana(kAna);
    EXPECT_EQ(status({"Bearer " + ana}), "operator");
    EXPECT_EQ(status({"bearer  " + ana}), "operator");
    EXPECT_EQ(status({"Basic " + ana}), "none");
    EXPECT_EQ(status({"Bearer " + ana, "Bearer " + ana}), "401");
    EXPECT_EQ(status({"Bearer "}), "401");
    EXPECT_EQ(status({"Bearer " + ana + ", x"}), "401");
}

TEST_F(AccessTest, AChangedFileIsReadAgainAndAWrongOneChangesNothing) {
    Access access(tokens());
    EXPECT_EQ(role(access, kAna, now_), "ana:operator");
    write("ana viewer another-s3cret-token\n");
    EXPECT_EQ(role(access, kAna, now_ + 500ms), "ana:operator");
    EXPECT_EQ(role(access, kAna, now_ + 2s), "401");
    EXPECT_EQ(role(access, "another-s3cret-token", now_ + 2s), "ana:viewer");
    EXPECT_TRUE(troubles_.empty());
    write("ana viewer\n");
    for (int i = 4; i < 9; ++i)
        EXPECT_EQ(role(access, "another-s3cret-token", now_ + i * 1s), "ana:viewer");
    EXPECT_EQ(troubles_.size(), 1u);
    ::unlink(path_.c_str());
    EXPECT_EQ(role(access, "another-s3cret-token", now_ + 20s), "ana:viewer");
    EXPECT_EQ(troubles_.size(), 2u);
    write(std::string("bob viewer ") + kBob);
    EXPECT_EQ(role(access, kBob, now_ + 22s), "bob:viewer");
    EXPECT_EQ(troubles_.size(), 2u);
}

TEST_F(AccessTest, AFileThatOthersReadOrWriteIsRefused) {
    const auto error = [this](const std::string& text, ::mode_t mode) {
        write(text, mode);
        const auto loaded = Tokens({}).load(path_);
        return loaded ? std::string() : loaded.error().what();
    };
    const std::string plain = std::string("ana viewer ") + kAna;
    const std::string hashed = "ana viewer sha256:" + std::string(64, 'a');
    EXPECT_EQ(error(plain, 0640), "");
    EXPECT_NE(error(plain, 0644).find("chmod o-r"), std::string::npos);
    EXPECT_EQ(error(hashed, 0644), "");
    EXPECT_NE(error(hashed, 0646).find("chmod o-w"), std::string::npos);
    ::unlink(path_.c_str());
    EXPECT_NE(Tokens({}).load(path_).error().what().find(path_), std::string::npos);
    EXPECT_FALSE(Tokens({}).load(directory_));
}

TEST_F(AccessTest, ALinkIsExchangedOnceForATokenThatEnds) {
    Access access(Tokens({}));
    const auto peer = asio::ip::make_address("10.0.0.1");
    const auto link = access.tokens().issue_link({"start link", Role::operator_}, now_);
    EXPECT_EQ(role(access, link.token, now_), "401") << "a one-time token opens nothing";
    const auto session = access.exchange(link.token, peer, now_);
    ASSERT_TRUE(session);
    EXPECT_NE(session->token, link.token);
    EXPECT_EQ(session->caller.role, Role::operator_);
    EXPECT_EQ(role(access, session->token, now_ + 11h), "start link:operator");
    EXPECT_EQ(role(access, session->token, now_ + 12h), "401");
    EXPECT_EQ(access.exchange(link.token, peer, now_).error().status, 401);
    const auto old = access.tokens().issue_link({"start link", Role::viewer}, now_);
    EXPECT_FALSE(access.exchange(old.token, peer, now_ + 1h));
}

TEST_F(AccessTest, LinksAndSessionsAreBounded) {
    Access access(Tokens({.links_max = 2, .sessions_max = 2}));
    const auto peer = asio::ip::make_address("10.0.0.1");
    const Caller caller{"start link", Role::viewer};
    const auto dropped = access.tokens().issue_link(caller, now_);
    for (int i = 0; i < 2; ++i) access.tokens().issue_link(caller, now_);
    EXPECT_FALSE(access.exchange(dropped.token, peer, now_));
    std::vector<std::string> sessions;
    for (int i = 0; i < 3; ++i) {
        const auto link = access.tokens().issue_link(caller, now_);
        sessions.push_back(access.exchange(link.token, peer, now_).value().token);
    }
    EXPECT_EQ(role(access, sessions[0], now_), "401");
    EXPECT_EQ(role(access, sessions[1], now_), "start link:viewer");
    EXPECT_EQ(role(access, sessions[2], now_), "start link:viewer");
}

TEST_F(AccessTest, WhoTriesTokensIsSlowedDown) {
    Access access(tokens());
    const auto guess = [&](int i, const char* peer = "10.0.0.1") {
        return role(access, "guess-" + std::to_string(i), now_, peer);
    };
    for (int i = 0; i < 10; ++i) EXPECT_EQ(guess(i), "401");
    EXPECT_EQ(guess(10), "429");
    EXPECT_EQ(role(access, kAna, now_), "429") << "or a guess would be answered";
    EXPECT_EQ(role(access, "", now_), ":none");
    EXPECT_EQ(guess(11, "10.0.0.2"), "401");
    auto request = Request::make(Method::get, "/").value();
    request.headers.add("Authorization", "Bearer x");
    const auto peer = asio::ip::make_address("10.0.0.1");
    EXPECT_EQ(access.identify(request, peer, now_ + 20s).error().retry_after, 40s);
    EXPECT_EQ(access.exchange("x", peer, now_).error().status, 429);
    now_ += 60s;
    EXPECT_EQ(role(access, kAna, now_), "ana:operator");
    EXPECT_EQ(guess(12), "401");
}

TEST_F(AccessTest, AGuesserLocksOutNoneWhoWasHereBefore) {
    Access access(tokens());
    EXPECT_EQ(role(access, kAna, now_), "ana:operator");
    for (int i = 0; i < 11; ++i) role(access, "guess-" + std::to_string(i), now_);
    EXPECT_EQ(role(access, kAna, now_), "ana:operator");
    EXPECT_EQ(role(access, kBob, now_), "429");
}

TEST_F(AccessTest, ThePageThatAsksWithAnOldTokenTriesNothing) {
    Access access(tokens());
    for (int i = 0; i < 100; ++i) EXPECT_EQ(role(access, "expired-token", now_), "401");
    EXPECT_EQ(role(access, kAna, now_), "ana:operator");
}

TEST(FailureLimitTest, TheTableIsBoundedAndAnAddressOfIpv6IsItsNetwork) {
    using detail::FailureLimit;
    FailureLimit limit({.failures_max = 1, .window = 60s, .addresses_max = 3});
    const auto peer = [](const std::string& text) {
        return FailureLimit::peer_of(asio::ip::make_address(text));
    };
    FailureLimit::Clock::time_point now{1h};
    for (int i = 0; i < 5; ++i) limit.failed(peer("10.0.0." + std::to_string(i)), {}, now += 1s);
    EXPECT_EQ(limit.size(), 3u);
    EXPECT_FALSE(limit.blocked(peer("10.0.0.1"), now));
    EXPECT_TRUE(limit.blocked(peer("10.0.0.2"), now));
    EXPECT_EQ(peer("2001:db8::1"), peer("2001:db8::2:3"));
    EXPECT_NE(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
    EXPECT_NE(peer("::1"), peer("0.0.0.1"));
}

}  // namespace
}  // namespace txstream::http
