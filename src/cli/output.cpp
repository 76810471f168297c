#include "cli/output.hpp"

#include "base/assert.hpp"
#include "base/utf8.hpp"
#include "console/overview.hpp"
#include "domain/timestamp.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <span>
#include <sys/ioctl.h>
#include <unistd.h>

namespace txstream::cli {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view kEmpty = "-";
constexpr std::size_t kStandardWidth = 80;
/// A column is not cut to less: what is left would say nothing.
constexpr std::size_t kColumnMin = 8;
/// Of one value where one thing is shown on a terminal.
constexpr std::size_t kValueShownMax = 2000;
constexpr std::string_view kGap = "  ";

struct Range {
    char32_t first;
    char32_t last;
};
/// Terminals act on them, or show nothing or another order.
constexpr std::array kHidden = {
    Range{0x00, 0x1f},
    Range{0x7f, 0x9f},
    Range{0xad, 0xad},
    Range{0x61c, 0x61c},
    Range{0x200b, 0x200f},
    Range{0x2028, 0x202e},
    Range{0x2060, 0x206f},
    Range{0xfeff, 0xfeff},
    Range{0xfff9, 0xfffb},
    Range{0xe0000, 0xe007f},
};
constexpr std::array kWide = {
    Range{0x1100, 0x115f},
    Range{0x2e80, 0xa4cf},
    Range{0xac00, 0xd7a3},
    Range{0xf900, 0xfaff},
    Range{0xfe30, 0xfe6f},
    Range{0xff00, 0xff60},
    Range{0xffe0, 0xffe6},
    Range{0x1f300, 0x1faff},
    Range{0x20000, 0x3fffd},
};
constexpr std::array kCombining = {Range{0x0300, 0x036f}, Range{0xfe00, 0xfe0f}};

bool is_among(char32_t point, std::span<const Range> ranges) noexcept {
    return std::ranges::any_of(ranges, [&](Range one) {
        return point >= one.first && point <= one.last;
    });
}

struct Point {
    char32_t value = 0;
    std::size_t bytes = 1;
    bool is_valid = false;
};

Point point_at(std::string_view text) noexcept {
    constexpr unsigned kContinued = 0x3f;
    const auto length = utf8_length(text);
    if (length == 0) return {static_cast<unsigned char>(text.front()), 1, false};
    const auto first = static_cast<unsigned char>(text.front());
    char32_t value = length == 1 ? first : first & (0xffU >> (length + 1));
    for (const char c : text.substr(1, length - 1))
        value = value << 6U | (static_cast<unsigned char>(c) & kContinued);
    return {value, length, true};
}

std::size_t width_of(char32_t point) noexcept {
    if (is_among(point, kCombining)) return 0;
    return is_among(point, kWide) ? 2 : 1;
}

/// Calls `take` with each code point and its bytes.
template <class Take>
void each_point(std::string_view text, Take take) {
    while (!text.empty()) {
        const auto point = point_at(text);
        take(point, text.substr(0, point.bytes));
        text.remove_prefix(point.bytes);
    }
}

void append_visible(std::string& out, Point point, std::string_view bytes) {
    if (point.is_valid && !is_among(point.value, kHidden)) {
        out += bytes;
        return;
    }
    const auto value = static_cast<std::uint32_t>(point.value);
    if (point.value == '\n') {
        out += "\\n";
    } else if (point.value == '\t') {
        out += "\\t";
    } else if (point.value == '\r') {
        out += "\\r";
    } else if (!point.is_valid || value < 0x80) {
        out += fmt::format("\\x{:02x}", value);
    } else {
        out += fmt::format("\\u{{{:x}}}", value);
    }
}

/// The library escapes what RFC 8259 demands. What else a terminal acts on stands only in strings.
std::string harmless(std::string_view json) {
    constexpr std::uint32_t kPlane = 0x10000;
    std::string out;
    out.reserve(json.size());
    each_point(json, [&](Point point, std::string_view bytes) {
        const auto value = static_cast<std::uint32_t>(point.value);
        if (value < 0x7f || !is_among(point.value, kHidden)) {
            out += bytes;
        } else if (value < kPlane) {
            out += fmt::format("\\u{:04x}", value);
        } else {
            const auto rest = value - kPlane;
            out +=
                fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + (rest >> 10U), 0xdc00 + (rest & 0x3ffU));
        }
    });
    return out;
}

std::string dumped(const Json& json, int indent) {
    return harmless(json.dump(indent, ' ', false, Json::error_handler_t::replace));
}

const Json* value_at(const Json& row, const char* pointer) {
    const Json::json_pointer at(pointer);
    if (!row.contains(at)) return nullptr;
    const auto& value = row.at(at);
    return value.is_null() ? nullptr : &value;
}

/// 64-bit numbers stand in JSON as text.
std::optional<double> number_of(const Json& value) {
    if (value.is_number()) return value.get<double>();
    if (!value.is_string()) return std::nullopt;
    const auto& text = value.get_ref<const std::string&>();
    double number = 0;
    const auto* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || rest != end) return std::nullopt;
    return number;
}

std::string number_text(double number) {
    constexpr double kExact = 9e15;
    if (number < 0 || number > kExact || number != std::floor(number))
        return fmt::format("{:.1f}", number);
    return console::grouped(static_cast<std::uint64_t>(number));
}

std::string bytes_text(double bytes) {
    constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
    constexpr double kStep = 1024;
    std::size_t unit = 0;
    while (bytes >= kStep && unit + 1 < kUnits.size()) {
        bytes /= kStep;
        ++unit;
    }
    return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 1, kUnits[unit]);
}

std::string ago_text(const Json& value, const Screen& screen) {
    const auto text = value.is_string() ? value.get<std::string>() : value.dump();
    const auto time = domain::parse_rfc3339(text);
    if (!time) return visible(text);
    const auto span = std::chrono::floor<std::chrono::milliseconds>(screen.now - *time);
    if (span < -1s) return "in " + console::spoken(-span);
    return span < 1s ? "just now" : console::spoken(span) + " ago";
}

std::string plain_text(const Json& value) {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string cell(const Json& row, const Column& column, const Screen& screen) {
    const auto* const value = value_at(row, column.at);
    if (value == nullptr) return std::string(kEmpty);
    const auto number = number_of(*value);
    std::string text;
    if (column.shown == Shown::ago) {
        text = ago_text(*value, screen);
    } else if (column.shown == Shown::number && number) {
        text = number_text(*number);
    } else if (column.shown == Shown::seconds && number) {
        text = console::spoken(
            std::chrono::milliseconds(static_cast<std::int64_t>(std::lround(*number * 1000)))
        );
    } else if (column.shown == Shown::bytes && number) {
        text = bytes_text(*number);
    } else {
        text = visible(plain_text(*value));
    }
    return text.empty() ? std::string(kEmpty) : text;
}

std::string cut(std::string text, std::size_t columns) {
    if (columns_of(text) <= columns) return text;
    std::string out;
    std::size_t taken = 0;
    bool is_full = false;
    each_point(text, [&](Point point, std::string_view bytes) {
        const auto width = width_of(point.value);
        is_full = is_full || taken + width > columns - 1;
        if (is_full) return;
        taken += width;
        out += bytes;
    });
    return out + "…";
}

/// Name and value, a line for each.
std::string upright(const Listing& listing, const Json& row, const Screen& screen) {
    std::size_t widest = 0;
    for (const auto& column : listing.columns) widest = std::max(widest, columns_of(column.title));
    std::string out;
    for (const auto& column : listing.columns) {
        auto text = cell(row, column, screen);
        if (screen.width) text = cut(std::move(text), kValueShownMax);
        out += fmt::format("{:<{}}{}{}\n", column.title, widest, kGap, text);
    }
    return out;
}

bool is_to_the_right(const Column& column) {
    return column.shown == Shown::number || column.shown == Shown::bytes;
}

/// The widest columns give way until the line fits; false: they cannot.
bool fit(std::vector<std::size_t>& widths, std::size_t width) {
    auto total = kGap.size() * (widths.size() - 1);
    for (const auto one : widths) total += one;
    while (total > width) {
        const auto widest = std::ranges::max_element(widths);
        if (*widest <= kColumnMin) return false;
        --*widest;
        --total;
    }
    return true;
}

std::string line_of(
    const Listing& listing,
    const std::vector<std::string>& cells,
    const std::vector<std::size_t>& widths
) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        const auto text = cut(cells[i], widths[i]);
        const std::string blanks(widths[i] - columns_of(text), ' ');
        if (i > 0) line += kGap;
        line += is_to_the_right(listing.columns[i]) ? blanks + text : text + blanks;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line + "\n";
}

std::string table(const Listing& listing, const Screen& screen) {
    std::vector<std::vector<std::string>> lines(1);
    for (const auto& column : listing.columns) lines.front().emplace_back(column.title);
    for (const auto& row : listing.rows) {
        auto& line = lines.emplace_back();
        for (const auto& column : listing.columns) line.push_back(cell(row, column, screen));
    }
    std::vector<std::size_t> widths(listing.columns.size(), 0);
    for (const auto& line : lines)
        for (std::size_t i = 0; i < line.size(); ++i)
            widths[i] = std::max(widths[i], columns_of(line[i]));
    std::string out;
    if (screen.width && !fit(widths, *screen.width)) {
        for (const auto& row : listing.rows)
            out += (out.empty() ? "" : "\n") + upright(listing, row, screen);
        return out;
    }
    for (const auto& line : lines) out += line_of(listing, line, widths);
    return out;
}

std::string field(std::string text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"') quoted += '"';
        quoted += c;
    }
    return quoted + '"';
}

std::string csv(const Listing& listing, const Screen& screen) {
    std::string out;
    for (const auto& column : listing.columns) {
        std::string name(column.at + 1);
        std::ranges::replace(name, '/', '.');
        out += (&column == listing.columns.data() ? "" : ",") + field(std::move(name));
    }
    out += '\n';
    for (const auto& row : listing.rows) {
        for (const auto& column : listing.columns) {
            const auto* const value = value_at(row, column.at);
            auto text = std::string(kEmpty);
            if (value != nullptr)
                text = value->is_string() ? value->get<std::string>() : dumped(*value, -1);
            if (screen.width) text = visible(text);
            out += (&column == listing.columns.data() ? "" : ",") + field(std::move(text));
        }
        out += '\n';
    }
    return out;
}

}  // namespace

const std::vector<std::string>& format_words() {
    static const std::vector<std::string> words{"table", "json", "ndjson", "csv"};
    return words;
}

Format format_of(std::string_view word) {
    const auto found = std::ranges::find(format_words(), word);
    TXS_ASSERT(found != format_words().end(), "the option takes these words only");
    return static_cast<Format>(found - format_words().begin());
}

Screen screen_of_output() {
    Screen screen{
        .width = std::nullopt,
        .now = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now())
    };
    if (isatty(STDOUT_FILENO) == 0) return screen;
    winsize size{};
    const bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    screen.width = is_known ? size.ws_col : kStandardWidth;
    return screen;
}

std::string render(const Listing& listing, Format format, const Screen& screen) {
    std::string out;
    switch (format) {
        case Format::json:
            if (listing.is_one && !listing.rows.empty())
                return dumped(listing.rows.front(), 2) + "\n";
            return dumped(Json(listing.rows), 2) + "\n";
        case Format::ndjson:
            for (const auto& row : listing.rows) out += dumped(row, -1) + "\n";
            return out;
        case Format::csv:
            return csv(listing, screen);
        case Format::table:
            break;
    }
    if (listing.rows.empty()) return "";
    return listing.is_one ? upright(listing, listing.rows.front(), screen) : table(listing, screen);
}

std::string visible(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    each_point(text, [&](Point point, std::string_view bytes) {
        append_visible(out, point, bytes);
    });
    return out;
}

std::size_t columns_of(std::string_view text) noexcept {
    std::size_t columns = 0;
    each_point(text, [&](Point point, std::string_view) { columns += width_of(point.value); });
    return columns;
}

std::optional<std::chrono::milliseconds> parse_span(std::string_view text) {
    constexpr std::array kUnits = {
        std::pair{std::string_view("ms"), std::chrono::milliseconds(1)},
        std::pair{std::string_view("s"), std::chrono::milliseconds(1s)},
        std::pair{std::string_view("m"), std::chrono::milliseconds(1min)},
        std::pair{std::string_view("h"), std::chrono::milliseconds(1h)},
        std::pair{std::string_view("d"), std::chrono::milliseconds(24h)},
    };
    // 8,000 years, so that no product and no time before it overflows.
    constexpr std::int64_t kMost = std::chrono::milliseconds(24h).count() * 365 * 8000;
    std::int64_t count = 0;
    const auto* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, count);
    const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
    const auto* const found =
        std::ranges::find(kUnits, unit, [](const auto& one) { return one.first; });
    if (error != std::errc() || count < 0 || found == kUnits.end()) return std::nullopt;
    if (count > kMost / found->second.count()) return std::nullopt;
    return found->second * count;
}

}  // namespace txstream::cli
