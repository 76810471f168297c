#include "outbox/snapshot.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace txstream::outbox {

namespace {

/// Takes the number before the next `end` (or the text's end) off the front of `text`.
std::optional<std::int64_t> take_number(std::string_view& text, char end) {
    const auto stop = std::min(text.find(end), text.size());
    std::int64_t number = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + stop, number);
    if (error != std::errc{} || rest != text.data() + stop || number < 0) return std::nullopt;
    text.remove_prefix(std::min(stop + 1, text.size()));
    return number;
}

}  // namespace

Result<Snapshot> Snapshot::parse(std::string_view text) {
    const auto malformed = [&] {
        return fail(Code::corrupt, "not a pg_snapshot: " + std::string(text));
    };
    Snapshot snapshot;
    snapshot.text_ = text;
    if (std::count(text.begin(), text.end(), ':') != 2) return malformed();
    auto rest = text;
    const auto xmin = take_number(rest, ':');
    const auto xmax = take_number(rest, ':');
    if (!xmin || !xmax || *xmin > *xmax) return malformed();
    snapshot.xmin_ = *xmin;
    snapshot.xmax_ = *xmax;
    while (!rest.empty()) {
        const auto xid = take_number(rest, ',');
        if (!xid || *xid < *xmin || *xid >= *xmax) return malformed();
        if (!snapshot.running_.empty() && snapshot.running_.back() >= *xid) return malformed();
        snapshot.running_.push_back(*xid);
    }
    return snapshot;
}

bool Snapshot::sees(std::int64_t xid) const noexcept {
    if (xid < xmin_) return true;
    if (xid >= xmax_) return false;
    return !std::binary_search(running_.begin(), running_.end(), xid);
}

}  // namespace txstream::outbox
