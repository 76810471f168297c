#include "pg/detail/libpq.hpp"

#include "pg/sqlstate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

namespace txstream::pg::detail {
namespace {

std::string_view field(const PGresult& result, int code) noexcept {
    const char* text = PQresultErrorField(&result, code);
    return text ? std::string_view(text) : std::string_view();
}

// The detail of these says which key, without the rest of the row. Other details quote whole rows
// ("Failing row contains …"), which have no place in a log.
bool has_harmless_detail(std::string_view sqlstate) {
    return sqlstate == "23505" || sqlstate == "23503" || sqlstate == "55006" ||
           sqlstate.starts_with("57");
}

const char* or_unknown(const char* text) {
    return text && *text ? text : "(none)";
}

struct Attempts {
    std::vector<std::string> sqlstates;
    bool has_other = false;  // an attempt that failed before a server answered
    std::string text;        // without SQLSTATE and LOCATION, in one line
};

// libpq keeps the SQLSTATE of a refused connection to itself, but with verbose errors it is in the
// text, in one line per attempt (with and without TLS):
//   connection to server at "h" (1.2.3.4), port 5432 failed: FATAL:  28P01: password authentication
//   failed for user "u" LOCATION:  auth_failed, auth.c:338
Attempts parse_connect_message(std::string_view message) {
    Attempts attempts;
    while (!message.empty()) {
        auto line = message.substr(0, message.find('\n'));
        message.remove_prefix(std::min(message.size(), line.size() + 1));
        while (!line.empty() && std::isspace(static_cast<unsigned char>(line.front()))) {
            line.remove_prefix(1);
        }
        if (line.empty() || line.starts_with("LOCATION:")) continue;
        std::string text(line);
        bool found = false;
        for (auto at = line.find(":  "); at != std::string_view::npos;
             at = line.find(":  ", at + 1)) {
            auto state = line.substr(at + 3, 5);
            if (!is_sqlstate(state) || line.substr(at + 8, 2) != ": ") continue;
            attempts.sqlstates.emplace_back(state);
            text = std::string(line.substr(0, at)) + ": " + std::string(line.substr(at + 10));
            found = true;
            break;
        }
        if (!found && line.starts_with("connection to server")) attempts.has_other = true;
        // "Is the server running on that host and accepting TCP/IP connections?": our remedy says
        // it.
        if (!found && line.ends_with('?')) continue;
        if (!attempts.text.empty()) attempts.text += "; ";
        attempts.text += text;
    }
    return attempts;
}

// The SQLSTATE that the server would have answered to an empty password.
constexpr std::string_view kNoPassword = "28P01";

std::string_view remedy_for(std::string_view origin) {
    if (origin.starts_with("28")) return "check user and password, and the server's pg_hba.conf";
    if (origin == "3D000") return "create the database or correct its name";
    if (origin == "42501") return "grant the user CONNECT on the database";
    if (origin == "53300") return "use smaller pools or raise the server's max_connections";
    if (origin == "57P03") return "the server starts up or shuts down; it will be tried again";
    if (origin == kReadOnly) {
        return "it is a standby, or default_transaction_read_only is on for the server, the "
               "database or the role: name the primary in DATABASE_HOST, or reset the setting";
    }
    if (origin == "ECONNREFUSED") return "is PostgreSQL running there, and is the port right?";
    return "";
}

// What libpq itself finds wrong with TLS, without a SQLSTATE. No later attempt would end otherwise,
// unlike a connection that broke during the handshake.
struct TlsRefusal {
    std::string_view text;
    Code code;
    std::string_view remedy;
};
constexpr std::string_view kTls = "TLS";
constexpr std::array kTlsRefusals{
    TlsRefusal{
        "server does not support SSL",
        Code::rejected,
        "enable ssl on the server, or set DATABASE_SSL_MODE to prefer or disable"
    },
    TlsRefusal{
        "certificate verify failed",
        Code::rejected,
        "the server's certificate is not signed by sslrootcert; name the right CA there"
    },
    TlsRefusal{
        "does not match host name",
        Code::rejected,
        "connect by a name of the certificate, or set DATABASE_SSL_MODE=verify-ca"
    },
    TlsRefusal{
        "root certificate file",
        Code::invalid_input,
        "give sslrootcert in DATABASE_URL, or PGSSLROOTCERT in the environment"
    },
    TlsRefusal{"certificate file", Code::invalid_input, "correct sslcert"},
    TlsRefusal{"private key file", Code::invalid_input, "correct sslkey"},
};

const TlsRefusal* tls_refusal(std::string_view message) {
    const auto* const found = std::ranges::find_if(kTlsRefusals, [&](const TlsRefusal& one) {
        return message.find(one.text) != std::string_view::npos;
    });
    return found == kTlsRefusals.end() ? nullptr : found;
}

}  // namespace

bool is_sqlstate(std::string_view text) noexcept {
    return text.size() == 5 && std::ranges::all_of(text, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
           });
}

Error error_of(const PGresult& result) {
    const auto sqlstate = field(result, PG_DIAG_SQLSTATE);
    std::string text(field(result, PG_DIAG_MESSAGE_PRIMARY));
    if (text.empty()) text = first_line(PQresultErrorMessage(&result));
    const auto detail = field(result, PG_DIAG_MESSAGE_DETAIL);
    if (!detail.empty() && has_harmless_detail(sqlstate))
        text.append(" (").append(detail).append(")");
    const auto hint = field(result, PG_DIAG_MESSAGE_HINT);
    if (!hint.empty() && !sqlstate.starts_with("42")) text.append("; ").append(hint);
    return Error(code_of(sqlstate), std::move(text), std::string(sqlstate));
}

Severity severity_of(const PGresult& result) noexcept {
    const auto severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (severity == "PANIC") return Severity::panic;
    return severity == "FATAL" ? Severity::fatal : Severity::error;
}

bool is_stale_statement(const PGresult& result) noexcept {
    const auto sqlstate = field(result, PG_DIAG_SQLSTATE);
    // "cached plan must not change result type" has no SQLSTATE of its own, and its text is
    // translated.
    return sqlstate == "26000" || (sqlstate == "0A000" && field(result, PG_DIAG_SOURCE_FUNCTION) ==
                                                              "RevalidateCachedQuery");
}

std::string place_of(const PGconn& connection) {
    const std::string_view host = or_unknown(PQhost(&connection));
    const std::string_view address = PQhostaddr(&connection);
    const bool has_other_name = !address.empty() && address != host;
    return fmt::format(
        "{}{}:{}, database {}, user {}",
        host,
        has_other_name ? fmt::format(" ({})", address) : "",
        or_unknown(PQport(&connection)),
        or_unknown(PQdb(&connection)),
        or_unknown(PQuser(&connection))
    );
}

Error connect_error_of(const PGconn& connection) {
    auto attempts = parse_connect_message(PQerrorMessage(&connection));
    // Attempts that disagree: as long as one of them may work later, so may the connection.
    const bool agree = !attempts.has_other && !attempts.sqlstates.empty() &&
                       std::ranges::all_of(attempts.sqlstates, [&](const auto& state) {
                           return code_of(state) == code_of(attempts.sqlstates.front());
                       });
    Code code = Code::unavailable;
    std::string origin;
    std::string_view remedy;
    if (PQconnectionNeedsPassword(&connection) == 1) {
        // libpq's own finding: the server asked, and there was nothing to send.
        code = Code::rejected;
        origin = kNoPassword;
        remedy =
            "the server demands a password and none is set: set DATABASE_PASSWORD or "
            "DATABASE_PASSWORD_FILE";
    } else if (agree) {
        origin = attempts.sqlstates.back();
        code = code_of(origin);
    } else if (attempts.text.find("Connection refused") != std::string::npos) {
        origin = "ECONNREFUSED";
    } else if (attempts.text.ends_with("session is read-only")) {
        origin = kReadOnly;  // target_session_attrs=read-write
    } else if (attempts.text.starts_with("invalid ")) {
        // libpq refused an option before it tried any server.
        code = Code::invalid_input;
    } else if (const auto* refusal = tls_refusal(attempts.text)) {
        code = refusal->code;
        origin = kTls;
        remedy = refusal->remedy;
    }
    if (remedy.empty()) remedy = remedy_for(origin);
    auto text =
        fmt::format("cannot connect to PostgreSQL at {}: {}", place_of(connection), attempts.text);
    if (!remedy.empty()) text.append("; ").append(remedy);
    return Error(code, std::move(text), std::move(origin));
}

std::string first_line(std::string_view message) {
    return std::string(message.substr(0, message.find('\n')));
}

}  // namespace txstream::pg::detail
