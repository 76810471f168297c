#include "domain/currency.hpp"

#include <gtest/gtest.h>

namespace txstream::domain {
namespace {

TEST(CurrencyTest, AnActiveCodeHasTheDecimalsOfItsMinorUnit) {
    for (const char* code : {"BRL", "USD", "EUR", "AED", "ZWG", "SLE"})
        EXPECT_EQ(currency_decimals(code), 2) << code;
    for (const char* code : {"JPY", "BIF", "XPF", "KRW"})
        EXPECT_EQ(currency_decimals(code), 0) << code;
    for (const char* code : {"KWD", "BHD", "TND"}) EXPECT_EQ(currency_decimals(code), 3) << code;
    for (const char* code : {"CLF", "UYW"}) EXPECT_EQ(currency_decimals(code), 4) << code;
}

TEST(CurrencyTest, EveryOtherTextIsNoCurrency) {
    for (const char* text :
         {"",  "US",  "USDX", "usd", "Usd", " USD", "USD ", "U D", "D E", "SD ", "R$",
          "€", "986", "XTS",  "XAU", "XDR", "BTC",  "ZZZ",  "HRK", "DEM", "ZWL", "ÃBR"})
        EXPECT_EQ(currency_decimals(text), std::nullopt) << text;
}

}  // namespace
}  // namespace txstream::domain
