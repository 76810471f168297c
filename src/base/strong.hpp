#pragma once

#include <compare>
#include <cstdint>

namespace txstream {

/// An integer that cannot be mistaken for another: `using Epoch = Strong<std::int64_t, struct
/// EpochTag>`.
template <class T, class Tag>
class Strong {
public:
    using Value = T;
    constexpr Strong() noexcept = default;
    constexpr explicit Strong(T value) noexcept : value_(value) {}
    constexpr T value() const noexcept { return value_; }
    constexpr auto operator<=>(const Strong&) const noexcept = default;

private:
    T value_{};
};

/// A hash slice of the keys: 0 … lanes-1.
using LaneId = Strong<std::int16_t, struct LaneIdTag>;
/// An event's place in the outbox; order of a key is by it.
using EventSeq = Strong<std::int64_t, struct EventSeqTag>;
/// Counts the owners of a lane; a write under an older one changes nothing.
using Epoch = Strong<std::int64_t, struct EpochTag>;

}  // namespace txstream
