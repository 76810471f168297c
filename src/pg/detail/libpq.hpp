#pragma once

#include "base/error.hpp"

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace txstream::pg::detail {

struct PgFinish {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};
using PgConn = std::unique_ptr<PGconn, PgFinish>;

struct PgClear {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
};
using PgResult = std::unique_ptr<PGresult, PgClear>;

/// The server's refusal of a statement.
Error error_of(const PGresult& result);

/// What an error ends, beside the statement.
enum class Severity : std::uint8_t { error, fatal, panic };  // nothing, the session, the server
Severity severity_of(const PGresult& result) noexcept;

/// True when a prepared statement no longer fits the schema or is gone: only a new session helps.
bool is_stale_statement(const PGresult& result) noexcept;

/// SQLSTATE of what a standby, or a server, database or role that was set to read-only, refuses.
inline constexpr std::string_view kReadOnly = "25006";

/// Five digits and capital letters.
bool is_sqlstate(std::string_view text) noexcept;

/// Why PQconnectPoll failed: names the server, the database, the user and what to do; never the
/// password.
Error connect_error_of(const PGconn& connection);

/// "db (10.0.0.7):5432, database shop, user app"
std::string place_of(const PGconn& connection);

/// libpq's message of a lost connection in one line.
std::string first_line(std::string_view message);

}  // namespace txstream::pg::detail
