#pragma once

#include "outbox/record_headers.hpp"
#include "outbox/wire_format.hpp"

#include <string>
#include <string_view>

namespace txstream::tests {

/// CloudEvents 1.0 in the binary mode of its Kafka binding: a format that has nothing in common
/// with ours, so that what holds for both holds for the seam.
class CloudEvents final : public outbox::WireFormat {
public:
    std::size_t value_bytes_max(const outbox::Event& event) const noexcept override {
        return event.payload.size();
    }
    Value append_value(const outbox::Event& event, std::string_view, std::string& out)
        const override {
        out += event.payload;
        return {.is_tombstone = event.payload_is_null, .content_type = {}};
    }
    void add_headers(const outbox::WireEvent& event, outbox::RecordHeaders& headers)
        const override {
        headers.add("ce_specversion", "1.0");
        headers.add("ce_id", event.identity.event_id);
        headers.add_made("ce_source", "/outbox/" + std::string(event.identity.aggregate_type));
        headers.add("ce_type", event.identity.event_type);
        headers.add("ce_subject", event.identity.aggregate_id);
        if (!event.created_at_text.empty()) headers.add("ce_time", event.created_at_text);
        headers.add("content-type", event.content_type);
    }
    bool owns(std::string_view header_name) const noexcept override {
        return header_name == "content-type" || header_name.starts_with("ce_");
    }
};

}  // namespace txstream::tests
