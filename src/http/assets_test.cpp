#include "http/assets.hpp"

#include "runtime/task_group.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <array>
#include <string>

namespace txstream::http {
namespace {

constexpr std::array<base::EmbeddedFile, 8> kFiles = {{
    {"assets/index-ab12cd34.js", "script"},
    {"assets/index-ab12cd34.js.br", "br"},
    {"assets/index-ab12cd34.js.gz", "gz"},
    {"assets/plain.svg", "<svg/>"},
    {"assets/style-B5nP5Hm1.css", "style"},
    {"index.html", R"(<script src="./assets/index-ab12cd34.js"></script><a title="a./b">./x</a>)"},
    {"index.html.br", "br"},
    {"robots.txt", "none"},
}};

struct Asked {
    int status;
    std::string type, body, encoding, cache, vary, etag;
};

Task<> call(const Router::Handler& handler, Request request, Response& response) {
    response = co_await handler(std::move(request));
}

Asked ask(
    const Router& router,
    std::string_view target,
    std::string_view encodings = {},
    std::string_view known = {},
    Method method = Method::get
) {
    auto request = Request::make(method, target).value();
    if (!encodings.empty()) request.headers.add("Accept-Encoding", encodings);
    if (!known.empty()) request.headers.add("If-None-Match", known);
    const auto match = router.find(request);
    if (match.handler == nullptr) return {match.refusal.status, {}, {}, {}, {}, {}, {}};
    asio::io_context loop;
    runtime::TaskGroup tasks(loop.get_executor());
    Response response;
    tasks.spawn(call(*match.handler, std::move(request), response));
    loop.run();
    Asked asked{response.status, response.content_type, response.body, {}, {}, {}, {}};
    for (const auto& [name, value] : response.headers) {
        if (name == "Content-Encoding") asked.encoding = value;
        if (name == "Cache-Control") asked.cache = value;
        if (name == "Vary") asked.vary = value;
        if (name == "ETag") asked.etag = value;
    }
    return asked;
}

class AssetsTest : public testing::Test {
protected:
    explicit AssetsTest(Assets::Files files = kFiles, std::string_view base = "/")
        : assets_(files, base) {
        assets_.add_to(router_);
        router_.set_base_path(base);
        router_.add(Method::get, "/api/known", [](Request) -> Task<Response> {
            co_return json(200, "{}");
        });
    }

    Assets assets_;
    Router router_;
};

TEST_F(AssetsTest, AHashedFileIsKeptForeverAndTheDocumentNever) {
    const auto script = ask(router_, "/assets/index-ab12cd34.js");
    EXPECT_EQ(script.status, 200);
    EXPECT_EQ(script.body, "script");
    EXPECT_EQ(script.type, "text/javascript; charset=utf-8");
    EXPECT_EQ(script.cache, "public, max-age=31536000, immutable");
    EXPECT_EQ(script.vary, "Accept-Encoding");
    EXPECT_EQ(ask(router_, "/assets/style-B5nP5Hm1.css").type, "text/css; charset=utf-8");
    const auto plain = ask(router_, "/assets/plain.svg");
    EXPECT_EQ(plain.cache, "no-cache");
    EXPECT_EQ(plain.type, "image/svg+xml");
    EXPECT_EQ(plain.vary, "");
    const auto document = ask(router_, "/");
    EXPECT_EQ(document.cache, "no-store");
    EXPECT_EQ(document.type, "text/html; charset=utf-8");
    EXPECT_EQ(document.etag, "");
    EXPECT_EQ(ask(router_, "/robots.txt").body, "none");
}

TEST_F(AssetsTest, TheEncodingIsTheOneThatTheClientLikesBest) {
    const auto encoding = [this](std::string_view accepted) {
        return ask(router_, "/assets/index-ab12cd34.js", accepted).encoding;
    };
    EXPECT_EQ(encoding("gzip, deflate, br, zstd"), "br");
    EXPECT_EQ(encoding("gzip"), "gzip");
    EXPECT_EQ(encoding("deflate"), "");
    EXPECT_EQ(encoding("br;q=0.5, gzip;q=0.8"), "gzip");
    EXPECT_EQ(encoding("br;q=0, gzip"), "gzip");
    EXPECT_EQ(encoding("*"), "br");
    EXPECT_EQ(encoding("*;q=0.1, br;q=0"), "gzip");
    EXPECT_EQ(encoding("gzip;q=0.5, identity"), "");
    EXPECT_EQ(encoding("gzip;q=1.0, identity;q=0.5"), "gzip");
    EXPECT_EQ(encoding("identity;q=0"), "");
    EXPECT_EQ(encoding("GZIP ; Q=0.001"), "gzip");
    for (const char* const malformed : {"gzip;q=2", "gzip;q=x", "gzip;q=0.1234", "gzip;x=1", ",;,"})
        EXPECT_EQ(encoding(malformed), "") << malformed;
    EXPECT_EQ(ask(router_, "/assets/index-ab12cd34.js", "gzip").body, "gz");
    EXPECT_EQ(ask(router_, "/assets/style-B5nP5Hm1.css", "gzip, br").encoding, "");
}

TEST_F(AssetsTest, WhatAClientHasIsNotSentAgain) {
    const auto script = ask(router_, "/assets/index-ab12cd34.js", "br");
    const auto again = ask(router_, "/assets/index-ab12cd34.js", "br", script.etag);
    EXPECT_EQ(again.status, 304);
    EXPECT_EQ(again.body, "");
    EXPECT_EQ(again.etag, script.etag);
    EXPECT_EQ(again.cache, script.cache);
    EXPECT_EQ(again.vary, "Accept-Encoding");
    const auto weak = "\"x\", W/" + script.etag;
    EXPECT_EQ(ask(router_, "/assets/index-ab12cd34.js", "br", weak).status, 304);
    EXPECT_EQ(ask(router_, "/assets/index-ab12cd34.js", "gzip", script.etag).status, 200);
}

TEST_F(AssetsTest, EveryPathOfThePageGetsTheDocument) {
    for (const char* const path :
         {"/",
          "/outbox",
          "/topics/txstream.events/messages",
          "/orders/a%2Fb",
          "/topics/a.js",
          "/index.html",
          "/apiary",
          "/topics/x?from=newest"})
        EXPECT_EQ(ask(router_, path).type, "text/html; charset=utf-8") << path;
    for (const char* const path :
         {"/api/unknown",
          "/api",
          "/assets/old-12345678.js",
          "/assets",
          "/favicon.ico",
          "/index.html.br",
          "/assets/index-ab12cd34.js.gz",
          "/.env"})
        EXPECT_EQ(ask(router_, path).status, 404) << path;
    EXPECT_EQ(ask(router_, "/api/known").body, "{}");
    EXPECT_EQ(ask(router_, "/outbox", {}, {}, Method::post).status, 404);
    EXPECT_EQ(ask(router_, "/outbox", {}, {}, Method::head).status, 200);
    // The list of what may be had is a table, and no path leads out of it.
    EXPECT_EQ(ask(router_, "/assets/../index.html").status, 404);
    EXPECT_EQ(ask(router_, "/assets/%2e%2e/robots.txt").status, 404);
}

class AssetsUnderAPathTest : public AssetsTest {
protected:
    AssetsUnderAPathTest() : AssetsTest(kFiles, "/ops/txstream/") {}
};

TEST_F(AssetsUnderAPathTest, TheDocumentNamesItsFilesFromTheRoot) {
    const std::string document =
        R"(<script src="/ops/txstream/assets/index-ab12cd34.js"></script><a title="a./b">./x</a>)";
    for (const char* const path :
         {"/ops/txstream/", "/ops/txstream", "/ops/txstream/topics/x", "/topics/x", "/"})
        EXPECT_EQ(ask(router_, path).body, document) << path;
    EXPECT_EQ(ask(router_, "/ops/txstream/assets/index-ab12cd34.js").body, "script");
    EXPECT_EQ(ask(router_, "/assets/index-ab12cd34.js").body, "script");
    EXPECT_EQ(ask(router_, "/ops/txstream/api/known").body, "{}");
    EXPECT_EQ(ask(router_, "/api/known").body, "{}");
    EXPECT_EQ(ask(router_, "/ops/txstream/api/unknown").status, 404);
}

class NoAssetsTest : public AssetsTest {
protected:
    NoAssetsTest() : AssetsTest({}) {}
};

TEST_F(NoAssetsTest, APageThatWasNotBuiltNamesTheRemedy) {
    for (const char* const path : {"/", "/outbox"}) {
        const auto asked = ask(router_, path);
        EXPECT_EQ(asked.status, 503);
        EXPECT_NE(asked.body.find("make build"), std::string::npos);
        EXPECT_EQ(asked.cache, "no-store");
    }
    EXPECT_EQ(ask(router_, "/api/known").status, 200);
    EXPECT_EQ(ask(router_, "/assets/index-ab12cd34.js").status, 404);
}

}  // namespace
}  // namespace txstream::http
