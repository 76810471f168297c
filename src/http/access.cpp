#include "http/access.hpp"

#include "base/text.hpp"
#include "http/detail/digest.hpp"
#include "http/detail/failure_limit.hpp"

#include <utility>

namespace txstream::http {
namespace {

using detail::FailureLimit;

static_assert(std::is_same_v<Tokens::Digest, detail::Digest>);
static_assert(std::is_same_v<Tokens::Peer, FailureLimit::Peer>);

tl::unexpected<Access::Refusal> too_many(std::chrono::seconds left) {
    return tl::unexpected<Access::Refusal>(
        Access::Refusal{429, "too many wrong tokens from this address, try again later", left}
    );
}

tl::unexpected<Access::Refusal> wrong(std::string text) {
    return tl::unexpected<Access::Refusal>(Access::Refusal{401, std::move(text), {}});
}

}  // namespace

class Access::Failures : public FailureLimit {
public:
    Failures() : FailureLimit(Limits{}) {}
};

Access::Access(Tokens tokens)
    : tokens_(std::move(tokens)), failures_(std::make_unique<Failures>()) {
}

Access::~Access() = default;

tl::expected<Caller, Access::Refusal> Access::identify(
    const Request& request, const asio::ip::address& peer, Clock::time_point now
) {
    const auto token = token_of(request);
    if (!token) return Caller{};
    if (request.headers.count("Authorization") > 1)
        return wrong("the request has more than one Authorization");
    const auto& digest = *token;
    const auto from = FailureLimit::peer_of(peer);
    auto* const holder = tokens_.find(digest, now);
    const bool is_known_here = holder != nullptr && holder->seen_at == from;
    if (const auto left = failures_->blocked(from, now); left && !is_known_here)
        return too_many(*left);
    if (holder == nullptr) {
        failures_->failed(from, digest, now);
        return wrong("the token is wrong or has expired; ask for another, or open a new link");
    }
    holder->seen_at = from;
    return holder->caller;
}

std::optional<Tokens::Digest> Access::token_of(const Request& request) {
    constexpr std::string_view kBearer = "Bearer ";
    const auto sent = request.header("Authorization").value_or("");
    if (!same_word(sent.substr(0, kBearer.size()), kBearer)) return std::nullopt;
    return detail::digest_of(trimmed(sent.substr(kBearer.size())));
}

bool Access::is_valid(const Tokens::Digest& token, Clock::time_point now) {
    return tokens_.find(token, now) != nullptr;
}

tl::expected<Tokens::Issued, Access::Refusal> Access::exchange(
    std::string_view one_time, const asio::ip::address& peer, Clock::time_point now
) {
    const auto from = FailureLimit::peer_of(peer);
    if (const auto left = failures_->blocked(from, now)) return too_many(*left);
    auto issued = tokens_.exchange(one_time, now);
    if (!issued) {
        failures_->failed(from, detail::digest_of(one_time), now);
        return wrong("the link was used already or has expired; open a new one");
    }
    return std::move(*issued);
}

}  // namespace txstream::http
