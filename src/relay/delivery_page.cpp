#include "relay/detail/delivery_page.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace txstream::relay {

namespace {

// Each view of an event, so that all of them can be moved.
template <class Move>
void for_each_text(WireEvent& event, Move move) {
    auto& who = event.identity;
    for (auto* const text :
         {&event.topic,
          &event.key,
          &event.value,
          &event.content_type,
          &event.created_at_text,
          &event.extra_headers,
          &who.event_id,
          &who.event_type,
          &who.aggregate_type,
          &who.aggregate_id})
        move(*text);
}

}  // namespace

void Delivery::Page::compact() {
    TXS_ASSERT(in_flight == 0 && next == count, "a record's content lives until its report");
    std::vector<WireEvent> kept;
    std::size_t size = 0;
    for (auto& slot : slots) {
        if (slot.state == EventState::settled) continue;
        kept.push_back(wire[slot.index]);
        slot.index = static_cast<std::uint32_t>(kept.size() - 1);
        for_each_text(kept.back(), [&](std::string_view text) { size += text.size(); });
    }
    std::string texts;
    // So that it moves neither while it grows nor with its owner.
    texts.reserve(std::max<std::size_t>(size, sizeof(std::string)));
    for (auto& event : kept) {
        for_each_text(event, [&](std::string_view& view) {
            const auto at = texts.size();
            texts += view;
            view = std::string_view(texts).substr(at, view.size());
        });
    }
    wire = std::move(kept);
    arena = std::move(texts);
    if (open > 0) return;
    wire.shrink_to_fit();
    slots = {};
}

}  // namespace txstream::relay
