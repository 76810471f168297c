#include "console/topic_rows.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <tuple>

namespace txstream::console {

namespace {

constexpr std::array<std::string_view, 4> kSorts{"name", "-name", "partitions", "-partitions"};

}  // namespace

Result<TopicQuery> topic_query(const http::Request& request) {
    TopicQuery query;
    TXS_TRY(query.page, page_query(request, "name"));
    if (std::ranges::find(kSorts, query.page.sort) == kSorts.end())
        return fail(Code::invalid_input, "sort must be name, -name, partitions or -partitions");
    const auto internal = request.query("internal").value_or("false");
    query.with_internal = internal == "true" || internal == "1";
    return query;
}

TopicRow topic_row(const kafka::TopicState& topic, std::string_view ours) {
    TopicRow row;
    row.name = topic.name;
    // The protocol says more, librdkafka does not.
    row.is_internal = topic.name.starts_with("__");
    row.is_ours = topic.name == ours;
    row.partitions = topic.partitions.size();
    row.replication_factor = SIZE_MAX;
    for (const auto& partition : topic.partitions) {
        row.replication_factor = std::min(row.replication_factor, partition.replicas.size());
        row.under_replicated += partition.in_sync.size() < partition.replicas.size();
        row.leaderless += partition.leader < 0;
    }
    if (topic.partitions.empty()) row.replication_factor = 0;
    if (topic.error) row.error = topic.error->what();
    return row;
}

TopicPage topic_page(
    const kafka::ClusterState& state, const TopicQuery& query, std::string_view ours
) {
    const auto& page = query.page;
    std::vector<TopicRow> rows;
    const auto add = [&](TopicRow row) {
        if (row.is_internal && !query.with_internal) return;
        if (row.name.find(page.q) != std::string::npos) rows.push_back(std::move(row));
    };
    for (const auto& topic : state.topics) add(topic_row(topic, ours));
    if (!ours.empty() && state.find(ours) == nullptr) {
        TopicRow row;
        row.name = ours;
        row.is_ours = true;
        row.error = "the topic does not exist, or this console may not see it";
        add(std::move(row));
    }
    const bool by_partitions = page.sort.ends_with("partitions");
    const bool is_descending = page.sort.starts_with('-');
    const auto key = [&](const TopicRow& row) {
        return std::tuple(by_partitions ? static_cast<std::int64_t>(row.partitions) : 0, row.name);
    };
    const auto before = [&](const auto& a, const auto& b) { return is_descending ? b < a : a < b; };
    std::ranges::sort(rows, before, key);
    TopicPage answer;
    answer.total = rows.size();
    auto from = rows.begin();
    if (page.has_cursor) {
        const std::tuple after(by_partitions ? page.after_number : 0, page.after);
        from = std::ranges::upper_bound(rows, after, before, key);
    }
    const auto count = std::min(page.size, static_cast<std::size_t>(rows.end() - from));
    const auto to = from + static_cast<long>(count);
    if (to != rows.end()) {
        const auto& last = *(to - 1);
        answer.next_cursor =
            cursor_of(Json{{"sort", page.sort}, {"name", last.name}, {"n", last.partitions}});
    }
    answer.rows.assign(std::make_move_iterator(from), std::make_move_iterator(to));
    return answer;
}

Json to_json(const TopicRow& row) {
    return Json{
        {"name", row.name},
        {"is_internal", row.is_internal},
        {"is_ours", row.is_ours},
        {"partitions", row.partitions},
        {"replication_factor", row.replication_factor},
        {"under_replicated", row.under_replicated},
        {"leaderless", row.leaderless},
        {"error", row.error.empty() ? Json(nullptr) : Json(row.error)}
    };
}

}  // namespace txstream::console
