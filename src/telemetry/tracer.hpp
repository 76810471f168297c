#pragma once

#include "telemetry/trace_context.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace txstream::telemetry {

/// The numbers are OTLP's.
enum class SpanKind : std::uint8_t { internal = 1, server = 2, client = 3, producer = 4 };

/// One thing that was done, when it is over.
struct Span {
    struct Attribute {
        std::string_view name;  ///< of semconv.hpp; lives for ever
        std::variant<std::string, std::int64_t> value;
    };
    /// What all links of a span may be; SDKs have the same limit.
    static constexpr std::size_t kLinksMax = 128;

    Trace trace;    ///< its own context
    SpanId parent;  ///< zero: none
    std::string name;
    SpanKind kind = SpanKind::internal;
    std::chrono::sys_time<std::chrono::nanoseconds> begun{};
    std::chrono::sys_time<std::chrono::nanoseconds> ended{};
    std::vector<Attribute> attributes;
    std::vector<Trace> links;
    std::uint32_t links_dropped = 0;
    bool is_error = false;

    void set(std::string_view attribute, std::string_view text) {
        attributes.push_back({attribute, std::string(text)});
    }
    void set(std::string_view attribute, std::int64_t number) {
        attributes.push_back({attribute, number});
    }
    /// One more, or one that is only counted.
    void link(const Trace& to);
    /// About what it takes in memory.
    std::size_t bytes() const noexcept;
};

/// Where spans go. From any thread; never waits, and may drop.
class SpanSink {
public:
    virtual ~SpanSink() = default;
    virtual void take(Span span) = 0;
};

/// Which traces are recorded. Pure: the answer depends on the id alone, so that all services of a
/// trace that have the same ratio agree (as in the SDKs, by the last 63 bits).
class Sampler {
public:
    /// `ratio` from 0 to 1 of the traces that begin here. `is_parent_based`: of those that do not,
    /// whoever began them has decided.
    Sampler(double ratio, bool is_parent_based)
        : ratio_(ratio), is_parent_based_(is_parent_based) {}

    bool samples(TraceId id, const TraceContext* parent) const noexcept;
    /// For a span that has links instead of a parent: it is recorded whenever one that it links to
    /// is, as those would end nowhere else.
    bool samples_linked(TraceId id, bool is_linked) const noexcept;

private:
    double ratio_;
    bool is_parent_based_;
};

/// Makes ids that are not zero. Belongs to one thread: a lock would cost more than the ids.
class TraceIds {
public:
    using Random = std::mt19937_64;

    explicit TraceIds(Random random) : random_(random) {}
    /// From the system's randomness, enough of it that no two processes ever make the same ids.
    static TraceIds random();

    TraceId trace_id();
    SpanId span_id();

private:
    Random random_;
};

/// Decides which spans are recorded, and hands them on. Shared by all threads; outlives who uses
/// it. Without one (a null pointer) nothing is traced and nothing of this costs anything.
class Tracer {
public:
    Tracer(Sampler sampler, SpanSink& sink) : sampler_(sampler), sink_(sink) {}

    /// The context of a new span below `parent`, or of a new trace. Record it if it is sampled.
    TraceContext begin(TraceIds& ids, const TraceContext* parent) const;
    /// The same for one with links.
    TraceContext begin_linked(TraceIds& ids, bool is_linked) const;
    void record(Span span) const { sink_.take(std::move(span)); }

private:
    Sampler sampler_;
    SpanSink& sink_;
};

/// The time now, as spans tell it.
inline std::chrono::sys_time<std::chrono::nanoseconds> span_time() {
    return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

}  // namespace txstream::telemetry
