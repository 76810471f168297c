#include "app/orders_port.hpp"
#include "cli/event_lookup.hpp"
#include "cli/usage.hpp"
#include "cli/whereabouts.hpp"
#include "console/relays_json.hpp"
#include "outbox/event_times.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace txstream::cli {

namespace {

/// Of one aggregate or order, the newest.
constexpr std::size_t kRowsMax = 20;

/// By number or id; nothing: there is none, or this database has no orders that we may read.
Task<Result<std::vector<outbox::EventRow>>> events_of_order(Look look, std::string name) {
    std::vector<outbox::EventRow> none;
    const auto orders = app::make_orders_port();
    const auto order = co_await orders->order(look.session, std::move(name), look.deadline);
    if (!order) {
        const auto& error = order.error();
        if (error.code() == Code::not_found || error.origin() == "42501") co_return none;
        co_return tl::unexpected<Error>(error);
    }
    // Its events are next to its own time.
    const outbox::Trail trail{order->order.id, order->order.created_at, {}};
    co_return co_await outbox::events_of_key(look.session, trail, look.deadline);
}

/// Each way in which the text may name events; the first that finds some.
Task<Result<Matches>> find_by(Look look, std::string text) {
    TXS_CO_TRY(auto of_order, co_await events_of_order(look, text));
    if (!of_order.empty()) {
        std::ranges::reverse(of_order);
        co_return Matches{std::move(of_order), {}};
    }
    if (const auto name = parse_event_name(text)) {
        auto event = co_await find_event(look, *name, text);
        if (event) co_return Matches{{std::move(*event)}, {}};
        if (event.error().code() != Code::not_found)
            co_return tl::unexpected<Error>(std::move(event).error());
    }
    outbox::EventFilter filter;
    filter.aggregate = std::move(text);
    TXS_CO_TRY(auto matches, co_await search(look, filter, kRowsMax, kShare, true));
    if (matches.events.empty()) {
        const auto limit = std::move(matches.limit);
        TXS_CO_TRY(matches, co_await search_dead(look, std::move(filter), kRowsMax));
        matches.limit = limit;
    }
    co_return matches;
}

Task<Result<Answer>> find(Look look, std::shared_ptr<const std::string> text) {
    TXS_CO_TRY(auto matches, co_await find_by(look, *text));
    if (matches.events.empty())
        co_return fail(
            Code::not_found,
            fmt::format(
                "no order, event or aggregate is named {}{}",
                visible(*text),
                matches.limit.empty() ? "" : ": " + matches.limit
            )
        );
    if (matches.events.size() > kRowsMax) matches.events.resize(kRowsMax);
    TXS_CO_TRY(const auto relays, co_await console::read_relays(look.session, look.deadline));
    Answer answer;
    auto& listing = answer.listing;
    listing.columns = {
        {"EVENT", "/ref"},
        {"TYPE", "/event_type"},
        {"STATE", "/state"},
        {"SINCE", "/since", Shown::ago},
        {"WHERE", "/where"}
    };
    listing.note = matches.limit;
    for (const auto& event : matches.events) {
        const auto detail = co_await outbox::event_detail(
            look.session,
            event.seq,
            {.payload_bytes = 1, .event_bytes_max = 0, .neighbours = 0},
            look.deadline
        );
        if (!detail && detail.error().code() != Code::not_found)
            co_return tl::unexpected<Error>(detail.error());
        if (detail) listing.rows.push_back(whereabouts(*detail, relays, look.config.kafka.topic));
    }
    // It blocks, and nothing else runs on this loop. Kafka has half of the time that is left, so
    // that what is known without it is told in time.
    find_records(listing.rows, look.config, Deadline::in(look.deadline.left() / 2));
    co_return answer;
}

}  // namespace

void add_events(CLI::App& line, const Globals& globals, Run& run) {
    auto& events = group(line, "events", "Where an event is");
    const auto text = std::make_shared<std::string>();
    auto& verb = add_look(
        events,
        globals,
        run,
        {"find",
         "Where it is: waiting, since when, behind what; or in Kafka, at which offset",
         "  txstream events find ORD-001\n"
         "  txstream events find 5b1f0c1e-8f64-4f2e-9d1b-0c6f6a0a4b11 -o json | jq "
         "'.[].record'\n"},
        [text](Look look) { return find(look, text); }
    );
    verb.add_option("name", *text, "Order number, event (ID, ID.XID, event_id) or aggregate id")
        ->required()
        ->type_name("NAME");
}

}  // namespace txstream::cli
