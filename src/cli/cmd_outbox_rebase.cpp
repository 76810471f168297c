#include "app/session.hpp"
#include "cli/decision.hpp"
#include "cli/look.hpp"
#include "cli/usage.hpp"
#include "outbox/rebase.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

// `outbox rebase`: show what is wrong and what would be sent, ask, decide.
namespace txstream::cli {

namespace {

// A table of many gigabytes is read, and a part of it is written.
constexpr std::chrono::minutes kTimeout{60};

struct Options {
    std::string reason;
    std::optional<std::int64_t> first_pending;
    bool is_dry_run = false;
    bool is_confirmed = false;
};

std::string preview(const outbox::RebaseSurvey& survey) {
    auto text = fmt::format("{}.\n", survey.why);
    if (survey.is_bound) {
        constexpr double kGiga = 1e9;
        text += fmt::format(
            "At most {} will be sent: the table has {:.1f} GB and is not read for a preview; the "
            "rebase reads it and says how many\n",
            events(static_cast<std::uint64_t>(survey.pending)),
            static_cast<double>(survey.bytes) / kGiga
        );
    } else {
        text += fmt::format(
            "{} will be sent, of {} lanes; {} of them perhaps not for the first time\n",
            events(static_cast<std::uint64_t>(survey.pending)),
            survey.lanes,
            survey.again
        );
    }
    text += fmt::format(
        "{} parked {} so\n",
        events(static_cast<std::uint64_t>(survey.parked)),
        survey.parked == 1 ? "stays" : "stay"
    );
    return text;
}

class Deed {
public:
    Deed(const Config& config, const Options& options) : config_(config), options_(options) {
        rule_.first_pending = options.first_pending;
    }

    int run() {
        outbox::RebaseSurvey survey;
        const auto looked = app::with_session(
            config_,
            kTimeout,
            [&](pg::Connection& session, Deadline deadline) -> Task<Result<>> {
                TXS_CO_TRY(survey, co_await outbox::survey_rebase(session, rule_, deadline));
                co_return Result<>();
            }
        );
        if (!looked) return failed(looked.error());
        if (survey.why.empty()) return nothing_is_wrong();
        fmt::print("{}", preview(survey));
        if (options_.is_dry_run) {
            fmt::print("Nothing was changed: --dry-run.\n");
            return kOk;
        }
        if (!options_.is_confirmed &&
            !is_confirmed_at_terminal("Make this outbox this database's own")) {
            fmt::print("Nothing was changed.\n");
            return kFailed;
        }
        return decide();
    }

private:
    int decide() {
        outbox::Rebased done;
        const auto decided = app::with_session(
            config_,
            kTimeout,
            [&](pg::Connection& session, Deadline deadline) -> Task<Result<>> {
                TXS_CO_TRY(
                    done,
                    co_await outbox::rebase(
                        session, rule_, {actor(), "cli", "", options_.reason}, deadline
                    )
                );
                co_return Result<>();
            }
        );
        if (!decided) return failed(decided.error());
        if (done.why.empty()) return nothing_is_wrong();
        fmt::print(
            "Decided: {} will be sent, {} of them perhaps not for the first time.\n",
            events(static_cast<std::uint64_t>(done.pending)),
            done.again
        );
        if (done.renumbered > 0)
            fmt::print(
                "{} written here had ids that were given before; they have new ones, in their "
                "order.\n",
                events(static_cast<std::uint64_t>(done.renumbered))
            );
        fmt::print("Next: start the relays; txstream outbox stats\n");
        return kOk;
    }

    static int nothing_is_wrong() {
        fmt::print("Nothing to decide: the outbox is this database's own. Nothing was changed.\n");
        return kOk;
    }

    int failed(const Error& error) const {
        // It names the role itself: none of ours has these rights.
        if (error.origin() == "42501" || error.code() == Code::timed_out) return report(error);
        return report(explained(config_, error, "the owner of the tables"));
    }

    const Config& config_;
    const Options& options_;
    outbox::RebaseRule rule_;
};

int run_rebase(const Globals& globals, const Options& options) {
    if (const auto complaint = complaint_of_reason(options.reason)) return refuse(*complaint);
    if (!options.is_dry_run && !options.is_confirmed && !has_terminal()) return refuse(kNoTerminal);
    const auto loaded = read_config(globals);
    if (!loaded) return kUsage;
    return Deed(loaded->config, options).run();
}

}  // namespace

void add_outbox_rebase(CLI::App& line, const Globals& globals, Run& run) {
    auto& verb = *group(line, "outbox", "Look at the outbox, and drop what is old")
                      .add_subcommand(
                          "rebase",
                          "After a restore: make the outbox this database's own, and send what was "
                          "not published"
                      );
    const auto options = std::make_shared<Options>();
    verb.add_option("--reason", options->reason, "Why, for the audit")->type_name("TEXT");
    verb.add_option(
            "--first-pending",
            options->first_pending,
            "Events with lower ids were published, all others were not; otherwise the cursors of "
            "the copy decide"
    )
        ->type_name("ID")
        ->check([](const std::string& text) -> std::string {
            std::int64_t id = 0;
            if (CLI::detail::lexical_cast(text, id) && id > 0) return "";
            return text + " is not allowed; allowed is the number of an event, such as 1842";
        });
    auto* rehearsal = verb.add_flag("--dry-run", options->is_dry_run, "Only show what it would be");
    verb.add_flag("-y,--yes", options->is_confirmed, "Without a question")->excludes(rehearsal);
    explain(
        verb,
        "  txstream outbox rebase --dry-run       what is wrong, and what would be sent\n"
        "  txstream outbox rebase --yes --reason 'restored from the backup of Monday'\n",
        {kOk, kFailed, kUsage, kNotFound, kRefused, kUnreachable, kPrecondition, kTimedOut}
    );
    verb.callback([&globals, &run, options] {
        run = [&globals, options] { return run_rebase(globals, *options); };
    });
}

}  // namespace txstream::cli
