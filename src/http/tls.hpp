#pragma once

#include "base/error.hpp"
#include "runtime/deadline.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace boost::asio::ssl {
class context;  // NOLINT(readability-identifier-naming): the name is Boost's
}

namespace txstream::http {

/// The certificate of a server and its key, of two PEM files. TLS 1.2 and newer, with forward
/// secrecy; no client certificates.
///
/// When a file has changed, both are read again, and new connections get the new certificate. Files
/// that do not fit each other change nothing: they are replaced one after the other, so it is
/// reported only if they still do not fit at the next look. The key must not be readable by every
/// user and must have no passphrase.
///
/// Belongs to the thread of its server, which it outlives.
class Tls {
public:
    using Clock = Deadline::Clock;
    using Trouble = std::function<void(std::string_view)>;

    struct Files {
        std::string certificate;  ///< and the chain behind it
        std::string key;
    };

    /// How often the files are looked at.
    static constexpr std::chrono::seconds kRecheck{1};

    static Result<std::unique_ptr<Tls>> open(Files files, Trouble trouble = {});
    ~Tls();
    Tls(const Tls&) = delete;
    Tls& operator=(const Tls&) = delete;

    /// Reads the files now.
    Result<> reload();

    /// For one new connection.
    boost::asio::ssl::context& context(Clock::time_point now);

    /// "2027-01-31T12:00:00Z": when the certificate expires.
    std::string expires_at() const;
    bool is_expired() const;

private:
    /// Device, inode, size, and the time of the last change of both files.
    using Version = std::array<std::int64_t, 10>;

    Tls(Files files, Trouble trouble);
    std::optional<Version> version() const;

    Files files_;
    Trouble trouble_;
    std::unique_ptr<boost::asio::ssl::context> context_;
    std::optional<Version> version_;  ///< of what was read
    std::optional<Version> wrong_;    ///< did not fit at the last look
    bool is_reported_ = false;        ///< of `wrong_`
    Clock::time_point looked_at_ = Clock::time_point::min();
};

}  // namespace txstream::http
