#include "pg/params.hpp"

#include <array>
#include <charconv>

namespace txstream::pg {
namespace {

Params::Value text_value(std::string text) {
    // libpq measures text with strlen and would cut it at a NUL. Sent in binary the server sees all
    // of it and refuses it (22021): an error instead of a silent loss.
    const bool has_nul = text.find('\0') != std::string::npos;
    return {.bytes = std::move(text), .is_null = false, .is_binary = has_nul};
}

}  // namespace

Params& Params::add(std::nullopt_t) {
    values_.push_back({.bytes = {}, .is_null = true, .is_binary = false});
    return *this;
}

Params& Params::add(std::string_view text) {
    return add(std::string(text));
}

Params& Params::add(std::string&& text) {
    values_.push_back(text_value(std::move(text)));
    return *this;
}

Params& Params::add(bool value) {
    return add(std::string_view(value ? "true" : "false"));
}

Params& Params::add_integer(std::int64_t value) {
    std::array<char, 24> buffer{};
    const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
    (void)error;  // the buffer fits every 64-bit integer
    return add(std::string_view(buffer.data(), end));
}

void Params::append_element(std::string& literal, std::string_view text) {
    literal += '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') literal += '\\';
        literal += c;
    }
    literal += '"';
}

}  // namespace txstream::pg
