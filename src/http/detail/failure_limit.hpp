#pragma once

#include "http/detail/digest.hpp"
#include "runtime/deadline.hpp"

#include <boost/asio/ip/address.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <map>
#include <optional>

namespace txstream::http::detail {

/// Slows down a client that tries tokens: so many wrong ones in so long, by network address.
///
/// The same wrong token again does not count: a page that was left open with an expired token asks
/// every few seconds and tries nothing. Addresses of IPv6 count by their /64, which is what one
/// client has. The table is bounded; when it is full, the address whose window began first goes.
class FailureLimit {
public:
    using Clock = Deadline::Clock;
    using Peer = std::array<unsigned char, 8>;

    struct Limits {
        std::size_t failures_max = 10;     ///< in one window
        std::chrono::seconds window{60};   ///< begins with the first
        std::size_t addresses_max = 1024;  ///< remembered
    };

    explicit FailureLimit(Limits limits) : limits_(limits) {}

    static Peer peer_of(const boost::asio::ip::address& address);

    /// How long until tokens of this address are looked at again.
    std::optional<std::chrono::seconds> blocked(const Peer& peer, Clock::time_point now) const;
    void failed(const Peer& peer, const Digest& token, Clock::time_point now);
    std::size_t size() const noexcept { return peers_.size(); }

private:
    struct Failures {
        Clock::time_point since;
        std::size_t count = 0;
        Digest last{};
    };

    Limits limits_;
    std::map<Peer, Failures> peers_;
};

}  // namespace txstream::http::detail
