#include "http/detail/failure_limit.hpp"

#include <algorithm>

namespace txstream::http::detail {

FailureLimit::Peer FailureLimit::peer_of(const boost::asio::ip::address& address) {
    Peer peer{};
    if (address.is_v4()) {
        const auto bytes = address.to_v4().to_bytes();
        // No /64 of IPv6 begins with zeros but the reserved one of ::1.
        std::copy(bytes.begin(), bytes.end(), peer.begin() + 4);
    } else {
        const auto bytes = address.to_v6().to_bytes();
        std::copy_n(bytes.begin(), peer.size(), peer.begin());
    }
    return peer;
}

std::optional<std::chrono::seconds> FailureLimit::blocked(const Peer& peer, Clock::time_point now)
    const {
    const auto found = peers_.find(peer);
    if (found == peers_.end() || found->second.count < limits_.failures_max) return std::nullopt;
    const auto left = found->second.since + limits_.window - now;
    if (left <= Clock::duration::zero()) return std::nullopt;
    return std::chrono::ceil<std::chrono::seconds>(left);
}

void FailureLimit::failed(const Peer& peer, const Digest& token, Clock::time_point now) {
    auto found = peers_.find(peer);
    if (found == peers_.end()) {
        if (peers_.size() >= limits_.addresses_max)
            peers_.erase(std::min_element(
                peers_.begin(),
                peers_.end(),
                [](const auto& left, const auto& right) {
                    return left.second.since < right.second.since;
                }
            ));
        found = peers_.emplace(peer, Failures{now, 0, {}}).first;
    }
    auto& failures = found->second;
    if (now - failures.since >= limits_.window) {
        failures.since = now;
        failures.count = 0;
    } else if (failures.count > 0 && same_digest(failures.last, token)) {
        return;
    }
    ++failures.count;
    failures.last = token;
}

}  // namespace txstream::http::detail
