#include "telemetry/detail/exposition.hpp"

#include "base/text.hpp"

#include <fmt/format.h>
#include <prometheus/text_serializer.h>

#include <charconv>
#include <cmath>
#include <iterator>
#include <string_view>
#include <utility>

namespace txstream::telemetry {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr std::string_view kTotal = "_total";
constexpr std::string_view kOpenMetrics = "application/openmetrics-text";

std::string number(double value) {
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    if (std::isnan(value)) return "NaN";
    return fmt::format("{}", value);
}

void append_escaped(std::string& out, std::string_view text) {
    for (const char c : text) {
        if (c == '\n') {
            out += "\\n";
            continue;
        }
        if (c == '\\' || c == '"') out += '\\';
        out += c;
    }
}

class OpenMetrics {
public:
    std::string take() {
        out_ += "# EOF\n";
        return std::move(out_);
    }

    void family(const MetricFamily& family) {
        std::string_view name = family.name;
        const bool is_counter = family.type == MetricType::Counter;
        if (is_counter && name.ends_with(kTotal)) name.remove_suffix(kTotal.size());
        name_ = name;
        const auto type = is_counter                             ? "counter"
                          : family.type == MetricType::Histogram ? "histogram"
                                                                 : "gauge";
        line("# TYPE {} {}\n", name, type);
        for (const std::string_view unit : {"seconds", "bytes"}) {
            if (name.ends_with(fmt::format("_{}", unit))) line("# UNIT {} {}\n", name, unit);
        }
        line("# HELP {} ", name);
        append_escaped(out_, family.help);
        out_ += '\n';
        for (const auto& metric : family.metric) {
            switch (family.type) {
                case MetricType::Counter:
                    sample(kTotal, metric, metric.counter.value);
                    break;
                case MetricType::Histogram:
                    histogram(metric);
                    break;
                default:
                    sample("", metric, metric.gauge.value);
            }
        }
    }

private:
    template <class... Args>
    void line(fmt::format_string<Args...> form, Args&&... args) {
        fmt::format_to(std::back_inserter(out_), form, std::forward<Args>(args)...);
    }

    void histogram(const ClientMetric& metric) {
        const auto& histogram = metric.histogram;
        for (const auto& bucket : histogram.bucket) {
            auto bound = number(bucket.upper_bound);
            if (bound.find_first_of(".eI") == std::string::npos) bound += ".0";
            sample("_bucket", metric, static_cast<double>(bucket.cumulative_count), bound);
        }
        sample("_count", metric, static_cast<double>(histogram.sample_count));
        sample("_sum", metric, histogram.sample_sum);
    }

    void sample(
        std::string_view suffix,
        const ClientMetric& metric,
        double value,
        std::string_view bound = {}
    ) {
        out_.append(name_).append(suffix);
        char before = '{';
        const auto label = [&](std::string_view name, std::string_view text) {
            out_.append(1, std::exchange(before, ',')).append(name).append("=\"");
            append_escaped(out_, text);
            out_ += '"';
        };
        for (const auto& [name, text] : metric.label) label(name, text);
        if (!bound.empty()) label("le", bound);
        if (before == ',') out_ += '}';
        line(" {}\n", number(value));
    }

    std::string out_;
    std::string_view name_;
};

double quality(std::string_view parameters) {
    const auto at = parameters.find("q=");
    if (at == std::string_view::npos) return 1;
    double value = 0;
    const auto text = parameters.substr(at + 2);
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

}  // namespace

std::string_view content_type(Exposition form) noexcept {
    return form == Exposition::text ? "text/plain; version=0.0.4; charset=utf-8"
                                    : "application/openmetrics-text; version=1.0.0; charset=utf-8";
}

Exposition preferred(std::string_view accept) noexcept {
    double text = 0;
    double open = 0;
    while (!accept.empty()) {
        const auto comma = std::min(accept.find(','), accept.size());
        const auto range = accept.substr(0, comma);
        accept.remove_prefix(std::min(comma + 1, accept.size()));
        const auto semicolon = std::min(range.find(';'), range.size());
        const auto type = trimmed(range.substr(0, semicolon));
        const auto parameters = range.substr(semicolon);
        if (type == kOpenMetrics) {
            // Of two that are named, we have 1.0.0; of an older one nothing is known here.
            if (parameters.find("version=0.") == std::string_view::npos)
                open = std::max(open, quality(parameters));
        } else if (type == "text/plain" || type == "text/*" || type == "*/*") {
            text = std::max(text, quality(parameters));
        }
    }
    return open > 0 && open >= text ? Exposition::openmetrics : Exposition::text;
}

namespace detail {

std::string write(const std::vector<MetricFamily>& families, Exposition form) {
    if (form == Exposition::text) return prometheus::TextSerializer().Serialize(families);
    OpenMetrics out;
    for (const auto& family : families) out.family(family);
    return out.take();
}

}  // namespace detail

}  // namespace txstream::telemetry
