#include "operations/selection.hpp"

#include "base/text.hpp"
#include "base/utf8.hpp"
#include "domain/json_writer.hpp"

#include <nlohmann/json.hpp>

#include <charconv>
#include <utility>

namespace txstream::operations {

namespace {

/// The members that narrow a selection, with their names in the audit.
template <class Of, class Visit>
void for_each_condition(Of& selection, Visit visit) {
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

outbox::LetterSelection letters_of(Selection selection) {
    return {
        std::nullopt,
        std::move(selection.key),
        std::move(selection.error_class),
        std::move(selection.event_type),
        std::move(selection.topic)
    };
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

Result<outbox::LetterSelection> parse_target(std::string_view json) {
    const auto target = nlohmann::json::parse(json, nullptr, false);
    const auto corrupt = [&](const std::string& why) {
        return fail(Code::corrupt, "the selection of the job is not understood: " + why);
    };
    if (!target.is_object()) return corrupt("it is no object");
    Selection selection;
    for (const auto& [name, value] : target.items()) {
        bool is_known = false;
        if (name == "all" && value.is_boolean()) {
            selection.is_all = value.get<bool>();
            is_known = true;
        }
        for_each_condition(
            selection,
            [&](const char* known, std::optional<std::string>& condition) {
                if (name != known || !value.is_string()) return;
                condition = value.get<std::string>();
                is_known = true;
            }
        );
        // Perhaps of a newer version: without it the job would be about other letters.
        if (!is_known) return corrupt("the member " + name);
    }
    if (const auto checked = check(selection); !checked) return corrupt(checked.error().what());
    return letters_of(std::move(selection));
}

}  // namespace txstream::operations
