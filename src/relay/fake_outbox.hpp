#pragma once

#include "relay/delivery.hpp"
#include "relay/ports.hpp"
#include "runtime/timer.hpp"
#include "tests/support/fake_rows.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace txstream::relay {

inline outbox::Snapshot snapshot(std::int64_t xmax) {
    const auto text = std::to_string(xmax);
    return outbox::Snapshot::parse(text + ":" + text + ":").value();
}

/// Events of one lane to the end of their window.
inline void add_page(
    Delivery& delivery,
    std::int16_t lane,
    const std::vector<tests::FakeEvent>& events,
    const outbox::Snapshot& target
) {
    std::vector<std::uint32_t> all(events.size());
    std::iota(all.begin(), all.end(), 0U);
    const EventSeq last(events.back().id, events.back().xid);
    delivery.add_page(LaneId(lane), tests::fake_events(events), all, target, last, true);
}

/// One window, which answers at once.
class FakeSource final : public EventSource {
public:
    std::vector<tests::FakeEvent> window;
    outbox::Snapshot now = snapshot(10);
    int polls = 0;
    int sent = 0;  ///< requests for pages
    int received = 0;
    std::vector<outbox::PageQuery> pages;  ///< that were asked for
    bool breaks = false;                   ///< asked for the snapshot the session ends, once
    bool is_silent = false;                ///< asked for the snapshot it does not answer
    std::function<void()> on_poll = [] {};
    std::function<void()> on_window = [] {};
    std::function<void()> on_first = [] {};
    std::function<void()> on_send = [] {};
    std::function<void()> on_receive = [] {};

    Task<Result<>> open(Deadline) override {
        is_open_ = true;
        co_return Result<>();
    }
    bool is_open() const override { return is_open_; }
    Task<Result<outbox::Snapshot>> current_snapshot(Deadline deadline) override {
        EXPECT_EQ(sent, received) << "one statement at a time";
        ++polls;
        on_poll();
        if (std::exchange(breaks, false)) {
            is_open_ = false;
            co_return fail(Code::unavailable, "the connection is gone");
        }
        if (is_silent) {
            runtime::Timer timer(co_await asio::this_coro::executor, deadline.at());
            co_await timer.async_wait(asio::use_awaitable);
            is_open_ = false;
            co_return fail(Code::timed_out, "silent");
        }
        co_return now;
    }
    Task<Result<outbox::Events>> read_window(
        std::vector<LaneId> lanes,
        outbox::Snapshot,
        outbox::Snapshot,
        outbox::PageLimit limit,
        Deadline
    ) override {
        on_window();
        outbox::PageQuery all{};
        all.lanes = std::move(lanes);
        all.limit = limit;
        co_return tests::fake_events(between(all));
    }
    Task<Result<std::optional<EventSeq>>> first_id(
        outbox::Snapshot, outbox::Snapshot, std::chrono::milliseconds
    ) override {
        on_first();
        if (window.empty()) co_return std::nullopt;
        co_return EventSeq(window.front().id, window.front().xid);
    }
    Task<Result<EventSeq>> highest_id(Deadline) override {
        EXPECT_EQ(sent, received) << "one statement at a time";
        if (window.empty()) co_return EventSeq();
        co_return EventSeq(window.back().id, window.back().xid);
    }
    Result<> send_page(const outbox::PageQuery& query) override {
        EXPECT_EQ(sent, received) << "one statement at a time";
        page_ = between(query);
        pages.push_back(query);
        ++sent;
        on_send();
        return {};
    }
    Task<Result<outbox::Events>> receive_page(Deadline) override {
        ++received;
        EXPECT_EQ(sent, received) << "an answer to nothing";
        on_receive();
        co_return tests::fake_events(page_);
    }

private:
    std::vector<tests::FakeEvent> between(const outbox::PageQuery& query) const {
        const auto& limit = query.limit;
        std::vector<tests::FakeEvent> found;
        for (const auto& event : window) {
            const EventSeq id(event.id, event.xid);
            const bool is_asked_for =
                std::ranges::find(query.lanes, LaneId(event.lane)) != query.lanes.end();
            if (!is_asked_for || id <= query.after || found.size() == limit.rows) continue;
            if (query.up_to != EventSeq() && id > query.up_to) continue;
            found.push_back(event);
            const bool by_sum = limit.count == outbox::PageLimit::Count::sum;
            const auto most = by_sum ? limit.event_bytes : limit.share();
            found.back().has_content = event.size <= static_cast<std::int64_t>(most);
        }
        return found;
    }

    bool is_open_ = false;
    std::vector<tests::FakeEvent> page_;
};

struct FakeLetter {
    tests::FakeEvent event;
    bool stops = false;  ///< it is parked for its own sake
    bool holds = true;   ///< its key
};

/// The table of lanes as one worker sees it; answers at once.
class FakeLanes final : public LaneKeeper {
public:
    std::vector<std::int16_t> free{1};
    std::vector<std::int16_t> lost;    ///< taken over by others
    std::optional<Error> fails;        ///< what the next statement says, once
    bool breaks = false;               ///< with the next statement the session ends
    std::optional<Deadline> deadline;  ///< of the last statement that moved cursors
    std::vector<outbox::LaneProgress> moved;
    std::vector<LaneId> named;              ///< with the last acknowledgement
    std::vector<outbox::Snapshot> cursors;  ///< of these
    std::vector<outbox::Publication> publications;
    std::vector<outbox::ParkedEvent> parked;
    std::map<std::int16_t, bool> cannot_park;  ///< lanes; true: not even the bare dead letter
    int refused_parks = 0;
    int unproven = 0;  ///< so many times no acknowledgement works after a claim
    int renewals = 0;
    int releases = 0;
    std::vector<outbox::Share> others;  ///< owners beside this one
    std::optional<outbox::Want> wanted;
    std::vector<outbox::Gift> given;
    std::function<void()> on_give = [] {};
    std::function<void(outbox::Want)> on_enlist = [](auto) {};
    std::function<void(std::size_t)> on_claim = [](std::size_t) {};  ///< how many at most
    std::function<void()> on_renew = [] {};
    std::function<void()> on_release = [] {};

    Task<Result<>> open(Deadline) override {
        is_open_ = true;
        co_return Result<>();
    }
    bool is_open() const override { return is_open_; }
    void want(outbox::Want want) override { wanted = want; }
    /// This one has the lease 1.
    Task<Result<outbox::Shares>> shares(Deadline) override {
        outbox::Shares shares;
        auto all = held_;
        all.insert(free.begin(), free.end());
        for (const auto lane : lost) all.erase(lane);
        shares.lanes = all.size();
        shares.owners = others;
        for (const auto& one : others) shares.lanes += one.lanes;
        if (is_enlisted_)
            shares.owners.insert(
                shares.owners.begin(),
                outbox::Share{1, all.size() - free.size(), told_, false, true}
            );
        co_return shares;
    }
    Task<Result<>> enlist(std::chrono::milliseconds, Deadline) override {
        is_enlisted_ = true;
        told_ = wanted.value();
        on_enlist(told_);
        co_return Result<>();
    }
    Task<Result<std::vector<LaneId>>> give(std::vector<outbox::Gift> gifts, Deadline) override {
        on_give();
        TXS_CO_CHECK(answer());
        std::vector<LaneId> lanes;
        for (const auto& gift : gifts) {
            held_.erase(gift.lane.value());
            lanes.push_back(gift.lane);
            for (auto& one : others) one.lanes += one.lease == gift.heir ? 1 : 0;
        }
        given.insert(given.end(), gifts.begin(), gifts.end());
        co_return lanes;
    }
    Task<Result<std::vector<outbox::ClaimedLane>>> claim(
        std::vector<LaneId>, std::size_t limit, std::chrono::milliseconds, Deadline
    ) override {
        on_claim(limit);
        TXS_CO_CHECK(answer());
        std::vector<outbox::ClaimedLane> claimed;
        const auto lanes = free;
        held_.insert(lanes.begin(), lanes.end());
        // What was claimed and did not become known is claimed again.
        if (unproven == 0) free.clear();
        for (const auto lane : lanes) {
            outbox::ClaimedLane one{};
            one.lane = LaneId(lane);
            one.epoch = Epoch(++epoch_);
            one.cursor = snapshot(10);
            claimed.push_back(one);
        }
        co_return claimed;
    }
    Task<Result<std::vector<LaneId>>> renew(
        std::vector<LaneId> lanes, std::chrono::milliseconds, Deadline
    ) override {
        ++renewals;
        told_ = wanted.value();
        on_renew();
        TXS_CO_CHECK(answer());
        std::erase_if(lanes, [&](LaneId lane) { return is_lost(lane); });
        co_return lanes;
    }
    Task<Result<std::vector<LaneId>>> advance(
        std::vector<outbox::LaneProgress> lanes,
        std::vector<outbox::Publication> told,
        Deadline until
    ) override {
        const bool is_proof = told.empty();
        if (!is_proof) deadline = until;
        if (is_proof && unproven > 0) {
            --unproven;
            co_return fail(Code::timed_out, "lock timeout");
        }
        if (!is_proof) TXS_CO_CHECK(answer());
        named.clear();
        cursors.clear();
        for (const auto& one : lanes) {
            named.push_back(one.lane);
            cursors.push_back(one.cursor);
        }
        std::vector<LaneId> ours;
        for (const auto& one : lanes) {
            if (is_lost(one.lane)) continue;
            const bool has_events = std::ranges::any_of(told, [&](const auto& publication) {
                return std::ranges::find(publication.lanes, one.lane) != publication.lanes.end();
            });
            if (has_events) moved.push_back(one);
            ours.push_back(one.lane);
        }
        publications.insert(publications.end(), told.begin(), told.end());
        co_return ours;
    }
    Task<Result<bool>> park(
        outbox::LaneProgress lane,
        std::vector<outbox::ParkedEvent> events,
        outbox::Publication,
        outbox::LetterForm form,
        Deadline
    ) override {
        TXS_CO_CHECK(answer());
        if (cannot_park.contains(lane.lane.value()) &&
            (form == outbox::LetterForm::whole || cannot_park.at(lane.lane.value()))) {
            ++refused_parks;
            co_return fail(Code::rejected, "a trigger says no", "P0001");
        }
        parked.insert(parked.end(), events.begin(), events.end());
        if (is_lost(lane.lane)) co_return false;
        moved.push_back(lane);
        co_return true;
    }
    /// Of which keys an operator has decided; what is left of their letters; what became of them.
    std::vector<outbox::LaneKey> decided;
    std::vector<FakeLetter> letters_left;
    std::vector<outbox::SettledLetter> settled;
    std::size_t letters_max = 1000;
    std::optional<Error> settling_fails;

    Task<Result<outbox::Decisions>> decisions(std::vector<LaneId>, std::size_t, Deadline) override {
        co_return outbox::Decisions{std::exchange(decided, {}), false};
    }
    Task<Result<outbox::Letters>> letters(
        std::vector<outbox::LaneKey> keys, outbox::LetterLimit, Deadline
    ) override {
        outbox::Letters found;
        std::vector<tests::FakeEvent> events;
        for (std::size_t i = 0; i < keys.size(); ++i) {
            for (const auto& letter : letters_left) {
                if (letter.event.aggregate_id != keys[i].key || letter.holds != keys[i].holds ||
                    (!letter.holds && letter.stops) || events.size() == letters_max)
                    continue;
                events.push_back(letter.event);
                found.key.push_back(i);
                found.stops.push_back(letter.stops);
            }
        }
        found.is_cut = events.size() == letters_max;
        found.events = tests::fake_events(events);
        co_return found;
    }
    Task<Result<std::vector<LaneId>>> settle(
        std::vector<LaneId> lanes, std::vector<outbox::SettledLetter> letters, Deadline
    ) override {
        if (const auto error = std::exchange(settling_fails, std::nullopt))
            co_return tl::unexpected<Error>(*error);
        for (const auto& one : letters) {
            const auto place = std::ranges::find(letters_left, one.id.id(), [](const auto& letter) {
                return letter.event.id;
            });
            if (one.error_class.empty()) {
                letters_left.erase(place);
            } else {
                place->stops = true;
                place->holds = place->holds && one.holds;
            }
        }
        settled.insert(settled.end(), letters.begin(), letters.end());
        std::erase_if(lanes, [&](LaneId lane) { return is_lost(lane); });
        co_return lanes;
    }
    /// Topics of letters that wait for them, each as often as it has letters.
    std::vector<std::string> waiting;
    std::vector<outbox::Revival> revivals;

    Task<Result<std::vector<std::string>>> revive(
        std::vector<LaneId>, outbox::Revival which, Deadline
    ) override {
        revivals.push_back(which);
        std::vector<std::string> revived;
        std::vector<std::string> left;
        for (const auto& topic : waiting) {
            const bool is_meant = which.topics.empty() ||
                                  std::ranges::find(which.topics, topic) != which.topics.end();
            const auto so_far = static_cast<std::size_t>(std::ranges::count(revived, topic));
            (is_meant && so_far < which.letters ? revived : left).push_back(topic);
        }
        waiting = left;
        co_return revived;
    }
    std::vector<outbox::Pause> paused;

    Task<Result<std::vector<outbox::Pause>>> pauses(Deadline) override { co_return paused; }
    Task<Result<>> release(Deadline) override {
        ++releases;
        on_release();
        co_return Result<>();
    }

private:
    bool is_lost(LaneId lane) const { return std::ranges::find(lost, lane.value()) != lost.end(); }
    Result<> answer() {
        if (std::exchange(breaks, false)) {
            is_open_ = false;
            return fail(Code::unavailable, "the connection is gone");
        }
        if (const auto error = std::exchange(fails, std::nullopt))
            return tl::unexpected<Error>(*error);
        return {};
    }

    bool is_open_ = false;
    bool is_enlisted_ = false;
    outbox::Want told_;  ///< with its lease
    std::set<std::int16_t> held_;
    std::int64_t epoch_ = 0;
};

}  // namespace txstream::relay
