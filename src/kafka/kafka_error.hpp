#pragma once

#include "base/error.hpp"
#include "kafka/record.hpp"

#include <string>
#include <string_view>

namespace txstream::kafka {

/// The one table of librdkafka's and the broker's error codes.
Outcome outcome_of(int rd_kafka_error) noexcept;
/// "MSG_SIZE_TOO_LARGE", "_TRANSPORT", …; lives forever.
std::string_view name_of(int rd_kafka_error);
Error to_error(int rd_kafka_error, std::string what);

/// Why a connection to a broker cannot be used.
struct Trouble {
    std::string_view kind;    ///< "login_refused": for machines, and the origin of the error
    std::string_view advice;  ///< cause and remedy, without names of hosts
};
inline constexpr std::string_view kLoginRefused = "login_refused";
inline constexpr std::string_view kDisconnected = "disconnected";
/// From the code and the text of librdkafka's error event. The text of many codes is the only thing
/// that says which of them it is: a wrong CA, TLS against a plaintext port and a crashed broker are
/// all "Broker transport failure".
Trouble trouble_of(int rd_kafka_error, std::string_view text) noexcept;
/// Of an error's origin; of what is no such kind, that Kafka cannot be used.
std::string_view advice_of(std::string_view kind) noexcept;
/// The same with the broker's name and librdkafka's text. Always retryable.
Error connection_error(int rd_kafka_error, std::string_view text);

}  // namespace txstream::kafka
