#pragma once

#include "base/error.hpp"

#include <concepts>
#include <functional>
#include <string>
#include <utility>

namespace txstream::pg {

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

private:
    Source source_;
};

}  // namespace txstream::pg
