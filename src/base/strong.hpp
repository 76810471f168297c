#pragma once

#include <compare>
#include <cstdint>
#include <limits>

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
/// An event's place in the outbox; order of a key is by it. By the id, and by the transaction where
/// a sequence that was set back gave the id twice.
class EventSeq {
public:
    constexpr EventSeq() noexcept = default;
    constexpr explicit EventSeq(std::int64_t id, std::int64_t xid = 0) noexcept
        : id_(id), xid_(xid) {}
    constexpr std::int64_t id() const noexcept { return id_; }
    constexpr std::int64_t xid() const noexcept { return xid_; }
    /// Behind all places that are before this one.
    constexpr EventSeq before() const noexcept {
        if (xid_ > 0) return EventSeq(id_, xid_ - 1);
        return EventSeq(id_ - 1, std::numeric_limits<std::int64_t>::max());
    }
    constexpr auto operator<=>(const EventSeq&) const noexcept = default;

private:
    std::int64_t id_ = 0;
    std::int64_t xid_ = 0;
};
/// Counts the owners of a lane; a write under an older one changes nothing.
using Epoch = Strong<std::int64_t, struct EpochTag>;

}  // namespace txstream
