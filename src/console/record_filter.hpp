#pragma once

#include "console/decimal.hpp"
#include "console/json_path.hpp"
#include "kafka/record.hpp"

#include <tl/expected.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::console {

/// Which records are wanted.
///
///     terms     = term { space term }                   all must match
///     term      = [ "-" ] predicate { "|" predicate }   "-": none must match; "|": one is enough
///     predicate = field operator value | "null"
///     field     = key | value | type | header.NAME | json.PATH | size | p | offset | time
///     operator  = ":" | "=" | "!=" | "~" | "<" | "<=" | ">" | ">="
///
/// After "|" the field and operator may be left out: `type:OrderCreated|OrderShipped`. Values and
/// names may be in double quotes, with backslash escapes. The grammar is closed: no regular
/// expressions and no scripts, so that every filter costs about as much as reading the record.
///
/// `json.PATH` matches when one of the values that the path selects does, of members with the same
/// name any. Numbers are compared as exact decimals. A value that is no JSON matches no json term.
class RecordFilter {
public:
    static constexpr std::size_t kTermsMax = 32;  ///< counts what "|" joins, too
    static constexpr std::size_t kTextBytesMax = 4096;

    struct Error {
        std::size_t column;  ///< from 0, in characters
        std::string text;
    };

    enum class Field : std::uint8_t {
        key,
        value,
        type,
        header,
        json,
        size,
        partition,
        offset,
        time,
        null,
    };
    enum class Operator : std::uint8_t {
        equal,
        unequal,
        contains,
        less,
        at_most,
        greater,
        at_least
    };

    struct Predicate {
        Field field = Field::null;
        Operator op = Operator::equal;
        std::string name;                      ///< of a header
        JsonPath path;                         ///< of json
        std::string text;                      ///< what is compared with
        std::int64_t number = 0;               ///< the same, of size, offset and time (ms)
        std::vector<std::int32_t> partitions;  ///< of p
    };
    struct Term {
        bool is_negated = false;
        std::vector<Predicate> any;
    };

    /// Matches everything.
    RecordFilter() = default;
    /// Relative times (`time>-1h`) count from `now`.
    static tl::expected<RecordFilter, Error> parse(
        std::string_view text, std::chrono::system_clock::time_point now
    );

    bool empty() const noexcept { return terms_.empty(); }
    const std::vector<Term>& terms() const noexcept { return terms_; }
    bool matches(const kafka::FetchedRecord& record) const;

private:
    std::vector<Term> terms_;
};

/// The type that the record names: header `event_type`, else CloudEvents' `ce_type`.
std::optional<std::string_view> event_type_of(const kafka::FetchedRecord& record);

/// "-90s", "-15m", "-1h", "-7d" before `now`, or RFC 3339; milliseconds since 1970. Nothing:
/// neither.
std::optional<std::int64_t> parse_time(
    std::string_view text, std::chrono::system_clock::time_point now
);

}  // namespace txstream::console
