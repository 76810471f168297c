#pragma once

#include "console/context.hpp"
#include "http/response.hpp"
#include "http/role.hpp"

#include <chrono>
#include <cstddef>
#include <string>

namespace txstream::console {

/// Sessions of the routes that change something, and what these answer when they may not. Their
/// login needs the rights of txstream_operator.
class OperatorSessions {
public:
    /// Who waits longer than kSessionTime for one of them is refused.
    static constexpr std::size_t kSessionsMax = 3;
    static constexpr std::chrono::seconds kSessionTime{5};
    static constexpr std::chrono::seconds kAnswerTime{20};

    OperatorSessions(Context& context, pg::ConnInfo database);

    Task<Result<pg::Pool::Lease>> acquire(Deadline deadline);
    void close() { pool_.close(); }

    /// Of an error of the room operations.
    http::Response refusal(const Error& error) const;
    http::Response without_rights() const;

private:
    Context& context_;
    pg::Pool pool_;
};

/// As txstream.audit names whoever asks.
std::string actor_of(const http::Caller& caller);

}  // namespace txstream::console
