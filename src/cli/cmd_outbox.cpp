#include "cli/event_listing.hpp"
#include "cli/look.hpp"
#include "cli/threshold.hpp"
#include "cli/usage.hpp"
#include "console/json.hpp"
#include "outbox/backlog.hpp"
#include "outbox/members.hpp"
#include "outbox/situation.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <utility>

namespace txstream::cli {

namespace {

constexpr int kRowsMax = 1000;

// ---- list

struct ListOptions {
    std::vector<std::string> states;
    std::vector<std::string> types;
    std::vector<std::string> topics;
    std::string key;
    std::string since;
    int rows = 50;
};

Task<Result<Answer>> list(Look look, std::shared_ptr<const ListOptions> options) {
    outbox::EventFilter filter;
    filter.types = options->types;
    filter.topics = options->topics;
    for (const auto& word : options->states)
        filter.states.push_back(*outbox::parse_event_state(word));
    if (!options->key.empty()) filter.key = options->key;
    if (!options->since.empty()) filter.created_from = since_of(options->since);
    TXS_CO_TRY(
        const auto matches,
        co_await search(look, std::move(filter), static_cast<std::size_t>(options->rows))
    );
    Answer answer;
    answer.listing = events_listing(matches, look.config);
    co_return answer;
}

void add_list(CLI::App& outbox, const Globals& globals, Run& run) {
    const auto options = std::make_shared<ListOptions>();
    auto& verb = add_look(
        outbox,
        globals,
        run,
        {"list",
         "Events, newest first",
         "  txstream outbox list --status pending\n"
         "  txstream outbox list --type OrderCreated --since 10m -o json | jq -r '.[].event_id'\n"},
        [options](Look look) { return list(look, options); }
    );
    const auto add_words = [&](const char* name, auto& member, const char* what) {
        return verb.add_option(name, member, what)->allow_extra_args(false);
    };
    allow_words(
        *add_words("--status", options->states, "Only events in this state; may be repeated"),
        {"pending", "published", "parked", "replaying", "replayed", "discarded"}
    );
    add_words("--type", options->types, "Only of this event type; may be repeated")
        ->type_name("NAME");
    add_words("--topic", options->topics, "Only for this topic; may be repeated")
        ->type_name("NAME");
    verb.add_option("--key", options->key, "Only of this key")->type_name("KEY");
    allow_since(*verb.add_option("--since", options->since, "Only events written since then"));
    allow_numbers(
        *verb.add_option("--limit", options->rows, "At most so many")->capture_default_str(),
        1,
        kRowsMax
    );
}

// ---- get

void add_get(CLI::App& outbox, const Globals& globals, Run& run) {
    const auto text = std::make_shared<std::string>();
    auto& verb = add_look(
        outbox,
        globals,
        run,
        {"get",
         "One event: its state, payload, and where it went",
         "  txstream outbox get 7.1234\n"
         "  txstream outbox get 5b1f0c1e-8f64-4f2e-9d1b-0c6f6a0a4b11 -o json | jq "
         "'.publication'\n"},
        [text](Look look) -> Task<Result<Answer>> {
            TXS_CO_TRY(auto event, co_await find_event(look, *parse_event_name(*text), *text));
            co_return co_await event_answer(look, std::move(event));
        }
    );
    allow_event_names(*verb.add_option("event", *text, "ID, ID.XID or event_id")->required());
}

// ---- stats

constexpr std::array kFigures = {
    Figure{"pending"},
    Figure{"oldest_pending", true},
    Figure{"parked"},
    Figure{"lanes_unowned"},
    Figure{"relays_alive"},
};
using Figures = std::map<std::string, double>;

Task<Result<Json>> read_stats(Look look) {
    outbox::BacklogMeter meter;
    TXS_CO_TRY(const auto backlog, co_await meter.measure(look.session, look.deadline));
    TXS_CO_TRY(const auto situation, co_await outbox::read_situation(look.session, look.deadline));
    TXS_CO_TRY(const auto relays, co_await outbox::count_members(look.session, look.deadline));
    TXS_CO_TRY(const auto sizes, co_await outbox::table_sizes(look.session, look.deadline));
    Json oldest_at = nullptr;
    Json oldest_s = nullptr;
    if (backlog.oldest_pending > 0) {
        const auto at = outbox::Moment(
            std::chrono::microseconds(static_cast<std::int64_t>(backlog.oldest_pending * 1e6))
        );
        const std::chrono::duration<double> age = situation.now - at;
        oldest_at = console::rfc3339(at);
        oldest_s = std::max(age.count(), 0.0);
    }
    co_return Json{
        {"pending", backlog.pending},
        {"is_estimate", backlog.is_estimate},
        {"oldest_pending_at", std::move(oldest_at)},
        {"oldest_pending", std::move(oldest_s)},
        {"parked", backlog.parked},
        {"appended", backlog.appended},
        {"settled", backlog.settled},
        {"lanes", situation.lanes},
        {"lanes_unowned", situation.lanes - situation.lanes_owned},
        {"relays_alive", relays.alive},
        {"relays_silent", relays.silent},
        {"newest_event_at", console::time_or_null(situation.newest_event_at)},
        {"advanced_at", console::time_or_null(situation.advanced_at)},
        {"is_refused", situation.is_foreign},
        {"refused_why", situation.refused_why.empty() ? Json(nullptr) : Json(situation.refused_why)
        },
        {"outbox_bytes", sizes.outbox_bytes},
        {"dead_letters_bytes", sizes.dead_letters_bytes},
        {"positions_bytes", sizes.positions_bytes},
    };
}

/// What is beyond its limit, in words; empty: nothing is.
std::string found_by(const std::vector<std::string>& texts, const Json& stats) {
    std::vector<std::string> found;
    for (const auto& text : texts) {
        const auto threshold = parse_threshold(text, kFigures);
        const auto& value = stats[threshold->name];
        // Without an event that waits, its age is none.
        const auto number = value.is_null() ? 0.0 : value.get<double>();
        const auto* const figure = std::ranges::find(kFigures, threshold->name, &Figure::name);
        if (is_beyond(*threshold, number))
            found.push_back(fmt::format(
                "{} is {:.{}f}{} ({})",
                threshold->name,
                number,
                figure->is_span ? 1 : 0,
                figure->is_span ? " s" : "",
                threshold->text
            ));
    }
    return fmt::format("{}", fmt::join(found, "; "));
}

Task<Result<Answer>> stats(Look look, std::shared_ptr<const std::vector<std::string>> limits) {
    TXS_CO_TRY(auto figures, co_await read_stats(look));
    Answer answer;
    answer.complaint = found_by(*limits, figures);
    if (!answer.complaint.empty()) answer.code = kFound;
    answer.listing = {
        .columns =
            {{"pending", "/pending", Shown::number},
             {"is_estimate", "/is_estimate"},
             {"oldest_pending", "/oldest_pending", Shown::seconds},
             {"parked", "/parked", Shown::number},
             {"appended", "/appended", Shown::number},
             {"settled", "/settled", Shown::number},
             {"lanes", "/lanes", Shown::number},
             {"lanes_unowned", "/lanes_unowned", Shown::number},
             {"relays_alive", "/relays_alive", Shown::number},
             {"relays_silent", "/relays_silent", Shown::number},
             {"newest_event", "/newest_event_at", Shown::ago},
             {"advanced", "/advanced_at", Shown::ago},
             {"refused", "/refused_why"},
             {"outbox_bytes", "/outbox_bytes", Shown::bytes},
             {"dead_letters_bytes", "/dead_letters_bytes", Shown::bytes},
             {"positions_bytes", "/positions_bytes", Shown::bytes}},
        .rows = {std::move(figures)},
        .is_one = true
    };
    co_return answer;
}

void add_stats(CLI::App& outbox, const Globals& globals, Run& run) {
    const auto limits = std::make_shared<std::vector<std::string>>();
    const std::string examples =
        "  txstream outbox stats\n"
        "  txstream outbox stats --fail-if 'oldest_pending>60s' --fail-if 'parked>0'\n";
    auto& verb = add_look(
        outbox,
        globals,
        run,
        {"stats", "How many events wait, since when, and who delivers them", examples},
        [limits](Look look) { return stats(look, limits); }
    );
    explain(
        verb,
        examples,
        {kOk, kFailed, kUsage, kNotFound, kRefused, kUnreachable, kPrecondition, kTimedOut, kFound}
    );
    std::vector<std::string_view> names;
    for (const auto& figure : kFigures) names.push_back(figure.name);
    verb.add_option(
            "--fail-if",
            *limits,
            fmt::format(
                "Exit code 8 where this is true; of {}; may be repeated", fmt::join(names, ", ")
            )
    )
        ->allow_extra_args(false)
        ->type_name("LIMIT")
        ->check([](const std::string& text) -> std::string {
            const auto parsed = parse_threshold(text, kFigures);
            return parsed ? "" : parsed.error().what();
        });
}

}  // namespace

void add_outbox(CLI::App& line, const Globals& globals, Run& run) {
    auto& outbox = group(line, "outbox", "Look at the events: which wait, and where they went");
    add_list(outbox, globals, run);
    add_get(outbox, globals, run);
    add_stats(outbox, globals, run);
}

}  // namespace txstream::cli
