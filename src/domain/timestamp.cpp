#include "domain/timestamp.hpp"

#include "base/assert.hpp"

#include <fmt/format.h>

#include <iterator>

namespace txstream::domain {

bool has_rfc3339(Timestamp time) noexcept {
    using namespace std::chrono;
    constexpr Timestamp kFirst = sys_days(year(1) / January / 1);
    constexpr Timestamp kEnd = sys_days(year(10000) / January / 1);
    return time >= kFirst && time < kEnd;
}

void append_rfc3339(std::string& out, Timestamp time) {
    TXS_ASSERT(has_rfc3339(time), "RFC 3339 has years of four digits");
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss<std::chrono::microseconds> clock(time - day);
    auto end = fmt::format_to(
        std::back_inserter(out),
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        static_cast<int>(date.year()),
        static_cast<unsigned>(date.month()),
        static_cast<unsigned>(date.day()),
        clock.hours().count(),
        clock.minutes().count(),
        clock.seconds().count()
    );
    if (const auto micros = clock.subseconds().count(); micros != 0) {
        fmt::format_to(end, ".{:06}", micros);
    }
    out.push_back('Z');
}

}  // namespace txstream::domain
