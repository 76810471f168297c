#include "pg/rows.hpp"

#include "base/assert.hpp"
#include "pg/detail/libpq.hpp"

#include <algorithm>
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

std::uint64_t big_endian(std::string_view bytes) {
    std::uint64_t value = 0;
    for (const char byte : bytes) value = (value << 8) | static_cast<unsigned char>(byte);
    return value;
}

}  // namespace

Uuid::Uuid(std::string_view text) : size_(kSize) {
    TXS_ASSERT(text.size() == kSize, "a uuid has 36 characters");
    std::ranges::copy(text, text_.begin());
}

Rows::Rows(std::shared_ptr<void> result) : result_(std::move(result)) {
    if (!result_) return;
    const auto* own = result_of(result_);
    rows_ = PQntuples(own);
    columns_ = PQnfields(own);
    for (int column = 0; column < columns_; ++column)
        has_jsonb_ = has_jsonb_ || (PQftype(own, column) == kJsonb && PQfformat(own, column) == 1);
}

bool Rows::is_null(std::size_t row, int column) const {
    TXS_ASSERT(row < size(), "no such row in the result");
    TXS_ASSERT(column >= 0 && column < columns_, "no such column in the result");
    return PQgetisnull(result_of(result_), static_cast<int>(row), column) != 0;
}

std::string_view Rows::bytes(std::size_t row, int column) const {
    TXS_ASSERT(row < size(), "no such row in the result");
    TXS_ASSERT(column >= 0 && column < columns_, "no such column in the result");
    const auto* result = result_of(result_);
    const int number = static_cast<int>(row);
    std::string_view bytes(
        PQgetvalue(result, number, column),
        static_cast<std::size_t>(PQgetlength(result, number, column))
    );
    // jsonb's binary form is a version byte, always 1 so far, and the text.
    if (has_jsonb_ && !bytes.empty() && PQftype(result, column) == kJsonb &&
        PQfformat(result, column) == 1) {
        bytes.remove_prefix(1);
    }
    return bytes;
}

std::int64_t Rows::integer(std::size_t row, int column) const {
    const auto raw = bytes(row, column);
    if (raw.empty()) return 0;
    const auto value = big_endian(raw);
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
    const auto raw = bytes(row, column);
    TXS_ASSERT(PQftype(result_of(result_), column) == kBool, "the column is no boolean");
    return !raw.empty() && raw[0] != 0;
}

std::chrono::sys_time<std::chrono::microseconds> Rows::time(std::size_t row, int column) const {
    using Time = std::chrono::sys_time<std::chrono::microseconds>;
    const auto raw = bytes(row, column);
    if (raw.empty()) return {};
    TXS_ASSERT(PQftype(result_of(result_), column) == kTimestamptz, "the column is no timestamptz");
    const auto value = static_cast<std::int64_t>(big_endian(raw));
    // 'infinity' and '-infinity', and the last times that would not fit our epoch.
    if (value > std::numeric_limits<std::int64_t>::max() - kPostgresEpoch.count())
        return Time::max();
    if (value == std::numeric_limits<std::int64_t>::min()) return Time::min();
    return Time(std::chrono::microseconds(value) + kPostgresEpoch);
}

Uuid Rows::uuid(std::size_t row, int column) const {
    const auto raw = bytes(row, column);
    if (raw.empty()) return {};
    TXS_ASSERT(PQftype(result_of(result_), column) == kUuid, "the column is no uuid");
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::array<char, Uuid::kSize> text;
    auto* out = text.begin();
    for (std::size_t i = 0; i < raw.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
        const auto byte = static_cast<unsigned char>(raw[i]);
        *out++ = kDigits[byte >> 4];
        *out++ = kDigits[byte & 15];
    }
    return Uuid(std::string_view(text.data(), text.size()));
}

}  // namespace txstream::pg
