#pragma once

#include "relay/balance.hpp"
#include "relay/delivery.hpp"
#include "relay/pulse.hpp"
#include "relay/replay.hpp"
#include "relay/worker_limits.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <vector>

namespace txstream::relay {

/// Claims lanes for a worker, prolongs their leases, moves their cursors when Kafka has
/// acknowledged, and hands lanes over to workers that have fewer (relay/balance.hpp).
///
/// A lane may be published until a fifth of the lease before its end by our own clock, counted from
/// before the statement that prolonged it: whoever claims it next, by the database's clock, must
/// not meet us.
class Keeper {
public:
    using Clock = Deadline::Clock;

    /// What the world may know of a worker.
    struct Status {
        std::vector<LaneId> lanes;
        /// False while leases cannot be prolonged, or nothing could be claimed yet.
        bool is_alive = false;
        /// Others have lanes to hand over to it.
        bool expects_lanes = false;
        /// Lanes that it should have, by the shares of all.
        std::size_t target = 0;
    };
    using OnStatus = std::function<void(Status)>;

    Keeper(
        Delivery& delivery,
        Replay& replay,
        LaneKeeper& lanes,
        const Metrics& metrics,
        runtime::Wakeup& wakeup,
        runtime::Wakeup& reader,
        WorkerLimits limits,
        OnStatus on_status,
        std::uint64_t seed = 0,
        Pulse* pulse = nullptr
    );

    /// Until stop(); then it acknowledges what Kafka still confirms, until nothing is in flight or
    /// the deadline passes, and gives the lanes back.
    Task<> run();
    void stop(Deadline deadline);

private:
    static constexpr int kRenewalsPerLease = 3;

    Task<Result<>> step();
    Task<Result<>> claim();
    Task<Result<>> look_for_pauses();
    Task<Result<>> renew();
    /// Looks how the lanes are shared out; returns how many may be claimed.
    Task<Result<std::size_t>> look();
    Task<Result<outbox::Shares>> shares();
    std::size_t claimable(const outbox::Shares& shares, const Balance& balance);
    void choose_leaving(const Balance& balance);
    Task<Result<>> hand_over();
    void stay(LaneId lane);
    outbox::Want want() const;
    Task<Result<std::vector<outbox::ClaimedLane>>> proven(std::vector<outbox::ClaimedLane> claimed);
    Task<Result<>> acknowledge();
    Task<Result<>> move_cursors();
    Task<Result<>> name_idle();
    Task<Result<>> park();
    Task<Result<bool>> park(const LaneMachine::Acknowledgement& one);
    Task<> hand_back();
    Task<Result<>> release();
    Task<> recover(const Error& error);

    void lose_expired();
    void lose_all();
    void forget_lost();
    void tell();
    /// Told to stop, and nothing is left to wait for.
    bool is_over() const;
    Clock::time_point next_due() const;
    Clock::time_point publish_until(Clock::time_point asked) const;
    Deadline deadline();
    Deadline statement_deadline() const;
    Task<> wait(Clock::time_point until);
    static std::vector<outbox::Publication> grouped(
        const std::vector<const LaneMachine::Acknowledgement*>& all
    );

    Delivery& delivery_;
    Replay& replay_;
    LaneKeeper& lanes_;
    const Metrics& metrics_;
    runtime::Wakeup& wakeup_;
    runtime::Wakeup& reader_;
    WorkerLimits limits_;
    OnStatus on_status_;
    Pulse own_pulse_;  ///< where nobody looks
    Pulse& pulse_;
    std::mt19937_64 random_;
    std::vector<LaneMachine::Acknowledgement> under_way_;
    std::optional<Deadline> stop_at_;
    Clock::time_point claim_at_{};
    Clock::time_point pauses_at_{};
    Clock::time_point look_at_{};  ///< at the shares, also with all lanes that we want
    Clock::time_point renew_at_{};
    Clock::time_point acknowledge_at_{};
    Clock::time_point of_all_at_{};
    Clock::time_point name_at_{};  ///< the lanes that share no row
    Clock::time_point idle_at_{};  ///< all lanes, if nothing else names them
    WorkerBlockages blockages_;
    /// Lanes that are to be handed over, since when; and to whose leases, in no order.
    struct Leaving {
        Epoch epoch;
        Clock::time_point since;
    };
    std::map<LaneId, Leaving> leaving_;
    std::vector<std::int64_t> heirs_;
    std::map<LaneId, Clock::time_point> stays_until_;  ///< those that could not leave
    std::vector<std::int64_t> owners_;                 ///< leases, at the last look
    std::size_t owned_ = 0;                            ///< by the table, at the last look
    std::size_t handed_ = 0;  ///< of the claimable ones, those that are ours already
    Clock::time_point expect_until_{};
    std::optional<Clock::time_point> unowned_since_;
    bool expects_ = false;
    bool did_expect_ = false;  ///< as it was told
    std::size_t target_ = 0;   ///< lanes that it should have, at the last look
    std::size_t told_target_ = 0;
    bool is_enlisted_ = false;
    bool is_proven_ = false;  ///< a position could be written when that was tried last
    bool has_unwanted_ = false;
    unsigned failures_ = 0;
    bool is_proving_ = false;
    bool is_alive_ = false;
};

}  // namespace txstream::relay
