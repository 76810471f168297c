#include "app/health.hpp"

#include "base/version.hpp"
#include "domain/timestamp.hpp"
#include "outbox/lane_store.hpp"
#include "telemetry/log.hpp"

#include <algorithm>
#include <utility>

namespace txstream::app {

namespace {

constexpr std::chrono::seconds kDatabaseAnswerAge{1};
constexpr std::chrono::seconds kDatabaseTimeout{2};
// A standby, or a database that takes no writes, takes no orders.
constexpr pg::Statement kPing{
    "txs_ping",
    "SELECT pg_catalog.pg_is_in_recovery() OR "
    "pg_catalog.current_setting('transaction_read_only')::boolean"
};

domain::Timestamp now() {
    return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
}

}  // namespace

Health::Health(Dependencies dependencies) : dependencies_(std::move(dependencies)) {
}

void Health::add_routes(http::Router& router) {
    using http::Method;
    using http::Request;
    router.add(Method::get, "/livez", [](Request) -> Task<http::Response> {
        co_return http::json(200, R"({"status":"alive"})");
    });
    router.add(Method::get, "/readyz", [this](Request) { return ready(); });
    router.add(Method::get, "/ready", [this](Request) { return ready(); });
    const auto least = dependencies_.least;
    router.add(Method::get, "/health", [this](Request) { return health(); }, least);
    router.add(
        Method::get,
        dependencies_.metrics_path,
        [this](Request request) { return metrics(std::move(request)); },
        least
    );
}

bool Health::is_probe(std::string_view route) const {
    return route == "/livez" || route == "/readyz" || route == "/ready" || route == "/health" ||
           route == dependencies_.metrics_path;
}

bool Health::is_relay_ready() const {
    if (!dependencies_.relay) return true;
    const auto relay = dependencies_.relay();
    return relay.blocked.empty() && (!relay.is_started || relay.workers_alive > 0);
}

std::string_view Health::kafka_word() const {
    if (!dependencies_.relay) return "unknown";
    const auto relay = dependencies_.relay();
    const bool flows = relay.is_started && relay.breaker == policy::BreakerState::closed;
    const bool is_away = std::ranges::any_of(relay.blocked, [](const auto& one) {
        return one.blockage == relay::Blockage::kafka_unavailable ||
               one.blockage == relay::Blockage::topic_missing;
    });
    return flows && !is_away ? "ready" : "degraded";
}

std::vector<relay::Blockages::Current> Health::blocked() const {
    if (dependencies_.relay) return dependencies_.relay().blocked;
    if (!database_.unowned_since) return {};
    return {{relay::Blockage::no_worker, *database_.unowned_since}};
}

// What is taken now is safe; whether it would be delivered is said here.
void Health::write_delivery(
    domain::JsonWriter& out, const std::vector<relay::Blockages::Current>& blocked
) {
    out.key("delivery").begin_object();
    out.key("status").string(blocked.empty() ? "ok" : "blocked");
    out.key("reasons").begin_array();
    for (const auto& one : blocked) {
        out.begin_object();
        out.key("reason").string(relay::to_string(one.blockage));
        out.key("since").timestamp(std::chrono::floor<std::chrono::microseconds>(one.since));
        out.key("message").string(relay::explain(one.blockage));
        out.end_object();
    }
    out.end_array();
    out.end_object();
}

// One look at a time; who asks meanwhile gets the answer of before.
Task<> Health::look_at_database() {
    const auto started = Deadline::Clock::now();
    if (is_looking_ || started - database_.checked_at < kDatabaseAnswerAge) co_return;
    is_looking_ = true;
    const auto deadline = Deadline::in(kDatabaseTimeout);
    auto session = co_await dependencies_.pool.acquire(deadline);
    Database found;
    if (session) {
        const auto answer = co_await (*session)->run(kPing, {}, deadline);
        found.is_ok = answer && !answer->boolean(0, 0);
        if (!found.is_ok) found.detail = answer ? "it is read-only" : answer.error().what();
        if (found.is_ok && !dependencies_.relay) {
            // A database without the outbox, or a login without the right, says nothing.
            const auto unowned = co_await outbox::has_unowned_lanes(**session, deadline);
            if (unowned && *unowned)
                found.unowned_since =
                    database_.unowned_since.value_or(std::chrono::system_clock::now());
        }
    } else {
        // A pool whose sessions are all in use says nothing new of the database. One that cannot
        // open a session, or where all wait for those who try, does.
        const auto& error = session.error();
        const bool is_busy = error.code() == Code::overloaded && error.origin().empty() &&
                             dependencies_.pool.stats().in_use > 0;
        found.is_ok = is_busy && database_.is_ok;
        found.detail = error.what();
    }
    if (!found.is_ok) log::warn("health", "the database cannot be used", {{"error", found.detail}});
    if (dependencies_.lanes_unowned) dependencies_.lanes_unowned(found.unowned_since.has_value());
    found.checked_at = Deadline::Clock::now();
    database_ = std::move(found);
    is_looking_ = false;
}

Task<http::Response> Health::ready() {
    co_await look_at_database();
    const bool relay_is_ready = !dependencies_.is_relay || is_relay_ready();
    const bool is_ready = database_.is_ok && relay_is_ready && !is_draining_;
    std::string json;
    domain::JsonWriter out(json);
    out.begin_object();
    out.key("status").string(is_ready ? "ready" : "not_ready");
    out.key("timestamp").timestamp(now());
    out.key("services").begin_object();
    out.key("database").string(database_.is_ok ? "ready" : "not_ready");
    out.key("kafka").string(kafka_word());
    out.end_object();
    out.key("checks").begin_object();
    out.key("database").begin_object().key("status").string(database_.is_ok ? "ok" : "fail");
    // What the database said goes to the log: it names hosts and users.
    if (!database_.is_ok) out.key("detail").string("the database cannot be used");
    out.end_object();
    out.key("kafka").begin_object().key("status").string(kafka_word()).end_object();
    if (dependencies_.is_relay)
        out.key("relay")
            .begin_object()
            .key("status")
            .string(relay_is_ready ? "ok" : "fail")
            .end_object();
    if (dependencies_.is_relay) write_delivery(out, dependencies_.relay().blocked);
    if (is_draining_) out.key("draining").begin_object().key("status").string("fail").end_object();
    out.end_object();
    out.end_object();
    co_return http::json(is_ready ? 200 : 503, std::move(json));
}

void Health::write_kafka(domain::JsonWriter& out) const {
    out.key("kafka").begin_object().key("status").string(kafka_word());
    const auto trouble = dependencies_.relay ? dependencies_.relay().kafka_trouble : std::nullopt;
    if (trouble) {
        out.key("last_error").begin_object();
        out.key("kind").string(trouble->kind);
        out.key("message").string(trouble->advice);
        out.key("at").timestamp(std::chrono::floor<std::chrono::microseconds>(trouble->at));
        out.end_object();
    }
    out.end_object();
}

Task<http::Response> Health::metrics(http::Request request) {
    if (dependencies_.refresh_metrics) dependencies_.refresh_metrics();
    // Else the figure would be as old as the last probe.
    if (dependencies_.lanes_unowned) co_await look_at_database();
    const auto form = telemetry::preferred(request.headers.find("accept").value_or(""));
    const auto page = co_await dependencies_.metrics.render(form);
    co_return http::Response(200, telemetry::content_type(form), *page);
}

Task<http::Response> Health::health() {
    co_await look_at_database();
    std::string json;
    domain::JsonWriter out(json);
    out.begin_object();
    const auto blocked = this->blocked();
    // Elsewhere a relay may be on its way.
    const bool needs_operator =
        dependencies_.relay &&
        !std::ranges::all_of(blocked, relay::heals_by_itself, &relay::Blockages::Current::blockage);
    const bool is_healthy = database_.is_ok && !needs_operator;
    out.key("status").string(!is_healthy ? "unhealthy" : blocked.empty() ? "healthy" : "degraded");
    out.key("timestamp").timestamp(now());
    out.key("version").string(version());
    const auto stats = dependencies_.pool.stats();
    out.key("database_stats").begin_object();
    out.key("status").string(database_.is_ok ? "up" : "down");
    out.key("open_conns").integer(static_cast<std::int64_t>(stats.open));
    out.key("in_use").integer(static_cast<std::int64_t>(stats.in_use));
    out.key("idle").integer(static_cast<std::int64_t>(stats.open - stats.in_use));
    out.key("wait_count").integer(static_cast<std::int64_t>(stats.waiting));
    out.end_object();
    if (!database_.is_ok) out.key("database_error").string("the database cannot be used");
    write_kafka(out);
    if (dependencies_.relay) {
        const auto relay = dependencies_.relay();
        out.key("relay").begin_object();
        out.key("workers").integer(static_cast<std::int64_t>(relay.workers));
        out.key("workers_alive").integer(static_cast<std::int64_t>(relay.workers_alive));
        out.key("lanes").integer(static_cast<std::int64_t>(relay.lanes));
        out.key("circuit_breaker").string(policy::to_string(relay.breaker));
        out.end_object();
    }
    write_delivery(out, blocked);
    out.end_object();
    co_return http::json(is_healthy ? 200 : 503, std::move(json));
}

}  // namespace txstream::app
