#include "console/messages_api.hpp"

#include "console/json.hpp"
#include "console/kafka_source.hpp"
#include "domain/json_writer.hpp"
#include "domain/timestamp.hpp"
#include "telemetry/log.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <utility>

namespace txstream::console {

namespace {

using domain::JsonWriter;
using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kListKept{1000};
constexpr std::size_t kPiece = std::size_t{256} << 10;
constexpr std::size_t kExportPage = 500;
constexpr std::chrono::seconds kExportPageTime{20};

std::optional<std::string> time_text(std::optional<std::int64_t> ms) {
    if (!ms) return std::nullopt;
    const domain::Timestamp time{
        std::chrono::milliseconds(std::clamp<std::int64_t>(*ms, 0, 253'402'300'799'000))
    };
    return rfc3339(time);
}

void append_text_or_null(JsonWriter& json, const std::optional<std::string>& text) {
    if (text) {
        json.string(*text);
    } else {
        json.null();
    }
}

void append_covered(JsonWriter& json, const ScanPage::Covered& covered) {
    json.begin_object().key("partition").integer(covered.partition);
    json.key("from").string(std::to_string(covered.from));
    json.key("to").string(std::to_string(covered.to));
    json.key("low").string(std::to_string(covered.low));
    json.key("end").string(std::to_string(covered.end));
    json.key("gaps").string(std::to_string(covered.gaps));
    json.key("error");
    append_text_or_null(json, covered.error.empty() ? std::nullopt : std::optional(covered.error));
    json.end_object();
}

std::string page_text(
    const MessageQuery& query, const ScanPage& page, std::chrono::milliseconds took
) {
    std::string out;
    JsonWriter json(out);
    json.begin_object().key("items").begin_array();
    for (const auto& found : page.records) {
        std::string record;
        append_record(record, query.topic, found);
        json.raw(record);
    }
    json.end_array().key("scan").begin_object();
    json.key("scanned").string(std::to_string(page.scanned));
    json.key("total").string(std::to_string(page.total));
    json.key("matched").string(std::to_string(page.matched));
    json.key("oldest_at");
    append_text_or_null(json, time_text(page.oldest_ms));
    json.key("newest_at");
    append_text_or_null(json, time_text(page.newest_ms));
    json.key("stopped").string(to_string(page.stopped));
    json.key("took_ms").integer(took.count());
    json.key("partitions").begin_array();
    for (const auto& covered : page.covered) append_covered(json, covered);
    json.end_array().end_object().key("next_cursor");
    append_text_or_null(
        json,
        page.next.empty() ? std::nullopt : std::optional(cursor_of(query, page.next, page.matched))
    );
    json.end_object();
    return out;
}

http::Response masked_filter() {
    return problem(
        403,
        "forbidden",
        "this filter asks for what is masked (CONSOLE_MASK); an operator may use it",
        Json{{"field", "filter"}}
    );
}

template <class Integer>
std::optional<Integer> integer(std::string_view text) {
    Integer value = -1;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || value < 0)
        return std::nullopt;
    return value;
}

http::Response attachment(const std::string& name) {
    http::Response response(200, "application/octet-stream", {});
    response.with("Content-Disposition", "attachment; filename=\"" + name + "\"");
    return response;
}

/// Of several megabytes: in pieces, so that a slow client costs one.
http::Response in_pieces(http::Response response, std::string bytes) {
    if (bytes.size() <= 4 * kPiece) {
        response.body = std::move(bytes);
        return response;
    }
    response.stream = [bytes = std::make_shared<std::string>(std::move(bytes)
                       )](http::BodyWriter& body) -> Task<> {
        for (std::size_t at = 0; at < bytes->size(); at += kPiece) {
            if (!co_await body.write(std::string_view(*bytes).substr(at, kPiece))) co_return;
        }
    };
    return response;
}

}  // namespace

MessagesApi::MessagesApi(Context& context)
    : context_(context),
      // The configuration has refused those that cannot be read.
      masks_(Masks::parse(context.settings.masks).value()),
      readers_(std::make_shared<kafka::ReaderPool>(context.kafka_properties, nullptr)),
      offload_(context.executor, {.threads = kReadsAtOnce, .waiting_max = 32}),
      tasks_(context.executor) {
}

void MessagesApi::add_routes(http::Router& router) {
    using enum http::Router::Answer;
    const auto add = [&](std::string_view route, auto handler, http::Router::Answer answer = whole
                     ) {
        router.add(
            http::Method::get,
            route,
            [this, handler](http::Request request) { return (this->*handler)(std::move(request)); },
            http::Role::viewer,
            answer
        );
    };
    const std::string messages = "/api/console/v1/topics/{topic}/messages";
    add(messages, &MessagesApi::list);
    add(messages + "/export", &MessagesApi::export_, stream);
    add(messages + "/{partition}/{offset}", &MessagesApi::message);
    add(messages + "/{partition}/{offset}/{part}", &MessagesApi::download, stream);
    add("/api/console/v1/filter", &MessagesApi::check_filter);
}

Task<> MessagesApi::stop() {
    tasks_.cancel();
    (void)co_await tasks_.join();  // its only task reports no error
}

const Masks* MessagesApi::masks_for(const http::Request& request) const {
    return request.caller.role == http::Role::operator_ ? nullptr : &masks_;
}

// ---- a page of a search

Task<http::Response> MessagesApi::list(http::Request request) {
    auto query = read_message_query(
        request,
        {.limit_most = 500, .limit_standard = 50, .has_cursor = true},
        std::chrono::system_clock::now()
    );
    if (!query) co_return std::move(query).error();
    const auto* masks = masks_for(request);
    RecordLook look(masks, query->filter, kValueShownMax);
    if (look.asks_for_masked()) co_return masked_filter();
    // Pages with a cursor are each asked for once.
    if (!query->from.empty())
        co_return co_await make_list(std::move(*query), std::move(look), request.deadline);
    const std::string key =
        "messages " + std::string(masks == nullptr ? "all " : "masked ") + request.target;
    co_return co_await context_.cache.answer(
        key,
        kListKept,
        [this, query = std::move(*query), look = std::move(look)]() -> Task<http::Response> {
            return make_list(query, look, Deadline::in(20s));
        }
    );
}

Task<http::Response> MessagesApi::make_list(
    MessageQuery query, RecordLook look, Deadline deadline
) {
    const auto began = std::chrono::steady_clock::now();
    const auto limit = query.limit;
    auto page = co_await read_page(query, std::move(look), limit, deadline);
    if (!page) co_return problem_of(page.error());
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - began
    );
    co_return http::json(200, page_text(query, *page, took));
}

Task<Result<ScanPage>> MessagesApi::read_page(
    MessageQuery query, RecordLook look, std::size_t limit, Deadline deadline
) {
    close_idle_later();
    auto page = co_await offload_.run(
        [readers = readers_, query = std::move(query), look = std::move(look), limit, deadline](
        ) -> Result<ScanPage> {
            TXS_TRY(auto reader, readers->lease());
            KafkaSource source(*reader, query.topic, Deadline::in(kKafkaTimeout).sooner(deadline));
            ScanRequest request{
                .seek = query.seek,
                .partitions = query.partitions,
                .limit = limit,
                .from = query.from,
                .matched_before = query.matched_before,
                .look = look,
            };
            if (request.partitions.empty() && request.from.empty()) {
                TXS_TRY(request.partitions, source.partitions());
            }
            if (request.partitions.size() > kSearchedPartitionsMax)
                return fail(
                    Code::invalid_input,
                    "topic " + query.topic + " has " + std::to_string(request.partitions.size()) +
                        " partitions; name at most " + std::to_string(kSearchedPartitionsMax) +
                        " of them in p"
                );
            const ScanBudget budget;
            const auto until = Deadline::in(budget.time).sooner(deadline);
            return scan(source, request, budget, [&] { return until.passed(); });
        },
        deadline
    );
    if (page) {
        std::int64_t searched = 0;
        for (const auto& covered : page->covered) searched += covered.to - covered.from;
        context_.metrics.searched(static_cast<std::uint64_t>(searched));
    }
    co_return page;
}

// ---- one record

Task<Result<MessagesApi::Answer>> MessagesApi::find_record(Place place, Deadline deadline) {
    close_idle_later();
    co_return co_await offload_.run(
        [readers = readers_, place = std::move(place), deadline]() -> Result<Answer> {
            const auto until = Deadline::in(kKafkaTimeout).sooner(deadline);
            TXS_TRY(auto reader, readers->lease());
            TXS_TRY(const auto bounds, reader->bounds(place.topic, {place.partition}, until));
            if (bounds[0].error) return tl::unexpected(*bounds[0].error);
            Answer answer{
                .record = {}, .reason = {}, .low = bounds[0].low, .end = bounds[0].end, .next = {}
            };
            if (place.offset < answer.low) answer.reason = "expired";
            if (place.offset >= answer.end) answer.reason = "not_yet";
            if (!answer.reason.empty()) return answer;
            TXS_CHECK(reader->start(
                place.topic,
                {{.partition = place.partition, .from = place.offset, .to = answer.end}}
            ));
            answer.reason = "not_a_record";
            while (!until.passed()) {
                auto step = reader->next(50ms);
                if (auto* failed = std::get_if<kafka::ReadFailed>(&step))
                    return tl::unexpected(std::move(failed->error));
                if (std::holds_alternative<kafka::Reached>(step)) return answer;
                auto* record = std::get_if<kafka::FetchedRecord>(&step);
                if (record == nullptr) continue;
                if (record->offset == place.offset) {
                    answer.record = std::move(*record);
                } else {
                    answer.next = record->offset;
                }
                return answer;
            }
            return fail(Code::timed_out, "the record was not read in time");
        },
        deadline
    );
}

namespace {

/// 404 in words: what was there, and where it goes on.
http::Response no_record(
    std::int64_t offset,
    const std::string& reason,
    std::int64_t low,
    std::int64_t end,
    std::optional<std::int64_t> next
) {
    std::string detail = "offset " + std::to_string(offset);
    Json members{{"reason", reason}, {"low", number(low)}, {"end", number(end)}};
    if (reason == "expired") {
        detail += " has expired: the partition begins at " + std::to_string(low);
    } else if (reason == "not_yet") {
        detail +=
            " is not written yet, or not committed: the partition ends at " + std::to_string(end);
    } else {
        detail += " has no record: a transaction's marker, aborted, or compacted away";
        if (next) {
            members["next"] = number(*next);
            detail += "; the next record is at " + std::to_string(*next);
        }
    }
    return problem(404, "not_found", detail, members);
}

}  // namespace

Task<http::Response> MessagesApi::message(http::Request request) {
    const auto partition = integer<std::int32_t>(request.param("partition"));
    const auto offset = integer<std::int64_t>(request.param("offset"));
    Place place{std::string(request.param("topic")), partition.value_or(0), offset.value_or(0)};
    if (!is_topic_name(place.topic)) co_return invalid("topic", "this is no name of a topic");
    if (!partition) co_return invalid("partition", "partition is a whole number");
    if (!offset) co_return invalid("offset", "offset is a whole number");
    auto answer = co_await find_record(place, request.deadline);
    if (!answer) co_return problem_of(answer.error());
    if (!answer->record)
        co_return no_record(place.offset, answer->reason, answer->low, answer->end, answer->next);
    const RecordLook look(masks_for(request), {}, kDetailShownMax);
    std::string text;
    append_record(text, place.topic, *look(std::move(*answer->record)));
    co_return http::json(200, std::move(text));
}

Task<http::Response> MessagesApi::download(http::Request request) {
    const auto partition = integer<std::int32_t>(request.param("partition"));
    const auto offset = integer<std::int64_t>(request.param("offset"));
    const std::string part(request.param("part"));
    Place place{std::string(request.param("topic")), partition.value_or(0), offset.value_or(0)};
    if (!is_topic_name(place.topic)) co_return invalid("topic", "this is no name of a topic");
    if (!partition) co_return invalid("partition", "partition is a whole number");
    if (!offset) co_return invalid("offset", "offset is a whole number");
    if (part != "value" && part != "key") co_return invalid("part", "part is value or key");
    auto answer = co_await find_record(place, request.deadline);
    if (!answer) co_return problem_of(answer.error());
    if (!answer->record)
        co_return no_record(place.offset, answer->reason, answer->low, answer->end, answer->next);
    const RecordLook look(masks_for(request), {}, std::string::npos);
    auto found = *look(std::move(*answer->record));
    if (part == "value" && found.shown == FoundRecord::Shown::hidden)
        co_return problem(
            403, "forbidden", "this payload is hidden: it is no JSON, and CONSOLE_MASK is set"
        );
    auto& bytes = part == "value" ? found.record.value : found.record.key;
    if (!bytes)
        co_return problem(404, "not_found", "this record has no " + part, Json{{"reason", "null"}});
    co_return in_pieces(
        attachment(
            place.topic + "-" + std::to_string(place.partition) + "-" +
            std::to_string(place.offset) + "." + part
        ),
        std::move(*bytes)
    );
}

// ---- export

Task<http::Response> MessagesApi::export_(http::Request request) {
    auto query = read_message_query(
        request,
        {.limit_most = 100'000, .limit_standard = 10'000, .has_cursor = false},
        std::chrono::system_clock::now()
    );
    if (!query) co_return std::move(query).error();
    const auto format = request.query("format").value_or("ndjson");
    if (format != "ndjson" && format != "csv")
        co_return invalid("format", "format is ndjson or csv");
    RecordLook look(masks_for(request), query->filter, std::string::npos);
    if (look.asks_for_masked()) co_return masked_filter();
    // Before the answer begins, a failure can still be said: the topic is missing, Kafka is away.
    auto page = co_await read_page(
        *query, look, std::min(query->limit, kExportPage), Deadline::in(kExportPageTime)
    );
    if (!page) co_return problem_of(page.error());
    auto response = attachment(query->topic + "." + std::string(format));
    auto first = std::make_shared<ScanPage>(std::move(*page));
    response.stream = [this,
                       query = std::move(*query),
                       look = std::move(look),
                       first = std::move(first),
                       is_csv = format == "csv"](http::BodyWriter& body) {
        return write_export(body, query, look, std::move(*first), is_csv);
    };
    co_return response;
}

Task<> MessagesApi::write_export(
    http::BodyWriter& body, MessageQuery query, RecordLook look, ScanPage page, bool is_csv
) {
    const auto until = Deadline::in(kExportTime);
    std::size_t left = query.limit;
    std::size_t bytes = 0;
    std::string text;
    if (is_csv) append_csv_head(text);
    while (true) {
        for (const auto& found : page.records) {
            if (is_csv) {
                append_csv(text, found);
            } else {
                append_record(text, query.topic, found);
                text += '\n';
            }
            if (text.size() < kPiece) continue;
            bytes += text.size();
            if (!co_await body.write(text)) co_return;
            text.clear();
        }
        left -= page.records.size();
        // Without the body's end the client knows that it is not all.
        if (page.stopped == ScanPage::Stopped::error)
            throw std::runtime_error("export: a partition cannot be read");
        if (left == 0 || page.next.empty()) break;
        if (until.passed() || bytes > kExportBytes || !body.is_open())
            throw std::runtime_error("export: it is larger than an export may be");
        query.from = std::move(page.next);
        query.matched_before = page.matched;
        auto more = co_await read_page(
            query, look, std::min(left, kExportPage), Deadline::in(kExportPageTime).sooner(until)
        );
        if (!more) throw std::runtime_error("export: " + more.error().what());
        page = std::move(*more);
    }
    if (!text.empty()) (void)co_await body.write(text);
}

// ---- filters

Task<http::Response> MessagesApi::check_filter(http::Request request) {
    const auto text = request.query("text").value_or("");
    const auto parsed = RecordFilter::parse(text, std::chrono::system_clock::now());
    if (!parsed)
        co_return ok(
            Json{{"ok", false}, {"column", parsed.error().column}, {"detail", parsed.error().text}}
        );
    if (RecordLook(masks_for(request), *parsed, 0).asks_for_masked())
        co_return ok(Json{
            {"ok", false},
            {"column", 0},
            {"detail", "this filter asks for what is masked; an operator may use it"}
        });
    co_return ok(Json{{"ok", true}});
}

// ---- readers without a request

void MessagesApi::close_idle_later() {
    if (is_closing_idle_ || tasks_.cancelled()) return;
    is_closing_idle_ = true;
    tasks_.spawn(close_idle());
}

Task<> MessagesApi::close_idle() {
    bool is_left = true;
    while (is_left) {
        asio::steady_timer timer(context_.executor, kafka::ReaderPool::kIdleTime / 3);
        co_await timer.async_wait(asio::use_awaitable);
        const auto closed = co_await offload_.run(
            [readers = readers_]() -> Result<bool> {
                return readers->close_idle(kafka::ReaderPool::Clock::now());
            },
            Deadline::in(30s)
        );
        is_left = !closed || *closed;
    }
    is_closing_idle_ = false;
}

}  // namespace txstream::console
