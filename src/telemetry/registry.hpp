#pragma once

#include "telemetry/histogram_batch.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace txstream::telemetry {

/// Distinct values of one label, over all metrics that have it; further ones are counted as
/// "other".
inline constexpr std::size_t kLabelValuesMax = 200;
/// Series of one metric; further ones share one whose labels are all "other".
inline constexpr std::size_t kSeriesMax = 1000;
/// The rest of a longer label value is cut off.
inline constexpr std::size_t kLabelBytesMax = 128;

/// Which processes have the series of a metric.
enum class Reporter : std::uint8_t {
    every_process,
    api,
    relay,
    one_relay,  ///< of several relays one, so that a sum over processes counts nothing twice
};

/// What a metric says of itself, on its page and in docs/metrics.md.
struct Description {
    const char* name;     ///< ends with its unit; counters in _total
    const char* meaning;  ///< the HELP text
    Reporter reporter;
    const char* advice;  ///< what to do with it
    const char* query;   ///< an example in PromQL
};

struct Label {
    std::string_view name;
    /// Their series are there from the start, at 0, so that rate() and alerts see the first change.
    std::vector<std::string_view> known = {};
};

// Handles of one series. As cheap to copy as a pointer; thread-safe; valid as long as the registry.

class Counter {
public:
    explicit Counter(prometheus::Counter& series) : series_(&series) {}
    void add(double amount = 1) const noexcept;
    /// To a total that is counted elsewhere; one that is lower changes nothing.
    void catch_up(double total) const noexcept;

private:
    prometheus::Counter* series_;
};

class Gauge {
public:
    explicit Gauge(prometheus::Gauge& series) : series_(&series) {}
    void set(double value) const noexcept;
    void add(double change) const noexcept;

private:
    prometheus::Gauge* series_;
};

class Histogram {
public:
    explicit Histogram(prometheus::Histogram& series) : series_(&series) {}
    void observe(double value) const;
    /// Its bounds must be those of the histogram.
    template <std::size_t Bounds>
    void add(const HistogramBatch<Bounds>& batch) const {
        add(batch.counts(), batch.sum());
    }
    /// One count per bucket, the last one beyond all bounds; not cumulative.
    std::vector<double> counts() const;

private:
    void add(std::span<const double> counts, double sum) const;

    prometheus::Histogram* series_;
};

/// All series of one metric, by the values of its labels. Thread-safe. Label values come from
/// writers and clients, and each becomes a series that is kept until the process ends: they are
/// bounded in number and length, and cleaned of what is no text.
template <class Series>
class Family {
public:
    class State;

    explicit Family(State& state) : state_(&state) {}
    /// The series with these values, in the order of the labels; made at 0 when it is new.
    Series at(std::initializer_list<std::string_view> values) const;
    /// Removes all series. No handle of this family may be kept where this is called.
    void withdraw() const;
    /// Of all series that there are.
    void set_all(double value) const
        requires std::same_as<Series, Gauge>;

private:
    State* state_;
};

enum class Exposition : std::uint8_t {
    text,         ///< Prometheus text format 0.0.4
    openmetrics,  ///< OpenMetrics 1.0.0
};
std::string_view content_type(Exposition form) noexcept;
/// What a scraper prefers by its Accept header; text when it does not say.
Exposition preferred(std::string_view accept) noexcept;

/// The metrics of one process. Each room declares its own as members of a struct that is made from
/// the registry, so what is not declared cannot be counted, and what is declared is on the page and
/// in docs/metrics.md.
///
/// Declaring belongs to one thread, before the others start; all else is thread-safe.
/// prometheus-cpp has no exemplars, so there are none.
class Registry {
public:
    Registry();
    ~Registry();
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;

    Counter counter(const Description& what);
    Gauge gauge(const Description& what);
    Histogram histogram(const Description& what, std::span<const double> bounds);
    Family<Counter> counters(const Description& what, std::vector<Label> labels);
    /// Without labels: a single series that is there only from at({}) to withdraw().
    Family<Gauge> gauges(const Description& what, std::vector<Label> labels);
    Family<Histogram> histograms(
        const Description& what, std::span<const double> bounds, std::vector<Label> labels
    );

    /// Called before each page, on the thread that asks for it, for what is counted elsewhere.
    void before_expose(std::function<void()> refresh);

    /// With what the process itself uses.
    std::string expose(Exposition form = Exposition::text) const;

    struct Declared {
        Description what;
        std::string_view type;  ///< counter, gauge, histogram
        std::vector<std::string> labels;
        std::vector<double> bounds;
    };
    /// In the order of their declaration.
    const std::vector<Declared>& declared() const noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace txstream::telemetry
