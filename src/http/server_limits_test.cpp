#include "http/test_support.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace txstream::http {
namespace {

using namespace test;
using namespace std::chrono_literals;

TEST_F(ServerTest, ABodyOfTheLimitIsTakenAndOneByteMoreIsRefused) {
    Client client(start());
    EXPECT_EQ(client.ask(post(std::string(1024, 'x'))).status, 201);
    const auto reply = client.ask(post(std::string(1025, 'x')));
    EXPECT_EQ(reply.status, 413);
    EXPECT_EQ(reply.body, "{\"error\":\"the body is larger than 1024 bytes\"}");
    EXPECT_TRUE(reply.closes());
    client.half_close();
    EXPECT_TRUE(client.is_closed());
}

TEST_F(ServerTest, AChunkedBodyHasTheSameLimit) {
    Client client(start());
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    const std::string chunk = "200\r\n" + std::string(512, 'x') + "\r\n";
    for (int i = 0; i < 3; ++i) client.send(chunk);
    EXPECT_EQ(client.read().status, 413);
}

TEST_F(ServerTest, TheAnswerToAMuchTooLargeBodyStillArrives) {
    Client client(start());
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n");
    client.send(std::string(4000000, 'x'));
    EXPECT_EQ(client.read().status, 413);
}

TEST_F(ServerTest, HeadersBeyondTheLimitAreRefused) {
    Client client(start());
    const auto head = [](std::size_t size) {
        std::string request = "GET /hello HTTP/1.1\r\nHost: x\r\nX-Filler: ";
        return request + std::string(size - request.size() - 4, 'x') + "\r\n\r\n";
    };
    EXPECT_EQ(client.ask(head(500)).status, 200);
    EXPECT_EQ(client.ask(head(600)).status, 431);
    Client endless(port_);
    EXPECT_EQ(endless.ask(std::string(4096, 'x')).status, 431);
    Client in_a_chunk(port_);
    in_a_chunk.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;");
    EXPECT_EQ(in_a_chunk.ask(std::string(4096, 'x')).status, 400);
}

TEST_F(ServerTest, WhatIsMalformedOrHasTwoReadingsIs400) {
    start();
    const std::vector<std::string> requests = {
        "nonsense\r\n\r\n",
        "GET /hello HTTP/1.1\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET /hello HTTP/2.0\r\nHost: x\r\n\r\n",
        "GET hello HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /hello HTTP/1.1\nHost: x\n\n",
        "GET /hello HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: "
        "chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    };
    for (const auto& request : requests) {
        Client client(port_);
        const auto reply = client.ask(request);
        EXPECT_EQ(reply.status, 400) << request;
        EXPECT_TRUE(reply.closes());
        EXPECT_TRUE(reply.has("Content-Type: application/json\r\n"));
        EXPECT_TRUE(reply.body.starts_with("{\"error\":\"")) << reply.body;
    }
    EXPECT_EQ(seen(1).at(0).route, "malformed");
}

TEST_F(ServerTest, ASlowRequestTimesOut) {
    limits_.read_timeout = 20ms;
    Client client(start());
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel");
    const auto reply = client.read();
    EXPECT_EQ(reply.status, 408);
    EXPECT_TRUE(reply.closes());
    Client silent(port_);
    EXPECT_TRUE(silent.is_closed());
    EXPECT_GE(counts().timed_out, 1);
}

// Aim: what arrives without a pause cannot hold a connection beyond the time of a request. Method:
// tiny chunks as fast as they go until the time is long over, so that the server's look at the
// clock always finds a read that is already done; then silence.
TEST_F(ServerTest, ARequestThatNeverPausesTimesOutToo) {
    limits_.read_timeout = 40ms;
    limits_.body_bytes_max = 1 << 30;
    for (int round = 0; round < 3; ++round) {
        Client client(round == 0 ? start() : port_);
        client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        std::string chunks;
        for (int i = 0; i < 200; ++i) chunks += "1\r\nx\r\n";
        const auto until = Deadline::in(4 * limits_.read_timeout);
        while (!until.passed()) client.send(chunks);
        EXPECT_EQ(client.read().status, 408);
    }
    EXPECT_EQ(counts().timed_out, 3);
}

TEST_F(ServerTest, AnAnswerThatIsTakenTooSlowlyIsBrokenOffThoughItFlows) {
    limits_.write_timeout = 20ms;
    Client client(start());
    client.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_LT(client.read().body.size(), 32U * 1024 * 1024);
    EXPECT_EQ(counts().timed_out, 1);
}

TEST_F(ServerTest, AnIdleConnectionIsClosed) {
    limits_.idle_timeout = 20ms;
    Client client(start());
    EXPECT_EQ(client.ask(kHello).status, 200);
    EXPECT_TRUE(client.is_closed());
}

TEST_F(ServerTest, AClientThatDoesNotReadIsGivenUp) {
    limits_.write_timeout = 20ms;
    Client client(start());
    client.small_window();
    client.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    while (counts().timed_out == 0) std::this_thread::yield();
    while (counts().connections > 0) std::this_thread::yield();
}

TEST_F(ServerTest, ALargeBodyArrivesWhole) {
    Client client(start());
    EXPECT_EQ(client.ask("GET /big HTTP/1.1\r\nHost: x\r\n\r\n").body.size(), 32u * 1024 * 1024);
    EXPECT_EQ(client.ask(kHello).status, 200);
}

TEST_F(ServerTest, OneConnectionTooManyIsTold) {
    limits_.connections_max = 2;
    Client first(start());
    EXPECT_EQ(first.ask(kHello).status, 200);
    {
        Client second(port_);
        EXPECT_EQ(second.ask(kHello).status, 200);
        Client third(port_);
        const auto reply = third.ask(kHello);
        EXPECT_EQ(reply.status, 503);
        EXPECT_TRUE(reply.has("Retry-After: 1\r\n"));
        EXPECT_TRUE(reply.closes());
        EXPECT_EQ(first.ask(kHello).status, 200);
    }
    while (counts().connections > 1) std::this_thread::yield();
    Client fourth(port_);
    EXPECT_EQ(fourth.ask(kHello).status, 200);
    EXPECT_EQ(counts().refused, 1);
}

TEST_F(ServerTest, ThoseWhoWereRefusedKeepNobodyOut) {
    limits_.connections_max = 2;
    limits_.linger_timeout = 20s;
    std::vector<std::unique_ptr<Client>> refused;
    {
        Client first(start());
        Client second(port_);
        EXPECT_EQ(first.ask(kHello).status, 200);
        EXPECT_EQ(second.ask(kHello).status, 200);
        for (int i = 0; i < 10; ++i) {
            refused.push_back(std::make_unique<Client>(port_));
            EXPECT_EQ(refused.back()->ask(kHello).status, 503);
        }
    }
    while (counts().connections > 0) std::this_thread::yield();
    for (int i = 0; i < 3; ++i) {
        Client next(port_);
        EXPECT_EQ(next.ask(kHello).status, 200);
    }
    EXPECT_EQ(counts().refused, 10);
}

// Aim: no bytes end the process or hang a session. Method: valid requests with random damage, sent
// in two pieces; each gets an answer or a close, and the server lives.
TEST_F(ServerTest, DamagedRequestsNeverHurtTheServer) {
    limits_.read_timeout = 1ms;
    limits_.linger_timeout = 1ms;
    start();
    const auto seed = testing::UnitTest::GetInstance()->random_seed();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(static_cast<unsigned>(seed));
    const std::string good =
        "POST /echo?a=%41 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\nhello\r\n0\r\nT: 1\r\n\r\n";
    for (int round = 0; round < 300; ++round) {
        std::string bad = good;
        for (auto times = random() % 4; times > 0; --times) {
            const auto at = random() % bad.size();
            switch (random() % 3) {
                case 0:
                    bad[at] = static_cast<char>(random());
                    break;
                case 1:
                    bad.erase(at, random() % 4);
                    break;
                default:
                    bad.insert(at, bad.substr(random() % bad.size(), 3));
                    break;
            }
        }
        Client client(port_);
        const auto cut = random() % bad.size();
        client.send(bad.substr(0, cut));
        client.send(bad.substr(cut));
        client.half_close();
        (void)client.read();  // only that it ends matters
    }
    limits_.read_timeout = 5s;
    EXPECT_EQ(counts().accepted, 300);
}

}  // namespace
}  // namespace txstream::http
