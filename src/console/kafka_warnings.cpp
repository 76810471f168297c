#include "console/kafka_warnings.hpp"

#include "console/commands.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <iterator>

namespace txstream::console {

namespace {

constexpr int kReplicasAdvised = 3;

std::optional<std::string_view> value_of(const TopicToCheck& topic, std::string_view name) {
    if (topic.config == nullptr) return std::nullopt;
    const auto at = std::ranges::find(*topic.config, name, &kafka::ConfigItem::name);
    if (at == topic.config->end() || !at->value) return std::nullopt;
    return *at->value;
}

std::optional<std::int64_t> number_of(const TopicToCheck& topic, std::string_view name) {
    const auto text = value_of(topic, name);
    std::int64_t value = 0;
    if (!text ||
        std::from_chars(text->data(), text->data() + text->size(), value).ec != std::errc())
        return std::nullopt;
    return value;
}

std::string set_command(const TopicToCheck& topic, std::string_view setting) {
    return set_topic_command(topic.bootstrap, topic.name, setting);
}

/// "partition 3", "partitions 1, 3 and 9 more"
std::string partitions_text(const std::vector<std::int32_t>& partitions) {
    constexpr std::size_t kShown = 10;
    const std::vector<std::int32_t> shown(
        partitions.begin(),
        partitions.begin() + static_cast<long>(std::min(partitions.size(), kShown))
    );
    auto text =
        fmt::format("partition{} {}", partitions.size() == 1 ? "" : "s", fmt::join(shown, ", "));
    if (partitions.size() > kShown) text += fmt::format(" and {} more", partitions.size() - kShown);
    return text;
}

Warning warning(std::string_view code, Severity severity, std::string text) {
    Warning made;
    made.code = code;
    made.severity = severity;
    made.text = std::move(text);
    return made;
}

Warning missing(const TopicToCheck& topic) {
    auto made = warning(
        "topic_missing",
        Severity::bad,
        "The topic does not exist, or this console may not see it. Events for it wait in the "
        "outbox."
    );
    made.command = create_topic_command(
        topic.bootstrap,
        topic.name,
        "12",
        std::to_string(std::clamp<int>(static_cast<int>(topic.brokers), 1, kReplicasAdvised))
    );
    return made;
}

/// Partitions by how they are.
struct Health {
    std::vector<std::int32_t> leaderless, below_min, under_replicated;
    std::size_t replicas_min = SIZE_MAX;
};

Health health_of(const kafka::TopicState& state, std::int64_t min_in_sync) {
    Health health;
    for (const auto& partition : state.partitions) {
        health.replicas_min = std::min(health.replicas_min, partition.replicas.size());
        if (partition.leader < 0) {
            health.leaderless.push_back(partition.id);
        } else if (std::cmp_less(partition.in_sync.size(), min_in_sync)) {
            health.below_min.push_back(partition.id);
        } else if (partition.in_sync.size() < partition.replicas.size()) {
            health.under_replicated.push_back(partition.id);
        }
    }
    return health;
}

void check_health(const Health& health, std::int64_t min_in_sync, std::vector<Warning>& out) {
    const auto add = [&](std::string_view code,
                         Severity severity,
                         const std::vector<std::int32_t>& partitions,
                         std::string_view text,
                         std::string_view advice) {
        if (partitions.empty()) return;
        const auto names = partitions_text(partitions);
        auto made = warning(code, severity, fmt::format("{}: {}", text, names));
        made.params = {
            {"count", std::to_string(partitions.size())},
            {"partitions", names},
            {"min_insync", std::to_string(min_in_sync)}
        };
        made.advice = advice;
        out.push_back(std::move(made));
    };
    add("leaderless",
        Severity::bad,
        health.leaderless,
        "No broker leads these partitions, so nothing can be written or read there",
        "Start the brokers that hold their replicas; the Brokers page shows which are away.");
    add("below_min_insync",
        Severity::bad,
        health.below_min,
        fmt::format(
            "Fewer replicas are in sync than min.insync.replicas ({}), so writes with acks=all are "
            "refused",
            min_in_sync
        ),
        "Start the brokers that are away, or wait until they have caught up.");
    add("under_replicated",
        Severity::warn,
        health.under_replicated,
        "Some replicas are not in sync, so fewer brokers may fail than planned",
        "Start the brokers that are away, or wait until they have caught up.");
}

void check_replicas(const TopicToCheck& topic, const Health& health, std::vector<Warning>& out) {
    if (health.replicas_min == SIZE_MAX) return;
    const auto replicas = static_cast<std::int64_t>(health.replicas_min);
    const auto min_in_sync = number_of(topic, "min.insync.replicas");
    const std::vector<std::pair<std::string, std::string>> params{
        {"replicas", std::to_string(replicas)},
        {"min_insync", std::to_string(min_in_sync.value_or(0))}
    };
    if (replicas == 1) {
        auto made = warning(
            "single_replica",
            topic.brokers > 1 ? Severity::warn : Severity::info,
            topic.brokers > 1
                ? "Each partition has one replica: when its broker fails, its records are gone"
                : "Each partition has one replica, and the cluster has one broker: when it fails, "
                  "the records are gone"
        );
        made.advice = topic.brokers > 1
                          ? "Raise the replication factor with kafka-reassign-partitions.sh, or "
                            "create the topic again with --replication-factor 3."
                          : "A cluster for production has three brokers or more.";
        made.params = params;
        out.push_back(std::move(made));
    }
    if (!min_in_sync || *min_in_sync < replicas || *min_in_sync <= 1) return;
    const bool is_impossible = *min_in_sync > replicas;
    auto made = warning(
        is_impossible ? "min_insync_above_replicas" : "min_insync_equals_replicas",
        is_impossible ? Severity::bad : Severity::warn,
        is_impossible
            ? fmt::format(
                  "min.insync.replicas is {}, but there are {} replicas: every write with acks=all "
                  "is refused",
                  *min_in_sync,
                  replicas
              )
            : fmt::format(
                  "min.insync.replicas is {}, as many as there are replicas: writes with acks=all "
                  "stop as soon as one broker is away",
                  *min_in_sync
              )
    );
    made.params = params;
    made.command = set_command(
        topic, fmt::format("min.insync.replicas={}", std::max<std::int64_t>(replicas - 1, 1))
    );
    out.push_back(std::move(made));
}

void check_settings(const TopicToCheck& topic, std::vector<Warning>& out) {
    const auto bytes = number_of(topic, "max.message.bytes");
    if (topic.is_ours && bytes && std::cmp_less(*bytes, topic.record_bytes_max)) {
        auto made = warning(
            "max_message_bytes",
            Severity::warn,
            fmt::format(
                "The topic accepts batches of {} bytes, less than KAFKA_MESSAGE_BYTES_MAX ({}): "
                "larger events will be parked",
                *bytes,
                topic.record_bytes_max
            )
        );
        made.params = {
            {"topic_bytes", std::to_string(*bytes)},
            {"record_bytes", std::to_string(topic.record_bytes_max)}
        };
        made.command =
            set_command(topic, fmt::format("max.message.bytes={}", topic.record_bytes_max));
        out.push_back(std::move(made));
    }
    const auto cleanup = value_of(topic, "cleanup.policy");
    if (topic.is_ours && cleanup && cleanup->find("compact") != std::string_view::npos) {
        auto made = warning(
            "compacted",
            Severity::warn,
            "The topic is compacted: of each key only the newest event stays, so consumers that "
            "read later miss events"
        );
        made.params = {{"cleanup_policy", std::string(*cleanup)}};
        made.command = set_command(topic, "cleanup.policy=delete");
        out.push_back(std::move(made));
    }
    if (value_of(topic, "unclean.leader.election.enable") == "true") {
        auto made = warning(
            "unclean_leader_election",
            Severity::warn,
            "A replica that is behind may become leader: acknowledged records can be lost"
        );
        made.command = set_command(topic, "unclean.leader.election.enable=false");
        out.push_back(std::move(made));
    }
}

}  // namespace

std::vector<Warning> topic_warnings(const TopicToCheck& topic) {
    if (topic.state == nullptr) return {missing(topic)};
    std::vector<Warning> found;
    const auto min_in_sync = number_of(topic, "min.insync.replicas").value_or(1);
    const auto health = health_of(*topic.state, min_in_sync);
    // More than there are replicas is said once, below, and not for each partition.
    const auto reachable =
        health.replicas_min == SIZE_MAX
            ? min_in_sync
            : std::min<std::int64_t>(min_in_sync, static_cast<std::int64_t>(health.replicas_min));
    check_health(health_of(*topic.state, reachable), reachable, found);
    check_replicas(topic, health, found);
    check_settings(topic, found);
    std::vector<Warning> sorted;
    for (const auto severity : {Severity::bad, Severity::warn, Severity::info}) {
        std::ranges::copy_if(found, std::back_inserter(sorted), [&](const auto& each) {
            return each.severity == severity;
        });
    }
    return sorted;
}

std::vector<Warning> broker_warnings(
    const std::vector<kafka::BrokerState>& brokers,
    const std::vector<std::optional<Error>>& troubles
) {
    std::vector<Warning> found;
    for (std::size_t i = 0; i < brokers.size() && i < troubles.size(); ++i) {
        if (!troubles[i]) continue;
        const auto address = fmt::format("{}:{}", brokers[i].host, brokers[i].port);
        auto made = warning(
            "advertised_unreachable",
            Severity::bad,
            fmt::format(
                "Broker {} advertises {}, which does not answer from here: {}",
                brokers[i].id,
                address,
                troubles[i]->what()
            )
        );
        made.params = {
            {"broker", std::to_string(brokers[i].id)},
            {"address", address},
            {"reason", troubles[i]->what()}
        };
        made.advice = fmt::format(
            "Start broker {}, or, if it runs, set its advertised.listeners to an address that "
            "clients can reach: they use KAFKA_BROKERS for the first connection only, and then the "
            "advertised addresses.",
            brokers[i].id
        );
        found.push_back(std::move(made));
    }
    return found;
}

}  // namespace txstream::console
