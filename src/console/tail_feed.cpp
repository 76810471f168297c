#include "console/tail_feed.hpp"

#include "console/json.hpp"

#include <algorithm>
#include <utility>

namespace txstream::console {

namespace {

constexpr std::chrono::milliseconds kWait{100};
constexpr std::chrono::seconds kReopen{10};

/// What the tails of one role see of a record; made when the first of them needs it.
struct View {
    const Masks* masks;
    std::optional<FoundRecord> found;
    std::vector<TailQueue*> wanted_by;
};

}  // namespace

TailFeed::TailFeed(
    std::string topic,
    std::function<Result<kafka::Properties>()> properties,
    Positions begin,
    std::size_t shown_max,
    std::function<void()> ended
)
    : topic_(std::move(topic)),
      properties_(std::move(properties)),
      shown_max_(shown_max),
      ended_(std::move(ended)),
      positions_(std::move(begin)),
      thread_([this] { run(); }) {
}

TailFeed::~TailFeed() {
    end();
    thread_.join();
}

Positions TailFeed::add(std::shared_ptr<const Tail> tail) {
    const std::lock_guard lock(mutex_);
    if (problem_) tail->queue->problem(problem_);
    tails_.push_back(std::move(tail));
    return positions_;
}

std::size_t TailFeed::remove(const Tail* tail) {
    const std::lock_guard lock(mutex_);
    std::erase_if(tails_, [&](const auto& one) { return one.get() == tail; });
    return tails_.size();
}

void TailFeed::end() {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
    wake_.notify_all();
}

void TailFeed::run() {
    while (!is_ending_) {
        const auto now = Clock::now();
        if (must_restart_ && now >= look_at_) {
            look_at_ = now + kLook;
            const auto began = restart();
            must_restart_ = !began && !is_incomplete_;
            if (began) {
                recovered();
            } else {
                failed(began.error());
            }
        }
        if (must_restart_) {
            std::unique_lock lock(mutex_);
            wake_.wait_for(lock, kWait, [this] { return is_ending_.load(); });
            continue;
        }
        step();
        if (now >= look_at_) look(now);
    }
    reader_.reset();
    ended_();
}

Result<> TailFeed::open() {
    if (reader_) return {};
    TXS_TRY(const auto properties, properties_());
    TXS_TRY(reader_, kafka::RecordReader::open(properties, nullptr, kWait));
    return {};
}

Result<> TailFeed::restart() {
    TXS_CHECK(open());
    const auto deadline = Deadline::in(kProbe);
    auto partitions = reader_->partitions(topic_, deadline);
    if (!partitions) return tl::unexpected(std::move(partitions).error());
    TXS_TRY(const auto bounds, reader_->bounds(topic_, *partitions, deadline));
    std::vector<kafka::ReadRange> ranges;
    std::optional<Error> without_leader;
    for (const auto& known : bounds) {
        if (known.error) {
            without_leader = known.error;
        } else {
            ranges.push_back({.partition = known.partition, .from = begin_of(known)});
        }
    }
    TXS_CHECK(reader_->start(topic_, ranges));
    is_incomplete_ = without_leader.has_value();
    if (is_incomplete_) return tl::unexpected(*without_leader);
    return {};
}

std::int64_t TailFeed::begin_of(const kafka::PartitionBounds& known) {
    const std::lock_guard lock(mutex_);
    // Of a partition that is new all is news.
    auto& position = positions_.try_emplace(known.partition, known.low).first->second;
    if (position == kUnknown) position = known.end;
    const auto was = position;
    if (position < known.low || position > known.end) position = known.low;
    for (const auto& tail : tails_) {
        if (was < known.low) tail->queue->gap(known.partition, was, known.low, "expired");
        // The topic was created again: its offsets begin where they once began.
        if (was > known.end) tail->queue->gap(known.partition, known.low, known.low, "not_kept");
    }
    return position;
}

void TailFeed::step() {
    auto step = reader_->next(kWait);
    if (auto* record = std::get_if<kafka::FetchedRecord>(&step)) {
        hand_over(std::move(*record));
    } else if (const auto* reached = std::get_if<kafka::Reached>(&step)) {
        is_at_end_[reached->partition] = true;
        passed(reached->partition, reached->position);
    } else if (const auto* refused = std::get_if<kafka::ReadFailed>(&step)) {
        // Retention was faster, or the topic is gone: what is there now decides where to go on.
        if (!refused->is_out_of_range) failed(refused->error);
        must_restart_ = true;
    }
}

void TailFeed::look(Clock::time_point now) {
    look_at_ = now + kLook;
    report_lag();
    if (reader_->trouble() || problem_) {
        // One of several brokers may be away, or a connection that nothing needs: ask for what we
        // need.
        std::vector<std::int32_t> partitions;
        for (const auto& [partition, position] : positions_) partitions.push_back(partition);
        const auto bounds = reader_->bounds(topic_, partitions, Deadline::in(kProbe));
        std::optional<Error> error;
        if (!bounds) {
            error = bounds.error();
        } else {
            for (const auto& one : *bounds) error = error ? error : one.error;
        }
        if (!error) {
            must_restart_ = is_incomplete_;
            recovered();
        } else {
            failed(*error);
            // A client of its own has new secrets and addresses.
            if (now - failed_at_ > kReopen) {
                reader_.reset();
                must_restart_ = true;
                failed_at_ = now;
            }
        }
    } else if (now >= partitions_at_) {
        partitions_at_ = now + kPartitionsLook;
        const auto partitions = reader_->partitions(topic_, Deadline::in(kProbe));
        must_restart_ = partitions && partitions->size() > positions_.size();
    }
}

void TailFeed::hand_over(kafka::FetchedRecord&& record) {
    const auto partition = record.partition;
    const auto offset = record.offset;
    is_at_end_[partition] = false;
    Tails all;
    {
        // At once: a tail that comes now reads up to here on its own.
        const std::lock_guard lock(mutex_);
        all = tails_;
        positions_[partition] = offset + 1;
    }
    std::vector<View> views;
    for (const auto& tail : all) {
        if (!tail->queue->wants(partition, offset)) continue;
        auto view = std::ranges::find(views, tail->masks, &View::masks);
        if (view == views.end()) {
            views.push_back({tail->masks, masked(tail->masks, kafka::FetchedRecord(record)), {}});
            view = std::prev(views.end());
        }
        if (tail->filter.matches(view->found->record)) {
            view->wanted_by.push_back(tail->queue.get());
        } else {
            tail->queue->passed(partition, offset + 1, 1);
        }
    }
    for (auto& view : views) {
        if (view.wanted_by.empty()) continue;
        cut(*view.found, shown_max_);
        auto text = std::make_shared<std::string>();
        append_record(*text, topic_, *view.found);
        for (auto* queue : view.wanted_by) queue->matched(partition, offset, text);
    }
}

void TailFeed::passed(std::int32_t partition, std::int64_t position) {
    const std::lock_guard lock(mutex_);
    for (const auto& tail : tails_) tail->queue->passed(partition, position, 0);
    auto& known = positions_[partition];
    known = std::max(known, position);
}

void TailFeed::failed(const Error& error) {
    if (problem_) return;
    failed_at_ = Clock::now();
    const std::lock_guard lock(mutex_);
    problem_ = std::make_shared<const std::string>(problem_of(error).body);
    for (const auto& tail : tails_) tail->queue->problem(problem_);
}

void TailFeed::recovered() {
    if (!problem_) return;
    const std::lock_guard lock(mutex_);
    problem_.reset();
    for (const auto& tail : tails_) tail->queue->recovered();
}

void TailFeed::report_lag() {
    std::int64_t lag = 0;
    for (const auto& [partition, position] : positions_) {
        if (is_at_end_[partition]) continue;
        lag += std::max<std::int64_t>(reader_->high_watermark(partition) - position, 0);
    }
    const std::lock_guard lock(mutex_);
    for (const auto& tail : tails_) tail->queue->lag(lag);
}

}  // namespace txstream::console
