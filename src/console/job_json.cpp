#include "console/job_json.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <string>

namespace txstream::console {

namespace {

Json text_or_null(const std::string& text) {
    return text.empty() ? Json(nullptr) : Json(text);
}

}  // namespace

std::optional<double> carried_out_per_second(const outbox::Job& job) {
    using Seconds = std::chrono::duration<double>;
    if (!job.started_at) return std::nullopt;
    const Seconds span = job.ended_at.value_or(job.now) - *job.started_at;
    if (span < Seconds(1)) return std::nullopt;
    return static_cast<double>(job.carried_out + job.parked_again) / span.count();
}

Json job_json(const outbox::Job& job) {
    const auto per_second = carried_out_per_second(job);
    return Json{
        {"id", number(job.id)},
        {"action", outbox::to_string(job.decision)},
        {"state", outbox::to_string(job.state)},
        {"target", stored_object(job.selection)},
        {"actor", job.actor},
        {"login", job.login},
        {"origin", job.origin},
        {"reason", text_or_null(job.reason)},
        {"rate", job.rate ? Json(*job.rate) : Json(nullptr)},
        {"events", number(job.total)},
        {"decided", number(job.decided)},
        {"waiting", number(job.waiting)},
        {"carried_out", number(job.carried_out)},
        {"parked_again", number(job.parked_again)},
        {"per_second", per_second ? Json(*per_second) : Json(nullptr)},
        {"created_at", rfc3339(job.created_at)},
        {"started_at", time_or_null(job.started_at)},
        {"decided_at", time_or_null(job.decided_at)},
        {"ended_at", time_or_null(job.ended_at)},
        {"is_ended", job.has_ended()},
        {"cancelled_at", time_or_null(job.cancelled_at)},
        {"cancelled_by", text_or_null(job.cancelled_by)},
        {"cancel_reason", text_or_null(job.cancel_reason)},
        {"is_cancellable", job.is_deciding()},
        {"runner", text_or_null(job.runner)},
        {"error", text_or_null(job.error)},
    };
}

}  // namespace txstream::console
