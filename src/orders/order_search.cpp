#include "orders/order_search.hpp"

#include "base/text.hpp"
#include "base/utf8.hpp"

#include <algorithm>
#include <utility>

namespace txstream::orders {

namespace {

constexpr std::size_t kTextBytesMax = 1024;

// Amounts travel as whole hundredths, as in order_repository.cpp.
#define TXS_FOUND_ORDER                                                              \
    "o.id, o.order_number, o.customer_id, o.status, (o.total_amount * 100)::bigint," \
    " o.currency, (SELECT count(*) FROM (SELECT 1 FROM public.order_items i"         \
    "  WHERE i.order_id = o.id LIMIT 1001) n), o.created_at"

// $1, $2 the place (created_at, id) below which the page lies, $3 its rows.
constexpr pg::Statement kNewest{
    "txs_search_orders_newest",
    R"(
SELECT )" TXS_FOUND_ORDER R"(
FROM (SELECT * FROM public.orders WHERE (created_at, id) < ($1::timestamptz, $2::uuid)
 ORDER BY created_at DESC, id DESC LIMIT $3::bigint) o ORDER BY o.created_at DESC, o.id DESC)"
};
constexpr pg::Statement kOfCustomer{
    "txs_search_orders_customer",
    R"(
SELECT )" TXS_FOUND_ORDER R"( FROM (SELECT * FROM public.orders WHERE customer_id = $4
  AND (created_at, id) < ($1::timestamptz, $2::uuid)
 ORDER BY created_at DESC, id DESC LIMIT $3::bigint) o ORDER BY o.created_at DESC, o.id DESC)"
};
constexpr pg::Statement kByNumber{
    "txs_search_orders_number",
    "SELECT " TXS_FOUND_ORDER " FROM public.orders o WHERE o.order_number = $1"
};
constexpr pg::Statement kById{
    "txs_search_orders_id", "SELECT " TXS_FOUND_ORDER " FROM public.orders o WHERE o.id = $1::uuid"
};
// The column's collation is "C": what begins with a text lies together, and before the text with
// the last character of all behind it. $2 the number behind which the page begins, $3 its rows.
constexpr pg::Statement kByPrefix{
    "txs_search_orders_prefix",
    R"(
SELECT )" TXS_FOUND_ORDER R"( FROM (SELECT * FROM public.orders WHERE order_number >= $1
  AND order_number < $1 || U&'\+10FFFF' AND order_number > $2
 ORDER BY order_number LIMIT $3::bigint) o ORDER BY o.order_number)"
};

constexpr const char* kLastId = "ffffffff-ffff-ffff-ffff-ffffffffffff";

FoundOrder order_at(const pg::Rows& rows, std::size_t row) {
    return {
        std::string(rows.uuid(row, 0)),
        std::string(rows.bytes(row, 1)),
        std::string(rows.bytes(row, 2)),
        std::string(rows.bytes(row, 3)),
        domain::Money::from_cents(rows.integer(row, 4)),
        std::string(rows.bytes(row, 5)),
        rows.integer(row, 6),
        rows.time(row, 7)
    };
}

std::string time_text(domain::Timestamp time) {
    std::string text;
    if (domain::has_rfc3339(time)) {
        domain::append_rfc3339(text, time);
    } else {
        text = time.time_since_epoch().count() < 0 ? "-infinity" : "infinity";
    }
    return text;
}

/// A page of `rows` and one more, which says that there is another.
FoundOrders page_of(const pg::Rows& rows, std::size_t limit, bool is_by_number) {
    FoundOrders found;
    for (std::size_t i = 0; i < std::min(rows.size(), limit); ++i)
        found.orders.push_back(order_at(rows, i));
    if (rows.size() > limit) {
        const auto& last = found.orders.back();
        found.before = OrderPlace{last.created_at, is_by_number ? last.order_number : last.id};
    }
    return found;
}

Task<Result<FoundOrders>> exactly(
    pg::Connection& connection, pg::Statement statement, std::string value, Deadline deadline
) {
    TXS_CO_TRY(
        const auto rows, co_await connection.run(statement, pg::Params::of(value), deadline)
    );
    co_return page_of(rows, rows.size(), false);
}

}  // namespace

Result<OrderFilter> parse_order_filter(std::string_view text) {
    const auto blank = [](std::string_view all) {
        const auto begin = all.find_first_not_of(' ');
        if (begin == std::string_view::npos) return std::string_view();
        return all.substr(begin, all.find_last_not_of(' ') - begin + 1);
    };
    text = blank(text);
    OrderFilter filter;
    if (text.empty()) return filter;
    if (text.size() > kTextBytesMax || storable_text(text, text.size()) != text)
        return fail(Code::invalid_input, "the search is longer than 1,024 bytes, or no text");
    std::string_view name;
    for (const std::string_view known : {"number:", "id:", "customer:"}) {
        if (!text.starts_with(known)) continue;
        name = known;
        text.remove_prefix(known.size());
    }
    bool is_quoted = false;
    if (text.size() >= 2 && text.starts_with('"') && text.ends_with('"')) {
        text = text.substr(1, text.size() - 2);
        is_quoted = true;
    }
    if (text.empty()) return fail(Code::invalid_input, "a value is missing behind the colon");
    if (!is_quoted && text.find(' ') != std::string_view::npos)
        return fail(
            Code::invalid_input,
            "one thing is searched at a time: number:, id: or customer:; a text with blanks stands "
            "in double quotes"
        );
    const bool is_prefix = !is_quoted && text.ends_with('*');
    if (is_prefix && name != "number:" && !name.empty())
        return fail(Code::invalid_input, "only number: takes a beginning with *");
    const std::string value(is_prefix ? text.substr(0, text.size() - 1) : text);
    if (name == "id:" && !is_uuid(value))
        return fail(Code::invalid_input, "an order's id is a UUID");
    if (is_prefix) {
        filter.number_prefix = value;
    } else if (name == "number:") {
        filter.number = value;
    } else if (name == "id:") {
        filter.id = value;
    } else if (name == "customer:") {
        filter.customer = value;
    } else {
        filter.word = value;
    }
    return filter;
}

Task<Result<FoundOrders>> search_orders(
    pg::Connection& connection,
    OrderFilter filter,
    std::optional<OrderPlace> before,
    std::size_t rows,
    Deadline deadline
) {
    if (filter.word) {
        // The first that finds something; a page that goes on is always a customer's.
        if (!before) {
            TXS_CO_TRY(
                auto by_number, co_await exactly(connection, kByNumber, *filter.word, deadline)
            );
            if (!by_number.orders.empty()) co_return by_number;
            if (is_uuid(*filter.word)) {
                TXS_CO_TRY(auto by_id, co_await exactly(connection, kById, *filter.word, deadline));
                if (!by_id.orders.empty()) co_return by_id;
            }
        }
        filter.customer = filter.word;
    }
    if (filter.number) co_return co_await exactly(connection, kByNumber, *filter.number, deadline);
    if (filter.id) co_return co_await exactly(connection, kById, *filter.id, deadline);
    if (filter.number_prefix) {
        TXS_CO_TRY(
            const auto found,
            co_await connection.run(
                kByPrefix,
                pg::Params::of(*filter.number_prefix, before ? before->id : "", rows + 1),
                deadline
            )
        );
        co_return page_of(found, rows, true);
    }
    auto params = pg::Params::of(
        before ? time_text(before->created_at) : "infinity", before ? before->id : kLastId, rows + 1
    );
    if (filter.customer) params.add(*filter.customer);
    TXS_CO_TRY(
        const auto found,
        co_await connection.run(
            filter.customer ? kOfCustomer : kNewest, std::move(params), deadline
        )
    );
    co_return page_of(found, rows, false);
}

}  // namespace txstream::orders
