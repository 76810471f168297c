#pragma once

#include "base/strong.hpp"
#include "console/context.hpp"
#include "console/messages_api.hpp"
#include "http/router.hpp"

namespace txstream::console {

/// From an event to its record in Kafka, and back. Neither has an index: a publication says between
/// which offsets the record is, and the record says with which key and when the event was written.
class RecordLinksApi {
public:
    static constexpr std::chrono::seconds kTime{8};
    /// Events on either side of the time that the record names.
    static constexpr std::size_t kEventsMax = 20'000;

    RecordLinksApi(Context& context, MessagesApi& messages)
        : context_(context), messages_(messages) {}
    void add_routes(http::Router& router);

private:
    Task<http::Response> record_of_event(http::Request request);
    Task<http::Response> find_record(EventSeq seq, Deadline deadline);
    Task<http::Response> event_of_record(http::Request request);
    Task<http::Response> find_event(MessagesApi::Place place, Deadline deadline);

    Context& context_;
    MessagesApi& messages_;
};

}  // namespace txstream::console
