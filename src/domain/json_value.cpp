#include "domain/json_value.hpp"

#include "base/assert.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace txstream::domain {
namespace {

using nlohmann::json;

/// Receives nlohmann's events and builds the tree. A false answer stops the parser.
class TreeBuilder final : public nlohmann::json_sax<json> {
public:
    JsonValue take_root() && {
        TXS_ASSERT(open_.empty(), "a complete document leaves no container open");
        return std::move(root_);
    }
    const std::string& trouble() const { return trouble_; }

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
        // 406: a number too large for a double, such as 1e400. The message itself is not used: it
        // quotes the input.
        return stop(
            fmt::format("byte {}: {}", position, error.id == 406 ? "number too large" : "syntax")
        );
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
};

tl::unexpected<Error> invalid_json(std::string trouble) {
    return fail(Code::invalid_input, "Invalid JSON payload", std::move(trouble));
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
    if (const auto zero = text.find('\0'); zero != std::string_view::npos) {
        return invalid_json(fmt::format("byte {}: zero byte", zero + 1));
    }
    TreeBuilder builder;
    if (!json::sax_parse(text.begin(), text.end(), &builder)) {
        return invalid_json(builder.trouble());
    }
    return std::move(builder).take_root();
}

}  // namespace txstream::domain
