#pragma once

#include "base/error.hpp"
#include "console/cache.hpp"
#include "console/json.hpp"
#include "console/kafka_warnings.hpp"
#include "http/request.hpp"
#include "http/response.hpp"
#include "http/router.hpp"
#include "kafka/cluster.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

/// What the routes about Kafka say in the same way.
namespace txstream::console {

/// Of a failure of Kafka. What the broker cannot do, and what we may not ask, are answers of their
/// own.
http::Response kafka_problem(const Error& error);

/// Kafka's own name, by which other tools show it, too: "PreparingRebalance".
std::string_view to_string(kafka::GroupPhase phase) noexcept;

Json to_json(const Warning& warning);
Json to_json(const std::vector<Warning>& warnings);
/// Overridden ones first.
Json to_json(const std::vector<kafka::ConfigItem>& config);
/// "3 of 4 brokers answered in 5 s; 4 did not"; null when all did.
Json partial(
    std::size_t asked, const std::vector<std::string>& silent, std::chrono::milliseconds within
);

/// The items of a list in the query, separated by commas; each may be percent-encoded once more,
/// so that it can hold commas. Code::invalid_input when there is none, or more than `most`.
Result<std::vector<std::string>> query_list(
    const http::Request& request, std::string_view name, std::size_t most
);

/// What the rows of a list are sorted by and where a page begins.
struct PageQuery {
    std::string q;  ///< part of the name; empty: all
    std::string sort;
    std::size_t size = 50;
    std::string after;              ///< the last name of the page before
    std::int64_t after_number = 0;  ///< its value of what is sorted by
    bool has_cursor = false;
};
Result<PageQuery> page_query(const http::Request& request, std::string_view standard_sort);

/// JSON of texts that came from Kafka, whose clients may name themselves with bytes of any kind.
http::Response answer(const Json& body);

/// A GET below /api/console/v1, for viewers, whose answer is the same for all of them: made once
/// for all that ask, and kept for `ttl`.
void add_cached(
    http::Router& router,
    Cache& cache,
    std::string_view route,
    std::chrono::milliseconds ttl,
    std::function<Task<http::Response>(http::Request)> handler
);

}  // namespace txstream::console
