#include "app/delivery_statement.hpp"

#include "outbox/backlog.hpp"
#include "outbox/lane_store.hpp"
#include "telemetry/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace txstream::app {

namespace {

constexpr std::chrono::seconds kInterval{1};
constexpr std::chrono::seconds kIdleInterval{5};
constexpr std::chrono::seconds kLookTimeout{2};
constexpr std::chrono::seconds kKeptFor{10};

// Rather one that holds up everything than one of a single lane.
relay::DelayReason reason_of(const DeliveryFacts& facts) {
    if (facts.is_held_by_breaker) return relay::kBreakerOpen;
    if (facts.blocked.empty()) return {};
    const auto of_all = std::ranges::find_if(facts.blocked, [](const auto& one) {
        return relay::concerns_all_lanes(one.blockage);
    });
    const auto& shown = of_all != facts.blocked.end() ? *of_all : facts.blocked.front();
    return relay::header_word(shown.blockage);
}

}  // namespace

std::string delivery_statement(const DeliveryFacts& facts, std::chrono::seconds age_max) {
    auto reason = reason_of(facts);
    if (reason.empty() && facts.oldest && *facts.oldest > age_max) reason = "backlog";
    if (reason.empty()) return {};
    auto text = fmt::format("delayed; reason={}", reason);
    if (facts.oldest) text += fmt::format("; oldest=PT{}S", facts.oldest->count());
    return text;
}

DeliveryStatement::DeliveryStatement(
    const asio::any_io_executor& executor,
    pg::Pool& pool,
    std::function<RelayHealth()> relay,
    std::chrono::seconds age_max
)
    : pool_(pool), relay_(std::move(relay)), age_max_(age_max), wakeup_(executor) {
}

Task<> DeliveryStatement::run() {
    while (!is_stopping_) {
        co_await look_if_due();
        restate();
        if (!is_stopping_) co_await wakeup_.wait(Deadline::Clock::now() + kInterval);
    }
}

void DeliveryStatement::stop() {
    is_stopping_ = true;
    wakeup_.notify();
}

Task<> DeliveryStatement::look_if_due() {
    const auto now = Deadline::Clock::now();
    if (!was_asked_ && now - looked_at_ < kIdleInterval) co_return;
    was_asked_ = false;
    looked_at_ = now;
    auto found = co_await look();
    if (found) {
        found->at = now;
        // Lanes that change hands have no owner for a moment.
        const bool were_unowned = found_ && found_->has_unowned_lanes;
        if (!found->has_unowned_lanes || !were_unowned) unowned_since_.reset();
        if (found->has_unowned_lanes && were_unowned && !unowned_since_)
            unowned_since_ = std::chrono::system_clock::now();
        found_ = *found;
    } else if (found_ && now - found_->at > kKeptFor) {
        found_.reset();
        unowned_since_.reset();
    }
    if (!found && !std::exchange(has_failed_, true) && !is_stopping_)
        log::info(
            "api",
            "cannot look how delivery is; answers say what was known before, and then nothing",
            {{"error", found.error().what()}}
        );
    if (found) has_failed_ = false;
}

Task<Result<DeliveryStatement::Found>> DeliveryStatement::look() {
    const auto deadline = Deadline::in(kLookTimeout);
    Found found;
    TXS_CO_TRY(const auto session, co_await pool_.acquire(deadline));
    TXS_CO_TRY(found.oldest, co_await outbox::oldest_pending_age(*session, deadline));
    if (!relay_) {
        TXS_CO_TRY(found.has_unowned_lanes, co_await outbox::has_unowned_lanes(*session, deadline));
    }
    co_return found;
}

void DeliveryStatement::restate() {
    DeliveryFacts facts;
    if (relay_) {
        auto relay = relay_();
        facts.is_held_by_breaker = relay.breaker != policy::BreakerState::closed;
        facts.blocked = std::move(relay.blocked);
    } else if (unowned_since_) {
        facts.blocked.push_back({relay::Blockage::no_worker, *unowned_since_});
    }
    if (found_ && found_->oldest) {
        const auto since =
            std::chrono::duration_cast<std::chrono::seconds>(Deadline::Clock::now() - found_->at);
        facts.oldest = *found_->oldest + since;
    }
    text_ = delivery_statement(facts, age_max_);
}

}  // namespace txstream::app
