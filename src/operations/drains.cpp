#include "operations/drains.hpp"

#include "base/text.hpp"
#include "base/utf8.hpp"
#include "operations/looking.hpp"

#include <fmt/format.h>

#include <set>
#include <utility>

namespace txstream::operations {

namespace {

constexpr std::size_t kCountedMax = 10'000;
constexpr std::size_t kMembersMax = 200;

Result<> check(const Authority& authority) {
    if (authority.reason.size() <= outbox::kReasonBytesMax && is_utf8(authority.reason)) return {};
    return fail(
        Code::invalid_input,
        fmt::format("the reason takes up to {} bytes of UTF-8", outbox::kReasonBytesMax)
    );
}

/// With those that there are.
tl::unexpected<Error> no_such_relay(
    const std::string& name, const std::vector<outbox::LeaseRow>& leases
) {
    std::set<std::string_view> relays;
    for (const auto& lease : leases) relays.insert(lease.relay());
    std::string others;
    for (const auto one : relays) others += (others.empty() ? "" : ", ") + json_string(one);
    return fail(
        Code::not_found,
        fmt::format(
            "no relay {} runs{}",
            json_string(name),
            others.empty() ? "; none does" : "; those that do: " + others
        )
    );
}

}  // namespace

DrainState drain_state_of(const std::vector<outbox::LeaseRow>& leases, std::string_view relay) {
    DrainState state;
    state.relay = relay;
    for (const auto& lease : leases) {
        if (lease.relay() == relay) {
            ++state.workers;
            state.draining += lease.drains ? 1 : 0;
            state.lanes += lease.lanes;
        } else if (lease.lanes_wanted > 0 && !lease.drains) {
            ++state.others;
        }
    }
    return state;
}

Task<Result<DrainState>> drain_state(
    pg::Connection& connection, std::string relay, Deadline deadline
) {
    TXS_CO_TRY(const auto leases, co_await outbox::read_leases(connection, deadline));
    co_return drain_state_of(leases, relay);
}

Task<Result<DrainChanged>> change_drain(
    pg::Connection& connection, DrainChange change, Authority authority, Deadline deadline
) {
    TXS_CO_CHECK(check(authority));
    TXS_CO_TRY(const auto leases, co_await outbox::read_leases(connection, deadline));
    DrainChanged changed{drain_state_of(leases, change.relay), false};
    const auto& state = changed.state;
    if (state.workers == 0) co_return no_such_relay(change.relay, leases);
    if (change.drains && state.others == 0 && !state.drains() && !change.is_forced)
        co_return fail(
            Code::conflict,
            fmt::format(
                "no other relay would take the lanes of {}: start another one first, or have it "
                "drain as soon as one comes (--force); to stop delivery altogether, stop it or "
                "pause everything",
                json_string(change.relay)
            ),
            kDrainOrigin
        );
    outbox::Signature signature{
        std::move(authority.actor),
        std::move(authority.origin),
        fmt::format(R"({{"relay":{}}})", json_string(change.relay)),
        std::move(authority.reason)
    };
    TXS_CO_TRY(
        const auto workers,
        co_await outbox::set_drains(
            connection, std::move(change.relay), change.drains, std::move(signature), deadline
        )
    );
    changed.is_changed = workers > 0;
    co_return changed;
}

Task<Result<DrainState>> wait_drained(
    pg::Connection& connection,
    std::string relay,
    std::function<void(const DrainState&)> on_look,
    Deadline deadline
) {
    Looking<DrainState> looking{
        .look = [&]() { return drain_state(connection, relay, deadline); },
        .is_done = [](const DrainState& now) { return now.is_drained() || now.draining == 0; },
        .on_look = std::move(on_look)
    };
    TXS_CO_TRY(auto last, co_await look_until(std::move(looking), deadline));
    if (!last.is_drained() && last.draining == 0)
        co_return fail(
            Code::conflict,
            fmt::format("the drain of {} was cancelled meanwhile", json_string(relay)),
            kDrainOrigin
        );
    co_return last;
}

namespace {

Task<Result<DeliveryLook>> look(pg::Connection& connection, outbox::Mark mark, Deadline deadline) {
    DeliveryLook seen;
    TXS_CO_TRY(
        seen.undelivered, co_await outbox::read_undelivered(connection, mark, kCountedMax, deadline)
    );
    if (seen.undelivered.is_nothing()) co_return seen;
    TXS_CO_TRY(seen.pauses, co_await outbox::pause_entries(connection, deadline));
    TXS_CO_TRY(seen.members, co_await outbox::read_members(connection, kMembersMax, deadline));
    co_return seen;
}

}  // namespace

Task<Result<DeliveryLook>> wait_delivered(
    pg::Connection& connection, std::function<void(const DeliveryLook&)> on_look, Deadline deadline
) {
    TXS_CO_TRY(const auto mark, co_await outbox::mark_now(connection, deadline));
    Looking<DeliveryLook> looking{
        .look = [&]() { return look(connection, mark, deadline); },
        .is_done = [](const DeliveryLook& now) { return now.undelivered.is_nothing(); },
        .on_look = std::move(on_look)
    };
    co_return co_await look_until(std::move(looking), deadline);
}

}  // namespace txstream::operations
