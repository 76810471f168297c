#include "http/test_support.hpp"

#include <gtest/gtest.h>

namespace txstream::http {
namespace {

using namespace test;
using namespace std::chrono_literals;

TEST_F(ServerTest, AnswersAndKeepsTheConnection) {
    Client client(start());
    for (int i = 0; i < 3; ++i) {
        const auto reply = client.ask(kHello);
        EXPECT_EQ(reply.status, 200);
        EXPECT_EQ(reply.body, "{\"hello\":true}");
        EXPECT_TRUE(reply.has("Content-Type: application/json\r\n"));
        EXPECT_TRUE(reply.has(" GMT\r\n"));
        EXPECT_FALSE(reply.closes());
    }
    EXPECT_EQ(counts().accepted, 1);
}

TEST_F(ServerTest, ClosesWhenTheClientSaysSo) {
    Client client(start());
    EXPECT_TRUE(client.ask("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").closes());
    EXPECT_TRUE(client.is_closed());
}

TEST_F(ServerTest, Http10ClosesUnlessItAsksToBeKept) {
    Client once(start());
    EXPECT_TRUE(once.ask("GET /hello HTTP/1.0\r\n\r\n").closes());
    EXPECT_TRUE(once.is_closed());
    Client kept(port_);
    EXPECT_TRUE(kept.ask("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                    .has("Connection: keep-alive\r\n"));
    EXPECT_EQ(kept.ask("GET /hello HTTP/1.0\r\n\r\n").status, 200);
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
    Client client(start());
    std::string all;
    for (int i = 0; i < 200; ++i) all += post(std::to_string(i));
    client.send(all);
    client.half_close();
    for (int i = 0; i < 200; ++i) {
        const auto reply = client.read();
        ASSERT_EQ(reply.status, 201);
        ASSERT_EQ(reply.body, std::to_string(i));
    }
    EXPECT_TRUE(client.is_closed());
}

// Aim: a client that sends many requests at once does not make others wait for all its answers.
// Method: the server's thread is held while 100 requests of one client and then one of another come
// in; the other one's is answered among the first.
TEST_F(ServerTest, ManyRequestsOfOneConnectionDoNotHoldUpAnother) {
    limits_.header_bytes_max = 16 * 1024;
    Client many(start());
    Client other(port_);
    EXPECT_EQ(many.ask(kHello).status, 200);
    EXPECT_EQ(other.ask(kHello).status, 200);
    on_loop([&] {
        std::string all;
        for (int i = 0; i < 100; ++i) all += "GET /items/1 HTTP/1.1\r\nHost: x\r\n\r\n";
        many.send(all);
        other.send(kHello);
    });
    EXPECT_EQ(other.read().status, 200);
    const auto all = seen(102);
    std::size_t place = 2;
    while (place < all.size() && all[place].route != "/hello") ++place;
    EXPECT_LT(place, 20u);
}

// Aim: no place where a request is cut changes what is understood. Method: one byte in each packet.
TEST_F(ServerTest, ARequestMayArriveByteByByte) {
    Client client(start());
    const std::string chunked =
        "\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: ignored\r\n\r\n";
    const std::string empty =
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n";
    for (const auto& request : {chunked, empty, post("hello world")}) {
        for (const char& byte : request) client.send({&byte, 1});
        const auto reply = client.read();
        EXPECT_EQ(reply.status, 201);
        EXPECT_EQ(reply.body, request == empty ? "" : "hello world");
    }
}

TEST_F(ServerTest, PathAndQueryAreDecoded) {
    Client client(start());
    auto reply = client.ask(
        "GET /items/S%C3%A3o%2FPaulo+1?q=a+b%26c&Limit=2&x&limit=1&limit=9 HTTP/1.1\r\n"
        "Host: x\r\n\r\n"
    );
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, "São/Paulo+1|1|2|a b&c");
    reply = client.ask("GET http://proxy.example/items/7?limit=3 HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(reply.body, "7|3|-|-");
}

TEST_F(ServerTest, ALineBreakInAValueBeginsNoHeader) {
    Client client(start());
    const auto reply = client.ask("GET /items/a%0d%0aEvil:%201 HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(reply.status, 200);
    EXPECT_FALSE(reply.has("\r\nEvil"));
}

TEST_F(ServerTest, ABrokenEscapeIsRefused) {
    start();
    for (const char* target :
         {"/items/%zz", "/items/%2", "/items/%00", "/items/%ff", "/hello?a=%c"}) {
        Client client(port_);
        const auto reply =
            client.ask("GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n\r\n");
        EXPECT_EQ(reply.status, 400) << target;
        EXPECT_TRUE(reply.closes());
    }
}

TEST_F(ServerTest, UnknownPathIs404AndTheConnectionGoesOn) {
    Client client(start());
    const auto reply = client.ask("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(reply.status, 404);
    EXPECT_EQ(reply.body, "{\"error\":\"no such path\"}");
    EXPECT_EQ(client.ask("GET /hello/ HTTP/1.1\r\nHost: x\r\n\r\n").status, 404);
    EXPECT_EQ(client.ask(kHello).status, 200);
    EXPECT_EQ(seen(1).at(0).route, "unmatched");
}

TEST_F(ServerTest, AnotherMethodIs405WithAllow) {
    Client client(start());
    auto reply = client.ask("DELETE /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(reply.status, 405);
    EXPECT_TRUE(reply.has("Allow: GET, HEAD, OPTIONS\r\n"));
    reply = client.ask("OPTIONS /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(reply.status, 204);
    EXPECT_TRUE(reply.has("Allow: POST, OPTIONS\r\n"));
    EXPECT_FALSE(reply.has("Content-Length"));
}

TEST_F(ServerTest, AnUnknownMethodIs501WhateverItsTarget) {
    Client client(start());
    for (const char* const line :
         {"BREW /hello", "get /hello", "BREW /nothing", "TRACE /hello", "BREW /hello"}) {
        const auto reply = client.ask(std::string(line) + " HTTP/1.1\r\nHost: x\r\n\r\n");
        EXPECT_EQ(reply.status, 501) << line;
        EXPECT_FALSE(reply.closes());
    }
    EXPECT_EQ(client.ask("CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n").status, 501);
}

TEST_F(ServerTest, OptionsOfTheServerItselfListsWhatAnyPathTakes) {
    Client client(start());
    const auto reply = client.ask("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(reply.status, 204);
    EXPECT_TRUE(reply.has("Allow: GET, HEAD, POST, OPTIONS\r\n")) << reply.head;
    EXPECT_EQ(client.ask(kHello).status, 200);
}

TEST_F(ServerTest, HeadIsGetWithoutTheBody) {
    Client client(start());
    client.send("HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    const auto reply = client.read(false);
    EXPECT_EQ(reply.status, 200);
    EXPECT_TRUE(reply.has("Content-Length: 14\r\n"));
    EXPECT_EQ(client.ask(kHello).body, "{\"hello\":true}");
}

TEST_F(ServerTest, TheBodyIsInvitedWhenTheClientWaitsForThat) {
    Client client(start());
    client.send(
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    );
    EXPECT_EQ(client.read().status, 100);
    const auto reply = client.ask("hello");
    EXPECT_EQ(reply.status, 201);
    EXPECT_EQ(reply.body, "hello");
}

TEST_F(ServerTest, ABodyThatIsTooLargeIsNotInvited) {
    Client client(start());
    EXPECT_EQ(
        client
            .ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n"
                 "Expect: 100-continue\r\n\r\n")
            .status,
        413
    );
    Client other(port_);
    EXPECT_EQ(other.ask(post("x", "Expect: wonders\r\n")).status, 417);
}

TEST_F(ServerTest, AnExceptionOfAHandlerIs500WithoutItsText) {
    Client client(start());
    const auto reply = client.ask("GET /throws HTTP/1.1\r\nHost: x\r\nX-Request-Id: abc-1\r\n\r\n");
    EXPECT_EQ(reply.status, 500);
    EXPECT_EQ(reply.body, "{\"error\":\"internal error\",\"request_id\":\"abc-1\"}");
    EXPECT_EQ(client.ask("GET /broken HTTP/1.1\r\nHost: x\r\n\r\n").status, 500);
    EXPECT_EQ(client.ask(kHello).status, 200);
    EXPECT_EQ(seen(1).at(0).failure, "exception: secret");
    EXPECT_EQ(seen(1).at(0).route, "/throws");
    EXPECT_EQ(seen(2).at(1).failure, "secret");
}

// Method: the server has read the head when it invites the body.
TEST_F(ServerTest, ARequestsTimeBeginsWithItsFirstByte) {
    Client client(start());
    client.send(
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    );
    EXPECT_EQ(client.read().status, 100);
    const auto invited = std::chrono::steady_clock::now();
    for (int i = 0; i < 1000; ++i) on_loop([] {});
    const auto paused = std::chrono::steady_clock::now() - invited;
    EXPECT_EQ(client.ask("hello").status, 201);
    EXPECT_GE(seen(1).at(0).duration, paused);
}

TEST_F(ServerTest, ConnectionsAndRequestsAreCountedUpAndDown) {
    Client client(start());
    client.send("GET /gate HTTP/1.1\r\nHost: x\r\n\r\n");
    entered_.get_future().get();
    EXPECT_EQ(counts().connections, 1);
    EXPECT_EQ(counts().requests, 1);
    on_loop([this] { gate_.cancel(); });
    EXPECT_EQ(client.read().status, 200);
    while (counts().requests > 0) std::this_thread::yield();
    client.half_close();
    EXPECT_TRUE(client.is_closed());
    while (counts().connections > 0) std::this_thread::yield();
}

TEST_F(ServerTest, ARequestIdIsKeptIfSaneAndElseMade) {
    Client client(start());
    EXPECT_TRUE(client.ask("GET /hello HTTP/1.1\r\nHost: x\r\nx-request-id: a.b:c_1\r\n\r\n")
                    .has("X-Request-Id: a.b:c_1\r\n"));
    EXPECT_FALSE(
        client.ask("GET /hello HTTP/1.1\r\nHost: x\r\nX-Request-Id: <b>\r\n\r\n").has("<b>")
    );
    client.ask(kHello);
    const auto all = seen(3);
    EXPECT_EQ(all.at(1).id.size(), 16u);
    EXPECT_NE(all.at(1).id, all.at(2).id);
}

TEST_F(ServerTest, StopAnswersWhatIsInFlightAndClosesTheRest) {
    start();
    Client idle(port_);
    EXPECT_EQ(idle.ask(kHello).status, 200);
    Client busy(port_);
    busy.send("GET /gate HTTP/1.1\r\nHost: x\r\n\r\n");
    entered_.get_future().get();
    auto stopped = stop(5s);
    EXPECT_TRUE(idle.is_closed());
    EXPECT_THROW(Client client(port_), boost::system::system_error);
    EXPECT_NE(stopped.wait_for(0s), std::future_status::ready);
    on_loop([this] { gate_.cancel(); });
    const auto reply = busy.read();
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, "through");
    EXPECT_TRUE(reply.closes());
    EXPECT_TRUE(busy.is_closed());
    stopped.get();
}

// Aim: a request that reached the kernel before stop() is answered although nobody has accepted it.
// Method: the loop is held while the client connects and sends.
TEST_F(ServerTest, StopAnswersRequestsThatWaitToBeAccepted) {
    start();
    std::promise<void> held;
    std::promise<void> release;
    asio::post(loop_, [&] {
        held.set_value();
        release.get_future().get();
        stops_.spawn(server_->stop(Deadline::in(5s)));
    });
    held.get_future().get();
    Client early(port_);
    early.send(kHello);
    release.set_value();
    const auto reply = early.read();
    EXPECT_EQ(reply.status, 200);
    EXPECT_TRUE(reply.closes());
}

TEST_F(ServerTest, StopWaitsNoLongerThanItsDeadline) {
    start();
    Client busy(port_);
    busy.send("GET /gate HTTP/1.1\r\nHost: x\r\n\r\n");
    entered_.get_future().get();
    stop(10ms).get();
    EXPECT_TRUE(busy.is_closed());
}

TEST_F(ServerTest, StopMayBeCalledTwiceAndWithoutStart) {
    start();
    auto first = stop(5s);
    auto second = stop(1s);
    first.get();
    second.get();
    asio::io_context loop;
    Server never(loop.get_executor(), router_, {}, {});
    runtime::TaskGroup group(loop.get_executor());
    group.spawn(never.stop(Deadline::in(5s)));
    group.spawn(never.stop(Deadline::in(5s)));
    loop.run();
    EXPECT_EQ(group.size(), 0u);
}

TEST_F(ServerTest, ATakenPortIsNamed) {
    start();
    Server second(loop_.get_executor(), router_, {}, {});
    const auto taken = second.listen("127.0.0.1", port_);
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code(), Code::conflict);
    EXPECT_EQ(taken.error().origin(), "EADDRINUSE");
    EXPECT_NE(taken.error().what().find(std::to_string(port_)), std::string::npos);
}

TEST_F(ServerTest, ARequestBelongsToTheTraceThatItsClientNames) {
    constexpr std::string_view kParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const auto with = [](std::string_view lines) {
        return "GET /hello HTTP/1.1\r\nHost: x\r\n" + std::string(lines) + "\r\n";
    };
    const auto parent = "TraceParent: " + std::string(kParent) + "\r\n";
    Client client(start());
    client.ask(with(parent + "tracestate: a=1\r\nTraceState: b=2\r\n"));
    client.ask(with(parent + "tracestate: not a member\r\n"));
    client.ask(with(parent + parent));
    client.ask(with("traceparent: 00-1-2-3\r\ntracestate: a=1\r\n"));
    client.ask(with("tracestate: a=1\r\n"));
    const auto all = seen(5);
    EXPECT_EQ(all[0].traceparent, kParent);
    EXPECT_EQ(all[0].tracestate, "a=1,b=2");
    EXPECT_EQ(all[1].traceparent, kParent) << "for a bad tracestate it alone is ignored";
    EXPECT_EQ(all[1].tracestate, "");
    for (std::size_t i = 2; i < 5; ++i) {
        EXPECT_EQ(all[i].status, 200);
        EXPECT_EQ(all[i].traceparent, "") << i;
        EXPECT_EQ(all[i].tracestate, "") << i;
    }
}

struct Nowhere final : telemetry::SpanSink {
    void take(telemetry::Span) override {}
};

TEST_F(ServerTest, WithATracerARequestIsASpanBelowItsClientsOrTheFirstOfATrace) {
    Nowhere sink;
    const telemetry::Tracer tracer(telemetry::Sampler(0, true), sink);
    tracer_ = &tracer;
    const std::string client_span = "00f067aa0ba902b7";
    const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-";
    const auto get = [](const std::string& target, const std::string& parent) {
        const auto line = parent.empty() ? "" : "traceparent: " + parent + "\r\n";
        return "GET " + target + " HTTP/1.1\r\nHost: x\r\n" + line + "\r\n";
    };
    Client client(start());
    client.ask(get("/items/7?limit=1", trace + client_span + "-01"));
    client.ask(get("/items/7", trace + client_span + "-00"));
    client.ask(get("/items/7", ""));
    client.ask(get("/" + std::string(300, 'x'), trace + client_span + "-01"));
    const auto all = seen(4);
    EXPECT_TRUE(all[0].traceparent.starts_with(trace) && all[0].traceparent.ends_with("-01"));
    EXPECT_EQ(all[0].traceparent.find(client_span), std::string::npos) << "a span of its own";
    EXPECT_EQ(telemetry::to_string(all[0].parent), client_span);
    EXPECT_EQ(all[0].path, "/items/7");
    EXPECT_TRUE(all[1].traceparent.starts_with(trace) && all[1].traceparent.ends_with("-00"));
    EXPECT_EQ(all[1].path, "") << "not sampled";
    EXPECT_EQ(all[2].parent, telemetry::SpanId());
    EXPECT_TRUE(all[2].traceparent.ends_with("-00")) << all[2].traceparent;
    EXPECT_EQ(all[2].traceparent.find(trace), std::string::npos);
    EXPECT_EQ(all[3].path.size(), 256U);
}

}  // namespace
}  // namespace txstream::http
