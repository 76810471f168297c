#include "http/detail/digest.hpp"

#include "base/assert.hpp"
#include "base/text.hpp"

#include <cstddef>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

namespace txstream::http::detail {

Digest digest_of(std::string_view text) {
    Digest digest{};
    static_assert(SHA256_DIGEST_LENGTH == std::tuple_size_v<Digest>);
    SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
    return digest;
}

std::optional<Digest> parse_digest(std::string_view hex) noexcept {
    Digest digest{};
    if (hex.size() != 2 * digest.size()) return std::nullopt;
    for (std::size_t i = 0; i < digest.size(); ++i) {
        const int high = hex_digit(hex[2 * i]);
        const int low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        digest[i] = static_cast<unsigned char>(high * 16 + low);
    }
    return digest;
}

bool same_digest(const Digest& left, const Digest& right) noexcept {
    return CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

std::string random_token() {
    constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::array<unsigned char, 33> bytes{};
    const int made = RAND_bytes(bytes.data(), 32);
    TXS_ASSERT(made == 1, "the system has random bytes");
    std::string token;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const unsigned group =
            (unsigned{bytes[i]} << 16) | (unsigned{bytes[i + 1]} << 8) | unsigned{bytes[i + 2]};
        for (const unsigned shift : {18U, 12U, 6U, 0U}) token += kAlphabet[(group >> shift) & 63];
    }
    token.resize(43);  // the last byte is not random
    return token;
}

}  // namespace txstream::http::detail
