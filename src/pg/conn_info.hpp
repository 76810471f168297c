#pragma once

#include "base/error.hpp"

#include <chrono>
#include <concepts>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace txstream::pg {

/// Called after each statement, on the session's thread: its name, how long it took, and whether it
/// succeeded. Must not throw.
using StatementObserver =
    std::function<void(std::string_view name, std::chrono::nanoseconds took, bool is_ok)>;

/// libpq's connection string, or a function that returns it and is called at each connect: a
/// password in a file may be rotated while the process runs. Holds a password: never log it.
class ConnInfo {
public:
    using Source = std::function<Result<std::string>()>;

    template <std::convertible_to<std::string> Text>
    ConnInfo(Text&& text)  // NOLINT(*-explicit-*, *-forwarding-reference-overload)
        : source_([text = std::string(std::forward<Text>(text))]() -> Result<std::string> {
              return text;
          }) {}
    ConnInfo(Source source) : source_(std::move(source)) {}  // NOLINT(*-explicit-*)

    /// Code::unavailable while a file cannot be read: the next connect may find it.
    Result<std::string> get() const { return source_(); }

    /// Sessions that are opened with the result tell of their statements.
    ConnInfo observed_by(StatementObserver observer) const {
        auto observed = *this;
        observed.observer_ = std::move(observer);
        return observed;
    }
    const StatementObserver& observer() const noexcept { return observer_; }

private:
    Source source_;
    StatementObserver observer_;
};

/// What a connection string of either kind says, by libpq's names, as libpq itself reads it. The
/// complaint, which completes "the connection string …", holds no value, since any part may be a
/// misplaced password. Code::not_found: a parameter has a name that libpq does not know.
Result<std::map<std::string, std::string>> parse_conninfo(const std::string& text);

}  // namespace txstream::pg
