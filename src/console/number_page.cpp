#include "console/number_page.hpp"

namespace txstream::console {

namespace {

constexpr std::int64_t kRowsMax = 100;
constexpr std::int64_t kRows = 50;

Result<std::int64_t> place_of(std::string_view cursor) {
    TXS_TRY(const auto json, read_cursor(cursor));
    if (!json.is_number_integer())
        return fail(Code::invalid_input, "cursor is not one of this list's");
    return json.get<std::int64_t>();
}

}  // namespace

tl::expected<NumberPage, http::Response> number_page(const http::Request& request) {
    const auto size = query_number(request, "size", 1, kRowsMax, kRows);
    if (!size) return tl::unexpected(invalid("size", size.error().what()));
    NumberPage page{static_cast<std::size_t>(*size), std::nullopt};
    if (const auto cursor = request.query("cursor")) {
        const auto place = place_of(*cursor);
        if (!place) return tl::unexpected(invalid("cursor", place.error().what()));
        page.before = *place;
    }
    return page;
}

}  // namespace txstream::console
