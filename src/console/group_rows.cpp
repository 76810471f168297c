#include "console/group_rows.hpp"

#include "console/context.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace txstream::console {

Result<GroupQuery> group_query(const http::Request& request) {
    GroupQuery query;
    TXS_TRY(query.page, page_query(request, "id"));
    if (query.page.sort != "id" && query.page.sort != "-id")
        return fail(Code::invalid_input, "sort must be id or -id");
    query.state = request.query("state").value_or("");
    return query;
}

GroupPage group_page(const kafka::GroupList& list, const GroupQuery& query) {
    const auto& page = query.page;
    std::vector<const kafka::GroupListing*> rows;
    for (const auto& group : list.groups) {
        if (!query.state.empty() && to_string(group.phase) != query.state) continue;
        if (group.name.find(page.q) != std::string::npos) rows.push_back(&group);
    }
    const bool is_descending = page.sort.starts_with('-');
    const auto before = [&](const auto& a, const auto& b) { return is_descending ? b < a : a < b; };
    const auto key = [](const auto* row) -> const std::string& { return row->name; };
    std::ranges::sort(rows, before, key);
    GroupPage answer;
    answer.total = rows.size();
    auto from = rows.begin();
    if (page.has_cursor) from = std::ranges::upper_bound(rows, page.after, before, key);
    for (; from != rows.end() && answer.rows.size() < page.size; ++from)
        answer.rows.push_back(**from);
    if (from != rows.end()) {
        answer.next_cursor =
            cursor_of(Json{{"sort", page.sort}, {"name", answer.rows.back().name}});
    }
    return answer;
}

GroupFacts described_as_listed(
    const kafka::GroupList& list,
    const std::string& group,
    const Result<kafka::GroupState>& described
) {
    GroupFacts facts;
    const auto listed =
        std::ranges::lower_bound(list.groups, group, {}, &kafka::GroupListing::name);
    const bool is_listed = listed != list.groups.end() && listed->name == group;
    if (is_listed) facts.phase = listed->phase;
    if (!described) {
        facts.error = described.error().what();
        return facts;
    }
    using kafka::GroupPhase;
    const bool is_unknown_kind = is_listed && described->phase == GroupPhase::dead &&
                                 facts.phase != GroupPhase::dead &&
                                 facts.phase != GroupPhase::unknown;
    if (is_unknown_kind) {
        facts.error =
            "its members cannot be read: it uses the consumer protocol of Kafka 4 (KIP-848), which "
            "needs a newer librdkafka";
        return facts;
    }
    facts.phase = described->phase;
    facts.state = *described;
    return facts;
}

std::map<std::int32_t, std::int64_t> known_ends(const Ends& ends, const std::string& topic) {
    std::map<std::int32_t, std::int64_t> known;
    for (auto at = ends.lower_bound({topic, INT32_MIN});
         at != ends.end() && at->first.first == topic;
         ++at) {
        if (at->second) known.emplace(at->first.second, *at->second);
    }
    return known;
}

Task<std::vector<Result<kafka::GroupState>>> describe_groups(
    KafkaSession& session, std::vector<std::string> names
) {
    using Answer = std::vector<Result<kafka::GroupState>>;
    if (names.empty()) co_return Answer();
    const auto deadline = Deadline::in(kKafkaTimeout);
    auto answer = co_await session.ask(
        [deadline, names](kafka::Cluster& cluster) -> Result<Answer> {
            return cluster.describe_groups(names, deadline);
        },
        deadline
    );
    if (!answer) co_return Answer(names.size(), tl::unexpected<Error>(answer.error()));
    co_return std::move(*answer);
}

Json number_or_null(std::optional<std::int64_t> value) {
    return value ? number(*value) : Json(nullptr);
}

Json to_json(const GroupOffset& offset) {
    return Json{
        {"topic", offset.topic},
        {"partition", offset.partition},
        {"committed", number_or_null(offset.committed)},
        {"end", number_or_null(offset.end)},
        {"lag", number_or_null(offset.lag)},
        {"member", offset.member.empty() ? Json(nullptr) : Json(offset.member)},
        {"is_stale", offset.is_stale},
        {"error", offset.error.empty() ? Json(nullptr) : Json(offset.error)}
    };
}

Json members_json(const std::vector<kafka::MemberState>& members) {
    auto list = Json::array();
    for (const auto& member : members) {
        auto topics = Json::array();
        for (const auto& [topic, partition] : member.assigned) {
            if (topics.empty() || topics.back()["topic"] != topic)
                topics.push_back(Json{{"topic", topic}, {"partitions", Json::array()}});
            topics.back()["partitions"].push_back(partition);
        }
        list.push_back(Json{
            {"id", member.id},
            {"client_id", member.client_id},
            {"host", member.host},
            {"partitions", std::move(topics)}
        });
    }
    return list;
}

}  // namespace txstream::console
