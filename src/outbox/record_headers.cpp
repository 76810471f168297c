#include "outbox/record_headers.hpp"

#include "domain/json_members.hpp"
#include "outbox/detail/wire_text.hpp"

#include <algorithm>
#include <utility>

namespace txstream::outbox {

namespace {

constexpr std::string_view kReservedPrefix = "txstream-";
// A JSON array of names, as the writer wrote them.
constexpr std::string_view kMissingHeaders = "txstream-missing-headers";
constexpr std::string_view kAttempt = "txstream-attempt";
constexpr std::string_view kReplayed = "txstream-replayed";
constexpr std::string_view kDelayReason = "txstream-delay-reason";

}  // namespace

std::span<const Header> RecordHeaders::of(const WireEvent& event) {
    headers_.clear();
    if (!texts_.empty()) texts_.clear();
    missing_.clear();
    traceparent_ = {};
    format_->add_headers(event, *this);
    if (!event.extra_headers.empty()) append_extra(event);
    return headers_;
}

std::span<const Header> RecordHeaders::marks(unsigned attempt, std::string_view reason) {
    attempt_ = std::to_string(attempt);
    marks_ = {{{kAttempt, attempt_}, {kDelayReason, reason}}};
    return marks_;
}

std::span<const Header> RecordHeaders::replayed() noexcept {
    static constexpr std::array<Header, 1> kMarks{{{kReplayed, "true"}}};
    return kMarks;
}

bool RecordHeaders::is_reserved(std::string_view name) const {
    return name.starts_with(kReservedPrefix) || format_->owns(name);
}

// A token without an escape is its text already, since the server has judged it: an allocation and
// a parser for each would cost more than all else of the record.
std::optional<std::string_view> RecordHeaders::kept(std::string_view string_token) {
    constexpr std::string_view kQuotes = "\"\"";
    if (string_token.size() >= kQuotes.size() && string_token.find('\\') == std::string_view::npos)
        return string_token.substr(1, string_token.size() - kQuotes.size());
    auto text = text_of(string_token);
    if (!text) return std::nullopt;
    return texts_.emplace_back(std::move(*text));
}

std::string_view RecordHeaders::value_of(std::string_view name) const noexcept {
    const auto found = std::ranges::find(headers_, name, &Header::name);
    return found == headers_.end() ? std::string_view() : found->value;
}

// What cannot be sent is named on the record: a consumer that needs it must be able to see that it
// is missing. The table's CHECK refuses most of it when it is written.
void RecordHeaders::append_extra(const WireEvent& event) {
    domain::JsonMembers members(event.extra_headers);
    const auto leave_out = [&](std::string_view name_token) {
        missing_ += missing_.empty() ? '[' : ',';
        missing_ += name_token;
    };
    while (members.next()) {
        const auto name = kept(members.name());
        if (!name || is_reserved(*name)) {
            leave_out(members.name());
            continue;
        }
        const bool is_text = members.value().starts_with('"');
        const auto value = is_text ? kept(members.value()) : members.value();
        if (!value) {
            leave_out(members.name());
            continue;
        }
        headers_.push_back({*name, *value});
        if (*name == kTraceparent && traceparent_.empty()) traceparent_ = *value;
    }
    if (!members.is_whole()) leave_out("null");  // no object: how many are missing is unknown
    if (missing_.empty()) return;
    missing_ += ']';
    headers_.push_back({kMissingHeaders, missing_});
}

}  // namespace txstream::outbox
