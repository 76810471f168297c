#include "domain/currency.hpp"

#include <algorithm>
#include <array>

namespace txstream::domain {
namespace {

// ISO 4217, list one, of 2026, by the decimals of the minor unit. Left out are the codes that have
// no minor unit (metals, bond units, XDR, tests, "no currency"): no item is priced in them.
constexpr std::string_view kWithoutDecimals =
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
constexpr std::string_view kTwoDecimals =
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD "
    "CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP "
    "GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK "
    "LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO "
    "NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS "
    "SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST "
    "XAD XCD XCG YER ZAR ZMW ZWG";
constexpr std::string_view kThreeDecimals = "BHD IQD JOD KWD LYD OMR TND";
constexpr std::string_view kFourDecimals = "CLF UYW";

struct Group {
    std::string_view codes;
    int decimals;
};
constexpr std::array kGroups = {
    Group{kWithoutDecimals, 0},
    Group{kTwoDecimals, 2},
    Group{kThreeDecimals, 3},
    Group{kFourDecimals, 4},
};

}  // namespace

std::optional<int> currency_decimals(std::string_view code) noexcept {
    const auto is_capital = [](char c) { return c >= 'A' && c <= 'Z'; };
    if (code.size() != 3 || !std::ranges::all_of(code, is_capital)) return std::nullopt;
    for (const auto& group : kGroups) {
        // Codes are apart by a space, so three letters match a whole code or nothing.
        if (group.codes.find(code) != std::string_view::npos) return group.decimals;
    }
    return std::nullopt;
}

}  // namespace txstream::domain
