#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace txstream::pg {

/// Result of a statement. Shares the server's buffer: copies are cheap, and views into it live as
/// long as one copy. Column access asserts the column's existence; a SQL NULL reads as nothing.
class Rows {
public:
    Rows() = default;
    /// Takes ownership of a PGresult (pg/ only).
    explicit Rows(std::shared_ptr<void> result);

    std::size_t size() const noexcept;
    bool empty() const noexcept { return size() == 0; }

    bool is_null(std::size_t row, int column) const;
    /// Bytes of text, json, bytea, or any type's binary form.
    std::string_view bytes(std::size_t row, int column) const;
    /// smallint, integer or bigint, also xid8.
    std::int64_t integer(std::size_t row, int column) const;
    bool boolean(std::size_t row, int column) const;
    /// timestamptz.
    std::chrono::sys_time<std::chrono::microseconds> time(std::size_t row, int column) const;
    /// uuid as its usual 36 characters.
    std::string uuid(std::size_t row, int column) const;

private:
    std::shared_ptr<void> result_;
};

}  // namespace txstream::pg
