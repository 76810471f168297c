#include "orders/order_repository.hpp"
#include "orders/order_writer.hpp"
#include "tests/support/outbox_database.hpp"

#include <cstdio>

namespace txstream::orders {
namespace {

using namespace std::chrono_literals;
using domain::Order;
using tests::must;
using tests::soon;

class OrderWriterPgTest : public tests::OutboxTest {
protected:
    OrderWriterPgTest() { migrate({tests::shipped_migrations("orders")}); }
    ~OrderWriterPgTest() override {
        for (auto& writer : writers_) wait(writer->stop());
    }

    OrderWriter& writer(
        OrderWriter::Limits limits, const std::string& settings = {}, pg::Pool::Limits pool = {}
    ) {
        pools_.push_back(
            std::make_unique<pg::Pool>(io_.get_executor(), database_.conninfo(), settings, pool)
        );
        writers_.push_back(std::make_unique<OrderWriter>(
            io_.get_executor(), *pools_.back(), metrics_, [this] { ++committed_; }, limits
        ));
        return *writers_.back();
    }
    /// An order with one item, and texts that an array literal must quote.
    static Order order(const std::string& number, int items = 1) {
        domain::CreateOrder wanted;
        wanted.customer_id = "c\"1\\";
        wanted.order_number = number;
        for (int i = 0; i < items; ++i)
            wanted.items.push_back(
                {"p-" + std::to_string(i),
                 "{NULL, \"S\u00e3o\"}",
                 1 + i,
                 domain::Money::from_cents(99 + i)}
            );
        wanted.shipping_address = {"NULL", "1", "", "S\u00e3o Paulo", "SP", "01", "BR"};
        wanted.billing_address = {"a'b", "2", "flat \\ 3", "x", "y", "z,", "{}"};
        static int made = 0;
        char id[37];
        std::snprintf(id, sizeof id, "00000000-0000-4000-8000-%012d", ++made);
        return must(domain::place_order(wanted, id, domain::Timestamp(1us * made)));
    }
    static std::vector<Order> orders(int first, int last) {
        std::vector<Order> all;
        for (int i = first; i <= last; ++i) all.push_back(order("n-" + std::to_string(i)));
        return all;
    }

    /// Asks at once; each answer comes into its place when the loop runs.
    using Answers = std::vector<std::optional<Result<Order>>>;
    std::shared_ptr<Answers> ask(
        OrderWriter& writer, const std::vector<Order>& wanted, Deadline deadline = soon()
    ) {
        auto answers = std::make_shared<Answers>(wanted.size());
        for (std::size_t i = 0; i < wanted.size(); ++i) {
            tests::start(
                io_,
                writer.place(wanted[i], deadline),
                [answers, i](const std::exception_ptr&, Result<Order> answer) {
                    (*answers)[i].emplace(std::move(answer));
                }
            );
        }
        return answers;
    }
    template <class Condition>
    void run_until(Condition condition) {
        const auto give_up_at = soon();
        io_.restart();
        while (!condition()) {
            if (give_up_at.passed()) throw std::runtime_error("waited in vain");
            io_.run_one_for(10ms);
        }
    }
    const Answers& finish(const std::shared_ptr<Answers>& answers) {
        run_until([&] {
            return std::ranges::all_of(*answers, &std::optional<Result<Order>>::has_value);
        });
        return *answers;
    }
    Answers place(OrderWriter& writer, const std::vector<Order>& wanted) {
        return finish(ask(writer, wanted));
    }
    /// From here on a commit waits for the advisory lock 1.
    void hold_commits() {
        script(
            *superuser_,
            "CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END';"
            "CREATE CONSTRAINT TRIGGER held AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION held()"
        );
    }
    std::string count(const std::string& what) { return one("SELECT count(*)::text FROM " + what); }
    /// How many orders each transaction wrote, the most first.
    std::vector<std::string> batches() {
        return rows("SELECT count(*)::text FROM orders GROUP BY xmin ORDER BY count(*) DESC");
    }
    /// Until as many sessions wait for a lock.
    void wait_for_blocked(const std::string& sessions) {
        run_until([&] {
            return one("SELECT count(*)::text FROM pg_stat_activity WHERE datname = "
                       "current_database()"
                       " AND wait_event_type = 'Lock'") == sessions;
        });
    }

    telemetry::Registry registry_;
    Metrics metrics_{registry_};
    int committed_ = 0;
    std::vector<std::unique_ptr<pg::Pool>> pools_;
    std::vector<std::unique_ptr<OrderWriter>> writers_;
};

TEST_F(OrderWriterPgTest, AnOrderComesBackAsItWentInWithTheIdsOfItsItems) {
    auto& one_by_one = writer({});
    for (const int items : {1, 3}) {
        const auto wanted = order("o" + std::to_string(items), items);
        const auto placed = must(*place(one_by_one, {wanted})[0]);
        auto expected = wanted;
        for (std::size_t i = 0; i < expected.items.size(); ++i) {
            EXPECT_GT(placed.items[i].id, i == 0 ? 0 : placed.items[i - 1].id) << "in their order";
            expected.items[i].id = placed.items[i].id;
        }
        EXPECT_EQ(placed, expected);
        EXPECT_EQ(must(wait(order_by_id(*superuser_, wanted.id, soon()))), expected);
        EXPECT_EQ(must(wait(order_by_number(*superuser_, wanted.order_number, soon()))), expected);
    }
    EXPECT_EQ(count("orders WHERE shipping_complement IS NULL"), "2");
}

TEST_F(OrderWriterPgTest, OrdersThatArriveTogetherAreWrittenTogetherEachWithItsOwnItemsAndEvent) {
    std::vector<Order> wanted;
    for (int i = 0; i < 100; ++i) wanted.push_back(order("n-" + std::to_string(i), 1 + i % 4));
    const auto placed = place(writer({.orders_max = 60}), wanted);
    EXPECT_EQ(batches(), (std::vector<std::string>{"60", "40"}));
    EXPECT_EQ(committed_, 2);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const auto& order = must(*placed[i]);
        EXPECT_EQ(order.order_number, wanted[i].order_number);
        EXPECT_EQ(must(wait(order_by_id(*superuser_, order.id, soon()))), order);
    }
    EXPECT_EQ(
        count("orders o JOIN txstream.outbox e ON e.aggregate_id = o.id::text"
              " WHERE e.payload->>'order_number' = o.order_number AND e.xid::xid = o.xmin"
              " AND e.metadata->>'correlation_id' = o.id::text AND e.event_type = 'OrderCreated'"),
        "100"
    );
    EXPECT_EQ(count("txstream.outbox"), "100");
    EXPECT_NE(registry_.expose().find("txstream_order_batch_size_count 2"), std::string::npos);
}

TEST_F(OrderWriterPgTest, ABatchHoldsNoMoreBytesThanItMayAndALargerOrderGoesAlone) {
    const auto size = with_event(order("x")).event_data.size();
    auto wanted = orders(10, 19);
    wanted[4] = order("large", 100);
    place(writer({.batches_max = 1, .bytes_max = 3 * size + size / 2}), wanted);
    EXPECT_EQ(batches(), (std::vector<std::string>{"3", "3", "2", "1", "1"}));
}

TEST_F(OrderWriterPgTest, AnOrderWhoseNumberExistsFailsAloneAndLeavesNothing) {
    auto& all = writer({.batches_max = 1});
    must(*place(all, {order("n-3")})[0]);
    auto wanted = orders(1, 5);
    wanted.push_back(order("n-5"));
    const auto placed = place(all, wanted);
    for (const std::size_t fine : {0U, 1U, 3U}) EXPECT_TRUE(*placed[fine]);
    EXPECT_NE(placed[4]->has_value(), placed[5]->has_value()) << "one of the two has the number";
    const auto& refused = placed[2]->error();
    EXPECT_EQ(refused.code(), Code::conflict);
    EXPECT_EQ(refused.origin(), "");
    EXPECT_EQ(refused.what(), "order with number n-3 already exists");
    EXPECT_EQ(count("orders"), "5");
    EXPECT_EQ(count("order_items"), "5");
    EXPECT_EQ(count("txstream.outbox"), "5");
}

TEST_F(OrderWriterPgTest, AnOrderThatTheServerRefusesFailsAloneAndLeavesNothing) {
    auto wanted = orders(1, 5);
    wanted[1].items[0].quantity = 0;
    wanted[3].customer_id.assign(1, '\0');
    const auto placed = place(writer({.batches_max = 1}), wanted);
    for (const std::size_t fine : {0U, 2U, 4U}) EXPECT_TRUE(*placed[fine]);
    for (const std::size_t bad : {1U, 3U}) {
        ASSERT_FALSE(*placed[bad]);
        EXPECT_FALSE(placed[bad]->error().retryable()) << placed[bad]->error().what();
    }
    EXPECT_EQ(count("orders"), "3");
    EXPECT_EQ(count("order_items"), "3");
    EXPECT_EQ(count("txstream.outbox"), "3");
}

TEST_F(OrderWriterPgTest, ANumberThatAnotherTransactionHoldsDelaysTheOthersByTheLockTimeoutOnly) {
    auto& all = writer({.batches_max = 1}, "SET lock_timeout = '100ms'");
    const auto other = connect();
    const auto held = with_event(order("n-2"));
    script(*other, "BEGIN");
    std::vector<NewOrder> first{held};
    must(wait(insert_orders(*other, first, soon())));
    const auto placed = place(all, orders(1, 4));
    for (const std::size_t fine : {0U, 2U, 3U}) EXPECT_TRUE(*placed[fine]);
    ASSERT_FALSE(*placed[1]);
    EXPECT_TRUE(placed[1]->error().retryable());
    script(*other, "ROLLBACK");
    EXPECT_TRUE(*place(all, {order("n-2")})[0]);
    EXPECT_EQ(count("orders"), "4");
}

TEST_F(OrderWriterPgTest, WritersThatWantTheSameNumbersDoNotBlockEachOther) {
    auto& one_way = writer({.batches_max = 2, .orders_max = 16});
    auto& other_way = writer({.batches_max = 2, .orders_max = 16});
    for (int round = 0; round < 20; ++round) {
        auto forth = orders(round * 64, round * 64 + 63);
        auto back = orders(round * 64, round * 64 + 63);
        std::ranges::reverse(back);
        const auto a = ask(one_way, forth);
        const auto b = ask(other_way, back);
        finish(a);
        finish(b);
        for (std::size_t i = 0; i < forth.size(); ++i) {
            const auto& ours = *(*a)[i];
            const auto& theirs = *(*b)[forth.size() - 1 - i];
            ASSERT_NE(ours.has_value(), theirs.has_value());
            ASSERT_EQ((ours ? theirs : ours).error().code(), Code::conflict);
        }
    }
    EXPECT_EQ(
        one("SELECT deadlocks::text FROM pg_stat_database WHERE datname = current_database()"), "0"
    );
}

TEST_F(OrderWriterPgTest, WhoGivesUpWhileWaitingIsNotWrittenAndWhoIsBeingWrittenMayBe) {
    auto& all = writer({.batches_max = 1});
    const auto other = connect();
    script(*other, "BEGIN; LOCK TABLE orders");
    const auto writing = ask(all, {order("n-1")});
    const auto patient = ask(all, {order("n-0")});
    wait_for_blocked("1");
    const auto impatient = ask(all, {order("n-2")}, Deadline::in(50ms));
    finish(impatient);
    ASSERT_FALSE(*(*impatient)[0]);
    EXPECT_EQ((*impatient)[0]->error().code(), Code::unavailable);
    EXPECT_FALSE((*writing)[0]);
    const auto behind = ask(all, {order("n-4")});
    script(*other, "COMMIT");
    EXPECT_TRUE(*finish(writing)[0]);
    EXPECT_TRUE(*finish(patient)[0]);
    EXPECT_TRUE(*finish(behind)[0]);
    EXPECT_TRUE(*place(all, {order("n-3")})[0]);
    EXPECT_EQ(count("orders WHERE order_number = 'n-2'"), "0");
}

TEST_F(OrderWriterPgTest, WhoCannotWaitSoLongDoesNotEndTheTimeOfTheOthersInItsBatch) {
    auto& all = writer({.batches_max = 1});
    const auto hold = [&](pg::Connection& session, const std::string& number) {
        script(session, "BEGIN");
        std::vector<NewOrder> held{with_event(order(number))};
        must(wait(insert_orders(session, held, soon())));
    };
    const auto one = connect();
    const auto other = connect();
    hold(*one, "n-0");
    hold(*other, "n-2");
    const auto before = ask(all, {order("n-0")});
    wait_for_blocked("1");
    const auto impatient = ask(all, {order("n-1")}, Deadline::in(500ms));
    const auto patient = ask(all, {order("n-2")});
    script(*one, "ROLLBACK");
    EXPECT_TRUE(*finish(before)[0]);
    EXPECT_FALSE(*finish(impatient)[0]) << "it is in a batch with the one whose number is held";
    wait_for_blocked("1");
    script(*other, "ROLLBACK");
    EXPECT_TRUE(*finish(patient)[0]);
}

TEST_F(OrderWriterPgTest, AnOrderThatIsHeldUpTooLongIsSurelyNotWrittenAndTheNextIsPlaced) {
    auto& all = writer({.batches_max = 1});
    const auto other = connect();
    script(*other, "BEGIN; LOCK TABLE orders");
    const auto late = ask(all, {order("n-1")}, Deadline::in(400ms));
    ASSERT_FALSE(*finish(late)[0]);
    EXPECT_EQ((*late)[0]->error().code(), Code::unavailable) << "the server ended it";
    script(*other, "COMMIT");
    EXPECT_TRUE(*place(all, {order("n-1")})[0]);
}

// The server ends statements that take too long, but no commit.
TEST_F(OrderWriterPgTest, ACommitThatDoesNotEndInTimeIsUnknownAndTheNextOrderIsPlaced) {
    hold_commits();
    auto& all = writer({.batches_max = 1});
    const auto other = connect();
    script(*other, "BEGIN; SELECT pg_advisory_xact_lock(1)");
    const auto late = ask(all, {order("n-1")}, Deadline::in(300ms));
    ASSERT_FALSE(*finish(late)[0]);
    EXPECT_EQ((*late)[0]->error().code(), Code::timed_out);
    script(*other, "COMMIT");
    EXPECT_TRUE(*place(all, {order("n-2")})[0]);
}

TEST_F(OrderWriterPgTest, MoreThanMayWaitAreRefusedAndTheOthersArePlaced) {
    auto& all = writer({.batches_max = 1, .orders_max = 1, .waiting_max = 3});
    const auto placed = place(all, orders(1, 10));
    const auto fine = std::ranges::count_if(placed, [](const auto& p) { return p->has_value(); });
    EXPECT_EQ(fine, 3) << "all ask in the same moment";
    EXPECT_EQ(placed[9]->error().code(), Code::overloaded);
    EXPECT_EQ(count("orders"), "3");
    EXPECT_TRUE(*place(all, {order("n-10")})[0]);
}

TEST_F(OrderWriterPgTest, OrdersThatWaitForASessionOrForTheDatabaseAreCounted) {
    auto& all = writer({.batches_max = 1, .orders_max = 2}, {}, {.connections_max = 1});
    EXPECT_EQ(all.unanswered(), 0U);
    {
        std::optional<Result<pg::Pool::Lease>> held;
        const auto take = [&]() -> Task<> {
            held.emplace(co_await pools_.back()->acquire(soon()));
        };
        wait(take());
        const auto first = ask(all, orders(1, 5));
        run_until([&] { return all.unanswered() == 5; });
        held.reset();
        finish(first);
    }
    const auto other = connect();
    script(*other, "BEGIN; LOCK TABLE orders");
    const auto second = ask(all, orders(11, 15));
    wait_for_blocked("1");
    EXPECT_EQ(all.unanswered(), 5U) << "two are being written, three wait";
    script(*other, "COMMIT");
    finish(second);
    EXPECT_EQ(all.unanswered(), 0U);
    const auto late = ask(all, {order("n-20")}, Deadline::in(0ms));
    EXPECT_FALSE(*finish(late)[0]);
    EXPECT_EQ(all.unanswered(), 0U) << "who gave up waits no longer";
}

TEST_F(OrderWriterPgTest, AnOrderWhoseEventCouldNeverBeSentIsRefusedBeforeItWaits) {
    const auto bytes = record_bytes(with_event(order("n-1")));
    std::size_t bytes_max = bytes - 1;
    auto& all = writer({.record_bytes_max = [&] { return bytes_max; }});
    const auto refused = place(all, {order("n-1")});
    EXPECT_EQ(refused[0]->error().code(), Code::rejected);
    EXPECT_EQ(refused[0]->error().origin(), kRecordTooLarge);
    EXPECT_EQ(count("orders"), "0");
    ++bytes_max;  // as when the topic's own limit becomes known
    EXPECT_TRUE(*place(all, {order("n-1")})[0]);
}

TEST_F(OrderWriterPgTest, WhoCannotWaitSoLongForASessionDoesNotEndTheWaitOfTheOthers) {
    auto& all = writer({.batches_max = 1}, {}, {.connections_max = 1});
    std::optional<Result<pg::Pool::Lease>> held;
    const auto take = [&]() -> Task<> { held.emplace(co_await pools_.back()->acquire(soon())); };
    wait(take());
    const auto impatient = ask(all, {order("n-1")}, Deadline::in(50ms));
    const auto patient = ask(all, {order("n-2")});
    EXPECT_FALSE(*finish(impatient)[0]);
    held.reset();
    EXPECT_TRUE(*finish(patient)[0]) << (*patient)[0]->error().what();
}

TEST_F(OrderWriterPgTest, MoreBytesThanMayWaitAreRefusedAndTheOthersArePlaced) {
    const auto bytes = with_event(order("n-10")).event_data.size();
    auto& all = writer({.batches_max = 1, .orders_max = 1, .waiting_bytes_max = 3 * bytes});
    const auto placed = place(all, orders(1, 4));
    for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(*placed[i]) << "all ask in the same moment";
    EXPECT_EQ(placed[3]->error().code(), Code::overloaded);
    for (const auto& answer : place(all, orders(5, 7)))
        EXPECT_TRUE(*answer) << answer->error().what();
    const auto other = connect();
    script(*other, "BEGIN; LOCK TABLE orders");
    const auto late = ask(all, orders(10, 12), Deadline::in(50ms));
    for (const auto& answer : finish(late)) EXPECT_FALSE(*answer);
    script(*other, "COMMIT");
    for (const auto& answer : place(all, orders(20, 21)))
        EXPECT_TRUE(*answer) << "who left made room";
}

TEST_F(OrderWriterPgTest, ADatabaseThatCannotBeReachedFailsAllWhoWaitAndHarmsNobodyLater) {
    pools_.push_back(std::make_unique<pg::Pool>(
        io_.get_executor(), "host=127.0.0.1 port=1", "", pg::Pool::Limits{}
    ));
    writers_.push_back(std::make_unique<OrderWriter>(
        io_.get_executor(), *pools_.back(), metrics_, nullptr, OrderWriter::Limits{}
    ));
    for (int round = 0; round < 2; ++round)
        for (const auto& answer : place(*writers_.back(), orders(1, 5)))
            EXPECT_EQ(answer->error().code(), Code::unavailable);
}

TEST_F(OrderWriterPgTest, ASessionThatTheServerEndsFailsItsBatchAndNotTheNext) {
    auto& all = writer({.batches_max = 1}, "SET application_name = 'mine'");
    const auto other = connect();
    script(*other, "BEGIN; LOCK TABLE orders");
    const auto broken = ask(all, orders(1, 3));
    wait_for_blocked("1");
    one("SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE application_name = "
        "'mine'"
        " AND datname = current_database()");
    for (const auto& answer : finish(broken)) EXPECT_TRUE(answer->error().retryable());
    script(*other, "COMMIT");
    for (const auto& answer : place(all, orders(1, 3))) EXPECT_TRUE(*answer);
    EXPECT_EQ(count("orders"), "3");
}

// Tried again one by one they would hear that they were not written.
TEST_F(OrderWriterPgTest, ASessionThatEndsInTheCommitLeavesTheWholeBatchUnknown) {
    hold_commits();
    auto& all = writer({.batches_max = 1}, "SET application_name = 'mine'");
    const auto other = connect();
    script(*other, "BEGIN; SELECT pg_advisory_xact_lock(1)");
    const auto unknown = ask(all, orders(1, 3));
    wait_for_blocked("1");
    one("SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE application_name = "
        "'mine'"
        " AND datname = current_database()");
    for (const auto& answer : finish(unknown)) {
        ASSERT_FALSE(*answer);
        EXPECT_EQ(answer->error().code(), Code::timed_out) << answer->error().what();
    }
    script(*other, "COMMIT");
}

TEST_F(OrderWriterPgTest, StoppingBreaksOffWhatIsBeingWrittenAndAnswersAllWhoWait) {
    auto& all = writer({.batches_max = 1, .orders_max = 1});
    const auto other = connect();
    script(*other, "BEGIN; LOCK TABLE orders");
    const auto abandoned = ask(all, orders(1, 3));
    wait_for_blocked("1");
    const auto began = Deadline::Clock::now();
    wait(all.stop());
    for (const auto& answer : finish(abandoned)) EXPECT_FALSE(*answer);
    EXPECT_FALSE(*place(all, {order("n-4")})[0]);
    EXPECT_LT(Deadline::Clock::now() - began, tests::kPatience / 2);
    script(*other, "COMMIT");
}

TEST_F(OrderWriterPgTest, StoppingAnswersAlsoThoseWhoWaitToBeTriedAlone) {
    auto& all = writer({.batches_max = 1});
    const auto other = connect();
    const auto held = with_event(order("n-2"));
    script(*other, "BEGIN");
    std::vector<NewOrder> first{held};
    must(wait(insert_orders(*other, first, soon())));
    auto wanted = orders(1, 3);
    wanted[0].customer_id.assign(1, '\0');  // refused before the server waits for the number
    const auto abandoned = ask(all, wanted);
    wait_for_blocked("1");
    const auto began = Deadline::Clock::now();
    wait(all.stop());
    for (const auto& answer : finish(abandoned)) EXPECT_FALSE(*answer);
    EXPECT_LT(Deadline::Clock::now() - began, tests::kPatience / 2);
    script(*other, "ROLLBACK");
}

TEST_F(OrderWriterPgTest, AnEventBelongsToTheTraceOfItsRequestAndToNoOther) {
    auto& the = writer({});
    const std::string parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const auto context = telemetry::parse_traceparent(parent);
    ASSERT_TRUE(context);
    const auto place = [&](const std::string& number, std::optional<telemetry::Trace> trace) {
        must(wait(the.place(order(number), soon(), std::move(trace))));
    };
    place("n-1", telemetry::Trace{*context, "a=\"1\\"});
    place("n-2", telemetry::Trace{*context, ""});
    place("n-3", std::nullopt);
    EXPECT_EQ(
        rows("SELECT coalesce(headers::text, 'none') FROM txstream.outbox ORDER BY id"),
        (std::vector<std::string>{
            R"({"traceparent":")" + parent + R"(","tracestate":"a=\"1\\"})",
            R"({"traceparent":")" + parent + R"("})",
            "none"
        })
    );
}

struct Kept final : telemetry::SpanSink {
    void take(telemetry::Span span) override { spans.push_back(std::move(span)); }
    std::vector<telemetry::Span> spans;
};

TEST_F(OrderWriterPgTest, ABatchHasOneSpanWithLinksToTheRequestsThatAreSampled) {
    Kept sink;
    const telemetry::Tracer tracer(telemetry::Sampler(0, true), sink);
    pg::Pool pool(io_.get_executor(), database_.conninfo(), "", {});
    OrderWriter the(
        io_.get_executor(), pool, metrics_, nullptr, {.batches_max = 1}, {&tracer, "the database"}
    );
    int answered = 0;
    // The first finds a free place, and the others go together.
    for (int i = 0; i < 5; ++i) {
        const std::uint8_t flags = i % 2 == 0 ? telemetry::TraceContext::kSampled : 0;
        const telemetry::TraceContext context{{1, 2}, {std::uint64_t(i) + 1}, flags};
        tests::start(
            io_,
            the.place(order("n-" + std::to_string(i)), soon(), telemetry::Trace{context, ""}),
            [&](const std::exception_ptr&, const Result<Order>&) { ++answered; }
        );
    }
    run_until([&] { return answered == 5; });
    wait(the.stop());
    std::vector<std::uint64_t> linked;
    std::int64_t orders = 0;
    for (const auto& span : sink.spans) {
        for (const auto& link : span.links) linked.push_back(link.context.span_id.value);
        for (const auto& [name, value] : span.attributes) {
            if (name == "txstream.batch.orders") orders += std::get<std::int64_t>(value);
        }
        EXPECT_FALSE(span.is_error);
    }
    EXPECT_EQ(linked, (std::vector<std::uint64_t>{1, 3, 5}));
    EXPECT_LT(sink.spans.size(), 5U);
    EXPECT_EQ(orders, 5);
}

TEST_F(OrderWriterPgTest, ABatchThatFailedIsAnErrorWithItsState) {
    Kept sink;
    const telemetry::Tracer tracer(telemetry::Sampler(0, true), sink);
    pg::Pool pool(io_.get_executor(), database_.conninfo(), "", {});
    OrderWriter the(io_.get_executor(), pool, metrics_, nullptr, {}, {&tracer, "the database"});
    script(*superuser_, "ALTER TABLE txstream.outbox RENAME TO away");
    const telemetry::Trace trace{{{1, 2}, {3}, telemetry::TraceContext::kSampled}, ""};
    EXPECT_FALSE(wait(the.place(order("n-1"), soon(), trace)));
    wait(the.stop());
    ASSERT_EQ(sink.spans.size(), 1U);
    EXPECT_TRUE(sink.spans[0].is_error);
    EXPECT_EQ(std::get<std::string>(sink.spans[0].attributes.back().value), "42P01");
}

}  // namespace
}  // namespace txstream::orders
