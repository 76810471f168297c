#include "console/record_filter.hpp"

#include "console/json_walk.hpp"
#include "domain/text.hpp"

#include <algorithm>
#include <charconv>
#include <concepts>
#include <utility>

namespace txstream::console {

namespace {

using Field = RecordFilter::Field;
using Operator = RecordFilter::Operator;
using Predicate = RecordFilter::Predicate;
using Record = kafka::FetchedRecord;

// ---- matching

bool holds(Operator op, std::strong_ordering order) {
    switch (op) {
        case Operator::equal:
            return order == 0;
        case Operator::unequal:
            return order != 0;
        case Operator::less:
            return order < 0;
        case Operator::at_most:
            return order <= 0;
        case Operator::greater:
            return order > 0;
        case Operator::at_least:
            return order >= 0;
        case Operator::contains:
            break;
    }
    return false;
}

bool text_holds(const Predicate& predicate, std::string_view text) {
    if (predicate.op == Operator::contains)
        return text.find(predicate.text) != std::string_view::npos;
    return holds(predicate.op, text <=> std::string_view(predicate.text));
}

template <class Text>
bool text_holds(const Predicate& predicate, const std::optional<Text>& text) {
    return text ? text_holds(predicate, std::string_view(*text))
                : predicate.op == Operator::unequal;
}

bool is_ordering(Operator op) {
    return op != Operator::equal && op != Operator::unequal && op != Operator::contains;
}

/// A string that is a number is compared as one where an order is asked for: amounts are often
/// written as strings. Whether it equals is a question of its characters.
bool string_holds(const Predicate& predicate, std::string_view text) {
    if (is_ordering(predicate.op)) {
        const auto wanted = Decimal::parse(predicate.text);
        if (wanted) {
            const auto found = Decimal::parse(text);
            return found && holds(predicate.op, *found <=> *wanted);
        }
    }
    return text_holds(predicate, text);
}

bool found_holds(const Predicate& predicate, const JsonFound& found) {
    switch (found.type) {
        case JsonType::object:
        case JsonType::array:
            return false;
        case JsonType::literal:
            return !is_ordering(predicate.op) && text_holds(predicate, found.text);
        case JsonType::string:
            if (found.text.find('\\') == std::string_view::npos)
                return string_holds(predicate, found.text.substr(1, found.text.size() - 2));
            return string_holds(predicate, json_string_text(found.text));
        case JsonType::number:
            break;
    }
    if (predicate.op == Operator::contains) return text_holds(predicate, found.text);
    const auto wanted = Decimal::parse(predicate.text);
    const auto number = Decimal::parse(found.text);
    // A number and a text that is none are unequal, and in no order.
    if (!wanted || !number) return predicate.op == Operator::unequal;
    return holds(predicate.op, *number <=> *wanted);
}

bool json_holds(const Predicate& predicate, const Record& record) {
    if (!record.value) return false;
    bool is_found = false;
    const bool is_good = walk_json(*record.value, predicate.path, [&](const JsonFound& found) {
        is_found = is_found || found_holds(predicate, found);
    });
    return is_good && is_found;
}

bool header_holds(const Predicate& predicate, const Record& record) {
    return std::ranges::any_of(record.headers, [&](const kafka::FetchedHeader& header) {
        return header.name == predicate.name && text_holds(predicate, header.value);
    });
}

bool predicate_holds(const Predicate& predicate, const Record& record) {
    switch (predicate.field) {
        case Field::key:
            return text_holds(predicate, record.key);
        case Field::value:
            return text_holds(predicate, record.value);
        case Field::type:
            return text_holds(predicate, event_type_of(record));
        case Field::header:
            return header_holds(predicate, record);
        case Field::json:
            return json_holds(predicate, record);
        case Field::size:
            return holds(
                predicate.op, static_cast<std::int64_t>(record.size()) <=> predicate.number
            );
        case Field::partition:
            return std::ranges::find(predicate.partitions, record.partition) !=
                   predicate.partitions.end();
        case Field::offset:
            return holds(predicate.op, record.offset <=> predicate.number);
        case Field::time:
            return holds(predicate.op, record.timestamp_ms <=> predicate.number);
        case Field::null:
            return !record.value;
    }
    return false;
}

// ---- parsing

constexpr std::pair<std::string_view, Field> kFields[]{
    {"key", Field::key},
    {"value", Field::value},
    {"type", Field::type},
    {"size", Field::size},
    {"p", Field::partition},
    {"offset", Field::offset},
    {"time", Field::time},
};

// The longer one first.
constexpr std::pair<std::string_view, Operator> kOperators[]{
    {"!=", Operator::unequal},
    {"<=", Operator::at_most},
    {">=", Operator::at_least},
    {":", Operator::equal},
    {"=", Operator::equal},
    {"~", Operator::contains},
    {"<", Operator::less},
    {">", Operator::greater},
};

constexpr std::pair<std::string_view, std::int64_t> kSizeUnits[]{
    {"", 1},
    {"B", 1},
    {"KB", 1000},
    {"KiB", 1024},
    {"MB", 1000 * 1000},
    {"MiB", 1024 * 1024},
};

template <std::integral Integer>
std::optional<Integer> integer(std::string_view text) {
    Integer value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<std::int64_t> parse_size(std::string_view text) {
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto value = integer<std::int64_t>(text.substr(0, digits));
    const auto* unit = std::ranges::find(
        kSizeUnits, text.substr(digits), &std::pair<std::string_view, std::int64_t>::first
    );
    if (!value || unit == std::end(kSizeUnits) || *value > (std::int64_t{1} << 40))
        return std::nullopt;
    return *value * unit->second;
}

class Parser {
public:
    Parser(std::string_view text, std::chrono::system_clock::time_point now)
        : text_(text), now_(now) {}

    tl::expected<std::vector<RecordFilter::Term>, RecordFilter::Error> all() {
        std::vector<RecordFilter::Term> terms;
        if (text_.size() > RecordFilter::kTextBytesMax) {
            fail(
                0, "a filter has at most " + std::to_string(RecordFilter::kTextBytesMax) + " bytes"
            );
        }
        while (error_.empty()) {
            skip_space();
            if (at_ == text_.size()) break;
            terms.push_back(term());
        }
        if (error_.empty()) return terms;
        return tl::unexpected(RecordFilter::Error{
            .column = domain::count_characters(text_.substr(0, error_at_)), .text = error_
        });
    }

private:
    RecordFilter::Term term() {
        RecordFilter::Term term;
        term.is_negated = take("-");
        Predicate last;
        do {
            if (++predicates_ > RecordFilter::kTermsMax) {
                fail(
                    at_,
                    "a filter has at most " + std::to_string(RecordFilter::kTermsMax) + " terms"
                );
                break;
            }
            last = predicate(term.any.empty() ? nullptr : &last);
            term.any.push_back(last);
        } while (error_.empty() && take("|"));
        if (error_.empty() && at_ < text_.size() && !is_space(text_[at_]))
            fail(at_, "expected a space or the end; a value with other characters needs quotes");
        return term;
    }

    /// `before`: what stood before "|", whose field and operator may be left out.
    Predicate predicate(const Predicate* before) {
        const auto begin = at_;
        Predicate parsed;
        if (take_word("null")) return parsed;
        if (field(parsed) && operator_(parsed)) {
            operand(parsed);
            return parsed;
        }
        if (before != nullptr && before->field != Field::null && error_.empty()) {
            at_ = begin;
            parsed = *before;
            parsed.text.clear();
            parsed.partitions.clear();
            operand(parsed);
            return parsed;
        }
        fail(
            begin,
            "expected key, value, type, header.NAME, json.PATH, size, p, offset, time or null, and "
            "an "
            "operator; text anywhere in the value is value~text"
        );
        return parsed;
    }

    /// False without an error: there is none here.
    bool field(Predicate& parsed) {
        if (take("header.")) {
            parsed.field = Field::header;
            return name(parsed.name);
        }
        if (text_.substr(at_).starts_with("json.") || text_.substr(at_).starts_with("json[")) {
            parsed.field = Field::json;
            at_ += 4;
            return path(parsed.path);
        }
        for (const auto& [word, field] : kFields) {
            if (!text_.substr(at_).starts_with(word) || !is_operator(at_ + word.size())) continue;
            at_ += word.size();
            parsed.field = field;
            return true;
        }
        return false;
    }

    bool name(std::string& out) {
        if (at_ < text_.size() && text_[at_] == '"') return quoted(out);
        const auto end = std::min(text_.find_first_of(":=!~<>| \t\r\n\"", at_), text_.size());
        if (end == at_) return fail(at_, "the header's name is missing");
        out = text_.substr(at_, end - at_);
        at_ = end;
        return true;
    }

    bool path(JsonPath& out) {
        if (auto error = parse_json_steps(text_, at_, out); !error.empty())
            return fail(at_, std::move(error));
        for (const auto& step : out.steps) {
            if (step.kind == JsonPath::Kind::descendant)
                return fail(at_, "a filter's path names each step; .. is not supported");
        }
        return true;
    }

    bool is_operator(std::size_t at) const {
        return std::ranges::any_of(kOperators, [&](const auto& known) {
            return text_.substr(std::min(at, text_.size())).starts_with(known.first);
        });
    }

    bool operator_(Predicate& parsed) {
        if (!error_.empty()) return false;
        const auto begin = at_;
        for (const auto& [word, op] : kOperators) {
            if (!take(word)) continue;
            parsed.op = op;
            if (may_have(parsed.field, op)) return true;
            return fail(begin, "this field cannot be compared with " + std::string(word));
        }
        return fail(at_, "expected an operator: : = != ~ < <= > >=");
    }

    static bool may_have(Field field, Operator op) {
        switch (field) {
            case Field::key:
            case Field::value:
            case Field::type:
            case Field::header:
                return !is_ordering(op);
            case Field::partition:
                return op == Operator::equal;
            case Field::size:
            case Field::offset:
            case Field::time:
                return op != Operator::contains;
            case Field::json:
                return true;
            case Field::null:
                break;
        }
        return false;
    }

    void operand(Predicate& parsed) {
        const auto begin = at_;
        if (at_ < text_.size() && text_[at_] == '"') {
            if (!quoted(parsed.text)) return;
        } else {
            const auto end = std::min(text_.find_first_of("| \t\r\n\"", at_), text_.size());
            parsed.text = text_.substr(at_, end - at_);
            at_ = end;
            // An empty text can be asked for, in quotes.
            if (parsed.text.empty()) {
                fail(begin, "the value is missing; an empty text is \"\"");
                return;
            }
            // "a>>1" is a slip of the hand, and would match another thing than it seems to.
            if (is_operator(begin)) {
                fail(
                    begin,
                    "a second operator; leave one out, or quote a value that begins with one: "
                    "\">\""
                );
                return;
            }
        }
        convert(parsed, begin);
    }

    void convert(Predicate& parsed, std::size_t begin) {
        std::optional<std::int64_t> number = 0;
        std::string_view expected;
        switch (parsed.field) {
            case Field::size:
                number = parse_size(parsed.text);
                expected = "expected a size such as 500, 10KB, 16KiB or 1MB";
                break;
            case Field::offset:
                number = integer<std::int64_t>(parsed.text);
                expected = "expected an offset: a whole number";
                break;
            case Field::time:
                number = parse_time(parsed.text, now_);
                expected =
                    "expected a time such as 2026-01-31T12:00:00Z, or a span back such as -1h";
                break;
            case Field::partition:
                expected = "expected partitions such as 0,2";
                if (!partitions(parsed)) number.reset();
                break;
            default:
                return;
        }
        if (!number) {
            fail(begin, std::string(expected));
            return;
        }
        parsed.number = *number;
    }

    static bool partitions(Predicate& parsed) {
        std::string_view left = parsed.text;
        while (true) {
            const auto comma = std::min(left.find(','), left.size());
            const auto partition = integer<std::int32_t>(left.substr(0, comma));
            if (!partition || *partition < 0) return false;
            parsed.partitions.push_back(*partition);
            if (comma == left.size()) return true;
            left.remove_prefix(comma + 1);
        }
    }

    bool quoted(std::string& out) {
        if (auto error = parse_quoted(text_, at_, out); !error.empty())
            return fail(at_, std::move(error));
        return true;
    }

    static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

    void skip_space() {
        while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    }

    bool take(std::string_view expected) {
        if (!text_.substr(at_).starts_with(expected)) return false;
        at_ += expected.size();
        return true;
    }

    bool take_word(std::string_view word) {
        const auto end = at_ + word.size();
        if (!text_.substr(at_).starts_with(word)) return false;
        if (end < text_.size() && !is_space(text_[end]) && text_[end] != '|') return false;
        at_ = end;
        return true;
    }

    /// Keeps the first one. Always false.
    bool fail(std::size_t at, std::string error) {
        if (error_.empty()) {
            error_ = std::move(error);
            error_at_ = std::min(at, text_.size());
        }
        return false;
    }

    std::string_view text_;
    std::chrono::system_clock::time_point now_;
    std::size_t at_ = 0;
    std::size_t predicates_ = 0;
    std::string error_;
    std::size_t error_at_ = 0;
};

// ---- times

std::optional<std::int64_t> parse_span_back(std::string_view text) {
    if (text.size() < 3 || text.front() != '-') return std::nullopt;
    const auto count = integer<std::int64_t>(text.substr(1, text.size() - 2));
    if (!count || *count < 0 || *count > 1'000'000'000) return std::nullopt;
    switch (text.back()) {
        case 's':
            return *count * 1000;
        case 'm':
            return *count * 60'000;
        case 'h':
            return *count * 3'600'000;
        case 'd':
            return *count * 86'400'000;
        default:
            return std::nullopt;
    }
}

/// The two digits, or four, at `at`.
std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
    if (at + count > text.size()) return std::nullopt;
    return text[at] == '-' ? std::nullopt : integer<int>(text.substr(at, count));
}

}  // namespace

std::optional<std::int64_t> parse_time(
    std::string_view text, std::chrono::system_clock::time_point now
) {
    using std::chrono::milliseconds;
    if (const auto back = parse_span_back(text)) {
        return std::chrono::floor<milliseconds>(now).time_since_epoch().count() - *back;
    }
    const auto year = digits(text, 0, 4);
    const auto month = digits(text, 5, 2);
    const auto day = digits(text, 8, 2);
    const auto hour = digits(text, 11, 2);
    const auto minute = digits(text, 14, 2);
    const auto second = digits(text, 17, 2);
    if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
    if (text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != ' ') ||
        text[13] != ':' || text[16] != ':')
        return std::nullopt;
    const std::chrono::year_month_day date{
        std::chrono::year{*year},
        std::chrono::month{static_cast<unsigned>(*month)},
        std::chrono::day{static_cast<unsigned>(*day)}
    };
    if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
    text.remove_prefix(19);
    std::int64_t ms = 0;
    if (text.starts_with('.')) {
        const auto end = std::min(text.find_first_not_of("0123456789", 1), text.size());
        if (end == 1) return std::nullopt;
        std::string fraction(text.substr(1, std::min<std::size_t>(end - 1, 3)));
        fraction.resize(3, '0');
        ms = integer<std::int64_t>(fraction).value_or(0);
        text.remove_prefix(end);
    }
    std::int64_t offset_minutes = 0;
    if (text != "Z" && text != "z") {
        const auto hours = digits(text, 1, 2);
        const auto minutes = digits(text, 4, 2);
        if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':' || !hours ||
            !minutes)
            return std::nullopt;
        offset_minutes = (*hours * 60 + *minutes) * (text[0] == '-' ? -1 : 1);
    }
    const auto days = std::chrono::sys_days(date).time_since_epoch().count();
    return ((static_cast<std::int64_t>(days) * 24 + *hour) * 60 + *minute - offset_minutes) *
               60'000 +
           *second * 1000 + ms;
}

std::optional<std::string_view> event_type_of(const kafka::FetchedRecord& record) {
    for (const std::string_view name : {"event_type", "ce_type"}) {
        for (const auto& header : record.headers) {
            if (header.name == name && header.value) return std::string_view(*header.value);
        }
    }
    return std::nullopt;
}

tl::expected<RecordFilter, RecordFilter::Error> RecordFilter::parse(
    std::string_view text, std::chrono::system_clock::time_point now
) {
    auto terms = Parser(text, now).all();
    if (!terms) return tl::unexpected(std::move(terms).error());
    RecordFilter filter;
    filter.terms_ = std::move(*terms);
    return filter;
}

bool RecordFilter::matches(const kafka::FetchedRecord& record) const {
    return std::ranges::all_of(terms_, [&](const Term& term) {
        const bool holds = std::ranges::any_of(term.any, [&](const Predicate& predicate) {
            return predicate_holds(predicate, record);
        });
        return holds != term.is_negated;
    });
}

}  // namespace txstream::console
