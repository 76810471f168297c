#include "http/access.hpp"
#include "http/test_support.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>

namespace txstream::http {
namespace {

using namespace test;

constexpr std::string_view kTail = "GET /tail HTTP/1.1\r\nHost: x\r\n\r\n";

class ServerStreamTest : public ServerTest {
protected:
    ServerStreamTest() {
        router_.add(Method::get, "/three", [](Request) -> Task<Response> {
            Response response(200, "text/plain", {});
            response.stream = &ServerStreamTest::three;
            co_return response;
        });
        // Writes a line and then waits for what never happens.
        router_.add(Method::get, "/tail", [this](Request) -> Task<Response> {
            Response response(200, "text/event-stream", {});
            response.stream = [this](BodyWriter& writer) { return tail(writer); };
            co_return response;
        });
        // Writes for as long as the client takes it.
        router_.add(Method::get, "/flood", [this](Request) -> Task<Response> {
            Response response(200, "text/plain", {});
            response.stream = [this](BodyWriter& writer) { return flood(writer); };
            co_return response;
        });
        router_.add(Method::get, "/fails", [](Request) -> Task<Response> {
            Response response(200, "text/plain", {});
            response.stream = [](BodyWriter& writer) -> Task<> {
                co_await writer.write("half");
                throw std::runtime_error("secret");
            };
            co_return response;
        });
    }

    ~ServerStreamTest() override { shut_down(); }

    static Task<> three(BodyWriter& writer) {
        for (const char* const piece : {"one", "", "two", "three"}) co_await writer.write(piece);
        co_await writer.write(std::string(20000, 'x'));
    }
    Task<> tail(BodyWriter& writer) {
        const Ended ended(*this);
        co_await writer.write("first\n");
        boost::system::error_code error;
        if (!waits_for_stop_)
            co_await gate_.async_wait(asio::redirect_error(asio::use_awaitable, error));
        asio::steady_timer pause(loop_);
        while (writer.is_open() && !enough_) {
            pause.expires_after(1ms);
            co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
        }
        co_await writer.write("last\n");
    }
    Task<> takes_turns(BodyWriter& writer) {
        std::string_view text = "piece ";
        for (int i = 0; i < 4; ++i) {
            had_turn_ = false;
            asio::post(loop_, [this] { had_turn_ = true; });
            co_await writer.write(text);
            text = had_turn_ ? "yes " : "no ";
        }
    }
    Task<> flood(BodyWriter& writer) {
        const Ended ended(*this);
        const std::string piece(100000, 'x');
        while (co_await writer.write(piece)) {
        }
        refused_write_ = true;
    }

    struct Ended {
        explicit Ended(ServerStreamTest& with_test) : test(with_test) {}
        ~Ended() { ++test.ended_; }
        ServerStreamTest& test;
    };

    void wait_until_ended(int count) {
        const auto until = Deadline::in(20s);
        while (ended_ < count && !until.passed()) std::this_thread::yield();
        EXPECT_EQ(ended_, count);
    }

    std::atomic<int> ended_ = 0;
    std::atomic<bool> refused_write_ = false;
    std::atomic<bool> enough_ = false;
    bool had_turn_ = false;
    bool waits_for_stop_ = false;
};

TEST_F(ServerStreamTest, ABodyOfUnknownLengthComesInChunksAndTheConnectionGoesOn) {
    Client client(start());
    const auto reply = client.ask("GET /three HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(reply.status, 200);
    EXPECT_TRUE(reply.has("Transfer-Encoding: chunked\r\n"));
    EXPECT_FALSE(reply.has("Content-Length"));
    EXPECT_EQ(reply.body, "onetwothree" + std::string(20000, 'x'));
    EXPECT_EQ(client.ask(kHello).status, 200);
    const auto log = seen(2);
    EXPECT_EQ(log.at(0).route, "/three");
    EXPECT_TRUE(log.at(0).is_stream);
    EXPECT_FALSE(log.at(1).is_stream);
}

TEST_F(ServerStreamTest, AClientOfHttp10GetsTheBodyUntilTheConnectionEnds) {
    Client client(start());
    const auto reply = client.ask("GET /three HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(reply.status, 200);
    EXPECT_FALSE(reply.has("Transfer-Encoding"));
    EXPECT_TRUE(reply.closes());
    EXPECT_EQ(client.rest(), "onetwothree" + std::string(20000, 'x'));
}

TEST_F(ServerStreamTest, HeadMakesNoBody) {
    Client client(start());
    client.send("HEAD /tail HTTP/1.1\r\nHost: x\r\n\r\n");
    const auto reply = client.read(false);
    EXPECT_TRUE(reply.has("Transfer-Encoding: chunked\r\n"));
    EXPECT_EQ(client.ask(kHello).status, 200);
    EXPECT_EQ(ended_, 0);
}

TEST_F(ServerStreamTest, AClientThatGoesAwayEndsAHandlerThatWaits) {
    start();
    {
        Client client(port_);
        client.send(kTail);
        EXPECT_EQ(client.read(false).status, 200);
        EXPECT_EQ(client.chunk(), "first\n");
        EXPECT_EQ(counts().streams, 1);
    }
    wait_until_ended(1);
    const auto log = seen(1).at(0);
    EXPECT_EQ(log.failure, "");
    EXPECT_EQ(log.route, "/tail");
    while (counts().connections > 0) std::this_thread::yield();
    EXPECT_EQ(counts().streams, 0);
}

TEST_F(ServerStreamTest, AClientThatDoesNotReadEndsTheStream) {
    limits_.write_timeout = 20ms;
    Client client(start());
    client.small_window();
    client.send("GET /flood HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_until_ended(1);
    EXPECT_TRUE(refused_write_);
    EXPECT_EQ(counts().timed_out, 1);
    EXPECT_EQ(counts().buffered, 0);
}

// Aim: a handler whose client accepts everything at once does not keep the loop to itself. Method:
// it lets the loop do something, and looks after each piece whether that was done.
TEST_F(ServerStreamTest, AfterEveryPieceOthersRun) {
    router_.add(Method::get, "/fair", [this](Request) -> Task<Response> {
        Response response(200, "text/plain", {});
        response.stream = [this](BodyWriter& writer) { return takes_turns(writer); };
        co_return response;
    });
    Client client(start());
    EXPECT_EQ(client.ask("GET /fair HTTP/1.1\r\nHost: x\r\n\r\n").body, "piece yes yes yes ");
}

TEST_F(ServerStreamTest, AStoppingServerLetsAStreamSayGoodbye) {
    waits_for_stop_ = true;
    Client client(start());
    client.send(kTail);
    EXPECT_EQ(client.read(false).status, 200);
    EXPECT_EQ(client.chunk(), "first\n");
    auto stopped = stop(20s);
    EXPECT_EQ(client.chunk(), "last\n");
    EXPECT_EQ(client.chunk(), "");
    stopped.get();
}

TEST_F(ServerStreamTest, AStreamThatIgnoresTheStopIsCancelledAfterTheDrainTimeout) {
    limits_.drain_timeout = 20ms;
    Client client(start());
    client.send(kTail);
    EXPECT_EQ(client.read(false).status, 200);
    EXPECT_EQ(client.chunk(), "first\n");
    stop(20s).get();
    EXPECT_EQ(ended_, 1);
    EXPECT_TRUE(client.is_closed());
}

TEST_F(ServerStreamTest, TheDeadlineOfTheStopEndsAStreamToo) {
    Client client(start());
    client.send(kTail);
    EXPECT_EQ(client.read(false).status, 200);
    EXPECT_EQ(client.chunk(), "first\n");
    stop(10ms).get();
    EXPECT_EQ(ended_, 1);
}

TEST_F(ServerStreamTest, OneStreamTooManyIsTold) {
    limits_.streams_max = 2;
    start();
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 2; ++i) {
        clients.push_back(std::make_unique<Client>(port_));
        clients.back()->send(kTail);
        EXPECT_EQ(clients.back()->read(false).status, 200);
        EXPECT_EQ(clients.back()->chunk(), "first\n");
    }
    Client third(port_);
    const auto reply = third.ask(kTail);
    EXPECT_EQ(reply.status, 429);
    EXPECT_TRUE(reply.has("Retry-After: 5\r\n"));
    EXPECT_EQ(counts().streams_refused, 1);
    clients.pop_back();
    wait_until_ended(1);
    while (counts().streams > 1) std::this_thread::yield();
    third.send(kTail);
    EXPECT_EQ(third.read(false).status, 200);
    EXPECT_EQ(third.chunk(), "first\n");
}

TEST_F(ServerStreamTest, AHandlerThatFailsEndsTheConnectionAndNotTheBody) {
    Client client(start());
    client.send("GET /fails HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(client.read(false).status, 200);
    EXPECT_EQ(client.rest(), "4\r\nhalf\r\n");
    EXPECT_EQ(seen(1).at(0).failure, "exception: secret");
}

TEST_F(ServerStreamTest, WhatAClientSendsAheadIsAnsweredAfterTheStream) {
    waits_for_stop_ = true;
    Client client(start());
    client.send(kTail);
    EXPECT_EQ(client.read(false).status, 200);
    EXPECT_EQ(client.chunk(), "first\n");
    for (int i = 0; i < 3; ++i) client.send(kHello);
    enough_ = true;
    EXPECT_EQ(client.chunk(), "last\n");
    EXPECT_EQ(client.chunk(), "");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(client.read().status, 200);
}

TEST_F(ServerStreamTest, AStreamNeedsTheProofOfAWrite) {
    waits_for_stop_ = true;
    options_.admission = Admission({.pages = Admission::Pages::proof_needed});
    Client client(start());
    EXPECT_EQ(client.ask(kTail).status, 403);
    EXPECT_EQ(client.ask(kHello).status, 200);
    EXPECT_EQ(ended_, 0);
    client.send("GET /tail HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\n\r\n");
    EXPECT_EQ(client.read(false).status, 200);
    EXPECT_EQ(client.chunk(), "first\n");
}

TEST_F(ServerStreamTest, OfARouteThatIsAStreamTheProofIsAskedForBeforeItsHandlerRuns) {
    options_.admission = Admission({.pages = Admission::Pages::proof_needed});
    int asked = 0;
    router_.add(
        Method::get,
        "/dear",
        [&asked](Request) -> Task<Response> {
            ++asked;
            co_return Response(204);
        },
        Role::none,
        Router::Answer::stream
    );
    Client client(start());
    EXPECT_EQ(client.ask("GET /dear HTTP/1.1\r\nHost: x\r\n\r\n").status, 403);
    EXPECT_EQ(
        client.ask("GET /dear HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: cross-site\r\n\r\n").status,
        403
    );
    EXPECT_EQ(asked, 0);
    EXPECT_EQ(
        client.ask("GET /dear HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\n\r\n").status,
        204
    );
    EXPECT_EQ(asked, 1);
}

TEST_F(ServerStreamTest, ATokenThatIsNoLongerValidEndsWhatItOpened) {
    limits_.drain_timeout = 40ms;  // the server looks at its sessions four times in the shortest
    Access access(Tokens({.sessions_max = 1}));
    options_.access = &access;
    const auto open = [&access] {
        const auto now = Access::Clock::now();
        const auto link = access.tokens().issue_link({"test", Role::viewer}, now);
        return access.tokens().exchange(link.token, now).value().token;
    };
    const auto token = open();
    Client client(start());
    client.send("GET /tail HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n\r\n");
    EXPECT_EQ(client.read(false).status, 200);
    EXPECT_EQ(client.chunk(), "first\n");
    Client anonymous(port_);
    anonymous.send(kTail);
    EXPECT_EQ(anonymous.read(false).status, 200);
    EXPECT_EQ(anonymous.chunk(), "first\n");
    on_loop([&open] { open(); });
    wait_until_ended(1);
    EXPECT_TRUE(client.is_closed());
    EXPECT_EQ(counts().streams, 1);
    shut_down();
}

}  // namespace
}  // namespace txstream::http
