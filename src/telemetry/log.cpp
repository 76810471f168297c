#include "telemetry/log.hpp"

#include "telemetry/detail/log_format.hpp"
#include "telemetry/detail/log_output.hpp"
#include "telemetry/detail/repeat_limiter.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

// No logging library behind this: what would be left for it is opening a file, a mutex and write().
// spdlog escapes no JSON and its file sinks buffer, so that a kill -9 loses the lines before it.
namespace txstream::log {
namespace {

constexpr std::array<std::string_view, kLevels> kLevelNames{
    "debug", "info", "warn", "error", "fatal"
};

// How the journal is told a line's priority, see sd-daemon(3).
constexpr std::array<std::string_view, kLevels> kPriorities{"<7>", "<6>", "<4>", "<3>", "<2>"};

detail::RepeatLimiter::Time steady_now() {
    return std::chrono::steady_clock::now().time_since_epoch();
}

std::int64_t unix_now() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

struct Sink {
    std::mutex mutex;
    detail::Output output;          // guarded by mutex
    detail::RepeatLimiter limiter;  // guarded by mutex
    std::atomic<Level> level{Level::info};
    std::atomic<Format> format{Format::json};
    std::array<std::atomic<std::uint64_t>, kLevels> counts{};
    std::array<std::atomic<std::uint64_t>, kLevels> repeats{};
    std::atomic<std::uint64_t> lost{0};

    // All below: the caller holds the mutex.

    void put(Level of, std::string line) {
        if (output.is_journal()) line.insert(0, kPriorities[static_cast<std::size_t>(of)]);
        line += '\n';
        const auto lost_before = output.lost();
        output.write(line);
        if (output.lost() > 0) {
            lost.fetch_add(1, std::memory_order_relaxed);
        } else if (lost_before > 0) {
            write_now(
                Level::warn,
                "log",
                "log lines were lost; the output did not take them",
                std::array{Field("lines", lost_before)}
            );
        }
    }

    void write_now(
        Level of,
        std::string_view component,
        std::string_view message,
        std::span<const Field> fields
    ) {
        counts[static_cast<std::size_t>(of)].fetch_add(1, std::memory_order_relaxed);
        put(of, format_line(format, unix_now(), of, component, message, fields));
    }

    void tell(const std::vector<detail::RepeatLimiter::Summary>& summaries) {
        for (const auto& summary : summaries) {
            const auto within =
                std::chrono::duration_cast<std::chrono::milliseconds>(summary.within).count();
            std::string line;
            detail::begin_line(line, format, unix_now());
            line += summary.line;
            detail::append_field(line, format, Field("repeats", summary.repeats));
            detail::append_field(line, format, Field("repeats_ms", within));
            detail::end_line(line, format);
            counts[static_cast<std::size_t>(summary.level)].fetch_add(1, std::memory_order_relaxed);
            put(summary.level, std::move(line));
        }
    }
};

Sink& sink();

void tell_the_rest() {
    Sink& to = sink();
    const std::lock_guard lock(to.mutex);
    to.tell(to.limiter.rest(steady_now()));
}

// Never destroyed: other threads may log while the process ends.
Sink& sink() {
    static Sink* const instance = [] {
        (void)std::atexit(tell_the_rest);  // without it, the last count is lost
        return new Sink;
    }();
    return *instance;
}

// Debug lines were asked for one by one; a fatal one is the last.
bool is_limited(Level level) {
    return level != Level::debug && level != Level::fatal;
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
    Sink& to = sink();
    const std::lock_guard lock(to.mutex);
    to.tell(to.limiter.rest(steady_now()));  // they were formatted for the output so far
    TXS_CHECK(to.output.open(options.output_path));
    Format format = options.format;
    if (format == Format::automatic) {
        format = to.output.is_terminal() ? Format::text : Format::json;
    }
    to.format = format;
    to.level = options.level;
    return {};
}

void reopen() {
    Sink& to = sink();
    const std::lock_guard lock(to.mutex);
    const auto done = to.output.reopen();
    if (done) {
        to.write_now(Level::info, "log", "opened the log file again", {});
    } else if (done.error().code() == Code::conflict) {
        to.write_now(
            Level::info, "log", "SIGHUP changes nothing: the log is not written to a file", {}
        );
    } else {
        to.write_now(
            Level::error,
            "log",
            "cannot open the log file again; writing on into the old one",
            std::array{Field("error", done.error().what())}
        );
    }
}

void tell_repeats() {
    Sink& to = sink();
    const std::lock_guard lock(to.mutex);
    to.tell(to.limiter.due(steady_now()));
}

void flush() {
    tell_the_rest();
}

bool enabled(Level level) noexcept {
    return level >= sink().level.load(std::memory_order_relaxed);
}

void write(
    Level level, std::string_view component, std::string_view message, std::span<const Field> fields
) {
    Sink& to = sink();
    if (!enabled(level)) return;
    if (!is_limited(level)) {
        const std::lock_guard lock(to.mutex);
        to.write_now(level, component, message, fields);
        return;
    }
    const auto kind = detail::kind_of(level, component, message, fields);
    const std::lock_guard lock(to.mutex);
    const auto now = steady_now();
    to.tell(to.limiter.due(now));
    if (to.limiter.admit(kind, level, now)) {
        to.write_now(level, component, message, fields);
        return;
    }
    to.repeats[static_cast<std::size_t>(level)].fetch_add(1, std::memory_order_relaxed);
    if (!to.limiter.wants_sample()) return;
    std::string body;
    detail::append_body(body, to.format, level, component, message, fields);
    to.limiter.keep(std::move(body));
}

std::uint64_t count(Level level) noexcept {
    return sink().counts[static_cast<std::size_t>(level)].load(std::memory_order_relaxed);
}

std::uint64_t repeat_count(Level level) noexcept {
    return sink().repeats[static_cast<std::size_t>(level)].load(std::memory_order_relaxed);
}

std::uint64_t lost_count() noexcept {
    return sink().lost.load(std::memory_order_relaxed);
}

}  // namespace txstream::log
