#include "app/session.hpp"
#include "cli/decision.hpp"
#include "cli/look.hpp"
#include "cli/usage.hpp"
#include "domain/timestamp.hpp"
#include "operations/pauses.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

// `relays pause`, `relays resume`, `relays pauses`.
namespace txstream::cli {

namespace {

using outbox::Pause;

struct Options {
    std::optional<std::string> topic;
    std::optional<std::string> key;
    bool is_all = false;
    std::string reason;
    std::string timeout = "10s";
};

std::optional<Pause> meant(const Options& options) {
    const int given = (options.topic ? 1 : 0) + (options.key ? 1 : 0) + (options.is_all ? 1 : 0);
    if (given != 1) return std::nullopt;
    if (options.topic) return Pause{Pause::Scope::topic, *options.topic};
    if (options.key) return Pause{Pause::Scope::key, *options.key};
    return Pause{};
}

int change(const Globals& globals, const Options& options, bool pauses) {
    const auto what = meant(options);
    if (!what) return refuse("say what: --topic, --key or --all, one of them");
    const auto loaded = read_config(globals);
    if (!loaded) return kUsage;
    const auto& config = loaded->config;
    const auto done = app::with_session(
        config,
        *parse_span(options.timeout),
        [&](pg::Connection& session, Deadline deadline) -> Task<Result<>> {
            const operations::Authority authority{actor(), "cli", options.reason, std::nullopt};
            if (pauses) co_return co_await operations::pause(session, *what, authority, deadline);
            co_return co_await operations::resume(session, *what, authority, deadline);
        }
    );
    if (!done) return report(explained(config, done.error(), "txstream_operator"));
    if (!pauses) {
        fmt::print(
            "Resumed. Relays go on within seconds; what was parked meanwhile is sent first.\n"
        );
    } else if (what->scope == Pause::Scope::everything ||
               (what->scope == Pause::Scope::topic && what->name == config.kafka.topic)) {
        fmt::print("Paused. Relays stop within a second; events wait in the outbox.\n");
    } else {
        fmt::print(
            "Paused. Relays stop within a second; its events wait, and with them later ones of "
            "their keys. Everything else is delivered.\n"
        );
    }
    return kOk;
}

Task<Result<Answer>> list(Look look) {
    TXS_CO_TRY(const auto all, co_await outbox::pause_entries(look.session, look.deadline));
    Answer answer;
    answer.listing.columns = {
        {"WHAT", "/what"},
        {"NAME", "/name"},
        {"SINCE", "/at", Shown::ago},
        {"BY", "/by"},
        {"REASON", "/reason"}
    };
    answer.listing.none = "nothing is paused";
    for (const auto& one : all) {
        std::string at;
        if (domain::has_rfc3339(one.at)) domain::append_rfc3339(at, one.at);
        answer.listing.rows.push_back(
            {{"what", to_string(one.pause.scope)},
             {"name", one.pause.name.empty() ? Json(nullptr) : Json(one.pause.name)},
             {"at", at},
             {"by", one.by},
             {"reason", one.pause.reason}}
        );
    }
    co_return answer;
}

void add_verb(
    CLI::App& group,
    const Globals& globals,
    Run& run,
    bool pauses,
    const char* what,
    std::string_view examples
) {
    auto& verb = *group.add_subcommand(pauses ? "pause" : "resume", what);
    const auto options = std::make_shared<Options>();
    verb.add_option("--topic", options->topic, "Events for this topic")->type_name("TOPIC");
    verb.add_option("--key", options->key, "Events of this key")->type_name("KEY");
    verb.add_flag("--all", options->is_all, "Everything");
    verb.add_option(
            "--reason",
            options->reason,
            pauses ? "Why, for whoever finds events waiting; needed" : "Why, for the audit"
    )
        ->type_name("TEXT");
    allow_timeouts(*verb.add_option("--timeout", options->timeout, "How long it may take")
                        ->capture_default_str());
    explain(
        verb, examples, {kOk, kUsage, kNotFound, kRefused, kUnreachable, kPrecondition, kTimedOut}
    );
    verb.callback([&globals, &run, pauses, options] {
        run = [&globals, pauses, options] { return change(globals, *options, pauses); };
    });
}

}  // namespace

void add_relays_pause(CLI::App& line, const Globals& globals, Run& run) {
    auto& relays = group(line, "relays", "Look at the relays, pause and resume them");
    add_verb(
        relays,
        globals,
        run,
        true,
        "Send nothing any more, or nothing of a topic or key, until it is resumed",
        "  txstream relays pause --topic billing --reason 'the consumer is being migrated'\n"
        "  txstream relays pause --all --reason 'Kafka is being upgraded'\n"
    );
    add_verb(
        relays,
        globals,
        run,
        false,
        "Go on with what was paused",
        "  txstream relays resume --topic billing\n"
        "  txstream relays resume --all\n"
    );
    add_look(
        relays,
        globals,
        run,
        {"pauses", "What is paused, since when, by whom and why", "  txstream relays pauses\n"},
        list
    );
}

}  // namespace txstream::cli
