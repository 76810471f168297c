#include "relay/lane_machine.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <utility>

namespace txstream::relay {

LaneMachine::LaneMachine(outbox::ClaimedLane claimed, Limits limits)
    : lane_(claimed.lane),
      epoch_(claimed.epoch),
      limits_(limits),
      done_{std::move(claimed.cursor), std::move(claimed.target), claimed.last_id},
      read_(done_) {
    for (auto& key : claimed.held_keys) held_.try_emplace(std::move(key));
}

void LaneMachine::skip_to(const outbox::Snapshot& target) {
    TXS_ASSERT(!is_paging(), "a window that is being paged is not empty");
    ++looks_;
    read_ = {target, std::nullopt, EventSeq(0)};
    if (pages_.empty()) done_ = read_;
}

void LaneMachine::begin_paging(const outbox::Snapshot& target, EventSeq first) {
    TXS_ASSERT(!is_paging(), "a window must end before the next one begins");
    ++looks_;
    read_.target = target;
    read_.last_id = first.before();
}

LaneMachine::PageNumber LaneMachine::add_page(
    const outbox::Snapshot& target,
    EventSeq first,
    EventSeq last,
    std::size_t events,
    EventSeq end,
    bool ends_window
) {
    TXS_ASSERT(events > 0 && first <= last && last <= end, "a page has events");
    TXS_ASSERT(
        !is_paging() || (target == *read_.target && first > read_.last_id),
        "pages follow each other"
    );
    if (!is_paging()) ++looks_;
    Page page;
    page.number = next_number_++;
    page.cursor = read_.cursor;
    page.target = target;
    page.first = first;
    page.last = last;
    page.open = events;
    if (ends_window) {
        read_ = {target, std::nullopt, EventSeq(0)};
    } else {
        read_.target = target;
        read_.last_id = end;
    }
    page.after = read_;
    pages_.push_back(std::move(page));
    ++busy_;
    return pages_.back().number;
}

void LaneMachine::read_to(EventSeq end) {
    TXS_ASSERT(is_paging() && end >= read_.last_id, "a window is read forwards");
    pass({read_.cursor, read_.target, end});
}

void LaneMachine::end_window() {
    TXS_ASSERT(is_paging(), "no window is being paged");
    pass({*read_.target, std::nullopt, EventSeq(0)});
}

// What has no events counts as acknowledged with the page before it, so that the lanes of a worker
// share their positions. Not with one of an earlier window: its publication would tell of ids in
// this one that are still to come.
void LaneMachine::pass(Position to) {
    const bool joins =
        !pages_.empty() && acknowledging_ < pages_.size() && pages_.back().target == *read_.target;
    read_ = std::move(to);
    if (pages_.empty()) done_ = read_;
    if (joins) pages_.back().after = read_;
    // Else the table keeps a place before this one, whose next reader finds the same nothing.
}

bool LaneMachine::has_room() const noexcept {
    if (pages_.size() >= limits_.pages_open_max) return false;
    if (pages_.size() < limits_.pages_in_flight_max) return true;
    // What is complete counts as long as nothing in front of it waits: it is to be acknowledged.
    auto in_flight = busy_;
    for (const auto& page : pages_) {
        if (page.aside > 0 || in_flight >= limits_.pages_in_flight_max) break;
        if (page.open == 0) ++in_flight;
    }
    return in_flight < limits_.pages_in_flight_max;
}

void LaneMachine::set_aside(PageNumber number) {
    auto& page = page_at(number);
    TXS_ASSERT(page.aside < page.open, "an event is set aside once, and only before it is settled");
    ++page.aside;
    if (page.open == page.aside) --busy_;
}

void LaneMachine::take_up(PageNumber number) {
    auto& page = page_at(number);
    TXS_ASSERT(page.aside > 0, "only what was set aside is taken up");
    if (page.open == page.aside) ++busy_;
    --page.aside;
}

void LaneMachine::published(PageNumber number) {
    auto& page = page_at(number);
    TXS_ASSERT(page.open > page.aside, "each event is settled once");
    --page.open;
    ++page.published;
    if (page.open == page.aside) --busy_;
}

void LaneMachine::park(PageNumber number, outbox::ParkedEvent event, std::string_view key) {
    auto& page = page_at(number);
    TXS_ASSERT(page.open > page.aside, "each event is settled once");
    --page.open;
    if (page.open == page.aside) --busy_;
    if (event.holds) {
        ++held_[std::string(key)].unwritten;
        page.held_keys.emplace_back(key);
    }
    page.parked.push_back(std::move(event));
}

void LaneMachine::park_behind(PageNumber number, EventSeq id, std::string_view key) {
    TXS_ASSERT(holds(key), "an event is parked for its own sake, or behind one of its key");
    park(number, {id, 0, "held", "an earlier event of this key is parked"}, key);
}

void LaneMachine::begin_wait(std::string_view key) {
    const auto found = held_.find(key);
    TXS_ASSERT(found != held_.end(), "only a key that is held can wait");
    if (found->second.waits_from == kNever) found->second.waits_from = next_number_;
}

void LaneMachine::release(std::string_view key) {
    const auto found = held_.find(key);
    TXS_ASSERT(
        found != held_.end() && found->second.unwritten == 0,
        "what is parked and not written would be passed"
    );
    held_.erase(found);
}

void LaneMachine::hold(std::string_view key) {
    held_[std::string(key)].waits_from = kNever;
}

bool LaneMachine::waits(std::string_view key) const {
    const auto found = held_.find(key);
    return found != held_.end() && found->second.waits_from != kNever;
}

std::size_t LaneMachine::unwritten(std::string_view key) const {
    const auto found = held_.find(key);
    return found == held_.end() ? 0 : found->second.unwritten;
}

std::optional<LaneMachine::Acknowledgement> LaneMachine::next_acknowledgement() {
    if (!can_acknowledge()) return std::nullopt;
    acknowledging_ = 1;
    while (joins_acknowledgement()) ++acknowledging_;
    // Behind the last page nothing was found: the cursor may go there too.
    if (acknowledging_ == pages_.size() && !is_paging()) pages_.back().after = read_;

    const auto& after = pages_[acknowledging_ - 1].after;
    Acknowledgement result;
    result.pages = acknowledging_;
    result.parked = pages_.front().parked;
    auto& publication = result.publication;
    publication.lanes = {lane_};
    publication.first_id = pages_.front().first;
    publication.last_id = pages_.front().last;
    publication.cursor = done_.cursor;
    publication.target = after.target ? *after.target : after.cursor;
    for (std::size_t i = 0; i < acknowledging_; ++i) {
        publication.first_id = std::min(publication.first_id, pages_[i].first);
        publication.last_id = std::max(publication.last_id, pages_[i].last);
        publication.events += pages_[i].published;
    }
    result.progress = {
        lane_, epoch_, after.cursor, after.target, after.last_id, publication.events
    };
    return result;
}

// One write for many pages, as long as "between the two snapshots, in this range of ids" says of
// exactly these pages' events that they are published: pages of one window, or whole windows.
bool LaneMachine::joins_acknowledgement() const {
    if (acknowledging_ == pages_.size()) return false;
    const auto& front = pages_.front();
    const auto& last = pages_[acknowledging_ - 1];
    const auto& next = pages_[acknowledging_];
    if (next.open > 0 || !next.parked.empty() || !front.parked.empty()) return false;
    if (last.after.target) return true;
    return !done_.target && !next.after.target;
}

void LaneMachine::acknowledged() {
    TXS_ASSERT(acknowledging_ > 0, "no acknowledgement is under way");
    done_ = pages_[acknowledging_ - 1].after;
    for (const auto& key : pages_.front().held_keys) --held_.find(key)->second.unwritten;
    pages_.erase(pages_.begin(), pages_.begin() + static_cast<std::ptrdiff_t>(acknowledging_));
    acknowledging_ = 0;
    if (pages_.empty()) {
        done_ = read_;
    } else if (done_.target && !(pages_.front().cursor == done_.cursor)) {
        // The window turned out to end here only after the write had begun.
        done_ = {*done_.target, std::nullopt, EventSeq(0)};
    }
}

LaneMachine::Page& LaneMachine::page_at(PageNumber number) {
    TXS_ASSERT(
        !pages_.empty() && number >= pages_.front().number,
        "the page has been acknowledged or forgotten"
    );
    const auto index = static_cast<std::size_t>(number - pages_.front().number);
    TXS_ASSERT(index < pages_.size(), "the page was never read");
    return pages_[index];
}

}  // namespace txstream::relay
