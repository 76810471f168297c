#include "kafka/producer.hpp"

#include "base/assert.hpp"
#include "kafka/detail/handles.hpp"
#include "kafka/error_table.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cerrno>
#include <chrono>
#include <functional>
#include <map>
#include <sys/eventfd.h>
#include <sys/syslog.h>
#include <unistd.h>
#include <utility>

namespace txstream::kafka {

namespace {

// Reports taken from librdkafka in one go.
constexpr std::size_t kReportsPerBatch = 4096;
constexpr std::chrono::seconds kRenewalPause{1};

std::pair<std::string, std::string> login_of(const Properties& properties) {
    std::pair<std::string, std::string> login;
    for (const auto& [name, value] : properties) {
        if (name == "sasl.username") login.first = value;
        if (name == "sasl.password") login.second = value;
    }
    return login;
}

void add(rd_kafka_headers_t* headers, std::span<const Header> more) {
    for (const auto& [name, value] : more) {
        rd_kafka_header_add(
            headers,
            name.data(),
            static_cast<ssize_t>(name.size()),
            value.data(),
            static_cast<ssize_t>(value.size())
        );
    }
}

// To Kafka an empty text and none are different things: a tombstone, a record without a key.
void* memory_of(std::string_view text) {
    return const_cast<char*>(text.data() == nullptr ? "" : text.data());
}

}  // namespace

class Producer::Impl : public std::enable_shared_from_this<Producer::Impl> {
public:
    Impl(const asio::any_io_executor& executor, Events events, LogCallback log)
        : events_(std::move(events)), log_(std::move(log)), wake_(executor), renewal_(executor) {}

    Result<> open(const Properties& properties) {
        TXS_TRY(auto conf, detail::make_conf(properties, &log_));
        rd_kafka_conf_set_events(conf.get(), RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
        TXS_TRY(client_, detail::make_client(RD_KAFKA_PRODUCER, std::move(conf)));
        login_ = login_of(properties);
        const int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (descriptor < 0)
            return fail(Code::overloaded, "no file descriptor left for a Kafka producer");
        wake_.assign(descriptor);
        queue_.reset(rd_kafka_queue_get_main(client_.get()));
        static constexpr std::uint64_t kOne = 1;
        rd_kafka_queue_io_event_enable(queue_.get(), descriptor, &kOne, sizeof kOne);
        // librdkafka's threads run since rd_kafka_new, and it wakes only for what enters an empty
        // queue: without a first look, an event from before this line would keep it silent for
        // ever.
        const std::uint64_t first_look = 1;
        if (::write(descriptor, &first_look, sizeof first_look) != sizeof first_look)
            return fail(
                Code::unavailable, "cannot write to the wake-up descriptor of a Kafka producer"
            );
        wait();
        return {};
    }

    void close() {
        closed_ = true;
        renewal_.cancel();
        if (!client_) return;
        // librdkafka must stop writing to the descriptor before its number can be given to somebody
        // else.
        if (queue_) rd_kafka_queue_io_event_enable(queue_.get(), -1, nullptr, 0);
        rd_kafka_purge(
            client_.get(),
            RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING
        );
        // Order: topics and queues before the client, or rd_kafka_destroy waits for them for ever.
        topics_.clear();
        queue_.reset();
        client_.reset();
        wake_.close();
    }

    Result<> produce(const Record& record) {
        TXS_TRY(auto* topic, topic_of(record.topic));
        rd_kafka_headers_t* headers = nullptr;
        if (const auto count = record.headers.size() + record.marks.size(); count > 0) {
            headers = rd_kafka_headers_new(count);
            add(headers, record.headers);
            add(headers, record.marks);
        }
        rd_kafka_vu_t fields[7];
        std::size_t count = 0;
        auto next = [&](rd_kafka_vtype_t type) -> auto& {
            fields[count].vtype = type;
            return fields[count++].u;
        };
        next(RD_KAFKA_VTYPE_RKT).rkt = topic;
        next(RD_KAFKA_VTYPE_MSGFLAGS).i =
            0;  // neither copied nor freed: the caller's until the report
        auto& value = next(RD_KAFKA_VTYPE_VALUE).mem;
        value.ptr = record.is_tombstone ? nullptr : memory_of(record.value);
        value.size = record.value.size();
        auto& key = next(RD_KAFKA_VTYPE_KEY).mem;
        key.ptr = memory_of(record.key);
        key.size = record.key.size();
        next(RD_KAFKA_VTYPE_TIMESTAMP).i64 = record.timestamp_ms;
        next(RD_KAFKA_VTYPE_OPAQUE).ptr = record.context;
        if (headers != nullptr) next(RD_KAFKA_VTYPE_HEADERS).headers = headers;
        rd_kafka_error_t* error = rd_kafka_produceva(client_.get(), fields, count);
        if (error == nullptr) return {};
        if (headers != nullptr)
            rd_kafka_headers_destroy(headers);  // ours again, since it was not taken
        // It has given up before, and says so again under the name of the reason.
        const bool is_fatal = rd_kafka_error_is_fatal(error) != 0;
        const int code = is_fatal ? RD_KAFKA_RESP_ERR__FATAL : rd_kafka_error_code(error);
        std::string what = rd_kafka_error_string(error);
        rd_kafka_error_destroy(error);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return fail(Code::overloaded, std::move(what), std::string(name_of(code)));
        note_unknown(code);
        return tl::unexpected<Error>(to_error(code, std::move(what)));
    }

private:
    void note_unknown(int code) const {
        if (!log_) return;
        if (const auto line = unknown_code(code)) log_(LOG_WARNING, *line);
    }

    Result<rd_kafka_topic_t*> topic_of(std::string_view name) {
        if (auto found = topics_.find(name); found != topics_.end()) return found->second.get();
        detail::Topic topic(rd_kafka_topic_new(client_.get(), std::string(name).c_str(), nullptr));
        if (!topic) {
            const auto code = rd_kafka_last_error();
            return tl::unexpected<Error>(
                to_error(code, "topic " + std::string(name) + ": " + rd_kafka_err2str(code))
            );
        }
        return topics_.emplace(std::string(name), std::move(topic)).first->second.get();
    }

    void wait() {
        wake_.async_wait(
            asio::posix::stream_descriptor::wait_read,
            [self = shared_from_this()](boost::system::error_code error) {
                if (error || self->closed_) return;
                std::uint64_t count;
                // The count does not matter, only that the descriptor is quiet again before the
                // queue is emptied.
                while (::read(self->wake_.native_handle(), &count, sizeof count) < 0 &&
                       errno == EINTR) {
                }
                self->serve();
                if (!self->closed_) self->wait();
            }
        );
    }

    // Until the queue is empty: librdkafka wakes only when something enters an empty queue.
    void serve() {
        while (!closed_) {
            detail::Event event(rd_kafka_queue_poll(queue_.get(), 0));
            if (!event) return;
            switch (rd_kafka_event_type(event.get())) {
                case RD_KAFKA_EVENT_DR:
                    deliver(event.get());
                    break;
                case RD_KAFKA_EVENT_ERROR:
                    signal(event.get());
                    break;
                default:
                    break;
            }
        }
    }

    void deliver(rd_kafka_event_t* event) {
        const rd_kafka_message_t* messages[kReportsPerBatch];
        while (const std::size_t count =
                   rd_kafka_event_message_array(event, messages, kReportsPerBatch)) {
            reports_.clear();
            for (std::size_t i = 0; i < count; ++i) {
                if (messages[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
                    connections_.worked();
                    is_down_ = false;
                }
                const auto outcome = outcome_of(messages[i]->err);
                if (outcome == Outcome::retryable) note_unknown(messages[i]->err);
                reports_.push_back(
                    {messages[i]->_private,
                     outcome,
                     messages[i]->partition,
                     messages[i]->offset,
                     outcome == Outcome::acknowledged ? std::string_view()
                                                      : name_of(messages[i]->err)}
                );
            }
            events_.reports(reports_);
            if (closed_) return;
        }
    }

    void signal(rd_kafka_event_t* event) {
        const int code = rd_kafka_event_error(event);
        std::string text = rd_kafka_event_error_string(event);
        if (code == RD_KAFKA_RESP_ERR__FATAL) {
            char reason[512];
            const auto cause = rd_kafka_fatal_error(client_.get(), reason, sizeof reason);
            events_.fatal(Error(Code::unavailable, reason, std::string(name_of(cause))));
        } else if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
            // Its text is "1/1 brokers are down"; the connections' own errors came before it.
            is_down_ = true;
            events_.brokers_down(connections_.trouble().value_or(to_error(code, std::move(text))));
        } else {
            // One connection; librdkafka keeps trying.
            const bool is_news = connections_.failed(code, text) && is_down_;
            if (is_news && events_.still_down) events_.still_down(*connections_.trouble());
            if (connections_.is_login_refused()) renew_login();
        }
    }

    // Looks whether the password has been rotated, until it was or a login succeeds. librdkafka
    // reports the same failure only once in 30 seconds, so its reports cannot be waited for.
    void renew_login() {
        if (!events_.renew || is_renewing_) return;
        try_new_login();
        is_renewing_ = true;
        renewal_.expires_after(kRenewalPause);
        renewal_.async_wait([self = shared_from_this()](boost::system::error_code error) {
            self->is_renewing_ = false;
            if (!error && !self->closed_ && self->connections_.is_login_refused())
                self->renew_login();
        });
    }

    void try_new_login() {
        const auto properties = events_.renew();
        const auto what = properties ? std::string() : properties.error().what();
        if (!what.empty() && what != renewal_failure_ && log_) log_(LOG_WARNING, what);
        renewal_failure_ = what;
        if (!properties) return;
        auto login = login_of(*properties);
        if (login == login_) return;
        login_ = std::move(login);
        // librdkafka uses it the next time that it logs in.
        auto* const error = rd_kafka_sasl_set_credentials(
            client_.get(), login_.first.c_str(), login_.second.c_str()
        );
        if (log_)
            log_(
                LOG_NOTICE,
                error == nullptr ? "the login was refused and has changed since: trying the new one"
                                 : rd_kafka_error_string(error)
            );
        if (error != nullptr) rd_kafka_error_destroy(error);
    }

    Events events_;
    LogCallback log_;  // before client_: librdkafka's threads call it until the client is gone
    detail::Client client_;
    detail::Queue queue_;
    std::map<std::string, detail::Topic, std::less<>> topics_;
    asio::posix::stream_descriptor wake_;
    std::vector<Report> reports_;
    std::pair<std::string, std::string> login_;  // SASL's user and password
    detail::Connections connections_;
    asio::steady_timer renewal_;
    bool is_renewing_ = false;
    bool is_down_ = false;  // no broker could be used, and no record was acknowledged since
    std::string renewal_failure_;
    bool closed_ = false;
};

Properties with_guarantees(Properties properties, Producer::Order order) {
    const bool is_gapless = order == Producer::Order::gapless;
    // Of two properties of one name librdkafka uses the later one.
    const auto set = [&](const char* name, const char* value) {
        properties.emplace_back(name, value);
    };
    set("acks", "all");
    set("enable.idempotence", "true");
    set("enable.gapless.guarantee", is_gapless ? "true" : "false");
    set("message.timeout.ms", "0");
    set("partitioner", "murmur2_random");
    if (is_gapless) return properties;
    // A batch forms while the previous one is in flight, so a single record waits for nothing.
    set("max.in.flight.requests.per.connection", "1");
    set("linger.ms", "0");
    return properties;
}

Producer::Producer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {
}
Producer::~Producer() {
    impl_->close();
}

Result<std::unique_ptr<Producer>> Producer::create(
    const asio::any_io_executor& executor,
    Properties properties,
    Order order,
    Events events,
    LogCallback log
) {
    TXS_ASSERT(events.reports && events.fatal && events.brokers_down, "all events need a receiver");
    auto impl = std::make_shared<Impl>(executor, std::move(events), std::move(log));
    std::unique_ptr<Producer> producer(new Producer(impl));
    TXS_CHECK(impl->open(with_guarantees(std::move(properties), order)));
    return producer;
}

Result<> Producer::produce(const Record& record) {
    return impl_->produce(record);
}

}  // namespace txstream::kafka
