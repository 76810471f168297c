// What the console's questions to a large cluster cost, each asked with a client that has just
// connected and once more. txs_console_kafka BOOTSTRAP: prints one JSON object, milliseconds.
#include "kafka/cluster.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace txstream;
using namespace txstream::kafka;

constexpr std::size_t kPageTopics = 100;
constexpr std::size_t kPageGroups = 50;

[[noreturn]] void die(std::string_view what, const Error& error) {
    std::fprintf(stderr, "txs_console_kafka: %s: %s\n", what.data(), error.what().c_str());
    std::exit(1);
}

Deadline soon() {
    return Deadline::in(30s);
}

template <class Call>
auto timed(const char* name, Call call) {
    const auto begin = std::chrono::steady_clock::now();
    auto result = call();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    std::printf("  \"%s\": %.1f,\n", name, took.count());
    return result;
}

template <class T>
const std::vector<Result<T>>& whole(std::string_view what, const std::vector<Result<T>>& results) {
    for (const auto& result : results) {
        if (!result) die(what, result.error());
    }
    return results;
}

std::vector<Place> places_of(const ClusterState& state, std::size_t topics) {
    std::vector<Place> places;
    for (std::size_t i = 0; i < topics && i < state.topics.size(); ++i) {
        for (const auto& partition : state.topics[i].partitions)
            places.push_back({state.topics[i].name, partition.id, partition.leader});
    }
    return places;
}

void measure(Cluster& cluster) {
    const auto state = timed("metadata_ms", [&] { return cluster.describe(soon()); });
    if (!state) die("metadata", state.error());
    const auto page = places_of(*state, kPageTopics);
    whole("page", timed("page_first_offsets_ms", [&] {
              return cluster.offsets(page, Edge::first, soon());
          }));
    whole("page", timed("page_last_stable_offsets_ms", [&] {
              return cluster.offsets(page, Edge::last_stable, soon());
          }));
    const auto all = places_of(*state, state->topics.size());
    whole("offsets", timed("all_last_stable_offsets_ms", [&] {
              return cluster.offsets(all, Edge::last_stable, soon());
          }));
    std::vector<std::string> topics;
    for (std::size_t i = 0; i < kPageTopics && i < state->topics.size(); ++i)
        topics.push_back(state->topics[i].name);
    whole("configs", timed("page_topic_configs_ms", [&] {
              return cluster.topic_configs(topics, soon());
          }));
    const auto brokers =
        timed("broker_configs_ms", [&] { return cluster.broker_configs(state->brokers, soon()); });
    if (!brokers.front().config) die("brokers", brokers.front().config.error());
    const auto groups = timed("list_groups_ms", [&] { return cluster.groups(soon()); });
    if (!groups) die("groups", groups.error());
    std::vector<std::string> names;
    for (const auto& group : groups->groups) names.push_back(group.name);
    const std::vector<std::string> first(
        names.begin(), names.begin() + static_cast<long>(std::min(names.size(), kPageGroups))
    );
    whole("groups", timed("page_describe_groups_ms", [&] {
              return cluster.describe_groups(first, soon());
          }));
    whole("groups", timed("page_committed_ms", [&] { return cluster.committed(first, soon()); }));
    whole("groups", timed("all_committed_ms", [&] { return cluster.committed(names, soon()); }));
    whole("groups", timed("all_describe_groups_ms", [&] {
              return cluster.describe_groups(names, soon());
          }));
    std::printf(
        "  \"topics\": %zu,\n  \"partitions\": %zu,\n  \"groups\": %zu",
        state->topics.size(),
        all.size(),
        names.size()
    );
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: txs_console_kafka BOOTSTRAP\n", stderr);
        return 2;
    }
    auto cluster = Cluster::open({{"bootstrap.servers", argv[1]}}, nullptr, {});
    if (!cluster) die("client", cluster.error());
    std::puts("{\n\"cold\": {");
    measure(**cluster);
    std::puts("\n},\n\"warm\": {");
    measure(**cluster);
    std::puts("\n}\n}");
    return 0;
}
