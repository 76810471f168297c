#include "operations/dead_letters.hpp"

#include "base/text.hpp"
#include "operations/looking.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace txstream::operations {

namespace {

using outbox::Decision;
using outbox::EventState;

/// Letters that one statement asks about.
constexpr std::size_t kLookedAt = 1000;

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

bool is_open(Decision decision, const outbox::LetterState& letter) {
    return decision == Decision::replay ? letter.state == EventState::replaying : letter.is_decided;
}

/// What a look has seen.
struct Seen {
    Outcome outcome;
    std::vector<EventSeq> waiting;
};

/// Looks at each letter that waits once, as long as there is time.
Task<Result<Seen>> look(
    pg::Connection& connection, Decision decision, Seen before, Deadline deadline
) {
    Seen seen{before.outcome, {}};
    auto& [outcome, waiting] = seen;
    const auto& letters = before.waiting;
    for (std::size_t at = 0; at < letters.size(); at += kLookedAt) {
        const std::vector<EventSeq> some(
            letters.begin() + static_cast<std::ptrdiff_t>(at),
            letters.begin() + static_cast<std::ptrdiff_t>(std::min(at + kLookedAt, letters.size()))
        );
        if (deadline.left() < kLastLook) {
            waiting.insert(waiting.end(), some.begin(), some.end());
            continue;
        }
        TXS_CO_TRY(const auto states, co_await outbox::letter_states(connection, some, deadline));
        for (const auto& letter : states) {
            if (is_open(decision, letter)) {
                waiting.push_back(letter.seq);
            } else if (letter.state == EventState::parked) {
                ++outcome.parked_again;
            } else {
                ++(letter.state == EventState::discarded ? outcome.discarded : outcome.replayed);
            }
        }
        // A letter that is gone was carried out and then removed for its age.
        (decision == Decision::discard ? outcome.discarded : outcome.replayed) +=
            some.size() - std::min(some.size(), states.size());
    }
    co_return seen;
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
        plan.letters = {
            std::nullopt,
            std::move(selection.key),
            std::move(selection.error_class),
            std::move(selection.event_type),
            std::move(selection.topic)
        };
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

Task<Result<Applied>> apply(
    pg::Connection& connection, Plan plan, Authority authority, Deadline deadline
) {
    const auto letters_max = authority.letters_max.value_or(plan.counts.letters);
    const outbox::Signature signature{
        std::move(authority.actor),
        std::move(authority.origin),
        std::move(plan.target),
        std::move(authority.reason)
    };
    outbox::DecisionLimits limits{.letters_max = letters_max, .step = authority.step};
    Applied applied;
    while (true) {
        auto step = co_await outbox::decide(
            connection, plan.decision, plan.letters, limits, signature, deadline
        );
        if (!step) {
            if (applied.letters.empty()) co_return tl::unexpected(std::move(step).error());
            applied.ended_by = std::move(step).error();
            co_return applied;
        }
        if (limits.before == 0) {
            if (step->matching > letters_max)
                co_return tl::unexpected(refused(fmt::format(
                    "{} events match by now, {} were allowed; nothing was changed, look again",
                    step->matching,
                    letters_max
                )));
            limits.total = step->matching;
        }
        if (authority.on_step && !step->decided.empty()) authority.on_step(*step);
        applied.letters.insert(applied.letters.end(), step->decided.begin(), step->decided.end());
        // Letters that came since the first step are not part of it.
        limits.before += step->decided.size();
        if (step->decided.empty() || limits.before >= limits.total) co_return applied;
        limits.step = std::min<std::size_t>(authority.step, limits.total - limits.before);
        limits.letters_max = std::numeric_limits<std::int64_t>::max();
    }
}

Task<Result<Outcome>> wait(
    pg::Connection& connection, Decision decision, std::vector<EventSeq> letters, Deadline deadline
) {
    Seen seen{{}, std::move(letters)};
    Looking<Seen> looking{
        .look = [&]() { return look(connection, decision, seen, deadline); },
        .is_done = [](const Seen& now) { return now.waiting.empty(); },
        .on_look = [&](const Seen& now) { seen = now; }
    };
    TXS_CO_TRY(seen, co_await look_until(std::move(looking), deadline));
    seen.outcome.waiting = seen.waiting.size();
    co_return seen.outcome;
}

}  // namespace txstream::operations
