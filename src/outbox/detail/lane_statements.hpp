#pragma once

#include "base/strong.hpp"
#include "pg/connection.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

// What the statements of a lane's owner share.
namespace txstream::outbox {

// What a broker says has no bound.
inline constexpr std::size_t kErrorClassBytesMax = 100;
inline constexpr std::size_t kErrorBytesMax = 2000;

// For the rest of its transaction. Nothing that it is used for needs the disk (ADR 0001).
inline constexpr pg::Statement kAsynchronousCommit{
    "txs_async_commit", "SELECT set_config('synchronous_commit', 'off', true)"
};

/// The lanes that the first column names.
inline std::vector<LaneId> lanes_of(const pg::Rows& rows) {
    std::vector<LaneId> lanes;
    for (std::size_t i = 0; i < rows.size(); ++i)
        lanes.emplace_back(static_cast<std::int16_t>(rows.integer(i, 0)));
    return lanes;
}

}  // namespace txstream::outbox
