#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace txstream::http::detail {

/// SHA-256 of a token. Tokens are kept and compared only as digests: a comparison then tells
/// nothing by its time, and memory holds nothing that opens a door.
using Digest = std::array<unsigned char, 32>;

Digest digest_of(std::string_view text);

/// 64 hexadecimal digits.
std::optional<Digest> parse_digest(std::string_view hex) noexcept;

/// Takes the same time whatever the two have in common.
bool same_digest(const Digest& left, const Digest& right) noexcept;

/// 256 bits of the system's randomness, as 43 characters of base64url.
std::string random_token();

}  // namespace txstream::http::detail
