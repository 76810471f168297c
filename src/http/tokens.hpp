#pragma once

#include "base/error.hpp"
#include "http/role.hpp"
#include "runtime/deadline.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>

namespace txstream::http {

/// Who holds which token: those of a file, and those that a running process issues.
///
/// The file has a line `NAME ROLE TOKEN` or `NAME ROLE sha256:HEX` for each token, and comments
/// that begin with '#'. Roles are viewer and operator; a token has at least 16 characters; a name
/// may have several, so that one can be replaced without a gap. A file that every user of the
/// machine may change is refused; one that every user may read is, unless it holds digests only.
/// Groups may read it: that is how containers get their secrets.
///
/// The file is read again when it has changed. A changed file that is wrong or missing is reported
/// and changes nothing, so a slip of an editor locks no caller out; it revokes no token either.
///
/// A link holds a one-time token. Its first use exchanges it for a session token, which no URL
/// ever holds. Both end with the process.
///
/// Belongs to one thread.
class Tokens {
public:
    using Clock = Deadline::Clock;

    struct Limits {
        std::chrono::seconds recheck{1};      ///< between two looks at the file
        std::chrono::hours link_life{1};      ///< of a one-time token
        std::chrono::hours session_life{12};  ///< of the token it is exchanged for
        std::size_t links_max = 16;           ///< unused ones; a further one ends the oldest
        std::size_t sessions_max = 100;       ///< a further one ends the oldest
    };
    using Random = std::function<std::string()>;
    using Trouble = std::function<void(std::string_view)>;
    /// 256 bits of the system's randomness.
    static std::string random();

    explicit Tokens(Limits limits, Trouble trouble = {}, Random make = &Tokens::random);

    /// Reads the file for the first time, and from now on again when it has changed.
    Result<> load(std::string path);

    /// A token and when it ends. Known only now: we keep its digest.
    struct Issued {
        std::string token;
        Caller caller;
        Clock::time_point until;
    };
    Issued issue_link(Caller caller, Clock::time_point now);
    /// A link that was made elsewhere: by who starts the process and prints it.
    void accept_link(std::string_view one_time, Caller caller, Clock::time_point until);
    /// Nothing if the one-time token is unknown, used, or too old.
    std::optional<Issued> exchange(std::string_view one_time, Clock::time_point now);

    using Digest = std::array<unsigned char, 32>;
    using Peer = std::array<unsigned char, 8>;
    struct Holder {
        Digest digest{};
        Caller caller;
        Clock::time_point until = Clock::time_point::max();
        /// Where it was last used: whoever tries tokens from there must not lock out this one.
        std::optional<Peer> seen_at;
    };
    /// Looks at every token, so that its time tells nothing.
    Holder* find(const Digest& digest, Clock::time_point now);

private:
    struct Version {
        std::uint64_t device, inode, size;
        std::int64_t seconds, nanoseconds;

        bool operator==(const Version&) const = default;
    };

    Issued issue(
        std::list<Holder>& holders, std::size_t max, Caller caller, Clock::time_point until
    );
    Result<> read();
    void renew(Clock::time_point now);
    std::optional<Version> version() const;

    Limits limits_;
    Trouble trouble_;
    Random make_;
    std::string path_;  ///< empty: no file
    std::optional<Version> version_;
    Clock::time_point looked_at_ = Clock::time_point::min();
    std::list<Holder> of_file_;
    std::list<Holder> sessions_;
    std::list<Holder> links_;
};

}  // namespace txstream::http
