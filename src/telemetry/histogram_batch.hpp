#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace txstream::telemetry {

/// Upper bounds in seconds of the buckets for publishing, processing and HTTP.
inline constexpr std::array<double, 17> kFastBuckets{
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10
};
/// For commit → acknowledgement, which an outage may stretch to hours.
inline constexpr std::array<double, 22> kEndToEndBuckets{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                         0.05,   0.075, 0.1,    0.25,  0.5,  0.75,
                                                         1,      2.5,   5,      7.5,   10,   30,
                                                         60,     300,   900,    3600};

/// Observations of one histogram, gathered without locks by one owner.
template <std::size_t Bounds>
class HistogramBatch {
public:
    explicit HistogramBatch(const std::array<double, Bounds>& bounds) noexcept : bounds_(&bounds) {}

    void observe(double value, std::uint64_t times = 1) noexcept {
        // Clocks of two machines may disagree; nothing takes less than no time. Also turns NaN to
        // 0.
        if (!(value > 0)) value = 0;
        std::size_t bucket = 0;
        while (bucket < Bounds && value > (*bounds_)[bucket]) ++bucket;
        counts_[bucket] += static_cast<double>(times);
        sum_ += value * static_cast<double>(times);
    }
    /// One count per bucket, the last one beyond all bounds; not cumulative.
    std::span<const double> counts() const noexcept { return counts_; }
    double sum() const noexcept { return sum_; }
    void clear() noexcept {
        counts_.fill(0);
        sum_ = 0;
    }

private:
    const std::array<double, Bounds>* bounds_;
    std::array<double, Bounds + 1> counts_{};
    double sum_ = 0;
};

}  // namespace txstream::telemetry
