#pragma once

#include "console/json.hpp"
#include "console/kafka_answers.hpp"
#include "http/request.hpp"
#include "kafka/cluster.hpp"

#include <cstddef>
#include <string>
#include <vector>

/// The list of topics as a pure function of the metadata.
namespace txstream::console {

struct TopicRow {
    std::string name;
    bool is_internal = false;
    bool is_ours = false;
    std::size_t partitions = 0;
    std::size_t replication_factor = 0;  ///< the least of its partitions
    std::size_t under_replicated = 0;
    std::size_t leaderless = 0;
    std::string error;
};

struct TopicQuery {
    PageQuery page;
    bool with_internal = false;
};

struct TopicPage {
    std::vector<TopicRow> rows;
    std::string next_cursor;  ///< empty: the last page
    std::size_t total = 0;    ///< that match
};

/// Code::invalid_input names what is wrong.
Result<TopicQuery> topic_query(const http::Request& request);
TopicRow topic_row(const kafka::TopicState& topic, std::string_view ours);
/// `ours` has a row even where it does not exist: that is what to see first.
TopicPage topic_page(
    const kafka::ClusterState& state, const TopicQuery& query, std::string_view ours
);
Json to_json(const TopicRow& row);

}  // namespace txstream::console
