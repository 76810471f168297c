#include "config/config.hpp"
#include "config/fixture.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace txstream::config {
namespace {

using namespace std::chrono_literals;

constexpr const char* kEndpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";

std::string service_name(const Variables& environment) {
    const auto& resource = loaded(environment).config.tracing.exporter.resource;
    std::string found;
    for (const auto& [name, value] : resource) {
        if (name == "service.name") found += value + ";";
    }
    return found;
}

TEST(ConfigTracingTest, AnEndpointTurnsTracesOnAndThreeThingsOff) {
    EXPECT_FALSE(loaded({}).config.tracing.is_enabled);
    EXPECT_FALSE(loaded({{kEndpoint, ""}}).config.tracing.is_enabled) << "empty is not set";
    const auto on = loaded({{kEndpoint, "http://c:1"}}).config.tracing;
    EXPECT_TRUE(on.is_enabled);
    EXPECT_EQ(on.exporter.endpoint.url(), "http://c:1/v1/traces");
    EXPECT_EQ(on.exporter.timeout, 10s);
    EXPECT_EQ(on.exporter.schedule_delay, 5s);
    EXPECT_EQ(on.exporter.queue_spans_max, 2048U);
    EXPECT_TRUE(on.is_sampling_parent_based);
    EXPECT_EQ(on.sampling_ratio, 1);
    EXPECT_FALSE(
        loaded({{kEndpoint, "http://c"}, {"OTEL_SDK_DISABLED", "TRUE"}}).config.tracing.is_enabled
    );
    EXPECT_FALSE(loaded({{kEndpoint, "http://c"}, {"OTEL_TRACES_EXPORTER", "none"}})
                     .config.tracing.is_enabled);
}

TEST(ConfigTracingTest, WhatIsForTracesAloneWins) {
    const auto traces = loaded({
                                   {kEndpoint, "http://all"},
                                   {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://own/x"},
                                   {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
                                   {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"},
                                   {"OTEL_EXPORTER_OTLP_HEADERS", "a=1"},
                                   {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"},
                                   {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250"},
                                   {"OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"},
                               })
                            .config.tracing.exporter;
    EXPECT_EQ(traces.endpoint.url(), "https://own:4318/x");
    EXPECT_EQ(traces.headers, (otlp::Pairs{{"b", "2"}}));
    EXPECT_EQ(traces.timeout, 250ms);
    EXPECT_EQ(traces.certificate_file, "/ca.pem");
}

TEST(ConfigTracingTest, TheServiceHasANameInAnyCase) {
    const Variables on{{kEndpoint, "http://c"}};
    const auto with = [&](Variables more) {
        more.insert(on.begin(), on.end());
        return service_name(more);
    };
    EXPECT_EQ(with({}), "txstream;");
    EXPECT_EQ(with({{"OTEL_SERVICE_NAME", "a"}}), "a;");
    EXPECT_EQ(with({{"OTEL_RESOURCE_ATTRIBUTES", "service.name=b,x=1"}}), "b;");
    EXPECT_EQ(
        with({{"OTEL_SERVICE_NAME", "a"}, {"OTEL_RESOURCE_ATTRIBUTES", "service.name=b"}}), "a;"
    );
}

TEST(ConfigTracingTest, EachSamplerIsKnown) {
    struct Case {
        const char* name;
        const char* argument;
        double ratio;
        bool is_parent_based;
    };
    for (const auto& one :
         {Case{"always_on", "0.5", 1, false},
          Case{"always_off", "", 0, false},
          Case{"traceidratio", "0.25", 0.25, false},
          Case{"traceidratio", "", 1, false},
          Case{"parentbased_always_on", "", 1, true},
          Case{"parentbased_always_off", "", 0, true},
          Case{"parentbased_traceidratio", "0.01", 0.01, true}}) {
        const auto tracing = loaded({{kEndpoint, "http://c"},
                                     {"OTEL_TRACES_SAMPLER", one.name},
                                     {"OTEL_TRACES_SAMPLER_ARG", one.argument}}
        ).config.tracing;
        EXPECT_EQ(tracing.sampling_ratio, one.ratio) << one.name;
        EXPECT_EQ(tracing.is_sampling_parent_based, one.is_parent_based) << one.name;
    }
}

TEST(ConfigTracingTest, WhatCannotWorkIsNamedWithTheRemedyAndOnlyWhereTracesAreOn) {
    const std::map<std::string, std::pair<std::string, std::string>> wrong{
        {"OTEL_EXPORTER_OTLP_PROTOCOL", {"grpc", "allowed is http/json"}},
        {"OTEL_TRACES_SAMPLER", {"xray", "allowed is always_on"}},
        {"OTEL_TRACES_EXPORTER", {"zipkin", "allowed is otlp or none"}},
        {"OTEL_EXPORTER_OTLP_TIMEOUT", {"5s", "milliseconds"}},
        {"OTEL_EXPORTER_OTLP_HEADERS", {"secret", "member 1 is not of the form name=value"}},
        {"OTEL_RESOURCE_ATTRIBUTES", {"a=%", "member 1"}},
    };
    for (const auto& [name, pair] : wrong) {
        const auto said = problems({{kEndpoint, "http://c"}, {name, pair.first}});
        EXPECT_TRUE(has(said, name) && has(said, pair.second)) << said;
        EXPECT_FALSE(has(said, "secret")) << said;
        EXPECT_EQ(problems({{name, pair.first}}), "") << name;
    }
    EXPECT_TRUE(has(problems({{kEndpoint, "c:4318"}}), "must begin with http://"));
    const auto login = problems({{kEndpoint, "http://u:secret@c"}});
    EXPECT_TRUE(has(login, "OTEL_EXPORTER_OTLP_HEADERS") && !has(login, "secret")) << login;
    EXPECT_TRUE(
        has(problems(
                {{kEndpoint, "http://c"},
                 {"OTEL_TRACES_SAMPLER", "traceidratio"},
                 {"OTEL_TRACES_SAMPLER_ARG", "1.5"}}
            ),
            "OTEL_TRACES_SAMPLER_ARG=1.5 is not allowed: allowed is a number from 0 to 1")
    );
    EXPECT_TRUE(
        has(problems({{kEndpoint, "http://c"}, {"OTEL_BSP_MAX_QUEUE_SIZE", "10"}}),
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE is more than OTEL_BSP_MAX_QUEUE_SIZE")
    );
}

TEST(ConfigTracingTest, HeadersAreSecretAndOtherVariablesOfOpenTelemetryAreLeftAlone) {
    const auto all = loaded(
        {{kEndpoint, "http://c"},
         {"OTEL_EXPORTER_OTLP_HEADERS", "authorization=hidden"},
         {"OTEL_METRICS_EXPORTER", "prometheus"},
         {"OTEL_PYTHON_LOG_LEVEL", "x"}}
    );
    const auto shown = std::ranges::find(
        all.effective, std::string("OTEL_EXPORTER_OTLP_HEADERS"), &Effective::name
    );
    ASSERT_NE(shown, all.effective.end());
    EXPECT_EQ(shown->value, "****");
    // The text of that file is no header, and must not be shown for it.
    const auto by_file = problems(
        {{kEndpoint, "http://c"}, {"OTEL_EXPORTER_OTLP_HEADERS_FILE", "/run/secrets/password"}}
    );
    EXPECT_TRUE(has(by_file, "OTEL_EXPORTER_OTLP_HEADERS is not allowed")) << by_file;
    EXPECT_FALSE(has(by_file, "from-the-file")) << by_file;
}

}  // namespace
}  // namespace txstream::config
