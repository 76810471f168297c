#include "operations/pauses.hpp"

#include "base/text.hpp"
#include "base/utf8.hpp"

#include <fmt/format.h>

#include <utility>

namespace txstream::operations {

namespace {

constexpr std::size_t kNameBytesMax = 4096;

std::string name_of(const outbox::Pause& what) {
    if (what.scope == outbox::Pause::Scope::everything) return "everything";
    return fmt::format("{} {}", to_string(what.scope), json_string(what.name));
}

std::string target_of(const outbox::Pause& what) {
    if (what.scope == outbox::Pause::Scope::everything) return R"({"all":true})";
    return fmt::format(R"({{"{}":{}}})", to_string(what.scope), json_string(what.name));
}

Result<> check(const outbox::Pause& what, const Authority& authority) {
    const bool is_named = what.scope != outbox::Pause::Scope::everything;
    if (is_named && (what.name.empty() || what.name.size() > kNameBytesMax || !is_utf8(what.name)))
        return fail(
            Code::invalid_input,
            fmt::format("a {} has 1 to {} bytes of UTF-8", to_string(what.scope), kNameBytesMax)
        );
    if (authority.reason.size() > outbox::kReasonBytesMax || !is_utf8(authority.reason))
        return fail(
            Code::invalid_input,
            fmt::format("the reason takes up to {} bytes of UTF-8", outbox::kReasonBytesMax)
        );
    return {};
}

outbox::Signature signature_of(const outbox::Pause& what, Authority authority) {
    return {
        std::move(authority.actor),
        std::move(authority.origin),
        target_of(what),
        std::move(authority.reason)
    };
}

}  // namespace

Task<Result<>> pause(
    pg::Connection& connection, outbox::Pause what, Authority authority, Deadline deadline
) {
    TXS_CO_CHECK(check(what, authority));
    if (authority.reason.empty())
        co_return fail(
            Code::invalid_input, "a pause needs a reason: whoever finds events waiting reads it"
        );
    TXS_CO_TRY(
        const bool is_paused,
        co_await outbox::pause(connection, what, signature_of(what, std::move(authority)), deadline)
    );
    if (is_paused) co_return Result<>();
    TXS_CO_TRY(const auto all, co_await outbox::pause_entries(connection, deadline));
    if (all.size() >= outbox::kPausesMax)
        co_return fail(
            Code::invalid_input,
            fmt::format(
                "{} topics and keys are paused, and no more can be; pause everything, or resume "
                "some",
                all.size()
            )
        );
    co_return fail(Code::conflict, name_of(what) + " is paused already", kPauseOrigin);
}

Task<Result<>> resume(
    pg::Connection& connection, outbox::Pause what, Authority authority, Deadline deadline
) {
    TXS_CO_CHECK(check(what, authority));
    TXS_CO_TRY(
        const bool was_paused,
        co_await outbox::resume(
            connection, what, signature_of(what, std::move(authority)), deadline
        )
    );
    if (!was_paused)
        co_return fail(
            Code::not_found, name_of(what) + " is not paused; txstream relays pauses lists what is"
        );
    co_return Result<>();
}

}  // namespace txstream::operations
