#pragma once

#include "outbox/reader.hpp"

#include <chrono>
#include <cstddef>

namespace txstream::relay {

/// What bounds one worker. Defaults are those of the configuration.
struct WorkerLimits {
    std::size_t lanes_max = 32;
    std::chrono::milliseconds lease{10000};
    outbox::PageLimit page{1000, 4 * 1024 * 1024, 1024 * 1024};
    std::chrono::milliseconds poll_min{2};
    std::chrono::milliseconds poll_max{100};
    /// Cursors move at most this often, unless a lane waits for it: one write for many pages.
    std::chrono::milliseconds acknowledge_interval{25};
    /// How often free lanes are looked for.
    std::chrono::milliseconds claim_interval{1000};
    /// One statement of the database.
    std::chrono::milliseconds statement_timeout{30000};
};

}  // namespace txstream::relay
