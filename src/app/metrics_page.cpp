#include "app/metrics_page.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

namespace txstream::app {

MetricsPage::MetricsPage(asio::any_io_executor executor, const telemetry::Registry& metrics)
    : executor_(std::move(executor)),
      metrics_(metrics),
      rendered_(executor_, asio::steady_timer::time_point::max()) {
}

// The loop has ended by then: it destroys what the thread posted last without running it.
MetricsPage::~MetricsPage() {
    thread_.join();
}

Task<MetricsPage::Text> MetricsPage::render(telemetry::Exposition form) {
    // A page that is being rendered may miss what happened after it was begun.
    const auto number = begun_ + 1;
    const auto place = static_cast<std::size_t>(form);
    wanted_forms_[place] = true;
    wanted_ = std::max(wanted_, number);
    if (begun_ == done_) begin();
    while (done_ < number) co_await rendered_.async_wait(asio::as_tuple(asio::use_awaitable));
    co_return page_[place];
}

void MetricsPage::begin() {
    ++begun_;
    asio::post(thread_, [this, forms = std::exchange(wanted_forms_, {})] {
        ByForm<Text> page;
        for (const auto form : kForms) {
            const auto place = static_cast<std::size_t>(form);
            if (forms[place])
                page[place] = std::make_shared<const std::string>(metrics_.expose(form));
        }
        asio::post(executor_, [this, page = std::move(page)]() mutable { end(std::move(page)); });
    });
}

void MetricsPage::end(ByForm<Text> page) {
    for (std::size_t i = 0; i < page.size(); ++i) {
        if (page[i]) page_[i] = std::move(page[i]);
    }
    done_ = begun_;
    if (wanted_ > begun_) begin();
    rendered_.cancel();
}

}  // namespace txstream::app
