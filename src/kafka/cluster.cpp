#include "kafka/cluster.hpp"

#include "kafka/detail/cluster_impl.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <numeric>
#include <string_view>
#include <utility>

namespace txstream::kafka {

namespace {

using detail::milliseconds_left;

// What ListOffsets takes in place of a time.
constexpr std::int64_t kLatest = -1;
constexpr std::int64_t kEarliest = -2;

constexpr std::chrono::milliseconds kConnectPatience{1'000};

// What would make this client something else than a reader without a group. A consumer with a
// group's name looks its coordinator up even if it never joins.
constexpr std::array<std::string_view, 4> kNotOurs{
    "group.id", "group.instance.id", "isolation.level", "allow.auto.create.topics"
};

Result<detail::Client> make_reader(
    const Properties& properties, const char* isolation, LogCallback* log
) {
    Properties ours;
    for (const auto& property : properties) {
        if (std::ranges::find(kNotOurs, property.first) == kNotOurs.end()) ours.push_back(property);
    }
    ours.emplace_back("allow.auto.create.topics", "false");
    ours.emplace_back("isolation.level", isolation);
    // Our errors say what is wrong with a connection; librdkafka would also warn of each property
    // that only producers have.
    if (std::ranges::find(ours, "debug", &Properties::value_type::first) == ours.end())
        ours.emplace_back("log_level", "2");
    TXS_TRY(auto conf, detail::make_conf(ours, log));
    rd_kafka_conf_set_events(conf.get(), RD_KAFKA_EVENT_ERROR);
    return detail::make_client(RD_KAFKA_CONSUMER, std::move(conf));
}

/// "host:port/id: what happened" -> id. A bootstrap address has a word there.
std::optional<std::int32_t> broker_in(std::string_view text) {
    const auto end = text.find(": ");
    if (end == std::string_view::npos) return std::nullopt;
    const auto slash = text.rfind('/', end);
    if (slash == std::string_view::npos) return std::nullopt;
    std::int32_t id = -1;
    const auto* const last = text.data() + end;
    const auto parsed = std::from_chars(text.data() + slash + 1, last, id);
    if (parsed.ec != std::errc() || parsed.ptr != last) return std::nullopt;
    return id;
}

PartitionState partition_of(const rd_kafka_metadata_partition& found) {
    PartitionState partition;
    partition.id = found.id;
    partition.leader = found.leader;
    partition.replicas.assign(found.replicas, found.replicas + found.replica_cnt);
    partition.in_sync.assign(found.isrs, found.isrs + found.isr_cnt);
    return partition;
}

TopicState topic_of(const rd_kafka_metadata_topic& found) {
    TopicState topic;
    topic.name = found.topic;
    if (found.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        topic.error =
            to_error(found.err, "topic " + topic.name + ": " + rd_kafka_err2str(found.err));
    }
    topic.partitions.reserve(static_cast<std::size_t>(found.partition_cnt));
    for (int i = 0; i < found.partition_cnt; ++i)
        topic.partitions.push_back(partition_of(found.partitions[i]));
    std::ranges::sort(topic.partitions, {}, &PartitionState::id);
    return topic;
}

Error unanswered(const Place& place, const Error& reason) {
    return Error(
        reason.code(),
        place.topic + "[" + std::to_string(place.partition) + "]: " + reason.what(),
        reason.origin()
    );
}

/// A request's share of `places`: indices of partitions that one broker leads.
using Batch = std::vector<std::size_t>;

/// One list for each leader, cut into requests.
std::vector<std::vector<Batch>> batches_by_leader(
    const std::vector<Place>& places, std::size_t size_max
) {
    std::map<std::int32_t, std::vector<Batch>> batches;
    for (std::size_t i = 0; i < places.size(); ++i) {
        if (places[i].leader < 0) continue;
        auto& of_leader = batches[places[i].leader];
        if (of_leader.empty() || of_leader.back().size() == size_max) of_leader.emplace_back();
        of_leader.back().push_back(i);
    }
    std::vector<std::vector<Batch>> lists;
    for (auto& [leader, list] : batches) lists.push_back(std::move(list));
    return lists;
}

/// ListOffsets for many partitions. `time` may be kLatest or kEarliest, whose answers are never
/// negative: what still is was not answered.
class OffsetQuery {
public:
    /// What is wrong with the connection to a broker, if anything is.
    using TroubleWith = std::function<std::optional<Error>(std::int32_t broker)>;

    OffsetQuery(
        rd_kafka_t* client,
        const std::vector<Place>& places,
        std::int64_t time,
        std::size_t batch_max,
        TroubleWith trouble_with
    )
        : client_(client),
          places_(places),
          time_(time),
          batch_max_(batch_max),
          trouble_with_(std::move(trouble_with)) {
        for (const auto& place : places) {
            results_.push_back(tl::unexpected<Error>(unanswered(
                place,
                Error(Code::unavailable, "the partition has no leader", "LEADER_NOT_AVAILABLE")
            )));
        }
    }

    std::vector<Result<std::int64_t>> run(Deadline deadline) {
        const auto leaders = batches_by_leader(places_, batch_max_);
        for (std::size_t i = 0; i < leaders.size(); ++i) {
            // A broker that does not answer must leave time for those after it.
            const auto share = deadline.left() / static_cast<std::int64_t>(leaders.size() - i);
            ask(leaders[i], Deadline::in(share));
        }
        return std::move(results_);
    }

private:
    void ask(const std::vector<Batch>& batches, Deadline deadline) {
        const auto leader = places_[batches.front().front()].leader;
        std::optional<Error> failed;
        for (const auto& batch : batches) {
            if (!failed) failed = ask_leader(leader, batch, deadline);
            if (!failed) continue;
            for (const auto i : batch) {
                if (!results_[i]) results_[i] = tl::unexpected(unanswered(places_[i], *failed));
            }
        }
    }

    /// Why it is of no use to ask this leader for the rest.
    std::optional<Error> ask_leader(std::int32_t leader, const Batch& batch, Deadline deadline) {
        // A leader that refuses connections will go on doing so, and the page should say so soon.
        auto error = ask(batch, deadline.sooner(Deadline::in(kConnectPatience)));
        auto trouble = error == RD_KAFKA_RESP_ERR__TIMED_OUT ? trouble_with_(leader) : std::nullopt;
        if (error == RD_KAFKA_RESP_ERR__TIMED_OUT && !trouble && !deadline.passed()) {
            error = ask(batch, deadline);
            trouble = error == RD_KAFKA_RESP_ERR__TIMED_OUT ? trouble_with_(leader) : std::nullopt;
        }
        if (error != RD_KAFKA_RESP_ERR__TIMED_OUT) return std::nullopt;
        return trouble ? trouble : to_error(error, rd_kafka_err2str(error));
    }

    rd_kafka_resp_err_t ask(const Batch& batch, Deadline deadline) {
        const detail::Partitions list(
            rd_kafka_topic_partition_list_new(static_cast<int>(batch.size()))
        );
        for (const auto i : batch) {
            rd_kafka_topic_partition_list_add(
                list.get(), places_[i].topic.c_str(), places_[i].partition
            )
                ->offset = time_;
        }
        const auto error =
            rd_kafka_offsets_for_times(client_, list.get(), milliseconds_left(deadline));
        for (std::size_t n = 0; n < batch.size(); ++n) {
            const auto& answer = list->elems[n];
            if (answer.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
                put(batch[n], answer.err);
            } else if (error != RD_KAFKA_RESP_ERR_NO_ERROR && (time_ >= 0 || answer.offset < 0)) {
                put(batch[n], error);
            } else {
                results_[batch[n]] = answer.offset;
            }
        }
        return error == RD_KAFKA_RESP_ERR__TIMED_OUT ? error : RD_KAFKA_RESP_ERR_NO_ERROR;
    }

    void put(std::size_t i, rd_kafka_resp_err_t error) {
        results_[i] =
            tl::unexpected<Error>(unanswered(places_[i], to_error(error, rd_kafka_err2str(error))));
    }

    rd_kafka_t* client_;
    const std::vector<Place>& places_;
    std::int64_t time_;
    std::size_t batch_max_;
    TroubleWith trouble_with_;
    std::vector<Result<std::int64_t>> results_;
};

}  // namespace

Gap gap_of(const Error& error) noexcept {
    const std::string_view origin = error.origin();
    if (origin.ends_with("AUTHORIZATION_FAILED")) return Gap::denied;
    if (origin == "_UNSUPPORTED_FEATURE" || origin == "UNSUPPORTED_VERSION")
        return Gap::unsupported;
    if (origin == "UNKNOWN_TOPIC_OR_PART" || origin == "_UNKNOWN_TOPIC" ||
        origin == "_UNKNOWN_PARTITION" || origin == "GROUP_ID_NOT_FOUND")
        return Gap::unknown;
    return Gap::failed;
}

const TopicState* ClusterState::find(std::string_view topic) const {
    const auto at = std::ranges::lower_bound(topics, topic, {}, &TopicState::name);
    return at != topics.end() && at->name == topic ? &*at : nullptr;
}

Result<std::unique_ptr<Cluster::Impl>> Cluster::Impl::open(
    Properties properties, LogCallback log, Limits limits
) {
    auto impl = std::make_unique<Impl>();
    impl->log_ = std::move(log);
    impl->properties_ = std::move(properties);
    impl->limits_ = limits;
    TXS_TRY(impl->client_, make_reader(impl->properties_, "read_committed", &impl->log_));
    return impl;
}

Result<rd_kafka_t*> Cluster::Impl::uncommitted_client() {
    const std::lock_guard lock(mutex_);
    if (!uncommitted_client_) {
        TXS_TRY(uncommitted_client_, make_reader(properties_, "read_uncommitted", &log_));
    }
    return uncommitted_client_.get();
}

bool Cluster::Impl::is_controller_known() {
    const auto controller = rd_kafka_controllerid(client(), 0);
    const std::lock_guard lock(mutex_);
    return std::ranges::find(broker_ids_, controller) != broker_ids_.end();
}

void Cluster::Impl::remember(const std::vector<BrokerState>& brokers) {
    const std::lock_guard lock(mutex_);
    broker_ids_.clear();
    for (const auto& broker : brokers) broker_ids_.push_back(broker.id);
}

void Cluster::Impl::drain_errors() {
    drain_errors(client_.get());
    if (uncommitted_client_) drain_errors(uncommitted_client_.get());
}

void Cluster::Impl::drain_errors(rd_kafka_t* client) {
    const detail::Queue queue(rd_kafka_queue_get_main(client));
    while (const detail::Event event{rd_kafka_queue_poll(queue.get(), 0)}) {
        if (rd_kafka_event_type(event.get()) != RD_KAFKA_EVENT_ERROR) continue;
        const auto code = rd_kafka_event_error(event.get());
        if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
            is_all_down_ = true;
            continue;
        }
        const std::string_view text = rd_kafka_event_error_string(event.get());
        (void)connections_.failed(code, text);
        if (connections_.is_login_refused()) refused_login_ = connections_.trouble();
        if (const auto broker = broker_in(text))
            troubles_.insert_or_assign(*broker, connection_error(code, text));
    }
}

Error Cluster::Impl::because(Error error) {
    if (!error.retryable() || gap_of(error) != Gap::failed) return error;
    const std::lock_guard lock(mutex_);
    drain_errors();
    if (connections_.trouble()) return *connections_.trouble();
    // No connection has failed yet, and none was good enough to ask.
    if (error.code() == Code::timed_out || error.origin() == name_of(RD_KAFKA_RESP_ERR__TRANSPORT))
        return connection_error(RD_KAFKA_RESP_ERR__TIMED_OUT, error.what());
    return error;
}

bool Cluster::Impl::is_all_down() {
    const std::lock_guard lock(mutex_);
    drain_errors();
    return is_all_down_;
}

std::optional<Error> Cluster::Impl::trouble_with(std::int32_t broker) {
    const std::lock_guard lock(mutex_);
    drain_errors();
    const auto at = troubles_.find(broker);
    if (at == troubles_.end()) return std::nullopt;
    return at->second;
}

void Cluster::Impl::worked() {
    const std::lock_guard lock(mutex_);
    drain_errors();
    connections_.worked();
    is_all_down_ = false;
}

void Cluster::Impl::worked(std::int32_t broker) {
    const std::lock_guard lock(mutex_);
    drain_errors();
    troubles_.erase(broker);
}

std::optional<Error> Cluster::Impl::refused_login() {
    const std::lock_guard lock(mutex_);
    drain_errors();
    return refused_login_;
}

Cluster::Cluster(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}
Cluster::~Cluster() = default;

Result<std::unique_ptr<Cluster>> Cluster::open(
    const Properties& properties, LogCallback log, Limits limits
) {
    TXS_TRY(auto impl, Impl::open(properties, std::move(log), limits));
    return std::unique_ptr<Cluster>(new Cluster(std::move(impl)));
}

std::optional<Error> Cluster::refused_login() const {
    return impl_->refused_login();
}

Result<ClusterState> Cluster::describe(Deadline deadline) {
    auto* client = impl_->client();
    const rd_kafka_metadata_t* raw = nullptr;
    auto error = RD_KAFKA_RESP_ERR_NO_ERROR;
    do {
        const auto slice = deadline.sooner(Deadline::in(kConnectPatience));
        error = rd_kafka_metadata(client, 1, nullptr, &raw, milliseconds_left(slice));
        // Brokers that all refuse us will go on doing so: the page should say so soon. While one
        // may still answer, it has until the deadline.
    } while (error != RD_KAFKA_RESP_ERR_NO_ERROR && !deadline.passed() && !impl_->is_all_down());
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return tl::unexpected<Error>(
            impl_->because(to_error(error, std::string("no metadata: ") + rd_kafka_err2str(error)))
        );
    }
    const detail::Metadata metadata(raw);
    impl_->worked();
    ClusterState state;
    // Both come with the metadata that is here; they do not wait.
    if (char* id = rd_kafka_clusterid(client, 0)) {
        state.id = id;
        rd_kafka_mem_free(client, id);
    }
    state.controller = rd_kafka_controllerid(client, 0);
    for (int i = 0; i < metadata->broker_cnt; ++i) {
        const auto& found = metadata->brokers[i];
        state.brokers.push_back({.id = found.id, .host = found.host, .port = found.port});
    }
    state.topics.reserve(static_cast<std::size_t>(metadata->topic_cnt));
    for (int i = 0; i < metadata->topic_cnt; ++i)
        state.topics.push_back(topic_of(metadata->topics[i]));
    std::ranges::sort(state.brokers, {}, &BrokerState::id);
    impl_->remember(state.brokers);
    std::ranges::sort(state.topics, {}, &TopicState::name);
    return state;
}

std::vector<Result<std::int64_t>> Cluster::offsets(
    const std::vector<Place>& places, Edge edge, Deadline deadline
) {
    auto* client = impl_->client();
    if (edge == Edge::high) {
        auto uncommitted = impl_->uncommitted_client();
        if (!uncommitted) {
            const Result<std::int64_t> failed = tl::unexpected<Error>(uncommitted.error());
            // Not with braces: the number of places would be an offset.
            return std::vector<Result<std::int64_t>>(places.size(), failed);
        }
        client = *uncommitted;
    }
    const auto trouble = [this](std::int32_t broker) { return impl_->trouble_with(broker); };
    return OffsetQuery(
               client,
               places,
               edge == Edge::first ? kEarliest : kLatest,
               impl_->limits().partitions_in_one_request,
               trouble
    )
        .run(deadline);
}

std::vector<Result<std::optional<std::int64_t>>> Cluster::offsets_at(
    const std::vector<Place>& places, std::int64_t unix_ms, Deadline deadline
) {
    const auto trouble = [this](std::int32_t broker) { return impl_->trouble_with(broker); };
    auto found = OffsetQuery(
                     impl_->client(),
                     places,
                     std::max<std::int64_t>(unix_ms, 0),
                     impl_->limits().partitions_in_one_request,
                     trouble
    )
                     .run(deadline);
    std::vector<Result<std::optional<std::int64_t>>> results;
    results.reserve(found.size());
    for (auto& offset : found) {
        results.push_back(std::move(offset).map([](std::int64_t value) {
            return value < 0 ? std::optional<std::int64_t>() : value;
        }));
    }
    return results;
}

}  // namespace txstream::kafka
