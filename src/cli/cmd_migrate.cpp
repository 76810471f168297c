#include "app/migrations.hpp"
#include "app/session.hpp"
#include "cli/usage.hpp"
#include "outbox/lane_store.hpp"
#include "outbox/structure.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string_view>

namespace txstream::cli {

namespace {

// A table of many gigabytes may take its time.
constexpr std::chrono::minutes kTimeout{60};

struct Options {
    std::string only;
    std::optional<int> lanes;
};

std::vector<pg::MigrationSet> sets_of(const Options& options) {
    return app::migration_sets(options.only, options.lanes.value_or(app::kLanesStandard));
}

/// PostgreSQL says what was denied, but neither to whom nor what to do about it.
int report(const Config& config, const Error& error, std::string_view remedy) {
    if (error.origin() != "42501") return cli::report(error);
    const auto denied =
        std::min(error.what().find("permission denied"), error.what().find("must be"));
    return cli::report(Error(
        error.code(),
        fmt::format(
            "{} ({}); {}",
            denied == std::string::npos ? error.what() : error.what().substr(denied),
            config.database.where(),
            remedy
        ),
        error.origin()
    ));
}

constexpr std::string_view kReadRemedy =
    "the role needs USAGE on schema txstream and SELECT on txstream.schema_migrations";
constexpr std::string_view kValidateRemedy =
    "the role needs USAGE on schema txstream, SELECT on its tables, and CREATE on the database: "
    "what "
    "the migrations make is made, compared and rolled back";
std::string change_remedy(const Config& config) {
    return fmt::format(
        "migrate as the owner of the schema txstream; who makes it needs GRANT CREATE ON DATABASE "
        "{0} TO {1}, for the orders GRANT CREATE ON SCHEMA public TO {1}, and CREATEROLE where the "
        "roles of docs/schema.md are missing",
        config.database.name,
        config.database.user
    );
}

bool is_applied(const std::vector<pg::MigrationState>& states, std::string_view set) {
    return std::ranges::any_of(states, [&](const auto& one) {
        return one.set == set && one.is_applied;
    });
}

// Another number would send a key down two lanes; who asks for it is told before anything is done.
Task<Result<>> check_lanes(pg::Connection& session, std::optional<int> wanted, Deadline deadline) {
    if (!wanted) co_return Result<>();
    TXS_CO_TRY(
        const auto states,
        co_await pg::migration_status(session, app::migration_sets("outbox"), deadline)
    );
    if (!is_applied(states, "outbox")) co_return Result<>();
    TXS_CO_TRY(const auto lanes, co_await outbox::lane_count(session, deadline));
    if (static_cast<int>(lanes) == *wanted) co_return Result<>();
    co_return fail(
        Code::invalid_input,
        fmt::format(
            "the outbox of this database has {} lanes, fixed when it was made; --lanes {} needs a "
            "new database",
            lanes,
            *wanted
        )
    );
}

// For a service with tables of its own, which this is the first thing that it has of us.
constexpr std::string_view kOutboxNext = R"(
Next:
  1. Let your service write events (its role's name instead of my_service):
       GRANT txstream_writer TO my_service;
  2. Append the first one, in the transaction that changes your tables:
       SELECT txstream.publish('Invoice', 'invoice-1', 'InvoiceCreated', '{"total": 42}');
  3. Deliver: txstream relay)";

/// What is applied, and what was left out on purpose and is not.
std::string summary(
    const std::vector<pg::MigrationState>& states, const Options& options, bool has_applied
) {
    std::set<std::string> pending;
    for (const auto& one : states) {
        if (!one.is_applied) pending.insert(one.set);
    }
    if (pending.empty())
        return has_applied ? "The schema is up to date. Next: txstream serve"
                           : "Nothing to do: the schema is up to date.";
    return fmt::format(
        "The set {} is up to date. Left out by --only and pending: {}{}",
        options.only,
        fmt::join(pending, ", "),
        options.only == "outbox" ? kOutboxNext : ""
    );
}

int up(const Config& config, const Options& options) {
    std::vector<pg::MigrationState> applied;
    std::vector<pg::MigrationState> states;
    const auto done = app::with_session(
        config,
        kTimeout,
        [&](pg::Connection& session, Deadline deadline) -> Task<Result<>> {
            TXS_CO_CHECK(co_await check_lanes(session, options.lanes, deadline));
            TXS_CO_TRY(applied, co_await pg::migrate_up(session, sets_of(options), deadline));
            TXS_CO_TRY(
                states, co_await pg::migration_status(session, app::migration_sets(), deadline)
            );
            co_return Result<>();
        }
    );
    if (!done) return report(config, done.error(), change_remedy(config));
    for (const auto& one : applied)
        fmt::print("applied {} {:04}_{}\n", one.set, one.version, one.name);
    fmt::print("{}\n", summary(states, options, !applied.empty()));
    return kOk;
}

int status(const Config& config, const Options& options) {
    std::vector<pg::MigrationState> states;
    const auto done = app::with_session(
        config,
        kTimeout,
        [&](pg::Connection& session, Deadline deadline) -> Task<Result<>> {
            TXS_CO_TRY(states, co_await pg::migration_status(session, sets_of(options), deadline));
            co_return Result<>();
        }
    );
    if (!done) return report(config, done.error(), kReadRemedy);
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

int validate(const Config& config, const Options& options) {
    std::vector<std::string> left_out;
    std::vector<std::string> differences;
    const auto done = app::with_session(
        config,
        kTimeout,
        [&](pg::Connection& session, Deadline deadline) -> Task<Result<>> {
            TXS_CO_TRY(
                auto compared, co_await app::compare_schema(session, options.only, deadline)
            );
            left_out = std::move(compared.left_out);
            differences = std::move(compared.differences);
            if (options.only == "orders") co_return Result<>();
            auto structure = co_await outbox::check_structure(session, deadline);
            if (structure || structure.error().origin() != "outbox_structure") co_return structure;
            differences.push_back(structure.error().what());
            co_return Result<>();
        }
    );
    if (!differences.empty()) {
        return cli::report(Error(
            Code::conflict,
            fmt::format(
                "the database differs from what this txstream's migrations make; undo each, or "
                "make it again as shown:\n  {}",
                fmt::join(differences, "\n  ")
            ),
            "schema_differs"
        ));
    }
    if (!done) return report(config, done.error(), kValidateRemedy);
    fmt::print("The schema is what this txstream expects.\n");
    if (!left_out.empty())
        fmt::print("Not applied here, and not looked at: {}\n", fmt::join(left_out, ", "));
    return kOk;
}

int sql(const Options& options) {
    fmt::print("{}", pg::migration_script(sets_of(options)));
    return kOk;
}

}  // namespace

namespace {

constexpr std::initializer_list<Exit> kMigrateCodes{
    kOk, kFailed, kUsage, kNotFound, kRefused, kUnreachable, kPrecondition, kTimedOut
};

void add_options(CLI::App& verb, Options& options, bool has_lanes) {
    allow_words(
        *verb.add_option("--only", options.only, "Only this set of tables"), {"outbox", "orders"}
    );
    if (!has_lanes) return;
    verb.add_option(
            "--lanes",
            options.lanes,
            fmt::format(
                "Lanes of a new outbox, a power of two up to 256; fixed afterwards [{}]",
                app::kLanesStandard
            )
    )
        ->type_name("NUMBER")
        ->check([](const std::string& text) -> std::string {
            int lanes = 0;
            if (CLI::detail::lexical_cast(text, lanes) && app::is_lane_count(lanes)) return "";
            return text + " is not allowed; allowed is a power of two from 1 to 256";
        });
}

}  // namespace

void add_migrate(CLI::App& line, const Globals& globals, Run& run) {
    auto* migrate = line.add_subcommand("migrate", "Make or update the tables");
    migrate->require_subcommand(1);
    explain(
        *migrate,
        "  txstream migrate up                    all tables\n"
        "  txstream migrate up --only outbox      for a service with tables of its own\n"
        "  txstream migrate status\n",
        kMigrateCodes
    );
    const auto options = std::make_shared<Options>();
    const auto add = [&](const char* name,
                         const char* what,
                         std::string_view examples,
                         int (*work)(const Config&, const Options&)) {
        auto* verb = migrate->add_subcommand(name, what);
        verb->callback([&globals, &run, options, work] {
            run = [&globals, options, work] {
                const auto loaded = load_config(globals);
                return loaded ? work(loaded->config, *options) : static_cast<int>(kUsage);
            };
        });
        explain(*verb, examples, kMigrateCodes);
        return verb;
    };
    add_options(
        *add(
            "up",
            "Apply what is pending; safe to run anywhere, any number of times",
            "  txstream migrate up\n"
            "  txstream migrate up --only outbox --lanes 64\n",
            up
        ),
        *options,
        true
    );
    add_options(
        *add(
            "status", "What is applied and what is pending", "  txstream migrate status\n", status
        ),
        *options,
        false
    );
    add_options(
        *add(
            "validate",
            "Exit code 6 unless the schema is exactly what this binary expects",
            "  txstream migrate validate              of sets that were never applied, only a "
            "note\n"
            "  txstream migrate validate --only outbox\n",
            validate
        ),
        *options,
        false
    );
    auto* verb =
        migrate->add_subcommand("sql", "Print the SQL, for those who apply it by other means");
    verb->callback([&run, options] { run = [options] { return sql(*options); }; });
    add_options(*verb, *options, true);
    explain(
        *verb,
        "  txstream migrate sql --only outbox > outbox.sql\n"
        "  txstream migrate sql | psql -v ON_ERROR_STOP=1 mydb\n",
        {kOk, kUsage}
    );
}

}  // namespace txstream::cli
