#pragma once

#include "console/group_lag.hpp"
#include "console/json.hpp"
#include "console/kafka_answers.hpp"
#include "console/kafka_session.hpp"
#include "http/request.hpp"
#include "kafka/cluster.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Groups as pages show them.
namespace txstream::console {

struct GroupQuery {
    PageQuery page;
    std::string state;  ///< empty: any
};
struct GroupPage {
    std::vector<kafka::GroupListing> rows;
    std::string next_cursor;  ///< empty: the last page
    std::size_t total = 0;    ///< that match
};
Result<GroupQuery> group_query(const http::Request& request);
GroupPage group_page(const kafka::GroupList& list, const GroupQuery& query);

/// What the list and the description of a group say together.
struct GroupFacts {
    kafka::GroupPhase phase = kafka::GroupPhase::unknown;
    std::optional<kafka::GroupState> state;  ///< nothing: its members are not known
    std::string error;
};
/// A group of Kafka 4's consumer protocol (KIP-848) is in the list, and the older request that
/// librdkafka describes it with calls it dead: then its members are not known.
GroupFacts described_as_listed(
    const kafka::GroupList& list,
    const std::string& group,
    const Result<kafka::GroupState>& described
);

/// Ends of one topic's partitions, where they are known.
std::map<std::int32_t, std::int64_t> known_ends(const Ends& ends, const std::string& topic);

Task<std::vector<Result<kafka::GroupState>>> describe_groups(
    KafkaSession& session, std::vector<std::string> names
);

Json number_or_null(std::optional<std::int64_t> value);
Json to_json(const GroupOffset& offset);
/// Members with their partitions by topic.
Json members_json(const std::vector<kafka::MemberState>& members);

}  // namespace txstream::console
