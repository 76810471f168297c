#include "console/dead_letters_api.hpp"

#include "console/event_json.hpp"

#include <nlohmann/json.hpp>

#include <map>
#include <stdexcept>
#include <utility>

namespace txstream::console {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kGroupsKept{2000};
constexpr std::chrono::milliseconds kListKept{1000};
constexpr std::size_t kExportPage = 100;
/// A page of a list that is walked through goes on by itself so often before it is told.
constexpr int kStepsMax = 10;

std::optional<std::string> text_of(const http::Request& request, std::string_view name) {
    const auto value = request.query(name);
    if (!value) return std::nullopt;
    return std::string(*value);
}

struct Refusal {
    std::string field;
    std::string text;
};

tl::expected<outbox::DeadLetterFilter, Refusal> filter_of(
    const http::Request& request, std::string_view default_topic
) {
    outbox::DeadLetterFilter filter{
        text_of(request, "error_class"),
        text_of(request, "event_type"),
        text_of(request, "topic"),
        std::nullopt,
        text_of(request, "key")
    };
    // Answers name the default topic where an event names none.
    if (filter.topic == default_topic) filter.topic = "";
    if (const auto word = request.query("state"); word && !word->empty()) {
        filter.state = outbox::parse_event_state(*word);
        if (!filter.state)
            return tl::unexpected(
                Refusal{"state", "state is parked, replaying, replayed or discarded"}
            );
    }
    return filter;
}

Result<EventSeq> list_cursor(std::string_view text) {
    TXS_TRY(const auto json, read_cursor(text));
    if (!json.is_array() || json.size() != 2 || !json[0].is_number_integer() ||
        !json[1].is_number_integer())
        return fail(Code::invalid_input, "cursor is not one of this list's");
    return EventSeq(json[0].get<std::int64_t>(), json[1].get<std::int64_t>());
}

}  // namespace

DeadLettersApi::DeadLettersApi(Context& context)
    : context_(context), masks_(Masks::parse(context.settings.masks).value_or(Masks())) {
}

void DeadLettersApi::add_routes(http::Router& router) {
    using http::Method;
    using enum http::Router::Answer;
    const auto add = [&](const char* route, auto handler, http::Router::Answer answer = whole) {
        router.add(
            Method::get,
            std::string("/api/console/v1/dead-letters") + route,
            [this, handler](http::Request request) { return (this->*handler)(std::move(request)); },
            http::Role::viewer,
            answer
        );
    };
    add("", &DeadLettersApi::list);
    add("/groups", &DeadLettersApi::groups);
    add("/export", &DeadLettersApi::export_, stream);
}

Task<http::Response> DeadLettersApi::groups(http::Request /*request*/) {
    return context_.cache.answer("dead-letter groups", kGroupsKept, [this]() {
        return make_groups(Deadline::in(kListTime));
    });
}

Task<http::Response> DeadLettersApi::make_groups(Deadline deadline) {
    auto session = co_await context_.pool.acquire(deadline);
    if (!session) co_return problem_of(session.error());
    const auto found = co_await outbox::dead_letter_groups(**session, {}, deadline);
    if (!found) co_return problem_of(found.error());
    auto items = Json::array();
    for (const auto& group : found->groups)
        items.push_back(dead_letter_group(group, context_.settings));
    co_return ok(Json{{"items", std::move(items)}, {"is_complete", found->is_complete}});
}

Task<http::Response> DeadLettersApi::list(http::Request request) {
    const auto size = query_number(request, "size", 1, 100, 50);
    if (!size) co_return invalid("size", size.error().what());
    auto filter = filter_of(request, context_.settings.topic);
    if (!filter) co_return invalid(filter.error().field, filter.error().text);
    std::optional<EventSeq> before;
    if (const auto text = request.query("cursor")) {
        const auto cursor = list_cursor(*text);
        if (!cursor) co_return invalid("cursor", cursor.error().what());
        before = *cursor;
    }
    co_return co_await context_.cache.answer(
        "dead letters " + request.target,
        kListKept,
        [this, filter = std::move(*filter), before, rows = static_cast<std::size_t>(*size)]() {
            return make_list(filter, before, rows, Deadline::in(kListTime));
        }
    );
}

Task<http::Response> DeadLettersApi::make_list(
    outbox::DeadLetterFilter filter,
    std::optional<EventSeq> before,
    std::size_t rows,
    Deadline deadline
) {
    auto session = co_await context_.pool.acquire(deadline);
    if (!session) co_return problem_of(session.error());
    auto items = Json::array();
    for (int step = 0; step < kStepsMax; ++step) {
        const auto found = co_await outbox::dead_letters(
            **session, filter, before, {.rows = rows - items.size()}, deadline
        );
        if (!found) co_return problem_of(found.error());
        for (const auto& letter : found->letters)
            items.push_back(dead_letter(letter, context_.settings.topic));
        before = found->before;
        if (!before || items.size() == rows) break;
    }
    Json next = nullptr;
    if (before) next = cursor_of(Json{before->id(), before->xid()});
    co_return ok(Json{{"items", std::move(items)}, {"next_cursor", std::move(next)}});
}

Task<http::Response> DeadLettersApi::export_(http::Request request) {
    auto filter = filter_of(request, context_.settings.topic);
    if (!filter) co_return invalid(filter.error().field, filter.error().text);
    const bool is_masked = request.caller.role != http::Role::operator_ && !masks_.empty();
    http::Response response(200, "application/octet-stream", {});
    response.with("Content-Disposition", "attachment; filename=\"dead-letters.ndjson\"");
    response.stream = [this, filter = std::move(*filter), is_masked](http::BodyWriter& body) {
        return write_export(body, filter, is_masked);
    };
    co_return response;
}

// Whatever ends it early breaks the connection: half a file must not look like a whole one.
Task<> DeadLettersApi::write_export(
    http::BodyWriter& body, outbox::DeadLetterFilter filter, bool is_masked
) {
    const auto until = Deadline::in(kExportTime);
    std::optional<EventSeq> before;
    std::size_t count = 0;
    do {
        std::vector<outbox::DeadLetter> letters;
        {
            auto session = co_await context_.pool.acquire(until.sooner(Deadline::in(kListTime)));
            if (!session) throw std::runtime_error("export: " + session.error().what());
            auto found = co_await outbox::dead_letters(
                **session, filter, before, {.rows = kExportPage}, Deadline::in(kListTime)
            );
            if (!found) throw std::runtime_error("export: " + found.error().what());
            before = found->before;
            letters = std::move(found->letters);
        }
        count += letters.size();
        for (std::size_t i = 0; i < letters.size();) {
            std::vector<outbox::DeadLetter> some;
            std::int64_t size = 0;
            do {
                size += letters[i].event.size;
                some.push_back(std::move(letters[i++]));
            } while (i < letters.size() && size + letters[i].event.size <= kExportBytes);
            const auto text = co_await lines(std::move(some), is_masked, Deadline::in(kListTime));
            if (!text) throw std::runtime_error("export: " + text.error().what());
            if (!co_await body.write(*text)) co_return;
        }
        if (before && (count >= kExportLetters || until.passed() || !body.is_open()))
            throw std::runtime_error("export: it is larger than an export may be");
    } while (before);
}

Task<Result<std::string>> DeadLettersApi::lines(
    std::vector<outbox::DeadLetter> letters, bool is_masked, Deadline deadline
) {
    std::vector<EventSeq> seqs;
    for (const auto& letter : letters) seqs.push_back(letter.event.seq);
    TXS_CO_TRY(auto session, co_await context_.pool.acquire(deadline));
    TXS_CO_TRY(auto contents, co_await outbox::dead_letter_contents(*session, seqs, deadline));
    std::map<EventSeq, outbox::DeadLetterContent> by_seq;
    for (auto& content : contents) by_seq[content.seq] = std::move(content);
    std::string text;
    for (const auto& letter : letters) {
        auto json = dead_letter(letter, context_.settings.topic);
        const auto& content = by_seq[letter.event.seq];
        const auto show = [&](const std::string& bytes_of) {
            if (!is_masked) return bytes(bytes_of, bytes_of.size());
            const auto masked = masks_.apply(bytes_of);
            auto shown = bytes(masked.value_or(""), bytes_of.size() + kPayloadShownMax);
            shown["is_masked"] = true;
            return shown;
        };
        json["payload"] = content.has_payload ? show(content.payload) : Json(nullptr);
        json["content_type"] = content.content_type;
        json["headers"] = content.headers.empty() ? Json(nullptr) : show(content.headers);
        json["metadata"] = content.metadata.empty() ? Json(nullptr) : show(content.metadata);
        text += json.dump();
        text += '\n';
    }
    co_return text;
}

}  // namespace txstream::console
