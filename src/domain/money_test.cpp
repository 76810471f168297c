#include "domain/money.hpp"

#include "domain/test_support.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <string>

namespace txstream::domain {
namespace {

Money money(std::string_view text) {
    auto parsed = Money::parse(text, "amount");
    EXPECT_TRUE(parsed) << text;
    return parsed.value_or(Money());
}

std::string refusal(std::string_view text) {
    auto parsed = Money::parse(text, "unit_price");
    return parsed ? "accepted as " + to_string(*parsed) : parsed.error().what();
}

TEST(MoneyTest, EveryWayToWriteAnAmountWithTwoDecimalsIsRead) {
    for (const char* text : {"100", "100.0", "100.00", "100.000000", "1e2", "1E+2", "1.0e2"}) {
        EXPECT_EQ(money(text).cents(), 100'00) << text;
    }
    EXPECT_EQ(money("99.9").cents(), 99'90);
    EXPECT_EQ(money("99.99").cents(), 99'99);
    EXPECT_EQ(money("1.500").cents(), 1'50);
    EXPECT_EQ(money("0.05").cents(), 5);
    EXPECT_EQ(money("1e-2").cents(), 1);
    EXPECT_EQ(money("1500e-3").cents(), 1'50);
    EXPECT_EQ(money("-0.01").cents(), -1);
}

TEST(MoneyTest, EveryWayToWriteZeroIsZeroAndNotNegative) {
    for (const char* text : {"0", "-0", "0.00", "-0.000", "0e999999999999999999999", "0.0e-5"}) {
        EXPECT_EQ(money(text), Money()) << text;
        EXPECT_FALSE(money(text).is_negative()) << text;
    }
}

TEST(MoneyTest, MoreThanTwoDecimalsAreRefusedNotRounded) {
    for (const char* text :
         {"15.505", "0.001", "-0.001", "1e-3", "15505e-3", "1.0000000000000000000000000001"}) {
        EXPECT_EQ(refusal(text), "unit_price must have at most two decimals") << text;
    }
}

TEST(MoneyTest, WhatDoesNotFitIsRefusedHoweverItIsWritten) {
    const std::string long_number(5000, '9');
    for (const std::string& text :
         {std::string("1e17"),
          std::string("-1e17"),
          std::string("10000000000000000"),
          long_number,
          std::string("1e99999999999999999999999999")}) {
        EXPECT_EQ(refusal(text), "unit_price is out of range") << text;
    }
    EXPECT_EQ(
        refusal("1e-99999999999999999999999999"), "unit_price must have at most two decimals"
    );
    EXPECT_EQ(money("9999999999999999.99").cents(), 999'999'999'999'999'999);
}

TEST(MoneyTest, ManyZerosAreJudgedByTheValueOnly) {
    const std::string zeros(2000, '0');
    EXPECT_EQ(money("1." + zeros), Money::from_cents(100));
    EXPECT_EQ(money("0." + zeros + "1e2001"), Money::from_cents(100));
    EXPECT_EQ(money("1" + zeros + "e-2000"), Money::from_cents(100));
}

TEST(MoneyTest, WhatJsonDoesNotCallANumberIsRefused) {
    for (const char* text :
         {"",
          "-",
          "+1",
          "01",
          "1.",
          ".5",
          "1e",
          "1e+",
          "1,5",
          "NaN",
          "Infinity",
          "0x10",
          " 1",
          "1 ",
          "1.5.5",
          "--1",
          "1e2e3"}) {
        EXPECT_EQ(refusal(text), "unit_price must be a number") << text;
    }
}

TEST(MoneyTest, TextHasAlwaysTwoDecimals) {
    EXPECT_EQ(to_string(Money::from_cents(100'00)), "100.00");
    EXPECT_EQ(to_string(Money::from_cents(99'90)), "99.90");
    EXPECT_EQ(to_string(Money::from_cents(5)), "0.05");
    EXPECT_EQ(to_string(Money::from_cents(0)), "0.00");
    EXPECT_EQ(to_string(Money::from_cents(-1)), "-0.01");
    EXPECT_EQ(to_string(Money::from_cents(-123'45)), "-123.45");
    constexpr auto kLowest = std::numeric_limits<std::int64_t>::min();
    EXPECT_EQ(to_string(Money::from_cents(kLowest)), "-92233720368547758.08");
    EXPECT_EQ(to_string(kNumeric10Max), "99999999.99");
    EXPECT_EQ(to_string(kNumeric12Max), "9999999999.99");
}

TEST(MoneyTest, ThreeTimesATenthIsThreeTenths) {
    EXPECT_EQ(to_string(checked_multiply(money("0.1"), 3).value()), "0.30");
    EXPECT_EQ(to_string(checked_add(money("0.1"), money("0.2")).value()), "0.30");
}

TEST(MoneyTest, ArithmeticThatDoesNotFitGivesNothing) {
    const auto most = Money::from_cents(std::numeric_limits<std::int64_t>::max());
    EXPECT_FALSE(checked_add(most, Money::from_cents(1)));
    EXPECT_FALSE(checked_multiply(most, 2));
    EXPECT_EQ(checked_multiply(most, 1), most);
    EXPECT_EQ(checked_multiply(most, 0), Money());
}

// Aim: text and amount are two forms of one thing. Method: seeded amounts of all magnitudes, there
// and back, also with zeros and an exponent that change nothing.
TEST(MoneyTest, AnyAmountSurvivesTheWayThroughItsText) {
    const auto seed = test::seed();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    std::uniform_int_distribution<std::int64_t> cents(
        -999'999'999'999'999'999, 999'999'999'999'999'999
    );
    std::uniform_int_distribution<int> shift(0, 59);
    for (int i = 0; i < 20000; ++i) {
        const auto amount = Money::from_cents(cents(random) >> shift(random));
        const auto text = to_string(amount);
        ASSERT_EQ(money(text), amount) << text;
        ASSERT_EQ(money(text + "00"), amount) << text;
        ASSERT_EQ(money(std::to_string(amount.cents()) + "e-2"), amount) << text;
        ASSERT_EQ(refusal(text + "3"), "unit_price must have at most two decimals") << text;
    }
}

}  // namespace
}  // namespace txstream::domain
