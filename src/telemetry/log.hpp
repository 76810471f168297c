#pragma once

#include "base/error.hpp"

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

/// Log lines: one JSON object (or one line of text) each, written whole by a single write().
///
/// Keys are `time` (RFC 3339, nanoseconds, UTC), `level`, `msg`, `component`, then the fields in
/// the order given. Names of fields in use: docs of the logging contract (event_id, order_id,
/// topic, partition, offset, lane, attempt, error_type, error, duration_ms, request_id, trace_id,
/// span_id). Secrets, payloads and addresses are the caller's duty: they do not belong here.
///
/// The process has one log, because a line may come from any thread and any room; all functions
/// may be called from any thread. Before setup() lines go to standard output as JSON from info up.
///
/// A failure that lasts says the same again and again. Of lines of one kind (component, level,
/// message, error_type, status, route, topic, worker) the first three are written at once; then one
/// line stands for all of 5 s, then of 10, 20, 40, 40, ... s, with `repeats` and `repeats_ms`.
/// Debug lines are not limited.
namespace txstream::log {

enum class Level : std::uint8_t { debug, info, warn, error, fatal };
inline constexpr std::size_t kLevels = 5;

enum class Format : std::uint8_t {
    json,
    text,
    automatic,  ///< text on a terminal, else JSON
};

std::string_view to_string(Level level) noexcept;
std::string_view to_string(Format format) noexcept;  ///< "json", "text", "auto"
std::optional<Level> level_from(std::string_view name) noexcept;
std::optional<Format> format_from(std::string_view name) noexcept;

/// A key and its value. Only a view: for use as a temporary inside the call.
class Field {
public:
    using Value =
        std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool, std::nullptr_t>;

    Field(std::string_view key, std::string_view value) : key_(key), value_(value) {}
    Field(std::string_view key, const char* value) : key_(key), value_(std::string_view(value)) {}
    Field(std::string_view key, const std::string& value)
        : key_(key), value_(std::string_view(value)) {}
    Field(std::string_view key, bool value) : key_(key), value_(value) {}
    Field(std::string_view key, double value) : key_(key), value_(value) {}
    Field(std::string_view key, std::nullptr_t) : key_(key), value_(nullptr) {}
    template <std::signed_integral T>
    Field(std::string_view key, T value) : key_(key), value_(std::int64_t{value}) {}
    template <std::unsigned_integral T>
        requires(!std::same_as<T, bool>)
    Field(std::string_view key, T value) : key_(key), value_(std::uint64_t{value}) {}

    std::string_view key() const noexcept { return key_; }
    const Value& value() const noexcept { return value_; }

private:
    std::string_view key_;
    Value value_;
};

struct Options {
    Level level = Level::info;
    Format format = Format::automatic;
    /// Empty or "stdout", "stderr", else a file that is appended to.
    std::string output_path;
};

/// Applies to the lines that follow. Fails, and changes nothing, when the file cannot be opened.
Result<> setup(const Options& options);

/// On SIGHUP: opens the log file under its name again, and says so. Without a file it only says so.
void reopen();

/// Writes the counts that are due. Call it every second: a kind may have gone quiet.
void tell_repeats();
/// Writes all counts. Called at exit(); call it before _Exit().
void flush();

/// Ask before building costly fields (a debug line per event).
bool enabled(Level level) noexcept;

void write(
    Level level, std::string_view component, std::string_view message, std::span<const Field> fields
);

using Fields = std::initializer_list<Field>;
inline void write(
    Level level, std::string_view component, std::string_view message, Fields fields = {}
) {
    write(level, component, message, std::span<const Field>(fields.begin(), fields.size()));
}
inline void debug(std::string_view component, std::string_view message, Fields fields = {}) {
    if (enabled(Level::debug)) write(Level::debug, component, message, fields);
}
inline void info(std::string_view component, std::string_view message, Fields fields = {}) {
    write(Level::info, component, message, fields);
}
inline void warn(std::string_view component, std::string_view message, Fields fields = {}) {
    write(Level::warn, component, message, fields);
}
inline void error(std::string_view component, std::string_view message, Fields fields = {}) {
    write(Level::error, component, message, fields);
}
inline void fatal(std::string_view component, std::string_view message, Fields fields = {}) {
    write(Level::fatal, component, message, fields);
}

/// Lines written so far, for the metric txstream_log_messages_total.
std::uint64_t count(Level level) noexcept;

/// Lines that were only counted, for txstream_log_repeats_total.
std::uint64_t repeat_count(Level level) noexcept;
/// Lines that the output did not take, for txstream_log_lines_lost_total.
std::uint64_t lost_count() noexcept;

/// The line without its line break; what write() writes. For tests and for tools that format alike.
std::string format_line(
    Format format,
    std::int64_t unix_nanoseconds,
    Level level,
    std::string_view component,
    std::string_view message,
    std::span<const Field> fields
);

}  // namespace txstream::log
