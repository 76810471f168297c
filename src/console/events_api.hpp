#pragma once

#include "console/context.hpp"
#include "console/masking.hpp"
#include "console/ports.hpp"
#include "http/router.hpp"
#include "outbox/event_search.hpp"

namespace txstream::console {

/// Events: the list with its search, one event, its payload.
class EventsApi {
public:
    /// After it a search ends and says how far it looked, however much time it has left.
    static constexpr std::chrono::seconds kListTime{6};

    /// `orders` may be null: the database has none.
    EventsApi(Context& context, OrdersPort* orders);
    void add_routes(http::Router& router);

private:
    Task<http::Response> list(http::Request request);
    Task<http::Response> make_list(outbox::EventSearch search, std::int64_t now, Deadline deadline);
    Task<http::Response> detail(http::Request request);
    Task<http::Response> make_detail(EventSeq seq, const Masks* masks, Deadline deadline);
    Task<http::Response> download(http::Request request);
    Task<> write_payload(http::BodyWriter& body, EventSeq seq, std::uint64_t size);
    const Masks* masks_for(const http::Request& request) const;

    Context& context_;
    OrdersPort* orders_;
    Masks masks_;
};

}  // namespace txstream::console
