#include "console/brokers_api.hpp"

#include "console/kafka_answers.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <map>

namespace txstream::console {

namespace {

constexpr std::chrono::milliseconds kListTtl{3'000};
constexpr std::chrono::milliseconds kConfigTtl{10'000};
/// How long a page waits for brokers that may be away. A broker that is there answers in
/// milliseconds.
constexpr std::chrono::milliseconds kReachTimeout{2'000};

using Answers = std::vector<kafka::BrokerAnswer>;

struct Share {
    std::size_t leaders = 0;
    std::size_t replicas = 0;
    std::size_t under_replicated = 0;  ///< of those that it leads
};

std::map<std::int32_t, Share> shares_of(const kafka::ClusterState& state) {
    std::map<std::int32_t, Share> shares;
    for (const auto& topic : state.topics) {
        for (const auto& partition : topic.partitions) {
            for (const auto replica : partition.replicas) ++shares[replica].replicas;
            if (partition.leader < 0) continue;
            auto& leader = shares[partition.leader];
            ++leader.leaders;
            leader.under_replicated += partition.in_sync.size() < partition.replicas.size();
        }
    }
    return shares;
}

/// A broker that answers no, or that it has no such request, has answered.
bool has_answered(const kafka::BrokerAnswer& answer) {
    return answer.config || kafka::gap_of(answer.config.error()) != kafka::Gap::failed;
}

Json rack_of(const kafka::BrokerAnswer& answer) {
    if (!answer.config) return nullptr;
    const auto at = std::ranges::find(*answer.config, "broker.rack", &kafka::ConfigItem::name);
    if (at == answer.config->end() || !at->value || at->value->empty()) return nullptr;
    return *at->value;
}

Json row_of(
    const kafka::BrokerState& broker,
    const kafka::BrokerAnswer& answer,
    const Share& share,
    std::int32_t controller
) {
    return Json{
        {"id", broker.id},
        {"host", broker.host},
        {"port", broker.port},
        {"rack", rack_of(answer)},
        {"is_controller", broker.id == controller},
        {"leaders", share.leaders},
        {"replicas", share.replicas},
        {"under_replicated", share.under_replicated},
        {"is_reachable", has_answered(answer)},
        {"error", has_answered(answer) ? Json(nullptr) : Json(answer.config.error().what())},
        {"took_ms",
         has_answered(answer) ? Json(static_cast<double>(answer.took.count()) / 1000.0)
                              : Json(nullptr)}
    };
}

}  // namespace

void BrokersApi::add_routes(http::Router& router) {
    add_cached(router, context_.cache, "/brokers", kListTtl, [this](http::Request) {
        return list();
    });
    add_cached(
        router,
        context_.cache,
        "/brokers/{id}/config",
        kConfigTtl,
        [this](http::Request request) { return config(std::move(request)); }
    );
}

Task<http::Response> BrokersApi::list() {
    const auto state = co_await facts_.cluster();
    if (!state) co_return kafka_problem(state.error());
    const auto& brokers = (*state)->brokers;
    const auto deadline = Deadline::in(kReachTimeout);
    const auto answers = co_await facts_.session().ask(
        [deadline, brokers](kafka::Cluster& cluster) -> Result<Answers> {
            return cluster.broker_configs(brokers, deadline);
        },
        deadline
    );
    if (!answers) co_return kafka_problem(answers.error());
    const auto shares = shares_of(**state);
    auto items = Json::array();
    std::vector<std::string> silent;
    std::vector<std::optional<Error>> troubles(brokers.size());
    for (std::size_t i = 0; i < brokers.size(); ++i) {
        const auto& each = (*answers)[i];
        const auto share = shares.find(brokers[i].id);
        items.push_back(row_of(
            brokers[i], each, share == shares.end() ? Share() : share->second, (*state)->controller
        ));
        if (has_answered(each)) continue;
        silent.push_back(std::to_string(brokers[i].id));
        troubles[i] = each.config.error();
    }
    const bool has_controller =
        std::ranges::find(brokers, (*state)->controller, &kafka::BrokerState::id) != brokers.end();
    co_return answer(Json{
        {"cluster_id", (*state)->id.empty() ? Json(nullptr) : Json((*state)->id)},
        {"controller", has_controller ? Json((*state)->controller) : Json(nullptr)},
        {"items", std::move(items)},
        {"partial", partial(brokers.size(), silent, kReachTimeout)},
        {"warnings", to_json(broker_warnings(brokers, troubles))}
    });
}

Task<http::Response> BrokersApi::config(http::Request request) {
    const auto text = request.param("id");
    std::int32_t id = -1;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), id);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size())
        co_return invalid("id", "id must be a broker's number");
    const auto state = co_await facts_.cluster();
    if (!state) co_return kafka_problem(state.error());
    const auto& brokers = (*state)->brokers;
    const auto broker = std::ranges::find(brokers, id, &kafka::BrokerState::id);
    if (broker == brokers.end())
        co_return problem(404, "not_found", fmt::format("The cluster has no broker {}.", id));
    const auto deadline = Deadline::in(kReachTimeout);
    const auto answers = co_await facts_.session().ask(
        [deadline, broker = *broker](kafka::Cluster& cluster) -> Result<Answers> {
            return cluster.broker_configs({broker}, deadline);
        },
        deadline
    );
    if (!answers) co_return kafka_problem(answers.error());
    const auto& config = answers->front().config;
    if (!config) co_return kafka_problem(config.error());
    co_return answer(Json{{"items", to_json(*config)}});
}

}  // namespace txstream::console
