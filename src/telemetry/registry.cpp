#include "telemetry/registry.hpp"

#include "base/assert.hpp"
#include "telemetry/detail/exposition.hpp"
#include "telemetry/detail/labels.hpp"
#include "telemetry/detail/process_stats.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace txstream::telemetry {

namespace {

constexpr std::string_view kOther = "other";

template <class Series>
using Underlying = std::conditional_t<
    std::is_same_v<Series, Counter>,
    prometheus::Counter,
    std::conditional_t<std::is_same_v<Series, Gauge>, prometheus::Gauge, prometheus::Histogram>>;

struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const noexcept {
        return std::hash<std::string_view>{}(key);
    }
};

}  // namespace

// --- handles

void Counter::add(double amount) const noexcept {
    series_->Increment(amount);
}

void Counter::catch_up(double total) const noexcept {
    const double grown = total - series_->Value();
    if (grown > 0) series_->Increment(grown);
}

void Gauge::set(double value) const noexcept {
    series_->Set(value);
}

void Gauge::add(double change) const noexcept {
    series_->Increment(change);
}

void Histogram::observe(double value) const {
    series_->Observe(value > 0 ? value : 0);
}

void Histogram::add(std::span<const double> counts, double sum) const {
    series_->ObserveMultiple({counts.begin(), counts.end()}, sum);
}

std::vector<double> Histogram::counts() const {
    const auto collected = series_->Collect().histogram;
    std::vector<double> counts;
    double below = 0;
    for (const auto& bucket : collected.bucket) {
        const auto up_to = bucket.cumulative_count;
        counts.push_back(static_cast<double>(up_to) - below);
        below = static_cast<double>(up_to);
    }
    return counts;
}

// --- families

/// The handles beside prometheus-cpp's family, which builds and hashes a map of strings at each
/// look-up.
template <class Series>
class Family<Series>::State {
public:
    using Metric = Underlying<Series>;

    State(
        prometheus::Family<Metric>& family,
        std::vector<std::string> labels,
        std::vector<LabelGuard*> guards,
        std::vector<double> bounds,
        std::mutex& mutex
    )
        : family_(family),
          labels_(std::move(labels)),
          guards_(std::move(guards)),
          bounds_(std::move(bounds)),
          mutex_(mutex) {}

    Series at(std::span<const std::string_view> values) {
        TXS_ASSERT(values.size() == labels_.size(), "a value for each label");
        const std::lock_guard lock(mutex_);
        admitted_.clear();
        for (std::size_t i = 0; i < values.size(); ++i)
            admitted_.push_back(guards_[i]->admit(values[i]));
        build_key();
        if (const auto found = handles_.find(std::string_view(key_)); found != handles_.end())
            return Series(*found->second);
        if (handles_.size() >= kSeriesMax) {
            std::ranges::fill(admitted_, kOther);
            build_key();
        }
        prometheus::Labels named;
        for (std::size_t i = 0; i < labels_.size(); ++i) named.emplace(labels_[i], admitted_[i]);
        Metric& metric = add(named);
        handles_.try_emplace(key_, &metric);
        return Series(metric);
    }

    void withdraw() {
        const std::lock_guard lock(mutex_);
        for (const auto& [key, metric] : handles_) family_.Remove(metric);
        handles_.clear();
    }

    void set_all(double value)
        requires std::same_as<Series, Gauge>
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [key, metric] : handles_) metric->Set(value);
    }

private:
    void build_key() {
        key_.clear();
        for (const auto value : admitted_) key_.append(value).append(1, '\0');
    }

    Metric& add(const prometheus::Labels& labels) {
        if constexpr (std::is_same_v<Series, Histogram>) {
            return family_.Add(labels, bounds_);
        } else {
            return family_.Add(labels);
        }
    }

    prometheus::Family<Metric>& family_;
    std::vector<std::string> labels_;
    std::vector<LabelGuard*> guards_;  // shared between families, so guarded by mutex_
    std::vector<double> bounds_;
    std::mutex& mutex_;                         // guards all below
    std::vector<std::string_view> admitted_{};  // reused
    std::string key_{};                         // reused
    std::unordered_map<std::string, Metric*, KeyHash, std::equal_to<>> handles_{};
};

template <class Series>
Series Family<Series>::at(std::initializer_list<std::string_view> values) const {
    return state_->at({values.begin(), values.size()});
}

template <class Series>
void Family<Series>::withdraw() const {
    state_->withdraw();
}

template <class Series>
void Family<Series>::set_all(double value) const
    requires std::same_as<Series, Gauge>
{
    state_->set_all(value);
}

template class Family<Counter>;
template class Family<Gauge>;
template class Family<Histogram>;

// --- the registry

struct Registry::Impl {
    // One for all families: the guards are shared, and at() is called for a page or a request, not
    // for an event.
    std::mutex mutex;
    std::map<std::string, LabelGuard, std::less<>> guards;
    std::deque<Family<Counter>::State> counters;
    std::deque<Family<Gauge>::State> gauges;
    std::deque<Family<Histogram>::State> histograms;
    std::vector<Declared> declared;
    std::vector<std::function<void()>> refreshes;
    prometheus::Registry registry;

    template <class Series>
    auto& states() {
        if constexpr (std::is_same_v<Series, Counter>) {
            return counters;
        } else if constexpr (std::is_same_v<Series, Gauge>) {
            return gauges;
        } else {
            return histograms;
        }
    }

    template <class Series>
    static auto builder() {
        if constexpr (std::is_same_v<Series, Counter>) {
            return prometheus::BuildCounter();
        } else if constexpr (std::is_same_v<Series, Gauge>) {
            return prometheus::BuildGauge();
        } else {
            return prometheus::BuildHistogram();
        }
    }

    template <class Series>
    Family<Series> declare(
        const Description& what,
        std::string_view type,
        std::span<const double> bounds,
        const std::vector<Label>& labels
    ) {
        TXS_ASSERT(
            std::ranges::none_of(
                declared,
                [&](const auto& one) { return std::string_view(one.what.name) == what.name; }
            ),
            "a metric is declared once"
        );
        std::vector<std::string> names;
        std::vector<LabelGuard*> of_labels;
        for (const auto& label : labels) {
            names.emplace_back(label.name);
            of_labels.push_back(
                &guards.try_emplace(std::string(label.name), kLabelValuesMax).first->second
            );
            for (const auto value : label.known) (void)of_labels.back()->admit(value);
        }
        const std::vector<double> limits(bounds.begin(), bounds.end());
        declared.push_back({what, type, names, limits});
        auto& family = builder<Series>().Name(what.name).Help(what.meaning).Register(registry);
        auto& state = states<Series>().emplace_back(
            family, std::move(names), std::move(of_labels), limits, mutex
        );
        std::vector<std::string_view> values;
        if (!labels.empty()) make_known(state, labels, values);
        return Family<Series>(state);
    }

    // Every combination, where each label has known values.
    template <class State>
    static void make_known(
        State& state, const std::vector<Label>& labels, std::vector<std::string_view>& values
    ) {
        if (values.size() == labels.size()) {
            (void)state.at(values);
            return;
        }
        for (const auto value : labels[values.size()].known) {
            values.push_back(value);
            make_known(state, labels, values);
            values.pop_back();
        }
    }
};

Registry::Registry() : impl_(std::make_unique<Impl>()) {
}

Registry::~Registry() = default;

Counter Registry::counter(const Description& what) {
    return impl_->declare<Counter>(what, "counter", {}, {}).at({});
}

Gauge Registry::gauge(const Description& what) {
    return impl_->declare<Gauge>(what, "gauge", {}, {}).at({});
}

Histogram Registry::histogram(const Description& what, std::span<const double> bounds) {
    return impl_->declare<Histogram>(what, "histogram", bounds, {}).at({});
}

Family<Counter> Registry::counters(const Description& what, std::vector<Label> labels) {
    return impl_->declare<Counter>(what, "counter", {}, labels);
}

Family<Gauge> Registry::gauges(const Description& what, std::vector<Label> labels) {
    return impl_->declare<Gauge>(what, "gauge", {}, labels);
}

Family<Histogram> Registry::histograms(
    const Description& what, std::span<const double> bounds, std::vector<Label> labels
) {
    return impl_->declare<Histogram>(what, "histogram", bounds, labels);
}

void Registry::before_expose(std::function<void()> refresh) {
    impl_->refreshes.push_back(std::move(refresh));
}

std::string Registry::expose(Exposition form) const {
    for (const auto& refresh : impl_->refreshes) refresh();
    auto families = impl_->registry.Collect();
    append_process_stats(families);
    // A family without series says nothing, and OpenMetrics' readers stumble over it.
    std::erase_if(families, [](const auto& family) { return family.metric.empty(); });
    return detail::write(families, form);
}

const std::vector<Registry::Declared>& Registry::declared() const noexcept {
    return impl_->declared;
}

}  // namespace txstream::telemetry
