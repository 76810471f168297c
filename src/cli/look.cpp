#include "cli/look.hpp"

#include "app/session.hpp"
#include "base/assert.hpp"
#include "cli/usage.hpp"
#include "domain/timestamp.hpp"
#include "outbox/event_row.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

namespace txstream::cli {

namespace {

constexpr std::chrono::milliseconds kTimeoutMin{100};
constexpr std::chrono::hours kTimeoutMax{1};

struct Options {
    std::string format = format_words().front();
    std::string timeout = "10s";
};

int look(
    const Globals& globals,
    const Options& options,
    const std::function<Task<Result<Answer>>(Look)>& work
) {
    const auto loaded = read_config(globals);
    if (!loaded) return kUsage;
    const auto& config = loaded->config;
    std::optional<Answer> answer;
    const auto done = app::with_session(
        config,
        *parse_span(options.timeout),
        [&](pg::Connection& session, Deadline deadline) -> Task<Result<>> {
            TXS_CO_CHECK(co_await session.run_script(outbox::kConsoleSettings, deadline));
            TXS_CO_TRY(answer, co_await work(Look{config, session, deadline}));
            co_return Result<>();
        }
    );
    if (!done) return report(explained(config, done.error()));
    const auto& listing = answer->listing;
    fmt::print("{}", render(listing, format_of(options.format), screen_of_output()));
    if (listing.rows.empty() && !listing.none.empty())
        fmt::print(stderr, "txstream: {}\n", visible(listing.none));
    if (!listing.note.empty()) fmt::print(stderr, "txstream: {}\n", visible(listing.note));
    if (!answer->complaint.empty()) fmt::print(stderr, "txstream: {}\n", answer->complaint);
    return answer->code;
}

}  // namespace

Error explained(const Config& config, const Error& error, std::string_view role) {
    const auto& origin = error.origin();
    const auto where = config.database.where();
    if (origin == "42P01" || origin == "3F000" || origin == "42703" || origin == "42883")
        return {
            Code::rejected,
            fmt::format(
                "{} ({}); `txstream migrate status` says what is applied, `txstream migrate up` "
                "makes the tables",
                error.what(),
                where
            ),
            "schema_missing"
        };
    if (origin == "42501")
        return {
            error.code(),
            fmt::format(
                "{0} ({1}); this needs the rights of {2}: GRANT {2} TO {3}",
                error.what(),
                where,
                role,
                config.database.user
            ),
            origin
        };
    // The server's timers, which our deadline has set.
    if (origin == "57014" || origin == "55P03")
        return {
            Code::timed_out,
            error.what() + "; a table is locked, or the server is busy: --timeout waits longer",
            origin
        };
    if (origin == "22021")
        return {Code::invalid_input, "what is looked for is not UTF-8, or holds a NUL", origin};
    return error;
}

void allow_timeouts(CLI::Option& option) {
    option.type_name("SPAN");
    option.check([](const std::string& text) -> std::string {
        const auto span = parse_span(text);
        if (span && *span >= kTimeoutMin && *span <= kTimeoutMax) return "";
        return text + " is not allowed; allowed is a span from 100ms to 1h, such as 30s";
    });
}

void allow_since(CLI::Option& option) {
    option.type_name("SPAN|TIME");
    option.check([](const std::string& text) -> std::string {
        if (parse_span(text) || domain::parse_rfc3339(text)) return "";
        return text +
               " is not allowed; allowed is a span such as 90s, 10m, 2h or 7d, or a time such as "
               "2026-01-31T12:00:00Z";
    });
}

std::chrono::sys_time<std::chrono::microseconds> since_of(std::string_view text) {
    const auto now = std::chrono::system_clock::now();
    if (const auto span = parse_span(text))
        return std::chrono::floor<std::chrono::microseconds>(now) - *span;
    const auto time = domain::parse_rfc3339(text);
    TXS_ASSERT(time, "allow_since() has let it pass");
    return *time;
}

CLI::App& add_look(
    CLI::App& group,
    const Globals& globals,
    Run& run,
    const LookingVerb& verb,
    std::function<Task<Result<Answer>>(Look)> work
) {
    auto& made = *group.add_subcommand(verb.name, verb.what);
    const auto options = std::make_shared<Options>();
    allow_words(
        *made.add_option("-o,--output", options->format, "Form of the output")
             ->capture_default_str(),
        format_words()
    );
    allow_timeouts(
        *made.add_option("--timeout", options->timeout, "For connecting and looking, in all")
             ->capture_default_str()
    );
    explain(
        made,
        verb.examples,
        {kOk, kFailed, kUsage, kNotFound, kRefused, kUnreachable, kPrecondition, kTimedOut}
    );
    made.callback([&globals, &run, options, work = std::move(work)] {
        run = [&globals, options, work] { return look(globals, *options, work); };
    });
    return made;
}

}  // namespace txstream::cli
