#include "orders/order_repository.hpp"
#include "tests/support/outbox_database.hpp"

#include <cstdio>

namespace txstream::orders {
namespace {

using tests::must;
using tests::soon;

class OrderRepositoryPgTest : public tests::OutboxTest {
protected:
    OrderRepositoryPgTest() { migrate({tests::shipped_migrations("orders")}); }

    /// Orders "n-<first>" to the last, each with an item more than the one before and a second
    /// newer.
    void insert(int count, int first = 0) {
        std::vector<NewOrder> orders;
        for (int i = first; i < first + count; ++i) {
            domain::CreateOrder wanted;
            wanted.customer_id = "c";
            wanted.order_number = "n-" + std::to_string(i);
            for (int item = 0; item <= i; ++item)
                wanted.items.push_back({"p", std::string(200, 'x'), 1, domain::Money::from_cents(1)}
                );
            wanted.shipping_address = {"s", "1", "", "c", "s", "z", "b"};
            wanted.billing_address = wanted.shipping_address;
            char id[37];
            std::snprintf(id, sizeof id, "00000000-0000-4000-8000-%012d", i);
            orders.push_back(with_event(must(
                domain::place_order(wanted, id, domain::Timestamp(std::chrono::seconds(i + 1)))
            )));
        }
        must(wait(insert_orders(*superuser_, orders, soon())));
    }
    OrderPage page(OrderWindow window) {
        return must(wait(newest_orders(*superuser_, window, soon())));
    }
    static std::vector<std::string> numbers(const OrderPage& page) {
        std::vector<std::string> all;
        for (const auto& order : page.orders) all.push_back(order.order_number);
        return all;
    }
};

TEST_F(OrderRepositoryPgTest, APageEndsAtItsBytesAndHoldsOneOrderAtLeast) {
    insert(4);
    const auto all = page({.limit = 10, .offset = 0, .bytes_max = 1 << 20});
    EXPECT_EQ(numbers(all), (std::vector<std::string>{"n-3", "n-2", "n-1", "n-0"}));
    EXPECT_EQ(all.orders[0].items.size(), 4U);
    EXPECT_EQ(all.orders[3].items.size(), 1U);
    EXPECT_FALSE(all.is_cut);

    // 4 + 3 items are in, the two of the next order are not.
    const auto cut = page({.limit = 10, .offset = 0, .bytes_max = 8 * 321});
    EXPECT_EQ(numbers(cut), (std::vector<std::string>{"n-3", "n-2"}));
    EXPECT_EQ(cut.orders[1].items.size(), 3U);
    EXPECT_TRUE(cut.is_cut);
    const auto rest = page({.limit = 10, .offset = 2, .bytes_max = 8 * 321});
    EXPECT_EQ(numbers(rest), (std::vector<std::string>{"n-1", "n-0"}));
    EXPECT_FALSE(rest.is_cut);

    const auto one = page({.limit = 10, .offset = 0, .bytes_max = 1});
    EXPECT_EQ(numbers(one), std::vector<std::string>{"n-3"});
    EXPECT_TRUE(one.is_cut);
    EXPECT_FALSE(page({.limit = 1, .offset = 0, .bytes_max = 1}).is_cut);
    EXPECT_TRUE(page({.limit = 10, .offset = 4, .bytes_max = 1}).orders.empty());
}

// Planning the insert costs a third of it; a list planned without its limit reads the whole table.
TEST_F(OrderRepositoryPgTest, AnInsertIsPlannedOnceAndAListForItsPage) {
    for (int i = 0; i < 8; ++i) {
        insert(1, i);
        EXPECT_EQ(page({.limit = 1, .offset = 0, .bytes_max = 1}).orders.size(), 1U);
    }
    EXPECT_EQ(
        rows("SELECT name || ', once: ' || (generic_plans > 0) FROM pg_prepared_statements"
             " WHERE name IN ('txs_insert_orders', 'txs_newest_orders')"),
        std::vector<std::string>{"txs_insert_orders, once: true"}
    );
}

// A word that the domain does not know would make every list that holds the order a failure.
TEST_F(OrderRepositoryPgTest, TheTableHoldsNoStatusThatTheDomainDoesNotKnow) {
    insert(1);
    for (const auto status :
         {domain::OrderStatus::pending,
          domain::OrderStatus::confirmed,
          domain::OrderStatus::shipped,
          domain::OrderStatus::delivered,
          domain::OrderStatus::cancelled}) {
        script(
            *superuser_,
            "UPDATE orders SET status = '" + std::string(domain::to_string(status)) + "'"
        );
        EXPECT_EQ(page({1, 0, 1}).orders.at(0).status, status);
    }
    const auto strange = try_script(*superuser_, "UPDATE orders SET status = 'processing'");
    ASSERT_FALSE(strange);
    EXPECT_EQ(strange.error().origin(), "23514");
}

}  // namespace
}  // namespace txstream::orders
