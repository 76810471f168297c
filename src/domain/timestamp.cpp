#include "domain/timestamp.hpp"

#include "base/assert.hpp"

#include <string>

namespace txstream::domain {

namespace {

/// Reads digits and marks from the left; once something is missing, all that follows is, too.
class Reader {
public:
    explicit Reader(std::string_view left) : left_(left) {}

    bool is_at_end() const { return left_.empty(); }
    bool is_good() const { return is_good_; }
    bool next_is(std::string_view any_of) const {
        return !left_.empty() && any_of.find(left_.front()) != std::string_view::npos;
    }
    char mark(std::string_view any_of) {
        if (!next_is(any_of)) {
            is_good_ = false;
            return 0;
        }
        const char taken = left_.front();
        left_.remove_prefix(1);
        return taken;
    }
    int number(std::size_t digits) {
        int value = 0;
        for (std::size_t i = 0; i < digits; ++i) value = value * 10 + (mark("0123456789") - '0');
        return is_good_ ? value : 0;
    }
    std::chrono::microseconds decimals() {
        int micros = 0;
        int digits = 0;
        do {
            const int digit = number(1);
            if (digits < 6) micros = micros * 10 + digit;
            ++digits;
        } while (is_good_ && next_is("0123456789"));
        for (; digits < 6; ++digits) micros *= 10;
        return std::chrono::microseconds(micros);
    }

private:
    std::string_view left_;
    bool is_good_ = true;
};

std::chrono::minutes offset(Reader& in) {
    const char mark = in.mark("Zz+-");
    if (mark == 'Z' || mark == 'z') return {};
    const std::chrono::hours hours(in.number(2));
    in.mark(":");
    const auto ahead = hours + std::chrono::minutes(in.number(2));
    return mark == '-' ? -ahead : ahead;
}

void append_digits(std::string& out, unsigned value, std::size_t width) {
    out.append(width, '0');
    for (auto digit = out.rbegin(); value > 0; value /= 10)
        *digit++ = static_cast<char>('0' + value % 10);
}

}  // namespace

std::optional<Timestamp> parse_rfc3339(std::string_view text) {
    using namespace std::chrono;
    Reader in(text);
    const year years(in.number(4));
    in.mark("-");
    const month months(static_cast<unsigned>(in.number(2)));
    in.mark("-");
    const year_month_day date(years, months, day(static_cast<unsigned>(in.number(2))));
    if (!in.is_good() || !date.ok()) return std::nullopt;
    Timestamp time = sys_days(date);
    if (!in.is_at_end()) {
        in.mark("Tt ");
        const int hour = in.number(2);
        in.mark(":");
        const int minute = in.number(2);
        if (hour > 23 || minute > 59) return std::nullopt;
        time += hours(hour) + minutes(minute);
    }
    if (in.next_is(":")) {
        in.mark(":");
        const int second = in.number(2);
        if (second > 60) return std::nullopt;  // a leap second is the next minute's first
        time += seconds(second);
        if (in.next_is(".")) {
            in.mark(".");
            time += in.decimals();
        }
    }
    if (!in.is_at_end()) time -= offset(in);
    if (!in.is_good() || !in.is_at_end() || !has_rfc3339(time)) return std::nullopt;
    return time;
}

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
    // By hand: every event has one, and a formatter costs more than the rest of its record.
    append_digits(out, static_cast<unsigned>(static_cast<int>(date.year())), 4);
    out += '-';
    append_digits(out, static_cast<unsigned>(date.month()), 2);
    out += '-';
    append_digits(out, static_cast<unsigned>(date.day()), 2);
    out += 'T';
    append_digits(out, static_cast<unsigned>(clock.hours().count()), 2);
    out += ':';
    append_digits(out, static_cast<unsigned>(clock.minutes().count()), 2);
    out += ':';
    append_digits(out, static_cast<unsigned>(clock.seconds().count()), 2);
    if (const auto micros = clock.subseconds().count(); micros != 0) {
        out += '.';
        append_digits(out, static_cast<unsigned>(micros), 6);
    }
    out.push_back('Z');
}

}  // namespace txstream::domain
