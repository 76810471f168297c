#pragma once

#include <chrono>
#include <string>

namespace txstream::domain {

/// A point in time as PostgreSQL's timestamptz holds it.
using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;

/// RFC 3339 in UTC: "2024-01-15T10:30:00Z", with six decimals when there are microseconds.
/// Needs a year of four digits.
void append_rfc3339(std::string& out, Timestamp time);

}  // namespace txstream::domain
