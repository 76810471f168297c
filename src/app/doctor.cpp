#include "app/doctor.hpp"

#include "app/detail/doctor_judges.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace txstream::app {

namespace detail {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kShown = 5;

}  // namespace

Finding finding(Level level, std::string found, std::string remedy) {
    return {"", level, std::move(found), std::move(remedy)};
}
Finding ok(std::string found) {
    return finding(Level::ok, std::move(found));
}
Findings skipped(std::string_view why) {
    return {finding(Level::skipped, fmt::format("not looked at: {}", why))};
}

std::string text_of(std::chrono::seconds age) {
    if (age >= 48h) return fmt::format("{} days", age / 24h);
    if (age >= 2h) return fmt::format("{} hours", age / 1h);
    if (age >= 2min) return fmt::format("{} minutes", age / 1min);
    return fmt::format("{} s", age.count());
}

std::string first_of(const std::vector<std::string>& all) {
    const std::vector<std::string> shown(
        all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), kShown))
    );
    auto text = fmt::format("{}", fmt::join(shown, "; "));
    if (all.size() > kShown) text += fmt::format("; and {} more", all.size() - kShown);
    return text;
}

}  // namespace detail

namespace {

constexpr std::array kChecks = std::to_array<DoctorCheck>({
    {"config.values",
     "the configuration",
     "a value is not allowed, a file is missing",
     detail::judge_config},
    {"config.advice",
     "settings without effect",
     "a setting has none, or is doubtful",
     detail::judge_advice},
    {"database.reach",
     "host, port and name of the database",
     "nothing answers, or there is no such database",
     detail::judge_reach},
    {"database.login", "user and password", "the server refuses them", detail::judge_login},
    {"database.tls", "encryption of sessions", "certificate or mode do not fit", detail::judge_tls},
    {"database.pooler",
     "a pool between us and PostgreSQL",
     "it shares a server process among sessions",
     detail::judge_pooler},
    {"database.recovery",
     "whether the server takes writes",
     "it is a standby, or read-only",
     detail::judge_recovery},
    {"database.version",
     "PostgreSQL's version",
     "it is older than 14; a note from 19 on",
     detail::judge_version},
    {"database.durability",
     "`synchronous_commit`, `fsync`, `full_page_writes`",
     "one of them is off",
     detail::judge_durability},
    {"database.vacuum",
     "autovacuum, transaction ids that are left",
     "it is off, or fewer than 200 million are left",
     detail::judge_vacuum},
    {"database.snapshots",
     "transactions that stay open, prepared ones",
     "one is open for 15 minutes, or prepared for 10",
     detail::judge_snapshots},
    {"database.clock",
     "the server's clock",
     "it differs by 10 s; a note from 1 s on",
     detail::judge_clock},
    {"database.connections",
     "connections of the server",
     "nine tenths of them are in use",
     detail::judge_connections},
    {"outbox.schema",
     "the tables, as `txstream migrate validate`",
     "they are missing, older, newer, or changed",
     detail::judge_schema},
    {"outbox.structure",
     "what could hide events",
     "a rule, a trigger, a policy, a missing partition or lane",
     detail::judge_structure},
    {"outbox.identity",
     "whether the cursors are this database's own",
     "it was restored or copied",
     detail::judge_identity},
    {"outbox.sequence",
     "the sequence of the ids",
     "sessions draw more than one at once",
     detail::judge_sequence},
    {"outbox.rights",
     "rights of the login, for each role that is to run",
     "one is missing",
     detail::judge_rights},
    {"outbox.retention",
     "whether old partitions are dropped",
     "the oldest is a day past its age",
     detail::judge_retention},
    {"outbox.size", "what the tables take on disk", "never; it says the figures", detail::judge_size
    },
    {"outbox.letters",
     "events that were moved aside",
     "never; a note where there are some",
     detail::judge_letters},
    {"relays.alive",
     "relays",
     "none is alive while events wait; a note without them",
     detail::judge_relays},
    {"relays.blocked", "what relays report", "something holds one up", detail::judge_blocked},
    {"relays.waiting",
     "events that wait",
     "the oldest has waited for a minute",
     detail::judge_waiting},
    {"kafka.library",
     "librdkafka's version",
     "it cannot log in with SCRAM to Kafka 4",
     detail::judge_library},
    {"kafka.reach", "Kafka's addresses", "nothing answers", detail::judge_kafka_reach},
    {"kafka.login",
     "user and password",
     "Kafka refuses them, demands some, or offers no login",
     detail::judge_kafka_login},
    {"kafka.tls", "encryption", "certificate or protocol do not fit", detail::judge_kafka_tls},
    {"kafka.brokers",
     "the addresses that brokers advertise",
     "one does not answer there",
     detail::judge_brokers},
    {"kafka.topic",
     "`KAFKA_TOPIC_EVENTS`",
     "it does not exist, or may not be used",
     detail::judge_topic},
    {"kafka.topic_settings",
     "its replicas, `min.insync.replicas`, limits, cleanup",
     "writes are or will be refused, or records may get lost",
     detail::judge_topic_settings},
});

constexpr std::string_view kPageHead = R"(# What `txstream doctor` looks at

<!-- Written by `txstream doctor --list`; a test compares it. -->

It changes nothing, and each look has a deadline (`--timeout`). What cannot be looked at because something else is wrong is `skipped`.
The ids are stable: programs go by them (`txstream doctor -o json`). Exit code 8 where there is a `problem`, else 0.

| id | looks at | finds something when |
|---|---|---|
)";

}  // namespace

std::string_view to_string(Level level) noexcept {
    switch (level) {
        case Level::problem:
            return "problem";
        case Level::warning:
            return "warning";
        case Level::note:
            return "note";
        case Level::skipped:
            return "skipped";
        case Level::ok:
            return "ok";
    }
    return "";
}

std::span<const DoctorCheck> doctor_checks() {
    return kChecks;
}

std::vector<Finding> judge(const DoctorFacts& facts) {
    std::vector<Finding> all;
    for (const auto& check : kChecks) {
        for (auto& one : check.judge(facts)) {
            one.check = check.id;
            all.push_back(std::move(one));
        }
    }
    std::vector<Finding> sorted;
    for (const auto level :
         {Level::problem, Level::warning, Level::note, Level::skipped, Level::ok}) {
        std::ranges::copy_if(all, std::back_inserter(sorted), [level](const Finding& one) {
            return one.level == level;
        });
    }
    return sorted;
}

std::string render_doctor_docs() {
    std::string page(kPageHead);
    for (const auto& check : kChecks)
        page += fmt::format("| `{}` | {} | {} |\n", check.id, check.looks_at, check.wrong);
    return page;
}

}  // namespace txstream::app
