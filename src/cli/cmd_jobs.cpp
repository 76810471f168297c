#include "app/session.hpp"
#include "cli/decision.hpp"
#include "cli/look.hpp"
#include "cli/usage.hpp"
#include "domain/timestamp.hpp"
#include "operations/dead_letters.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

// `jobs list`, `jobs get`, `jobs cancel`: decisions about dead letters, and how far each is.
namespace txstream::cli {

namespace {

constexpr int kLimitMost = 1000;
constexpr int kMostId = std::numeric_limits<int>::max();

struct ListOptions {
    int limit = 50;
    std::optional<int> before;
    std::optional<std::string> state;
};

struct CancelOptions {
    int id = 0;
    std::string reason;
    std::string timeout = "10s";
};

Json time_json(std::optional<outbox::Time> time) {
    if (!time || !domain::has_rfc3339(*time)) return nullptr;
    std::string text;
    domain::append_rfc3339(text, *time);
    return text;
}

Json text_json(const std::string& text) {
    return text.empty() ? Json(nullptr) : Json(text);
}

Json job_json(const outbox::Job& job) {
    auto selection = Json::parse(job.selection, nullptr, false);
    if (selection.is_discarded()) selection = job.selection;
    return Json{
        {"id", std::to_string(job.id)},
        {"kind", outbox::to_string(job.decision)},
        {"state", outbox::to_string(job.state)},
        {"selection", std::move(selection)},
        {"total", job.total},
        {"decided", job.decided},
        {"waiting", job.waiting},
        {"carried_out", job.carried_out},
        {"parked_again", job.parked_again},
        {"rate", job.rate ? Json(*job.rate) : Json(nullptr)},
        {"actor", job.actor},
        {"login", job.login},
        {"origin", job.origin},
        {"reason", text_json(job.reason)},
        {"created_at", time_json(job.created_at)},
        {"started_at", time_json(job.started_at)},
        {"decided_at", time_json(job.decided_at)},
        {"ended_at", time_json(job.ended_at)},
        {"cancelled_at", time_json(job.cancelled_at)},
        {"cancelled_by", text_json(job.cancelled_by)},
        {"cancel_reason", text_json(job.cancel_reason)},
        {"runner", text_json(job.runner)},
        {"error", text_json(job.error)},
    };
}

Task<Result<Answer>> list(Look look, std::shared_ptr<const ListOptions> options) {
    const auto limit = static_cast<std::size_t>(options->limit);
    outbox::JobFilter filter;
    filter.before = options->before;
    if (options->state) filter.state = outbox::parse_job_state(*options->state);
    TXS_CO_TRY(auto jobs, co_await outbox::jobs(look.session, filter, limit + 1, look.deadline));
    Answer answer;
    auto& listing = answer.listing;
    listing.columns = {
        {"JOB", "/id"},
        {"WHAT", "/kind"},
        {"STATE", "/state"},
        {"EVENTS", "/total", Shown::number},
        {"DECIDED", "/decided", Shown::number},
        {"DONE", "/carried_out", Shown::number},
        {"AGAIN", "/parked_again", Shown::number},
        {"MADE", "/created_at", Shown::ago},
        {"ACTOR", "/actor"},
        {"SELECTION", "/selection"},
        {"REASON", "/reason"}
    };
    listing.none = "there are no jobs; each replay and each discard is one";
    if (jobs.size() > limit) {
        jobs.resize(limit);
        listing.note = "there are older ones: --before " + std::to_string(jobs.back().id);
    }
    for (const auto& job : jobs) listing.rows.push_back(job_json(job));
    co_return answer;
}

Task<Result<Answer>> get(Look look, std::shared_ptr<const int> id) {
    TXS_CO_TRY(const auto job, co_await outbox::job(look.session, *id, look.deadline));
    if (!job) co_return fail(Code::not_found, fmt::format("there is no job {}", *id));
    Answer answer;
    auto& listing = answer.listing;
    listing.is_one = true;
    listing.columns = {
        {"job", "/id"},
        {"what", "/kind"},
        {"state", "/state"},
        {"error", "/error"},
        {"selection", "/selection"},
        {"events", "/total", Shown::number},
        {"decided", "/decided", Shown::number},
        {"not carried out", "/waiting", Shown::number},
        {"carried out", "/carried_out", Shown::number},
        {"parked again", "/parked_again", Shown::number},
        {"events a second", "/rate", Shown::number},
        {"actor", "/actor"},
        {"login", "/login"},
        {"reason", "/reason"},
        {"made", "/created_at", Shown::ago},
        {"started", "/started_at", Shown::ago},
        {"ended", "/ended_at", Shown::ago},
        {"cancelled", "/cancelled_at", Shown::ago},
        {"cancelled by", "/cancelled_by"},
        {"why cancelled", "/cancel_reason"},
        {"relay", "/runner"}
    };
    listing.rows.push_back(job_json(*job));
    co_return answer;
}

int cancel(const Globals& globals, const CancelOptions& options) {
    if (const auto complaint = complaint_of_reason(options.reason)) return refuse(*complaint);
    const auto loaded = read_config(globals);
    if (!loaded) return kUsage;
    std::optional<outbox::Job> job;
    const auto done = app::with_session(
        loaded->config,
        *parse_span(options.timeout),
        [&](pg::Connection& session, Deadline deadline) -> Task<Result<>> {
            operations::Authority authority{actor(), "cli", options.reason};
            TXS_CO_TRY(
                job,
                co_await operations::cancel(session, options.id, std::move(authority), deadline)
            );
            co_return Result<>();
        }
    );
    if (!done) return report(explained(loaded->config, done.error(), "txstream_operator"));
    fmt::print(
        "Cancelled: job {}. {} of {} were decided, and are carried out; the others stay parked.\n",
        job->id,
        job->decided,
        events(job->total)
    );
    return kOk;
}

void add_list(CLI::App& jobs, const Globals& globals, Run& run) {
    const auto options = std::make_shared<ListOptions>();
    auto& verb = add_look(
        jobs,
        globals,
        run,
        {"list",
         "The newest first: what, how far it is, who and why",
         "  txstream jobs list\n"
         "  txstream jobs list --state running -o json\n"},
        [options](Look look) { return list(look, options); }
    );
    allow_words(
        *verb.add_option("--state", options->state, "Only in this state"),
        {"waiting", "running", "done", "cancelled", "failed"}
    );
    allow_numbers(
        *verb.add_option("--limit", options->limit, "Rows")->capture_default_str(), 1, kLimitMost
    );
    allow_numbers(
        *verb.add_option("--before", options->before, "Only jobs before this one"), 1, kMostId
    );
}

void add_get(CLI::App& jobs, const Globals& globals, Run& run) {
    const auto id = std::make_shared<int>();
    auto& verb = add_look(
        jobs,
        globals,
        run,
        {"get",
         "One job: what was asked for, and what became of it",
         "  txstream jobs get 7\n"
         "  txstream jobs get 7 -o json | jq '.carried_out'\n"},
        [id](Look look) { return get(look, id); }
    );
    allow_numbers(*verb.add_option("job", *id, "Its number")->required(), 1, kMostId);
}

void add_cancel(CLI::App& jobs, const Globals& globals, Run& run) {
    auto& verb = *jobs.add_subcommand(
        "cancel", "Decide about no more events; those that are decided are carried out"
    );
    const auto options = std::make_shared<CancelOptions>();
    allow_numbers(*verb.add_option("job", options->id, "Its number")->required(), 1, kMostId);
    verb.add_option("--reason", options->reason, "Why, for the audit")->type_name("TEXT");
    allow_timeouts(*verb.add_option("--timeout", options->timeout, "How long it may take")
                        ->capture_default_str());
    explain(
        verb,
        "  txstream jobs cancel 7 --reason 'too fast for the consumers'\n",
        {kOk, kUsage, kNotFound, kRefused, kUnreachable, kPrecondition, kTimedOut}
    );
    verb.callback([&globals, &run, options] {
        run = [&globals, options] { return cancel(globals, *options); };
    });
}

}  // namespace

void add_jobs(CLI::App& line, const Globals& globals, Run& run) {
    auto& jobs = group(line, "jobs", "Replays and discards: how far each is");
    add_list(jobs, globals, run);
    add_get(jobs, globals, run);
    add_cancel(jobs, globals, run);
}

}  // namespace txstream::cli
