#include "app/session.hpp"
#include "cli/usage.hpp"
#include "outbox/retention.hpp"
#include "runtime/timer.hpp"

#include <CLI/CLI.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <unistd.h>

namespace txstream::cli {

namespace {

using namespace std::chrono_literals;
using outbox::PartitionState;
using outbox::Retention;
using outbox::RetentionState;

// Validating the bound of a large partition takes its time.
constexpr std::chrono::minutes kTimeout{30};
// How long transactions that use the outbox are waited for, over many tries.
constexpr std::chrono::seconds kPatience{30};
constexpr std::chrono::milliseconds kBetweenTries{500};

struct Options {
    bool is_rehearsal = false;
    bool is_confirmed = false;
};

std::string size_of(std::uint64_t bytes) {
    constexpr double kMega = 1e6;
    return fmt::format("{:.1f} MB", static_cast<double>(bytes) / kMega);
}

std::string_view in_words(PartitionState::Kept kept) {
    switch (kept) {
        case PartitionState::Kept::no:
            return "is dropped";
        case PartitionState::Kept::in_use:
            return "stays: in use";
        case PartitionState::Kept::age:
            return "stays: not old enough";
        case PartitionState::Kept::cursor:
            return "stays: not published in all lanes";
        case PartitionState::Kept::letter:
            return "stays: a dead letter of it waits";
        case PartitionState::Kept::always:
            return "stays: events are kept forever";
    }
    return "";
}

void show(const RetentionState& state) {
    fmt::print("{} partitions, {}\n", state.partitions, size_of(state.bytes));
    for (const auto& one : state.filled) {
        const auto ended =
            one.closed_at
                ? fmt::format(
                      "{:%FT%TZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(*one.closed_at))
                  )
                : std::string("-");
        fmt::print(
            "  {:<28} {:>12}  ended {:<20}  {}\n",
            one.name,
            size_of(one.bytes),
            ended,
            in_words(one.kept)
        );
    }
    if (!state.filled.empty() && state.filled.front().kept != PartitionState::Kept::no)
        fmt::print("The oldest stays: {}\n", outbox::why_kept(state));
}

std::size_t droppable(const RetentionState& state) {
    return static_cast<std::size_t>(
        std::ranges::count(state.filled, PartitionState::Kept::no, &PartitionState::kept)
    );
}

/// One step, tried again while the outbox is in use.
Task<Result<Retention::Step>> step_with_patience(
    pg::Connection& session, const Retention& retention, Deadline deadline
) {
    const auto until = Deadline::in(kPatience);
    while (true) {
        TXS_CO_TRY(auto step, co_await retention.step(session, deadline));
        const bool is_waiting =
            step.action == Retention::Action::locked || step.action == Retention::Action::busy;
        if (!is_waiting) co_return step;
        if (until.passed())
            co_return fail(
                Code::timed_out,
                "the outbox is in use by a transaction that stays open, or by a dump "
                "(pg_stat_activity has it); nothing more was dropped. The relay goes on trying"
            );
        runtime::Timer timer(
            co_await asio::this_coro::executor, Deadline::Clock::now() + kBetweenTries
        );
        co_await timer.async_wait(asio::use_awaitable);
    }
}

Task<Result<>> drop_all(pg::Connection& session, const Retention& retention, Deadline deadline) {
    while (true) {
        TXS_CO_TRY(const auto step, co_await step_with_patience(session, retention, deadline));
        if (step.action == Retention::Action::foreign)
            co_return fail(
                Code::conflict,
                "the outbox is not this cluster's, or is refused: `txstream outbox rebase` decides "
                "it (docs/schema.md, \"After a restore\"); nothing was dropped"
            );
        if (step.action == Retention::Action::dropped && !step.partitions.empty())
            fmt::print("dropped {}\n", step.partitions);
        if (!step.has_worked()) co_return Result<>();
    }
}

bool is_agreed(const Options& options, std::size_t partitions) {
    if (options.is_confirmed) return true;
    fmt::print("Drop {} partitions with their events? [y/N] ", partitions);
    std::fflush(stdout);
    std::string answer;
    return std::getline(std::cin, answer) && (answer == "y" || answer == "yes");
}

int prune(const Config& config, const Options& options) {
    const auto age = config.retention.events;
    if (age.count() == 0)
        return report(Error(Code::invalid_input, "OUTBOX_RETENTION is 0: events are kept forever")
        );
    if (!options.is_rehearsal && !options.is_confirmed && isatty(STDIN_FILENO) == 0)
        return report(Error(
            Code::invalid_input,
            "nobody can be asked here; say --yes to drop what is old, or --dry-run to see it"
        ));
    const auto done = app::with_session(
        config,
        kTimeout,
        [&](pg::Connection& session, Deadline deadline) -> Task<Result<>> {
            const Retention retention(
                {.events = age, .positions = {}, .dead_letters = {}, .audit = {}}
            );
            TXS_CO_TRY(const auto state, co_await outbox::read_retention(session, age, deadline));
            show(state);
            if (options.is_rehearsal) co_return Result<>();
            if (droppable(state) == 0) {
                fmt::print("Nothing to drop.\n");
                co_return Result<>();
            }
            if (!is_agreed(options, droppable(state))) {
                fmt::print("Nothing was dropped.\n");
                co_return Result<>();
            }
            co_return co_await drop_all(session, retention, deadline);
        }
    );
    return done ? static_cast<int>(kOk) : report(done.error());
}

}  // namespace

void add_outbox_prune(CLI::App& line, const Globals& globals, Run& run) {
    auto* verb =
        group(line, "outbox", "Look at the outbox, and drop what is old")
            .add_subcommand(
                "prune",
                "Drop partitions older than OUTBOX_RETENTION now; relays do it every minute"
            );
    const auto options = std::make_shared<Options>();
    auto* rehearsal = verb->add_flag(
        "--dry-run",
        options->is_rehearsal,
        "Show the partitions and what keeps each; change nothing"
    );
    verb->add_flag("--yes", options->is_confirmed, "Do not ask")->excludes(rehearsal);
    explain(
        *verb,
        "  txstream outbox prune --dry-run        what keeps the oldest partition\n"
        "  txstream outbox prune --yes\n"
        "  OUTBOX_RETENTION=1d txstream outbox prune\n",
        {kOk, kFailed, kUsage, kNotFound, kRefused, kUnreachable, kTimedOut}
    );
    verb->callback([&globals, &run, options] {
        run = [&globals, options] {
            const auto loaded = load_config(globals);
            return loaded ? prune(loaded->config, *options) : static_cast<int>(kUsage);
        };
    });
}

}  // namespace txstream::cli
