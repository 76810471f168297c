#pragma once

#include "console/json.hpp"

#include <nlohmann/json.hpp>
#include <tl/expected.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

/// Pages of lists whose rows have numbers, the largest first.
namespace txstream::console {

struct NumberPage {
    std::size_t rows = 0;
    std::optional<std::int64_t> before;  ///< only rows with a smaller number
};

/// By `size` and `cursor` of the query, or the answer that refuses them.
tl::expected<NumberPage, http::Response> number_page(const http::Request& request);

/// The answer. `found` has one row more than the page where another page follows.
template <class Row, class ToJson>
http::Response page_of(std::vector<Row> found, std::size_t rows, ToJson to_json) {
    Json next = nullptr;
    if (found.size() > rows) {
        found.resize(rows);
        next = cursor_of(Json(found.back().id));
    }
    auto items = Json::array();
    for (const auto& row : found) items.push_back(to_json(row));
    return ok(Json{{"items", std::move(items)}, {"next_cursor", std::move(next)}});
}

}  // namespace txstream::console
