#pragma once

#include "app/config.hpp"

#include <chrono>
#include <concepts>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What values a setting may have: the words for people and the check, made in one place so that
/// they cannot differ.
namespace txstream::app::kinds {

/// Nothing when the value was taken; else why not. An empty reason means "see `allowed`".
using Complaint = std::optional<std::string>;

struct Kind {
    std::string allowed;  ///< completes "allowed is …"
    std::function<Complaint(Config&, std::string_view)> apply;
};

std::optional<std::int64_t> parse_integer(std::string_view text);
std::optional<double> parse_real(std::string_view text);
std::optional<bool> parse_bool(std::string_view text);
/// Bytes, with or without KiB, MiB, GiB, kB, MB, GB.
std::optional<std::int64_t> parse_bytes(std::string_view text);
/// As Go writes them: 5s, 200ms, 1m30s, 1.5h. "0" needs no unit.
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);
std::string format_duration(std::chrono::nanoseconds duration);
std::string format_bytes(std::int64_t bytes);
std::string lower(std::string_view text);

/// Takes a place in the Config and gives a reference to the member: `TXS_MEMBER(server.port)`.
// NOLINTNEXTLINE(bugprone-macro-parentheses): a member's name cannot stand in parentheses
#define TXS_MEMBER(path) [](::txstream::app::Config& config) -> auto& { return config.path; }

Kind from_range(
    std::string noun,
    std::int64_t least,
    std::int64_t most,
    std::function<void(Config&, std::int64_t)> set
);
Kind bytes_from_range(
    std::int64_t least, std::int64_t most, std::function<void(Config&, std::int64_t)> set
);
Kind duration_from_range(
    std::chrono::nanoseconds least,
    std::chrono::nanoseconds most,
    std::chrono::nanoseconds unit,
    std::function<void(Config&, std::chrono::nanoseconds)> set
);
Kind real_from_range(double least, double most, std::function<void(Config&, double)> set);
Kind boolean(std::function<void(Config&, bool)> set);
/// One of the words, in any case; `set` gets it as written here.
Kind choice(std::vector<std::string> words, std::function<void(Config&, const std::string&)> set);
Kind text(std::string allowed, std::function<void(Config&, std::string_view)> set);
/// Accepts anything and sets nothing.
Kind anything();

template <class Member>
Kind number(std::string noun, std::int64_t least, std::int64_t most, Member member) {
    return from_range(std::move(noun), least, most, [member](Config& config, std::int64_t n) {
        auto& target = member(config);
        target = static_cast<std::remove_reference_t<decltype(target)>>(n);
    });
}

template <class Member>
Kind bytes(std::int64_t least, std::int64_t most, Member member) {
    return bytes_from_range(least, most, [member](Config& config, std::int64_t n) {
        member(config) = static_cast<std::size_t>(n);
    });
}

template <class Member>
Kind duration(std::chrono::nanoseconds least, std::chrono::nanoseconds most, Member member) {
    using Target = std::remove_reference_t<decltype(member(std::declval<Config&>()))>;
    return duration_from_range(
        least,
        most,
        Target{1},
        [member](Config& config, std::chrono::nanoseconds value) {
            member(config) = std::chrono::duration_cast<Target>(value);
        }
    );
}

template <class Member>
Kind word(std::string allowed, Member member) {
    return text(std::move(allowed), [member](Config& config, std::string_view value) {
        member(config) = std::string(value);
    });
}

}  // namespace txstream::app::kinds
