#include "kafka/kafka_error.hpp"

#include <librdkafka/rdkafka.h>

#include <utility>

namespace txstream::kafka {

Verdict verdict_of(int code) noexcept {
    switch (code) {
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        case RD_KAFKA_RESP_ERR_INVALID_MSG:
        case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
        case RD_KAFKA_RESP_ERR_INVALID_RECORD:
        case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
        case RD_KAFKA_RESP_ERR__INVALID_ARG:
        // A name that no topic can have: nobody will ever make it.
        case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
            return Verdict::permanent_event;
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
        case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
            return Verdict::permanent_topic;
        case RD_KAFKA_RESP_ERR__FATAL:
        case RD_KAFKA_RESP_ERR__FENCED:
        case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
        case RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER:
        case RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID:
            return Verdict::fatal;
        // Whatever a future broker invents: waiting loses nothing, parking might.
        default:
            return Verdict::retryable;
    }
}

std::string name_of(int code) {
    return rd_kafka_err2name(static_cast<rd_kafka_resp_err_t>(code));
}

Error to_error(int code, std::string what) {
    auto origin = name_of(code);
    switch (verdict_of(code)) {
        case Verdict::permanent_topic:
            return Error(Code::not_found, std::move(what), std::move(origin));
        case Verdict::permanent_event:
            return Error(Code::rejected, std::move(what), std::move(origin));
        case Verdict::retryable:
        case Verdict::fatal:
            break;
    }
    const bool unanswered = code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
                            code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT ||
                            code == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT;
    return Error(
        unanswered ? Code::timed_out : Code::unavailable, std::move(what), std::move(origin)
    );
}

}  // namespace txstream::kafka
