#include "outbox/append.hpp"

namespace txstream::outbox {

namespace {

constexpr pg::Statement kAppend{
    "txs_append",
    "INSERT INTO txstream.outbox (event_id, aggregate_type, aggregate_id, event_type, payload,"
    " metadata, headers, topic, key)"
    " VALUES (coalesce(nullif($1, '')::uuid, gen_random_uuid()), $2, $3, $4, $5::json,"
    " nullif($6, '')::json, $7::json, $8, $9)"
};

}  // namespace

pg::Connection::Step append_step(NewEvent event) {
    pg::Params params;
    params.add(std::move(event.event_id));
    params.add(std::move(event.aggregate_type));
    params.add(std::move(event.aggregate_id));
    params.add(std::move(event.event_type));
    params.add(std::move(event.payload));
    params.add(std::move(event.metadata));
    params.add(event.headers);
    params.add(event.topic);
    params.add(event.key);
    return {kAppend, std::move(params)};
}

}  // namespace txstream::outbox
