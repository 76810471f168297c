#include "console/groups_api.hpp"

#include "console/kafka_answers.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

namespace txstream::console {

namespace {

constexpr std::chrono::milliseconds kTtl{2'000};
constexpr std::size_t kIdsMax = 100;

using Committed = std::vector<Result<std::vector<kafka::CommittedOffset>>>;
using Described = std::vector<Result<kafka::GroupState>>;

bool contains(const kafka::GroupList& list, const std::string& name) {
    return std::ranges::binary_search(list.groups, name, {}, &kafka::GroupListing::name);
}

Json history_json(const std::vector<LagHistory::Sample>& samples) {
    auto at = Json::array();
    auto lag = Json::array();
    for (const auto& sample : samples) {
        at.push_back(std::chrono::floor<std::chrono::seconds>(sample.at).time_since_epoch().count()
        );
        lag.push_back(sample.lag);
    }
    return Json{{"at", std::move(at)}, {"lag", std::move(lag)}};
}

}  // namespace

void GroupsApi::add_routes(http::Router& router) {
    const auto add = [&](std::string_view route,
                         Task<http::Response> (GroupsApi::*handler)(http::Request)) {
        add_cached(router, context_.cache, route, kTtl, [this, handler](http::Request request) {
            return (this->*handler)(std::move(request));
        });
    };
    add("/groups", &GroupsApi::list);
    add("/groups/describe", &GroupsApi::describe);
    add("/groups/{group}", &GroupsApi::group);
}

Task<http::Response> GroupsApi::list(http::Request request) {
    const auto query = group_query(request);
    if (!query) co_return problem_of(query.error());
    const auto list = co_await facts_.groups();
    if (!list) co_return kafka_problem(list.error());
    const auto page = group_page(**list, *query);
    auto items = Json::array();
    for (const auto& row : page.rows) {
        items.push_back(
            Json{{"id", row.name}, {"state", to_string(row.phase)}, {"is_simple", row.is_simple}}
        );
    }
    Json missing = nullptr;
    if (!(*list)->missing.empty()) {
        missing = Json{
            {"text",
             std::to_string((*list)->missing.size()) +
                 " broker(s) did not list their groups: " + (*list)->missing.front().what()}
        };
    }
    co_return answer(Json{
        {"items", std::move(items)},
        {"next_cursor", page.next_cursor.empty() ? Json(nullptr) : Json(page.next_cursor)},
        {"total", page.total},
        {"partial", std::move(missing)}
    });
}

// Groups that the list does not have are not asked about: see kafka::Cluster.
Task<Result<std::vector<GroupsApi::Measured>>> GroupsApi::measure(
    std::shared_ptr<const kafka::GroupList> list, std::vector<std::string> names
) {
    const auto deadline = Deadline::in(kKafkaTimeout);
    using Answer = std::pair<Described, Committed>;
    TXS_CO_TRY(
        const auto answers,
        co_await facts_.session().ask(
            [deadline, names](kafka::Cluster& cluster) -> Result<Answer> {
                auto described = cluster.describe_groups(names, deadline);
                return Answer(std::move(described), cluster.committed(names, deadline));
            },
            deadline
        )
    );
    const auto& [described, committed] = answers;
    std::vector<Measured> measured(names.size());
    std::set<PartitionOf> partitions;
    static const std::vector<kafka::CommittedOffset> kNone;
    for (std::size_t i = 0; i < names.size(); ++i) {
        measured[i].name = names[i];
        measured[i].facts = described_as_listed(*list, names[i], described[i]);
        measured[i].error = committed[i] ? measured[i].facts.error : committed[i].error().what();
        const auto of_group =
            partitions_of(committed[i] ? *committed[i] : kNone, measured[i].facts.state);
        partitions.insert(of_group.begin(), of_group.end());
    }
    const auto ends = co_await facts_.ends({partitions.begin(), partitions.end()});
    const auto now = LagHistory::Clock::now();
    for (std::size_t i = 0; i < names.size(); ++i) {
        measured[i].lag =
            lag_of(committed[i] ? *committed[i] : kNone, measured[i].facts.state, ends);
        if (measured[i].lag.lag) facts_.lags().add(names[i], now, *measured[i].lag.lag);
    }
    co_return measured;
}

Json GroupsApi::to_json(const Measured& measured) {
    const auto& state = measured.facts.state;
    return Json{
        {"id", measured.name},
        {"state", to_string(measured.facts.phase)},
        {"members", state ? Json(state->members.size()) : Json(nullptr)},
        {"topics", measured.lag.topics},
        {"lag", number_or_null(measured.lag.lag)},
        {"coordinator", state && state->coordinator >= 0 ? Json(state->coordinator) : Json(nullptr)
        },
        {"assignor", state && !state->assignor.empty() ? Json(state->assignor) : Json(nullptr)},
        {"error", measured.error.empty() ? Json(nullptr) : Json(measured.error)}
    };
}

Task<http::Response> GroupsApi::describe(http::Request request) {
    const auto ids = query_list(request, "ids", kIdsMax);
    if (!ids) co_return invalid("ids", ids.error().what());
    const auto list = co_await facts_.groups();
    if (!list) co_return kafka_problem(list.error());
    std::vector<std::string> known;
    auto items = Json::array();
    for (const auto& id : *ids) {
        if (contains(**list, id)) {
            known.push_back(id);
            continue;
        }
        Measured gone;
        gone.name = id;
        gone.error = "there is no such group, or this console may not see it";
        items.push_back(to_json(gone));
    }
    if (!known.empty()) {
        const auto measured = co_await measure(*list, std::move(known));
        if (!measured) co_return kafka_problem(measured.error());
        for (const auto& each : *measured) items.push_back(to_json(each));
    }
    co_return answer(Json{{"items", std::move(items)}});
}

Task<http::Response> GroupsApi::group(http::Request request) {
    const std::string name(request.param("group"));
    const auto list = co_await facts_.groups();
    if (!list) co_return kafka_problem(list.error());
    if (!contains(**list, name)) {
        co_return problem(
            404, "not_found", "There is no group of this name, or this console may not see it."
        );
    }
    const auto measured = co_await measure(*list, {name});
    if (!measured) co_return kafka_problem(measured.error());
    const auto& found = measured->front();
    auto offsets = Json::array();
    for (const auto& offset : found.lag.offsets) offsets.push_back(console::to_json(offset));
    co_return answer(Json{
        {"group", to_json(found)},
        {"members", found.facts.state ? members_json(found.facts.state->members) : Json::array()},
        {"offsets", std::move(offsets)},
        {"lag_history", history_json(facts_.lags().of(name, LagHistory::Clock::now()))}
    });
}

}  // namespace txstream::console
