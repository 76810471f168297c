#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Values only, and nothing of librdkafka: `outbox` and `relay` make and judge the same records that
// the producer takes and reports, without knowing that there is a client.
namespace txstream::kafka {

struct Header {
    std::string_view name;
    std::string_view value;
};

/// A record to be written. Topic, headers and marks are copied; key and value are not: they must
/// live until the record's report, or the producer's end.
struct Record {
    std::string_view topic;
    std::string_view key;
    std::string_view value;
    bool is_tombstone = false;  ///< a null value, not an empty one
    std::span<const Header> headers = {};
    /// More headers, which say that it is late or sent again. Information only: left out where they
    /// could make the record too large for its topic.
    std::span<const Header> marks = {};
    std::int64_t timestamp_ms = 0;
    void* context = nullptr;  ///< comes back in the report
};

/// What became of a record.
enum class Outcome : std::uint8_t {
    acknowledged,
    retryable,        ///< nothing is wrong with event or topic: wait and send it again
    refused_event,    ///< this record will never be accepted, or one that was sent with it
    refused_for_now,  ///< the same, but the reason may pass: it was damaged on its way
    refused_topic,    ///< the topic rejects all writes until something is changed
};

struct Report {
    void* context;
    Outcome outcome;
    std::int32_t partition;
    std::int64_t offset;
    std::string_view error;  ///< Kafka's name of it, when not acknowledged; lives forever
};

enum class TimestampType : std::uint8_t {
    none,
    create,  ///< the producer's clock
    append,  ///< the broker's
};

/// A header as it was read: a value may be absent, which is not the same as empty.
struct FetchedHeader {
    std::string name;
    std::optional<std::string> value{};
};

/// A record as it was read.
struct FetchedRecord {
    std::int32_t partition = 0;
    std::int64_t offset = 0;
    std::int64_t timestamp_ms = -1;
    TimestampType timestamp_type = TimestampType::none;
    std::optional<std::string> key{};
    std::optional<std::string> value{};
    std::vector<FetchedHeader> headers{};  ///< in their order, also several of one name

    /// Bytes of key, value and headers.
    std::size_t size() const noexcept {
        std::size_t bytes = (key ? key->size() : 0) + (value ? value->size() : 0);
        for (const auto& header : headers)
            bytes += header.name.size() + (header.value ? header.value->size() : 0);
        return bytes;
    }
};

}  // namespace txstream::kafka
