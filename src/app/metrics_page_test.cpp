#include "app/metrics_page.hpp"

#include "runtime/task_group.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace txstream::app {
namespace {

class MetricsPageTest : public testing::Test {
protected:
    Task<> ask(telemetry::Exposition form = telemetry::Exposition::text) {
        pages_.push_back(co_await page_.render(form));
        ++answered_;
    }
    // Asks again at the first answer of its kind: at a time when a page has just been rendered.
    Task<> ask_twice() {
        co_await ask();
        counter_.add();
        co_await ask();
    }

    asio::io_context loop_;
    telemetry::Registry registry_;
    telemetry::Counter counter_ =
        registry_.counter({"txstream_asked_total", "", telemetry::Reporter::every_process, "", ""});
    MetricsPage page_{loop_.get_executor(), registry_};
    std::vector<MetricsPage::Text> pages_;
    int answered_ = 0;
};

TEST_F(MetricsPageTest, WhoAsksGetsAPageThatIsNewerThanTheQuestion) {
    runtime::TaskGroup group(loop_.get_executor());
    group.spawn(ask_twice());
    loop_.run();
    ASSERT_EQ(pages_.size(), 2u);
    constexpr std::string_view kCounted = "txstream_asked_total 1\n";
    EXPECT_EQ(pages_[0]->find(kCounted), std::string::npos);
    EXPECT_NE(pages_[1]->find(kCounted), std::string::npos);
}

TEST_F(MetricsPageTest, ManyWhoAskAtOneTimeShareAPage) {
    runtime::TaskGroup group(loop_.get_executor());
    for (int i = 0; i < 50; ++i) group.spawn(ask());
    loop_.run();
    EXPECT_EQ(answered_, 50);
    const std::set<MetricsPage::Text> different(pages_.begin(), pages_.end());
    EXPECT_LE(different.size(), 2u);
}

TEST_F(MetricsPageTest, EachGetsTheFormItAskedFor) {
    runtime::TaskGroup group(loop_.get_executor());
    group.spawn(ask(telemetry::Exposition::text));
    group.spawn(ask(telemetry::Exposition::openmetrics));
    loop_.run();
    ASSERT_EQ(pages_.size(), 2u);
    EXPECT_FALSE(pages_[0]->ends_with("# EOF\n"));
    EXPECT_TRUE(pages_[1]->ends_with("# EOF\n"));
}

}  // namespace
}  // namespace txstream::app
