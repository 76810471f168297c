#include "operations/selection.hpp"

#include "base/text.hpp"
#include "base/utf8.hpp"
#include "domain/json_writer.hpp"

#include <charconv>

namespace txstream::operations {

namespace {

/// The members that narrow a selection, with their names in the audit.
template <class Visit>
void for_each_condition(const Selection& selection, Visit visit) {
    visit("key", selection.key);
    visit("error_class", selection.error_class);
    visit("event_type", selection.event_type);
    visit("topic", selection.topic);
}

}  // namespace

Result<> check(const Selection& selection) {
    bool has_conditions = false;
    bool is_text = true;
    for_each_condition(selection, [&](const char*, const std::optional<std::string>& value) {
        has_conditions = has_conditions || value;
        is_text = is_text && (!value || is_utf8(*value));
    });
    const int ways = selection.id.has_value() + selection.event_id.has_value() +
                     (has_conditions ? 1 : 0) + (selection.is_all ? 1 : 0);
    if (ways == 0)
        return fail(
            Code::invalid_input,
            "say which dead letters: one by its id or event id, a key, an error class, a type, a "
            "topic, or all"
        );
    if (ways > 1)
        return fail(
            Code::invalid_input,
            "one event and all of them need no other condition; name one of these, or conditions"
        );
    if (!is_text) return fail(Code::invalid_input, "a condition is not UTF-8");
    if (selection.event_id && !is_uuid(*selection.event_id))
        return fail(Code::invalid_input, *selection.event_id + " is not an event id (a UUID)");
    if (selection.id) TXS_CHECK(parse_id(*selection.id));
    return {};
}

Result<EventSeq> parse_id(const std::string& text) {
    if (const auto seq = outbox::parse_event_ref(text)) return *seq;
    std::int64_t id = 0;
    const auto* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, id);
    if (error != std::errc() || end != last || id < 0)
        return fail(Code::invalid_input, text + " is not an id: a number, or ID.XID");
    return EventSeq(id);
}

std::string target_json(const Selection& selection) {
    std::string json;
    domain::JsonWriter out(json);
    out.begin_object();
    if (selection.id) out.key("id").string(*selection.id);
    if (selection.event_id) out.key("event_id").string(*selection.event_id);
    for_each_condition(selection, [&](const char* name, const std::optional<std::string>& value) {
        if (value) out.key(name).string(*value);
    });
    if (selection.is_all) out.key("all").boolean(true);
    out.end_object();
    return json;
}

}  // namespace txstream::operations
