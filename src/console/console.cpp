#include "console/console.hpp"

#include "console/audit_api.hpp"
#include "console/brokers_api.hpp"
#include "console/cluster_facts.hpp"
#include "console/dead_letters_api.hpp"
#include "console/decisions_api.hpp"
#include "console/events_api.hpp"
#include "console/groups_api.hpp"
#include "console/jobs_api.hpp"
#include "console/messages_api.hpp"
#include "console/operator_sessions.hpp"
#include "console/orders_api.hpp"
#include "console/overview_api.hpp"
#include "console/record_links_api.hpp"
#include "console/relay_decisions_api.hpp"
#include "console/relays_api.hpp"
#include "console/session_api.hpp"
#include "console/tail_api.hpp"
#include "console/topics_api.hpp"

#include <utility>

namespace txstream::console {

namespace {

// Read-only, and every statement ends on the server soon after the page has given up. With
// outbox::kConsoleSettings, which say how statements are planned.
constexpr const char* kSessionSettings =
    "SET application_name = 'txstream console'; SET default_transaction_read_only = on; "
    "SET statement_timeout = '2s'; SET lock_timeout = '500ms'; "
    "SET idle_in_transaction_session_timeout = '10s'; ";
constexpr std::size_t kSessionsMax = 3;

}  // namespace

class Console::Impl {
public:
    explicit Impl(Dependencies dependencies)
        : settings_(std::move(dependencies.settings)),
          pool_(
              dependencies.executor,
              dependencies.database,
              std::string(kSessionSettings) + outbox::kConsoleSettings,
              {.connections_max = kSessionsMax, .waiters_max = 64}
          ),
          offload_(dependencies.executor, {}),
          cache_(dependencies.executor),
          context_{
              dependencies.executor,
              pool_,
              offload_,
              std::move(dependencies.kafka_properties),
              cache_,
              settings_,
              dependencies.metrics
          },
          session_(context_, dependencies.access),
          messages_(context_),
          tails_(context_, messages_),
          cluster_(context_),
          topics_(context_, cluster_),
          brokers_(context_, cluster_),
          groups_(context_, cluster_),
          overview_(context_, cluster_),
          relays_(context_),
          orders_port_(std::move(dependencies.orders)),
          events_(context_, orders_port_.get()),
          dead_letters_(context_),
          operators_(context_, std::move(dependencies.database)),
          decisions_(context_, operators_),
          jobs_(context_, operators_),
          relay_decisions_(context_, operators_),
          audit_(context_),
          orders_(context_, orders_port_.get()),
          record_links_(context_, messages_) {}

    void add_routes(http::Router& router) {
        session_.add_routes(router);
        messages_.add_routes(router);
        tails_.add_routes(router);
        topics_.add_routes(router);
        brokers_.add_routes(router);
        groups_.add_routes(router);
        overview_.add_routes(router);
        relays_.add_routes(router);
        relay_decisions_.add_routes(router);
        events_.add_routes(router);
        dead_letters_.add_routes(router);
        decisions_.add_routes(router);
        jobs_.add_routes(router);
        audit_.add_routes(router);
        orders_.add_routes(router);
        record_links_.add_routes(router);
    }

    Task<> stop() {
        co_await cache_.stop();
        co_await tails_.stop();
        co_await messages_.stop();
        co_await overview_.stop();
        co_await cluster_.stop();
        operators_.close();
        pool_.close();
    }

private:
    const Settings settings_;
    pg::Pool pool_;
    runtime::Offload offload_;
    Cache cache_;
    Context context_;
    SessionApi session_;
    MessagesApi messages_;
    TailApi tails_;
    ClusterFacts cluster_;
    TopicsApi topics_;
    BrokersApi brokers_;
    GroupsApi groups_;
    OverviewApi overview_;
    RelaysApi relays_;
    std::unique_ptr<OrdersPort> orders_port_;
    EventsApi events_;
    DeadLettersApi dead_letters_;
    OperatorSessions operators_;
    DecisionsApi decisions_;
    JobsApi jobs_;
    RelayDecisionsApi relay_decisions_;
    AuditApi audit_;
    OrdersApi orders_;
    RecordLinksApi record_links_;
};

Console::Console(Dependencies dependencies)
    : impl_(std::make_unique<Impl>(std::move(dependencies))) {
}
Console::~Console() = default;

void Console::add_routes(http::Router& router) {
    impl_->add_routes(router);
}

Task<> Console::stop() {
    return impl_->stop();
}

}  // namespace txstream::console
