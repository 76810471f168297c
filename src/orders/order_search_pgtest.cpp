#include "orders/order_search.hpp"
#include "outbox/event_row.hpp"
#include "tests/support/outbox_database.hpp"

namespace txstream::orders {
namespace {

using tests::must;
using tests::soon;

class OrderSearchPgTest : public tests::OutboxTest {
protected:
    OrderSearchPgTest() {
        migrate({tests::shipped_migrations("orders")});
        script(
            *superuser_,
            "INSERT INTO orders (id, customer_id, order_number, total_amount, shipping_street,"
            " shipping_number, shipping_city, shipping_state, shipping_zip_code, shipping_country,"
            " billing_street, billing_number, billing_city, billing_state, billing_zip_code,"
            " billing_country, created_at) SELECT md5('o' || n)::uuid, 'c' || n % 3,"
            // Each prefix is longer than the last, and some orders are of one moment.
            " CASE n % 4 WHEN 0 THEN 'A-' WHEN 1 THEN 'A-1' WHEN 2 THEN 'a-' ELSE 'A_' END || n,"
            " 9999999999.99, 's', '1', 'c', 's', 'z', 'b', 's', '1', 'c', 's', 'z', 'b',"
            " timestamptz '2026-01-01Z' + n / 3 * interval '1 microsecond'"
            " FROM generate_series(1, 200) n;"
            "INSERT INTO order_items (order_id, product_id, product_name, quantity, unit_price,"
            " total_price) SELECT id, 'p', 'P', 1, 1, 1 FROM orders;"
            "GRANT SELECT ON orders, order_items TO txstream_reader"
        );
        console_ = connect("SET ROLE txstream_reader;" + std::string(outbox::kConsoleSettings));
    }
    std::vector<std::string> found(const std::string& text, std::size_t rows = 7) {
        std::vector<std::string> numbers;
        std::optional<OrderPlace> before;
        do {
            const auto page = must(
                wait(search_orders(*console_, must(parse_order_filter(text)), before, rows, soon()))
            );
            EXPECT_LE(page.orders.size(), rows);
            for (const auto& order : page.orders) numbers.push_back(order.order_number);
            before = page.before;
        } while (before && numbers.size() < 1000);
        return numbers;
    }
    std::vector<std::string> numbers(const std::string& rest) {
        return rows("SELECT order_number::text FROM orders WHERE " + rest);
    }

    std::unique_ptr<pg::Connection> console_;
};

TEST_F(OrderSearchPgTest, EachSearchPagesThroughWhatItMeansAndNothingElse) {
    const std::string newest = " ORDER BY created_at DESC, id DESC";
    EXPECT_EQ(found(""), numbers("true" + newest));
    EXPECT_EQ(found("customer:c1"), numbers("customer_id = 'c1'" + newest));
    EXPECT_EQ(found("c1"), numbers("customer_id = 'c1'" + newest));
    EXPECT_EQ(
        found("number:A-1*"), numbers("starts_with(order_number, 'A-1') ORDER BY order_number")
    );
    EXPECT_EQ(found("A*"), numbers("starts_with(order_number, 'A') ORDER BY order_number"));
    EXPECT_EQ(found("number:A-100"), std::vector<std::string>{"A-100"});
    EXPECT_EQ(found("A-100"), std::vector<std::string>{"A-100"});
    EXPECT_EQ(found("number:A-"), std::vector<std::string>());
    const auto id = one("SELECT id::text FROM orders WHERE order_number = 'A-100'");
    EXPECT_EQ(found("id:" + id), std::vector<std::string>{"A-100"});
    EXPECT_EQ(found(id), std::vector<std::string>{"A-100"});
    const auto page = must(wait(search_orders(*console_, {}, {}, 1, soon())));
    EXPECT_EQ(to_string(page.orders[0].total_amount), "9999999999.99");
    EXPECT_EQ(page.orders[0].items, 1);
}

TEST_F(OrderSearchPgTest, WhatCannotBeSearchedIsSaid) {
    for (const char* text : {"id:7", "customer:", "customer:c*", "a b", "number:\"", "\xff"}) {
        const auto filter = parse_order_filter(text);
        if (std::string_view(text) == "number:\"") {
            EXPECT_TRUE(filter) << "a quote alone is a text";
            continue;
        }
        ASSERT_FALSE(filter) << text;
        EXPECT_EQ(filter.error().code(), Code::invalid_input);
    }
    EXPECT_EQ(must(parse_order_filter(" customer:\"a b\" ")).customer, "a b");
    EXPECT_EQ(must(parse_order_filter("number:\"A*\"")).number, "A*");
}

TEST_F(OrderSearchPgTest, NoSearchSortsOrReadsTheWholeTable) {
    for (const std::string where :
         {"(created_at, id) < (timestamptz 'infinity', md5('x')::uuid) ORDER BY created_at DESC, id"
          " DESC",
          "customer_id = 'c1' AND (created_at, id) < (timestamptz 'infinity', md5('x')::uuid) ORDER"
          " BY created_at DESC, id DESC",
          "order_number >= 'A-1' AND order_number < 'A-1' || U&'\\+10FFFF' AND order_number > ''"
          " ORDER BY order_number"}) {
        std::string plan;
        for (const auto& line :
             rows(*console_, "EXPLAIN SELECT * FROM orders WHERE " + where + " LIMIT 51"))
            plan += line + "\n";
        EXPECT_EQ(plan.find("Sort"), std::string::npos) << plan;
        EXPECT_EQ(plan.find("Seq Scan"), std::string::npos) << plan;
        EXPECT_EQ(plan.find("Filter"), std::string::npos) << plan;
    }
}

}  // namespace
}  // namespace txstream::orders
