#include "http/problem.hpp"

#include <gtest/gtest.h>

namespace txstream::http {
namespace {

TEST(ProblemTest, EachCodeHasItsStatus) {
    EXPECT_EQ(status_of(Code::invalid_input), 400);
    EXPECT_EQ(status_of(Code::not_found), 404);
    EXPECT_EQ(status_of(Code::conflict), 409);
    EXPECT_EQ(status_of(Code::unavailable), 503);
    EXPECT_EQ(status_of(Code::timed_out), 504);
    EXPECT_EQ(status_of(Code::overloaded), 503);
    EXPECT_EQ(status_of(Code::rejected), 422);
    EXPECT_EQ(status_of(Code::corrupt), 500);
    EXPECT_EQ(status_of(Code::cancelled), 503);
}

TEST(ProblemTest, TheClientSeesItsOwnMistake) {
    const auto response = problem(Error(Code::conflict, "order \"1\"\n exists"));
    EXPECT_EQ(response.status, 409);
    EXPECT_EQ(response.content_type, "application/json");
    EXPECT_EQ(response.body, R"({"error":"order \"1\"\n exists"})");
    EXPECT_EQ(response.failure, "");
}

TEST(ProblemTest, TheClientSeesNothingOfOurs) {
    const auto response = problem(Error(Code::overloaded, "pool of host db1 is empty"));
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.body, "");
    EXPECT_EQ(response.failure, "pool of host db1 is empty");
    ASSERT_EQ(response.headers.size(), 1u);
    EXPECT_EQ(response.headers[0].first, "Retry-After");
}

}  // namespace
}  // namespace txstream::http
