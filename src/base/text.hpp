#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace txstream {

/// Without spaces and tabs at both ends.
std::string_view trimmed(std::string_view text) noexcept;

/// What is between the marks: always at least one part, which may be empty.
std::vector<std::string_view> split(std::string_view text, char mark);

/// ASCII letters only.
std::string lowered(std::string_view text);

/// Equal but for the case of ASCII letters.
bool same_word(std::string_view left, std::string_view right) noexcept;

/// The digit's value; -1 if it is not hexadecimal.
int hex_digit(char c) noexcept;

/// Two lower-case digits for each byte.
std::string to_hex(std::span<const unsigned char> bytes);

/// PostgreSQL's usual form: 8-4-4-4-12 hexadecimal digits, of either case.
bool is_uuid(std::string_view text) noexcept;

/// "localhost", or an address that only this machine can reach.
bool is_loopback(const std::string& host) noexcept;

/// Undoes percent-encoding; nothing if an escape is incomplete.
std::optional<std::string> percent_decoded(std::string_view text);

/// `text` in quotes, as JSON, whatever bytes it has: what is not UTF-8 becomes U+FFFD. Escapes what
/// RFC 8259 demands, and DEL, because terminals act on it.
void append_json_string(std::string& out, std::string_view text);
std::string json_string(std::string_view text);

}  // namespace txstream
