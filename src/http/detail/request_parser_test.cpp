#include "http/detail/request_parser.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace txstream::http::detail {
namespace {

constexpr RequestParser::Limits kLimits{{512, 128, 20}, 1024};

RequestParser begun() {
    RequestParser parser(kLimits);
    parser.begin(Deadline::in(std::chrono::seconds(30)));
    return parser;
}

/// As a session does it: what the parser left is offered again with more behind it. Returns how
/// many bytes came before it had enough.
std::size_t feed(RequestParser& parser, std::string_view bytes, std::size_t piece) {
    std::size_t taken = 0;
    std::size_t come = 0;
    while (come < bytes.size() && !parser.finished()) {
        come = std::min(come + piece, bytes.size());
        taken += parser.feed(bytes.substr(taken, come - taken));
    }
    return come;
}

/// 0: more is wanted; 200: complete; else the refusal.
int outcome(const RequestParser& parser) {
    if (parser.refusal()) return parser.refusal()->status;
    return parser.finished() ? 200 : 0;
}

// Every input is understood in the same way however it is cut.
void expect_outcome(const std::string& bytes, int wanted) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{7}, bytes.size()}) {
        auto parser = begun();
        feed(parser, bytes, piece);
        EXPECT_EQ(outcome(parser), wanted) << "in pieces of " << piece << ": " << bytes;
    }
}

std::string get(std::string_view lines, std::string_view target = "/a") {
    return "GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n" + std::string(lines) + "\r\n";
}

std::string post(std::string_view lines, std::string_view body) {
    return "POST /a HTTP/1.1\r\nHost: x\r\n" + std::string(lines) + "\r\n" + std::string(body);
}

std::string chunked(std::string_view body) {
    return post("Transfer-Encoding: chunked\r\n", body);
}

TEST(RequestParserTest, WhatTheGrammarDoesNotAllowIsRefused) {
    for (const auto& bytes : std::vector<std::string>{
             get(" folded: 1\r\n"),
             get("A: 1\r\n 2\r\n"),
             get("A: 1\r\n\t2\r\n"),
             get("A : 1\r\n"),
             get("A\t: 1\r\n"),
             get(": 1\r\n"),
             get("A\r\n"),
             get("A: 1\rB: 2\r\n"),
             get("A: 1\nB: 2\r\n"),
             get("A: 1\r\r\n"),
             get(std::string("A: 1\0\r\n", 7)),
             get("A: \x01\r\n"),
             get("A: \x7f\r\n"),
             get("A(b): 1\r\n"),
             get("\xc3\xa3: 1\r\n"),
             get("", "/a b"),
             get("", "/a\x01"),
             get("", "/a\xc3\xa3"),
             get("", "/a#b"),
             get("", "/a\"b"),
             get("", "/a<b>"),
             get("", "/a\\b"),
             get("", "/a?b=|"),
             get("", "*"),
             get("", "a"),
             get("", "x:80"),
             get("", "http://"),
             get("", "http:///a"),
             get("", "http://user@x/a"),
             get("", "ftp://x/a"),
             get("Host: x\r\n"),
             "GET /a HTTP/1.1\r\n\r\n",
             "GET /a HTTP/1.1\r\nHost:\r\n\r\n",
             "GET /a HTTP/1.1\r\nHost: a, b\r\n\r\n",
             "GET /a HTTP/1.1\r\nHost: a b\r\n\r\n",
             "GET /a HTTP/1.1\r\nHost: u@x\r\n\r\n",
             "GET /a HTTP/1.1\r\nHost: x/y\r\n\r\n",
             "GET /a HTTP/1.1\r\nHost: x:y\r\n\r\n",
             "GET /a HTTP/1.1\r\nHost: x:99999\r\n\r\n",
             "GET /a HTTP/1.1\r\nHost: [::1\r\n\r\n",
             "GET  /a HTTP/1.1\r\nHost: x\r\n\r\n",
             "GET /a HTTP/1.1 \r\nHost: x\r\n\r\n",
             " GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
             "GET /a\r\nHost: x\r\n\r\n",
             "GET /a HTTP/1.2\r\nHost: x\r\n\r\n",
             "GET /a HTTP/2.0\r\nHost: x\r\n\r\n",
             "GET /a http/1.1\r\nHost: x\r\n\r\n",
             "G(T /a HTTP/1.1\r\nHost: x\r\n\r\n",
             "\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n",
             "\rGET /a HTTP/1.1\r\nHost: x\r\n\r\n",
             "\x16\x03\x01",  // how TLS begins
         })
        expect_outcome(bytes, 400);
}

TEST(RequestParserTest, ABodyWhoseEndCanBeReadInTwoWaysIsRefused) {
    for (const char* const lines :
         {"Content-Length: 5, 5\r\n",
          "Content-Length: 5\r\nContent-Length: 5\r\n",
          "Content-Length: 5\r\ncontent-length: 6\r\n",
          "Content-Length: +5\r\n",
          "Content-Length: -5\r\n",
          "Content-Length: 0x5\r\n",
          "Content-Length: 5 5\r\n",
          "Content-Length: 5;\r\n",
          "Content-Length:\r\n",
          "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
          "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
          "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
          "Transfer-Encoding: chunked, chunked\r\n",
          "Transfer-Encoding: gzip, chunked\r\n",
          "Transfer-Encoding: identity\r\n",
          "Transfer-Encoding: xchunked\r\n",
          "Transfer-Encoding:\r\n",
          "Expect: 100-continue\r\nExpect: 100-continue\r\n",
          "Content-Type: a/b\r\nContent-Type: c/d\r\n",
          "Origin: a\r\nOrigin: b\r\n"})
        expect_outcome(post(lines, "hello"), 400);
    expect_outcome("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
    expect_outcome(post("Content-Length: 99999999999999999999999\r\n", ""), 413);
    expect_outcome(post("Expect: 100-continue, wonders\r\nContent-Length: 0\r\n", ""), 417);
    for (const char* const coding : {"gzip", "identity, gzip", "br", "x"})
        expect_outcome(
            post("Content-Length: 5\r\nContent-Encoding: " + std::string(coding) + "\r\n", "hello"),
            415
        );
}

TEST(RequestParserTest, AChunkThatIsNotExactlyItsSizeIsRefused) {
    for (const char* const body :
         {"zz\r\n",
          "\r\n",
          ";x\r\n",
          "-1\r\n",
          "0x5\r\nhello\r\n",
          "5 \r\nhello\r\n",
          " 5\r\nhello\r\n",
          "5\nhello",
          "5\r5",
          "5\r\nhello!",
          "5\r\nhello\rx",
          "5\r\nhello\n",
          "5;a\nb\r\n",
          "5;a\rb\r\n",
          "5;\x01\r\n",
          "000000005\r\n",
          "0\r\n folded: 1\r\n",
          "0\r\nA : 1\r\n",
          "0\r\nA: 1\nB: 2\r\n",
          "0\r\nA: 1\rB: 2\r\n",
          "0\r\nno colon\r\n"})
        expect_outcome(chunked(body), 400);
    for (const char* const body : {"401\r\n", "fffffff\r\n", "ffffffff\r\n"})
        expect_outcome(chunked(body), 413);
    expect_outcome(chunked("200\r\n" + std::string(512, 'x') + "\r\n201\r\n"), 413);
}

TEST(RequestParserTest, WhatTheGrammarAllowsIsTaken) {
    for (const auto& bytes : std::vector<std::string>{
             get("A:1\r\nB:\r\nC: \t x y \t\r\nD: \xe3\r\n"),
             get("", "/a?b[]=1&c=%20+d"),
             get("", "HTTP://X:80?a=1"),
             get("", "http://[::1]:8080/"),
             "GET /a HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
             "GET /a HTTP/1.1\r\nHost: X.example.:80\r\n\r\n",
             "\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n",
             "GET /a HTTP/1.0\r\n\r\n",
             "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
             post("Content-Length: 5\r\nContent-Encoding: Identity\r\n", "hello"),
             post("Content-Length: 005\r\n", "hello"),
             post("Expect: 100-Continue\r\nContent-Length: 5\r\n", "hello"),
             chunked("0\r\n\r\n"),
             chunked("5 ; a=\"b\"\r\nhello\r\n0;x\r\nA: 1\r\nB: 2\r\n\r\n"),
             chunked("00000005\r\nhello\r\n000\r\n\r\n"),
         })
        expect_outcome(bytes, 200);
}

TEST(RequestParserTest, TheBodyIsTheSameHoweverItIsCut) {
    for (const auto& bytes :
         {chunked("5;e\r\nhello\r\n6\r\n world\r\n0\r\nT: 1\r\n\r\n"),
          post("Content-Length: 11\r\n", "hello world")}) {
        for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
            auto parser = begun();
            const std::string next = bytes + bytes;
            std::size_t taken = 0;
            std::size_t come = 0;
            while (!parser.finished()) {
                come = std::min(come + piece, next.size());
                taken += parser.feed(std::string_view(next).substr(taken, come - taken));
            }
            EXPECT_EQ(taken, bytes.size());
            EXPECT_EQ(parser.request().body, "hello world");
            EXPECT_EQ(parser.request().header("T"), std::nullopt);
        }
    }
}

/// Repeats `line` behind `begin` for ever, and expects a refusal before `bytes_max` have come.
void expect_end(std::string begin, std::string_view line, int status, std::size_t bytes_max) {
    for (const std::size_t piece : {1u, 3u, 64u, 4096u}) {
        std::string bytes = begin;
        while (bytes.size() < 64 * 1024) bytes += line;
        auto parser = begun();
        const auto come = feed(parser, bytes, piece);
        EXPECT_EQ(outcome(parser), status) << begin << line;
        EXPECT_LE(come, bytes_max + piece) << begin << line;
    }
}

// Aim: a limit counts every byte of a request, also those already consumed. Method: what may repeat
// repeats without end, in small and in large packets.
TEST(RequestParserTest, NothingOfARequestIsEndless) {
    const std::string begin = "GET /a HTTP/1.1\r\nHost: x\r\n";
    expect_end(begin, "Aaaa: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n", 431, 513);
    expect_end(begin, "a:\r\n", 431, begin.size() + 4 * 20 + 2);
    expect_end(begin + "A: ", "x", 431, 513);
    expect_end(begin, "x", 431, 513);
    expect_end("", "\r\n", 431, 513);
    expect_end("", "x", 431, 513);
    expect_end("GET /", "x", 414, 5 + 128);
    expect_end("GET /?", "a&", 414, 5 + 128);
    expect_end("GET /a HTTP/1.1", " ", 414, 513);
    const std::string body = chunked("");
    expect_end(chunked("5;"), "x", 400, body.size() + 2 + 513);
    expect_end(body, "1;xxxxxxxx\r\nx\r\n", 400, body.size() + 15 * 58);
    expect_end(body, "1\r\nx\r\n", 413, body.size() + 6 * 1025);
    expect_end(body, "0", 400, body.size() + 9);
    expect_end(chunked("5"), " ", 400, body.size() + 1 + 513);
    expect_end(
        chunked("0\r\n"), "A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n", 431, body.size() + 600
    );
    expect_end(chunked("0\r\n"), "a:\r\n", 431, body.size() + 3 + 4 * 21);
    expect_end(chunked("0\r\nA: "), "x", 431, body.size() + 6 + 513);
}

TEST(RequestParserTest, WhetherAConnectionGoesOnFollowsVersionAndHeader) {
    const auto goes_on = [](std::string_view version, std::string_view lines) {
        auto parser = begun();
        const auto bytes =
            "GET / " + std::string(version) + "\r\nHost: x\r\n" + std::string(lines) + "\r\n";
        feed(parser, bytes, bytes.size());
        return parser.keep_alive();
    };
    EXPECT_TRUE(goes_on("HTTP/1.1", ""));
    EXPECT_FALSE(goes_on("HTTP/1.1", "Connection: close\r\n"));
    EXPECT_FALSE(goes_on("HTTP/1.1", "Connection: x, Close ,y\r\n"));
    EXPECT_FALSE(goes_on("HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
    EXPECT_FALSE(goes_on("HTTP/1.0", ""));
    EXPECT_TRUE(goes_on("HTTP/1.0", "Connection: Keep-Alive\r\n"));
    EXPECT_FALSE(goes_on("HTTP/1.0", "Connection: close, keep-alive\r\n"));
}

}  // namespace
}  // namespace txstream::http::detail
