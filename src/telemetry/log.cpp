#include "telemetry/log.hpp"

#include "base/utf8.hpp"

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <iterator>
#include <mutex>
#include <type_traits>
#include <unistd.h>

// No logging library behind this: what would be left for it is opening a file, a mutex and write().
// spdlog escapes no JSON and its file sinks buffer, so that a kill -9 loses the lines before it.
namespace txstream::log {
namespace {

constexpr std::array<std::string_view, kLevels> kLevelNames{
    "debug", "info", "warn", "error", "fatal"
};
constexpr std::array<std::string_view, kLevels> kLevelColumns{
    "DEBUG", "INFO ", "WARN ", "ERROR", "FATAL"
};

struct Sink {
    std::mutex mutex;
    int descriptor = STDOUT_FILENO;  // guarded by mutex
    std::atomic<Level> level{Level::info};
    std::atomic<Format> format{Format::json};
    std::array<std::atomic<std::uint64_t>, kLevels> counts{};
};

// Never destroyed: other threads may log while the process ends.
Sink& sink() {
    static Sink* const instance = new Sink;
    return *instance;
}

// A line must stay valid JSON whatever a peer put into an error text: bytes that are no UTF-8
// become U+FFFD.
void append_json(std::string& out, std::string_view text) {
    out += '"';
    while (!text.empty()) {
        const char c = text.front();
        const std::size_t length = utf8_length(text);
        if (length == 0) {
            out += "\xEF\xBF\xBD";
            text.remove_prefix(1);
            continue;
        }
        switch (c) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            default:
                if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
                    fmt::format_to(
                        std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c)
                    );
                } else {
                    out += text.substr(0, length);
                }
        }
        text.remove_prefix(length);
    }
    out += '"';
}

void append_number(std::string& out, double value) {
    // JSON has no NaN or infinity.
    if (std::isfinite(value)) {
        fmt::format_to(std::back_inserter(out), "{}", value);
    } else {
        out += "null";
    }
}

bool is_bare_word(std::string_view text) {
    if (text.empty()) return false;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte <= ' ' || byte >= 0x7F || c == '"' || c == '=' || c == '\\') return false;
    }
    return true;
}

void append_value(std::string& out, const Field::Value& value, Format format) {
    std::visit(
        [&](const auto& held) {
            using T = std::decay_t<decltype(held)>;
            if constexpr (std::is_same_v<T, std::string_view>) {
                if (format == Format::text && is_bare_word(held)) {
                    out += held;
                } else {
                    append_json(out, held);
                }
            } else if constexpr (std::is_same_v<T, double>) {
                append_number(out, held);
            } else if constexpr (std::is_same_v<T, bool>) {
                out += held ? "true" : "false";
            } else if constexpr (std::is_same_v<T, std::nullptr_t>) {
                out += "null";
            } else {
                fmt::format_to(std::back_inserter(out), "{}", held);
            }
        },
        value
    );
}

void append_time(std::string& out, std::int64_t unix_nanoseconds, int digits) {
    constexpr std::int64_t kSecond = 1'000'000'000;
    std::int64_t nanoseconds = unix_nanoseconds % kSecond;
    std::time_t seconds = unix_nanoseconds / kSecond;
    if (nanoseconds < 0) {
        nanoseconds += kSecond;
        --seconds;
    }
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    for (int i = digits; i < 9; ++i) nanoseconds /= 10;
    fmt::format_to(
        std::back_inserter(out),
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:0{}}Z",
        utc.tm_year + 1900,
        utc.tm_mon + 1,
        utc.tm_mday,
        utc.tm_hour,
        utc.tm_min,
        utc.tm_sec,
        nanoseconds,
        digits
    );
}

// A full disk or a closed pipe must not stop the product: what cannot be written is dropped.
void write_whole(int descriptor, std::string_view line) {
    while (!line.empty()) {
        const ssize_t written = ::write(descriptor, line.data(), line.size());
        if (written < 0) {
            if (errno == EINTR) continue;
            return;
        }
        line.remove_prefix(static_cast<std::size_t>(written));
    }
}

}  // namespace

std::string_view to_string(Level level) noexcept {
    return kLevelNames[static_cast<std::size_t>(level)];
}

std::string_view to_string(Format format) noexcept {
    switch (format) {
        case Format::json:
            return "json";
        case Format::text:
            return "text";
        case Format::automatic:
            return "auto";
    }
    return "unknown";
}

std::optional<Level> level_from(std::string_view name) noexcept {
    for (std::size_t i = 0; i < kLevels; ++i) {
        if (kLevelNames[i] == name) return static_cast<Level>(i);
    }
    return std::nullopt;
}

std::optional<Format> format_from(std::string_view name) noexcept {
    for (const auto format : {Format::json, Format::text, Format::automatic}) {
        if (to_string(format) == name) return format;
    }
    return std::nullopt;
}

Result<> setup(const Options& options) {
    int descriptor = STDOUT_FILENO;
    const bool is_file = !options.output_path.empty() && options.output_path != "stdout" &&
                         options.output_path != "stderr";
    if (options.output_path == "stderr") descriptor = STDERR_FILENO;
    if (is_file) {
        descriptor =
            ::open(options.output_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (descriptor < 0) {
            return fail(
                Code::invalid_input,
                fmt::format(
                    "cannot open the log file {}: {}", options.output_path, std::strerror(errno)
                )
            );
        }
    }
    Format format = options.format;
    if (format == Format::automatic) {
        format = ::isatty(descriptor) != 0 ? Format::text : Format::json;
    }
    Sink& to = sink();
    const std::lock_guard lock(to.mutex);
    if (to.descriptor > STDERR_FILENO) ::close(to.descriptor);
    to.descriptor = descriptor;
    to.format = format;
    to.level = options.level;
    return {};
}

bool enabled(Level level) noexcept {
    return level >= sink().level.load(std::memory_order_relaxed);
}

void write(
    Level level, std::string_view component, std::string_view message, std::span<const Field> fields
) {
    Sink& to = sink();
    if (!enabled(level)) return;
    to.counts[static_cast<std::size_t>(level)].fetch_add(1, std::memory_order_relaxed);
    const std::int64_t now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                                 std::chrono::system_clock::now().time_since_epoch()
    )
                                 .count();
    std::string line = format_line(
        to.format.load(std::memory_order_relaxed), now, level, component, message, fields
    );
    line += '\n';
    const std::lock_guard lock(to.mutex);
    write_whole(to.descriptor, line);
}

std::uint64_t count(Level level) noexcept {
    return sink().counts[static_cast<std::size_t>(level)].load(std::memory_order_relaxed);
}

std::string format_line(
    Format format,
    std::int64_t unix_nanoseconds,
    Level level,
    std::string_view component,
    std::string_view message,
    std::span<const Field> fields
) {
    std::string out;
    out.reserve(256);
    if (format == Format::text) {
        append_time(out, unix_nanoseconds, 3);
        out += ' ';
        out += kLevelColumns[static_cast<std::size_t>(level)];
        out += ' ';
        out += component;
        out += ": ";
        // A line break inside a message would let a peer forge lines.
        const std::size_t start = out.size();
        append_json(out, message);
        out.erase(start, 1);
        out.pop_back();
        for (const Field& field : fields) {
            out += ' ';
            out += field.key();
            out += '=';
            append_value(out, field.value(), format);
        }
        return out;
    }
    out += "{\"time\":\"";
    append_time(out, unix_nanoseconds, 9);
    out += "\",\"level\":\"";
    out += to_string(level);
    out += "\",\"msg\":";
    append_json(out, message);
    out += ",\"component\":";
    append_json(out, component);
    for (const Field& field : fields) {
        out += ',';
        append_json(out, field.key());
        out += ':';
        append_value(out, field.value(), format);
    }
    out += '}';
    return out;
}

}  // namespace txstream::log
