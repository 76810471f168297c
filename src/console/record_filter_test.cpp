#include "console/record_filter.hpp"

#include "console/json_walk.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace txstream::console {
namespace {

using Record = kafka::FetchedRecord;

// 2026-11-27T10:00:00Z
const std::chrono::system_clock::time_point kNow{std::chrono::milliseconds(1'795'773'600'000)};

RecordFilter filter(std::string_view text) {
    auto parsed = RecordFilter::parse(text, kNow);
    EXPECT_TRUE(parsed) << text << ": " << parsed.error().text;
    return parsed.value_or(RecordFilter());
}

Record order_record() {
    return {
        .partition = 2,
        .offset = 1234,
        .timestamp_ms = 1'795'773'600'000 - 60'000,
        .timestamp_type = kafka::TimestampType::create,
        .key = "order-17",
        .value =
            R"({"id":9223372036854775807,"total_amount":100.10,"odd name":{"x":null,"é":"a|b c"},
            "city":"S\u00e3o Paulo","paid":true,"items":[{"sku":"A","n":1},{"sku":"B\"C","n":-0.0}],"price":"12.50"})",
        .headers =
            {{"event_type", "OrderCreated"},
             {"traceparent", "00-4bf92f35-01"},
             {"retry", "1"},
             {"retry", "2"},
             {"empty", ""},
             {"absent", std::nullopt}},
    };
}

bool matches(std::string_view text, const Record& record = order_record()) {
    return filter(text).matches(record);
}

TEST(RecordFilterTest, EachFieldAndOperatorOfTheGrammarMatchesWhatItSays) {
    for (const auto* yes :
         {"",
          "  ",
          "key:order-17",
          "key=order-17",
          "key~r-1",
          "key!=x",
          "-key:x",
          "value~Paulo",
          "value~\"\\\"sku\\\"\"",
          "type:OrderCreated",
          "type:OrderShipped|OrderCreated",
          "type:X|key~17",
          "type:X|null|p:2",
          "header.traceparent~4bf92",
          "header.retry:2",
          "header.\"retry\"=1",
          "header.empty:\"\"",
          "header.absent!=x",
          "json.total_amount>100.00",
          "json.total_amount=100.1",
          "json.total_amount=1001e-1",
          "json.total_amount!=100",
          "json.total_amount~0.1",
          "json.id=9223372036854775807",
          "json.id>9223372036854775806",
          "json.id<9223372036854775808",
          "json.items[*].sku=A",
          "json.items[0].sku:A",
          "json.items[1].sku=\"B\\\"C\"",
          "json.items[*].n=0",
          "json.items[1].n=-0",
          "json.items[*].n<=0e5",
          "json.\"odd name\".x=null",
          "json.\"odd name\".é=\"a|b c\"",
          "json[\"odd name\"].é~\"b c\"",
          "json.city=\"São Paulo\"",
          "json.city~ão",
          "json.paid=true",
          "json.price>12.4999",
          "json.price=12.50",
          "json.price>=12.5",
          "json.*~Paulo",
          "size>100",
          "size<10KB",
          "size<=1MiB",
          "p:0,2",
          "p:2",
          "offset>=1234",
          "offset:1234",
          "offset<1235",
          "time>-1h",
          "time>=2026-11-27T09:59:00Z",
          "time<2026-11-27T11:00:00.5+01:00",
          "-null",
          "-key:x -type:y p:2",
          "-type:x|y"})
        EXPECT_TRUE(matches(yes)) << yes;
    for (const auto* no :
         {"key:order",
          "key~x",
          "-key:order-17",
          "value~PAULO",
          "type:OrderCreate",
          "type:A|B",
          "header.nothing~x",
          "header.absent:\"\"",
          "header.retry:3",
          "json.total_amount>100.10",
          "json.total_amount=100.11",
          "json.id=9223372036854775806",
          "json.id>9223372036854775807",
          "json.items[2].sku=A",
          "json.items.sku=A",
          "json.nothing=null",
          "json.nothing!=1",
          "json.items~sku",
          "json.\"odd name\"~x",
          "json.paid=1",
          "json.city>A1 null",
          "json.price=12.5",
          "size>10KB",
          "p:0,1",
          "p:1",
          "offset>1234",
          "time<-1h",
          "null",
          "-type:x|OrderCreated",
          "key:order-17 p:0",
          "json.city<5",
          "json.total_amount<abc"})
        EXPECT_FALSE(matches(no)) << no;
}

TEST(RecordFilterTest, ARecordWithoutKeyOrValueIsNotOneWithAnEmptyOne) {
    Record tombstone{.key = "k"};
    EXPECT_TRUE(matches("null", tombstone));
    EXPECT_FALSE(matches("value:\"\"", tombstone));
    EXPECT_TRUE(matches("value!=x", tombstone));
    EXPECT_FALSE(matches("json.a=1", tombstone));
    Record empty{.value = ""};
    EXPECT_FALSE(matches("null", empty));
    EXPECT_TRUE(matches("value:\"\"", empty));
    EXPECT_FALSE(matches("key:\"\"", empty));
    EXPECT_FALSE(matches("json.a!=1", empty));
}

TEST(RecordFilterTest, OfMembersWithTheSameNameAnyCountsAndWhatIsNoJsonMatchesNoTerm) {
    EXPECT_TRUE(matches("json.a=1", {.value = R"({"a":2,"a":1,"a":3})"}));
    EXPECT_TRUE(matches("json.a=1", {.value = R"({"\u0061":1})"}));
    EXPECT_TRUE(matches("json[1]=2", {.value = "[1,2]"}));
    for (const auto* broken :
         {R"({"a":1)",
          R"({"a":1}})",
          R"({"a":1,})",
          R"({"a":01})",
          R"({"a":1} x)",
          "{\"b\":\"\xc3\",\"a\":1}"})
        EXPECT_FALSE(matches("json.a=1", {.value = broken})) << broken;
    const std::string deep =
        R"({"a":1,"b":)" + std::string(5000, '[') + std::string(5000, ']') + "}";
    EXPECT_FALSE(matches("json.a=1", {.value = deep}));
}

TEST(RecordFilterTest, AnErrorNamesTheColumnInCharactersAndWhatIsExpected) {
    const std::pair<const char*, std::size_t> cases[]{
        {"foo", 0},
        {"key:a foo", 6},
        {"key:\"São Paulo\" value~\"x", 22},
        {"key:", 4},
        {"key", 0},
        {"key>a", 3},
        {"json.", 5},
        {"json.a", 6},
        {"json.a[", 7},
        {"json.a[x]=1", 7},
        {"json.a..b=1", 9},
        {"json.=1", 5},
        {"header.=1", 7},
        {"size>10XB", 5},
        {"size~1", 4},
        {"p:0,", 2},
        {"p:-1", 2},
        {"p>1", 1},
        {"offset:x", 7},
        {"time>yesterday", 5},
        {"time>2026-02-30T00:00:00Z", 5},
        {"key:\"a\"b", 7},
        {"key:a|", 6},
        {"null|b", 5},
        {"é:a", 0},
        {"json.a>>", 7},
        {"json.a>>5", 7},
        {"json.a=>5", 7},
        {"json.a==5", 7},
        {"json.a<>5", 7},
        {"json.a=~x", 7},
        {"json.a!5", 6},
        {"json.a >5", 6},
        {"json.a> 5", 7},
        {"json.a:|5", 7},
        {"json.a:5||6", 9},
        {"json.a:5|=6", 9},
        {"json[0", 6},
        {"json[-1]=1", 5},
        {"json[1.5]=1", 6},
        {"json[99999999999999999999]=1", 5},
        {"json['a]=1", 5},
        {"json:1", 0},
        {"key::a", 4},
        {"key:~a", 4},
        {"key!a", 0},
        {"key=\"", 4},
        {"value~~x", 6},
        {"header.x", 8},
        {"header.\"x=1", 7},
        {"header.x>1", 8},
        {"size>>1", 5},
        {"size:-5", 5},
        {"size:1 KB", 7},
        {"size:99999999999999999999", 5},
        {"p:0,,1", 2},
        {"p:0-3", 2},
        {"offset:+5", 7},
        {"offset:1e3", 7},
        {"offset>=>1", 8},
        {"time>-1", 5},
        {"time>-1w", 5},
        {"time>2026-01-31", 5},
        {"null:1", 0},
        {"-", 1},
        {"- key:a", 1},
        {"--key:a", 1},
        {"|key:a", 0},
        {"key:a| key:b", 6},
        {"(key:a)", 0},
        {"key:a AND key:b", 6},
    };
    for (const auto& [text, column] : cases) {
        const auto parsed = RecordFilter::parse(text, kNow);
        ASSERT_FALSE(parsed) << text;
        EXPECT_EQ(parsed.error().column, column) << text << ": " << parsed.error().text;
        EXPECT_FALSE(parsed.error().text.empty());
    }
}

TEST(RecordFilterTest, TermsAndLengthAreLimited) {
    std::string many;
    for (std::size_t i = 0; i < RecordFilter::kTermsMax; ++i) many += "key:a ";
    EXPECT_TRUE(RecordFilter::parse(many, kNow));
    EXPECT_FALSE(RecordFilter::parse(many + "key:a", kNow));
    EXPECT_FALSE(RecordFilter::parse(many.substr(0, many.size() - 1) + "|b", kNow));
    EXPECT_FALSE(RecordFilter::parse("key:" + std::string(RecordFilter::kTextBytesMax, 'a'), kNow));
}

TEST(RecordFilterTest, TimesAreReadExactly) {
    EXPECT_EQ(parse_time("1970-01-01T00:00:00Z", kNow), 0);
    EXPECT_EQ(parse_time("2026-11-27T10:00:00Z", kNow), 1'795'773'600'000);
    EXPECT_EQ(parse_time("2026-11-27T10:00:00.1239Z", kNow), 1'795'773'600'123);
    EXPECT_EQ(parse_time("2026-11-27T07:00:00-03:00", kNow), 1'795'773'600'000);
    EXPECT_EQ(parse_time("-90s", kNow), 1'795'773'600'000 - 90'000);
    EXPECT_EQ(parse_time("-7d", kNow), 1'795'773'600'000 - 7 * 86'400'000);
    for (const auto* bad :
         {"",
          "-",
          "-h",
          "1h",
          "--1h",
          "2026-11-27",
          "2026-11-27T10:00:00",
          "2026-11-27T24:00:00Z",
          "2026-11-27T10:00:00.Z"})
        EXPECT_FALSE(parse_time(bad, kNow)) << bad;
}

// ---- against a naive model

struct Value {
    enum Kind { object, array, string, number, literal } kind;
    std::string text;  ///< a string's characters, a number as written, a literal
    std::vector<Value> members;
    std::string name{};  ///< of a member
};

class Chance {
public:
    explicit Chance(std::uint64_t seed) : engine_(seed) {}
    std::size_t below(std::size_t limit) {
        return std::uniform_int_distribution<std::size_t>(0, limit - 1)(engine_);
    }
    bool one_in(std::size_t count) { return below(count) == 0; }
    template <class List>
    const auto& of(const List& list) {
        return list[below(std::size(list))];
    }

private:
    std::mt19937_64 engine_;
};

std::uint64_t seed_of_this_run() {
    const char* fixed = std::getenv("TXS_TEST_SEED");
    const auto seed = fixed != nullptr ? std::strtoull(fixed, nullptr, 10) : std::random_device{}();
    return seed;
}

const std::vector<std::string> kNames{"a", "b", "odd name", "é", "\"", "a.b"};
const std::vector<std::string> kStrings{"", "A", "a|b", "São", "12.5", "\\", "\t", "😀", "true"};

std::string random_number(Chance& chance) {
    std::string text = chance.one_in(3) ? "-" : "";
    const auto digits = [&](std::size_t count) {
        std::string some;
        for (std::size_t i = 0; i < count; ++i)
            some += static_cast<char>('0' + chance.below(chance.one_in(2) ? 10 : 2));
        return some;
    };
    text += chance.one_in(2) ? "0"
                             : std::to_string(1 + chance.below(9)) +
                                   digits(chance.below(chance.one_in(8) ? 40 : 3));
    if (chance.one_in(2)) text += "." + digits(1 + chance.below(4));
    if (chance.one_in(3))
        text += std::string(chance.one_in(2) ? "e" : "E") +
                chance.of(std::vector<std::string>{"", "+", "-"}) + digits(1 + chance.below(2));
    return text;
}

Value random_value(Chance& chance, int depth) {
    switch (chance.below(depth > 0 ? 6 : 3)) {
        case 0:
            return {Value::string, chance.of(kStrings), {}};
        case 1:
            return {Value::number, random_number(chance), {}};
        case 2:
            return {
                Value::literal, chance.of(std::vector<std::string>{"true", "false", "null"}), {}
            };
        case 3: {
            Value array{Value::array, "", {}};
            for (auto n = chance.below(4); n > 0; --n)
                array.members.push_back(random_value(chance, depth - 1));
            return array;
        }
        default: {
            Value object{Value::object, "", {}};
            for (auto n = chance.below(5); n > 0; --n) {
                object.members.push_back(random_value(chance, depth - 1));
                object.members.back().name = chance.of(kNames);
            }
            return object;
        }
    }
}

std::string written_string(Chance& chance, const std::string& text) {
    std::string out = nlohmann::json(text).dump(-1, ' ', chance.one_in(2));
    if (!text.empty() && text[0] == 'a' && chance.one_in(2)) out = "\"\\u0061" + out.substr(2);
    return out;
}

std::string written(Chance& chance, const Value& value) {
    const auto space = [&] {
        return std::string(
            chance.one_in(4) ? chance.of(std::vector<std::string>{" ", "\n\t", "\r "}) : ""
        );
    };
    switch (value.kind) {
        case Value::string:
            return space() + written_string(chance, value.text) + space();
        case Value::number:
        case Value::literal:
            return space() + value.text + space();
        default:
            break;
    }
    std::string out = space() + (value.kind == Value::object ? "{" : "[") + space();
    for (std::size_t i = 0; i < value.members.size(); ++i) {
        if (i > 0) out += ",";
        if (value.kind == Value::object)
            out += space() + written_string(chance, value.members[i].name) + space() + ":";
        out += written(chance, value.members[i]);
    }
    return out + (value.kind == Value::object ? "}" : "]") + space();
}

/// Each number as an integer of so many decimals that none is lost: sign, then digits of fixed
/// width.
int naive_compare(const std::string& left, const std::string& right) {
    const auto digits = [](const std::string& number) {
        std::string mantissa;
        int point = -1;
        std::size_t i = number[0] == '-' ? 1 : 0;
        for (; i < number.size() && number[i] != 'e' && number[i] != 'E'; ++i) {
            if (number[i] == '.')
                point = static_cast<int>(mantissa.size());
            else
                mantissa += number[i];
        }
        if (point < 0) point = static_cast<int>(mantissa.size());
        const int exponent = i < number.size() ? std::stoi(number.substr(i + 1)) : 0;
        std::string fixed(400, '0');
        for (std::size_t d = 0; d < mantissa.size(); ++d)
            fixed[static_cast<std::size_t>(200 - point - exponent + static_cast<int>(d))] =
                mantissa[d];
        return fixed;
    };
    const auto a = digits(left);
    const auto b = digits(right);
    const std::string zero(400, '0');
    const int left_sign = a == zero ? 0 : left[0] == '-' ? -1 : 1;
    const int right_sign = b == zero ? 0 : right[0] == '-' ? -1 : 1;
    if (left_sign != right_sign) return left_sign < right_sign ? -1 : 1;
    const int order = a.compare(b) < 0 ? -1 : a.compare(b) > 0 ? 1 : 0;
    return left_sign < 0 ? -order : order;
}

void select(
    const Value& value,
    const std::vector<JsonPath::Step>& steps,
    std::size_t at,
    std::vector<const Value*>& out
) {
    if (at == steps.size()) {
        out.push_back(&value);
        return;
    }
    for (std::size_t i = 0; i < value.members.size(); ++i) {
        const auto& step = steps[at];
        const bool fits =
            step.kind == JsonPath::Kind::any ||
            (step.kind == JsonPath::Kind::member && value.kind == Value::object &&
             value.members[i].name == step.name) ||
            (step.kind == JsonPath::Kind::element && value.kind == Value::array && i == step.index);
        if (fits) select(value.members[i], steps, at + 1, out);
    }
}

bool is_number(const std::string& text) {
    return Decimal::parse(text).has_value();
}

bool naive_holds(const Value& value, const std::string& op, const std::string& wanted) {
    if (value.kind == Value::object || value.kind == Value::array) return false;
    const bool ordering = op[0] == '<' || op[0] == '>';
    int order = value.text < wanted ? -1 : value.text > wanted ? 1 : 0;
    if (op == "~") return value.text.find(wanted) != std::string::npos;
    if (value.kind == Value::literal && ordering) return false;
    if (value.kind == Value::number) {
        if (!is_number(wanted)) return op == "!=";
        order = naive_compare(value.text, wanted);
    } else if (value.kind == Value::string && ordering && is_number(wanted)) {
        if (!is_number(value.text)) return false;
        order = naive_compare(value.text, wanted);
    }
    if (op == "=") return order == 0;
    if (op == "!=") return order != 0;
    if (op == "<") return order < 0;
    if (op == "<=") return order <= 0;
    return op == ">" ? order > 0 : order >= 0;
}

std::string in_quotes(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c == '\t' ? std::string("\\t") : std::string(1, c);
    }
    return out + "\"";
}

TEST(RecordFilterTest, JsonTermsAgreeWithANaiveModelOnRandomDocuments) {
    const auto seed = seed_of_this_run();
    SCOPED_TRACE("TXS_TEST_SEED=" + std::to_string(seed));
    Chance chance(seed);
    const std::vector<std::string> ops{"=", "!=", "<", "<=", ">", ">=", "~"};
    int found_some = 0;
    for (int round = 0; round < 20'000; ++round) {
        auto document = random_value(chance, 4);
        while (document.members.empty()) document = random_value(chance, 4);
        const auto text = written(chance, document);
        std::string expression = "json";
        std::vector<JsonPath::Step> steps;
        for (auto n = 1 + chance.below(3); n > 0; --n) {
            switch (chance.below(4)) {
                case 0:
                    steps.push_back({.kind = JsonPath::Kind::any, .name = {}});
                    expression += "[*]";
                    break;
                case 1:
                    steps.push_back(
                        {.kind = JsonPath::Kind::element, .name = {}, .index = chance.below(3)}
                    );
                    expression += "[" + std::to_string(steps.back().index) + "]";
                    break;
                default:
                    steps.push_back({.kind = JsonPath::Kind::member, .name = chance.of(kNames)});
                    expression += "." + in_quotes(steps.back().name);
            }
        }
        const auto& op = chance.of(ops);
        std::vector<const Value*> selected;
        select(document, steps, 0, selected);
        std::string wanted = chance.one_in(2) ? random_number(chance) : chance.of(kStrings);
        if (!selected.empty() && chance.one_in(2)) wanted = chance.of(selected)->text;
        expression += op + in_quotes(wanted);
        bool expected = false;
        for (const auto* value : selected) expected = expected || naive_holds(*value, op, wanted);
        found_some += expected;
        ASSERT_EQ(matches(expression, {.value = text}), expected) << expression << "\n" << text;
    }
    EXPECT_GT(found_some, 500);
}

TEST(RecordFilterTest, WhatIsJsonIsWhatAStrictParserAccepts) {
    const auto seed = seed_of_this_run();
    SCOPED_TRACE("TXS_TEST_SEED=" + std::to_string(seed));
    Chance chance(seed);
    const std::string bytes = "{}[]\",:0123456789.eE+-truefalsn\\/bu \n\x01\x80\xc3\xa9";
    int refused = 0;
    for (int round = 0; round < 20'000; ++round) {
        auto text = written(chance, random_value(chance, 3));
        for (auto n = chance.below(3); n > 0; --n) {
            const auto at = chance.below(text.size() + 1);
            switch (chance.below(3)) {
                case 0:
                    text.insert(at, 1, chance.of(bytes));
                    break;
                case 1:
                    if (at < text.size()) text.erase(at, 1 + chance.below(3));
                    break;
                default:
                    if (at < text.size()) text[at] = chance.of(bytes);
            }
        }
        // It refuses half a surrogate pair and numbers beyond double; we keep to RFC 8259.
        if (text.find("\\ud") != std::string::npos || text.find_first_of("eE") != std::string::npos)
            continue;
        ASSERT_EQ(is_json(text), nlohmann::json::accept(text)) << text;
        refused += !is_json(text);
    }
    EXPECT_GT(refused, 500);
}

TEST(RecordFilterTest, NoTextMakesTheParserFailInAnotherWayThanWithAColumn) {
    const auto seed = seed_of_this_run();
    SCOPED_TRACE("TXS_TEST_SEED=" + std::to_string(seed));
    Chance chance(seed);
    const std::vector<std::string> pieces{"key",     "value", "json", ".",   "[",    "]",
                                          "*",       "0",     "\"",   "\\",  ":",    "=",
                                          "~",       "<",     "!=",   "|",   "-",    " ",
                                          "p",       "size",  "null", "é",   "\xff", "a",
                                          "header.", "time>", "-1h",  "10KB"};
    for (int round = 0; round < 50'000; ++round) {
        std::string text;
        for (auto n = chance.below(12); n > 0; --n) text += chance.of(pieces);
        const auto parsed = RecordFilter::parse(text, kNow);
        if (!parsed) {
            ASSERT_LE(parsed.error().column, text.size());
            ASSERT_FALSE(parsed.error().text.empty());
        } else {
            (void)parsed->matches(order_record());
        }
    }
}

TEST(DecimalTest, NumbersOfAnyLengthAreComparedExactly) {
    const auto compare = [](std::string_view left, std::string_view right) {
        return Decimal::parse(left).value() <=> Decimal::parse(right).value();
    };
    const auto equal = std::strong_ordering::equal;
    const auto less = std::strong_ordering::less;
    EXPECT_EQ(compare("0.10", "0.1"), equal);
    EXPECT_EQ(compare("-0", "0"), equal);
    EXPECT_EQ(compare("0e99999999999999999999999", "0.000"), equal);
    EXPECT_EQ(compare("9223372036854775806", "9223372036854775807"), less);
    EXPECT_EQ(compare("1e400", "1e401"), less);
    EXPECT_EQ(compare("1e400", "10e399"), equal);
    EXPECT_EQ(compare("-1e400", "1"), less);
    EXPECT_EQ(compare("-2", "-1"), less);
    EXPECT_EQ(compare("0.0001", "1e-4"), equal);
    EXPECT_EQ(compare("123.45", "12345e-2"), equal);
    EXPECT_EQ(compare("1" + std::string(1000, '0'), "1e1000"), equal);
    for (const auto* bad :
         {"", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x1", "1 ", "NaN", "1e999999999999999999"})
        EXPECT_FALSE(Decimal::parse(bad)) << bad;
}

}  // namespace
}  // namespace txstream::console
