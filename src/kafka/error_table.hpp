#pragma once

#include "kafka/record.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace txstream::kafka {

/// What an error code says about the record it was reported for.
enum class ErrorClass : std::uint8_t {
    retryable,  ///< nothing is wrong with event or topic: it is sent again
    withdrawn,  ///< its producer ended before the broker answered: it is sent again
    producer,   ///< the idempotent producer ends: a new one sends it again
    for_now,    ///< the record was damaged on its way: it is tried again some times, then parked
    event,      ///< this record will never be accepted: it is parked
    topic,      ///< the topic rejects all writes: its events wait for it
};

struct ErrorRow {
    int code;               ///< of rd_kafka_resp_err_t: librdkafka's own ones are negative
    std::string_view name;  ///< as librdkafka has it: "_TRANSPORT", "MSG_SIZE_TOO_LARGE"
    ErrorClass kind;
    std::string_view meaning;  ///< one sentence, with the remedy where an operator has one
};

/// Every code that can be reported for a record or a connection, by class, then by code.
std::span<const ErrorRow> error_table() noexcept;
/// Nothing for a code that is not in it.
const ErrorRow* find_error(int code) noexcept;
Outcome outcome_of(ErrorClass kind) noexcept;
/// docs/kafka-errors.md.
std::string render_error_docs();

/// Codes that are not in the table, each worth a line once a minute. Its owner locks.
class UnknownCodes {
public:
    using Clock = std::chrono::steady_clock;
    /// Whether a line is due.
    bool met(int code, Clock::time_point now);

private:
    std::map<int, Clock::time_point> lines_;  ///< when the last one was written
};

/// A line for the log when a code is not in the table, at most once a minute for each. Any thread.
std::optional<std::string> unknown_code(int code);

}  // namespace txstream::kafka
