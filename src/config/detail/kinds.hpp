#pragma once

#include "config/config.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// What values a setting may have: the words for people and the check, made in one place so that
/// they cannot differ.
namespace txstream::config::kinds {

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

/// Where a value goes once it is known to be good.
template <class Value>
using Set = std::function<void(Config&, const Value&)>;

/// A place in the Config, as a `Set` of any value that its type can be made of.
template <class Access>
struct Member {
    using Target = std::remove_reference_t<std::invoke_result_t<Access, Config&>>;

    void operator()(Config& config, const auto& value) const {
        if constexpr (requires { std::chrono::duration_cast<Target>(value); })
            access(config) = std::chrono::duration_cast<Target>(value);
        else
            access(config) = static_cast<Target>(value);
    }

    Access access;
};
// NOLINTNEXTLINE(bugprone-macro-parentheses): a member's name cannot stand in parentheses
#define TXS_MEMBER(path)                                                \
    ::txstream::config::kinds::Member {                                 \
        [](::txstream::Config& config) -> auto& { return config.path; } \
    }

Kind number(std::string noun, std::int64_t least, std::int64_t most, Set<std::int64_t> set);
/// 0, any free one, to 65535.
Kind port(Set<std::int64_t> set);
Kind bytes(std::int64_t least, std::int64_t most, Set<std::int64_t> set);
Kind real(double least, double most, Set<double> set);
/// A value finer than `unit` is refused.
Kind duration_in(
    std::chrono::nanoseconds unit,
    std::chrono::nanoseconds least,
    std::chrono::nanoseconds most,
    Set<std::chrono::nanoseconds> set
);
template <class Access>
Kind duration(std::chrono::nanoseconds least, std::chrono::nanoseconds most, Member<Access> set) {
    return duration_in(typename Member<Access>::Target(1), least, most, std::move(set));
}
Kind boolean(Set<bool> set);
/// One of the words, in any case; `set` gets it as written here.
Kind choice(std::vector<std::string> words, Set<std::string_view> set);
Kind text(std::string allowed, Set<std::string_view> set);
Kind not_empty(std::string allowed, Set<std::string_view> set);
/// Texts separated by commas; none may be empty, and `judge` says of each what is wrong with it:
/// nothing, or an empty reason (see `allowed`), or one of its own.
Kind list(
    std::string allowed,
    std::function<Complaint(std::string_view)> judge,
    Set<std::vector<std::string>> set
);
/// Accepts anything and sets nothing.
Kind anything();

}  // namespace txstream::config::kinds
