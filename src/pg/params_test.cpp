#include "pg/params.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace txstream::pg {
namespace {

std::string only(const Params& params) {
    EXPECT_EQ(params.values().size(), 1U);
    return params.values().front().bytes;
}

TEST(ParamsTest, KeepsTheOrderAndTellsNullFromEmpty) {
    const auto params = Params::of("", std::nullopt, std::optional<int>(), std::optional<int>(3));
    ASSERT_EQ(params.values().size(), 4U);
    EXPECT_FALSE(params.values()[0].is_null);
    EXPECT_TRUE(params.values()[1].is_null);
    EXPECT_TRUE(params.values()[2].is_null);
    EXPECT_EQ(params.values()[3].bytes, "3");
}

TEST(ParamsTest, WritesNumbersAsTheServerReadsThem) {
    EXPECT_EQ(only(Params::of(std::numeric_limits<std::int64_t>::min())), "-9223372036854775808");
    EXPECT_EQ(only(Params::of(std::uint16_t{65535})), "65535");
    EXPECT_EQ(only(Params::of(true)), "true");
}

// A double would silently become a boolean.
template <class T>
concept Addable = requires(Params params, T value) { params.add(value); };
static_assert(Addable<bool> && Addable<long> && !Addable<double> && !Addable<float>);

TEST(ParamsDeathTest, RefusesAnIntegerThatPostgresqlDoesNotHave) {
    EXPECT_DEATH(
        (void)Params::of(std::numeric_limits<std::uint64_t>::max()), "no integer of this size"
    );
}

TEST(ParamsTest, CopiesWhatItIsGiven) {
    std::string text = "before";
    const auto params = Params::of(text, std::string_view(text), text.c_str());
    text = "after!";
    for (const auto& value : params.values()) EXPECT_EQ(value.bytes, "before");
}

TEST(ParamsTest, SendsTextWithANulInBinarySoThatItIsNotCut) {
    const auto params = Params::of(std::string("a\0b", 3));
    EXPECT_TRUE(params.values()[0].is_binary);
    EXPECT_EQ(params.values()[0].bytes.size(), 3U);
}

TEST(ParamsTest, QuotesEveryElementOfATextArray) {
    const std::array<std::string, 6> texts{"plain", "", "NULL", R"(a"b)", R"(c\d)", "e,{f} g"};
    EXPECT_EQ(only(Params().add_texts(texts)), R"({"plain","","NULL","a\"b","c\\d","e,{f} g"})");
    EXPECT_EQ(only(Params().add_texts(std::span<const std::string>())), "{}");
}

TEST(ParamsTest, AnEmptyOptionalOfATextArrayIsNull) {
    const std::array<std::optional<std::string>, 3> texts{std::nullopt, "NULL", std::nullopt};
    EXPECT_EQ(only(Params().add_texts(texts)), R"({NULL,"NULL",NULL})");
}

TEST(ParamsTest, ProjectsTheElementsOfATextArray) {
    const std::array<std::pair<int, std::string>, 2> pairs{{{1, "a"}, {2, "b"}}};
    const auto second = &std::pair<int, std::string>::second;
    EXPECT_EQ(only(Params().add_texts(pairs, second)), R"({"a","b"})");
    const auto odd = [](const auto& pair) {
        return pair.first % 2 ? std::optional<std::string_view>(pair.second) : std::nullopt;
    };
    EXPECT_EQ(only(Params().add_texts(pairs, odd)), R"({"a",NULL})");
}

TEST(ParamsTest, ProjectsTheElementsOfAnIntegerArray) {
    const std::array<int, 3> numbers{1, -2, 3};
    EXPECT_EQ(only(Params().add_integers(numbers, [](int n) { return n * 10; })), "{10,-20,30}");
}

}  // namespace
}  // namespace txstream::pg
