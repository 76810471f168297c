#include "kafka/error_table.hpp"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>

namespace txstream::kafka {

namespace {

constexpr std::chrono::minutes kLineEvery{1};
constexpr std::size_t kUnknownMax = 100;

using enum ErrorClass;

// Stringizing keeps a row's name and code from disagreeing.
#define TXS_ERROR(name, kind, meaning)                 \
    ErrorRow {                                         \
        RD_KAFKA_RESP_ERR_##name, #name, kind, meaning \
    }

constexpr std::array kTable{
    TXS_ERROR(_BAD_MSG, retryable, "a broker's answer could not be read"),
    TXS_ERROR(_BAD_COMPRESSION, retryable, "a broker's answer could not be decompressed"),
    TXS_ERROR(_FAIL, retryable, "librdkafka failed without a reason"),
    TXS_ERROR(_TRANSPORT, retryable, "the connection broke, or none could be made"),
    TXS_ERROR(
        _CRIT_SYS_RESOURCE, retryable, "this machine has no memory, thread or descriptor left"
    ),
    TXS_ERROR(
        _RESOLVE,
        retryable,
        "a broker's name cannot be resolved: KAFKA_BROKERS, advertised.listeners, DNS"
    ),
    TXS_ERROR(
        _MSG_TIMED_OUT,
        retryable,
        "the record waited too long inside librdkafka; no limit is set, so it never should"
    ),
    TXS_ERROR(_ALL_BROKERS_DOWN, retryable, "no broker can be used"),
    TXS_ERROR(_TIMED_OUT, retryable, "a broker did not answer in time"),
    TXS_ERROR(
        _QUEUE_FULL,
        retryable,
        "librdkafka's queue is full: the record is queued after the next report"
    ),
    TXS_ERROR(_ISR_INSUFF, retryable, "too few replicas are in sync"),
    TXS_ERROR(_NODE_UPDATE, retryable, "a broker moved to another address"),
    TXS_ERROR(_SSL, retryable, "TLS failed: certificates, KAFKA_SECURITY_PROTOCOL"),
    TXS_ERROR(_WAIT_COORD, retryable, "the coordinator is not known yet"),
    TXS_ERROR(_IN_PROGRESS, retryable, "an earlier call is not finished"),
    TXS_ERROR(_PREV_IN_PROGRESS, retryable, "the same call is under way"),
    TXS_ERROR(_STATE, retryable, "the client is in a state that does not allow it"),
    TXS_ERROR(
        _UNKNOWN_PROTOCOL,
        retryable,
        "librdkafka was built without this protocol: KAFKA_SECURITY_PROTOCOL"
    ),
    TXS_ERROR(_NOT_IMPLEMENTED, retryable, "librdkafka was built without it"),
    TXS_ERROR(
        _AUTHENTICATION,
        retryable,
        "the login failed: KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD, KAFKA_SASL_MECHANISM"
    ),
    TXS_ERROR(_OUTDATED, retryable, "an answer to an earlier request"),
    TXS_ERROR(_TIMED_OUT_QUEUE, retryable, "a request was not sent in time"),
    TXS_ERROR(_WAIT_CACHE, retryable, "the topic's metadata is not known yet"),
    TXS_ERROR(_INTR, retryable, "a call was interrupted"),
    TXS_ERROR(_UNDERFLOW, retryable, "a broker's answer was cut short"),
    TXS_ERROR(_RETRY, retryable, "librdkafka asks for another try"),
    TXS_ERROR(_UNKNOWN_BROKER, retryable, "the broker has left the cluster"),
    TXS_ERROR(UNKNOWN, retryable, "the broker failed without a reason; its log has it"),
    TXS_ERROR(LEADER_NOT_AVAILABLE, retryable, "the partition has no leader at the moment"),
    TXS_ERROR(NOT_LEADER_FOR_PARTITION, retryable, "the partition's leader is another broker now"),
    TXS_ERROR(
        REQUEST_TIMED_OUT,
        retryable,
        "replicas did not confirm in time: the broker may have the record"
    ),
    TXS_ERROR(BROKER_NOT_AVAILABLE, retryable, "the broker is not available"),
    TXS_ERROR(REPLICA_NOT_AVAILABLE, retryable, "a replica is not available"),
    TXS_ERROR(STALE_CTRL_EPOCH, retryable, "the controller has changed"),
    TXS_ERROR(NETWORK_EXCEPTION, retryable, "the broker lost a connection"),
    TXS_ERROR(COORDINATOR_LOAD_IN_PROGRESS, retryable, "the coordinator is starting"),
    TXS_ERROR(COORDINATOR_NOT_AVAILABLE, retryable, "there is no coordinator at the moment"),
    TXS_ERROR(NOT_COORDINATOR, retryable, "the coordinator is another broker now"),
    TXS_ERROR(
        NOT_ENOUGH_REPLICAS, retryable, "fewer replicas are in sync than min.insync.replicas"
    ),
    TXS_ERROR(
        NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        retryable,
        "the same, noticed after the record was written: the broker may have it"
    ),
    TXS_ERROR(INVALID_REQUIRED_ACKS, retryable, "the broker does not know acks=all"),
    TXS_ERROR(
        UNSUPPORTED_SASL_MECHANISM,
        retryable,
        "the broker does not offer this mechanism: KAFKA_SASL_MECHANISM"
    ),
    TXS_ERROR(ILLEGAL_SASL_STATE, retryable, "the port takes no login: KAFKA_SECURITY_PROTOCOL"),
    TXS_ERROR(
        UNSUPPORTED_VERSION,
        retryable,
        "the broker is too old, or no longer supports this librdkafka"
    ),
    TXS_ERROR(NOT_CONTROLLER, retryable, "the controller is another broker now"),
    TXS_ERROR(INVALID_REQUEST, retryable, "the broker did not understand the request"),
    TXS_ERROR(SECURITY_DISABLED, retryable, "the broker has no security configured"),
    TXS_ERROR(KAFKA_STORAGE_ERROR, retryable, "the broker's disk failed"),
    TXS_ERROR(LOG_DIR_NOT_FOUND, retryable, "the broker's log directory is missing"),
    TXS_ERROR(
        SASL_AUTHENTICATION_FAILED,
        retryable,
        "the login failed: KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD"
    ),
    TXS_ERROR(REASSIGNMENT_IN_PROGRESS, retryable, "the partition is being moved"),
    TXS_ERROR(FENCED_LEADER_EPOCH, retryable, "the partition's leader has changed"),
    TXS_ERROR(
        UNKNOWN_LEADER_EPOCH, retryable, "the broker does not know the partition's new leader yet"
    ),
    TXS_ERROR(STALE_BROKER_EPOCH, retryable, "the broker was restarted"),
    TXS_ERROR(
        ELIGIBLE_LEADERS_NOT_AVAILABLE, retryable, "no replica may lead the partition at the moment"
    ),
    TXS_ERROR(THROTTLING_QUOTA_EXCEEDED, retryable, "a quota is exhausted"),

    TXS_ERROR(
        _DESTROY,
        withdrawn,
        "the producer ended, or the topic was deleted, with the record queued or in flight"
    ),
    TXS_ERROR(_PURGE_QUEUE, withdrawn, "the producer ended before the record was sent"),
    TXS_ERROR(
        _PURGE_INFLIGHT,
        withdrawn,
        "the producer ended before the record was confirmed: the broker may have it"
    ),

    TXS_ERROR(_UNSUPPORTED_FEATURE, producer, "the broker has no idempotent producers"),
    TXS_ERROR(_FATAL, producer, "the producer ended; the log has the reason"),
    TXS_ERROR(_INCONSISTENT, producer, "broker and producer disagree about what was sent"),
    TXS_ERROR(
        _GAPLESS_GUARANTEE,
        producer,
        "a record before this one was refused, so this one may not be sent by the same producer"
    ),
    TXS_ERROR(_FENCED, producer, "a newer producer has taken over"),
    TXS_ERROR(OUT_OF_ORDER_SEQUENCE_NUMBER, producer, "the broker lacks a record before this one"),
    TXS_ERROR(
        DUPLICATE_SEQUENCE_NUMBER,
        producer,
        "the broker has the record already; librdkafka takes that as confirmation"
    ),
    TXS_ERROR(INVALID_PRODUCER_EPOCH, producer, "a newer producer has taken over"),
    TXS_ERROR(INVALID_TXN_STATE, producer, "the transaction is not open"),
    TXS_ERROR(INVALID_PRODUCER_ID_MAPPING, producer, "the broker does not know the producer"),
    TXS_ERROR(CONCURRENT_TRANSACTIONS, producer, "the last transaction is not finished"),
    TXS_ERROR(
        TRANSACTION_COORDINATOR_FENCED, producer, "the transaction's coordinator has changed"
    ),
    TXS_ERROR(
        TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        producer,
        "the right to the transactional id is missing"
    ),
    TXS_ERROR(
        UNKNOWN_PRODUCER_ID,
        producer,
        "the broker has forgotten the producer: its records were deleted"
    ),
    TXS_ERROR(PRODUCER_FENCED, producer, "a newer producer has taken over"),

    TXS_ERROR(INVALID_MSG, for_now, "the record's checksum is wrong: it was damaged on its way"),

    TXS_ERROR(_INVALID_ARG, event, "librdkafka does not accept the record"),
    TXS_ERROR(INVALID_MSG_SIZE, event, "the record's size is invalid"),
    TXS_ERROR(
        MSG_SIZE_TOO_LARGE,
        event,
        "the record exceeds KAFKA_MESSAGE_BYTES_MAX or the topic's max.message.bytes"
    ),
    TXS_ERROR(TOPIC_EXCEPTION, event, "no topic can have this name"),
    TXS_ERROR(
        RECORD_LIST_TOO_LARGE,
        event,
        "the batch exceeds the topic's segment.bytes; batches are halved until the record is alone"
    ),
    TXS_ERROR(
        INVALID_RECORD,
        event,
        "the broker's validation refuses the record; a compacted topic, for instance, takes none "
        "without a key"
    ),

    TXS_ERROR(_UNKNOWN_PARTITION, topic, "the topic lacks the partition"),
    TXS_ERROR(_UNKNOWN_TOPIC, topic, "the topic does not exist: create it"),
    TXS_ERROR(UNKNOWN_TOPIC_OR_PART, topic, "the topic does not exist: create it"),
    TXS_ERROR(
        TOPIC_AUTHORIZATION_FAILED, topic, "the right to write to the topic is missing: grant it"
    ),
    TXS_ERROR(
        CLUSTER_AUTHORIZATION_FAILED,
        topic,
        "the right IDEMPOTENT_WRITE, or to create the topic, is missing: grant it"
    ),
    TXS_ERROR(
        INVALID_TIMESTAMP,
        topic,
        "the clocks of relay and broker disagree by more than the topic allows"
    ),
    TXS_ERROR(
        UNSUPPORTED_FOR_MESSAGE_FORMAT,
        topic,
        "the topic's message.format.version is too old for headers"
    ),
    TXS_ERROR(POLICY_VIOLATION, topic, "a policy of the cluster forbids it"),
    TXS_ERROR(
        UNSUPPORTED_COMPRESSION_TYPE,
        topic,
        "the topic does not take this compression: KAFKA_COMPRESSION"
    ),
};

#undef TXS_ERROR

struct Section {
    ErrorClass kind;
    std::string_view title;
    std::string_view text;
};

constexpr std::array kSections{
    Section{
        retryable,
        "Retryable",
        "Nothing is wrong with the event. It is sent again, in its order, until Kafka takes it; no "
        "attempt is counted. While nothing gets through, "
        "the circuit breaker opens."
    },
    Section{
        withdrawn,
        "Withdrawn",
        "The record's producer ended before the broker answered. It is sent again by the next "
        "producer. This is no outage: the breaker does not "
        "count it, and nothing pauses for it."
    },
    Section{
        producer,
        "Fatal for the producer",
        "The idempotent producer cannot go on. A new one sends everything that was not confirmed, "
        "in its order."
    },
    Section{
        for_now,
        "Refused for now",
        "A record that is refused alone is sent up to `WORKER_MAX_RETRIES` times more, then parked."
    },
    Section{
        event,
        "Permanent for the event",
        "A record that is refused alone is parked ([operations.md](operations.md)). One that was "
        "refused with others is sent again alone first."
    },
    Section{
        topic,
        "Permanent for the topic",
        "The topic rejects all writes until somebody changes something. Its events wait, with "
        "later ones of their keys, and are parked "
        "after `WORKER_TOPIC_PATIENCE`; for `KAFKA_TOPIC` nothing is parked. Once the topic takes "
        "records again, they are sent without being asked for."
    },
};

constexpr std::string_view kPageHead = R"(# What Kafka's error codes mean here

<!-- Written by `txstream errors docs`; a test compares it. -->

Every code of librdkafka or a broker that can be reported for a record or a connection has one meaning, whoever meets it. The name is in log lines
(`error_type`), in dead letters (`error_class`) and in `/health`. A negative code is librdkafka's own, and its name begins with `_`.

A code that is not here is treated as retryable: waiting loses nothing, parking might. The log names it, once a minute.
)";

}  // namespace

std::span<const ErrorRow> error_table() noexcept {
    return kTable;
}

const ErrorRow* find_error(int code) noexcept {
    const auto* const found = std::ranges::find(kTable, code, &ErrorRow::code);
    return found == kTable.end() ? nullptr : found;
}

Outcome outcome_of(ErrorClass kind) noexcept {
    switch (kind) {
        case retryable:
        case withdrawn:
        case producer:
            return Outcome::retryable;
        case for_now:
            return Outcome::refused_for_now;
        case event:
            return Outcome::refused_event;
        case topic:
            return Outcome::refused_topic;
    }
    return Outcome::retryable;
}

std::string render_error_docs() {
    std::string page(kPageHead);
    for (const auto& [kind, title, text] : kSections) {
        page.append("\n## ").append(title).append("\n\n").append(text);
        page.append("\n\n| name | code | meaning |\n|---|---|---|\n");
        for (const auto& row : kTable) {
            if (row.kind != kind) continue;
            page.append("| `").append(row.name).append("` | ").append(std::to_string(row.code));
            page.append(" | ").append(row.meaning).append(" |\n");
        }
    }
    return page;
}

bool UnknownCodes::met(int code, Clock::time_point now) {
    const auto [place, is_new] = lines_.try_emplace(code, now);
    if (!is_new && now - place->second < kLineEvery) return false;
    place->second = now;
    // A broker that invents codes without end costs lines, not memory.
    if (lines_.size() > kUnknownMax) lines_ = {{code, now}};
    return true;
}

}  // namespace txstream::kafka
