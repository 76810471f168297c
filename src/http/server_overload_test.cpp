#include "http/test_support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <arpa/inet.h>
#include <fcntl.h>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

namespace txstream::http {
namespace {

using namespace test;
using namespace std::chrono_literals;

constexpr std::size_t kMiB = 1024 * 1024;

// Aim: clients that do not read hold no more than the limit together, and keep nobody else from
// being answered. Method: each asks for 32 MiB, and the limit has room for two.
TEST_F(ServerTest, AnswersThatNobodyTakesAreLimitedInSum) {
    limits_.buffer_bytes_max = 70 * kMiB;
    start();
    std::vector<std::unique_ptr<Client>> silent;
    for (int i = 0; i < 5; ++i) {
        silent.push_back(std::make_unique<Client>(port_));
        silent.back()->small_window();
        silent.back()->send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
        const int most = std::min(i + 1, 2);
        while (counts().broken_off < i - 1 || counts().connections < most)
            std::this_thread::yield();
        EXPECT_LE(counts().buffered, 70 * static_cast<int>(kMiB));
    }
    Client reader(port_);
    EXPECT_EQ(reader.ask(kHello).status, 200);
    EXPECT_EQ(reader.ask("GET /big HTTP/1.1\r\nHost: x\r\n\r\n").body.size(), 32 * kMiB);
    EXPECT_EQ(counts().broken_off, 4);
    silent.clear();
    while (counts().buffered > 0) std::this_thread::yield();
}

TEST_F(ServerTest, BodiesThatDoNotEndAreLimitedInSum) {
    limits_.body_bytes_max = kMiB;
    limits_.buffer_bytes_max = kMiB;
    start();
    const std::string head =
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(kMiB) + "\r\n\r\n";
    Client first(port_);
    first.send(head + std::string(600 * 1024, 'x'));
    while (counts().buffered < 500 * 1024) std::this_thread::yield();
    Client second(port_);
    second.send(head + std::string(600 * 1024, 'x'));
    const auto reply = first.read();
    EXPECT_EQ(reply.status, 503);
    EXPECT_TRUE(reply.has("Retry-After: 1\r\n"));
    EXPECT_TRUE(reply.closes());
    // Small requests need none of it.
    Client small(port_);
    EXPECT_EQ(small.ask(post(std::string(10 * 1024, 'x'))).status, 201);
    second.send(std::string(kMiB - 600 * 1024, 'x'));
    EXPECT_EQ(second.read().status, 201);
    EXPECT_EQ(counts().broken_off, 1);
    while (counts().buffered > 0) std::this_thread::yield();
}

/// All descriptors of this process but those already open, for as long as it lives.
class AllDescriptors {
public:
    AllDescriptors() {
        EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
        rlimit low = before_;
        low.rlim_cur = 200;
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
        for (int one = ::open("/dev/null", O_RDONLY); one >= 0; one = ::dup(one))
            taken_.push_back(one);
    }
    ~AllDescriptors() {
        for (const int one : taken_) ::close(one);
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before_), 0);
    }

private:
    rlimit before_{};
    std::vector<int> taken_;
};

// Aim: without a descriptor left, clients are turned away instead of waiting in the kernel's queue,
// the log is not filled, and all is well as soon as descriptors are free.
TEST_F(ServerTest, WithoutDescriptorsConnectionsAreClosedAtOnce) {
    Client early(start());
    EXPECT_EQ(early.ask(kHello).status, 200);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::vector<int> sockets(20);
    for (int& one : sockets) one = ::socket(AF_INET, SOCK_STREAM, 0);
    // UBSan looks at a type it has not seen before through a pipe, for which nothing will be left.
    const boost::system::error_code seen_before = asio::error::no_descriptors;
    EXPECT_FALSE(seen_before.message().empty());
    {
        const AllDescriptors none_left;
        for (const int one : sockets) {
            ASSERT_EQ(::connect(one, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
            char byte = 0;
            EXPECT_LE(::recv(one, &byte, 1, 0), 0);
        }
        EXPECT_EQ(early.ask(kHello).status, 200);
    }
    for (const int one : sockets) ::close(one);
    EXPECT_EQ(counts().refused, 20);
    EXPECT_EQ(counts().troubles, 1);
    Client late(port_);
    EXPECT_EQ(late.ask(kHello).status, 200);
}

TEST_F(ServerTest, AServerThatDrainsStillServesAndSaysGoodbye) {
    Client client(start());
    EXPECT_FALSE(client.ask(kHello).closes());
    on_loop([this] { server_->drain(); });
    EXPECT_TRUE(client.ask(kHello).closes());
    EXPECT_TRUE(client.is_closed());
    Client late(port_);
    EXPECT_TRUE(late.ask(post("x")).closes());
    Client refused(port_);
    EXPECT_TRUE(refused.ask("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n").closes());
}

// Aim: who sends slowly and who does not read holds up the stop no longer than drain_timeout, while
// its own deadline leaves handlers their time.
TEST_F(ServerTest, SlowClientsDoNotHoldUpTheStop) {
    limits_.drain_timeout = 20ms;
    start();
    Client sends(port_);
    sends.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel");
    Client begins(port_);
    begins.send("POST /echo HT");
    Client takes(port_);
    takes.small_window();
    takes.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    while (counts().buffered == 0) std::this_thread::yield();
    const auto before = Deadline::Clock::now();
    stop(60s).get();
    EXPECT_LT(Deadline::Clock::now() - before, 10s);
    EXPECT_EQ(sends.read().status, 408);
}

// Aim: what must be refused for its headers is refused before the body is invited or awaited.
TEST_F(ServerTest, WhatAWebPageMaySendIsRefusedBeforeItsBody) {
    options_.admission = Admission({.only_json = true, .checks_hosts = true, .hosts = {}});
    start();
    const auto status = [this](const std::string& lines) {
        Client client(port_);
        return client
            .ask(
                "POST /echo HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n" + lines +
                "\r\n"
            )
            .status;
    };
    const std::string json = "Content-Type: application/json\r\n";
    EXPECT_EQ(status("Host: localhost\r\n" + json), 100);
    EXPECT_EQ(status("Host: evil.example\r\n" + json), 403);
    EXPECT_EQ(status("Host: localhost\r\nContent-Type: text/plain\r\n"), 415);
    EXPECT_EQ(status("Host: localhost\r\nOrigin: http://evil.example\r\n" + json), 403);
    EXPECT_EQ(status("Host: localhost\r\nContent-Encoding: gzip\r\n" + json), 415);
    Client client(port_);
    const auto reply = client.ask("GET /hello HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    EXPECT_EQ(reply.status, 403);
    EXPECT_NE(reply.body.find("SERVER_ALLOWED_HOSTS"), std::string::npos);
}

}  // namespace
}  // namespace txstream::http
