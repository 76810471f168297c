#include "console/record_look.hpp"

#include "base/utf8.hpp"
#include "console/json.hpp"
#include "domain/json_writer.hpp"
#include "domain/timestamp.hpp"

#include <algorithm>
#include <utility>

namespace txstream::console {

namespace {

using domain::JsonWriter;

/// A beginning of a text of `size` bytes that is whole characters; nothing where it is no UTF-8.
std::optional<std::string_view> as_text(std::string_view beginning, std::size_t size) {
    return utf8_prefix(beginning, beginning.size(), beginning.size() < size);
}

void append_bytes(
    JsonWriter& json,
    const std::optional<std::string>& bytes,
    std::size_t size,
    FoundRecord::Shown shown = FoundRecord::Shown::whole
) {
    if (!bytes) {
        json.null();
        return;
    }
    const auto text = as_text(*bytes, size);
    json.begin_object().key("encoding").string(text ? "utf8" : "base64").key("data");
    if (text) {
        json.string(*text);
    } else {
        json.string(base64(*bytes));
    }
    json.key("size").string(std::to_string(size));
    json.key("truncated").boolean((text ? text->size() : bytes->size()) < size);
    if (shown != FoundRecord::Shown::whole) json.key("is_masked").boolean(true);
    json.end_object();
}

/// The first header of one of these names that is text.
std::optional<std::string_view> header_text(
    const kafka::FetchedRecord& record, std::initializer_list<std::string_view> names
) {
    for (const auto name : names) {
        for (const auto& header : record.headers) {
            if (header.name == name && header.value &&
                as_text(*header.value, header.value->size()) == std::string_view(*header.value))
                return std::string_view(*header.value);
        }
    }
    return std::nullopt;
}

void append_text_or_null(JsonWriter& json, std::optional<std::string_view> text) {
    if (text) {
        json.string(*text);
    } else {
        json.null();
    }
}

std::string_view to_string(kafka::TimestampType type) {
    switch (type) {
        case kafka::TimestampType::create:
            return "create";
        case kafka::TimestampType::append:
            return "append";
        case kafka::TimestampType::none:
            break;
    }
    return "none";
}

std::string time_of(const kafka::FetchedRecord& record) {
    std::string text;
    const domain::Timestamp time{std::chrono::milliseconds(
        std::clamp<std::int64_t>(record.timestamp_ms, -1, 253'402'300'800'000)
    )};
    if (record.timestamp_ms >= 0 && domain::has_rfc3339(time)) text = rfc3339(time);
    return text;
}

void append_headers(JsonWriter& json, const kafka::FetchedRecord& record) {
    json.begin_array();
    for (const auto& header : record.headers) {
        // A name is text by Kafka's protocol, which nothing enforces.
        json.begin_object().key("name").string(storable_text(header.name, header.name.size() + 3));
        json.key("value");
        append_bytes(json, header.value, header.value ? header.value->size() : 0);
        json.end_object();
    }
    json.end_array();
}

// ---- CSV

void append_cell(std::string& out, std::string_view text) {
    constexpr std::string_view kFormula = "=+-@\t\r";
    const bool is_formula = !text.empty() && kFormula.find(text.front()) != std::string_view::npos;
    if (!is_formula && text.find_first_of(",\"\r\n") == std::string_view::npos) {
        out.append(text);
        return;
    }
    out += '"';
    if (is_formula) out += '\'';
    for (const char c : text) {
        if (c == '"') out += '"';
        out += c;
    }
    out += '"';
}

void append_bytes_cells(
    std::string& out,
    const std::optional<std::string>& bytes,
    std::size_t size,
    bool is_hidden = false
) {
    if (!bytes) {
        out += ",null,";
        return;
    }
    const auto text = as_text(*bytes, size);
    append_cell(out, text ? std::string(*text) : base64(*bytes));
    out += is_hidden ? ",hidden," : text ? ",utf8," : ",base64,";
}

}  // namespace

FoundRecord masked(const Masks* masks, kafka::FetchedRecord&& record) {
    FoundRecord found{.size = record.size()};
    if (masks != nullptr && !masks->empty() && record.value) {
        auto text = masks->apply(*record.value);
        if (!text) {
            found.shown = FoundRecord::Shown::hidden;
            found.value_size = record.value->size();
            record.value = "";
        } else if (*text != *record.value) {
            found.shown = FoundRecord::Shown::masked;
            record.value = std::move(*text);
        }
    }
    found.key_size = record.key ? record.key->size() : 0;
    if (found.shown != FoundRecord::Shown::hidden)
        found.value_size = record.value ? record.value->size() : 0;
    found.record = std::move(record);
    return found;
}

void cut(FoundRecord& found, std::size_t shown_max) {
    for (auto* part : {&found.record.key, &found.record.value}) {
        if (!*part || (*part)->size() <= shown_max) continue;
        (*part)->resize(shown_max);
        (*part)->shrink_to_fit();
    }
}

std::optional<FoundRecord> RecordLook::operator()(kafka::FetchedRecord&& record) const {
    auto found = masked(masks_, std::move(record));
    if (!filter_.matches(found.record)) return std::nullopt;
    cut(found, shown_max_);
    return found;
}

bool RecordLook::asks_for_masked() const {
    if (masks_ == nullptr) return false;
    for (const auto& term : filter_.terms()) {
        for (const auto& predicate : term.any) {
            if (predicate.field == RecordFilter::Field::json && masks_->may_reveal(predicate.path))
                return true;
        }
    }
    return false;
}

void append_record(std::string& out, std::string_view topic, const FoundRecord& found) {
    const auto& record = found.record;
    JsonWriter json(out);
    json.begin_object().key("topic").string(topic);
    json.key("partition").integer(record.partition);
    json.key("offset").string(std::to_string(record.offset));
    const auto time = time_of(record);
    json.key("timestamp");
    append_text_or_null(json, time.empty() ? std::nullopt : std::optional<std::string_view>(time));
    json.key("timestamp_type").string(to_string(record.timestamp_type));
    json.key("key");
    append_bytes(json, record.key, found.key_size);
    json.key("value");
    append_bytes(json, record.value, found.value_size, found.shown);
    json.key("headers");
    append_headers(json, record);
    json.key("size").string(std::to_string(found.size));
    json.key("event_id");
    append_text_or_null(json, header_text(record, {"event_id", "ce_id"}));
    json.key("event_type");
    append_text_or_null(json, header_text(record, {"event_type", "ce_type"}));
    json.end_object();
}

void append_csv_head(std::string& out) {
    out +=
        "partition,offset,timestamp,timestamp_type,key,key_encoding,value,value_encoding,size,"
        "event_id,"
        "event_type,headers\r\n";
}

void append_csv(std::string& out, const FoundRecord& found) {
    const auto& record = found.record;
    out += std::to_string(record.partition) + "," + std::to_string(record.offset) + ",";
    out += time_of(record);
    out += ",";
    out += to_string(record.timestamp_type);
    out += ",";
    append_bytes_cells(out, record.key, found.key_size);
    append_bytes_cells(
        out, record.value, found.value_size, found.shown == FoundRecord::Shown::hidden
    );
    out += std::to_string(found.size) + ",";
    append_cell(out, header_text(record, {"event_id", "ce_id"}).value_or(""));
    out += ",";
    append_cell(out, header_text(record, {"event_type", "ce_type"}).value_or(""));
    out += ",";
    std::string headers;
    JsonWriter json(headers);
    append_headers(json, record);
    append_cell(out, headers);
    out += "\r\n";
}

}  // namespace txstream::console
