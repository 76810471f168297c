#pragma once

#include "console/context.hpp"
#include "console/masking.hpp"
#include "console/message_query.hpp"
#include "console/record_look.hpp"
#include "http/router.hpp"
#include "kafka/reader_pool.hpp"
#include "runtime/task_group.hpp"

#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <string>

namespace txstream::console {

/// Searches, single records, downloads and exports: /topics/{topic}/messages… and /filter.
///
/// Reads on threads of its own, so that a search of seconds keeps no other page waiting; as many at
/// one time as there are threads.
class MessagesApi {
public:
    static constexpr std::size_t kReadsAtOnce = 3;
    static constexpr std::size_t kValueShownMax = std::size_t{64} << 10;  ///< in lists
    static constexpr std::size_t kDetailShownMax = std::size_t{1} << 20;  ///< of one record
    static constexpr std::chrono::minutes kExportTime{10};
    static constexpr std::size_t kExportBytes = std::size_t{1} << 30;

    struct Place {
        std::string topic;
        std::int32_t partition = 0;
        std::int64_t offset = 0;
    };
    /// A record, or why there is none.
    struct Answer {
        std::optional<kafka::FetchedRecord> record;
        std::string reason;  ///< expired, not_yet, not_a_record
        std::int64_t low = 0;
        std::int64_t end = 0;
        std::optional<std::int64_t> next;  ///< the next offset that has one
    };

    explicit MessagesApi(Context& context);
    void add_routes(http::Router& router);
    Task<> stop();

    // Shared with live tails.
    const Masks& masks() const noexcept { return masks_; }
    const std::shared_ptr<kafka::ReaderPool>& readers() const noexcept { return readers_; }
    runtime::Offload& offload() noexcept { return offload_; }
    /// Readers that are idle are closed some time after the last call.
    void close_idle_later();

    Task<Result<Answer>> find_record(Place place, Deadline deadline);
    /// Calls `work` with a reader on a thread for such calls; it gives a Result.
    template <class Work>
    auto read(Work work, Deadline deadline) {
        close_idle_later();
        auto call = [readers = readers_, work = std::move(work)](
                    ) -> std::invoke_result_t<const Work&, kafka::RecordReader&> {
            TXS_TRY(auto reader, readers->lease());
            return work(*reader);
        };
        return offload_.run(std::move(call), deadline);
    }

private:
    Task<http::Response> list(http::Request request);
    Task<http::Response> make_list(MessageQuery query, RecordLook look, Deadline deadline);
    Task<http::Response> message(http::Request request);
    Task<http::Response> download(http::Request request);
    Task<http::Response> export_(http::Request request);
    Task<http::Response> check_filter(http::Request request);

    const Masks* masks_for(const http::Request& request) const;
    Task<Result<ScanPage>> read_page(
        MessageQuery query, RecordLook look, std::size_t limit, Deadline deadline
    );
    /// `page` is the first one.
    Task<> write_export(
        http::BodyWriter& body, MessageQuery query, RecordLook look, ScanPage page, bool is_csv
    );
    Task<> close_idle();

    Context& context_;
    const Masks masks_;
    std::shared_ptr<kafka::ReaderPool> readers_;
    runtime::Offload offload_;
    runtime::TaskGroup tasks_;
    bool is_closing_idle_ = false;
};

}  // namespace txstream::console
