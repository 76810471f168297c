#pragma once

#include "http/request.hpp"
#include "http/tokens.hpp"

#include <boost/asio/ip/address.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace txstream::http {

/// Decides who sends a request, by its `Authorization: Bearer TOKEN`.
///
/// A request without one comes from an anonymous caller, and Options::anonymous says what that may
/// do. A wrong token is refused whatever the route asks for: its sender expects a role that it does
/// not have. Another scheme than Bearer is for a proxy in front of us, and is ignored.
///
/// Whoever tries tokens is slowed down: after ten different wrong ones in a minute, tokens from
/// that network address are answered 429, unless they were accepted from there before. Behind a
/// proxy all clients have one address, and one of them must not lock out the others.
///
/// Belongs to the thread of its server, which it outlives.
class Access {
public:
    using Clock = Tokens::Clock;

    explicit Access(Tokens tokens);
    ~Access();
    Access(const Access&) = delete;
    Access& operator=(const Access&) = delete;

    struct Refusal {
        int status;  ///< 401 or 429
        std::string text;
        std::chrono::seconds retry_after{};  ///< of a 429
    };
    /// An anonymous caller is one without a role.
    tl::expected<Caller, Refusal> identify(
        const Request& request, const asio::ip::address& peer, Clock::time_point now
    );
    /// The one-time token of a link for a session token. Wrong ones count as wrong tokens do.
    tl::expected<Tokens::Issued, Refusal> exchange(
        std::string_view one_time, const asio::ip::address& peer, Clock::time_point now
    );
    /// Of a request with a token, whether it is a valid one or not.
    static std::optional<Tokens::Digest> token_of(const Request& request);
    /// For a stream, which may outlive its token.
    bool is_valid(const Tokens::Digest& token, Clock::time_point now);
    Tokens& tokens() noexcept { return tokens_; }

private:
    class Failures;

    Tokens tokens_;
    std::unique_ptr<Failures> failures_;
};

}  // namespace txstream::http
