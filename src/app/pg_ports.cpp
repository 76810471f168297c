#include "app/pg_ports.hpp"

#include "outbox/instance.hpp"
#include "outbox/reader.hpp"
#include "outbox/structure.hpp"
#include "pg/connection.hpp"

#include <utility>

namespace txstream::app {

namespace {

// Of two values the last counts. Whatever else may read from a standby: a relay writes.
pg::ConnInfo for_writing(pg::ConnInfo conninfo) {
    const auto observer = conninfo.observer();
    pg::ConnInfo writing([conninfo = std::move(conninfo)]() -> Result<std::string> {
        TXS_TRY(auto text, conninfo.get());
        return text + " target_session_attrs=read-write";
    });
    return writing.observed_by(observer);
}

/// A session that is opened anew after it broke.
class Session {
public:
    Session(asio::any_io_executor executor, pg::ConnInfo conninfo, std::string settings)
        : executor_(std::move(executor)),
          conninfo_(for_writing(std::move(conninfo))),
          settings_(std::move(settings)) {}

    /// Two sessions need not lead to the same server: each sees for itself that it is the one whose
    /// cursors are in the table, and that nothing in it can hide an event.
    Task<Result<>> open(Deadline deadline) {
        connection_.reset();
        TXS_CO_TRY(
            auto opened, co_await pg::Connection::open(executor_, conninfo_, settings_, deadline)
        );
        TXS_CO_CHECK(co_await outbox::check_instance(*opened, deadline));
        TXS_CO_CHECK(co_await outbox::check_structure(*opened, deadline));
        connection_ = std::move(opened);
        co_return Result<>();
    }
    bool is_open() const { return connection_ && connection_->is_open(); }
    pg::Connection& operator*() const { return *connection_; }

private:
    asio::any_io_executor executor_;
    pg::ConnInfo conninfo_;
    std::string settings_;
    std::unique_ptr<pg::Connection> connection_;
};

class PgEventSource final : public relay::EventSource {
public:
    PgEventSource(asio::any_io_executor executor, pg::ConnInfo conninfo)
        : session_(
              std::move(executor),
              std::move(conninfo),
              std::string(outbox::kReaderSettings).append(kLockTimeout) +
                  "SET application_name = 'txstream reader'"
          ) {}

    Task<Result<>> open(Deadline deadline) override { return session_.open(deadline); }
    bool is_open() const override { return session_.is_open(); }

    Task<Result<outbox::Snapshot>> current_snapshot(Deadline deadline) override {
        return outbox::current_snapshot(*session_, deadline);
    }
    Task<Result<outbox::Events>> read_window(
        std::vector<LaneId> lanes,
        outbox::Snapshot cursor,
        outbox::Snapshot target,
        outbox::PageLimit limit,
        Deadline deadline
    ) override {
        co_return co_await outbox::read_window(*session_, lanes, cursor, target, limit, deadline);
    }
    Task<Result<std::optional<EventSeq>>> first_id(
        outbox::Snapshot cursor, outbox::Snapshot target, std::chrono::milliseconds timeout
    ) override {
        outbox::ScanStep step;
        step.timeout = timeout;
        co_return co_await outbox::first_id(*session_, cursor, target, step);
    }
    Task<Result<EventSeq>> highest_id(Deadline deadline) override {
        return outbox::highest_id(*session_, deadline);
    }
    Result<> send_page(const outbox::PageQuery& query) override {
        return outbox::send_page(*session_, query);
    }
    Task<Result<outbox::Events>> receive_page(Deadline deadline) override {
        return outbox::receive_page(*session_, deadline);
    }

private:
    Session session_;
};

class PgLaneKeeper final : public relay::LaneKeeper {
public:
    PgLaneKeeper(asio::any_io_executor executor, pg::ConnInfo conninfo, std::string owner)
        : session_(
              std::move(executor),
              std::move(conninfo),
              std::string(kLockTimeout) + "SET application_name = 'txstream keeper'"
          ),
          store_(std::move(owner)) {}

    Task<Result<>> open(Deadline deadline) override {
        store_.forget();
        return session_.open(deadline);
    }
    bool is_open() const override { return session_.is_open(); }

    void want(outbox::Want want) override { store_.want(want); }
    Task<Result<outbox::Shares>> shares(Deadline deadline) override {
        return store_.shares(*session_, deadline);
    }
    Task<Result<>> enlist(std::chrono::milliseconds lease, Deadline deadline) override {
        return store_.enlist(*session_, lease, deadline);
    }
    Task<Result<std::vector<LaneId>>> give(std::vector<outbox::Gift> gifts, Deadline deadline)
        override {
        return store_.give(*session_, std::move(gifts), deadline);
    }
    Task<Result<std::vector<outbox::ClaimedLane>>> claim(
        std::vector<LaneId> owned,
        std::size_t limit,
        std::chrono::milliseconds lease,
        Deadline deadline
    ) override {
        return store_.claim(*session_, std::move(owned), limit, lease, deadline);
    }
    Task<Result<std::vector<LaneId>>> renew(
        std::vector<LaneId> lanes, std::chrono::milliseconds lease, Deadline deadline
    ) override {
        return store_.renew(*session_, std::move(lanes), lease, deadline);
    }
    Task<Result<std::vector<LaneId>>> advance(
        std::vector<outbox::LaneProgress> lanes,
        std::vector<outbox::Publication> publications,
        Deadline deadline
    ) override {
        return store_.advance(*session_, std::move(lanes), std::move(publications), deadline);
    }
    Task<Result<bool>> park(
        outbox::LaneProgress lane,
        std::vector<outbox::ParkedEvent> parked,
        outbox::Publication publication,
        outbox::LetterForm form,
        Deadline deadline
    ) override {
        return store_.park(
            *session_, std::move(lane), std::move(parked), std::move(publication), form, deadline
        );
    }
    Task<Result<outbox::Decisions>> decisions(
        std::vector<LaneId> lanes, std::size_t limit, Deadline deadline
    ) override {
        return store_.decisions(*session_, std::move(lanes), limit, deadline);
    }
    Task<Result<outbox::Letters>> letters(
        std::vector<outbox::LaneKey> keys, outbox::LetterLimit limit, Deadline deadline
    ) override {
        return store_.letters(*session_, std::move(keys), limit, deadline);
    }
    Task<Result<std::vector<LaneId>>> settle(
        std::vector<LaneId> lanes, std::vector<outbox::SettledLetter> letters, Deadline deadline
    ) override {
        return store_.settle(*session_, std::move(lanes), std::move(letters), deadline);
    }
    Task<Result<std::vector<std::string>>> revive(
        std::vector<LaneId> lanes, outbox::Revival which, Deadline deadline
    ) override {
        return store_.revive(*session_, std::move(lanes), std::move(which), deadline);
    }
    Task<Result<std::vector<outbox::Pause>>> pauses(Deadline deadline) override {
        return store_.pauses(*session_, deadline);
    }
    Task<Result<>> release(Deadline deadline) override {
        return store_.release(*session_, deadline);
    }

private:
    Session session_;
    outbox::LaneStore store_;
};

}  // namespace

std::unique_ptr<relay::EventSource> make_pg_event_source(
    asio::any_io_executor executor, pg::ConnInfo conninfo
) {
    return std::make_unique<PgEventSource>(std::move(executor), std::move(conninfo));
}

std::unique_ptr<relay::LaneKeeper> make_pg_lane_keeper(
    asio::any_io_executor executor, pg::ConnInfo conninfo, std::string owner
) {
    return std::make_unique<PgLaneKeeper>(
        std::move(executor), std::move(conninfo), std::move(owner)
    );
}

}  // namespace txstream::app
