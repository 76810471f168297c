#include "console/message_query.hpp"

#include "console/json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace txstream::console {

namespace {

constexpr int kCursorVersion = 1;
constexpr std::size_t kCursorHead = 4;
constexpr std::size_t kCursorPartition = 5;

// FNV-1a: the same in every process that may get the cursor.
std::uint64_t digest_of(std::initializer_list<std::string_view> texts) {
    std::uint64_t hash = 14695981039346656037ULL;
    for (const auto text : texts) {
        for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
        hash = (hash ^ 0xFF) * 1099511628211ULL;
    }
    return hash >> 1;
}

bool is_between(std::int64_t value, std::int64_t left, std::int64_t right) {
    return value >= std::min(left, right) && value <= std::max(left, right);
}

/// What the page before has left. False: it is not a cursor of this search.
bool read_position(const Json& cursor, MessageQuery& query) {
    if (!cursor.is_array() || cursor.size() < kCursorHead) return false;
    if (!std::ranges::all_of(cursor, [](const Json& one) { return one.is_number_integer(); }))
        return false;
    if (cursor[0] != kCursorVersion || cursor[1] != query.digest) return false;
    query.now = std::chrono::system_clock::time_point(
        std::chrono::milliseconds(std::clamp<std::int64_t>(cursor[2], 0, 253'402'300'799'000))
    );
    query.matched_before = cursor[3];
    if ((cursor.size() - kCursorHead) % kCursorPartition != 0) return false;
    for (std::size_t i = kCursorHead; i < cursor.size(); i += kCursorPartition) {
        const std::int64_t low = cursor[i + 1];
        const auto offset = [&](std::size_t at) {
            return low + cursor[i + at].get<std::int64_t>();
        };
        const ScanPosition at{
            .partition = cursor[i],
            .start = offset(2),
            .position = offset(3),
            .stop = offset(4),
            .low = low,
        };
        const bool is_measured = at.start >= 0;
        if (at.partition < 0 || low < 0 || at.start < -1) return false;
        if (is_measured && (at.stop < 0 || !is_between(at.position, at.start, at.stop)))
            return false;
        query.from.push_back(at);
    }
    return !query.from.empty() && query.from.size() <= kSearchedPartitionsMax;
}

}  // namespace

bool is_topic_name(std::string_view text) {
    constexpr std::size_t kLongest = 249;
    return !text.empty() && text.size() <= kLongest && text != "." && text != ".." &&
           std::ranges::all_of(text, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-';
           });
}

std::optional<std::vector<std::int32_t>> parse_partitions(std::string_view text) {
    std::vector<std::int32_t> partitions;
    while (!text.empty()) {
        const auto comma = std::min(text.find(','), text.size());
        std::int32_t partition = -1;
        const auto parsed = std::from_chars(text.data(), text.data() + comma, partition);
        if (parsed.ec != std::errc() || parsed.ptr != text.data() + comma || partition < 0)
            return std::nullopt;
        partitions.push_back(partition);
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    std::ranges::sort(partitions);
    partitions.erase(std::unique(partitions.begin(), partitions.end()), partitions.end());
    return partitions;
}

http::Response filter_problem(const RecordFilter::Error& error) {
    return problem(400, "invalid", error.text, Json{{"field", "filter"}, {"column", error.column}});
}

tl::expected<MessageQuery, http::Response> read_message_query(
    const http::Request& request,
    const QueryLimits& limits,
    std::chrono::system_clock::time_point now
) {
    const auto refused = [](std::string_view field, std::string_view detail) {
        return tl::unexpected(invalid(field, detail));
    };
    MessageQuery query;
    query.now = now;
    query.topic = request.param("topic");
    if (!is_topic_name(query.topic)) return refused("topic", "this is no name of a topic");
    const auto p = request.query("p").value_or("");
    const auto filter = request.query("filter").value_or("");
    const auto from = request.query("from").value_or("newest");
    query.digest = digest_of({query.topic, p, filter, from});
    const auto limit = query_number(request, "limit", 1, limits.limit_most, limits.limit_standard);
    if (!limit) return refused("limit", limit.error().what());
    query.limit = static_cast<std::size_t>(*limit);
    auto partitions = parse_partitions(p);
    if (!partitions) return refused("p", "p is a list of partitions such as 0,2");
    if (partitions->size() > kSearchedPartitionsMax)
        return refused(
            "p",
            "at most " + std::to_string(kSearchedPartitionsMax) +
                " partitions are searched at one time"
        );
    query.partitions = std::move(*partitions);
    if (const auto cursor = request.query("cursor"); cursor && limits.has_cursor) {
        const auto position = read_cursor(*cursor);
        if (!position || !read_position(*position, query))
            return refused(
                "cursor", "this cursor belongs to another search; leave it out to begin"
            );
    }
    const auto seek = parse_seek(from, query.now);
    if (!seek)
        return refused(
            "from",
            "from is newest, oldest, offset:N, time: and RFC 3339, or a span back such as -1h"
        );
    query.seek = *seek;
    auto parsed = RecordFilter::parse(filter, query.now);
    if (!parsed) return tl::unexpected(filter_problem(parsed.error()));
    query.filter = std::move(*parsed);
    return query;
}

std::string cursor_of(
    const MessageQuery& query, const std::vector<ScanPosition>& next, std::uint64_t matched
) {
    const auto ms = std::chrono::floor<std::chrono::milliseconds>(query.now).time_since_epoch();
    Json cursor{kCursorVersion, query.digest, ms.count(), matched};
    for (const auto& at : next) {
        cursor.push_back(at.partition);
        cursor.push_back(at.low);
        for (const auto offset : {at.start, at.position, at.stop})
            cursor.push_back(offset - at.low);
    }
    return cursor_of(cursor);
}

}  // namespace txstream::console
