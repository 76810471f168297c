#include "config/detail/tracing.hpp"

#include "config/detail/kinds.hpp"
#include "telemetry/semconv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace txstream::config {

namespace {

using kinds::Kind;
namespace k = kinds;
namespace semconv = telemetry::semconv;

using Given = Config::Tracing::Given;

constexpr std::string_view kPath = "/v1/traces";
constexpr std::string_view kProtocol = "http/json";
constexpr std::int64_t kTimeoutMax = 3'600'000;

struct SamplerName {
    std::string_view name;
    bool is_parent_based;
    double ratio;  ///< below 0: the argument
};
constexpr std::array kSamplers{
    SamplerName{"always_on", false, 1},
    SamplerName{"always_off", false, 0},
    SamplerName{"traceidratio", false, -1},
    SamplerName{"parentbased_always_on", true, 1},
    SamplerName{"parentbased_always_off", true, 0},
    SamplerName{"parentbased_traceidratio", true, -1},
};

template <class Member>
Kind given(std::string allowed, Member member) {
    return k::text(std::move(allowed), [member](Config& config, std::string_view value) {
        member(config.tracing.given) = value;
    });
}

template <class Member>
Kind milliseconds(Member member) {
    return k::number(
        "milliseconds, as a whole number",
        1,
        kTimeoutMax,
        [member](Config& config, std::int64_t value) {
            member(config.tracing.exporter) = std::chrono::milliseconds(value);
        }
    );
}

/// The five of OTLP, for all signals or for traces.
std::vector<Setting> otlp_settings(bool is_for_traces) {
    const auto prefix = std::string("OTEL_EXPORTER_OTLP_") + (is_for_traces ? "TRACES_" : "");
    const auto member = [is_for_traces](std::string Given::Otlp::* text) {
        return [is_for_traces, text](Given& all) -> auto& {
            return (is_for_traces ? all.traces : all.all).*text;
        };
    };
    const auto meaning = [&](std::string_view general) {
        return is_for_traces ? "For traces, instead of the general one." : std::string(general);
    };
    return section(
        "Traces",
        {
            {prefix + "ENDPOINT",
             "",
             given("http://host:port or https://host:port", member(&Given::Otlp::endpoint)),
             is_for_traces
                 ? "The same with its path, used as it is."
                 : "A collector that takes OTLP over HTTP. Set, it turns traces on; spans go to "
                   "/v1/traces below it."},
            {prefix + "PROTOCOL",
             is_for_traces ? "" : std::string(kProtocol),
             given("http/json", member(&Given::Otlp::protocol)),
             meaning("The only one there is here.")},
            {prefix + "HEADERS",
             "",
             given("name=value, several separated by commas", member(&Given::Otlp::headers)),
             meaning("Sent with each request; values are percent-encoded. Read at the start."),
             true},
            {prefix + "TIMEOUT",
             is_for_traces ? "" : "10000",
             given("milliseconds, as a whole number", member(&Given::Otlp::timeout)),
             meaning("Milliseconds, for one request.")},
            {prefix + "CERTIFICATE",
             "",
             given("a file of certificates (PEM)", member(&Given::Otlp::certificate)),
             meaning("Whom to trust with https; empty: whom the system trusts.")},
        }
    );
}

/// What counts, and which variable says it.
struct Chosen {
    std::string_view name;
    const std::string& text;
};
Chosen choose(
    const Given& given,
    std::string Given::Otlp::* text,
    std::string_view for_traces,
    std::string_view for_all
) {
    const auto& own = given.traces.*text;
    return own.empty() ? Chosen{for_all, given.all.*text} : Chosen{for_traces, own};
}

class Finisher {
public:
    explicit Finisher(Config::Tracing& tracing) : tracing_(tracing), given_(tracing.given) {}

    Problems finish() {
        endpoint();
        protocol();
        headers();
        timeout();
        sampler();
        resource();
        auto& exporter = tracing_.exporter;
        exporter.certificate_file = choose(
                                        given_,
                                        &Given::Otlp::certificate,
                                        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
                                        "OTEL_EXPORTER_OTLP_CERTIFICATE"
        )
                                        .text;
        if (exporter.batch_spans_max > exporter.queue_spans_max)
            problem(
                "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
                "is more than OTEL_BSP_MAX_QUEUE_SIZE; one of them must change"
            );
        return std::move(problems_);
    }

private:
    void problem(std::string_view name, std::string_view why) {
        problems_.push_back({std::string(name), fmt::format("{} {}", name, why)});
    }
    void not_allowed(std::string_view name, std::string_view value, std::string_view why) {
        problems_.push_back(
            {std::string(name), fmt::format("{}={} is not allowed: {}", name, value, why)}
        );
    }

    void endpoint() {
        const bool is_for_traces = !given_.traces.endpoint.empty();
        const auto [name, text] = choose(
            given_,
            &Given::Otlp::endpoint,
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "OTEL_EXPORTER_OTLP_ENDPOINT"
        );
        auto parsed = otlp::parse_endpoint(text, is_for_traces ? std::string_view() : kPath);
        // Not the text: there may be a login in it.
        if (!parsed) return problem(name, "is not allowed: " + parsed.error().what());
        tracing_.exporter.endpoint = std::move(*parsed);
    }

    void protocol() {
        const auto [name, text] = choose(
            given_,
            &Given::Otlp::protocol,
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            "OTEL_EXPORTER_OTLP_PROTOCOL"
        );
        if (text != kProtocol)
            not_allowed(
                name, text, "allowed is http/json; collectors take it on their port for HTTP, 4318"
            );
    }

    void headers() {
        const auto [name, text] = choose(
            given_,
            &Given::Otlp::headers,
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
            "OTEL_EXPORTER_OTLP_HEADERS"
        );
        auto pairs = otlp::parse_pairs(text);
        if (!pairs) return problem(name, "is not allowed: " + pairs.error().what());
        if (const auto checked = otlp::check_headers(*pairs); !checked)
            return problem(name, "is not allowed: " + checked.error().what());
        tracing_.exporter.headers = std::move(*pairs);
    }

    void timeout() {
        const auto [name, text] = choose(
            given_,
            &Given::Otlp::timeout,
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
            "OTEL_EXPORTER_OTLP_TIMEOUT"
        );
        const auto value = k::parse_integer(text);
        if (!value || *value < 1 || *value > kTimeoutMax)
            return not_allowed(
                name, text, "allowed is a whole number of milliseconds from 1 to 3600000"
            );
        tracing_.exporter.timeout = std::chrono::milliseconds(*value);
    }

    void sampler() {
        const auto* const found =
            std::ranges::find(kSamplers, std::string_view(given_.sampler), &SamplerName::name);
        if (found == kSamplers.end())
            return not_allowed(
                "OTEL_TRACES_SAMPLER",
                given_.sampler,
                "allowed is always_on, always_off, traceidratio, or one of these after "
                "parentbased_"
            );
        tracing_.is_sampling_parent_based = found->is_parent_based;
        tracing_.sampling_ratio = found->ratio;
        if (found->ratio >= 0) return;
        const auto& text = given_.sampler_argument;
        const auto ratio = k::parse_real(text.empty() ? "1" : text);
        if (!ratio || !(*ratio >= 0 && *ratio <= 1))
            return not_allowed("OTEL_TRACES_SAMPLER_ARG", text, "allowed is a number from 0 to 1");
        tracing_.sampling_ratio = *ratio;
    }

    void resource() {
        auto pairs = otlp::parse_pairs(given_.resource_attributes);
        if (!pairs)
            return problem("OTEL_RESOURCE_ATTRIBUTES", "is not allowed: " + pairs.error().what());
        auto& resource = tracing_.exporter.resource;
        resource = std::move(*pairs);
        const auto found = std::ranges::find(
            resource, std::string(semconv::kServiceName), &otlp::Pairs::value_type::first
        );
        if (!given_.service_name.empty() || found == resource.end()) {
            if (found != resource.end()) resource.erase(found);
            resource.emplace_back(
                semconv::kServiceName,
                given_.service_name.empty() ? std::string("txstream") : given_.service_name
            );
        }
    }

    Config::Tracing& tracing_;
    const Given& given_;
    Problems problems_;
};

}  // namespace

std::vector<Setting> tracing_settings() {
    auto rows = otlp_settings(false);
    auto more = otlp_settings(true);
    rows.insert(rows.end(), more.begin(), more.end());
    more = section(
        "Traces",
        {
            {"OTEL_SDK_DISABLED",
             "false",
             k::boolean(TXS_MEMBER(tracing.given.is_disabled)),
             "true: no traces, whatever else is set."},
            {"OTEL_TRACES_EXPORTER",
             "otlp",
             given("otlp or none", [](Given& all) -> auto& { return all.kind; }),
             "none: no traces."},
            {"OTEL_SERVICE_NAME",
             "",
             given("any text", [](Given& all) -> auto& { return all.service_name; }),
             "txstream, unless OTEL_RESOURCE_ATTRIBUTES has a service.name."},
            {"OTEL_RESOURCE_ATTRIBUTES",
             "",
             given(
                 "name=value, several separated by commas",
                 [](Given& all) -> auto& { return all.resource_attributes; }
             ),
             "Of every span; values are percent-encoded."},
            {"OTEL_TRACES_SAMPLER",
             "parentbased_always_on",
             given("a sampler", [](Given& all) -> auto& { return all.sampler; }),
             "always_on, always_off, traceidratio, or parentbased_ and one of these: then whoever "
             "began "
             "a trace decides, and it counts for those that begin here."},
            {"OTEL_TRACES_SAMPLER_ARG",
             "",
             given(
                 "a number from 0 to 1", [](Given& all) -> auto& { return all.sampler_argument; }
             ),
             "The ratio of traceidratio; 1 if it is empty."},
            {"OTEL_BSP_SCHEDULE_DELAY",
             "5000",
             milliseconds([](auto& exporter) -> auto& { return exporter.schedule_delay; }),
             "Milliseconds that a span waits for company."},
            {"OTEL_BSP_EXPORT_TIMEOUT",
             "30000",
             milliseconds([](auto& exporter) -> auto& { return exporter.export_timeout; }),
             "Milliseconds for a batch with all its tries; then it is dropped."},
            {"OTEL_BSP_MAX_QUEUE_SIZE",
             "2048",
             k::number(
                 "a number of spans", 1, 1'000'000, TXS_MEMBER(tracing.exporter.queue_spans_max)
             ),
             "Spans that wait, and 16 MiB; one more is dropped and counted."},
            {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
             "512",
             k::number(
                 "a number of spans", 1, 1'000'000, TXS_MEMBER(tracing.exporter.batch_spans_max)
             ),
             "Spans in a request, at most."},
        }
    );
    rows.insert(rows.end(), more.begin(), more.end());
    return rows;
}

Problems finish_tracing(Config::Tracing& tracing) {
    const auto& given = tracing.given;
    const bool has_endpoint = !given.all.endpoint.empty() || !given.traces.endpoint.empty();
    tracing.is_enabled = has_endpoint && !given.is_disabled && given.kind != "none";
    if (!tracing.is_enabled) return {};
    Problems problems;
    if (given.kind != "otlp")
        problems.push_back(
            {"OTEL_TRACES_EXPORTER",
             fmt::format(
                 "OTEL_TRACES_EXPORTER={} is not allowed: allowed is otlp or none", given.kind
             )}
        );
    for (auto& one : Finisher(tracing).finish()) problems.push_back(std::move(one));
    return problems;
}

}  // namespace txstream::config
