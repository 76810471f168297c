#pragma once

#include "console/context.hpp"
#include "console/messages_api.hpp"
#include "console/record_look.hpp"
#include "console/tail_feed.hpp"
#include "http/router.hpp"

#include <boost/asio/steady_timer.hpp>

#include <map>
#include <memory>
#include <string>

namespace txstream::console {

/// Live tails: /topics/{topic}/messages/stream.
///
/// A tail begins at the ends of the partitions, or behind Last-Event-ID: then what came meanwhile
/// is read first, while the topic's feed fills its queue, so nothing is missed or comes twice.
class TailApi {
public:
    static constexpr std::size_t kTailsMax = 20;
    /// Of a tail that goes on: what it reads before it is live. The rest is a gap.
    static constexpr std::int64_t kCatchUpOffsets = 100'000;
    static constexpr std::chrono::seconds kCatchUpTime{15};
    static constexpr std::chrono::seconds kHeartbeat{15};
    static constexpr std::chrono::seconds kProgress{1};

    /// `messages` has the readers for what came while a tail was away.
    TailApi(Context& context, MessagesApi& messages);
    ~TailApi();
    void add_routes(http::Router& router);
    /// After the server has ended all streams.
    Task<> stop();

private:
    struct Stream;
    struct Feeds;

    Task<http::Response> tail(http::Request request);
    /// Where the tail begins, and the low offsets: of a position before that some records are gone.
    Task<Result<std::vector<kafka::PartitionBounds>>> bounds(
        std::string topic, std::vector<std::int32_t> partitions, Deadline deadline
    );
    Task<> run(http::BodyWriter& body, std::shared_ptr<Stream> stream);
    Task<bool> catch_up(http::BodyWriter& body, Stream& stream);
    Task<bool> send(http::BodyWriter& body, Stream& stream);
    /// `skipped` is the stream's total.
    void count(Stream& stream, const std::vector<TailQueue::Item>& items, std::uint64_t skipped)
        const;

    Context& context_;
    MessagesApi& messages_;
    std::shared_ptr<Feeds> feeds_;
};

}  // namespace txstream::console
