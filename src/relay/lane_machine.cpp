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
    for (auto& key : claimed.held_keys) held_.insert(std::move(key));
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

LaneMachine::Admission LaneMachine::admit(PageNumber number, EventSeq id, std::string_view key) {
    auto& page = page_at(number);
    if (holds(key)) {
        put_aside(page, {id, 0, "held", "an earlier event of this key is parked"}, key);
        return Admission::parked;
    }
    if (auto found = refusals_.find(id);
        found != refusals_.end() && found->second.attempts >= limits_.attempts_max) {
        auto& refusal = found->second;
        put_aside(page, {id, refusal.attempts, refusal.error_class, refusal.error}, key);
        return Admission::parked;
    }
    // It went alone, so that what comes after it says that it was taken.
    if (waits_for_topic_ && *waits_for_topic_ < id && unreported_ == 0) waits_for_topic_.reset();
    const bool goes_alone = is_suspect(id) || id == waits_for_topic_;
    if (unreported_ > 0 && (is_alone_ || goes_alone)) return Admission::wait;
    is_alone_ = goes_alone;
    ++unreported_;
    return Admission::publish;
}

void LaneMachine::withdraw(PageNumber number) {
    TXS_ASSERT(page_at(number).open > 0 && unreported_ > 0, "only an admitted event comes back");
    --unreported_;
}

void LaneMachine::published(PageNumber number) {
    auto& page = page_at(number);
    TXS_ASSERT(page.open > 0 && unreported_ > 0, "each event is reported once");
    --page.open;
    --unreported_;
    ++page.published;
}

void LaneMachine::park(
    PageNumber number, EventSeq id, std::string_view key, std::string error_class, std::string error
) {
    TXS_ASSERT(unreported_ > 0, "only an admitted event can turn out to be impossible");
    --unreported_;
    put_aside(page_at(number), {id, 1, std::move(error_class), std::move(error)}, key);
}

void LaneMachine::refused(EventSeq id, std::string error_class, std::string error) {
    const auto [place, is_first] = refusals_.try_emplace(id);
    auto& refusal = place->second;
    // In a batch of many the refusal may be its neighbour's fault: only one that was alone counts.
    if (!is_first) ++refusal.attempts;
    refusal.error_class = std::move(error_class);
    refusal.error = std::move(error);
}

void LaneMachine::topic_refused(PageNumber number, EventSeq id) {
    withdraw(number);
    if (!waits_for_topic_ || id < *waits_for_topic_) waits_for_topic_ = id;
}

void LaneMachine::cut(PageNumber number, EventSeq id, std::size_t events) {
    auto& page = page_at(number);
    TXS_ASSERT(page.open >= events, "what is cut off was neither published nor parked");
    read_ = {page.cursor, page.target, id.before()};
    page.open -= events;
    page.last = read_.last_id;
    page.after = read_;
    ++rewinds_;
    next_number_ = id == page.first ? number : number + 1;
    const auto kept = static_cast<std::ptrdiff_t>(next_number_ - pages_.front().number);
    TXS_ASSERT(
        std::all_of(
            pages_.begin() + kept,
            pages_.end(),
            [](const Page& one) { return one.published == 0 && one.parked.empty(); }
        ),
        "nothing of the lane was admitted after the event"
    );
    pages_.erase(pages_.begin() + kept, pages_.end());
}

std::optional<LaneMachine::Acknowledgement> LaneMachine::next_acknowledgement() {
    if (acknowledging_ > 0 || pages_.empty() || pages_.front().open > 0) return std::nullopt;
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
    for (std::size_t i = 0; i < acknowledging_; ++i) {
        const auto& page = pages_[i];
        refusals_.erase(refusals_.lower_bound(page.first), refusals_.upper_bound(page.last));
    }
    pages_.erase(pages_.begin(), pages_.begin() + static_cast<std::ptrdiff_t>(acknowledging_));
    acknowledging_ = 0;
    if (pages_.empty()) {
        done_ = read_;
    } else if (done_.target && !(pages_.front().cursor == done_.cursor)) {
        // The window turned out to end here only after the write had begun.
        done_ = {*done_.target, std::nullopt, EventSeq(0)};
    }
}

void LaneMachine::restart() {
    TXS_ASSERT(
        acknowledging_ == 0, "an acknowledgement under way must end before the lane goes back"
    );
    // What was to be parked is not in the table yet: reading it again parks it again, with the
    // reason it had.
    for (auto& page : pages_) {
        for (const auto& key : page.keys_held) held_.erase(key);
        for (auto& event : page.parked) {
            if (event.attempts == 0) continue;
            refusals_[event.id] = {
                event.attempts, std::move(event.error_class), std::move(event.error)
            };
        }
    }
    pages_.clear();
    unreported_ = 0;
    is_alone_ = false;
    read_ = done_;
    ++rewinds_;
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

void LaneMachine::put_aside(Page& page, outbox::ParkedEvent event, std::string_view key) {
    TXS_ASSERT(page.open > 0, "each event is reported once");
    --page.open;
    if (held_.insert(std::string(key)).second) page.keys_held.emplace_back(key);
    page.parked.push_back(std::move(event));
}

}  // namespace txstream::relay
