#include "console/relay_requests.hpp"

#include "console/json.hpp"
#include "outbox/dead_letter_decisions.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <initializer_list>
#include <string>

namespace txstream::console {

namespace {

using Refused = tl::unexpected<http::Response>;
using Scope = outbox::Pause::Scope;

constexpr std::size_t kNameBytesMax = 4096;

Refused refused(std::string_view field, std::string_view detail) {
    return Refused(invalid(field, detail));
}

tl::expected<Json, http::Response> object_of(
    std::string_view body, std::initializer_list<std::string_view> known
) {
    auto json = Json::parse(body, nullptr, false);
    if (!json.is_object()) return refused("body", "the body must be a JSON object");
    for (const auto& [name, value] : json.items()) {
        if (std::ranges::find(known, name) == known.end())
            return refused(name, fmt::format("{} is none of {}", name, fmt::join(known, ", ")));
    }
    return json;
}

/// Empty where it is not there. PostgreSQL has no text with a NUL.
tl::expected<std::string, http::Response> text_of(
    const Json& body, const char* name, std::size_t bytes_max
) {
    const auto found = body.find(name);
    if (found == body.end() || found->is_null()) return std::string();
    if (found->is_string()) {
        auto text = found->get<std::string>();
        if (text.size() <= bytes_max && text.find('\0') == std::string::npos) return text;
    }
    return refused(name, fmt::format("{} must be a text of at most {} bytes", name, bytes_max));
}

}  // namespace

tl::expected<outbox::Pause, http::Response> pause_request(std::string_view text) {
    const auto body = object_of(text, {"what", "name", "reason"});
    if (!body) return Refused(body.error());
    outbox::Pause pause;
    const auto what = text_of(*body, "what", 100);
    if (what && *what == "topic") {
        pause.scope = Scope::topic;
    } else if (what && *what == "key") {
        pause.scope = Scope::key;
    } else if (!what || *what != "everything") {
        return refused("what", "what is everything, topic or key");
    }
    auto name = text_of(*body, "name", kNameBytesMax);
    if (!name) return Refused(std::move(name).error());
    if (name->empty() != (pause.scope == Scope::everything))
        return refused("name", "a topic and a key have a name, everything has none");
    auto reason = text_of(*body, "reason", outbox::kReasonBytesMax);
    if (!reason) return Refused(std::move(reason).error());
    pause.name = std::move(*name);
    pause.reason = std::move(*reason);
    return pause;
}

tl::expected<DrainRequest, http::Response> drain_request(std::string_view text) {
    const auto body = object_of(text, {"reason", "force"});
    if (!body) return Refused(body.error());
    DrainRequest request;
    if (!body->contains("reason"))
        return refused("reason", "reason is a text for the audit; it may be empty");
    auto reason = text_of(*body, "reason", outbox::kReasonBytesMax);
    if (!reason) return Refused(std::move(reason).error());
    request.reason = std::move(*reason);
    if (const auto force = body->find("force"); force != body->end()) {
        if (!force->is_boolean()) return refused("force", "force is true or false");
        request.is_forced = force->get<bool>();
    }
    return request;
}

}  // namespace txstream::console
