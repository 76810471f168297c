// The ports that PostgreSQL fills: sessions that the model's server answers.

#include "tests/sim/postgres.hpp"

#include <algorithm>
#include <variant>

namespace txstream::sim {

namespace {

/// One session, with at most one statement under way.
///
/// A statement travels, waits for its lock, takes effect on the server, and its answer travels
/// back. It takes effect whether its client still waits or not: once it is under way, only the
/// server's end stops it.
class Session : Postgres::Client {
public:
    Session(Postgres& postgres, Process& process) : postgres_(postgres), process_(process) {
        postgres_.enter(*this);
    }
    ~Session() override { postgres_.leave(*this); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    bool is_open() const { return is_open_; }

    Task<Result<>> open(Deadline deadline) {
        is_open_ = false;
        if (process_.is_dead()) co_return lost(Code::unavailable);
        const bool is_reachable = postgres_.is_reachable(process_);
        const auto pause = world().random.upto(postgres_.limits.execution_max);
        // What is down refuses at once; what is cut off is silent.
        const auto end = is_reachable || !postgres_.is_up() ? world().now() + pause : deadline.at();
        runtime::Timer timer(process_.executor(), std::min(end, deadline.at()));
        co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        if (process_.is_dead() || !postgres_.is_up()) co_return lost(Code::unavailable);
        if (!is_reachable || deadline.passed()) co_return lost(Code::timed_out);
        if (postgres_.is_standby()) co_return fail(Code::unavailable, "session is read-only");
        is_open_ = true;
        has_ended_ = false;
        life_ = postgres_.life();
        co_return Result<>();
    }

protected:
    enum class Kind : std::uint8_t { reads, writes };

    template <class Value>
    struct Call {
        explicit Call(const asio::any_io_executor& executor) : arrived(executor) {}
        void answer_with(Result<Value> value, bool breaks_connection = false) {
            answer = std::move(value);
            breaks = breaks_connection;
            arrived.cancel();
        }
        runtime::Timer arrived;
        std::optional<Result<Value>> answer;
        bool breaks = false;  ///< nothing comes through this connection any more
    };
    template <class Value>
    using CallOf = std::shared_ptr<Call<Value>>;

    /// Sends it. `effect` is what happens on the server.
    template <class Value>
    CallOf<Value> send(
        const char* what, Kind kind, std::function<Result<Value>(Postgres&)> effect
    ) {
        auto call = std::make_shared<Call<Value>>(process_.executor());
        if (!is_current() || life_ != postgres_.life()) return call;
        auto& random = world().random;
        const auto& faults = postgres_.faults;
        auto at = world().now() + random.upto(postgres_.limits.travel_max);
        const auto unlocked = kind == Kind::writes ? postgres_.unlocked() : at;
        const bool is_locked_out = unlocked > at + postgres_.limits.lock_timeout;
        at = std::max(at, std::min(unlocked, at + postgres_.limits.lock_timeout));
        at += random.upto(postgres_.limits.execution_max);
        if (random.chance(faults.slow)) {
            at += random.upto(faults.slow_max);
            postgres_.on_incident("slow");
        }
        const bool is_cancelled = is_locked_out || random.chance(faults.times_out);
        const bool is_lost_before = random.chance(faults.lost_before);
        const bool is_lost_after = random.chance(faults.lost_after);
        auto travel = random.upto(postgres_.limits.travel_max);
        if (random.chance(faults.late)) {
            travel += random.upto(faults.late_max);
            postgres_.on_incident("a late answer");
        }
        const Terms terms{what, life_, is_cancelled, is_lost_before, is_lost_after, travel};
        world().at(at, [&postgres = postgres_, &process = process_, call, terms, effect] {
            take_effect<Value>(postgres, process, call, terms, effect);
        });
        return call;
    }

    template <class Value>
    Task<Result<Value>> receive(CallOf<Value> call, Deadline deadline) {
        if (!is_current()) co_return lost(Code::unavailable);
        if (!call->answer) {
            waiting_ = &call->arrived;
            call->arrived.expires_at(deadline.at());
            co_await call->arrived.async_wait(asio::as_tuple(asio::use_awaitable));
            waiting_ = nullptr;
        }
        if (!is_current()) co_return lost(Code::unavailable);
        if (!call->answer) co_return lost(Code::timed_out);
        if (call->breaks) is_open_ = false;
        co_return std::move(*call->answer);
    }

    template <class Value>
    Task<Result<Value>> run(
        const char* what,
        Kind kind,
        Deadline deadline,
        std::function<Result<Value>(Postgres&)> effect
    ) {
        co_return co_await receive<Value>(send<Value>(what, kind, std::move(effect)), deadline);
    }

private:
    struct Terms {
        const char* what;
        std::uint64_t life;
        bool is_cancelled;
        bool is_lost_before;
        bool is_lost_after;
        Clock::duration travel;
    };

    template <class Value>
    static void take_effect(
        Postgres& postgres,
        Process& process,
        const CallOf<Value>& call,
        const Terms& terms,
        const std::function<Result<Value>(Postgres&)>& effect
    ) {
        if (postgres.life() != terms.life) return;
        if (terms.is_lost_before || terms.is_cancelled || terms.is_lost_after)
            postgres.on_incident(terms.what);
        if (terms.is_lost_before) {
            postgres.world().note("{}: connection lost before {}", process.name, terms.what);
            return call->answer_with(gone(), true);
        }
        if (terms.is_cancelled) {
            postgres.world().note("{}: {} is cancelled", process.name, terms.what);
            return call->answer_with(fail(Code::timed_out, "cancelled by the server", "57014"));
        }
        auto answer = std::make_shared<Result<Value>>(effect(postgres));
        if (terms.is_lost_after) {
            postgres.world().note("{}: connection lost after {}", process.name, terms.what);
            return call->answer_with(gone(), true);
        }
        postgres.world().after(terms.travel, [&postgres, &process, call, answer] {
            if (postgres.is_reachable(process)) call->answer_with(std::move(*answer));
        });
    }

    Simulation& world() { return postgres_.world(); }
    // As far as this side knows.
    bool is_current() const { return is_open_ && !process_.is_dead() && !has_ended_; }
    static tl::unexpected<Error> gone() {
        return fail(Code::unavailable, "the connection is gone");
    }
    tl::unexpected<Error> lost(Code code) {
        is_open_ = false;
        return code == Code::timed_out ? fail(code, "no answer in time") : gone();
    }
    const Process& process() const override { return process_; }
    void server_ended() override {
        has_ended_ = true;
        if (waiting_ != nullptr) waiting_->cancel();
    }

    Postgres& postgres_;
    Process& process_;
    runtime::Timer* waiting_ = nullptr;
    bool is_open_ = false;
    bool has_ended_ = false;  ///< the server, and it was heard of
    std::uint64_t life_ = 0;  ///< of the server, when it was opened
};

class Source final : public relay::EventSource, Session {
public:
    using Session::Session;

    Task<Result<>> open(Deadline deadline) override { return Session::open(deadline); }
    bool is_open() const override { return Session::is_open(); }

    Task<Result<outbox::Snapshot>> current_snapshot(Deadline deadline) override {
        return run<outbox::Snapshot>("the snapshot", Kind::reads, deadline, [](Postgres& postgres) {
            return postgres.snapshot();
        });
    }
    Task<Result<outbox::Events>> read_window(
        std::vector<LaneId> lanes,
        outbox::Snapshot cursor,
        outbox::Snapshot target,
        outbox::PageLimit limit,
        Deadline deadline
    ) override {
        return run<outbox::Events>("a poll", Kind::reads, deadline, [=](Postgres& postgres) {
            return page(postgres.window(lanes, cursor, target), limit);
        });
    }
    Task<Result<std::optional<EventSeq>>> first_id(
        outbox::Snapshot cursor, outbox::Snapshot target, std::chrono::milliseconds timeout
    ) override {
        using First = std::optional<EventSeq>;
        return run<First>("the first id", Kind::reads, Deadline::in(timeout), [=](Postgres& it) {
            return it.first_id(cursor, target);
        });
    }
    Task<Result<EventSeq>> highest_id(Deadline deadline) override {
        return run<EventSeq>("the highest id", Kind::reads, deadline, [](Postgres& postgres) {
            return postgres.highest_id();
        });
    }
    Result<> send_page(const outbox::PageQuery& query) override {
        page_ = send<outbox::Events>("a page", Kind::reads, [=](Postgres& postgres) {
            auto events = postgres.window(query.lanes, query.cursor, query.target);
            std::erase_if(events, [&](const auto& event) {
                const EventSeq id(event.id, event.xid);
                return id <= query.after || id > query.up_to;
            });
            return page(std::move(events), query.limit);
        });
        return {};
    }
    Task<Result<outbox::Events>> receive_page(Deadline deadline) override {
        return receive<outbox::Events>(std::move(page_), deadline);
    }

private:
    // As the statement of outbox/reader.cpp keeps to the limit.
    static outbox::Events page(
        std::vector<tests::FakeEvent> events, const outbox::PageLimit& limit
    ) {
        const bool by_sum = limit.count == outbox::PageLimit::Count::sum;
        const auto most = by_sum ? limit.event_bytes : limit.share();
        std::size_t bytes = 0;
        std::size_t rows = 0;
        while (rows < events.size() && rows < limit.rows && !(by_sum && bytes >= limit.bytes)) {
            auto& event = events[rows++];
            event.has_content = static_cast<std::size_t>(event.size) <= most;
            if (!event.has_content) event.payload.reset();
            bytes += outbox::kEventOverhead;
            if (event.has_content) bytes += static_cast<std::size_t>(event.size);
        }
        events.resize(rows);
        return tests::fake_events(events);
    }

    CallOf<outbox::Events> page_;
};

class Keeper final : public relay::LaneKeeper, Session {
public:
    Keeper(Postgres& postgres, Process& process, std::string owner)
        : Session(postgres, process), owner_{std::move(owner)} {}

    Task<Result<>> open(Deadline deadline) override {
        owner_.lease = 0;
        return Session::open(deadline);
    }
    bool is_open() const override { return Session::is_open(); }

    void want(outbox::Want want) override { owner_.want = want; }
    Task<Result<outbox::Shares>> shares(Deadline deadline) override {
        const auto& owner = owner_;
        return run<outbox::Shares>("a look", Kind::reads, deadline, [=](Postgres& it) {
            return it.shares(owner);
        });
    }
    Task<Result<>> enlist(std::chrono::milliseconds lease, Deadline deadline) override {
        using Number = std::int64_t;
        auto seen = owner_.lease;
        if (seen == 0) {
            TXS_CO_TRY(
                seen,
                co_await run<Number>(
                    "a look at the lease",
                    Kind::reads,
                    deadline,
                    [name = owner_.name](Postgres& it) { return it.lease_of(name); }
                )
            );
        }
        TXS_CO_TRY(
            const auto number,
            co_await run<Number>(
                "enlisting",
                Kind::writes,
                deadline,
                [=, owner = owner_](Postgres& it) { return it.enlist(owner, seen, lease); }
            )
        );
        owner_.lease = number;
        if (number == 0) co_return fail(Code::unavailable, "another session has taken the lease");
        co_return Result<>();
    }
    Task<Result<std::vector<LaneId>>> give(std::vector<outbox::Gift> gifts, Deadline deadline)
        override {
        using Lanes = std::vector<LaneId>;
        return run<Lanes>(
            "handing over",
            Kind::writes,
            deadline,
            [=, owner = owner_](Postgres& it) { return it.give(owner, gifts); }
        );
    }
    Task<Result<std::vector<outbox::ClaimedLane>>> claim(
        std::vector<LaneId> owned,
        std::size_t limit,
        std::chrono::milliseconds lease,
        Deadline deadline
    ) override {
        TXS_CO_CHECK(co_await enlist(lease, deadline));
        using Claimed = std::vector<outbox::ClaimedLane>;
        co_return co_await run<Claimed>(
            "a claim",
            Kind::writes,
            deadline,
            [=, owner = owner_](Postgres& it) { return it.claim(owner, owned, limit); }
        );
    }
    Task<Result<std::vector<LaneId>>> renew(
        std::vector<LaneId> lanes, std::chrono::milliseconds lease, Deadline deadline
    ) override {
        using Lanes = std::vector<LaneId>;
        return run<Lanes>("a renewal", Kind::writes, deadline, [=, owner = owner_](Postgres& it) {
            return it.renew(owner, lanes, lease);
        });
    }
    Task<Result<std::vector<LaneId>>> advance(
        std::vector<outbox::LaneProgress> lanes, std::vector<outbox::Publication>, Deadline deadline
    ) override {
        using Lanes = std::vector<LaneId>;
        return run<Lanes>("an advance", Kind::writes, deadline, [=, owner = owner_](Postgres& it) {
            return it.advance(owner, lanes);
        });
    }
    Task<Result<bool>> park(
        outbox::LaneProgress lane,
        std::vector<outbox::ParkedEvent> parked,
        outbox::Publication,
        outbox::LetterForm,
        Deadline deadline
    ) override {
        return run<bool>("parking", Kind::writes, deadline, [=, owner = owner_](Postgres& it) {
            return it.park(owner, lane, parked);
        });
    }
    Task<Result<outbox::Decisions>> decisions(
        std::vector<LaneId> lanes, std::size_t limit, Deadline deadline
    ) override {
        using outbox::Decisions;
        const auto& owner = owner_;
        return run<Decisions>("decisions", Kind::writes, deadline, [=](Postgres& it) {
            return it.decisions(owner, lanes, limit);
        });
    }
    Task<Result<outbox::Letters>> letters(
        std::vector<outbox::LaneKey> keys, outbox::LetterLimit limit, Deadline deadline
    ) override {
        return run<outbox::Letters>("letters", Kind::reads, deadline, [=](Postgres& it) {
            return it.letters(keys, limit);
        });
    }
    Task<Result<std::vector<LaneId>>> settle(
        std::vector<LaneId> lanes, std::vector<outbox::SettledLetter> letters, Deadline deadline
    ) override {
        using Lanes = std::vector<LaneId>;
        return run<Lanes>("settling", Kind::writes, deadline, [=, owner = owner_](Postgres& it) {
            return it.settle(owner, lanes, letters);
        });
    }
    Task<Result<std::vector<std::string>>> revive(
        std::vector<LaneId> lanes, outbox::Revival which, Deadline deadline
    ) override {
        using Topics = std::vector<std::string>;
        return run<Topics>("reviving", Kind::writes, deadline, [=, owner = owner_](Postgres& it) {
            return it.revive(owner, lanes, which);
        });
    }
    Task<Result<std::vector<outbox::Pause>>> pauses(Deadline deadline) override {
        using Pauses = std::vector<outbox::Pause>;
        return run<Pauses>("pauses", Kind::reads, deadline, [](Postgres& it) {
            return it.tables().pauses;
        });
    }
    Task<Result<>> release(Deadline deadline) override {
        using None = std::monostate;
        TXS_CO_CHECK(co_await run<None>(
            "giving back",
            Kind::writes,
            deadline,
            [owner = owner_.name](Postgres& it) {
                it.release(owner);
                return None();
            }
        ));
        co_return Result<>();
    }

private:
    Postgres::Owner owner_;
};

}  // namespace

std::unique_ptr<relay::EventSource> make_source(Postgres& postgres, Process& process) {
    return std::make_unique<Source>(postgres, process);
}

std::unique_ptr<relay::LaneKeeper> make_keeper(
    Postgres& postgres, Process& process, std::string owner
) {
    return std::make_unique<Keeper>(postgres, process, std::move(owner));
}

}  // namespace txstream::sim
