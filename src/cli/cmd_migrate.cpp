#include "app/migrations.hpp"
#include "cli/commands.hpp"
#include "cli/session.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>

namespace txstream::cli {

namespace {

// A table of many gigabytes may take its time.
constexpr std::chrono::minutes kTimeout{60};

struct Options {
    std::string only;
    int lanes = app::kLanesStandard;
};

std::vector<pg::MigrationSet> sets_of(const Options& options) {
    return app::migration_sets(options.only, options.lanes);
}

int up(const app::Config& config, const Options& options) {
    std::vector<pg::MigrationState> applied;
    const auto done = with_session(
        config,
        kTimeout,
        [&](pg::Connection& session, Deadline deadline) -> Task<Result<>> {
            TXS_CO_TRY(applied, co_await pg::migrate_up(session, sets_of(options), deadline));
            co_return Result<>();
        }
    );
    if (!done) return report(done.error());
    for (const auto& one : applied)
        fmt::print("applied {} {:04}_{}\n", one.set, one.version, one.name);
    fmt::print(
        "{}\n",
        applied.empty() ? "Nothing to do: the schema is up to date."
                        : "The schema is up to date. Next: txstream serve"
    );
    return kOk;
}

int status(const app::Config& config, const Options& options) {
    std::vector<pg::MigrationState> states;
    const auto done = with_session(
        config,
        kTimeout,
        [&](pg::Connection& session, Deadline deadline) -> Task<Result<>> {
            TXS_CO_TRY(states, co_await pg::migration_status(session, sets_of(options), deadline));
            co_return Result<>();
        }
    );
    if (!done) return report(done.error());
    for (const auto& one : states) {
        fmt::print(
            "{:<8} {:04}  {:<24} {}\n",
            one.set,
            one.version,
            one.name,
            one.is_applied ? one.applied_at : "pending"
        );
    }
    return kOk;
}

int validate(const app::Config& config, const Options& options) {
    const auto done = with_session(
        config,
        kTimeout,
        [&](pg::Connection& session, Deadline deadline) -> Task<Result<>> {
            co_return co_await pg::check_schema(session, sets_of(options), deadline);
        }
    );
    if (!done) return report(done.error());
    fmt::print("The schema is what this txstream expects.\n");
    return kOk;
}

int sql(const Options& options) {
    for (const auto& set : sets_of(options)) {
        for (const auto& migration : set.migrations) {
            auto text = migration.sql;
            constexpr std::string_view kLanes = "{{lanes}}";
            for (auto at = text.find(kLanes); at != std::string::npos; at = text.find(kLanes, at))
                text.replace(at, kLanes.size(), std::to_string(options.lanes));
            fmt::print("-- {} {:04}_{}\n{}\n", set.name, migration.version, migration.name, text);
        }
    }
    return kOk;
}

}  // namespace

void add_migrate(CLI::App& line, const Globals& globals, Run& run) {
    auto* migrate = line.add_subcommand("migrate", "Make or update the tables");
    migrate->require_subcommand(1);
    const auto options = std::make_shared<Options>();
    const auto add =
        [&](const char* name, const char* what, int (*work)(const app::Config&, const Options&)) {
            auto* verb = migrate->add_subcommand(name, what);
            verb->callback([&globals, &run, options, work] {
                run = [&globals, options, work] {
                    const auto loaded = load_config(globals);
                    return loaded ? work(loaded->config, *options) : static_cast<int>(kUsage);
                };
            });
            return verb;
        };
    std::vector<CLI::App*> verbs{
        add("up", "Apply what is pending; safe to run anywhere, any number of times", up),
        add("status", "What is applied and what is pending", status),
        add("validate",
            "Exit code 6 unless the schema is exactly what this binary expects",
            validate),
    };
    verbs.push_back(
        migrate->add_subcommand("sql", "Print the SQL, for those who apply it by other means")
    );
    verbs.back()->callback([&run, options] { run = [options] { return sql(*options); }; });
    for (auto* verb : verbs) {
        verb->add_option("--only", options->only, "Only this set")
            ->check(CLI::IsMember({"outbox", "orders"}));
        verb->add_option(
                "--lanes",
                options->lanes,
                "Lanes of a new outbox, a power of two up to 256; fixed afterwards"
        )
            ->check([](const std::string& text) {
                int lanes = 0;
                const bool is_number = CLI::detail::lexical_cast(text, lanes);
                return is_number && app::is_lane_count(lanes)
                           ? ""
                           : "lanes must be a power of two from 1 to 256";
            });
    }
}

}  // namespace txstream::cli
