#include "http/detail/token_file.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace txstream::http::detail {
namespace {

constexpr std::string_view kSecret = "s3cret-s3cret-s3cret";

TEST(TokenFileTest, ALineIsANameARoleAndATokenOrItsDigest) {
    const auto file = parse_token_file(
        "# operators\n\n"
        "ana operator  s3cret-s3cret-s3cret\r\n"
        "\tbob.b viewer\tsha256:"
        "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD\n"
        "ana viewer 0123456789abcdef",
        "tokens"
    );
    ASSERT_TRUE(file) << file.error().what();
    ASSERT_EQ(file->lines.size(), 3u);
    EXPECT_EQ(file->lines[0].name, "ana");
    EXPECT_EQ(file->lines[0].role, Role::operator_);
    EXPECT_EQ(file->lines[0].digest, digest_of(kSecret));
    EXPECT_EQ(file->lines[1].name, "bob.b");
    EXPECT_EQ(file->lines[1].role, Role::viewer);
    EXPECT_EQ(file->lines[1].digest, digest_of("abc"));
    EXPECT_TRUE(file->has_plain_tokens);
    EXPECT_FALSE(parse_token_file("a viewer sha256:" + std::string(64, '0'), "x")->has_plain_tokens
    );
}

TEST(TokenFileTest, AnErrorNamesTheLineAndTheRemedyAndQuotesNothing) {
    const std::string secret(kSecret);
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"ana " + secret, "needs three fields: NAME ROLE TOKEN"},
        {"ana operator " + secret + " # new", "needs three fields"},
        {secret + " operator ana", "the token must have at least 16 characters; make one: openssl"},
        {"ana " + secret + " operator", "the role must be viewer or operator"},
        {"ana Operator " + secret, "the role must be viewer or operator"},
        {"ana none " + secret, "the role must be viewer or operator"},
        {"a/na viewer " + secret, "the name must be"},
        {"ana viewer 0123456789abcde", "at least 16 characters"},
        {"ana viewer sha256:" + secret, "sha256: needs 64 hexadecimal digits"},
        {"ana viewer " + secret + "\xc3\xa3", "letters, digits"},
        {"bob viewer " + secret + "\nana viewer " + secret, "the same token as line 2"},
    };
    for (const auto& [text, what] : cases) {
        const auto file = parse_token_file("# comment\n" + text, "FILE");
        ASSERT_FALSE(file) << text;
        const auto& error = file.error().what();
        EXPECT_TRUE(error.starts_with("FILE, line 2: ") || error.starts_with("FILE, line 3: "))
            << error;
        EXPECT_NE(error.find(what), std::string::npos) << error;
        EXPECT_EQ(error.find("s3cret"), std::string::npos) << error;
    }
    EXPECT_NE(
        parse_token_file("# none\n", "FILE").error().what().find("holds no token"),
        std::string::npos
    );
}

TEST(DigestTest, ARandomTokenIs43CharactersOfBase64url) {
    const auto first = random_token();
    EXPECT_EQ(first.size(), 43u);
    EXPECT_EQ(
        first.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
        std::string::npos
    );
    EXPECT_NE(first, random_token());
}

}  // namespace
}  // namespace txstream::http::detail
