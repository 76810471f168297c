#include "console/operator_sessions.hpp"

#include "base/utf8.hpp"
#include "console/detail/overview_words.hpp"
#include "console/json.hpp"
#include "operations/dead_letters.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <utility>

namespace txstream::console {

namespace {

// A decision may change thousands of rows; what it may take is bounded all the same.
constexpr const char* kSettings =
    "SET application_name = 'txstream console'; SET statement_timeout = '30s'; "
    "SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '10s'; ";
constexpr std::size_t kWaitersMax = 16;
constexpr std::size_t kActorBytesMax = 512;

}  // namespace

OperatorSessions::OperatorSessions(Context& context, pg::ConnInfo database)
    : context_(context),
      pool_(
          context.executor,
          std::move(database),
          std::string(kSettings) + outbox::kDecisionSettings,
          {.connections_max = kSessionsMax, .waiters_max = kWaitersMax}
      ) {
}

Task<Result<pg::Pool::Lease>> OperatorSessions::acquire(Deadline deadline) {
    return pool_.acquire(deadline.sooner(Deadline::in(kSessionTime)));
}

http::Response OperatorSessions::refusal(const Error& error) const {
    if (error.origin() == "42501") return without_rights();
    if (error.origin() == operations::kLetterOrigin)
        return problem(409, "letter_state", error.what());
    if (error.code() == Code::timed_out)
        return problem(
            504,
            "timed_out",
            fmt::format(
                "{}; it is not known yet whether anything was changed: the list of jobs says it",
                error.what()
            )
        );
    return problem_of(error);
}

http::Response OperatorSessions::without_rights() const {
    const auto& user = context_.settings.database_user;
    return problem(
        403,
        "database_rights",
        fmt::format(
            "the console's login at PostgreSQL, {}, may read and not decide: it needs the role "
            "txstream_operator",
            user
        ),
        Json{
            {"remedy",
             {{"kind", "sql"},
              {"text", fmt::format("GRANT txstream_operator TO {}", words::sql_name(user))}}}
        }
    );
}

std::string actor_of(const http::Caller& caller) {
    return storable_text(caller.name.empty() ? "console" : caller.name, kActorBytesMax);
}

}  // namespace txstream::console
