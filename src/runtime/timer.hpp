#pragma once

#include "runtime/clock.hpp"
#include "runtime/task.hpp"
#include "runtime/virtual_time.hpp"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace txstream::runtime {

/// asio::steady_timer, or, made while a VirtualTime is installed on the thread, a timer that waits
/// by that. Then it needs no reactor, and the order in which timers end depends on nothing outside.
class Timer {
public:
    using time_point = Clock::time_point;

    explicit Timer(const asio::any_io_executor& executor, time_point at = time_point())
        : executor_(executor), virtual_(VirtualTime::installed()), at_(at) {
        if (virtual_ == nullptr) real_.emplace(executor, at);
    }
    ~Timer() { cancel(); }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    /// Ends the waits that are under way, as cancel() does.
    void expires_at(time_point at) {
        if (real_) {
            real_->expires_at(at);
        } else {
            cancel();
            at_ = at;
        }
    }
    void expires_after(Clock::duration duration) { expires_at(Clock::now() + duration); }
    void cancel() {
        if (real_) {
            real_->cancel();
        } else {
            for (const auto ticket : std::exchange(tickets_, {})) virtual_->cancel(ticket);
        }
    }

    template <class Token>
    auto async_wait(Token&& token) {
        return asio::async_initiate<Token, void(boost::system::error_code)>(
            [this](auto handler) {
                if (real_) {
                    real_->async_wait(std::move(handler));
                } else {
                    wait(std::move(handler));
                }
            },
            token
        );
    }

private:
    template <class Handler>
    class Wait final : public VirtualTime::Wait {
    public:
        Wait(const asio::any_io_executor& executor, Handler handler)
            : executor_(asio::get_associated_executor(handler, executor)),
              handler_(std::move(handler)) {}
        void end(boost::system::error_code error) override {
            if (auto slot = asio::get_associated_cancellation_slot(handler_); slot.is_connected())
                slot.clear();
            asio::post(executor_, [handler = std::move(handler_), error]() mutable {
                std::move(handler)(error);
            });
        }

    private:
        asio::associated_executor_t<Handler, asio::any_io_executor> executor_;
        Handler handler_;
    };

    template <class Handler>
    void wait(Handler handler) {
        auto slot = asio::get_associated_cancellation_slot(handler);
        const auto ticket =
            virtual_->arm(at_, std::make_unique<Wait<Handler>>(executor_, std::move(handler)));
        std::erase_if(tickets_, [&](const auto& old) { return !virtual_->is_armed(old); });
        tickets_.push_back(ticket);
        if (!slot.is_connected()) return;
        slot.assign([time = virtual_, ticket](asio::cancellation_type) { time->cancel(ticket); });
    }

    asio::any_io_executor executor_;
    VirtualTime* virtual_;
    std::optional<asio::steady_timer> real_;
    time_point at_;
    std::vector<VirtualTime::Ticket> tickets_;
};

}  // namespace txstream::runtime
