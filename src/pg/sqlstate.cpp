#include "pg/sqlstate.hpp"

#include <algorithm>
#include <array>

namespace txstream::pg {
namespace {

struct Entry {
    std::string_view state;  // five characters: one state; two: all others of the class
    Code code;
};

constexpr std::array kTable = std::to_array<Entry>({
    // Connection. 08007: the connection broke during COMMIT.
    {"08", Code::unavailable},
    {"08007", Code::timed_out},
    {"08P01", Code::rejected},
    {"0A", Code::rejected},
    {"20", Code::rejected},
    {"21", Code::rejected},
    {"22", Code::invalid_input},
    {"23", Code::invalid_input},
    {"23505", Code::conflict},
    {"23P01", Code::conflict},
    // 25006: a standby; after the switch-over the same host, or the next one, takes writes.
    {"25", Code::rejected},
    {"25006", Code::unavailable},
    {"25P03", Code::unavailable},
    // A prepared statement that vanished (a pooler between us): a new session has it again.
    {"26", Code::unavailable},
    {"28", Code::rejected},
    {"2B", Code::conflict},
    {"3D", Code::not_found},
    {"3F", Code::not_found},
    // Serialization failure and deadlock: rolled back, the same again may work.
    {"40", Code::unavailable},
    {"40002", Code::conflict},
    {"40003", Code::timed_out},
    {"42", Code::rejected},
    {"42501", Code::rejected},
    {"42703", Code::not_found},
    {"42704", Code::not_found},
    {"42883", Code::not_found},
    {"42P01", Code::not_found},
    {"42P04", Code::conflict},
    {"42P06", Code::conflict},
    {"42P07", Code::conflict},
    {"42710", Code::conflict},
    {"53", Code::overloaded},
    {"54", Code::rejected},
    {"55", Code::rejected},
    {"55006", Code::conflict},
    {"55P03", Code::unavailable},
    // 57014, statement_timeout and pg_cancel_backend, is among them: the statement was rolled back.
    // Not Code::cancelled, which is never logged: nobody told *us* to stop.
    {"57", Code::unavailable},
    {"57P04", Code::not_found},
    {"58", Code::unavailable},
    {"72", Code::unavailable},
    {"P0", Code::rejected},
    {"P0002", Code::not_found},
    {"XX", Code::rejected},
    {"XX001", Code::corrupt},
    {"XX002", Code::corrupt},
});

const Entry* find(std::string_view state) noexcept {
    const auto* entry = std::ranges::find(kTable, state, &Entry::state);
    return entry == kTable.end() ? nullptr : entry;
}

}  // namespace

Code code_of(std::string_view sqlstate) noexcept {
    if (const auto* entry = find(sqlstate)) return entry->code;
    if (const auto* entry = find(sqlstate.substr(0, 2))) return entry->code;
    return Code::rejected;
}

}  // namespace txstream::pg
