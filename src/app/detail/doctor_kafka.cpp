#include "app/detail/doctor_judges.hpp"
#include "console/kafka_warnings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace txstream::app::detail {

namespace {

constexpr std::array<std::string_view, 4> kLoginKinds{
    "login_refused", "login_demanded", "mechanism_refused", "sasl_not_offered"
};
constexpr std::array<std::string_view, 4> kTlsKinds{
    "certificate_refused", "client_certificate_refused", "tls_not_offered", "tls_demanded"
};

enum class KafkaPart : std::uint8_t { reach, login, tls };

KafkaPart part_of(const Error& error) {
    if (std::ranges::find(kLoginKinds, error.origin()) != kLoginKinds.end())
        return KafkaPart::login;
    if (std::ranges::find(kTlsKinds, error.origin()) != kTlsKinds.end()) return KafkaPart::tls;
    return KafkaPart::reach;
}

Findings judge_kafka(const Facts& facts, KafkaPart part, std::string_view well) {
    const auto& cluster = facts.kafka.cluster;
    if (facts.kafka.is_development_broker) return skipped("it is the development broker");
    if (!cluster) return skipped("the configuration is wrong");
    if (*cluster) return {ok(std::string(well))};
    if (part_of(cluster->error()) != part) return skipped("Kafka cannot be used");
    return {finding(
        Level::problem,
        cluster->error().what(),
        part == KafkaPart::reach ? "KAFKA_BROKERS says where it is" : ""
    )};
}

Level level_of(console::Severity severity) {
    switch (severity) {
        case console::Severity::bad:
            return Level::problem;
        case console::Severity::warn:
            return Level::warning;
        case console::Severity::info:
            return Level::note;
        case console::Severity::ok:
            break;
    }
    return Level::ok;
}

Finding finding_of(const console::Warning& warning) {
    return finding(
        level_of(warning.severity),
        warning.text,
        warning.command.empty() ? warning.advice : warning.command
    );
}

/// The judgement over the cluster, where it answers.
template <class Judge>
Findings in_cluster(const Facts& facts, Judge judge) {
    const auto& cluster = facts.kafka.cluster;
    if (facts.kafka.is_development_broker) return skipped("it is the development broker");
    if (!cluster || !*cluster) return skipped("Kafka cannot be used");
    return judge(**cluster);
}

console::TopicToCheck topic_to_check(const Facts& facts, const kafka::ClusterState& cluster) {
    const auto& kafka = facts.kafka;
    console::TopicToCheck topic;
    topic.name = kafka.topic;
    topic.state = cluster.find(kafka.topic);
    if (kafka.topic_config && *kafka.topic_config) topic.config = &**kafka.topic_config;
    topic.is_ours = true;
    topic.record_bytes_max = kafka.message_bytes_max;
    topic.brokers = cluster.brokers.size();
    topic.bootstrap = kafka.brokers;
    return topic;
}

}  // namespace

// --- Kafka

Findings judge_kafka_reach(const Facts& facts) {
    return judge_kafka(
        facts, KafkaPart::reach, fmt::format("Kafka answers ({})", facts.kafka.brokers)
    );
}
Findings judge_kafka_login(const Facts& facts) {
    return judge_kafka(facts, KafkaPart::login, "the login is accepted, or none is needed");
}
Findings judge_kafka_tls(const Facts& facts) {
    return judge_kafka(
        facts, KafkaPart::tls, "the connection is as KAFKA_SECURITY_PROTOCOL wants it"
    );
}

Findings judge_library(const Facts& facts) {
    const auto& kafka = facts.kafka;
    if (kafka.uses_scram && !kafka.has_working_scram)
        return {finding(
            Level::warning,
            fmt::format(
                "librdkafka {} cannot log in to Kafka 4 and newer with SCRAM", kafka.library
            ),
            "librdkafka 2.6.1 or newer, or KAFKA_SASL_MECHANISM=PLAIN over sasl_ssl"
        )};
    return {ok(fmt::format("librdkafka {}", kafka.library))};
}

Findings judge_brokers(const Facts& facts) {
    return in_cluster(facts, [&](const kafka::ClusterState& cluster) -> Findings {
        Findings found;
        for (const auto& one :
             console::broker_warnings(cluster.brokers, facts.kafka.broker_troubles))
            found.push_back(finding_of(one));
        if (found.empty())
            found.push_back(ok(
                fmt::format("all {} brokers answer where they say they are", cluster.brokers.size())
            ));
        return found;
    });
}

Findings judge_topic(const Facts& facts) {
    return in_cluster(facts, [&](const kafka::ClusterState& cluster) -> Findings {
        const auto topic = topic_to_check(facts, cluster);
        if (topic.state == nullptr) {
            const auto missing = console::topic_warnings(topic).front();
            return {finding(
                Level::warning,
                fmt::format(
                    "the topic {} does not exist, or the login may not see it; a relay makes it "
                    "when it starts, with {} partitions, where it may",
                    topic.name,
                    facts.kafka.partitions
                ),
                missing.command
            )};
        }
        if (topic.state->error)
            return {finding(
                Level::problem,
                topic.state->error->what(),
                "grant the login DESCRIBE and WRITE on the topic"
            )};
        return {ok(fmt::format(
            "the topic {} has {} partitions", topic.name, topic.state->partitions.size()
        ))};
    });
}

Findings judge_topic_settings(const Facts& facts) {
    return in_cluster(facts, [&](const kafka::ClusterState& cluster) -> Findings {
        const auto topic = topic_to_check(facts, cluster);
        if (topic.state == nullptr || topic.state->error) return skipped("there is no topic");
        Findings found;
        for (const auto& one : console::topic_warnings(topic)) found.push_back(finding_of(one));
        if (topic.config == nullptr)
            found.push_back(finding(
                Level::note,
                "the topic's settings cannot be read, so its limits are learned from refusals",
                "grant the login DESCRIBE_CONFIGS on the topic"
            ));
        if (found.empty()) found.push_back(ok("its replicas and limits are right"));
        return found;
    });
}

}  // namespace txstream::app::detail
