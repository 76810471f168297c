#include "domain/json_writer.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <iterator>

namespace txstream::domain {
void JsonWriter::comma_before_value() {
    if (needs_comma_) out_.push_back(',');
    needs_comma_ = true;
}

JsonWriter& JsonWriter::begin_object() {
    comma_before_value();
    out_.push_back('{');
    needs_comma_ = false;
    return *this;
}

JsonWriter& JsonWriter::end_object() {
    out_.push_back('}');
    needs_comma_ = true;
    return *this;
}

JsonWriter& JsonWriter::begin_array() {
    comma_before_value();
    out_.push_back('[');
    needs_comma_ = false;
    return *this;
}

JsonWriter& JsonWriter::end_array() {
    out_.push_back(']');
    needs_comma_ = true;
    return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
    comma_before_value();
    append_json_string(out_, name);
    out_.push_back(':');
    needs_comma_ = false;
    return *this;
}

JsonWriter& JsonWriter::string(std::string_view text) {
    comma_before_value();
    append_json_string(out_, text);
    return *this;
}

JsonWriter& JsonWriter::integer(std::int64_t value) {
    comma_before_value();
    fmt::format_to(std::back_inserter(out_), "{}", value);
    return *this;
}

JsonWriter& JsonWriter::boolean(bool value) {
    return raw(value ? "true" : "false");
}

JsonWriter& JsonWriter::null() {
    return raw("null");
}

JsonWriter& JsonWriter::money(Money amount) {
    comma_before_value();
    append_to(out_, amount);
    return *this;
}

JsonWriter& JsonWriter::timestamp(Timestamp time) {
    if (!has_rfc3339(time)) return null();
    comma_before_value();
    out_.push_back('"');
    append_rfc3339(out_, time);
    out_.push_back('"');
    return *this;
}

JsonWriter& JsonWriter::raw(std::string_view json) {
    comma_before_value();
    out_.append(json);
    return *this;
}

}  // namespace txstream::domain
