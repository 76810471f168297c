#pragma once

#include "relay/delivery.hpp"
#include "relay/pulse.hpp"
#include "relay/worker_limits.hpp"

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <vector>

namespace txstream::relay {

/// Reads the windows of a worker's lanes and gives their pages to Delivery.
///
/// All caught-up lanes are polled with one statement. A window that is larger than a page is paged
/// in the order of ids, all lanes together, so that the server reads its table as it lies on disk;
/// a lane that fell behind, since it had to wait, is read on its own until it has caught up with
/// the others. The statement for the next page is sent before the events of this one are handed
/// over, so that the server reads while we publish.
///
/// A backlog that is larger than the server's memory must be read once. So a lane that is at the
/// cursor from which others are being paged already (it was claimed later) begins their window, and
/// they go slowly until it is where they are. Their target is then older than the claim. That is
/// sound because the cursors are equal: a window is what its target sees and its cursor does not,
/// whatever the lane, and the target saw all that this cursor sees when the window began. (From
/// another cursor it may not: the lane's last owner has perhaps come further than this target, and
/// the lane would go back.) What the target sees had ended before any of these statements.
class Reader {
public:
    using Clock = Deadline::Clock;

    Reader(
        Delivery& delivery,
        DeliveryGate& gate,
        EventSource& source,
        const Metrics& metrics,
        runtime::Wakeup& wakeup,
        WorkerLimits limits,
        std::uint64_t seed = 0,
        Pulse* pulse = nullptr
    );

    /// Until stop(). Failures of the database are logged and tried again.
    Task<> run();
    /// Nothing new is read from now on; run() returns soon.
    void stop();
    /// Somebody has just committed an event: the next poll comes as early as it may.
    void nudge();

private:
    struct PageRequest {
        struct Lane {
            LaneId lane;
            Epoch epoch;
        };
        std::vector<Lane> lanes;
        outbox::Snapshot target;
        outbox::PageLimit limit;
        EventSeq up_to;
        bool is_short = false;
        bool is_last = false;  ///< nothing of the window lies behind `up_to`
    };

    Task<Result<bool>> step();
    Task<Result<bool>> poll();
    Task<Result<bool>> poll_group(
        std::vector<LaneId> lanes, outbox::Snapshot cursor, outbox::Snapshot target
    );
    Task<Result<bool>> begin_paging(
        std::vector<LaneId> lanes, outbox::Snapshot cursor, outbox::Snapshot target
    );
    void keep_those_at(std::vector<LaneId>& lanes, const outbox::Snapshot& cursor);
    void nothing_since(std::vector<LaneId> lanes, const outbox::Snapshot& target);
    void give_window(
        const outbox::Events& events, std::vector<LaneId> lanes, const outbox::Snapshot& target
    );
    Task<Result<bool>> request_page();
    Task<Result<>> receive_page();
    void give_page(
        const outbox::Events& events, std::size_t whole, const PageRequest& request, bool is_cut
    );
    const std::vector<std::uint32_t>& of_lane(LaneId lane) const;
    void sort_by_lane(const outbox::Events& events, std::size_t count);
    Task<Result<std::optional<EventSeq>>> first_of(
        outbox::Snapshot cursor, outbox::Snapshot target
    );
    Task<Result<EventSeq>> end_of(const outbox::Snapshot& target);
    Task<Result<>> drop_request();
    Task<> restart_delivery();
    Task<> recover(const Error& error);

    outbox::PageLimit page_limit() const;
    bool sizes_left_out(const outbox::Events& events, const outbox::PageLimit& limit);
    void plan_next_poll(Clock::time_point begun, bool found);
    Deadline deadline() { return pulse_.expect(Deadline::in(limits_.statement_timeout)); }
    Task<> wait(Clock::time_point until);
    bool is_wanted(const PageRequest::Lane& asked) const;

    Delivery& delivery_;
    DeliveryGate& gate_;
    EventSource& source_;
    const Metrics& metrics_;
    runtime::Wakeup& wakeup_;
    WorkerLimits limits_;
    Pulse own_pulse_;  ///< where nobody looks
    Pulse& pulse_;
    std::mt19937_64 random_;
    bool stopping_ = false;
    std::uint64_t life_ = 0;  ///< of the lanes, when the poll under way began
    std::optional<PageRequest> request_;
    Clock::duration pause_;
    Clock::time_point poll_at_{};
    Clock::time_point earliest_poll_{};
    bool is_nudged_ = false;  ///< since the last poll began
    WorkerBlockages blockages_;
    unsigned database_failures_ = 0;
    bool are_large_ = false;  ///< events, so that shares of a page do not do
    /// A window whose first id is known.
    struct WindowBegin {
        std::uint64_t life;
        outbox::Snapshot cursor;
        outbox::Snapshot target;
        EventSeq id;
    };
    std::optional<WindowBegin> begin_;
    /// A window whose end is known.
    struct WindowEnd {
        outbox::Snapshot target;
        EventSeq id;
    };
    std::optional<WindowEnd> end_;
    std::int64_t span_;                                ///< of the next page, in ids
    std::vector<std::vector<std::uint32_t>> by_lane_;  ///< the events of the answer in hand
};

}  // namespace txstream::relay
