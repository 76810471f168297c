#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace txstream {

/// What an expected failure means for the one who gets it. Names appear in logs and metric labels.
enum class Code : std::uint8_t {
    invalid_input,  ///< the caller must change the request
    not_found,
    conflict,     ///< version or uniqueness; the caller may re-read and retry
    unavailable,  ///< peer down or refusing; later may work
    timed_out,    ///< no answer: the effect is UNKNOWN
    overloaded,   ///< we or the peer shed load
    rejected,     ///< the peer understood and will never accept this
    corrupt,      ///< stored or received bytes break the format
    cancelled,    ///< we were told to stop; never logged as an error
};

std::string_view to_string(Code code) noexcept;

/// A failure that an input, a peer, a row, a clock or a configuration can cause. Bugs abort instead
/// (TXS_ASSERT).
class [[nodiscard]] Error {
public:
    Error(Code code, std::string what, std::string origin = {});

    Code code() const noexcept { return code_; }
    /// True when doing the same again later may work. The only place that decides.
    bool retryable() const noexcept;
    /// For people: names the thing and the remedy, never holds a secret.
    const std::string& what() const noexcept { return what_; }
    /// The peer's own name of the failure: "23505", "MSG_SIZE_TOO_LARGE", "ECONNREFUSED".
    const std::string& origin() const noexcept { return origin_; }
    /// Prefixes the step that failed: "claim lanes: connection refused".
    Error while_doing(std::string_view step) &&;

private:
    Code code_;
    std::string what_;
    std::string origin_;
};

template <class T = void>
using Result = tl::expected<T, Error>;

/// Shorthand for `return fail(Code::not_found, "...")`.
tl::unexpected<Error> fail(Code code, std::string what, std::string origin = {});

}  // namespace txstream

// Unwrap a Result or return its error. Plain statements, so they work in coroutines too.
#define TXS_CONCAT_INNER(a, b) a##b
#define TXS_CONCAT(a, b) TXS_CONCAT_INNER(a, b)
#define TXS_TRY_IMPL(ret, hidden, declaration, ...)                                \
    auto hidden = (__VA_ARGS__);                                                   \
    if (!hidden) ret tl::unexpected<::txstream::Error>(std::move(hidden).error()); \
    declaration = std::move(*hidden)
#define TXS_CHECK_IMPL(ret, hidden, ...)      \
    if (auto hidden = (__VA_ARGS__); !hidden) \
    ret tl::unexpected<::txstream::Error>(std::move(hidden).error())

/// TXS_TRY(auto value, expression): binds the value or returns the error.
#define TXS_TRY(declaration, ...) \
    TXS_TRY_IMPL(return, TXS_CONCAT(txs_result_, __COUNTER__), declaration, __VA_ARGS__)
#define TXS_CO_TRY(declaration, ...) \
    TXS_TRY_IMPL(co_return, TXS_CONCAT(txs_result_, __COUNTER__), declaration, __VA_ARGS__)
/// TXS_CHECK(expression): a step without a value.
#define TXS_CHECK(...) TXS_CHECK_IMPL(return, TXS_CONCAT(txs_result_, __COUNTER__), __VA_ARGS__)
#define TXS_CO_CHECK(...) \
    TXS_CHECK_IMPL(co_return, TXS_CONCAT(txs_result_, __COUNTER__), __VA_ARGS__)
