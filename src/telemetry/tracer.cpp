#include "telemetry/tracer.hpp"

#include <array>

namespace txstream::telemetry {

namespace {

// Trace-context level 2: of a parent's flags only this may be passed on, besides our own decision.
constexpr std::uint8_t kRandom = 0x02;

bool is_within(double ratio, TraceId id) noexcept {
    // 2^63, of which double has each multiple of 1024.
    constexpr double kAll = 9223372036854775808.0;
    if (ratio >= 1) return true;  // the last ids are rounded up to it
    return static_cast<double>(id.low >> 1U) < ratio * kAll;
}

}  // namespace

void Span::link(const Trace& to) {
    if (links.size() >= kLinksMax) {
        ++links_dropped;
    } else {
        links.push_back(to);
    }
}

std::size_t Span::bytes() const noexcept {
    std::size_t sum = sizeof(Span) + name.capacity() + trace.state.capacity();
    for (const auto& [attribute, value] : attributes) {
        const auto* const text = std::get_if<std::string>(&value);
        sum += sizeof(Attribute) + (text != nullptr ? text->capacity() : 0);
    }
    for (const auto& one : links) sum += sizeof(Trace) + one.state.capacity();
    return sum;
}

bool Sampler::samples(TraceId id, const TraceContext* parent) const noexcept {
    if (parent != nullptr && is_parent_based_) return parent->is_sampled();
    return is_within(ratio_, id);
}

bool Sampler::samples_linked(TraceId id, bool is_linked) const noexcept {
    if (is_linked) return is_parent_based_ || ratio_ > 0;
    return is_within(ratio_, id);
}

TraceIds TraceIds::random() {
    std::random_device source;
    std::array<std::uint32_t, 16> words{};
    for (auto& word : words) word = source();
    std::seed_seq seed(words.begin(), words.end());
    return TraceIds(Random(seed));
}

TraceId TraceIds::trace_id() {
    TraceId id;
    while (id == TraceId()) id = {random_(), random_()};
    return id;
}

SpanId TraceIds::span_id() {
    SpanId id;
    while (id == SpanId()) id.value = random_();
    return id;
}

TraceContext Tracer::begin(TraceIds& ids, const TraceContext* parent) const {
    TraceContext context;
    context.trace_id = parent != nullptr ? parent->trace_id : ids.trace_id();
    context.span_id = ids.span_id();
    if (parent != nullptr) context.flags = parent->flags & kRandom;
    if (sampler_.samples(context.trace_id, parent)) context.flags |= TraceContext::kSampled;
    return context;
}

TraceContext Tracer::begin_linked(TraceIds& ids, bool is_linked) const {
    TraceContext context{ids.trace_id(), ids.span_id(), 0};
    if (sampler_.samples_linked(context.trace_id, is_linked))
        context.flags = TraceContext::kSampled;
    return context;
}

}  // namespace txstream::telemetry
