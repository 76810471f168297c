#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace txstream::kafka {

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
