#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace txstream::pg {

/// A uuid in its usual 36 characters; empty for none.
class Uuid {
public:
    static constexpr std::size_t kSize = 36;

    Uuid() = default;
    /// Asserts its size.
    explicit Uuid(std::string_view text);
    operator std::string_view() const noexcept { return {text_.data(), size_}; }
    friend bool operator==(const Uuid& one, std::string_view text) noexcept {
        return std::string_view(one) == text;
    }

private:
    std::array<char, kSize> text_;
    std::uint8_t size_ = 0;
};

/// Result of a statement. Shares the server's buffer: copies are cheap, and views into it live as
/// long as one copy. Column access asserts the column's existence; a SQL NULL reads as nothing.
class Rows {
public:
    Rows() = default;
    /// Takes ownership of a PGresult (pg/ only).
    explicit Rows(std::shared_ptr<void> result);

    std::size_t size() const noexcept { return static_cast<std::size_t>(rows_); }
    bool empty() const noexcept { return size() == 0; }

    bool is_null(std::size_t row, int column) const;
    /// Bytes of text, json, bytea, or any type's binary form.
    std::string_view bytes(std::size_t row, int column) const;
    /// smallint, integer or bigint, also xid8.
    std::int64_t integer(std::size_t row, int column) const;
    bool boolean(std::size_t row, int column) const;
    /// timestamptz.
    std::chrono::sys_time<std::chrono::microseconds> time(std::size_t row, int column) const;
    Uuid uuid(std::size_t row, int column) const;

private:
    std::shared_ptr<void> result_;
    // As libpq has them, which answers each question with a call.
    int rows_ = 0;
    int columns_ = 0;
    bool has_jsonb_ = false;
};

}  // namespace txstream::pg
