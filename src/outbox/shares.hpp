#pragma once

#include "base/strong.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

// Who shares the lanes: values, which relay/balance.hpp decides by.
namespace txstream::outbox {

/// What an owner would have.
struct Want {
    std::size_t lanes = 0;   ///< at most; 0: none, it ends
    bool stands_by = false;  ///< only while nobody else is there

    bool operator==(const Want&) const = default;
};

/// An owner whose lease has not ended, with lanes or without.
struct Share {
    std::int64_t lease = 0;  ///< its number; no two owners ever have the same
    std::size_t lanes = 0;
    Want want;
    bool drains = false;  ///< an operator wants it to have none
    bool is_ours = false;
};

/// How the lanes are shared out at one moment. Every owner sees the same, but for the moment.
struct Shares {
    std::vector<Share> owners;  ///< by lease; at most kOwnersMax
    std::size_t lanes = 0;      ///< of the outbox

    static constexpr std::size_t kOwnersMax = 1024;

    const Share* ours() const {
        for (const auto& one : owners)
            if (one.is_ours) return &one;
        return nullptr;
    }
    std::size_t unowned() const {
        std::size_t owned = 0;
        for (const auto& one : owners) owned += one.lanes;
        return owned < lanes ? lanes - owned : 0;
    }
};

/// A lane that its owner hands over.
struct Gift {
    LaneId lane;
    Epoch epoch;
    std::int64_t heir = 0;  ///< the lease of the next owner
};

}  // namespace txstream::outbox
