#pragma once

#include "telemetry/log.hpp"

#include <string>

namespace txstream::log::detail {

/// A line is its beginning (the time), its body (the rest) and its end, so that a body can be kept
/// and written later.
void begin_line(std::string& out, Format format, std::int64_t unix_nanoseconds);
void append_body(
    std::string& out,
    Format format,
    Level level,
    std::string_view component,
    std::string_view message,
    std::span<const Field> fields
);
void append_field(std::string& out, Format format, const Field& field);
void end_line(std::string& out, Format format);

}  // namespace txstream::log::detail
