#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace txstream::http::detail {

enum class Encoding : std::uint8_t { identity, gzip, brotli };

/// What a client accepts, of Accept-Encoding (RFC 9110, 12.5.3). Members that are malformed count
/// as absent.
class AcceptEncoding {
public:
    explicit AcceptEncoding(std::string_view sent);

    /// The best of those that exist; identity always does. It is chosen also when it is refused
    /// and nothing else fits: a client can do more with it than with an error.
    Encoding best(bool has_gzip, bool has_brotli) const noexcept;

private:
    // In thousandths.
    std::optional<int> gzip_, brotli_, identity_, any_;
};

}  // namespace txstream::http::detail
