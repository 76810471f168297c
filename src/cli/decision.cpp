#include "cli/decision.hpp"

#include "base/utf8.hpp"
#include "cli/commands.hpp"
#include "outbox/dead_letter_decisions.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <pwd.h>
#include <unistd.h>

namespace txstream::cli {

namespace {

constexpr std::size_t kActorBytesMax = 512;

}  // namespace

std::string actor() {
    const auto* const user = getpwuid(geteuid());
    std::array<char, 256> host{};
    if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
    const auto name = user != nullptr ? std::string(user->pw_name) : std::to_string(geteuid());
    return storable_text(name + "@" + host.data(), kActorBytesMax);
}

std::string events(std::uint64_t count) {
    return fmt::format("{} {}", count, count == 1 ? "event" : "events");
}

std::optional<std::string> complaint_of_reason(std::string_view reason) {
    if (is_utf8(reason) && reason.size() <= outbox::kReasonBytesMax) return std::nullopt;
    return fmt::format("--reason takes up to {} bytes of UTF-8", outbox::kReasonBytesMax);
}

bool has_terminal() {
    return isatty(STDIN_FILENO) != 0 && isatty(STDERR_FILENO) != 0;
}

bool is_confirmed_at_terminal(std::string_view question) {
    (void)std::fflush(stdout);
    fmt::print(stderr, "{}? [y/N] ", question);
    std::array<char, 16> answer{};
    if (std::fgets(answer.data(), static_cast<int>(answer.size()), stdin) == nullptr) return false;
    const std::string_view text(answer.data());
    return text == "y\n" || text == "Y\n" || text == "yes\n";
}

int refuse(std::string_view what) {
    fmt::print(stderr, "txstream: {}\n", what);
    return kUsage;
}

}  // namespace txstream::cli
