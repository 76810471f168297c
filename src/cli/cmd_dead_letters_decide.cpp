#include "app/session.hpp"
#include "cli/decision.hpp"
#include "cli/look.hpp"
#include "cli/output.hpp"
#include "cli/usage.hpp"
#include "operations/dead_letters.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>

// `dead-letters replay` and `dead-letters discard`: show what it would be, ask, make the job, and
// say what became of it.
namespace txstream::cli {

namespace {

using outbox::Decision;

constexpr int kMaxMost = static_cast<int>(outbox::kDecisionLettersMax);
constexpr int kRateMost = static_cast<int>(outbox::kJobRateMax);

struct Options {
    operations::Selection selection;
    std::string reason;
    std::string timeout = "60s";
    std::string format = "table";
    std::optional<int> max;
    std::optional<int> rate;
    bool is_dry_run = false;
    bool is_confirmed = false;
    bool is_waiting = false;

    bool is_json() const { return format == "json"; }
};

struct Words {
    const char* name;
    const char* to_be;  ///< "5 events to be ..."
    const char* done;
    const char* after;  ///< what happens next
};
Words words_of(Decision decision) {
    if (decision == Decision::replay)
        return {
            "Replay",
            "replayed",
            "Replayed",
            "The relay that owns their lanes sends them, and the held events behind them."
        };
    return {
        "Discard",
        "discarded",
        "Discarded",
        "The relay that owns their lanes sends the held events behind them."
    };
}

// --- what is asked

std::optional<std::string> complaint_of(Decision decision, const Options& options) {
    if (const auto checked = operations::check(options.selection); !checked)
        return checked.error().what() +
               " (--id, --event; --key, --error-class, --type, --topic; --all)";
    if (decision == Decision::discard && options.reason.empty())
        return "discard needs --reason TEXT: the events are never sent, and the audit says why";
    if (auto wrong = complaint_of_reason(options.reason)) return wrong;
    if (!options.is_dry_run && !options.is_confirmed && !has_terminal())
        return std::string(kNoTerminal);
    return std::nullopt;
}

bool is_confirmed_by_operator(Decision decision, std::uint64_t letters) {
    return is_confirmed_at_terminal(fmt::format("{} {}", words_of(decision).name, events(letters)));
}

// --- what is shown

Json letter_json(const outbox::EventRow& letter, const std::string& default_topic) {
    return Json{
        {"ref", outbox::event_ref(letter.seq)},
        {"event_id", letter.event_id},
        {"event_type", letter.event_type},
        {"key", letter.key},
        {"topic", letter.topic.empty() ? default_topic : letter.topic},
        {"error_class", letter.error_class},
        {"error", letter.error},
        {"attempts", letter.attempts},
    };
}

Json plan_json(const operations::Plan& plan, const std::string& default_topic) {
    auto sample = Json::array();
    for (const auto& letter : plan.counts.sample)
        sample.push_back(letter_json(letter, default_topic));
    return Json{
        {"events", plan.counts.letters},
        {"keys", plan.counts.keys},
        {"held_behind", plan.counts.held},
        {"keys_passed", plan.counts.keys_passed},
        {"left_out", plan.counts.blocked},
        {"sample", std::move(sample)},
    };
}

std::string preview(const operations::Plan& plan, const std::string& default_topic) {
    const auto& counts = plan.counts;
    std::string text;
    if (counts.letters > 0) {
        text += fmt::format(
            "{}: {} of {} {}",
            words_of(plan.decision).name,
            events(counts.letters),
            counts.keys,
            counts.keys == 1 ? "key" : "keys"
        );
        if (counts.held > 0)
            text += fmt::format(
                "; {} held behind them {}", counts.held, counts.held == 1 ? "follows" : "follow"
            );
        if (counts.keys_passed > 0)
            text += fmt::format(
                "; {} newer published events",
                counts.keys_passed == 1 ? "1 key has"
                                        : fmt::format("{} keys have", counts.keys_passed)
            );
        text += ".\n";
        Listing listing;
        listing.columns = {
            {"EVENT", "/ref"},
            {"TYPE", "/event_type"},
            {"KEY", "/key"},
            {"TOPIC", "/topic"},
            {"ERROR", "/error_class"},
            {"TEXT", "/error"}
        };
        for (const auto& letter : counts.sample)
            listing.rows.push_back(letter_json(letter, default_topic));
        text += render(listing, Format::table, screen_of_output());
        if (counts.letters > counts.sample.size())
            text += fmt::format("... and {} more\n", counts.letters - counts.sample.size());
    } else if (counts.blocked == 0) {
        text += "No parked event matches.\n";
    }
    if (counts.blocked > 0)
        text += fmt::format(
            "Left out: {} behind an earlier parked event of the same key that does not match; it "
            "has to be decided first.\n",
            events(counts.blocked)
        );
    return text;
}

// --- what is done

/// How far a job is, for people who wait for it: on the same line of a terminal, elsewhere a line
/// now and then.
class Progress {
public:
    ~Progress() {
        if (is_terminal_ && is_shown_) fmt::print(stderr, "\r\x1b[K");
    }
    void show(const outbox::Job& job) {
        const auto now = Deadline::Clock::now();
        if (job.has_ended() || (!is_terminal_ && now < next_)) return;
        const auto done = job.carried_out + job.parked_again;
        const auto text = fmt::format(
            "job {}: {} of {} ({}%), {} decided",
            job.id,
            done,
            events(job.total),
            done * 100 / job.total,
            job.decided
        );
        fmt::print(
            stderr, "{}{}{}", is_terminal_ ? "\r\x1b[K" : "", text, is_terminal_ ? "" : "\n"
        );
        (void)std::fflush(stderr);
        is_shown_ = true;
        next_ = now + kLineEvery;
    }

private:
    static constexpr std::chrono::seconds kLineEvery{10};

    bool is_terminal_ = isatty(STDERR_FILENO) != 0;
    bool is_shown_ = false;
    Deadline::Clock::time_point next_ = Deadline::Clock::now() + kLineEvery;
};

class Deed {
public:
    Deed(const Config& config, Decision decision, const Options& options)
        : config_(config), decision_(decision), options_(options) {}

    int run() {
        auto selection = options_.selection;
        // Letters of the default topic name none.
        if (selection.topic == config_.kafka.topic) selection.topic = "";
        const auto planned = in_session([&](pg::Connection& session, Deadline deadline) {
            return make_plan(session, selection, deadline);
        });
        if (!planned) return failed(planned.error());
        document_ = Json{
            {"action", to_string(decision_)},
            {"dry_run", options_.is_dry_run},
            {"plan", plan_json(plan_, config_.kafka.topic)},
            {"job", nullptr},
            {"decided", 0},
            {"outcome", nullptr}
        };
        const bool asks = !options_.is_confirmed && !options_.is_dry_run && letters() > 1;
        if (!options_.is_json() || asks)
            fmt::print(
                options_.is_json() ? stderr : stdout, "{}", preview(plan_, config_.kafka.topic)
            );
        if (letters() == 0) return end(kOk, "");
        if (options_.max && letters() > static_cast<std::uint64_t>(*options_.max))
            return failed(Error(
                Code::conflict,
                fmt::format(
                    "{} match, --max allows {}; nothing was changed",
                    events(letters()),
                    *options_.max
                ),
                operations::kLetterOrigin
            ));
        if (options_.is_dry_run) return end(kOk, "Nothing was changed: --dry-run.\n");
        if (asks && !is_confirmed_by_operator(decision_, letters()))
            return end(kFailed, "Nothing was changed.\n");
        return apply();
    }

private:
    std::uint64_t letters() const { return plan_.counts.letters; }

    Result<> in_session(const std::function<Task<Result<>>(pg::Connection&, Deadline)>& work) {
        return app::with_session(
            config_,
            *parse_span(options_.timeout),
            [&](pg::Connection& session, Deadline deadline) -> Task<Result<>> {
                TXS_CO_CHECK(co_await session.run_script(outbox::kDecisionSettings, deadline));
                co_return co_await work(session, deadline);
            }
        );
    }

    Task<Result<>> make_plan(
        pg::Connection& session, operations::Selection selection, Deadline deadline
    ) {
        TXS_CO_TRY(plan_, co_await operations::plan(session, decision_, selection, deadline));
        co_return Result<>();
    }

    Task<Result<>> decide(pg::Connection& session, Deadline deadline) {
        operations::Authority authority{actor(), "cli", options_.reason};
        if (options_.max) authority.letters_max = static_cast<std::uint64_t>(*options_.max);
        authority.rate = options_.rate;
        TXS_CO_TRY(started_, co_await operations::start(session, plan_, authority, deadline));
        co_return Result<>();
    }

    Task<Result<>> wait(pg::Connection& session, Deadline deadline) {
        Progress progress;
        const auto show = [&](const outbox::Job& job) {
            if (!options_.is_json()) progress.show(job);
        };
        TXS_CO_TRY(job_, co_await operations::wait(session, started_.job, show, deadline));
        co_return Result<>();
    }

    int apply() {
        const auto done = in_session([&](pg::Connection& session, Deadline deadline) {
            return decide(session, deadline);
        });
        if (!done && done.error().code() == Code::timed_out)
            return failed(Error(
                Code::timed_out,
                done.error().what() +
                    "; it is not known whether anything was decided: txstream jobs list says it",
                done.error().origin()
            ));
        if (!done) return failed(done.error());
        document_["job"] = std::to_string(started_.job);
        document_["decided"] = started_.is_decided ? started_.letters : 0;
        if (started_.is_decided) {
            tell(fmt::format(
                "Decided: {} to be {}. {}\n",
                events(started_.letters),
                words_of(decision_).to_be,
                words_of(decision_).after
            ));
        } else {
            tell(fmt::format(
                "Job {}: {} to be {}. Relays decide about them step by step{}.\n",
                started_.job,
                events(started_.letters),
                words_of(decision_).to_be,
                options_.rate ? fmt::format(", {} a second at most", *options_.rate) : ""
            ));
        }
        if (options_.is_waiting) return wait_for_outcome();
        return end(
            kOk,
            fmt::format(
                "Next: txstream jobs get {}; with --wait this command waits.\n", started_.job
            )
        );
    }

    int wait_for_outcome() {
        const auto waited = in_session([&](pg::Connection& session, Deadline deadline) {
            return wait(session, deadline);
        });
        if (!waited)
            return end(
                static_cast<Exit>(failed(waited.error())),
                fmt::format("The job goes on: txstream jobs get {}.\n", started_.job)
            );
        const bool is_replay = decision_ == Decision::replay;
        const auto open = job_.waiting + (job_.is_deciding() ? job_.total - job_.decided : 0);
        document_["decided"] = job_.decided;
        document_["outcome"] = Json{
            {"replayed", is_replay ? job_.carried_out : 0},
            {"discarded", is_replay ? 0 : job_.carried_out},
            {"parked_again", job_.parked_again},
            {"waiting", open}
        };
        auto text = fmt::format("{}: {}", words_of(decision_).done, events(job_.carried_out));
        if (job_.parked_again > 0)
            text += fmt::format(
                "; {} parked again, their new errors say why: txstream dead-letters groups",
                job_.parked_again
            );
        tell(text + ".\n");
        if (!job_.has_ended()) {
            fmt::print(
                stderr,
                "txstream: not carried out after {}: {}; the relay that owns the lane carries it "
                "out, does one run? The job goes on: txstream jobs get {}\n",
                options_.timeout,
                events(open),
                job_.id
            );
            return end(kTimedOut, "");
        }
        if (job_.state == outbox::JobState::failed)
            fmt::print(stderr, "txstream: job {} failed: {}\n", job_.id, job_.error);
        if (job_.state == outbox::JobState::cancelled)
            fmt::print(stderr, "txstream: job {} was cancelled\n", job_.id);
        const bool is_whole = job_.state == outbox::JobState::done && job_.parked_again == 0;
        return end(is_whole ? kOk : kFailed, "");
    }

    /// What is for people only; a program reads the document.
    void tell(std::string_view text) const {
        if (!options_.is_json()) fmt::print("{}", text);
    }

    int end(Exit code, std::string_view last_words) const {
        tell(last_words);
        if (options_.is_json()) fmt::print("{}\n", document_.dump(2, ' ', false, kReplace));
        return code;
    }

    int failed(const Error& error) const {
        return report(explained(config_, error, "txstream_operator"));
    }

    static constexpr auto kReplace = Json::error_handler_t::replace;

    const Config& config_;
    Decision decision_;
    const Options& options_;
    operations::Plan plan_;
    operations::Started started_;
    outbox::Job job_;
    Json document_;
};

int decide(const Globals& globals, Decision decision, const Options& options) {
    if (const auto complaint = complaint_of(decision, options)) return refuse(*complaint);
    const auto loaded = read_config(globals);
    if (!loaded) return kUsage;
    return Deed(loaded->config, decision, options).run();
}

void add_verb(
    CLI::App& group,
    const Globals& globals,
    Run& run,
    Decision decision,
    const char* what,
    std::string_view examples
) {
    auto& verb = *group.add_subcommand(std::string(to_string(decision)), what);
    const auto options = std::make_shared<Options>();
    auto& selection = options->selection;
    verb.add_option("--id", selection.id, "The event with this id")->type_name("ID[.XID]");
    verb.add_option("--event", selection.event_id, "The event with this event id")
        ->type_name("UUID");
    verb.add_option("--key", selection.key, "Events of this key")->type_name("KEY");
    verb.add_option("--error-class", selection.error_class, "Events with this class of error")
        ->type_name("CLASS");
    verb.add_option("--type", selection.event_type, "Events of this type")->type_name("TYPE");
    verb.add_option("--topic", selection.topic, "Events for this topic")->type_name("TOPIC");
    verb.add_flag("--all", selection.is_all, "All parked events");
    verb.add_option(
            "--reason",
            options->reason,
            decision == Decision::replay ? "Why, for the audit" : "Why, for the audit; needed"
    )
        ->type_name("TEXT");
    verb.add_flag("--dry-run", options->is_dry_run, "Only show what it would be");
    verb.add_flag("-y,--yes", options->is_confirmed, "Without a question");
    allow_numbers(
        *verb.add_option(
            "--max",
            options->max,
            "Change nothing if more events match; otherwise what is shown counts"
        ),
        1,
        kMaxMost
    );
    allow_numbers(
        *verb.add_option(
            "--rate", options->rate, "Events a second at most, decided by relays step by step"
        ),
        1,
        kRateMost
    );
    verb.add_flag("--wait", options->is_waiting, "Until a relay has carried it out");
    allow_timeouts(
        *verb.add_option(
                 "--timeout", options->timeout, "For looking, for deciding, and for --wait, each"
        )
             ->capture_default_str()
    );
    allow_words(
        *verb.add_option("-o,--output", options->format, "Form of the output")
             ->capture_default_str(),
        {"table", "json"}
    );
    explain(
        verb,
        examples,
        {kOk, kFailed, kUsage, kNotFound, kRefused, kUnreachable, kPrecondition, kTimedOut}
    );
    verb.callback([&globals, &run, decision, options] {
        run = [&globals, decision, options] { return decide(globals, decision, *options); };
    });
}

}  // namespace

void add_dead_letters_decide(CLI::App& line, const Globals& globals, Run& run) {
    auto& letters =
        group(line, "dead-letters", "Events that were moved aside: see, replay, discard");
    add_verb(
        letters,
        globals,
        run,
        Decision::replay,
        "Send parked events again, and the held ones behind them, in the order of their keys",
        "  txstream dead-letters replay --error-class MSG_SIZE_TOO_LARGE --dry-run\n"
        "  txstream dead-letters replay --id 4711 --wait\n"
        "  txstream dead-letters replay --topic billing --reason 'the topic takes 4 MiB now' "
        "--yes --max 500\n"
    );
    add_verb(
        letters,
        globals,
        run,
        Decision::discard,
        "Never send parked events; the events that they hold go on",
        "  txstream dead-letters discard --id 4711 --reason 'test data'\n"
        "  txstream dead-letters discard --key customer-7 --reason 'account was deleted' "
        "--dry-run\n"
    );
}

}  // namespace txstream::cli
