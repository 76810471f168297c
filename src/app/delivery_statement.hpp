#pragma once

#include "app/relay_app.hpp"
#include "pg/pool.hpp"
#include "runtime/wakeup.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace txstream::app {

/// What is known about the delivery of events.
struct DeliveryFacts {
    bool is_held_by_breaker = false;
    std::vector<relay::Blockages::Current> blocked{};
    std::optional<std::chrono::seconds> oldest{};  ///< age of the oldest pending event
};

/// The value of the response header TxStream-Delivery, a structured field (RFC 9651); empty when
/// all is well:
///
///     delayed; reason=breaker-open; oldest=PT42S
///
/// `backlog` is the reason when nothing is known to hold up delivery, and the oldest event is older
/// than `age_max`.
std::string delivery_statement(const DeliveryFacts& facts, std::chrono::seconds age_max);

/// Keeps the statement for answers up to date, however many are given: it looks at the relay of
/// this process each second, and at the database each second in which an order was answered, else
/// every five. An answer takes what was found last, and never waits.
///
/// A look at the database that fails leaves what the one before it found in force for ten seconds.
/// Belongs to the thread of the pool.
class DeliveryStatement {
public:
    DeliveryStatement(
        const asio::any_io_executor& executor,
        pg::Pool& pool,
        std::function<RelayHealth()> relay,  ///< of this process; may be empty
        std::chrono::seconds age_max
    );

    /// For the answer to an order.
    const std::string& text() {
        was_asked_ = true;
        return text_;
    }
    /// Until stop().
    Task<> run();
    void stop();

private:
    struct Found {
        std::optional<std::chrono::seconds> oldest;
        bool has_unowned_lanes = false;
        Deadline::Clock::time_point at{};
    };

    Task<Result<Found>> look();
    Task<> look_if_due();
    void restate();

    pg::Pool& pool_;
    std::function<RelayHealth()> relay_;
    std::chrono::seconds age_max_;
    runtime::Wakeup wakeup_;
    std::string text_;
    std::optional<Found> found_;
    std::optional<std::chrono::system_clock::time_point> unowned_since_;
    Deadline::Clock::time_point looked_at_{};
    bool was_asked_ = false;
    bool has_failed_ = false;  ///< the last look
    bool is_stopping_ = false;
};

}  // namespace txstream::app
