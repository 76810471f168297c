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
    /// Positions are written at most this often, unless it is urgent (Delivery): one write for many
    /// pages, and at 1,000 events/s some twenty rows a second.
    std::chrono::milliseconds acknowledge_interval{200};
    /// Where nothing was written for so long, the positions of all lanes are: retention waits for
    /// the cursor that is furthest behind, and nothing is written to an idle lane.
    std::chrono::milliseconds idle_interval{60000};
    /// How often it is looked whether operators have paused or resumed something.
    std::chrono::milliseconds pauses_interval{1000};
    /// The lanes are kept for when nobody else is there.
    bool stands_by = false;
    /// How often a worker that has not all lanes looks how they are shared out.
    std::chrono::milliseconds claim_interval{250};
    /// The same while others have lanes to hand over to it: nobody publishes them between the two.
    /// For a lease at most, since nobody knows of those that cannot.
    std::chrono::milliseconds expect_interval{25};
    /// A lane that has no owner for so long, while others could have it, is claimed by whoever sees
    /// it.
    std::chrono::milliseconds unowned_patience{2000};
    /// A lane that cannot be handed over within this, because what is in flight of it does not
    /// come to its end, goes on here; for so many times as long it is not tried again.
    std::chrono::milliseconds leave_patience{2000};
    int stay_times = 5;
    /// One statement of the database.
    std::chrono::milliseconds statement_timeout{30000};
};

}  // namespace txstream::relay
