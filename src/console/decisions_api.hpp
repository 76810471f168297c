#pragma once

#include "console/context.hpp"
#include "console/decision_request.hpp"
#include "http/router.hpp"
#include "outbox/decision_progress.hpp"

#include <memory>
#include <string>
#include <vector>

namespace txstream::console {

/// What operators decide about dead letters: planned, decided, and what became of it. The only
/// routes that write, through the room operations.
///
/// A decision about many letters is several transactions. It is answered after the first one; the
/// others follow without a caller, so neither a page that is closed nor a proxy that gives up ends
/// it in the middle. How far it is, and what relays have made of it, the tables say.
class DecisionsApi {
public:
    /// Decisions under way; one more is 429. Each holds a session.
    static constexpr std::size_t kDecidingMax = 2;
    static constexpr std::chrono::minutes kDecideTime{15};
    static constexpr std::chrono::seconds kAnswerTime{20};
    static constexpr std::chrono::seconds kProgressTime{5};

    /// `database`: its login needs the rights of txstream_operator.
    DecisionsApi(Context& context, pg::ConnInfo database);
    ~DecisionsApi();
    void add_routes(http::Router& router);
    Task<> stop();

private:
    struct Work;

    Task<http::Response> plan(http::Request request);
    Task<http::Response> decide(outbox::Decision decision, http::Request request);
    Task<http::Response> progress(http::Request request);
    Task<http::Response> make_progress(std::int64_t audit_id, Deadline deadline);
    Task<> carry(std::shared_ptr<Work> work);
    Task<Result<>> apply(Work& work, Deadline deadline);
    http::Response refusal(const Error& error) const;
    http::Response without_rights() const;

    Context& context_;
    pg::Pool pool_;
    std::vector<std::shared_ptr<Work>> works_;
    runtime::TaskGroup tasks_;
};

}  // namespace txstream::console
