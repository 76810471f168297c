#include "cli/event_listing.hpp"
#include "cli/look.hpp"
#include "cli/usage.hpp"
#include "console/event_json.hpp"
#include "console/settings.hpp"

#include <CLI/CLI.hpp>

#include <memory>
#include <utility>

namespace txstream::cli {

namespace {

constexpr int kRowsMax = 1000;

/// What remedies name.
console::Settings settings_of(const Config& config) {
    console::Settings settings;
    settings.topic = config.kafka.topic;
    settings.brokers = config.kafka.brokers;
    settings.message_bytes_max = config.kafka.message_bytes_max;
    return settings;
}

Task<Result<Answer>> groups(Look look) {
    TXS_CO_TRY(
        const auto found, co_await outbox::dead_letter_groups(look.session, {}, look.deadline)
    );
    Answer answer;
    answer.listing = {
        .columns =
            {{"ERROR", "/error_class"},
             {"TYPE", "/event_type"},
             {"TOPIC", "/topic"},
             {"STATE", "/state"},
             {"EVENTS", "/events/value", Shown::number},
             {"KEYS", "/keys/value", Shown::number},
             {"FIRST", "/first_at", Shown::ago},
             {"LAST", "/last_at", Shown::ago},
             {"EXAMPLE", "/example/ref"}},
        .none = "there are no dead letters",
        .note = found.is_complete ? "" : "there are more causes; only the first 100 are here"
    };
    const auto settings = settings_of(look.config);
    for (const auto& one : found.groups)
        answer.listing.rows.push_back(console::dead_letter_group(one, settings));
    co_return answer;
}

struct ListOptions {
    outbox::DeadLetterFilter filter;
    std::string state;
    int rows = 50;
};

Task<Result<Answer>> list(Look look, std::shared_ptr<const ListOptions> options) {
    auto filter = options->filter;
    if (!options->state.empty()) filter.state = outbox::parse_event_state(options->state);
    // Events that name no topic go to the default one.
    if (filter.topic == look.config.kafka.topic) filter.topic = "";
    Answer answer;
    auto& listing = answer.listing;
    listing.columns = {
        {"EVENT", "/ref"},
        {"STATE", "/state"},
        {"ERROR", "/error_class"},
        {"ATTEMPTS", "/attempts", Shown::number},
        {"LAST", "/last_attempt_at", Shown::ago},
        {"TYPE", "/event_type"},
        {"KEY", "/key"},
        {"TOPIC", "/topic"},
        {"HOLDS", "/holds"},
        {"TEXT", "/error"}
    };
    listing.none = "no such dead letters";
    const auto rows = static_cast<std::size_t>(options->rows);
    std::optional<EventSeq> before;
    // A page that is walked to may be short and not the last.
    do {
        TXS_CO_TRY(
            const auto found,
            co_await outbox::dead_letters(
                look.session, filter, before, {.rows = rows - listing.rows.size()}, look.deadline
            )
        );
        for (const auto& letter : found.letters)
            listing.rows.push_back(console::dead_letter(letter, look.config.kafka.topic));
        before = found.before;
    } while (before && listing.rows.size() < rows);
    if (before) listing.note = "there are more; --limit shows them";
    co_return answer;
}

Task<Result<Answer>> get(Look look, std::shared_ptr<const std::string> text) {
    TXS_CO_TRY(auto event, co_await find_event(look, *parse_event_name(*text), *text));
    if (event.state == outbox::EventState::pending || event.state == outbox::EventState::published)
        co_return fail(
            Code::not_found,
            visible(*text) + " is no dead letter: the event is " +
                std::string(outbox::to_string(event.state)) + "; txstream outbox get shows it"
        );
    co_return co_await event_answer(look, std::move(event));
}

void add_list(CLI::App& letters, const Globals& globals, Run& run) {
    const auto options = std::make_shared<ListOptions>();
    auto& verb = add_look(
        letters,
        globals,
        run,
        {"list",
         "Events that were moved aside, newest first",
         "  txstream dead-letters list --state parked\n"
         "  txstream dead-letters list --error-class MSG_SIZE_TOO_LARGE -o csv > parked.csv\n"},
        [options](Look look) { return list(look, options); }
    );
    allow_words(
        *verb.add_option("--state", options->state, "Only in this state"),
        {"parked", "replaying", "replayed", "discarded"}
    );
    auto& filter = options->filter;
    verb.add_option("--error-class", filter.error_class, "Only of this class of errors")
        ->type_name("NAME");
    verb.add_option("--type", filter.event_type, "Only of this event type")->type_name("NAME");
    verb.add_option("--topic", filter.topic, "Only for this topic")->type_name("NAME");
    verb.add_option("--key", filter.key, "Only of this key")->type_name("KEY");
    allow_numbers(
        *verb.add_option("--limit", options->rows, "At most so many")->capture_default_str(),
        1,
        kRowsMax
    );
}

}  // namespace

void add_dead_letters(CLI::App& line, const Globals& globals, Run& run) {
    auto& letters = group(line, "dead-letters", "Events that were moved aside, and why");
    add_look(
        letters,
        globals,
        run,
        {"groups",
         "Dead letters by cause: how many, of how many keys, and what repairs it (-o json)",
         "  txstream dead-letters groups\n"
         "  txstream dead-letters groups -o json | jq -r '.[].remedy.text'\n"},
        groups
    );
    add_list(letters, globals, run);
    const auto text = std::make_shared<std::string>();
    auto& verb = add_look(
        letters,
        globals,
        run,
        {"get",
         "One dead letter: its error, what it means, and its content",
         "  txstream dead-letters get 7.1234\n"},
        [text](Look look) { return get(look, text); }
    );
    allow_event_names(*verb.add_option("event", *text, "ID, ID.XID or event_id")->required());
}

}  // namespace txstream::cli
