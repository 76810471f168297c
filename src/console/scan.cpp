#include "console/scan.hpp"

#include "console/record_filter.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

namespace txstream::console {

namespace {

using Partition = ScanPlan::Partition;
using Stopped = ScanPage::Stopped;

std::string expired(std::int64_t from, std::int64_t to) {
    return "offsets " + std::to_string(from) + " to " + std::to_string(to - 1) +
           " have expired: retention deleted them";
}

/// The first page: each partition from where the seek says.
Result<std::vector<Partition>> first_page(
    RecordSource& source,
    const ScanRequest& request,
    const std::vector<kafka::PartitionBounds>& bounds
) {
    std::vector<std::int64_t> at_time;
    if (request.seek.kind == Seek::Kind::time) {
        TXS_TRY(at_time, source.offsets_at(request.partitions, request.seek.value));
    }
    std::vector<Partition> partitions;
    for (std::size_t i = 0; i < bounds.size(); ++i) {
        const auto& known = bounds[i];
        Partition one;
        one.end = known.end;
        one.at = {
            .partition = known.partition, .start = known.low, .stop = known.end, .low = known.low
        };
        switch (request.seek.kind) {
            case Seek::Kind::oldest:
                break;
            case Seek::Kind::newest:
                one.at.start = known.end;
                one.at.stop = known.low;
                break;
            case Seek::Kind::offset:
                one.at.start = std::clamp(request.seek.value, known.low, known.end);
                if (request.seek.value < known.low)
                    one.error = expired(std::max<std::int64_t>(request.seek.value, 0), known.low);
                break;
            case Seek::Kind::time:
                one.at.start =
                    at_time[i] < 0 ? known.end : std::clamp(at_time[i], known.low, known.end);
        }
        one.at.position = one.at.start;
        partitions.push_back(std::move(one));
    }
    return partitions;
}

/// A later page: from where the one before ended, as far as that still exists.
void go_on(Partition& one, const kafka::PartitionBounds& known, bool is_backward) {
    auto& at = one.at;
    one.end = known.end;
    if (known.end < std::max(at.position, at.stop)) {
        one.error = "the topic was created again, or cut off, since this search began";
        at.position = std::min(at.position, known.end);
        at.stop = is_backward ? known.low : std::min(at.stop, known.end);
    }
    if (known.low > at.low) {
        if (is_backward) {
            if (at.position > at.stop && known.low > at.stop)
                one.error = expired(at.stop, std::min(known.low, at.position));
            at.stop = std::max(at.stop, known.low);
            at.position = std::max(at.position, at.stop);
        } else if (at.position < known.low && at.position < at.stop) {
            one.error = expired(at.position, std::min(known.low, at.stop));
            at.position = std::min(known.low, at.stop);
        }
    }
    at.low = known.low;
}

Result<std::vector<Partition>> positions(RecordSource& source, const ScanRequest& request) {
    auto wanted = request.partitions;
    if (!request.from.empty()) {
        wanted.clear();
        for (const auto& at : request.from) wanted.push_back(at.partition);
    }
    TXS_TRY(const auto bounds, source.bounds(wanted));
    std::vector<Partition> partitions;
    if (request.from.empty()) {
        TXS_TRY(partitions, first_page(source, request, bounds));
    } else {
        for (const auto& at : request.from) {
            partitions.emplace_back();
            partitions.back().at = at;
        }
    }
    for (std::size_t i = 0; i < bounds.size(); ++i) {
        auto& one = partitions[i];
        if (bounds[i].error) {
            one.error = bounds[i].error->what();
            one.is_failed = true;
            // Of a partition that could not even be measured the next page measures again.
            if (request.from.empty()) one.at = {.partition = wanted[i], .start = -1};
        } else if (!request.from.empty() && one.at.start < 0) {
            TXS_TRY(auto measured, first_page(source, request, {bounds[i]}));
            one = std::move(measured.front());
        } else if (!request.from.empty()) {
            go_on(one, bounds[i], request.seek.is_backward());
        }
    }
    return partitions;
}

class Scan {
public:
    Scan(
        RecordSource& source,
        const ScanRequest& request,
        const ScanBudget& budget,
        const std::function<bool()>& is_time_up
    )
        : source_(source), request_(request), budget_(budget), is_time_up_(is_time_up) {}

    /// Reads windows until the page is complete or the budget is used up.
    Result<> run(ScanPlan& plan) {
        while (!stopped_) {
            const auto windows = plan.next_windows();
            if (windows.empty()) return {};
            TXS_CHECK(source_.start(windows));
            read(plan, windows);
            if (records_ >= budget_.records) stop(Stopped::records);
            if (bytes_ >= budget_.bytes || plan.found_bytes() >= budget_.found_bytes)
                stop(Stopped::bytes);
        }
        return {};
    }

    std::optional<Stopped> stopped() const { return stopped_; }

private:
    void read(ScanPlan& plan, const std::vector<kafka::ReadRange>& windows) {
        std::map<std::int32_t, std::int64_t> open;
        for (const auto& window : windows) open[window.partition] = window.from;
        while (!open.empty()) {
            auto step = source_.next();
            if (auto* record = std::get_if<kafka::FetchedRecord>(&step)) {
                open[record->partition] = record->offset + 1;
                take(plan, std::move(*record));
            } else if (const auto* reached = std::get_if<kafka::Reached>(&step)) {
                if (reached->is_done && open.erase(reached->partition) != 0)
                    plan.read(reached->partition, reached->position);
            } else if (const auto* failed = std::get_if<kafka::ReadFailed>(&step)) {
                if (open.erase(failed->partition) != 0)
                    plan.failed(failed->partition, failed->error.what());
            }
            // Within a window only what could go on for long is asked for; a large record is one
            // step.
            if (is_time_up_()) stop(Stopped::time);
            if (bytes_ >= 2 * budget_.bytes) stop(Stopped::bytes);
            if (stopped_) break;
        }
        source_.stop();
        for (const auto& [partition, position] : open) plan.read(partition, position);
    }

    void take(ScanPlan& plan, kafka::FetchedRecord&& record) {
        const ScanPlan::Seen seen{record.offset, record.timestamp_ms};
        const auto partition = record.partition;
        const auto size = record.size();
        ++records_;
        bytes_ += size;
        plan.add(seen, partition, size, request_.look(std::move(record)));
    }

    void stop(Stopped why) {
        if (!stopped_) stopped_ = why;
    }

    RecordSource& source_;
    const ScanRequest& request_;
    const ScanBudget& budget_;
    const std::function<bool()>& is_time_up_;
    std::size_t records_ = 0;
    std::size_t bytes_ = 0;
    std::optional<Stopped> stopped_;
};

/// What the page covers of the partition: from where it began to where the next one begins.
ScanPage::Covered covered_of(const Partition& one, ScanPage& page) {
    const auto from = std::min(one.began, one.at.position);
    const auto to = std::max(one.began, one.at.position);
    std::int64_t records = 0;
    for (const auto& seen : one.seen) {
        if (seen.offset < from || seen.offset >= to) continue;
        ++records;
        if (seen.timestamp_ms < 0) continue;
        page.oldest_ms = std::min(page.oldest_ms.value_or(seen.timestamp_ms), seen.timestamp_ms);
        page.newest_ms = std::max(page.newest_ms.value_or(seen.timestamp_ms), seen.timestamp_ms);
    }
    return {
        .partition = one.at.partition,
        .from = from,
        .to = to,
        .low = one.at.low,
        .end = one.end,
        .gaps = to - from - records,
        .error = one.error,
    };
}

Stopped why_stopped(const ScanPlan::Page& found, std::optional<Stopped> budget) {
    if (found.is_end) return Stopped::end;
    if (found.is_full) return Stopped::limit;
    return budget.value_or(Stopped::error);
}

}  // namespace

std::optional<Seek> parse_seek(std::string_view text, std::chrono::system_clock::time_point now) {
    if (text.empty() || text == "newest") return Seek{};
    if (text == "oldest") return Seek{.kind = Seek::Kind::oldest};
    if (text.starts_with("offset:")) {
        Seek seek{.kind = Seek::Kind::offset};
        text.remove_prefix(7);
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seek.value);
        if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || seek.value < 0)
            return std::nullopt;
        return seek;
    }
    if (text.starts_with("time:")) text.remove_prefix(5);
    const auto time = parse_time(text, now);
    if (!time) return std::nullopt;
    return Seek{.kind = Seek::Kind::time, .value = *time};
}

std::string_view to_string(ScanPage::Stopped stopped) noexcept {
    switch (stopped) {
        case Stopped::limit:
            return "limit";
        case Stopped::end:
            return "end";
        case Stopped::time:
            return "time";
        case Stopped::bytes:
            return "bytes";
        case Stopped::records:
            return "records";
        case Stopped::error:
            return "error";
    }
    return "error";
}

Result<ScanPage> scan(
    RecordSource& source,
    const ScanRequest& request,
    const ScanBudget& budget,
    const std::function<bool()>& is_time_up
) {
    TXS_TRY(auto partitions, positions(source, request));
    ScanPlan plan(request.seek.is_backward(), std::move(partitions), request.limit);
    Scan run(source, request, budget, is_time_up);
    TXS_CHECK(run.run(plan));
    auto found = std::move(plan).finish(budget.page_bytes);
    ScanPage page;
    page.stopped = why_stopped(found, run.stopped());
    for (const auto& one : found.partitions) {
        if (one.at.start >= 0) {
            page.scanned += std::abs(one.at.position - one.at.start);
            page.total += std::abs(one.at.stop - one.at.start);
        }
        page.covered.push_back(covered_of(one, page));
        if (!found.is_end) page.next.push_back(one.at);
    }
    page.matched = request.matched_before + found.records.size();
    page.records = std::move(found.records);
    return page;
}

}  // namespace txstream::console
