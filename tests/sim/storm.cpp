#include "tests/sim/storm.hpp"

#include "base/assert.hpp"
#include "relay/worker.hpp"
#include "runtime/task_group.hpp"

#include <algorithm>
#include <array>
#include <ranges>
#include <set>

namespace txstream::sim {

namespace {

constexpr int kWriters = 3;
constexpr int kStrikes = 6;
// More than what is in flight takes where nothing goes wrong.
constexpr Clock::duration kLeaveMax = 3s;
// More than a renewal of leases.
constexpr Clock::duration kRest = 500ms;

relay::WorkerOptions options_of(Random& random) {
    relay::WorkerOptions options;
    options.topic = kTopic;
    options.seed = random.next();
    options.gate = {
        {.exponential = true, .base_delay = 10ms, .max_delay = 100ms, .multiplier = 2.0},
        500ms,
        200ms
    };
    options.delivery.attempts_max = 2;
    if (random.roll(3) == 0)
        options.delivery.exposed_max = static_cast<std::size_t>(16 + random.roll(16));
    options.delivery.lane.pages_in_flight_max = static_cast<std::size_t>(1 + random.roll(4));
    static constexpr std::array<std::size_t, 4> kBytes{4'000, 16'000, 400'000, 400'000};
    options.delivery.in_flight_bytes_max = kBytes[static_cast<std::size_t>(random.roll(4))];
    options.delivery.refused_retry_delay = 15ms;
    options.delivery.topics.retry_delay = 150ms;
    options.delivery.topics.patience = std::chrono::milliseconds(500 + random.roll(1000));
    options.delivery.topics.careful_for = std::chrono::milliseconds(100 + random.roll(400));
    options.delivery.topics.careful_batch_max = 8;
    options.delivery.park_retry_delay = 20ms;
    options.delivery.park_retry_delay_max = 200ms;
    options.delivery.silence_max = 150ms;
    options.delivery.reports_grace = 25ms;
    options.replay.look_interval = 40ms;
    options.replay.unwritten_pause = 5ms;
    options.replay.failure_pause = 20ms;
    options.replay.topic_retry_delay = 150ms;
    options.replay.revived_max = static_cast<std::size_t>(1 + random.roll(8));
    options.replay.reports_grace = 25ms;
    options.replay.careful_max = 8;
    options.replay.attempts_max = 2;
    options.replay.letters = {static_cast<std::size_t>(1 + random.roll(8)), 2'500, kEventBytesMax};
    options.replay.keys_max = static_cast<std::size_t>(1 + random.roll(4));
    options.limits.lease = 1s;
    options.limits.page = {static_cast<std::size_t>(1 + random.roll(6)), 2'500, kEventBytesMax};
    options.limits.poll_min = 4ms;
    options.limits.poll_max = 50ms;
    options.limits.acknowledge_interval = 10ms;
    options.limits.pauses_interval = 150ms;
    options.limits.claim_interval = 140ms;
    options.limits.expect_interval = 20ms;
    options.limits.unowned_patience = 300ms;
    options.limits.leave_patience = 300ms;
    options.limits.stay_times = 2;
    options.limits.statement_timeout = 250ms;
    return options;
}

}  // namespace

/// A process with one worker or two.
class Storm::Relay {
public:
    Relay(Storm& storm, Process& process, std::size_t workers)
        : storm_(storm),
          process_(process),
          breaker_(
              {.failure_threshold = 3, .success_threshold = 2, .reset_timeout = 120ms}, nullptr
          ),
          loads_(workers),
          tasks_(process.executor()) {
        relay::Ports ports;
        ports.source = [&](auto) { return make_source(storm_.postgres_, process_); };
        ports.keeper = [&](auto, std::string owner) {
            return make_keeper(storm_.postgres_, process_, std::move(owner));
        };
        for (std::size_t i = 0; i < workers; ++i) {
            const auto& owner = owners_.emplace_back(fmt::format("{}/{}", process_.name, i + 1));
            ports.publisher = [this, owner](
                                  auto, relay::Path path, relay::PublisherEvents events
                              ) -> Result<std::unique_ptr<relay::Publisher>> {
                return make_publisher(
                    storm_.kafka_, process_, owner, path, known_, std::move(events)
                );
            };
            auto options = options_of(storm_.world_.random);
            options.number = i;
            options.skip = storm_.skip_;
            // Two relays with one worker each must be able to own all.
            options.limits.lanes_max = kLanes / 2 + (workers == 1 ? kLanes / 2 : 0);
            workers_.push_back(std::make_unique<relay::Worker>(
                process_.executor(),
                owner,
                ports,
                breaker_,
                blockages_,
                metrics(),
                std::move(options),
                loads_[i],
                [](auto) {}
            ));
            tasks_.spawn(workers_.back()->run());
        }
    }
    ~Relay() { TXS_ASSERT(has_ended(), "a relay ends before its world"); }
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;

    Process& process() { return process_; }
    const std::vector<std::string>& owners() const { return owners_; }
    bool is_dead() const { return process_.is_dead(); }
    bool is_stopping() const { return is_stopping_; }
    bool has_ended() const { return tasks_.size() == 0; }

    void stop(Clock::duration limit) {
        if (std::exchange(is_stopping_, true)) return;
        storm_.world_.note("{} is asked to stop within {} ms", process_.name, limit / 1ms);
        asio::post(process_.executor(), [this, deadline = Deadline::in(limit)] {
            for (auto& worker : workers_) worker->stop(deadline);
        });
    }
    /// kill -9: from here on nothing of it reaches the world. What runs on only takes it down.
    void kill() {
        storm_.world_.note("{} is killed", process_.name);
        process_.state = Process::State::dead;
        storm_.checks_.incident("a relay is killed");
        storm_.postgres_.forget(process_);
        for (auto& worker : workers_) worker->stop(Deadline::in(0s));
        unwind();
    }
    /// Of a dead one, as far as it goes without time.
    void unwind() {
        while (process_.loop.poll_one() > 0) {
        }
    }
    std::optional<std::int64_t> dies_after{};    ///< so many handlers more
    std::optional<std::int64_t> pauses_after{};  ///< the same

private:
    // Counting costs more than what is simulated; nobody looks at it here.
    static const relay::Metrics& metrics() {
        static telemetry::Registry registry;
        static const relay::Metrics all(registry);
        return all;
    }

    Storm& storm_;
    Process& process_;
    std::shared_ptr<Kafka::Known> known_ = std::make_shared<Kafka::Known>();
    relay::SharedBreaker breaker_;
    relay::Blockages blockages_{nullptr};
    std::vector<std::string> owners_;
    std::vector<relay::Load> loads_;
    std::vector<std::unique_ptr<relay::Worker>> workers_;
    runtime::TaskGroup tasks_;
    bool is_stopping_ = false;
};

Storm::Kinds Storm::kinds_of(std::uint64_t seed) {
    switch (seed % 10) {
        case 3:
            return {.database = true, .refusals = true, .topics = true, .usual_topic = true};
        case 4:
            return {.database = true};
        case 5:
            return {.brokers = true};
        case 6:
            return {.processes = true};
        case 7:
            return {.refusals = true};
        case 8:
            return {.refusals = true, .topics = true};
        case 9:
            return seed % 50 == 9 ? Kinds() : Kinds{.database = true, .processes = true};
        default:
            return {true, true, true, true, true, seed % 10 == 2};
    }
}

Storm::Storm(Simulation::Options options)
    : world_(options),
      kinds_(kinds_of(options.seed)),
      postgres_(world_, kLanes),
      kafka_(world_),
      checks_(world_, postgres_, kafka_),
      outside_(world_.start("outside")),
      people_(std::make_unique<runtime::TaskGroup>(outside_.executor())) {
    auto& random = world_.random;
    keys_ = random.roll(2) == 0 ? 10 : 4;
    side_share_ = random.roll(2) == 0 ? 20 : 4;
    if (kinds_.database)
        postgres_.faults = {
            .lost_before = 0.004,
            .lost_after = 0.006,
            .times_out = 0.004,
            .slow = random.roll(3) == 0 ? 0.03 : 0.006,
            .late = random.roll(3) == 0 ? 0.1 : 0.0,
            .silent = random.roll(2) == 0 ? 0.5 : 0.0
        };
    if (kinds_.brokers)
        kafka_.faults = {
            .lost_request = 0.02,
            .lost_answer = 0.03,
            .late = 0.02,
            .fatal = 0.01,
            .transient = 0.01
        };
    if (kinds_.topics) kafka_.topic("side").exists = random.roll(2) == 0;
    kafka_.topic("small").bytes_max = kEnvelopeBytes + 200;
    kafka_.topic("small").tells_limit = random.roll(2) == 0;
    if (random.roll(4) == 0) kafka_.limits.waiting_max = 400ms;
    world_.after_handler = [this](Process& process) {
        for (auto& relay : relays_) {
            if (&relay->process() != &process || relay->is_dead()) continue;
            if (relay->pauses_after && --*relay->pauses_after <= 0) pause(*relay);
            if (relay->dies_after && --*relay->dies_after <= 0) relay->kill();
        }
    };
    // Half of the storms that have something to decide about.
    kinds_.operators = (kinds_.refusals || kinds_.topics) && options.seed / 10 % 2 == 0;
    if (kinds_.operators) checks_.expect_decisions();
    kinds_.pauses = options.seed / 20 % 3 == 0;
    kinds_.skips = options.seed / 10 % 3 == 1;
    if (kinds_.skips) skip_ = relay::SkipPolicy({"side"}, {kSkippedType});
    checks_.expect_skips(skip_);
    if (!kinds_.database && !kinds_.processes) checks_.expect_pauses();
    if (kinds_.refusals && !kinds_.database && !kinds_.brokers && !kinds_.processes)
        checks_.expect_punctuality();
}

Storm::~Storm() = default;

void Storm::run() {
    start_relay();
    start_relay();
    for (int i = 0; i < kWriters; ++i) people_->spawn(write());
    people_->spawn(trouble());
    if (kinds_.operators) people_->spawn(operate());
    if (kinds_.pauses) people_->spawn(pause_and_resume());
    if (!world_.until(60s, [&] { return people_->size() == 0; }))
        world_.violated("the storm does not end");
    heal();
    if (kinds_.operators) people_->spawn(decide_all());
    if (!world_.until(kProgressMax, [&] { return checks_.is_settled(); }))
        world_.violated("events are not delivered although all is well");
    is_over_ = true;
    (void)world_.until(kRest, [&] { return people_->size() == 0; });
    if (!world_.until(kBalanceMax, [&] { return is_balanced(); }))
        world_.violated("some have more lanes than others although all is well");
    // A relay that is stopped before it knows that its session is gone leaves its lanes to their
    // lease.
    (void)world_.until(kRest, [] { return false; });
    std::set<std::string> stopped_in_peace;
    for (const auto& relay : relays_) {
        if (!relay->is_dead() && !relay->is_stopping())
            stopped_in_peace.insert(relay->process().name);
    }
    stop_relays();
    checks_.finish();
    for (const auto& [owner, lease] : postgres_.tables().leases) {
        if (stopped_in_peace.contains(owner.substr(0, owner.find('/'))))
            world_.violated("{} still has its lanes and has ended", owner);
    }
}

Storm::Relay& Storm::start_relay() {
    auto& process = world_.start(fmt::format("relay{}", ++relays_started_));
    world_.note("{} starts", process.name);
    const auto workers = static_cast<std::size_t>(1 + world_.random.roll(2));
    return *relays_.emplace_back(std::make_unique<Relay>(*this, process, workers));
}

Storm::Relay* Storm::any_relay() {
    std::vector<Relay*> alive;
    for (auto& relay : relays_) {
        if (!relay->is_dead() && !relay->is_stopping() &&
            relay->process().state == Process::State::running)
            alive.push_back(relay.get());
    }
    if (alive.empty()) return nullptr;
    return alive[static_cast<std::size_t>(world_.random.roll(static_cast<std::int64_t>(alive.size())
    ))];
}

void Storm::stop_relays() {
    for (auto& relay : relays_) {
        if (!relay->is_dead()) relay->stop(3s);
    }
    const auto have_ended = [&] {
        return std::ranges::all_of(relays_, [](const auto& relay) {
            if (relay->is_dead()) relay->unwind();
            return relay->has_ended();
        });
    };
    if (!world_.until(30s, have_ended)) {
        world_.violated("a relay does not stop");
        TXS_ASSERT(false, "a relay does not stop");
    }
}

// --- trouble

Task<> Storm::trouble() {
    for (int i = 0; i < kStrikes; ++i) {
        co_await wait(outside_.executor(), world_.random.upto(350ms));
        // Ids that nobody leaves a trace of: the relays' snapshots know them, the log does not.
        if (kinds_.database && world_.random.roll(8) == 0) {
            is_quiet_ = true;
            for (auto left = 1 + world_.random.roll(40); left > 0; --left) postgres_.burn_id();
            co_await wait(
                outside_.executor(), world_.random.roll(2) == 0 ? 60ms : world_.random.upto(5ms)
            );
            postgres_.crash(world_.now() + world_.random.upto(100ms));
            is_quiet_ = false;
        } else {
            strike();
        }
    }
}

void Storm::change_members() {
    int alive = 0;
    for (const auto& relay : relays_) alive += relay->is_dead() || relay->is_stopping() ? 0 : 1;
    auto* const relay = any_relay();
    if (alive < kRelaysMax && (alive < 2 || relay == nullptr || world_.random.roll(2) == 0)) {
        start_relay();
    } else if (relay != nullptr) {
        // What was published behind events that wait is not written, and comes again.
        if (!postgres_.tables().pauses.empty()) checks_.incident("a relay leaves during a pause");
        relay->stop(kLeaveMax);
    }
}

bool Storm::is_balanced() const {
    std::map<std::int64_t, std::size_t> counts;
    for (const auto& relay : relays_) {
        if (relay->is_dead() || relay->is_stopping()) continue;
        for (const auto& owner : relay->owners()) {
            const auto found = postgres_.tables().leases.find(owner);
            if (found == postgres_.tables().leases.end()) return false;
            counts[found->second.number] = 0;
        }
    }
    for (const auto& lane : postgres_.tables().lanes) {
        const auto found = counts.find(lane.lease);
        if (found == counts.end()) return false;
        ++found->second;
    }
    const auto [least, most] = std::ranges::minmax(counts | std::views::values);
    return most - least <= 1;
}

void Storm::strike() {
    if (world_.random.roll(4) == 0) return change_members();
    switch (world_.random.roll(5)) {
        case 0:
            if (kinds_.database) strike_database();
            break;
        case 1:
            if (kinds_.brokers) strike_brokers();
            break;
        case 2:
            if (kinds_.processes) strike_processes();
            break;
        case 3:
            if (kinds_.database && kinds_.brokers) strike_both();
            break;
        default:
            if (kinds_.topics) strike_topics();
            break;
    }
}

void Storm::strike_database() {
    auto& random = world_.random;
    auto* const relay = any_relay();
    switch (random.roll(5)) {
        case 0:
            return postgres_.crash(world_.now() + random.upto(300ms));
        case 1:
            return postgres_.end_sessions(world_.now() + random.upto(200ms));
        case 2:
            return postgres_.demote(world_.now() + random.upto(300ms));
        case 3:
            world_.note("somebody locks the tables");
            checks_.incident("a lock");
            return postgres_.lock(world_.now() + random.upto(random.roll(3) == 0 ? 2500ms : 500ms));
        default:
            if (relay == nullptr) return;
            world_.note("{} is cut off from PostgreSQL", relay->process().name);
            checks_.incident("cut off");
            return postgres_.cut_off(relay->process(), world_.now() + random.upto(1500ms));
    }
}

void Storm::strike_brokers() {
    auto& random = world_.random;
    auto* const relay = any_relay();
    switch (random.roll(3)) {
        case 0:
            world_.note("Kafka vanishes");
            checks_.incident("Kafka vanishes");
            return kafka_.vanish(world_.now() + random.upto(1s));
        case 1:
            world_.note("a partition has no leader");
            checks_.incident("no leader");
            kafka_.topic(kTopic).leader_back[static_cast<std::size_t>(random.roll(2))] =
                world_.now() + random.upto(random.roll(3) == 0 ? 2500ms : 500ms);
            return;
        default:
            if (relay == nullptr) return;
            world_.note("{} is cut off from Kafka", relay->process().name);
            checks_.incident("cut off");
            return kafka_.cut_off(relay->process(), world_.now() + random.upto(1s));
    }
}

void Storm::strike_processes() {
    auto& random = world_.random;
    auto* const relay = any_relay();
    if (relay == nullptr) {
        start_relay();
        return;
    }
    switch (random.roll(5)) {
        case 0:
        case 1:
            // In the middle of whatever it does then.
            relay->dies_after = random.roll(150);
            break;
        case 2:
            relay->pauses_after = random.roll(20);
            break;
        case 3:
            checks_.incident("a relay is stopped");
            relay->stop(random.upto(400ms));
            break;
        default:
            break;
    }
    if (random.roll(2) == 0) start_relay();
}

void Storm::pause(Relay& relay) {
    auto& random = world_.random;
    relay.pauses_after.reset();
    world_.note("{} stands still", relay.process().name);
    checks_.incident("a relay stands still");
    relay.process().state = Process::State::paused;
    // Shorter than a lease, about as long, longer.
    static constexpr std::array<Clock::duration, 3> kPauses{300ms, 1100ms, 2500ms};
    const auto most = kPauses[static_cast<std::size_t>(random.roll(3))];
    world_.after(random.between(most / 3, most), [this, &relay] {
        if (relay.is_dead()) return;
        world_.note("{} goes on", relay.process().name);
        checks_.incident("a relay goes on");
        relay.process().state = Process::State::running;
        relay.process().woke_at = world_.now();
    });
}

// Leases end, with records queued that leave when Kafka is back.
void Storm::strike_both() {
    auto& random = world_.random;
    const auto& limits = postgres_.limits;
    world_.note("somebody locks the tables, and Kafka vanishes");
    checks_.incident("a lock, and Kafka vanishes");
    postgres_.lock(
        world_.now() + random.between(12 * limits.lock_timeout, 20 * limits.lock_timeout)
    );
    kafka_.vanish(world_.now() + random.between(9 * limits.lock_timeout, 13 * limits.lock_timeout));
}

void Storm::strike_topics() {
    const std::string name = kinds_.usual_topic && world_.random.roll(2) == 0 ? kTopic : "side";
    auto& topic = kafka_.topic(name);
    checks_.incident("a topic changes");
    if (world_.random.roll(2) == 0) {
        topic.exists = !topic.exists;
        world_.note("the topic {} {}", name, topic.exists ? "is made" : "is gone");
    } else {
        topic.is_allowed = !topic.is_allowed;
        world_.note("the topic {} is {}", name, topic.is_allowed ? "ours" : "forbidden");
    }
}

void Storm::heal() {
    world_.note("peace");
    postgres_.heal();
    kafka_.heal();
    int alive = 0;
    for (auto& relay : relays_) {
        if (relay->is_dead()) continue;
        relay->dies_after.reset();
        relay->pauses_after.reset();
        if (relay->process().state == Process::State::paused)
            relay->process().woke_at = world_.now();
        relay->process().state = Process::State::running;
        alive += relay->is_stopping() ? 0 : 1;
    }
    for (; alive < 2; ++alive) start_relay();
}

}  // namespace txstream::sim
