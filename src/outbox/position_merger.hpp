#pragma once

#include "pg/connection.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace txstream::outbox {

/// Merges old rows of txstream.positions, to one for each minute, so that a day of the log is some
/// thousand rows. Which events went when, and where they are in Kafka, can still be asked: a merged
/// row knows of each lane from where to where it came in that minute.
///
/// In small steps, by one relay at a time (an advisory lock), and never a row that says where some
/// lane is at present.
class PositionMerger {
public:
    struct Limits {
        std::chrono::milliseconds age = std::chrono::hours(1);
        std::size_t rows = 5000;  ///< of one step; a minute that has more becomes several rows
    };

    PositionMerger() = default;
    explicit PositionMerger(Limits limits) : limits_(limits) {}

    /// One step. False: nothing is left to do for the moment, or another relay is at it.
    Task<Result<bool>> step(pg::Connection& connection, Deadline deadline);
    /// Rows that others stand for by now, of all steps.
    std::uint64_t merged() const noexcept { return merged_; }

private:
    Limits limits_;
    std::int64_t done_ = 0;  ///< all rows up to this id are merged
    std::uint64_t merged_ = 0;
};

}  // namespace txstream::outbox
