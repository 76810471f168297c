// The contract of the outbox's ports, of the simulation's model. contract_outbox_pgtest.cpp asks a
// server.

#include "tests/sim/contract_outbox.hpp"

#include "runtime/task_group.hpp"
#include "tests/sim/postgres.hpp"

#include <stdexcept>

namespace txstream::sim {
namespace {

class ModelWorld {
public:
    static constexpr std::int16_t kLanes = 6;

    ModelWorld() {
        postgres_.on_commit = [](const Row&) {};
        postgres_.on_park = [](EventSeq, const auto&) {};
        postgres_.on_discard = [](EventSeq) {};
        postgres_.on_move = [](const auto&) {};
        postgres_.on_give = [](const auto&) {};
        postgres_.on_claim = [](LaneId) {};
        postgres_.on_incident = [](std::string_view) {};
    }

    int begin() { return static_cast<int>(postgres_.begin()); }
    std::int64_t insert(int transaction, std::string key, std::string payload) {
        return postgres_
            .insert(
                transaction, {.key = std::move(key), .topic = {}, .payload = std::move(payload)}
            )
            .id;
    }
    void commit(int transaction) { EXPECT_TRUE(postgres_.commit(transaction)); }
    void roll_back(int transaction) { postgres_.roll_back(transaction); }
    void decide(std::int64_t id, bool discards) {
        postgres_.decide(EventSeq(id, postgres_.committed().at(id).xid), discards);
    }
    std::unique_ptr<relay::EventSource> source() {
        return opened(make_source(postgres_, process_));
    }
    std::unique_ptr<relay::LaneKeeper> keeper(std::string owner) {
        return opened(make_keeper(postgres_, process_, std::move(owner)));
    }

    template <class T>
    T run(Task<Result<T>> task) {
        std::optional<Result<T>> result;
        const auto keep = [&]() -> Task<> { result.emplace(co_await std::move(task)); };
        runtime::TaskGroup group(process_.executor());
        group.spawn(keep());
        if (!world_.until(60s, [&] { return group.size() == 0; }))
            throw std::runtime_error("the statement does not end");
        if (!*result) throw std::runtime_error(result->error().what());
        if constexpr (!std::is_void_v<T>) return std::move(**result);
    }

private:
    template <class Port>
    std::unique_ptr<Port> opened(std::unique_ptr<Port> port) {
        run(port->open(Deadline::in(1s)));
        return port;
    }

    Simulation world_{{.seed = 1, .keeps_schedule = false}};
    Postgres postgres_{world_, kLanes};
    Process& process_ = world_.start("test");
};

}  // namespace
}  // namespace txstream::sim

namespace txstream::tests {
INSTANTIATE_TYPED_TEST_SUITE_P(Model, OutboxContract, sim::ModelWorld);
}
