#pragma once

#include "outbox/event.hpp"
#include "pg/rows.hpp"

#include <libpq-fe.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace txstream::tests {

/// An event as a test writes it down; what is not said has a harmless value.
struct FakeEvent {
    std::int64_t id = 1;
    std::int64_t xid = 3;
    std::int64_t size = 2;
    bool has_content = true;
    std::int16_t lane = 0;
    std::string aggregate_id = "key";
    std::string event_type = "Tested";
    std::optional<std::string> topic = std::nullopt;
    std::optional<std::string> key = std::nullopt;
    std::optional<std::string> payload = "{}";
    std::optional<std::string> payload_bytes = std::nullopt;
    std::string content_type = "application/json";
    std::optional<std::string> metadata = std::nullopt;
    std::optional<std::string> headers = std::nullopt;
    std::int64_t created_at_us = 1'700'000'000'000'000;  ///< Unix time
};

/// Events as if a server had sent them: libpq can make a result without one.
inline outbox::Events fake_events(const std::vector<FakeEvent>& events) {
    constexpr Oid kInt2 = 21, kInt8 = 20, kText = 25, kUuid = 2950, kJson = 114, kBytea = 17,
                  kTime = 1184, kXid8 = 5069, kBool = 16;
    constexpr std::int64_t kPostgresEpoch = 946'684'800'000'000;
    const std::vector<Oid> types{
        kInt2,
        kInt8,
        kXid8,
        kInt8,
        kBool,
        kUuid,
        kText,
        kText,
        kText,
        kText,
        kText,
        kJson,
        kBytea,
        kText,
        kJson,
        kJson,
        kTime
    };
    std::shared_ptr<PGresult> result(PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK), PQclear);
    std::vector<PGresAttDesc> columns(types.size());
    for (std::size_t i = 0; i < types.size(); ++i) {
        columns[i].name = const_cast<char*>("column");
        columns[i].format = 1;
        columns[i].typid = types[i];
    }
    PQsetResultAttrs(result.get(), static_cast<int>(columns.size()), columns.data());
    const auto big_endian = [](std::int64_t value, int bytes) {
        std::string text;
        for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>((value >> (8 * i)) & 255);
        return text;
    };
    int row = 0;
    for (const auto& event : events) {
        int column = 0;
        const auto set = [&](const std::optional<std::string>& value) {
            std::string bytes = value.value_or("");
            PQsetvalue(
                result.get(),
                row,
                column++,
                value ? bytes.data() : nullptr,
                value ? static_cast<int>(bytes.size()) : -1
            );
        };
        set(big_endian(event.lane, 2));
        set(big_endian(event.id, 8));
        set(big_endian(event.xid, 8));
        set(big_endian(event.size, 8));
        set(std::string(1, event.has_content ? '\1' : '\0'));
        set(std::string(8, '\x11') + big_endian(event.id, 8));
        set("Test");
        set(event.aggregate_id);
        set(event.event_type);
        set(event.topic);
        set(event.key);
        set(event.payload_bytes ? std::nullopt : event.payload);
        set(event.payload_bytes);
        set(event.content_type);
        set(event.metadata);
        set(event.headers);
        set(big_endian(event.created_at_us - kPostgresEpoch, 8));
        ++row;
    }
    return outbox::Events(pg::Rows(std::move(result)));
}

}  // namespace txstream::tests
