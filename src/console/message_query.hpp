#pragma once

#include "console/record_filter.hpp"
#include "console/scan.hpp"
#include "http/request.hpp"
#include "http/response.hpp"

#include <tl/expected.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::console {

/// What a request about messages asks for.
struct MessageQuery {
    std::string topic;
    Seek seek;
    std::vector<std::int32_t> partitions;  ///< empty: all
    RecordFilter filter;
    std::chrono::system_clock::time_point now;  ///< of the first page; relative times count from it
    std::size_t limit = 50;
    std::vector<ScanPosition> from;  ///< of the cursor
    std::uint64_t matched_before = 0;
    std::uint64_t digest = 0;  ///< of what a cursor must agree with
};

struct QueryLimits {
    std::int64_t limit_most;
    std::int64_t limit_standard;
    bool has_cursor;
};

/// A search keeps a position for each partition, and its cursor stands in a URL.
inline constexpr std::size_t kSearchedPartitionsMax = 100;

/// The problem that names the parameter, and for a filter the column.
tl::expected<MessageQuery, http::Response> read_message_query(
    const http::Request& request,
    const QueryLimits& limits,
    std::chrono::system_clock::time_point now
);
std::string cursor_of(
    const MessageQuery& query, const std::vector<ScanPosition>& next, std::uint64_t matched
);

/// "0,2"; nothing where it is no such list.
std::optional<std::vector<std::int32_t>> parse_partitions(std::string_view text);
/// Kafka's rule for names; anything else cannot be a topic.
bool is_topic_name(std::string_view text);
http::Response filter_problem(const RecordFilter::Error& error);

}  // namespace txstream::console
