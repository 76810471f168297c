#pragma once

#include <string_view>

namespace txstream::relay {

/// Its publisher ended before it could be sent: Kafka cannot have it.
inline constexpr std::string_view kNeverSent = "_PURGE_QUEUE";

/// Whether a record was not answered because its publisher ended, or its topic was deleted: that is
/// no outage, and Kafka may have it unless it was kNeverSent.
inline bool is_withdrawn(std::string_view error) {
    return error.starts_with("_PURGE_") || error == "_DESTROY";
}

}  // namespace txstream::relay
