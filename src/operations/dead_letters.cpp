#include "operations/dead_letters.hpp"

#include "base/assert.hpp"
#include "base/text.hpp"
#include "operations/looking.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace txstream::operations {

namespace {

using outbox::Decision;
using outbox::EventState;

Error refused(std::string what) {
    return {Code::conflict, std::move(what), kLetterOrigin};
}

/// As people look it up; what comes from outside is quoted.
std::string name_of(const outbox::EventRow& letter) {
    return fmt::format(
        "{} (event {}, key {})",
        outbox::event_ref(letter.seq),
        letter.event_id,
        json_string(letter.key)
    );
}

Task<Result<outbox::EventRow>> find_one(
    pg::Connection& connection, Selection selection, Deadline deadline
) {
    EventSeq seq;
    if (selection.id) {
        TXS_CO_TRY(seq, parse_id(*selection.id));
    }
    const auto event_id = selection.event_id.value_or("");
    TXS_CO_TRY(auto found, co_await outbox::letters_named(connection, seq, event_id, deadline));
    if (found.empty())
        co_return fail(
            Code::not_found,
            fmt::format(
                "no dead letter has the {} {}",
                selection.id ? "id" : "event id",
                selection.id ? *selection.id : event_id
            )
        );
    if (found.size() > 1)
        co_return tl::unexpected(refused(fmt::format(
            "two dead letters are named so; name one of them: {} or {}",
            name_of(found[0]),
            name_of(found[1])
        )));
    co_return std::move(found.front());
}

/// Why nothing can be decided about this one letter.
Task<Result<>> check_one(
    pg::Connection& connection, Decision decision, outbox::EventRow letter, Deadline deadline
) {
    if (letter.state == EventState::replaying)
        co_return tl::unexpected(refused(fmt::format(
            "{} is to be replayed already; the relay that owns lane {} sends it",
            name_of(letter),
            letter.lane.value()
        )));
    if (letter.state != EventState::parked)
        co_return tl::unexpected(
            refused(fmt::format("{} is {} already", name_of(letter), to_string(letter.state)))
        );
    if (decision == Decision::discard) co_return Result<>();
    TXS_CO_TRY(const auto blocker, co_await outbox::blocker_of(connection, letter, deadline));
    if (letter.error_class == "held")
        co_return tl::unexpected(refused(
            blocker ? fmt::format(
                          "{} has no fault of its own: it is sent as soon as {} is replayed or "
                          "discarded; decide about that one",
                          name_of(letter),
                          name_of(*blocker)
                      )
                    : fmt::format(
                          "{} has no fault of its own and needs no decision: the relay sends it "
                          "after the events before it",
                          name_of(letter)
                      )
        ));
    if (blocker)
        co_return tl::unexpected(refused(fmt::format(
            "{} cannot be sent before {}, which is parked too; replay the key, or decide about "
            "the earlier one first",
            name_of(letter),
            name_of(*blocker)
        )));
    co_return Result<>();
}

outbox::Signature signature_of(Authority authority, std::string target) {
    return {
        std::move(authority.actor),
        std::move(authority.origin),
        std::move(target),
        std::move(authority.reason)
    };
}

Error too_many(std::uint64_t matching, std::uint64_t allowed) {
    return refused(fmt::format(
        "{} events match by now, {} were allowed; nothing was changed, look again",
        matching,
        allowed
    ));
}

Task<Result<outbox::Job>> look(pg::Connection& connection, std::int64_t id, Deadline deadline) {
    TXS_CO_TRY(auto found, co_await outbox::job(connection, id, deadline));
    if (!found) co_return fail(Code::not_found, fmt::format("there is no job {}", id));
    co_return std::move(*found);
}

/// Why it cannot be cancelled.
std::string why_decided(const outbox::Job& job) {
    if (job.cancelled_at) return fmt::format("job {} is cancelled already", job.id);
    if (job.state == outbox::JobState::failed)
        return fmt::format("job {} has failed, and decides no more", job.id);
    return fmt::format(
        "job {} has decided about all its events, and a decision is not taken back; a parked event "
        "is decided about anew",
        job.id
    );
}

}  // namespace

Task<Result<Plan>> plan(
    pg::Connection& connection, Decision decision, Selection selection, Deadline deadline
) {
    TXS_CO_CHECK(check(selection));
    if (decision == Decision::replay && selection.error_class == "held")
        co_return tl::unexpected(refused(
            "held events have no fault of their own and need no decision: each is sent as soon as "
            "the parked event before it is replayed or discarded"
        ));
    Plan plan;
    plan.decision = decision;
    plan.target = target_json(selection);
    if (selection.is_one_event()) {
        TXS_CO_TRY(const auto letter, co_await find_one(connection, selection, deadline));
        TXS_CO_CHECK(co_await check_one(connection, decision, letter, deadline));
        plan.letters.seq = letter.seq;
    } else {
        plan.letters = letters_of(std::move(selection));
    }
    TXS_CO_TRY(
        plan.counts,
        co_await outbox::count_decision(connection, decision, plan.letters, kSample, deadline)
    );
    if (plan.counts.letters > outbox::kDecisionLettersMax)
        co_return fail(
            Code::invalid_input,
            fmt::format(
                "more than {} events match; select fewer at once", outbox::kDecisionLettersMax
            )
        );
    co_return plan;
}

Task<Result<Started>> start(
    pg::Connection& connection, Plan plan, Authority authority, Deadline deadline
) {
    TXS_ASSERT(authority.at_once_max <= outbox::kDecisionStep, "one transaction has a limit");
    auto letters = plan.counts.letters;
    const auto letters_max = authority.letters_max.value_or(letters);
    if (letters == 0) co_return tl::unexpected(refused("no parked event matches"));
    if (letters > letters_max) co_return tl::unexpected(too_many(letters, letters_max));
    // One letter needs no rate.
    const bool is_one = plan.letters.seq.has_value();
    const auto rate = is_one ? std::nullopt : authority.rate;
    const bool is_at_once = is_one || (!rate && letters <= authority.at_once_max);
    const auto signature = signature_of(std::move(authority), std::move(plan.target));
    if (is_at_once) {
        TXS_CO_TRY(
            const auto done,
            co_await outbox::decide_at_once(
                connection, plan.decision, std::move(plan.letters), letters_max, signature, deadline
            )
        );
        if (done.decided > 0)
            co_return Started{.job = done.job, .letters = done.decided, .is_decided = true};
        letters = done.matching;
        if (letters > letters_max) co_return tl::unexpected(too_many(letters, letters_max));
        if (letters <= outbox::kDecisionStep)
            co_return tl::unexpected(refused("no parked event matches any more; nothing was changed"
            ));
    }
    TXS_CO_TRY(
        const auto job,
        co_await outbox::create_job(connection, plan.decision, letters, rate, signature, deadline)
    );
    if (!job)
        co_return tl::unexpected(refused(fmt::format(
            "{} jobs are being decided, and no more can be; wait for them, or cancel some",
            outbox::kJobsDecidingMax
        )));
    co_return Started{.job = *job, .letters = letters, .is_decided = false};
}

Task<Result<outbox::Job>> wait(
    pg::Connection& connection,
    std::int64_t id,
    std::function<void(const outbox::Job&)> on_look,
    Deadline deadline
) {
    Looking<outbox::Job> looking{
        .look = [&] { return look(connection, id, deadline); },
        .is_done = [](const outbox::Job& job) { return job.has_ended(); },
        .on_look = std::move(on_look)
    };
    co_return co_await look_until(std::move(looking), deadline);
}

Task<Result<outbox::Job>> cancel(
    pg::Connection& connection, std::int64_t id, Authority authority, Deadline deadline
) {
    TXS_CO_TRY(
        const bool is_cancelled,
        co_await outbox::cancel_job(
            connection, id, signature_of(std::move(authority), std::string()), deadline
        )
    );
    TXS_CO_TRY(auto job, co_await look(connection, id, deadline));
    if (!is_cancelled) co_return tl::unexpected(refused(why_decided(job)));
    co_return job;
}

}  // namespace txstream::operations
