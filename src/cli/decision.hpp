#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// What commands that decide something have in common.
namespace txstream::cli {

/// Who works here, for the audit; the database adds the login that it accepted.
std::string actor();

/// "1 event", "5 events"
std::string events(std::uint64_t count);

/// What is wrong with a reason for the audit.
std::optional<std::string> complaint_of_reason(std::string_view reason);

inline constexpr std::string_view kNoTerminal =
    "there is no terminal to confirm at: --yes decides without a question, --dry-run only shows "
    "what it would be";
bool has_terminal();
/// Asks "<question>? [y/N]".
bool is_confirmed_at_terminal(std::string_view question);

/// Prints what is wrong with the line; returns kUsage.
int refuse(std::string_view what);

}  // namespace txstream::cli
