// The contract of the outbox's ports, of a server. contract_outbox_test.cpp asks the simulation's
// model.

#include "app/pg_ports.hpp"
#include "tests/sim/contract_outbox.hpp"
#include "tests/support/outbox_database.hpp"

namespace txstream::tests {
namespace {

class ServerWorld {
public:
    static constexpr std::int16_t kLanes = 32;

    ServerWorld() {
        must(wait(pg::migrate_up(*superuser_, {shipped_migrations("outbox")}, tests::soon())));
    }

    int begin() {
        writers_.push_back(database_.connect(io_));
        must(wait(writers_.back()->run_script("BEGIN", tests::soon())));
        return static_cast<int>(writers_.size()) - 1;
    }
    std::int64_t insert(int transaction, std::string key, std::string payload) {
        static constexpr pg::Statement kInsert{
            "txs_test_insert",
            "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload)"
            " VALUES ('Test', $1, 'Tested', $2::json) RETURNING id"
        };
        auto& session = *writers_.at(static_cast<std::size_t>(transaction));
        return must(wait(session.run(kInsert, pg::Params::of(key, payload), tests::soon())))
            .integer(0, 0);
    }
    void commit(int transaction) { end(transaction, "COMMIT"); }
    void roll_back(int transaction) { end(transaction, "ROLLBACK"); }
    void decide(std::int64_t id, bool discards) {
        const std::string state = discards ? "discarded" : "replaying";
        must(wait(superuser_->run_script(
            "UPDATE txstream.dead_letters SET decided = true, state = '" + state +
                "' WHERE id = " + std::to_string(id),
            tests::soon()
        )));
    }
    std::unique_ptr<relay::EventSource> source() {
        return opened(app::make_pg_event_source(io_.get_executor(), conninfo()));
    }
    std::unique_ptr<relay::LaneKeeper> keeper(std::string owner) {
        return opened(app::make_pg_lane_keeper(io_.get_executor(), conninfo(), std::move(owner)));
    }

    template <class T>
    T run(Task<Result<T>> task) {
        return must(wait(std::move(task)));
    }

private:
    template <class T>
    T wait(asio::awaitable<T> task) {
        return run_until_done(io_, [&] { return std::move(task); });
    }
    void end(int transaction, const std::string& how) {
        must(wait(writers_.at(static_cast<std::size_t>(transaction))->run_script(how, tests::soon())
        ));
    }
    pg::ConnInfo conninfo() const { return pg::ConnInfo(database_.conninfo()); }
    template <class Port>
    std::unique_ptr<Port> opened(std::unique_ptr<Port> port) {
        run(port->open(tests::soon()));
        return port;
    }

    TestDatabase database_;
    asio::io_context io_;
    std::unique_ptr<pg::Connection> superuser_ = database_.connect(io_);
    std::vector<std::unique_ptr<pg::Connection>> writers_;
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Server, OutboxContract, ServerWorld);

}  // namespace txstream::tests
