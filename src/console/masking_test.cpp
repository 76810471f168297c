#include "console/masking.hpp"

#include <gtest/gtest.h>

namespace txstream::console {
namespace {

std::string masked(std::vector<std::string> paths, std::string_view payload) {
    return Masks::parse(std::move(paths)).value().apply(payload).value_or("hidden");
}

TEST(MaskingTest, SelectedValuesAreReplacedAndEveryOtherByteStays) {
    EXPECT_EQ(
        masked(
            {"$.shipping_address.*", "$.items[*].name"},
            "{ \"id\": 1.0e2,\t\"shipping_address\" : {\"street\":\"Rua \\\"A\\\"\", \"zip\" : 5, "
            "\"geo\":[1,{\"x\":2}]}, \"items\":[{\"name\":null,\"sku\":\"A\"},{\"name\":true}],"
            "\"id\": 01e }"
        ),
        "hidden"
    );
    EXPECT_EQ(
        masked(
            {"$.shipping_address.*", "$.items[*].name"},
            "{ \"id\": 1.0e2,\t\"shipping_address\" : {\"street\":\"Rua \\\"A\\\"\", \"zip\" : 5, "
            "\"geo\":[1,{\"x\":2}]}, \"items\":[{\"name\":null,\"sku\":\"A\"},{\"name\":true}],"
            "\"id\": -0 }\n"
        ),
        "{ \"id\": 1.0e2,\t\"shipping_address\" : {\"street\":\"•••\", \"zip\" : \"•••\", "
        "\"geo\":\"•••\"}, \"items\":[{\"name\":\"•••\",\"sku\":\"A\"},{\"name\":\"•••\"}],"
        "\"id\": -0 }\n"
    );
}

TEST(MaskingTest, EveryMemberOfAMaskedNameIsMaskedHoweverTheNameIsWritten) {
    EXPECT_EQ(
        masked({"$.email"}, R"({"email":"a","em\u0061il":"b","email":["c"],"Email":"d"})"),
        R"({"email":"•••","em\u0061il":"•••","email":"•••","Email":"d"})"
    );
}

TEST(MaskingTest, AMaskAppliesInTheEnvelopeOfARecordToo) {
    EXPECT_EQ(
        masked(
            {"$.shipping_address.*"},
            R"({"event_id":"e","event_data":{"shipping_address":{"zip":"1"}}})"
        ),
        R"({"event_id":"e","event_data":{"shipping_address":{"zip":"•••"}}})"
    );
}

TEST(MaskingTest, APathMayLookAtEveryDepth) {
    EXPECT_EQ(
        masked(
            {"$..email"},
            R"({"email":1,"a":[{"email":{"email":2}},[{"b":{"email":3}}]],"c":"email"})"
        ),
        R"({"email":"•••","a":[{"email":"•••"},[{"b":{"email":"•••"}}]],"c":"email"})"
    );
}

TEST(MaskingTest, OverlappingMasksAreOneMask) {
    EXPECT_EQ(masked({"$.a.b", "$.a", "$.a.*"}, R"({"a":{"b":1},"c":2})"), R"({"a":"•••","c":2})");
}

TEST(MaskingTest, WhatIsNoJsonIsHiddenAsAWhole) {
    const auto masks = Masks::parse({"$.a"}).value();
    EXPECT_FALSE(masks.apply("zip=01310"));
    EXPECT_FALSE(masks.apply(""));
    EXPECT_FALSE(masks.apply(R"({"a":1)"));
    EXPECT_FALSE(masks.apply("{\"a\":\"\xff\"}"));
    EXPECT_FALSE(masks.apply(std::string(1000, '[') + std::string(1000, ']')));
    EXPECT_EQ(masks.apply("17"), "17");
}

TEST(MaskingTest, AMaskThatIsNoPathIsRefusedWithItsPlace) {
    for (const auto* bad :
         {"", "a", "$", "$.", "$.a[", "$.a[x]", "$.a[0", "$.\"a", "$.a b", "$['a"}) {
        const auto parsed = Masks::parse({bad});
        ASSERT_FALSE(parsed) << bad;
        EXPECT_EQ(parsed.error().code(), Code::invalid_input);
        EXPECT_NE(parsed.error().what().find(bad), std::string::npos);
    }
}

JsonPath path_of(std::string_view text) {
    JsonPath path;
    std::size_t at = 0;
    EXPECT_EQ(parse_json_steps(text, at, path), "") << text;
    EXPECT_EQ(at, text.size());
    return path;
}

TEST(MaskingTest, AFilterThatCouldFindOutWhatIsMaskedIsRecognised) {
    const auto masks =
        Masks::parse({"$.shipping_address.*", "$..email", "$['odd name'][0]"}).value();
    for (const auto* revealing :
         {".shipping_address.zip",
          ".shipping_address",
          ".*",
          ".shipping_address.geo[0].x",
          ".email",
          ".a[3].email",
          ".email.x",
          ".\"odd name\"",
          ".\"odd name\"[*]",
          ".event_data.shipping_address.zip",
          "[0]"})
        EXPECT_TRUE(masks.may_reveal(path_of(revealing))) << revealing;
    EXPECT_FALSE(Masks::parse({"$.a.b", "$.c[1]"}).value().may_reveal(path_of(".a.c")));
    EXPECT_FALSE(Masks::parse({"$.a.b", "$.c[1]"}).value().may_reveal(path_of(".c[0]")));
    EXPECT_TRUE(Masks::parse({"$.a.b", "$.c[1]"}).value().may_reveal(path_of(".c[*]")));
}

}  // namespace
}  // namespace txstream::console
