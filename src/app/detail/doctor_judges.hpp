#pragma once

#include "app/doctor.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

// The judgements of `txstream doctor`, one for each check.
namespace txstream::app::detail {

using Findings = std::vector<Finding>;
using Facts = DoctorFacts;

// What they are made of.

Finding finding(Level level, std::string found, std::string remedy = {});
Finding ok(std::string found);
Findings skipped(std::string_view why);
/// "90 s", "5 minutes", "3 hours"
std::string text_of(std::chrono::seconds age);
/// Some of them.
std::string first_of(const std::vector<std::string>& all);

/// The judgement over a probe's answer: an answer that failed is a problem of its own, one that was
/// not asked for cannot be judged.
template <class T, class Judge>
Findings over(const Probe<T>& probe, std::string_view server, std::string remedy, Judge judge) {
    if (!probe) return skipped(std::string(server) + " cannot be used");
    if (!*probe) return {finding(Level::problem, probe->error().what(), std::move(remedy))};
    if constexpr (std::is_void_v<T>) {
        return judge();
    } else {
        return judge(**probe);
    }
}
template <class T, class Judge>
Findings in_database(const Probe<T>& probe, Judge judge) {
    return over(
        probe,
        "PostgreSQL, or the outbox in it,",
        "grant the login the rights of txstream_reader; txstream migrate status",
        std::move(judge)
    );
}

Findings judge_config(const Facts& facts);
Findings judge_advice(const Facts& facts);
Findings judge_reach(const Facts& facts);
Findings judge_login(const Facts& facts);
Findings judge_tls(const Facts& facts);
Findings judge_pooler(const Facts& facts);
Findings judge_recovery(const Facts& facts);
Findings judge_version(const Facts& facts);
Findings judge_durability(const Facts& facts);
Findings judge_vacuum(const Facts& facts);
Findings judge_snapshots(const Facts& facts);
Findings judge_clock(const Facts& facts);
Findings judge_connections(const Facts& facts);
Findings judge_schema(const Facts& facts);
Findings judge_structure(const Facts& facts);
Findings judge_identity(const Facts& facts);
Findings judge_sequence(const Facts& facts);
Findings judge_rights(const Facts& facts);
Findings judge_retention(const Facts& facts);
Findings judge_size(const Facts& facts);
Findings judge_letters(const Facts& facts);
Findings judge_relays(const Facts& facts);
Findings judge_blocked(const Facts& facts);
Findings judge_waiting(const Facts& facts);
Findings judge_kafka_reach(const Facts& facts);
Findings judge_kafka_login(const Facts& facts);
Findings judge_kafka_tls(const Facts& facts);
Findings judge_library(const Facts& facts);
Findings judge_brokers(const Facts& facts);
Findings judge_topic(const Facts& facts);
Findings judge_topic_settings(const Facts& facts);

}  // namespace txstream::app::detail
