#pragma once

#include "base/assert.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace txstream::pg {

/// Parameters of one statement, in order. Copies what it is given, so it outlives the caller's
/// buffers.
///
/// Numbers and booleans go as text; the server converts by the type it infers (write $1::bigint
/// where it cannot). Arrays are written in PostgreSQL's array literal form.
class Params {
public:
    Params() = default;

    /// Takes text, string_view, integers, bool, std::optional of these, std::nullopt.
    template <class... Args>
    static Params of(Args&&... args) {
        Params params;
        params.values_.reserve(sizeof...(args));
        (params.add(std::forward<Args>(args)), ...);
        return params;
    }

    Params& add(std::nullopt_t);
    Params& add(std::string_view text);
    Params& add(std::string&& text);
    Params& add(const std::string& text) { return add(std::string_view(text)); }
    Params& add(const char* text) { return add(std::string_view(text)); }
    Params& add(bool value);
    Params& add(double
    ) = delete;  // it would become a boolean; nothing here is stored in binary fractions
    template <class T>
        requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
    Params& add(T value) {
        TXS_ASSERT(std::in_range<std::int64_t>(value), "PostgreSQL has no integer of this size");
        return add_integer(static_cast<std::int64_t>(value));
    }
    template <class T>
    Params& add(const std::optional<T>& value) {
        return value ? add(*value) : add(std::nullopt);
    }
    /// `{1,2,3}` for any integer range; `project` may turn an element into an integer.
    template <class Range, class Project>
    Params& add_integers(const Range& range, Project project) {
        std::string text = "{";
        for (const auto& element : range) {
            if (text.size() > 1) text += ',';
            text += std::to_string(project(element));
        }
        text += '}';
        return add(std::move(text));
    }
    /// Quoted array literal of any range; `project` turns an element into a text, or into an
    /// optional one, of which an empty one is NULL.
    template <class Range, class Project = std::identity>
    Params& add_texts(const Range& range, Project project = {}) {
        std::string literal = "{";
        for (const auto& element : range) {
            if (literal.size() > 1) literal += ',';
            append_element(literal, std::invoke(project, element));
        }
        literal += '}';
        return add(std::move(literal));
    }

    struct Value {
        std::string bytes;
        bool is_null = false;
        bool is_binary = false;
    };
    std::span<const Value> values() const noexcept { return values_; }

private:
    static void append_element(std::string& literal, std::string_view text);
    template <class Text>
    static void append_element(std::string& literal, const std::optional<Text>& text) {
        if (text) {
            append_element(literal, std::string_view(*text));
        } else {
            literal += "NULL";
        }
    }
    Params& add_integer(std::int64_t value);
    std::vector<Value> values_;
};

}  // namespace txstream::pg
