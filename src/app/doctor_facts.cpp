#include "app/doctor_facts.hpp"

#include "app/migrations.hpp"
#include "app/session.hpp"
#include "config/check.hpp"
#include "kafka/property_check.hpp"
#include "outbox/event_row.hpp"
#include "outbox/instance.hpp"
#include "outbox/structure.hpp"

#include <algorithm>
#include <utility>

namespace txstream::app {

namespace {

constexpr int kQuestionsTogether = 3;
constexpr std::size_t kMembersMax = 100;

using Clock = std::chrono::system_clock;

/// Asks one thing after another until the session is lost or the time is up; what comes then is
/// not asked.
class DatabaseLook {
public:
    DatabaseLook(
        pg::Connection& session,
        const Config& config,
        DoctorFacts::Database& facts,
        std::chrono::milliseconds timeout
    )
        : session_(session),
          config_(config),
          facts_(facts),
          timeout_(timeout),
          until_(Deadline::in(kQuestionsTogether * timeout)) {}

    Task<> run() {
        const auto begun = Clock::now();
        co_await ask(facts_.server, [&] { return outbox::read_server_facts(session_, soon()); });
        if (facts_.server && *facts_.server) {
            const auto middle = begun + (Clock::now() - begun) / 2;
            facts_.clock_ahead = std::chrono::duration_cast<std::chrono::milliseconds>(
                (*facts_.server)->now - middle
            );
        }
        co_await ask(facts_.schema, [&] { return compare_schema(); });
        // Without the tables each further answer would be that they are missing.
        if (facts_.schema && !*facts_.schema && facts_.schema->error().origin() != "42501")
            co_return;
        if (session_.is_open()) {
            const auto pinned = co_await session_.run_script(outbox::kConsoleSettings, soon());
            if (!pinned) co_return;
        }
        co_await ask(facts_.structure, [&] { return outbox::check_structure(session_, soon()); });
        co_await ask(facts_.refusal, [&] { return outbox::why_refused(session_, soon()); });
        co_await ask(facts_.ids_drawn_at_once, [&] {
            return outbox::ids_drawn_at_once(session_, soon());
        });
        co_await ask(facts_.rights, [&] { return outbox::missing_rights(session_, soon()); });
        co_await ask(facts_.retention, [&] {
            return outbox::read_retention(session_, config_.retention.events, soon());
        });
        co_await ask(facts_.sizes, [&] { return outbox::table_sizes(session_, soon()); });
        co_await ask(facts_.members, [&] {
            return outbox::read_members(session_, kMembersMax, soon());
        });
        co_await ask(facts_.backlog, [&] { return meter_.measure(session_, soon()); });
    }

private:
    Deadline soon() const { return Deadline::in(timeout_).sooner(until_); }

    template <class T, class Question>
    Task<> ask(Probe<T>& into, Question question) {
        if (session_.is_open() && !until_.passed()) into = co_await question();
    }

    Task<Result<std::vector<std::string>>> compare_schema() {
        TXS_CO_TRY(auto compared, co_await app::compare_schema(session_, {}, soon()));
        co_return std::move(compared.differences);
    }

    pg::Connection& session_;
    const Config& config_;
    DoctorFacts::Database& facts_;
    std::chrono::milliseconds timeout_;
    Deadline until_;
    outbox::BacklogMeter meter_;
};

void look_at_database(
    const Config& config, std::chrono::milliseconds timeout, DoctorFacts::Database& facts
) {
    facts.where = config.database.where();
    facts.retention_age = config.retention.events;
    auto opened =
        with_session(config, timeout, [&](pg::Connection& session, Deadline) -> Task<Result<>> {
            facts.session = Result<>();
            DatabaseLook look(session, config, facts, timeout);
            co_await look.run();
            co_return Result<>();
        });
    if (!opened) facts.session = std::move(opened);
}

void describe_kafka(const Config& config, DoctorFacts::Kafka& facts) {
    const auto& kafka = config.kafka;
    facts.is_development_broker = kafka.is_development_broker;
    facts.library = kafka::library_version();
    const auto mechanism = kafka.client.find("sasl.mechanism");
    facts.uses_scram = mechanism != kafka.client.end() && mechanism->second.starts_with("SCRAM-");
    facts.has_working_scram = kafka::has_working_scram();
    facts.brokers = kafka.brokers;
    facts.topic = kafka.topic;
    facts.partitions = kafka.topic_partitions;
    facts.message_bytes_max = kafka.message_bytes_max;
}

void look_at_kafka(
    const Config& config, std::chrono::milliseconds timeout, DoctorFacts::Kafka& facts
) {
    if (facts.is_development_broker) return;
    const auto& kafka = config.kafka;
    const auto ask = [&]() -> Result<kafka::ClusterState> {
        TXS_TRY(const auto now, kafka.renewed());
        TXS_TRY(const auto cluster, kafka::Cluster::open(to_kafka(now.client), nullptr, {}));
        const auto until = Deadline::in(kQuestionsTogether * timeout);
        auto state = cluster->describe(Deadline::in(timeout));
        if (!state) {
            if (auto refused = cluster->refused_login())
                return tl::unexpected<Error>(std::move(*refused));
            return state;
        }
        for (const auto& answer :
             cluster->broker_configs(state->brokers, Deadline::in(timeout).sooner(until))) {
            // A broker that says no, or that it has no such request, has answered.
            std::optional<Error> trouble;
            if (!answer.config && kafka::gap_of(answer.config.error()) == kafka::Gap::failed)
                trouble = answer.config.error();
            facts.broker_troubles.push_back(std::move(trouble));
        }
        if (state->find(kafka.topic) != nullptr)
            facts.topic_config = std::move(
                cluster->topic_configs({kafka.topic}, Deadline::in(timeout).sooner(until)).front()
            );
        return state;
    };
    facts.cluster = ask();
}

}  // namespace

DoctorFacts gather_facts(const config::Judged& judged, const DoctorQuestion& question) {
    DoctorFacts facts;
    facts.roles = question.roles;
    const auto checked = config::check_all(judged);
    for (const auto& one : checked.problems) facts.config_problems.push_back(one.message);
    for (const auto& one : checked.warnings) facts.config_advice.push_back(one.message);
    const auto& config = judged.loaded.config;
    describe_kafka(config, facts.kafka);
    if (!facts.config_problems.empty()) return facts;
    look_at_database(config, question.timeout, facts.database);
    look_at_kafka(config, question.timeout, facts.kafka);
    return facts;
}

}  // namespace txstream::app
