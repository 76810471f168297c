#include "relay/detail/delivery_page.hpp"

#include "base/assert.hpp"

#include <array>

namespace txstream::relay {

namespace {

// Each view of an event, so that all of them can be moved.
constexpr std::array kTexts{
    &WireEvent::topic,
    &WireEvent::key,
    &WireEvent::value,
    &WireEvent::event_id,
    &WireEvent::event_type,
    &WireEvent::aggregate_type,
    &WireEvent::content_type,
    &WireEvent::created_at_text,
    &WireEvent::extra_headers,
};

}  // namespace

void Delivery::Page::compact() {
    TXS_ASSERT(in_flight == 0 && next == count, "a record's content lives until its report");
    std::vector<WireEvent> kept;
    std::size_t size = 0;
    for (auto& slot : slots) {
        if (slot.state == EventState::settled) continue;
        kept.push_back(wire[slot.index]);
        slot.index = static_cast<std::uint32_t>(kept.size() - 1);
        for (const auto text : kTexts) size += (kept.back().*text).size();
    }
    std::string texts;
    // So that it moves neither while it grows nor with its owner.
    texts.reserve(std::max<std::size_t>(size, sizeof(std::string)));
    for (auto& event : kept) {
        for (const auto text : kTexts) {
            auto& view = event.*text;
            const auto at = texts.size();
            texts += view;
            view = std::string_view(texts).substr(at, view.size());
        }
    }
    wire = std::move(kept);
    arena = std::move(texts);
    if (open > 0) return;
    wire.shrink_to_fit();
    slots = {};
}

}  // namespace txstream::relay
