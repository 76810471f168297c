#include "app/doctor_facts.hpp"
#include "cli/look.hpp"
#include "cli/output.hpp"
#include "cli/usage.hpp"
#include "config/load.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace txstream::cli {

namespace {

struct Options {
    std::vector<std::string> roles;
    std::string timeout = "5s";
    std::string format = "table";
    bool is_list = false;
    bool is_brief = false;
};

Json row_of(const app::Finding& finding) {
    return Json{
        {"check", finding.check},
        {"level", app::to_string(finding.level)},
        {"found", finding.found},
        {"remedy", finding.remedy.empty() ? Json(nullptr) : Json(finding.remedy)},
    };
}

int examine(const Globals& globals, const Options& options) {
    const auto sources = config::gather(globals.env_file);
    if (!sources) return report(sources.error());
    const auto judged = config::judge(*sources);
    app::DoctorQuestion question{options.roles, *parse_span(options.timeout)};
    if (question.roles.empty()) {
        question.roles = {"relay", "api"};
        if (judged.loaded.config.console.is_enabled) question.roles.emplace_back("console");
    }
    const auto findings = app::judge(app::gather_facts(judged, question));
    Listing listing;
    listing.columns = {
        {"LEVEL", "/level"}, {"CHECK", "/check"}, {"FOUND", "/found"}, {"REMEDY", "/remedy"}
    };
    std::size_t problems = 0;
    for (const auto& one : findings) {
        if (one.level == app::Level::problem) ++problems;
        const bool is_well = one.level == app::Level::ok || one.level == app::Level::skipped;
        if (!options.is_brief || !is_well) listing.rows.push_back(row_of(one));
    }
    listing.none = "nothing is wrong";
    fmt::print("{}", render(listing, format_of(options.format), screen_of_output()));
    if (listing.rows.empty()) fmt::print(stderr, "txstream: {}\n", listing.none);
    if (problems == 0) return kOk;
    fmt::print(stderr, "txstream: {} {}\n", problems, problems == 1 ? "problem" : "problems");
    return kFound;
}

}  // namespace

void add_doctor(CLI::App& line, const Globals& globals, Run& run) {
    auto& command = *line.add_subcommand(
        "doctor", "Look at configuration, PostgreSQL, outbox, relays and Kafka; change nothing"
    );
    const auto options = std::make_shared<Options>();
    allow_words(
        *command.add_option("-o,--output", options->format, "Form of the output")
             ->capture_default_str(),
        format_words()
    );
    allow_timeouts(*command
                        .add_option(
                            "--timeout",
                            options->timeout,
                            "For connecting to each server, and for each question"
                        )
                        ->capture_default_str());
    allow_words(
        *command
             .add_option(
                 "--role",
                 options->roles,
                 "Whose rights the login needs; may be repeated; otherwise those that serve runs"
             )
             ->allow_extra_args(false),
        {"relay", "api", "console"}
    );
    command.add_flag("--brief", options->is_brief, "Only what is to be said, not what is well");
    command.add_flag("--list", options->is_list, "Print the page docs/doctor.md: all checks");
    explain(
        command,
        "  txstream doctor\n"
        "  txstream doctor --brief --role relay\n"
        "  txstream doctor -o json | jq -r '.[] | select(.level == \"problem\") | .check'\n",
        {kOk, kUsage, kFound}
    );
    command.callback([&globals, &run, options] {
        run = [&globals, options] {
            if (!options->is_list) return examine(globals, *options);
            fmt::print("{}", app::render_doctor_docs());
            return static_cast<int>(kOk);
        };
    });
}

}  // namespace txstream::cli
