#include "pg/detail/session_pins.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace txstream::pg::detail {
namespace {

struct Pin {
    std::string_view name;
    std::string_view value;
    int since = 0;  // the server's version
};

// Not pinned: default_transaction_read_only. Where it is on, somebody froze the server, the
// database or the role (a switch-over does), and the connection is refused like a standby's.
// Likewise work_mem, role and the like: they change neither rows nor order.
constexpr std::array kPins = std::to_array<Pin>({
    // What a name means. Last in the path, temporary tables cannot stand in for others; tables
    // outside pg_catalog are always named with their schema.
    {"search_path", "pg_catalog, pg_temp"},
    // An error instead of fewer rows.
    {"row_security", "off"},
    {"default_transaction_isolation", "read committed"},
    {"default_transaction_deferrable", "off"},
    // What a literal or an operator means.
    {"standard_conforming_strings", "on"},
    {"transform_null_equals", "off"},
    {"array_nulls", "on"},
    // How values are written as text and read from it.
    {"client_encoding", "UTF8"},
    {"DateStyle", "ISO, YMD"},
    {"IntervalStyle", "postgres"},
    {"TimeZone", "UTC"},
    {"bytea_output", "hex"},
    {"extra_float_digits", "1"},
    {"quote_all_identifiers", "off"},
    {"check_function_bodies", "on"},
    // Who ends a statement or a session. A statement has its limit from its deadline
    // (Session::queue_limit).
    {"statement_timeout", "0"},
    {"lock_timeout", "0"},
    {"idle_in_transaction_session_timeout", "60s"},
    {"idle_session_timeout", "0", 140000},
    {"transaction_timeout", "0", 170000},
    // The plans of short statements on large tables; a reader pins more.
    {"plan_cache_mode", "auto"},
    {"jit", "off"},
    {"enable_indexscan", "on"},
    {"enable_indexonlyscan", "on"},
    {"enable_nestloop", "on"},
    {"enable_partition_pruning", "on"},
    {"constraint_exclusion", "partition"},
});

// With `off` a 201, or a parked event, may be taken back by a crash. Any other value is a choice.
constexpr std::string_view kDurable =
    "pg_catalog.set_config('synchronous_commit',"
    " CASE WHEN pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'off'"
    " THEN 'on' ELSE pg_catalog.current_setting('synchronous_commit') END, ";
constexpr std::string_view kIsLocal =
    "pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.<>) $1::pg_catalog.int4";

}  // namespace

std::string pins_sql(int server_version) {
    std::string sql =
        "SELECT pg_catalog.pg_backend_pid(),"
        " pg_catalog.current_setting('session_replication_role'),"
        " pg_catalog.current_setting('zero_damaged_pages')";
    for (const auto& pin : kPins) {
        if (server_version < pin.since) continue;
        sql +=
            fmt::format(", pg_catalog.set_config('{}', '{}', {})", pin.name, pin.value, kIsLocal);
    }
    return sql.append(", ").append(kDurable).append(kIsLocal).append(")");
}

Result<Pinned> read_pinned(const Rows& rows) {
    const auto refusal = [](std::string_view setting, std::string_view effect) {
        return fail(
            Code::rejected,
            fmt::format(
                "{} is set for this session: {}; take it back with ALTER ROLE ... RESET {}, or "
                "where else it was set",
                setting,
                effect,
                setting.substr(0, setting.find(' '))
            ),
            "session_settings"
        );
    };
    if (rows.bytes(0, 1) == "replica") {
        return refusal(
            "session_replication_role = replica", "triggers and foreign keys would be skipped"
        );
    }
    if (rows.bytes(0, 2) == "on")
        return refusal("zero_damaged_pages = on", "rows of damaged pages would be missing unseen");
    return Pinned{rows.integer(0, 0)};
}

}  // namespace txstream::pg::detail
