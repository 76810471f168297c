#include "telemetry/detail/repeat_limiter.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace txstream::log::detail {

namespace {

constexpr std::array<std::string_view, 8> kClassFields{
    "error_type", "status", "route", "topic", "from", "to", "signal", "worker"
};

// FNV-1a. Unlike std::hash it can be continued over several texts without copying them together.
class Hash {
public:
    void add(unsigned char byte) noexcept { value_ = (value_ ^ byte) * 0x100000001b3U; }
    void add(std::string_view text) noexcept {
        for (const char c : text) add(static_cast<unsigned char>(c));
        add(std::uint8_t{0xFF});  // ends the text: no UTF-8 has this byte
    }
    void add_without_numbers(std::string_view text) noexcept {
        bool in_number = false;
        for (const char c : text) {
            const bool is_digit = c >= '0' && c <= '9';
            if (!is_digit) add(static_cast<unsigned char>(c));
            if (is_digit && !in_number) add(static_cast<unsigned char>('0'));
            in_number = is_digit;
        }
        add(std::uint8_t{0xFF});
    }
    void add(std::uint64_t number) noexcept {
        for (int i = 0; i < 8; ++i) add(static_cast<unsigned char>(number >> (8 * i)));
    }
    std::uint64_t value() const noexcept { return value_; }

private:
    std::uint64_t value_ = 0xcbf29ce484222325U;
};

void add_value(Hash& hash, const Field::Value& value) noexcept {
    if (const auto* text = std::get_if<std::string_view>(&value)) hash.add(*text);
    if (const auto* number = std::get_if<std::int64_t>(&value))
        hash.add(static_cast<std::uint64_t>(*number));
    if (const auto* number = std::get_if<std::uint64_t>(&value)) hash.add(*number);
}

// No kind of line has such a small number but by chance of one in 2^60.
std::uint64_t overflow_kind(Level level) noexcept {
    return static_cast<std::uint64_t>(level);
}

}  // namespace

std::uint64_t kind_of(
    Level level, std::string_view component, std::string_view message, std::span<const Field> fields
) noexcept {
    Hash hash;
    hash.add(static_cast<unsigned char>(level));
    hash.add(component);
    hash.add_without_numbers(message);
    for (const auto& field : fields) {
        if (std::ranges::find(kClassFields, field.key()) == kClassFields.end()) continue;
        hash.add(field.key());
        add_value(hash, field.value());
    }
    return hash.value();
}

bool RepeatLimiter::admit(std::uint64_t kind, Level level, Time now) {
    sampled_ = nullptr;
    auto found = kinds_.find(kind);
    if (found == kinds_.end()) {
        if (kinds_.size() >= kKindsMax) kind = overflow_kind(level);
        found = kinds_.try_emplace(kind, Kind{.level = level, .window_began = now}).first;
        next_due_ = std::min(next_due_, now + kWindow);
    }
    auto& known = found->second;
    if (known.at_once < kAtOnce) {
        ++known.at_once;
        return true;
    }
    if (known.repeats++ == 0) sampled_ = &known;
    return false;
}

void RepeatLimiter::keep(std::string line) {
    if (sampled_ != nullptr) sampled_->sample = std::move(line);
    sampled_ = nullptr;
}

RepeatLimiter::Summary RepeatLimiter::tell(Kind& kind, Time now) {
    Summary summary{kind.level, std::move(kind.sample), kind.repeats, now - kind.window_began};
    kind.sample.clear();
    kind.repeats = 0;
    kind.window_began = now;
    kind.window = std::min(2 * kind.window, kWindowMax);
    // It is noisy: until it has been silent for a window, one line for each is enough.
    kind.at_once = kAtOnce;
    return summary;
}

std::vector<RepeatLimiter::Summary> RepeatLimiter::due(Time now) {
    std::vector<Summary> told;
    if (now < next_due_) return told;
    next_due_ = Time::max();
    for (auto at = kinds_.begin(); at != kinds_.end();) {
        auto& kind = at->second;
        if (now - kind.window_began < kind.window) {
            // Still counting.
        } else if (kind.repeats > 0) {
            told.push_back(tell(kind, now));
        } else {
            at = kinds_.erase(at);
            continue;
        }
        next_due_ = std::min(next_due_, kind.window_began + kind.window);
        ++at;
    }
    return told;
}

std::vector<RepeatLimiter::Summary> RepeatLimiter::rest(Time now) {
    std::vector<Summary> told;
    for (auto& [number, kind] : kinds_) {
        if (kind.repeats > 0) told.push_back(tell(kind, now));
    }
    return told;
}

}  // namespace txstream::log::detail
