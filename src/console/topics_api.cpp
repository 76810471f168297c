#include "console/topics_api.hpp"

#include "console/commands.hpp"
#include "console/group_rows.hpp"
#include "console/kafka_answers.hpp"
#include "console/message_query.hpp"
#include "console/newest_record.hpp"
#include "console/topic_rows.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <set>

namespace txstream::console {

namespace {

constexpr std::chrono::milliseconds kListTtl{2'000};
constexpr std::chrono::milliseconds kMeasureTtl{2'000};
/// The controller is asked for it, which may be away while the leaders are not.
constexpr std::chrono::milliseconds kConfigTimeout{2'000};
constexpr std::chrono::milliseconds kNewestTimeout{1'000};
constexpr std::chrono::milliseconds kNewestTtl{15'000};
constexpr std::size_t kNamesMax = 50;
/// Groups of one topic that are described; the furthest behind.
constexpr std::size_t kGroupsShown = 100;

using Offsets = std::vector<Result<std::int64_t>>;
using Times = std::vector<Result<std::optional<std::int64_t>>>;

std::vector<PartitionOf> partitions_in(const kafka::TopicState& topic) {
    std::vector<PartitionOf> partitions;
    for (const auto& partition : topic.partitions)
        partitions.emplace_back(topic.name, partition.id);
    return partitions;
}

/// What one topic's page shows beside the metadata.
struct TopicAnswer {
    Offsets low, end, high;
    Result<std::vector<kafka::ConfigItem>> config;
    Times newest;
};

Result<TopicAnswer> ask(
    kafka::Cluster& cluster,
    const std::string& name,
    const std::vector<kafka::Place>& places,
    Deadline deadline
) {
    return TopicAnswer{
        .low = cluster.offsets(places, kafka::Edge::first, deadline),
        .end = cluster.offsets(places, kafka::Edge::last_stable, deadline),
        .high = cluster.offsets(places, kafka::Edge::high, deadline),
        .config = std::move(
            cluster.topic_configs({name}, deadline.sooner(Deadline::in(kConfigTimeout))).front()
        ),
        .newest = cluster.newest_times(places, deadline)
    };
}

Json time_json(std::optional<std::int64_t> unix_ms) {
    if (!unix_ms) return nullptr;
    return rfc3339(
        std::chrono::sys_time<std::chrono::microseconds>(std::chrono::milliseconds(*unix_ms))
    );
}

/// Of all partitions; nothing while one of them does not answer.
std::optional<std::int64_t> newest_of(std::span<const Result<std::optional<std::int64_t>>> times) {
    std::optional<std::int64_t> newest;
    for (const auto& time : times) {
        if (!time) return std::nullopt;
        newest = std::max(newest, *time);
    }
    return newest;
}

bool is_unsupported(const Times& times) {
    return !times.empty() && !times.front() &&
           kafka::gap_of(times.front().error()) == kafka::Gap::unsupported;
}

std::vector<kafka::PartitionBounds> bounds_of(
    const kafka::TopicState& topic, const TopicAnswer& answer
) {
    std::vector<kafka::PartitionBounds> bounds;
    for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
        if (!answer.low[i] || !answer.end[i]) continue;
        bounds.push_back(
            {.partition = topic.partitions[i].id, .low = *answer.low[i], .end = *answer.end[i]}
        );
    }
    return bounds;
}

Json partition_rows(const kafka::TopicState& topic, const TopicAnswer& answer) {
    auto rows = Json::array();
    for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
        const auto& partition = topic.partitions[i];
        const auto shown = [&](const Offsets& offsets) {
            return offsets[i] ? number(*offsets[i]) : Json(nullptr);
        };
        Json error = nullptr;
        for (const auto* offsets : {&answer.high, &answer.end, &answer.low}) {
            if (!(*offsets)[i]) error = (*offsets)[i].error().what();
        }
        rows.push_back(Json{
            {"partition", partition.id},
            {"leader", partition.leader < 0 ? Json(nullptr) : Json(partition.leader)},
            {"replicas", partition.replicas},
            {"in_sync", partition.in_sync},
            {"low", shown(answer.low)},
            {"end", shown(answer.end)},
            {"high", shown(answer.high)},
            {"error", std::move(error)}
        });
    }
    return rows;
}

/// The records of a topic, about: what transactions and compaction leave out counts too.
Json measure_row(
    const std::string& name,
    const kafka::TopicState* topic,
    std::span<const Result<std::int64_t>> low,
    std::span<const Result<std::int64_t>> end,
    std::span<const Result<std::optional<std::int64_t>>> newest
) {
    Json row{{"name", name}, {"offsets", nullptr}, {"newest_at", nullptr}, {"error", nullptr}};
    if (topic == nullptr) {
        row["error"] = "there is no such topic, or this console may not see it";
        return row;
    }
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < end.size(); ++i) {
        for (const auto* offset : {&low[i], &end[i]}) {
            if (*offset) continue;
            row["error"] = offset->error().what();
            return row;
        }
        sum += std::max<std::int64_t>(*end[i] - *low[i], 0);
    }
    row["offsets"] = number(sum);
    row["newest_at"] = time_json(newest_of(newest));
    return row;
}

}  // namespace

void TopicsApi::add_routes(http::Router& router) {
    const auto add = [&](std::string_view route,
                         Task<http::Response> (TopicsApi::*handler)(http::Request),
                         std::chrono::milliseconds ttl) {
        add_cached(router, context_.cache, route, ttl, [this, handler](http::Request request) {
            return (this->*handler)(std::move(request));
        });
    };
    add("/topics", &TopicsApi::list, kListTtl);
    add("/topics/offsets", &TopicsApi::measure, kMeasureTtl);
    add("/topics/groups", &TopicsApi::readers, kMeasureTtl);
    add("/topics/{topic}", &TopicsApi::topic, kListTtl);
    add("/topics/{topic}/groups", &TopicsApi::groups_of, kMeasureTtl);
}

Task<http::Response> TopicsApi::list(http::Request request) {
    const auto query = topic_query(request);
    if (!query) co_return problem_of(query.error());
    const auto state = co_await facts_.cluster();
    if (!state) co_return kafka_problem(state.error());
    const auto page = topic_page(**state, *query, context_.settings.topic);
    auto items = Json::array();
    for (const auto& row : page.rows) items.push_back(to_json(row));
    co_return answer(Json{
        {"items", std::move(items)},
        {"next_cursor", page.next_cursor.empty() ? Json(nullptr) : Json(page.next_cursor)},
        {"total", page.total},
        {"partial", nullptr}
    });
}

Task<http::Response> TopicsApi::measure(http::Request request) {
    const auto names = query_list(request, "names", kNamesMax);
    if (!names) co_return invalid("names", names.error().what());
    const auto state = co_await facts_.cluster();
    if (!state) co_return kafka_problem(state.error());
    std::vector<PartitionOf> partitions;
    for (const auto& name : *names) {
        if (const auto* topic = (*state)->find(name))
            std::ranges::copy(partitions_in(*topic), std::back_inserter(partitions));
    }
    auto places = places_of(**state, partitions);
    const auto deadline = Deadline::in(kKafkaTimeout);
    struct Answer {
        Offsets low, end;
        Times newest;
    };
    const auto offsets = co_await facts_.session().ask(
        [deadline, places = std::move(places)](kafka::Cluster& cluster) -> Result<Answer> {
            return Answer{
                .low = cluster.offsets(places, kafka::Edge::first, deadline),
                .end = cluster.offsets(places, kafka::Edge::last_stable, deadline),
                .newest = cluster.newest_times(places, deadline)
            };
        },
        deadline
    );
    if (!offsets) co_return kafka_problem(offsets.error());
    auto items = Json::array();
    std::size_t at = 0;
    for (const auto& name : *names) {
        const auto* topic = (*state)->find(name);
        const auto count = topic == nullptr ? 0 : topic->partitions.size();
        items.push_back(measure_row(
            name,
            topic,
            std::span(offsets->low).subspan(at, count),
            std::span(offsets->end).subspan(at, count),
            std::span(offsets->newest).subspan(at, count)
        ));
        at += count;
    }
    co_return answer(Json{{"items", std::move(items)}});
}

Task<http::Response> TopicsApi::readers(http::Request request) {
    const auto names = query_list(request, "names", kNamesMax);
    if (!names) co_return invalid("names", names.error().what());
    const auto index = co_await facts_.group_index();
    if (!index) co_return kafka_problem(index.error());
    std::vector<PartitionOf> partitions;
    for (const auto& name : *names) {
        std::set<std::int32_t> read;
        for (const auto& reader : (*index)->readers_of(name)) {
            for (const auto& [partition, offset] : *reader.offsets) read.insert(partition);
        }
        for (const auto partition : read) partitions.emplace_back(name, partition);
    }
    const auto ends = co_await facts_.ends(std::move(partitions));
    auto items = Json::array();
    for (const auto& name : *names) {
        const auto readers = (*index)->readers_of(name);
        const auto known = known_ends(ends, name);
        std::optional<std::int64_t> furthest;
        for (const auto& reader : readers) {
            if (const auto lag = lag_of(*reader.offsets, known))
                furthest = std::max(furthest.value_or(0), *lag);
        }
        items.push_back(
            Json{{"name", name}, {"groups", readers.size()}, {"lag", number_or_null(furthest)}}
        );
    }
    co_return answer(Json{
        {"items", std::move(items)},
        {"groups_seen", (*index)->seen()},
        {"groups_total", (*index)->total()}
    });
}

// Metadata of all topics leaves out those that we may not see; a question about one name says
// which it is, and creates nothing.
Task<http::Response> TopicsApi::missing(std::string name) {
    if (!is_topic_name(name)) co_return invalid("topic", "this is no name of a topic");
    const auto deadline = Deadline::in(kKafkaTimeout);
    const auto config = co_await facts_.session().ask(
        [deadline, name](kafka::Cluster& cluster) {
            return std::move(cluster.topic_configs({name}, deadline).front());
        },
        deadline
    );
    if (!config && kafka::gap_of(config.error()) == kafka::Gap::denied)
        co_return kafka_problem(config.error());
    const auto state = co_await facts_.cluster();
    const auto warnings = topic_warnings(
        {.name = name,
         .brokers = state ? (*state)->brokers.size() : 1,
         .bootstrap = context_.settings.brokers}
    );
    co_return problem(
        404,
        "not_found",
        "There is no topic " + name,
        Json{{"remedy", to_json(warnings.front())["remedy"]}}
    );
}

Task<http::Response> TopicsApi::topic(http::Request request) {
    const std::string name(request.param("topic"));
    const auto state = co_await facts_.cluster();
    if (!state) co_return kafka_problem(state.error());
    const auto* topic = (*state)->find(name);
    if (topic == nullptr) co_return co_await missing(name);
    auto places = places_of(**state, partitions_in(*topic));
    const auto deadline = Deadline::in(kKafkaTimeout);
    const auto found = co_await facts_.session().ask(
        [deadline, name, places = std::move(places)](kafka::Cluster& cluster) {
            return ask(cluster, name, places, deadline);
        },
        deadline
    );
    if (!found) co_return kafka_problem(found.error());
    auto newest_at = newest_of(found->newest);
    if (is_unsupported(found->newest)) newest_at = co_await newest(name, bounds_of(*topic, *found));
    const auto& settings = context_.settings;
    const auto warnings = topic_warnings(
        {.name = name,
         .state = topic,
         .config = found->config ? &*found->config : nullptr,
         .is_ours = name == settings.topic,
         .record_bytes_max = settings.message_bytes_max,
         .brokers = (*state)->brokers.size(),
         .bootstrap = settings.brokers}
    );
    co_return answer(Json{
        {"topic", to_json(topic_row(*topic, settings.topic))},
        {"partitions", partition_rows(*topic, *found)},
        {"config", found->config ? to_json(*found->config) : Json::array()},
        {"config_error", found->config ? Json(nullptr) : Json(found->config.error().what())},
        {"warnings", to_json(warnings)},
        {"newest_at", time_json(newest_at)}
    });
}

Task<std::optional<std::int64_t>> TopicsApi::newest(
    std::string name, std::vector<kafka::PartitionBounds> bounds
) {
    const auto now = std::chrono::steady_clock::now();
    std::erase_if(newest_, [&](const auto& each) {
        return now - each.second.read_at >= kNewestTtl;
    });
    if (const auto at = newest_.find(name); at != newest_.end()) co_return at->second.unix_ms;
    const auto deadline = Deadline::in(kNewestTimeout);
    const auto read = co_await context_.offload.run(
        [properties = context_.kafka_properties, name, bounds = std::move(bounds), deadline](
        ) -> Result<std::optional<std::int64_t>> {
            TXS_TRY(const auto ours, properties());
            return newest_record(ours, name, bounds, deadline);
        },
        Deadline(deadline.at() + KafkaSession::kMargin)
    );
    const auto found = read ? *read : std::nullopt;
    newest_.insert_or_assign(name, Newest{now, found});
    co_return found;
}

Task<http::Response> TopicsApi::groups_of(http::Request request) {
    const std::string name(request.param("topic"));
    const auto index = co_await facts_.group_index();
    if (!index) co_return kafka_problem(index.error());
    const auto list = co_await facts_.groups();
    if (!list) co_return kafka_problem(list.error());
    const auto state = co_await facts_.cluster();
    if (!state) co_return kafka_problem(state.error());
    const auto* topic = (*state)->find(name);
    if (topic == nullptr) co_return co_await missing(name);
    const auto ends = co_await facts_.ends(partitions_in(*topic));
    const auto known = known_ends(ends, name);
    struct Reader {
        std::string group;
        GroupIndex::Offsets offsets;
        std::optional<std::int64_t> lag;
    };
    std::vector<Reader> readers;
    for (const auto& reader : (*index)->readers_of(name))
        readers.push_back(
            {std::string(reader.group), *reader.offsets, lag_of(*reader.offsets, known)}
        );
    std::ranges::sort(readers, [](const auto& a, const auto& b) {
        return std::tie(b.lag, a.group) < std::tie(a.lag, b.group);
    });
    if (readers.size() > kGroupsShown) readers.resize(kGroupsShown);
    std::vector<std::string> names;
    for (const auto& reader : readers) names.push_back(reader.group);
    const auto described = co_await describe_groups(facts_.session(), names);
    auto items = Json::array();
    for (std::size_t i = 0; i < readers.size(); ++i) {
        std::vector<kafka::CommittedOffset> committed;
        for (const auto& [partition, offset] : readers[i].offsets)
            committed.push_back(
                {.topic = name, .partition = partition, .offset = offset, .metadata = {}}
            );
        const auto group = described_as_listed(**list, names[i], described[i]);
        const auto lag = lag_of(committed, group.state, ends);
        auto offsets = Json::array();
        for (const auto& offset : lag.offsets) {
            if (offset.topic == name) offsets.push_back(to_json(offset));
        }
        items.push_back(Json{
            {"group", readers[i].group},
            {"state", to_string(group.phase)},
            {"members", group.state ? group.state->members.size() : 0},
            {"lag", number_or_null(readers[i].lag)},
            {"offsets", std::move(offsets)}
        });
    }
    co_return answer(Json{
        {"items", std::move(items)},
        {"groups_seen", (*index)->seen()},
        {"groups_total", (*index)->total()}
    });
}

}  // namespace txstream::console
