#include "console/decision_request.hpp"

#include "console/json.hpp"
#include "outbox/jobs.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <optional>

namespace txstream::console {

namespace {

using outbox::Decision;

/// No column that it is compared with holds more.
constexpr std::size_t kConditionBytesMax = 4096;

using Refused = tl::unexpected<http::Response>;

Refused refused(std::string_view field, std::string_view detail) {
    return Refused(invalid(field, detail));
}

std::optional<http::Response> complaint_of_members(
    const Json& object, std::string_view where, std::initializer_list<std::string_view> known
) {
    for (const auto& [name, value] : object.items()) {
        if (std::ranges::find(known, name) != known.end()) continue;
        const auto path = where.empty() ? name : fmt::format("{}.{}", where, name);
        return invalid(path, fmt::format("{} is none of {}", path, fmt::join(known, ", ")));
    }
    return std::nullopt;
}

tl::expected<Json, http::Response> object_of(
    std::string_view body, std::initializer_list<std::string_view> known
) {
    auto json = Json::parse(body, nullptr, false);
    if (!json.is_object()) return refused("body", "the body must be a JSON object");
    if (auto complaint = complaint_of_members(json, "", known))
        return Refused(std::move(*complaint));
    return json;
}

/// PostgreSQL has no text with a NUL.
bool is_storable(const std::string& text, std::size_t bytes_max) {
    return text.size() <= bytes_max && text.find('\0') == std::string::npos;
}

tl::expected<operations::Selection, http::Response> selection_of(
    const Json& body, std::string_view default_topic
) {
    const auto found = body.find("selection");
    if (found == body.end() || !found->is_object())
        return refused("selection", "selection must be an object that says which dead letters");
    if (auto complaint = complaint_of_members(
            *found,
            "selection",
            {"id", "event_id", "key", "error_class", "event_type", "topic", "all"}
        ))
        return Refused(std::move(*complaint));
    operations::Selection selection;
    const auto texts = {
        std::pair("id", &selection.id),
        std::pair("event_id", &selection.event_id),
        std::pair("key", &selection.key),
        std::pair("error_class", &selection.error_class),
        std::pair("event_type", &selection.event_type),
        std::pair("topic", &selection.topic)
    };
    for (const auto& [name, into] : texts) {
        const auto value = found->find(name);
        if (value == found->end()) continue;
        const auto path = fmt::format("selection.{}", name);
        if (!value->is_string() ||
            !is_storable(value->get_ref<const std::string&>(), kConditionBytesMax))
            return refused(
                path, fmt::format("{} must be a text of at most {} bytes", path, kConditionBytesMax)
            );
        *into = value->get<std::string>();
    }
    if (const auto all = found->find("all"); all != found->end()) {
        if (!all->is_boolean()) return refused("selection.all", "selection.all is true or false");
        selection.is_all = all->get<bool>();
    }
    // Answers name the default topic where an event names none.
    if (selection.topic == default_topic) selection.topic = "";
    if (const auto checked = operations::check(selection); !checked)
        return refused("selection", checked.error().what());
    return selection;
}

/// `why_needed`: nothing where it may be left out.
tl::expected<std::string, http::Response> reason_of(
    const Json& body, std::optional<std::string_view> why_needed
) {
    const auto found = body.find("reason");
    if (found != body.end() &&
        (!found->is_string() ||
         !is_storable(found->get_ref<const std::string&>(), outbox::kReasonBytesMax)))
        return refused(
            "reason",
            fmt::format("reason must be a text of at most {} bytes", outbox::kReasonBytesMax)
        );
    auto reason = found == body.end() ? std::string() : found->get<std::string>();
    if (why_needed && reason.find_first_not_of(" \t\r\n") == std::string::npos)
        return refused("reason", *why_needed);
    return reason;
}

tl::expected<std::uint64_t, http::Response> events_of(const Json& body) {
    const auto found = body.find("events");
    std::uint64_t events = 0;
    if (found != body.end() && found->is_string()) {
        const auto& text = found->get_ref<const std::string&>();
        const auto* const last = text.data() + text.size();
        const auto [end, error] = std::from_chars(text.data(), last, events);
        if (error == std::errc() && end == last && events > 0) return events;
    }
    return refused(
        "events", "events must be the number of events that the plan has shown, as a text of digits"
    );
}

tl::expected<std::optional<std::int64_t>, http::Response> rate_of(const Json& body) {
    const auto found = body.find("rate");
    if (found == body.end() || found->is_null()) return std::nullopt;
    if (found->is_number_integer()) {
        const auto rate = found->get<std::int64_t>();
        if (rate >= 1 && rate <= outbox::kJobRateMax) return rate;
    }
    return refused(
        "rate",
        fmt::format(
            "rate must be a whole number of events a second, 1 to {}, or left out",
            outbox::kJobRateMax
        )
    );
}

}  // namespace

tl::expected<DecisionRequest, http::Response> plan_request(
    std::string_view text, std::string_view default_topic
) {
    const auto body = object_of(text, {"action", "selection"});
    if (!body) return Refused(body.error());
    DecisionRequest request;
    const auto action = body->find("action");
    if (action == body->end() || (*action != "replay" && *action != "discard"))
        return refused("action", "action must be replay or discard");
    if (*action == "discard") request.decision = Decision::discard;
    auto selection = selection_of(*body, default_topic);
    if (!selection) return Refused(std::move(selection).error());
    request.selection = std::move(*selection);
    return request;
}

tl::expected<DecisionRequest, http::Response> decision_request(
    Decision decision, std::string_view text, std::string_view default_topic
) {
    const auto body = object_of(text, {"selection", "reason", "events", "rate"});
    if (!body) return Refused(body.error());
    auto selection = selection_of(*body, default_topic);
    if (!selection) return Refused(std::move(selection).error());
    std::optional<std::string_view> why_needed;
    if (decision == Decision::discard)
        why_needed = "a discard needs a reason: the events are never sent, and the audit says why";
    auto reason = reason_of(*body, why_needed);
    if (!reason) return Refused(std::move(reason).error());
    const auto events = events_of(*body);
    if (!events) return Refused(events.error());
    const auto rate = rate_of(*body);
    if (!rate) return Refused(rate.error());
    return DecisionRequest{decision, std::move(*selection), std::move(*reason), *events, *rate};
}

tl::expected<std::string, http::Response> cancel_request(std::string_view text) {
    const auto body = object_of(text, {"reason"});
    if (!body) return Refused(body.error());
    return reason_of(*body, "a cancellation needs a reason: the audit says why the rest was left");
}

}  // namespace txstream::console
