#include "tests/sim/kafka.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <deque>
#include <set>

namespace txstream::sim {

Kafka::Topic& Kafka::topic(std::string_view name) {
    const auto found = topics_.find(name);
    if (found != topics_.end()) return found->second;
    return topics_.emplace(std::string(name), Topic()).first->second;
}

std::int32_t Kafka::partition_of(std::string_view key) {
    unsigned sum = 0;
    for (const char letter : key) sum = sum * 31 + static_cast<unsigned char>(letter);
    return static_cast<std::int32_t>((sum >> 3) % 2);
}

void Kafka::heal() {
    faults = {};
    back_ = {};
    cut_off_.clear();
    for (auto& [name, topic] : topics_) {
        topic.exists = topic.is_allowed = true;
        topic.leader_back = {};
    }
}

bool Kafka::is_reachable(const Process& process) const {
    if (world_.now() < back_) return false;
    const auto found = cut_off_.find(&process);
    return found == cut_off_.end() || world_.now() >= found->second;
}

Kafka::Verdict Kafka::append(const std::vector<Stored>& batch) {
    auto& its_topic = topic(batch.front().topic);
    const auto partition = static_cast<std::size_t>(batch.front().partition);
    if (!its_topic.exists) return {relay::Outcome::refused_topic, "UNKNOWN_TOPIC_OR_PART"};
    if (!its_topic.is_allowed) return {relay::Outcome::refused_topic, "TOPIC_AUTHORIZATION_FAILED"};
    if (world_.now() < its_topic.leader_back[partition])
        return {.outcome = relay::Outcome::retryable, .error = "NOT_LEADER", .is_final = false};
    std::size_t bytes = 0;
    bool is_poisoned = false;
    bool is_damaged = false;
    for (const auto& record : batch) {
        bytes += record.key.size() + record.value.size();
        is_poisoned = is_poisoned || record.value.find(kPoison) != std::string::npos;
        is_damaged = is_damaged || record.value.find(kDamaged) != std::string::npos;
    }
    if (bytes > its_topic.bytes_max || is_poisoned || is_damaged) {
        for (const auto& record : batch) on_refuse(record.event, batch.size() == 1);
        if (is_damaged) return {relay::Outcome::refused_for_now, "INVALID_MSG"};
        return {
            relay::Outcome::refused_event, is_poisoned ? "INVALID_RECORD" : "MSG_SIZE_TOO_LARGE"
        };
    }
    auto& log = its_topic.log[partition];
    const auto offset = static_cast<std::int64_t>(log.size());
    for (const auto& record : batch) {
        log.push_back(record);
        log.back().offset = static_cast<std::int64_t>(log.size()) - 1;
        on_store(log.back());
    }
    return {.offset = offset};
}

namespace {

/// What librdkafka's threads do for one producer: idempotent, and without gaps on the fast path; on
/// the careful one it goes on after what was refused. A partition has one
/// request under way; what is sent again after a lost answer is recognised. It belongs to the
/// process: paused with it, and what it has sent arrives whatever becomes of it.
class Client : public std::enable_shared_from_this<Client> {
public:
    Client(
        Kafka& kafka,
        Process& process,
        std::string owner,
        relay::Path path,
        std::shared_ptr<Kafka::Known> known,
        relay::PublisherEvents events
    )
        : kafka_(kafka),
          process_(process),
          owner_(std::move(owner)),
          is_careful_(path == relay::Path::careful),
          known_(std::move(known)),
          events_(std::move(events)),
          batch_bytes_max_(std::min(known_->batch_bytes_max, kafka.limits.batch_bytes_max)) {
        ++kafka_.producers;
    }

    void close() { is_closed_ = true; }

    Result<> publish(const relay::Record& record) {
        auto& topic = kafka_.topic(record.topic);
        const auto bytes = record.key.size() + record.value.size();
        if (is_closed_ || process_.is_dead()) return fail(Code::unavailable, "closed");
        if (unreported_ >= kafka_.limits.queue_max) return wait("the queue is full");
        // Its limits are looked up first.
        if (!topics_.contains(std::string(record.topic)) && kafka_.world().random.chance(0.3)) {
            topics_.insert(std::string(record.topic));
            return wait("the topic's limits are being looked up");
        }
        if (!topic.exists && missing_.contains(std::string(record.topic))) {
            if (kafka_.world().random.chance(0.5))
                return fail(Code::not_found, "no such topic", "_UNKNOWN_TOPIC");
        }
        if (topic.tells_limit && bytes > topic.bytes_max)
            return fail(Code::rejected, "too large", "MSG_SIZE_TOO_LARGE");
        if (is_dead_) return fail(Code::unavailable, "a fatal error", "_FATAL");
        const auto partition = Kafka::partition_of(record.key);
        auto& queue = partitions_[{std::string(record.topic), partition}];
        if (is_careful_ && !keys_.insert(std::string(record.key)).second)
            kafka_.world().violated("two records of key {} are on the careful path", record.key);
        queue.waiting.push_back({record.context, event_of(record), record.key, record.value});
        ++unreported_;
        if (is_careful_) key_of_[record.context] = record.key;
        kafka_.on_hand_over({process_, owner_, queue.waiting.back().event}, attempt_of(record));
        kick(queue, std::string(record.topic), partition);
        return {};
    }

    std::optional<bool> vouches_for(std::string_view name) {
        if (topics_.insert(std::string(name)).second && kafka_.world().random.chance(0.3)) {
            (void)wait("the topic's limits are being looked up");
            return std::nullopt;
        }
        const auto& topic = kafka_.topic(name);
        return topic.exists && topic.tells_limit;
    }
    void refused(std::string_view error, std::string_view topic, std::size_t bytes) {
        const auto most = kafka_.topic(topic).bytes_max;
        if (is_careful_ || error != "MSG_SIZE_TOO_LARGE" || bytes > most) return;
        known_->batch_bytes_max = std::min(known_->batch_bytes_max, most);
    }
    std::optional<std::chrono::milliseconds> waiting_max() const {
        return kafka_.limits.waiting_max;
    }

private:
    struct Message {
        void* context;
        std::int64_t event;
        std::string_view key;  ///< the relay's memory, until the report
        std::string_view value;
    };
    struct Batch {
        std::vector<Stored> records;
        std::vector<void*> contexts;
        std::optional<Kafka::Verdict> verdict;  ///< it was stored, or refused
    };
    struct Partition {
        std::deque<Message> waiting;
        std::shared_ptr<Batch> under_way;
        bool is_busy = false;
    };
    using Place = std::pair<std::string, std::int32_t>;

    static std::int64_t event_of(const relay::Record& record) {
        const auto header =
            std::ranges::find(record.headers, std::string_view("event_id"), &relay::Header::name);
        TXS_ASSERT(header != record.headers.end(), "each record has its event's id");
        const auto digits =
            std::string(header->value.substr(19, 4)) + std::string(header->value.substr(24));
        return std::stoll(digits, nullptr, 16);
    }
    static int attempt_of(const relay::Record& record) {
        const auto mark = std::ranges::find(
            record.marks, std::string_view("txstream-attempt"), &relay::Header::name
        );
        return mark == record.marks.end() ? 0 : std::stoi(std::string(mark->value));
    }

    Simulation& world() { return kafka_.world(); }
    bool has_ended() const { return is_closed_ || process_.is_dead(); }
    tl::unexpected<Error> wait(const char* what) {
        is_awaited_ = true;
        world().after(5ms, [self = shared_from_this()] { self->tell_ready(); });
        return fail(Code::overloaded, what);
    }
    void tell_ready() {
        post([](Client& self) {
            if (std::exchange(self.is_awaited_, false)) self.events_.ready();
        });
    }
    // On the relay's thread.
    template <class What>
    void post(What what) {
        asio::post(process_.executor(), [self = shared_from_this(), what = std::move(what)] {
            if (!self->is_closed_ && !self->process_.is_dead()) what(*self);
        });
    }
    // On a thread of this client: a paused process has none.
    template <class What>
    void later(Clock::duration pause, What what) {
        world().after(pause, [self = shared_from_this(), what = std::move(what)] {
            if (self->process_.state == Process::State::paused) {
                self->later(3ms, what);
            } else {
                what(*self);
            }
        });
    }

    void kick(Partition& queue, std::string topic, std::int32_t partition) {
        if (queue.is_busy) return;
        queue.is_busy = true;
        later(
            world().random.upto(kafka_.limits.linger_max),
            [place = Place(std::move(topic), partition)](Client& self) { self.send(place); }
        );
    }

    void send(const Place& place) {
        if (has_ended()) return;
        auto& queue = partitions_[place];
        // What was queued stays behind when it gives up; what is under way is told of.
        if (!queue.under_way && (is_dead_ || !make_batch(queue, place))) {
            queue.is_busy = false;
            return;
        }
        if (!kafka_.is_reachable(process_)) {
            tell_down();
            return again(place);
        }
        is_down_ = false;
        for (const auto& record : queue.under_way->records)
            kafka_.on_send({process_, owner_, record.event});
        const auto travel = world().random.upto(kafka_.limits.travel_max);
        if (world().random.chance(kafka_.faults.lost_request)) return again(place);
        // From here on nothing of this process can stop it.
        world().after(travel, [self = shared_from_this(), place, batch = queue.under_way] {
            self->at_broker(place, batch);
        });
    }
    void again(const Place& place) {
        kafka_.on_incident("a request is sent again");
        later(
            kafka_.limits.retry_pause + world().random.upto(kafka_.limits.retry_pause),
            [place](Client& self) { self.send(place); }
        );
    }

    bool make_batch(Partition& queue, const Place& place) {
        auto batch = std::make_shared<Batch>();
        std::size_t bytes = 0;
        // The careful one sends what there is: its owner makes batches smaller.
        for (auto left = is_careful_ ? std::int64_t(queue.waiting.size())
                                     : 1 + world().random.roll(kafka_.limits.batch_records_max);
             left > 0 && !queue.waiting.empty();
             --left) {
            const auto& next = queue.waiting.front();
            bytes += next.key.size() + next.value.size();
            if (!batch->records.empty() && bytes > batch_bytes_max_) break;
            batch->records.push_back(
                {next.event,
                 place.first,
                 std::string(next.key),
                 std::string(next.value),
                 place.second}
            );
            batch->contexts.push_back(next.context);
            queue.waiting.pop_front();
        }
        if (batch->records.empty()) return false;
        queue.under_way = std::move(batch);
        return true;
    }

    void at_broker(const Place& place, const std::shared_ptr<Batch>& batch) {
        auto& random = world().random;
        if (!kafka_.is_reachable(process_)) return again(place);
        if (!batch->verdict) {
            const auto verdict = kafka_.append(batch->records);
            if (verdict.is_final) batch->verdict = verdict;
        }
        if (!batch->verdict || random.chance(kafka_.faults.lost_answer)) return again(place);
        auto travel = random.upto(kafka_.limits.travel_max);
        if (random.chance(kafka_.faults.late)) {
            travel += random.upto(kafka_.faults.late_max);
            kafka_.on_incident("a late answer");
        }
        later(travel, [place](Client& self) { self.answered(place); });
    }

    void answered(const Place& place) {
        if (has_ended()) return;
        // The connection that the answer was to come by is gone: the client asks again.
        if (!kafka_.is_reachable(process_)) return again(place);
        auto& queue = partitions_[place];
        const auto batch = std::exchange(queue.under_way, nullptr);
        auto verdict = *batch->verdict;
        const bool is_given_up = world().random.chance(kafka_.faults.transient);
        if (is_given_up) verdict = {relay::Outcome::retryable, "REQUEST_TIMED_OUT"};
        std::vector<relay::Report> reports;
        auto offset = verdict.offset;
        for (auto* const context : batch->contexts)
            reports.push_back({context, verdict.outcome, place.second, offset++, verdict.error});
        const bool is_missing =
            verdict.outcome == relay::Outcome::refused_topic && !kafka_.topic(place.first).exists;
        if (is_missing) {
            missing_.insert(place.first);
            fail_topic(place.first, verdict.error, reports);
        }
        if (verdict.outcome != relay::Outcome::acknowledged) kafka_.on_incident(verdict.error);
        const bool is_gap =
            !is_careful_ && verdict.outcome != relay::Outcome::acknowledged && !is_missing;
        const bool gives_up = world().random.chance(kafka_.faults.fatal);
        if (!is_gap || is_dead_) report(std::move(reports));
        if (is_dead_) {
            send(place);
        } else if (is_gap) {
            give_up("_GAPLESS_GUARANTEE", std::move(reports));
        } else if (gives_up) {
            give_up("INVALID_PRODUCER_EPOCH", {});
        } else {
            send(place);
        }
    }

    // None of the topic's records has a number yet, so that they leave no gap.
    void fail_topic(
        const std::string& topic, const char* error, std::vector<relay::Report>& reports
    ) {
        for (auto& [place, queue] : partitions_) {
            if (place.first != topic) continue;
            for (const auto& message : std::exchange(queue.waiting, {}))
                reports.push_back(
                    {message.context, relay::Outcome::refused_topic, place.second, -1, error}
                );
        }
    }

    // The news that it is over, the reports of what was refused, and those of what was queued
    // behind come in any order, and the last perhaps never.
    void give_up(const char* name, std::vector<relay::Report> reports) {
        is_dead_ = true;
        kafka_.on_incident(name);
        const bool tells_first = world().random.chance(0.5);
        if (tells_first) tell_fatal(name);
        report(std::move(reports));
        if (world().random.chance(0.5)) {
            std::vector<relay::Report> purged;
            for (auto& [place, queue] : partitions_) {
                for (const auto& message : std::exchange(queue.waiting, {}))
                    purged.push_back(
                        {message.context, relay::Outcome::retryable, -1, -1, "_PURGE_QUEUE"}
                    );
            }
            if (world().random.chance(0.3)) {
                world().after(world().random.upto(20ms), [self = shared_from_this(), purged] {
                    self->report(purged);
                });
            } else {
                report(std::move(purged));
            }
        }
        if (!tells_first) tell_fatal(name);
    }
    void tell_fatal(const char* name) {
        world().note("{}: a producer gives up: {}", process_.name, name);
        post([name](Client& self) {
            self.events_.fatal(Error(Code::unavailable, "the producer gave up", name));
        });
    }
    void tell_down() {
        if (std::exchange(is_down_, true)) return;
        post([](Client& self) {
            self.events_.brokers_down(Error(Code::unavailable, "no broker", "_TRANSPORT"));
        });
    }
    void report(std::vector<relay::Report> reports) {
        if (reports.empty()) return;
        post([reports = std::move(reports)](Client& self) {
            self.unreported_ -= reports.size();
            if (self.is_careful_)
                for (const auto& one : reports) self.keys_.erase(self.key_of_[one.context]);
            self.events_.reports(reports);
            if (self.is_awaited_ && !self.is_closed_) self.tell_ready();
        });
    }

    Kafka& kafka_;
    Process& process_;
    std::string owner_;
    bool is_careful_;
    std::shared_ptr<Kafka::Known> known_;
    relay::PublisherEvents events_;
    std::size_t batch_bytes_max_;
    std::map<Place, Partition> partitions_;
    std::set<std::string> topics_;   ///< whose limits were asked for
    std::set<std::string> missing_;  ///< as far as it has heard
    std::set<std::string> keys_;     ///< on the careful path
    std::map<void*, std::string> key_of_;
    std::size_t unreported_ = 0;
    bool is_awaited_ = false;  ///< publish() said "later"
    bool is_closed_ = false;
    bool is_dead_ = false;
    bool is_down_ = false;
};

class Publisher final : public relay::Publisher {
public:
    explicit Publisher(std::shared_ptr<Client> client) : client_(std::move(client)) {}
    ~Publisher() override { client_->close(); }
    Publisher(const Publisher&) = delete;
    Publisher& operator=(const Publisher&) = delete;

    Result<> publish(const relay::Record& record) override { return client_->publish(record); }
    std::string explain(std::string_view error, std::string_view, std::size_t) const override {
        return std::string(error);
    }
    std::optional<bool> vouches_for(std::string_view topic) override {
        return client_->vouches_for(topic);
    }
    void refused(
        std::string_view error, std::string_view topic, std::size_t bytes, std::size_t /*records*/
    ) override {
        client_->refused(error, topic, bytes);
    }
    std::optional<std::chrono::milliseconds> waiting_max() const override {
        return client_->waiting_max();
    }

private:
    std::shared_ptr<Client> client_;
};

}  // namespace

std::unique_ptr<relay::Publisher> make_publisher(
    Kafka& kafka,
    Process& process,
    std::string owner,
    relay::Path path,
    std::shared_ptr<Kafka::Known> known,
    relay::PublisherEvents events
) {
    return std::make_unique<Publisher>(std::make_shared<Client>(
        kafka, process, std::move(owner), path, std::move(known), std::move(events)
    ));
}

}  // namespace txstream::sim
