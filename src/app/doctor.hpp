#pragma once

#include "kafka/cluster.hpp"
#include "outbox/backlog.hpp"
#include "outbox/members.hpp"
#include "outbox/retention.hpp"
#include "outbox/server_facts.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// `txstream doctor`: what is wrong with an installation, or may become so, and what to do about it.
// Here are the judgements, over facts that doctor_facts.hpp gathers; no I/O.
namespace txstream::app {

enum class Level : std::uint8_t {
    problem,  ///< events are not delivered, or may be lost or out of order
    warning,  ///< it works, and will not at some time
    note,     ///< worth knowing
    skipped,  ///< could not be looked at, since something else is wrong
    ok
};
std::string_view to_string(Level level) noexcept;

/// An answer to one question; nothing where it was not asked.
template <class T = void>
using Probe = std::optional<Result<T>>;

struct DoctorFacts {
    std::vector<std::string> config_problems;
    std::vector<std::string> config_advice;
    std::vector<std::string> roles;  ///< that are to run with this configuration

    struct Database {
        std::string where;
        Probe<> session;
        std::chrono::milliseconds clock_ahead{};  ///< of the server's clock before ours
        Probe<outbox::ServerFacts> server;
        Probe<std::vector<std::string>> schema;  ///< how it differs
        Probe<> structure;
        Probe<std::string> refusal;  ///< why the outbox is not this database's own; empty: it is
        Probe<std::int64_t> ids_drawn_at_once;
        Probe<std::vector<outbox::MissingRights>> rights;
        std::chrono::milliseconds retention_age{};  ///< zero: events are kept for ever
        Probe<outbox::RetentionState> retention;
        Probe<outbox::TableSizes> sizes;
        Probe<std::vector<outbox::SeenMember>> members;
        Probe<outbox::Backlog> backlog;
    } database;

    struct Kafka {
        bool is_development_broker = false;
        std::string library;  ///< librdkafka's version
        bool uses_scram = false;
        bool has_working_scram = true;
        std::string brokers;
        std::string topic;
        int partitions = 0;  ///< of a topic that is made
        std::size_t message_bytes_max = 0;
        Probe<kafka::ClusterState> cluster;
        /// In the order of the cluster's brokers: why it cannot be reached where it says.
        std::vector<std::optional<Error>> broker_troubles;
        Probe<std::vector<kafka::ConfigItem>> topic_config;
    } kafka;
};

struct Finding {
    std::string check;  ///< its id
    Level level = Level::ok;
    std::string found;
    std::string remedy{};  ///< empty: none is needed
};

/// What is looked at. The ids are stable: programs go by them.
struct DoctorCheck {
    const char* id;
    const char* looks_at;
    const char* wrong;  ///< when it is a problem or a warning, for the page
    std::vector<Finding> (*judge)(const DoctorFacts& facts);
};
std::span<const DoctorCheck> doctor_checks();

/// At least one finding for each check; the worst first.
std::vector<Finding> judge(const DoctorFacts& facts);

/// The page docs/doctor.md.
std::string render_doctor_docs();

}  // namespace txstream::app
