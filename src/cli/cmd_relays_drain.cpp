#include "app/session.hpp"
#include "cli/decision.hpp"
#include "cli/look.hpp"
#include "cli/usage.hpp"
#include "console/json.hpp"
#include "console/overview.hpp"
#include "operations/drains.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

// `relays drain RELAY`: it hands its lanes over. `relays drain --wait`: all that is committed is
// delivered.
namespace txstream::cli {

namespace {

struct Options {
    std::optional<std::string> relay;
    std::string reason;
    std::string timeout = "60s";
    std::string format = "table";
    bool is_waiting = false;
    bool is_cancelled = false;
    bool is_forced = false;

    bool is_json() const { return format == "json"; }
};

std::optional<std::string> complaint_of(const Options& options) {
    if (!options.relay && (!options.is_waiting || options.is_cancelled || options.is_forced))
        return "name a relay (txstream relays list), or wait for all that is committed with --wait "
               "alone";
    if (options.is_cancelled && (options.is_waiting || options.is_forced))
        return "--cancel ends a drain: it neither waits nor is forced";
    return complaint_of_reason(options.reason);
}

std::string lanes_text(std::int64_t lanes) {
    return fmt::format("{} {}", lanes, lanes == 1 ? "lane" : "lanes");
}

/// Says on standard error how it goes, each thing once.
class Progress {
public:
    void tell(std::string text) {
        if (text == told_) return;
        fmt::print(stderr, "txstream: {}\n", visible(text));
        told_ = std::move(text);
    }

private:
    std::string told_;
};

int end(const Options& options, Exit code, const Json& document, std::string_view text) {
    if (options.is_json()) {
        fmt::print("{}\n", document.dump(2, ' ', false, Json::error_handler_t::replace));
    } else {
        fmt::print("{}\n", visible(text));
    }
    return code;
}

// --- a relay

int drain_relay(const Config& config, const Options& options) {
    operations::DrainChanged changed;
    operations::DrainState last;
    Progress progress;
    const auto done = app::with_session(
        config,
        *parse_span(options.timeout),
        [&](pg::Connection& session, Deadline deadline) -> Task<Result<>> {
            TXS_CO_TRY(
                changed,
                co_await operations::change_drain(
                    session,
                    {*options.relay, !options.is_cancelled, options.is_forced},
                    {actor(), "cli", options.reason, std::nullopt},
                    deadline
                )
            );
            last = changed.state;
            if (!options.is_waiting) co_return Result<>();
            TXS_CO_TRY(
                last,
                co_await operations::wait_drained(
                    session,
                    *options.relay,
                    [&](const operations::DrainState& now) {
                        if (now.is_drained()) return;
                        progress.tell(fmt::format(
                            "{} has {} left{}",
                            now.relay,
                            lanes_text(now.lanes),
                            now.others == 0 ? "; no other relay takes them" : ""
                        ));
                    },
                    deadline
                )
            );
            co_return Result<>();
        }
    );
    if (!done) return report(explained(config, done.error(), "txstream_operator"));
    const Json document{
        {"action", options.is_cancelled ? "cancel" : "drain"},
        {"relay", last.relay},
        {"is_changed", changed.is_changed},
        {"workers", last.workers},
        {"lanes", last.lanes},
        {"others", last.others},
        {"is_drained", !options.is_cancelled && last.is_drained()}
    };
    if (options.is_cancelled)
        return end(
            options,
            kOk,
            document,
            changed.is_changed ? "Cancelled. It takes its share of the lanes again within seconds."
                               : "It was not draining; nothing was changed."
        );
    if (last.is_drained())
        return end(
            options,
            kOk,
            document,
            fmt::format("Drained: {} owns no lane and takes none.", last.relay)
        );
    if (!options.is_waiting)
        return end(
            options,
            kOk,
            document,
            fmt::format(
                "Draining: {} hands {} over within seconds and takes none. Next: txstream relays "
                "drain {} --wait",
                last.relay,
                lanes_text(last.lanes),
                last.relay
            )
        );
    fmt::print(
        stderr,
        "txstream: not drained after {}: {} left. A lane whose events Kafka does not take stays "
        "until it does; the other relays may have as many as WORKER_MAX_LANES lets them have\n",
        options.timeout,
        lanes_text(last.lanes)
    );
    return end(options, kTimedOut, document, "It goes on draining; --cancel ends it.");
}

// --- everything

/// "relay a: kafka_unavailable (no broker)", "topic billing is paused (it moves)"
std::vector<std::string> blocks_of(const operations::DeliveryLook& look) {
    std::vector<std::string> all;
    for (const auto& one : look.pauses) {
        const auto scope = to_string(one.pause.scope);
        all.push_back(fmt::format(
            "{}{}{} is paused ({})",
            scope,
            one.pause.name.empty() ? "" : " ",
            one.pause.name,
            one.pause.reason
        ));
    }
    bool is_any_alive = false;
    for (const auto& seen : look.members) {
        if (!seen.is_alive()) continue;
        is_any_alive = true;
        for (const auto& blocked : console::read_blocked(seen.member.blockages)) {
            if (blocked.code == "paused") continue;
            all.push_back(fmt::format(
                "relay {}: {}{}",
                seen.member.name,
                blocked.code,
                blocked.detail.empty() ? "" : " (" + blocked.detail + ")"
            ));
        }
    }
    if (!is_any_alive) all.emplace_back("no relay is running");
    return all;
}

std::string waiting_text(const outbox::Undelivered& left) {
    return fmt::format(
        "{}{} of {} {} not delivered yet",
        left.is_exact ? "" : "at least ",
        events(left.events()),
        lanes_text(static_cast<std::int64_t>(left.lanes.size())),
        left.events() == 1 ? "is" : "are"
    );
}

std::string parked_text(const outbox::Undelivered& left) {
    if (left.parked == 0) return "";
    return fmt::format(
        " {}{} {} among the dead letters and will not go by {}: txstream dead-letters groups.",
        left.is_parked_exact ? "" : "At least ",
        events(left.parked),
        left.parked == 1 ? "is" : "are",
        left.parked == 1 ? "itself" : "themselves"
    );
}

Json delivery_json(const operations::DeliveryLook& look, const std::vector<std::string>& blocks) {
    const auto& left = look.undelivered;
    auto lanes = Json::array();
    for (const auto& one : left.lanes)
        lanes.push_back(
            {{"lane", one.lane.value()}, {"pending", console::count(one.events, left.is_exact)}}
        );
    return Json{
        {"action", "drain"},
        {"relay", nullptr},
        {"is_delivered", left.is_nothing()},
        {"pending", console::count(left.events(), left.is_exact)},
        {"lanes", std::move(lanes)},
        {"parked", console::count(left.parked, left.is_parked_exact)},
        {"blocked", blocks}
    };
}

int wait_for_all(const Config& config, const Options& options) {
    operations::DeliveryLook last;
    Progress progress;
    const auto done = app::with_session(
        config,
        *parse_span(options.timeout),
        [&](pg::Connection& session, Deadline deadline) -> Task<Result<>> {
            TXS_CO_CHECK(co_await session.run_script(outbox::kConsoleSettings, deadline));
            TXS_CO_TRY(
                last,
                co_await operations::wait_delivered(
                    session,
                    [&](const operations::DeliveryLook& now) {
                        if (now.undelivered.is_nothing()) return;
                        const auto blocks = blocks_of(now);
                        progress.tell(fmt::format(
                            "{}{}",
                            waiting_text(now.undelivered),
                            blocks.empty() ? "" : fmt::format("; {}", fmt::join(blocks, "; "))
                        ));
                    },
                    deadline
                )
            );
            co_return Result<>();
        }
    );
    if (!done) return report(explained(config, done.error()));
    const auto& left = last.undelivered;
    if (left.is_nothing())
        return end(
            options,
            kOk,
            delivery_json(last, {}),
            "Everything that was committed before the call is in Kafka or parked." +
                parked_text(left)
        );
    const auto blocks = blocks_of(last);
    fmt::print(
        stderr,
        "txstream: not delivered after {}: {}\n",
        options.timeout,
        blocks.empty() ? "relays are at it; --timeout waits longer"
                       : visible(fmt::format("{}", fmt::join(blocks, "; ")))
    );
    return end(
        options,
        kTimedOut,
        delivery_json(last, blocks),
        waiting_text(left) + "." + parked_text(left)
    );
}

int drain(const Globals& globals, const Options& options) {
    if (const auto complaint = complaint_of(options)) return refuse(*complaint);
    const auto loaded = read_config(globals);
    if (!loaded) return kUsage;
    return options.relay ? drain_relay(loaded->config, options)
                         : wait_for_all(loaded->config, options);
}

}  // namespace

void add_relays_drain(CLI::App& line, const Globals& globals, Run& run) {
    auto& relays = group(line, "relays", "Look at the relays, pause and resume them");
    auto& verb = *relays.add_subcommand(
        "drain",
        "A relay hands its lanes over and takes none; without a relay, wait until all that is "
        "committed is delivered"
    );
    const auto options = std::make_shared<Options>();
    verb.add_option("relay", options->relay, "Which, as `relays list` has it")->type_name("RELAY");
    verb.add_flag(
        "--wait", options->is_waiting, "Until it owns no lane; alone: until all is delivered"
    );
    verb.add_flag("--cancel", options->is_cancelled, "It takes its share of the lanes again");
    verb.add_flag(
        "--force", options->is_forced, "Also where no other relay runs: it drains when one comes"
    );
    verb.add_option("--reason", options->reason, "Why, for the audit")->type_name("TEXT");
    allow_timeouts(*verb.add_option("--timeout", options->timeout, "How long it may take, in all")
                        ->capture_default_str());
    allow_words(
        *verb.add_option("-o,--output", options->format, "Form of the output")
             ->capture_default_str(),
        {"table", "json"}
    );
    explain(
        verb,
        "  txstream relays drain relay-1-4711 --wait --reason 'a new kernel'\n"
        "  txstream relays drain relay-1-4711 --cancel\n"
        "  txstream relays drain --wait --timeout 5m\n",
        {kOk, kUsage, kNotFound, kRefused, kUnreachable, kPrecondition, kTimedOut}
    );
    verb.callback([&globals, &run, options] {
        run = [&globals, options] { return drain(globals, *options); };
    });
}

}  // namespace txstream::cli
