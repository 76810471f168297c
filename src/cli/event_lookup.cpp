#include "cli/event_lookup.hpp"

#include "console/json.hpp"
#include "console/overview.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

namespace txstream::cli {

namespace {

using enum outbox::EventState;

outbox::EventFilter filter_of(const EventName& name) {
    outbox::EventFilter filter;
    filter.id = name.id;
    filter.ref = name.ref;
    filter.event_id = name.event_id;
    return filter;
}

std::chrono::milliseconds part_of(Deadline deadline, double share) {
    const std::chrono::duration<double> left = deadline.left();
    return std::chrono::duration_cast<std::chrono::milliseconds>(left * share);
}

}  // namespace

std::optional<EventName> parse_event_name(std::string_view text) {
    // A search without qualifiers knows the same three.
    if (text.find_first_of(" :\",") != std::string_view::npos) return std::nullopt;
    auto parsed = outbox::parse_event_filter(text, {});
    const auto& filter = parsed.filter;
    if (parsed.error || (!filter.id && !filter.ref && !filter.event_id)) return std::nullopt;
    return EventName{filter.id, filter.ref, filter.event_id};
}

void allow_event_names(CLI::Option& option) {
    option.type_name("EVENT");
    option.check([](const std::string& text) -> std::string {
        if (parse_event_name(text)) return "";
        return visible(text) +
               " is not allowed; an event is named by its number (7), by ID.XID (7.1234, as lists "
               "have it) or by its event_id";
    });
}

Task<Result<Matches>> search(
    Look look, outbox::EventFilter filter, std::size_t rows, double share, bool in_every_lane
) {
    outbox::EventSearch asked{
        .filter = std::move(filter),
        .default_topic = look.config.kafka.topic,
        .in_every_lane = in_every_lane
    };
    asked.limits.rows = rows;
    asked.limits.time = part_of(look.deadline, share);
    TXS_CO_TRY(
        auto found, co_await outbox::search_events(look.session, std::move(asked), look.deadline)
    );
    Matches matches{std::move(found.events), {}};
    if (found.before && matches.events.size() < rows)
        matches.limit = fmt::format(
            "the newest {} events were searched{}; older ones were not",
            console::grouped(found.searched),
            found.back_to ? ", back to " + console::rfc3339(*found.back_to) : ""
        );
    co_return matches;
}

Task<Result<Matches>> search_dead(Look look, outbox::EventFilter filter, std::size_t rows) {
    filter.states = {parked, replaying, replayed, discarded};
    co_return co_await search(look, std::move(filter), rows, kShare, true);
}

Task<Result<outbox::EventRow>> find_event(Look look, EventName name, std::string text) {
    // Dead letters are few beside the events, and found without a walk.
    TXS_CO_TRY(auto matches, co_await search_dead(look, filter_of(name), 2));
    if (matches.events.empty() || name.id) {
        TXS_CO_TRY(auto others, co_await search(look, filter_of(name), 2));
        for (auto& one : others.events) {
            const bool is_known =
                !matches.events.empty() && matches.events.front().event_id == one.event_id;
            if (!is_known) matches.events.push_back(std::move(one));
        }
        matches.limit = std::move(others.limit);
    }
    if (matches.events.size() > 1) {
        std::vector<std::string> refs;
        for (const auto& one : matches.events) refs.push_back(outbox::event_ref(one.seq));
        co_return fail(
            Code::invalid_input,
            fmt::format("{} names several events; name one of {}", text, fmt::join(refs, ", "))
        );
    }
    if (matches.events.empty())
        co_return fail(
            Code::not_found,
            fmt::format(
                "there is no event {}{}",
                visible(text),
                matches.limit.empty() ? ": retention may have dropped it" : ": " + matches.limit
            )
        );
    co_return std::move(matches.events.front());
}

}  // namespace txstream::cli
