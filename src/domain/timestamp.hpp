#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace txstream::domain {

/// A point in time as PostgreSQL's timestamptz holds it.
using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;

/// True for the years 1 to 9999: the times that RFC 3339, and what reads it, can express. Writers
/// may store others: 'infinity', years BC, the year 294276.
bool has_rfc3339(Timestamp time) noexcept;
/// RFC 3339 in UTC: "2024-01-15T10:30:00Z", with six decimals when there are microseconds.
/// Needs has_rfc3339().
void append_rfc3339(std::string& out, Timestamp time);
/// Reads what people write: RFC 3339 with any offset, and its beginnings ("2024-01-15",
/// "2024-01-15T10:30", a blank instead of the T) in UTC. Decimals beyond microseconds are cut off.
/// Nothing for all else, a 30th of February too.
std::optional<Timestamp> parse_rfc3339(std::string_view text);

}  // namespace txstream::domain
