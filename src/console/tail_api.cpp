#include "console/tail_api.hpp"

#include "console/json.hpp"
#include "console/message_query.hpp"
#include "domain/json_writer.hpp"
#include "runtime/wakeup.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace txstream::console {

namespace {

using Clock = std::chrono::steady_clock;
using Item = TailQueue::Item;
using namespace std::chrono_literals;

constexpr std::size_t kShownMax = std::size_t{64} << 10;
constexpr std::size_t kPieceBytes = std::size_t{256} << 10;
constexpr std::size_t kChunkRecords = 500;

void append_event(
    std::string& out, std::string_view event, const Positions& positions, std::string_view data
) {
    out.append("id: ").append(to_text(positions));
    out.append("\nevent: ").append(event).append("\ndata: ").append(data).append("\n\n");
}

std::string gap_text(const Item& gap) {
    std::string text;
    domain::JsonWriter(text)
        .begin_object()
        .key("partition")
        .integer(gap.partition)
        .key("from")
        .string(std::to_string(gap.from))
        .key("to")
        .string(std::to_string(gap.to))
        .key("reason")
        .string(gap.reason)
        .end_object();
    return text;
}

/// `positions` are those behind the items before this one.
void append_item(std::string& out, const Item& item, Positions& positions) {
    switch (item.kind) {
        case Item::Kind::record:
            positions[item.partition] = item.to;
            append_event(out, "record", positions, *item.text);
            break;
        case Item::Kind::gap:
            positions[item.partition] = item.to;
            append_event(out, "gap", positions, gap_text(item));
            break;
        case Item::Kind::problem:
            append_event(out, "problem", positions, *item.text);
            break;
    }
}

/// A part of what came while a tail was away.
struct Chunk {
    std::vector<Item> items;
    Positions positions;
    std::uint64_t received = 0;
    std::uint64_t matched = 0;
};

/// From `positions` up to `until`, as far as a moment goes.
Result<Chunk> read_chunk(
    kafka::RecordReader& reader,
    const std::string& topic,
    const RecordLook& look,
    const Positions& from,
    const Positions& until
) {
    const auto deadline = Deadline::in(kKafkaTimeout);
    Chunk chunk;
    chunk.positions = from;
    std::vector<kafka::ReadRange> ranges;
    for (const auto& [partition, position] : from) {
        if (const auto at = until.find(partition); at != until.end() && position < at->second)
            ranges.push_back({.partition = partition, .from = position, .to = at->second});
    }
    TXS_CHECK(reader.start(topic, ranges));
    std::size_t open = ranges.size();
    const auto moment = Clock::now() + 500ms;
    std::size_t bytes = 0;
    while (open > 0 && chunk.items.size() < kChunkRecords && bytes < kPieceBytes) {
        if (deadline.passed()) return fail(Code::timed_out, "records were not read in time");
        if (chunk.received > 0 && Clock::now() >= moment) break;
        auto step = reader.next(50ms);
        if (auto* record = std::get_if<kafka::FetchedRecord>(&step)) {
            const auto partition = record->partition;
            const auto offset = record->offset;
            ++chunk.received;
            chunk.positions[partition] = offset + 1;
            const auto found = look(std::move(*record));
            if (!found) continue;
            ++chunk.matched;
            auto text = std::make_shared<std::string>();
            append_record(*text, topic, *found);
            bytes += text->size();
            chunk.items.push_back(
                {.partition = partition, .from = offset, .to = offset + 1, .text = std::move(text)}
            );
        } else if (const auto* reached = std::get_if<kafka::Reached>(&step)) {
            chunk.positions[reached->partition] = until.at(reached->partition);
            --open;
        } else if (const auto* failed = std::get_if<kafka::ReadFailed>(&step)) {
            if (!failed->is_out_of_range) return tl::unexpected(failed->error);
            const auto partition = failed->partition;
            TXS_TRY(const auto bounds, reader.bounds(topic, {partition}, deadline));
            const auto to = std::min(bounds[0].low, until.at(partition));
            auto& position = chunk.positions[partition];
            chunk.items.push_back(
                {.kind = Item::Kind::gap,
                 .partition = partition,
                 .from = position,
                 .to = to,
                 .text = {},
                 .reason = "expired"}
            );
            position = to;
            break;
        }
    }
    reader.stop();
    return chunk;
}

}  // namespace

/// The feeds by topic. Belongs to the console's thread, and outlives the api as long as streams do.
struct TailApi::Feeds : std::enable_shared_from_this<Feeds> {
    Feeds(asio::any_io_executor of, const Metrics& counted)
        : executor(std::move(of)), metrics(counted) {}

    TailFeed& feed(
        const std::string& topic,
        const std::function<Result<kafka::Properties>()>& properties,
        const Positions& begin
    ) {
        auto& feed = active[topic];
        if (!feed) {
            const auto id = ++ids;
            feed = std::make_unique<TailFeed>(
                topic,
                properties,
                begin,
                kShownMax,
                [weak = weak_from_this(), id, to = executor] {
                    asio::post(to, [weak, id] {
                        if (const auto feeds = weak.lock()) feeds->ending.erase(id);
                    });
                }
            );
            ids_of[topic] = id;
        }
        return *feed;
    }

    void leave(const std::string& topic, const TailFeed::Tail* tail) {
        const auto at = active.find(topic);
        if (at == active.end() || at->second->remove(tail) > 0) return;
        at->second->end();
        ending.emplace(ids_of[topic], std::move(at->second));
        active.erase(at);
    }

    asio::any_io_executor executor;
    const Metrics& metrics;
    std::map<std::string, std::unique_ptr<TailFeed>> active;
    std::map<std::string, std::uint64_t> ids_of;
    /// Whose threads have yet to disconnect; joined when they have.
    std::map<std::uint64_t, std::unique_ptr<TailFeed>> ending;
    std::uint64_t ids = 0;
    std::size_t streams = 0;
};

struct TailApi::Stream {
    Stream(std::shared_ptr<Feeds> of, std::string of_topic, RecordLook with, Positions begin)
        : feeds(std::move(of)),
          topic(std::move(of_topic)),
          look(std::move(with)),
          wakeup(std::make_shared<runtime::Wakeup>(feeds->executor)),
          positions(begin) {
        ++feeds->streams;
        feeds->metrics.tails(1);
        auto wake = [executor = feeds->executor, weak = std::weak_ptr(wakeup)] {
            asio::post(executor, [weak] {
                if (const auto waiting = weak.lock()) waiting->notify();
            });
        };
        tail = std::make_shared<const TailFeed::Tail>(TailFeed::Tail{
            .queue = std::make_shared<TailQueue>(std::move(begin), std::move(wake)),
            .masks = look.masks(),
            .filter = look.filter(),
        });
    }
    ~Stream() {
        --feeds->streams;
        feeds->metrics.tails(-1);
        feeds->leave(topic, tail.get());
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    std::shared_ptr<Feeds> feeds;
    std::string topic;
    RecordLook look;
    std::shared_ptr<runtime::Wakeup> wakeup;
    std::shared_ptr<const TailFeed::Tail> tail;
    Positions positions;         ///< behind what was sent
    Positions live;              ///< from where on the feed's records are in the queue
    std::vector<Item> gaps;      ///< known before it began
    TailQueue::Progress before;  ///< what it read before it was live
    std::uint64_t received_then = 0;
    std::uint64_t skipped_then = 0;
    Clock::time_point progress_then = Clock::now() - kProgress;
    Clock::time_point heartbeat_at = Clock::now() + kHeartbeat;
};

TailApi::TailApi(Context& context, MessagesApi& messages)
    : context_(context),
      messages_(messages),
      feeds_(std::make_shared<Feeds>(context.executor, context.metrics)) {
}

TailApi::~TailApi() = default;

void TailApi::add_routes(http::Router& router) {
    router.add(
        http::Method::get,
        "/api/console/v1/topics/{topic}/messages/stream",
        [this](http::Request request) { return tail(std::move(request)); },
        http::Role::viewer,
        http::Router::Answer::stream
    );
}

Task<> TailApi::stop() {
    for (auto& [topic, feed] : feeds_->active) {
        feed->end();
        feeds_->ending.emplace(feeds_->ids_of[topic], std::move(feed));
    }
    feeds_->active.clear();
    const auto deadline = Deadline::in(10s);
    while (!feeds_->ending.empty() && !deadline.passed()) {
        asio::steady_timer timer(context_.executor, 20ms);
        co_await timer.async_wait(asio::use_awaitable);
    }
}

Task<Result<std::vector<kafka::PartitionBounds>>> TailApi::bounds(
    std::string topic, std::vector<std::int32_t> partitions, Deadline deadline
) {
    co_return co_await messages_.offload().run(
        [readers = messages_.readers(),
         topic = std::move(topic),
         partitions = std::move(partitions),
         deadline]() mutable -> Result<std::vector<kafka::PartitionBounds>> {
            const auto until = Deadline::in(kKafkaTimeout).sooner(deadline);
            TXS_TRY(auto reader, readers->lease());
            TXS_TRY(auto all, reader->partitions(topic, until));
            // The feed reads them all, so all are measured.
            return reader->bounds(topic, all, until);
        },
        deadline
    );
}

Task<http::Response> TailApi::tail(http::Request request) {
    auto query = read_message_query(
        request,
        {.limit_most = 1, .limit_standard = 1, .has_cursor = false},
        std::chrono::system_clock::now()
    );
    if (!query) co_return std::move(query).error();
    const auto* masks = request.caller.role == http::Role::operator_ ? nullptr : &messages_.masks();
    RecordLook look(masks, query->filter, kShownMax);
    if (look.asks_for_masked())
        co_return problem(
            403,
            "forbidden",
            "this filter asks for what is masked (CONSOLE_MASK)",
            Json{{"field", "filter"}}
        );
    const auto last =
        request.query("last_event_id").value_or(request.header("Last-Event-ID").value_or(""));
    Positions resumed;
    if (!last.empty()) {
        auto parsed = parse_positions(last);
        if (!parsed) co_return invalid("last_event_id", "this is no id of an event of a live tail");
        resumed = std::move(*parsed);
    }
    if (feeds_->streams >= kTailsMax)
        co_return problem(
            429,
            "overloaded",
            "all " + std::to_string(kTailsMax) +
                " live tails are in use; close one, or try again later"
        );
    messages_.close_idle_later();
    auto measured = co_await bounds(query->topic, query->partitions, request.deadline);
    if (!measured) co_return problem_of(measured.error());
    Positions ends;
    Positions begin;
    std::vector<Item> gaps;
    for (const auto& known : *measured) {
        ends[known.partition] = known.error ? TailFeed::kUnknown : known.end;
        if (known.error) continue;
        if (!query->partitions.empty() &&
            std::ranges::find(query->partitions, known.partition) == query->partitions.end())
            continue;
        auto& position = begin[known.partition];
        position = known.end;
        if (resumed.empty()) continue;
        // Of a partition that came since, all is news.
        const auto at = resumed.find(known.partition);
        position = at == resumed.end() ? known.low : at->second;
        Item gap{.kind = Item::Kind::gap, .partition = known.partition, .text = {}, .reason = {}};
        if (position < known.low) {
            gap.from = position;
            gap.reason = "expired";
        } else if (position > known.end) {
            gap.from = known.low;
            gap.reason = "not_kept";
        } else {
            continue;
        }
        gap.to = position = known.low;
        gaps.push_back(gap);
    }
    if (begin.empty())
        co_return problem(503, "unavailable", "none of these partitions has a leader at present");
    if (begin.size() > kSearchedPartitionsMax)
        co_return invalid(
            "p",
            "name at most " + std::to_string(kSearchedPartitionsMax) +
                " of this topic's partitions in p"
        );
    auto stream = std::make_shared<Stream>(feeds_, query->topic, std::move(look), std::move(begin));
    stream->gaps = std::move(gaps);
    // From here on the feed's records are kept for it.
    stream->live = feeds_->feed(query->topic, context_.kafka_properties, ends).add(stream->tail);
    http::Response response(200, "text/event-stream", {});
    response.with("X-Accel-Buffering", "no");
    response.stream = [this, stream](http::BodyWriter& body) { return run(body, stream); };
    co_return response;
}

Task<> TailApi::run(http::BodyWriter& body, std::shared_ptr<Stream> stream) {
    std::string text = "retry: 2000\n: a live tail\n\n";
    for (const auto& gap : stream->gaps) append_item(text, gap, stream->positions);
    if (!co_await body.write(text)) co_return;
    if (!co_await catch_up(body, *stream)) co_return;
    while (body.is_open()) {
        if (!co_await send(body, *stream)) co_return;
        co_await stream->wakeup->wait(stream->progress_then + kProgress);
    }
    (void)co_await body.write("event: end\ndata: {}\n\n");
}

Task<bool> TailApi::catch_up(http::BodyWriter& body, Stream& stream) {
    const auto& live = stream.live;
    const auto until = Deadline::in(kCatchUpTime);
    std::int64_t left = kCatchUpOffsets;
    const auto is_behind = [&] {
        return std::ranges::any_of(stream.positions, [&](const auto& at) {
            const auto found = live.find(at.first);
            return found != live.end() && at.second < found->second;
        });
    };
    while (is_behind() && body.is_open()) {
        if (left <= 0 || until.passed()) break;
        auto chunk = co_await messages_.offload().run(
            [readers = messages_.readers(),
             topic = stream.topic,
             look = stream.look,
             from = stream.positions,
             live = stream.live]() -> Result<Chunk> {
                TXS_TRY(auto reader, readers->lease());
                return read_chunk(*reader, topic, look, from, live);
            },
            until.sooner(Deadline::in(2 * kKafkaTimeout))
        );
        std::string text;
        if (!chunk) {
            append_event(text, "problem", stream.positions, problem_of(chunk.error()).body);
            if (!co_await body.write(text)) co_return false;
            asio::steady_timer pause(context_.executor, 1s);
            co_await pause.async_wait(asio::use_awaitable);
            continue;
        }
        for (const auto& item : chunk->items) append_item(text, item, stream.positions);
        count(stream, chunk->items, stream.before.skipped);
        for (const auto& [partition, position] : chunk->positions) {
            left -= position - stream.positions[partition];
            stream.positions[partition] = position;
        }
        stream.before.received += chunk->received;
        stream.before.matched += chunk->matched;
        if (!text.empty() && !co_await body.write(text)) co_return false;
    }
    // It was away for too long: the rest is named.
    std::string text;
    for (auto& [partition, position] : stream.positions) {
        const auto at = live.find(partition);
        if (at == live.end() || position >= at->second) continue;
        const Item gap{
            .kind = Item::Kind::gap,
            .partition = partition,
            .from = position,
            .to = at->second,
            .text = {},
            .reason = "skipped"
        };
        stream.before.skipped += static_cast<std::uint64_t>(gap.to - gap.from);
        append_item(text, gap, stream.positions);
    }
    co_return text.empty() || co_await body.write(text);
}

void TailApi::count(
    Stream& stream, const std::vector<TailQueue::Item>& items, std::uint64_t skipped
) const {
    const auto sent = std::ranges::count(items, Item::Kind::record, &Item::kind);
    context_.metrics.sent(static_cast<std::uint64_t>(sent));
    context_.metrics.skipped(skipped - stream.skipped_then);
    stream.skipped_then = skipped;
}

Task<bool> TailApi::send(http::BodyWriter& body, Stream& stream) {
    auto& queue = *stream.tail->queue;
    const auto now = Clock::now();
    std::string text;
    auto drained = stream.positions;
    const auto items = queue.drain(kPieceBytes, drained);
    for (const auto& item : items) append_item(text, item, stream.positions);
    stream.positions = std::move(drained);
    const auto live = queue.progress();
    count(stream, items, stream.before.skipped + live.skipped);
    if (now >= stream.progress_then + kProgress && !live.is_in_trouble) {
        const auto received = stream.before.received + live.received;
        const std::chrono::duration<double> span = now - stream.progress_then;
        const Json progress{
            {"received", number(received)},
            {"matched", number(stream.before.matched + live.matched)},
            {"skipped", number(stream.before.skipped + live.skipped)},
            {"lag", number(live.lag)},
            {"per_second", static_cast<double>(received - stream.received_then) / span.count()},
        };
        append_event(text, "progress", stream.positions, progress.dump());
        stream.received_then = received;
    }
    if (now >= stream.progress_then + kProgress) stream.progress_then = now;
    if (now >= stream.heartbeat_at) {
        text += ": heartbeat\n\n";
        stream.heartbeat_at = now + kHeartbeat;
    }
    if (!text.empty() && !co_await body.write(text)) co_return false;
    // There is more: no wait.
    if (items.size() > 1 && text.size() >= kPieceBytes) stream.wakeup->notify();
    co_return true;
}

}  // namespace txstream::console
