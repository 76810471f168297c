#include "outbox/event_filter.hpp"

#include "base/text.hpp"
#include "base/utf8.hpp"
#include "domain/timestamp.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <utility>

namespace txstream::outbox {

namespace {

constexpr std::size_t kTextBytesMax = 4096 + 256;
constexpr std::size_t kValuesMax = 32;
constexpr std::int16_t kLaneMax = 255;
constexpr std::chrono::hours kSpanMax{24 * 365 * 100};

constexpr std::array kStates = {
    std::pair{EventState::pending, std::string_view("pending")},
    std::pair{EventState::published, std::string_view("published")},
    std::pair{EventState::parked, std::string_view("parked")},
    std::pair{EventState::replaying, std::string_view("replaying")},
    std::pair{EventState::replayed, std::string_view("replayed")},
    std::pair{EventState::discarded, std::string_view("discarded")},
};

template <class Number>
std::optional<Number> number_of(std::string_view text) noexcept {
    Number number{};
    const auto* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || rest != end || number < 0) return std::nullopt;
    return number;
}

bool is_hex(std::string_view text) {
    return text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

/// "90s", "5m", "1h", "7d".
std::optional<std::chrono::seconds> span_of(std::string_view text) {
    if (text.size() < 2) return std::nullopt;
    constexpr std::array kUnits = {
        std::pair{'s', std::chrono::seconds(1)},
        std::pair{'m', std::chrono::seconds(60)},
        std::pair{'h', std::chrono::seconds(3600)},
        std::pair{'d', std::chrono::seconds(86400)},
    };
    const auto* const unit =
        std::ranges::find(kUnits, text.back(), [](const auto& one) { return one.first; });
    const auto count = number_of<std::int32_t>(text.substr(0, text.size() - 1));
    if (unit == kUnits.end() || !count) return std::nullopt;
    const auto span = unit->second * *count;
    if (span > kSpanMax) return std::nullopt;
    return span;
}

struct Value {
    std::string text;
    std::size_t at;  ///< byte in the whole text
};

/// One qualifier, cut from the text.
struct Term {
    std::size_t at;
    std::string name;  ///< empty: a bare word
    std::size_t value_at;
    std::vector<Value> values;
    std::string whole;  ///< its value, with commas
};

class Parser {
public:
    Parser(std::string_view text, Time now) : text_(text), now_(now) {}

    ParsedFilter parse() {
        if (text_.size() > kTextBytesMax) fail_at(0, "the search is longer than 4,352 bytes");
        if (storable_text(text_, text_.size()) != text_)
            fail_at(0, "the search holds a NUL, or is not UTF-8");
        while (!failed()) {
            skip_blanks();
            if (at_ == text_.size()) break;
            apply(next_term());
        }
        return std::move(result_);
    }

private:
    bool failed() const { return result_.error.has_value(); }
    void fail_at(std::size_t byte, std::string text) {
        if (failed()) return;
        // Of a character's bytes, those that begin one.
        const auto column = std::ranges::count_if(text_.substr(0, byte), [](char c) {
            return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
        });
        result_.error = FilterError{static_cast<std::size_t>(column), std::move(text)};
    }
    void skip_blanks() {
        while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    }

    Term next_term() {
        Term term{.at = at_, .name = {}, .value_at = at_, .values = {}, .whole = {}};
        const auto end = text_.find_first_of(" :\"", at_);
        if (end != std::string_view::npos && text_[end] == ':') {
            term.name = text_.substr(at_, end - at_);
            at_ = end + 1;
            if (term.name.empty()) fail_at(term.at, "there is no qualifier before the colon");
        }
        term.value_at = at_;
        while (!failed()) {
            term.values.push_back(next_value());
            if (at_ == text_.size() || text_[at_] == ' ') break;
            if (text_[at_] != ',') {
                fail_at(at_, "behind the closing quote comes a blank or a comma");
                break;
            }
            ++at_;
        }
        for (const auto& value : term.values)
            term.whole += (term.whole.empty() ? "" : ",") + value.text;
        return term;
    }

    Value next_value() {
        Value value{.text = {}, .at = at_};
        if (at_ < text_.size() && text_[at_] == '"') {
            const auto end = text_.find('"', at_ + 1);
            if (end == std::string_view::npos) {
                fail_at(at_, "the quote is not closed");
                return value;
            }
            value.text = text_.substr(at_ + 1, end - at_ - 1);
            at_ = end + 1;
        } else {
            const auto end = std::min(text_.find_first_of(" ,", at_), text_.size());
            value.text = text_.substr(at_, end - at_);
            at_ = end;
        }
        if (value.text.empty()) fail_at(value.at, "a value is missing");
        return value;
    }

    void apply(const Term& term);
    void apply_id(const Term& term);
    void apply_created(const Term& term);
    void apply_trace(const Term& term);

    void one(const Term& term, std::optional<std::string>& member) {
        if (member) return fail_at(term.at, term.name + ": appears more than once");
        member = term.whole;
    }
    void many(const Term& term, std::vector<std::string>& member) {
        for (const auto& value : term.values) member.push_back(value.text);
        if (member.size() > kValuesMax) fail_at(term.at, term.name + ": has 32 values at most");
    }
    void states(const Term& term) {
        for (const auto& value : term.values) {
            const auto state = parse_event_state(value.text);
            if (!state)
                return fail_at(
                    value.at,
                    "a state is pending, published, parked, replaying, replayed or discarded"
                );
            result_.filter.states.push_back(*state);
        }
    }
    void lanes(const Term& term) {
        for (const auto& value : term.values) {
            const auto lane = number_of<std::int16_t>(value.text);
            if (!lane || lane > kLaneMax)
                return fail_at(value.at, "a lane is a number from 0 to 255");
            result_.filter.lanes.push_back(*lane);
        }
        if (result_.filter.lanes.size() > kValuesMax)
            fail_at(term.at, "lane: has 32 values at most");
    }

    std::string_view text_;
    Time now_;
    std::size_t at_ = 0;
    ParsedFilter result_;
};

void Parser::apply(const Term& term) {
    if (failed()) return;
    auto& filter = result_.filter;
    if (term.name.empty() || term.name == "id") return apply_id(term);
    if (term.name == "type") return many(term, filter.types);
    if (term.name == "aggregate_type") return many(term, filter.aggregate_types);
    if (term.name == "topic") return many(term, filter.topics);
    if (term.name == "error") return many(term, filter.error_classes);
    if (term.name == "aggregate") return one(term, filter.aggregate);
    if (term.name == "key") return one(term, filter.key);
    if (term.name == "order") return one(term, filter.order);
    if (term.name == "state") return states(term);
    if (term.name == "lane") return lanes(term);
    if (term.name == "trace") return apply_trace(term);
    if (term.name == "created") return apply_created(term);
    fail_at(
        term.at,
        "there is no qualifier of this name; there are id, type, aggregate, aggregate_type, key, "
        "order, state, error, lane, topic, trace and created"
    );
}

void Parser::apply_id(const Term& term) {
    auto& filter = result_.filter;
    if (filter.id || filter.ref || filter.event_id)
        return fail_at(term.at, "id: appears more than once");
    filter.id = number_of<std::int64_t>(term.whole);
    filter.ref = parse_event_ref(term.whole);
    if (is_uuid(term.whole)) filter.event_id = lowered(term.whole);
    if (filter.id || filter.ref || filter.event_id) return;
    fail_at(
        term.value_at,
        term.name.empty()
            ? "a word alone is an event's number, ID.XID or UUID; write key:, aggregate:, type: or "
              "another qualifier before all else"
            : "an id is a number, ID.XID or a UUID"
    );
}

// A traceparent may be pasted as it is.
void Parser::apply_trace(const Term& term) {
    constexpr std::size_t kTraceIdDigits = 32;
    std::string_view id = term.whole;
    if (id.size() == 55 && id[2] == '-') id = id.substr(3, kTraceIdDigits);
    if (id.size() != kTraceIdDigits || !is_hex(id))
        return fail_at(term.value_at, "a trace is 32 hexadecimal digits, or a whole traceparent");
    if (result_.filter.trace) return fail_at(term.at, "trace: appears more than once");
    result_.filter.trace = lowered(id);
}

void Parser::apply_created(const Term& term) {
    std::string_view text = term.whole;
    const char direction = text.empty() ? ' ' : text.front();
    if (direction != '<' && direction != '>')
        return fail_at(term.value_at, "created: needs > or <, as in created:>-1h");
    text.remove_prefix(1);
    if (text.starts_with('=')) text.remove_prefix(1);
    std::optional<Time> time = domain::parse_rfc3339(text);
    if (text.starts_with('-'))
        if (const auto span = span_of(text.substr(1))) time = now_ - *span;
    if (!time)
        return fail_at(
            term.value_at + 1,
            "a time is a span back such as -90s, -5m, -1h or -7d, or 2026-01-31T12:00:00Z"
        );
    auto& member = direction == '>' ? result_.filter.created_from : result_.filter.created_to;
    if (member) return fail_at(term.at, "created: has one > and one < at most");
    member = time;
}

}  // namespace

std::string_view to_string(EventState state) noexcept {
    return std::ranges::find(kStates, state, [](const auto& one) { return one.first; })->second;
}

std::optional<EventState> parse_event_state(std::string_view word) noexcept {
    const auto* const found =
        std::ranges::find(kStates, word, [](const auto& one) { return one.second; });
    if (found == kStates.end()) return std::nullopt;
    return found->first;
}

std::optional<EventSeq> parse_event_ref(std::string_view text) noexcept {
    const auto dot = text.find('.');
    if (dot == std::string_view::npos) return std::nullopt;
    const auto id = number_of<std::int64_t>(text.substr(0, dot));
    const auto xid = number_of<std::int64_t>(text.substr(dot + 1));
    if (!id || !xid) return std::nullopt;
    return EventSeq(*id, *xid);
}

std::string event_ref(EventSeq seq) {
    return std::to_string(seq.id()) + "." + std::to_string(seq.xid());
}

ParsedFilter parse_event_filter(std::string_view text, Time now) {
    return Parser(text, now).parse();
}

}  // namespace txstream::outbox
