#include "domain/json_value.hpp"

#include "base/assert.hpp"
#include "domain/text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <optional>

namespace txstream::domain {
namespace {

using nlohmann::json;

/// Reads the document for nlohmann and knows up to where it was read.
class Position {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    Position(const char* at, const char** read) : at_(at), read_(read) {}
    reference operator*() const { return *at_; }
    Position& operator++() {
        *read_ = ++at_;
        return *this;
    }
    Position operator++(int) {
        auto before = *this;
        ++*this;
        return before;
    }
    bool operator==(const Position& other) const { return at_ == other.at_; }

private:
    const char* at_;
    const char** read_;
};

// nlohmann's words for a mistake, which also quote the input, and ours.
struct Mistake {
    std::string_view theirs;
    std::string_view ours;
};
constexpr std::array kMistakes = {
    Mistake{"ill-formed UTF-8", "this is not UTF-8"},
    Mistake{"surrogate", "half a surrogate pair, which is no character"},
    Mistake{"control character", "a control character in a string must be escaped"},
    Mistake{"unexpected end of input", "the text ends here"},
    // Of nothing at all, since 3.11.3.
    Mistake{"empty input", "the text ends here"},
    Mistake{"missing closing quote", "the text ends inside a string"},
};

std::string_view in_our_words(std::string_view theirs) {
    // What follows is the input.
    theirs = theirs.substr(0, theirs.find("last read"));
    const auto known = std::ranges::find_if(kMistakes, [&](const Mistake& mistake) {
        return theirs.find(mistake.theirs) != std::string_view::npos;
    });
    return known == kMistakes.end() ? "syntax error" : known->ours;
}

/// Receives nlohmann's events and builds the tree. A false answer stops the parser.
class TreeBuilder final : public nlohmann::json_sax<json> {
public:
    JsonValue take_root() && {
        TXS_ASSERT(open_.empty(), "a complete document leaves no container open");
        return std::move(root_);
    }
    /// Why it was stopped; where is for the caller to say.
    const std::string& trouble() const { return trouble_; }
    /// The byte, from 1, that the parser stumbled on; one more than there are where the text ends
    /// too early. Nothing when it was us who stopped it.
    std::optional<std::size_t> byte() const { return byte_; }
    /// Where in the document a number is that no double can hold, as far as it was read:
    /// "items[0].unit_price". Empty: that was not the reason.
    const std::string& path_of_number() const { return path_of_number_; }

    bool null() override { return add(JsonValue()); }
    bool boolean(bool value) override { return add(JsonValue(value)); }
    bool number_integer(number_integer_t value) override {
        return add(JsonValue(JsonValue::Number{fmt::to_string(value)}));
    }
    bool number_unsigned(number_unsigned_t value) override {
        return add(JsonValue(JsonValue::Number{fmt::to_string(value)}));
    }
    bool number_float(number_float_t, const string_t& text) override {
        // nlohmann writes the decimal point of the process's locale into this text.
        std::string normal = text;
        std::replace_if(normal.begin(), normal.end(), is_not_of_a_number, '.');
        return add(JsonValue(JsonValue::Number{std::move(normal)}));
    }
    bool string(string_t& value) override { return add(JsonValue(std::move(value))); }
    bool binary(binary_t&) override { return stop("binary"); }  // no such thing in text

    bool start_object(std::size_t) override { return open(); }
    bool key(string_t& name) override {
        open_.back().keys.push_back(std::move(name));
        return true;
    }
    bool end_object() override {
        auto done = close();
        JsonValue::Object members;
        members.reserve(done.values.size());
        for (std::size_t i = 0; i < done.values.size(); ++i) {
            members.emplace_back(std::move(done.keys[i]), std::move(done.values[i]));
        }
        return put(JsonValue(std::move(members)));
    }
    bool start_array(std::size_t) override { return open(); }
    bool end_array() override { return put(JsonValue(close().values)); }

    bool parse_error(
        std::size_t position, const std::string&, const nlohmann::detail::exception& error
    ) override {
        byte_ = position;
        constexpr int kNumberOverflow = 406;  // 1e400
        if (error.id != kNumberOverflow) return stop(std::string(in_our_words(error.what())));
        path_of_number_ = path();
        return stop("the number is out of range");
    }

private:
    struct Container {
        std::vector<std::string> keys;  // one per value in an object, none in an array
        JsonValue::Array values;
    };

    static bool is_not_of_a_number(char c) {
        return !((c >= '0' && c <= '9') || c == '-' || c == '+' || c == 'e' || c == 'E');
    }

    bool open() {
        if (open_.size() == kJsonDepthMax) {
            return stop(fmt::format("nested deeper than {}", kJsonDepthMax));
        }
        open_.emplace_back();
        return count();
    }

    Container close() {
        Container done = std::move(open_.back());
        open_.pop_back();
        return done;
    }

    bool add(JsonValue value) { return count() && put(std::move(value)); }

    bool put(JsonValue value) {
        if (open_.empty()) {
            root_ = std::move(value);
        } else {
            open_.back().values.push_back(std::move(value));
        }
        return true;
    }

    /// Of the value that comes next.
    std::string path() const {
        std::string text;
        for (const auto& [keys, values] : open_) {
            if (keys.empty()) {  // an array
                text += fmt::format("[{}]", values.size());
            } else {
                if (!text.empty()) text += '.';
                text += excerpt(keys.back());
            }
        }
        return text;
    }

    bool count() {
        if (++values_ <= kJsonValuesMax) return true;
        return stop(fmt::format("more than {} values", kJsonValuesMax));
    }

    bool stop(std::string trouble) {
        trouble_ = std::move(trouble);
        return false;
    }

    JsonValue root_;
    std::vector<Container> open_;
    std::size_t values_ = 0;
    std::string trouble_;
    std::optional<std::size_t> byte_;
    std::string path_of_number_;
};

/// `byte`: the one, from 1, that cannot be there.
tl::unexpected<Error> invalid_json(std::string_view text, std::size_t byte, std::string_view why) {
    const auto before = text.substr(0, byte - 1);
    const auto line = std::ranges::count(before, '\n') + 1;
    const auto last_line = before.substr(before.rfind('\n') + 1);  // npos + 1 is 0
    return fail(
        Code::invalid_input,
        "Invalid JSON payload",
        fmt::format(
            "byte {} (line {}, column {}): {}", byte, line, count_characters(last_line) + 1, why
        )
    );
}

}  // namespace

bool JsonValue::boolean() const {
    TXS_ASSERT(is(JsonKind::boolean), "the kind is asked before the value");
    return std::get<bool>(value_);
}

const std::string& JsonValue::number_text() const {
    TXS_ASSERT(is(JsonKind::number), "the kind is asked before the value");
    return std::get<Number>(value_).text;
}

const std::string& JsonValue::string() const {
    TXS_ASSERT(is(JsonKind::string), "the kind is asked before the value");
    return std::get<std::string>(value_);
}

const JsonValue::Array& JsonValue::array() const {
    TXS_ASSERT(is(JsonKind::array), "the kind is asked before the value");
    return std::get<Array>(value_);
}

const JsonValue::Object& JsonValue::object() const {
    TXS_ASSERT(is(JsonKind::object), "the kind is asked before the value");
    return std::get<Object>(value_);
}

const JsonValue* JsonValue::find(std::string_view name) const {
    const auto& members = object();
    const auto found = std::find_if(members.rbegin(), members.rend(), [&](const Member& member) {
        return member.first == name;
    });
    return found == members.rend() ? nullptr : &found->second;
}

Result<JsonValue> parse_json(std::string_view text) {
    // nlohmann takes a zero byte for the end of the input and would accept anything behind it.
    if (const auto zero = text.find('\0'); zero != std::string_view::npos)
        return invalid_json(text, zero + 1, "a zero byte");
    const char* const end = text.data() + text.size();
    const char* read = text.data();
    TreeBuilder builder;
    if (json::sax_parse(Position(text.data(), &read), Position(end, &read), &builder))
        return std::move(builder).take_root();
    if (const auto& path = builder.path_of_number(); !path.empty())
        return fail(Code::invalid_input, path + " is out of range", std::string(kNumberOutOfRange));
    return invalid_json(
        text,
        builder.byte().value_or(static_cast<std::size_t>(read - text.data())),
        builder.trouble()
    );
}

}  // namespace txstream::domain
