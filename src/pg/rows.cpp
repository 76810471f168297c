#include "pg/rows.hpp"

#include "base/assert.hpp"
#include "pg/detail/libpq.hpp"

#include <cstring>
#include <limits>

namespace txstream::pg {
namespace {

// Type oids never change (pg_type.dat).
constexpr Oid kBool = 16;
constexpr Oid kInt8 = 20;
constexpr Oid kInt2 = 21;
constexpr Oid kInt4 = 23;
constexpr Oid kOid = 26;
constexpr Oid kTimestamptz = 1184;
constexpr Oid kUuid = 2950;
constexpr Oid kJsonb = 3802;
constexpr Oid kXid8 = 5069;

constexpr std::chrono::microseconds kPostgresEpoch =
    std::chrono::sys_days(std::chrono::year(2000) / 1 / 1).time_since_epoch();

const PGresult* result_of(const std::shared_ptr<void>& result) {
    return static_cast<const PGresult*>(result.get());
}

const PGresult* column_of(const std::shared_ptr<void>& shared, std::size_t row, int column) {
    const auto* result = result_of(shared);
    TXS_ASSERT(row < static_cast<std::size_t>(PQntuples(result)), "no such row in the result");
    TXS_ASSERT(column >= 0 && column < PQnfields(result), "no such column in the result");
    return result;
}

std::uint64_t big_endian(std::string_view bytes) {
    std::uint64_t value = 0;
    for (const char byte : bytes) value = (value << 8) | static_cast<unsigned char>(byte);
    return value;
}

}  // namespace

Rows::Rows(std::shared_ptr<void> result) : result_(std::move(result)) {
}

std::size_t Rows::size() const noexcept {
    return result_ ? static_cast<std::size_t>(PQntuples(result_of(result_))) : 0;
}

bool Rows::is_null(std::size_t row, int column) const {
    return PQgetisnull(column_of(result_, row, column), static_cast<int>(row), column) != 0;
}

std::string_view Rows::bytes(std::size_t row, int column) const {
    const auto* result = column_of(result_, row, column);
    const int number = static_cast<int>(row);
    std::string_view bytes(
        PQgetvalue(result, number, column),
        static_cast<std::size_t>(PQgetlength(result, number, column))
    );
    // jsonb's binary form is a version byte, always 1 so far, and the text.
    if (!bytes.empty() && PQftype(result, column) == kJsonb && PQfformat(result, column) == 1) {
        bytes.remove_prefix(1);
    }
    return bytes;
}

std::int64_t Rows::integer(std::size_t row, int column) const {
    if (is_null(row, column)) return 0;
    const auto value = big_endian(bytes(row, column));
    switch (PQftype(result_of(result_), column)) {
        case kInt2:
            return static_cast<std::int16_t>(value);
        case kInt4:
            return static_cast<std::int32_t>(value);
        case kOid:
        case kInt8:
        case kXid8:
            return static_cast<std::int64_t>(value);
        default:
            TXS_ASSERT(false, "the column is no integer; cast it in the statement");
    }
    return 0;
}

bool Rows::boolean(std::size_t row, int column) const {
    if (is_null(row, column)) return false;
    TXS_ASSERT(PQftype(result_of(result_), column) == kBool, "the column is no boolean");
    return bytes(row, column)[0] != 0;
}

std::chrono::sys_time<std::chrono::microseconds> Rows::time(std::size_t row, int column) const {
    using Time = std::chrono::sys_time<std::chrono::microseconds>;
    if (is_null(row, column)) return {};
    TXS_ASSERT(PQftype(result_of(result_), column) == kTimestamptz, "the column is no timestamptz");
    const auto value = static_cast<std::int64_t>(big_endian(bytes(row, column)));
    // 'infinity' and '-infinity', and the last times that would not fit our epoch.
    if (value > std::numeric_limits<std::int64_t>::max() - kPostgresEpoch.count())
        return Time::max();
    if (value == std::numeric_limits<std::int64_t>::min()) return Time::min();
    return Time(std::chrono::microseconds(value) + kPostgresEpoch);
}

std::string Rows::uuid(std::size_t row, int column) const {
    if (is_null(row, column)) return {};
    TXS_ASSERT(PQftype(result_of(result_), column) == kUuid, "the column is no uuid");
    const auto raw = bytes(row, column);
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    text.reserve(36);
    for (std::size_t i = 0; i < raw.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        const auto byte = static_cast<unsigned char>(raw[i]);
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

}  // namespace txstream::pg
