#pragma once

#include "outbox/dead_letter_decisions.hpp"
#include "outbox/event_row.hpp"
#include "pg/connection.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace txstream::outbox {

/// What an operator has paused. It stands in the table until it is resumed, whoever dies meanwhile.
struct Pause {
    enum class Scope : std::uint8_t { everything, topic, key };

    Scope scope = Scope::everything;
    std::string name{};  ///< of the topic, or the key itself
    std::string reason{};

    bool operator==(const Pause&) const = default;
};
std::string_view to_string(Pause::Scope scope) noexcept;

/// At one time; a relay looks at all of them each second.
inline constexpr std::size_t kPausesMax = 1000;

/// For people.
struct PauseEntry {
    Pause pause;
    Time at;
    std::string by;
};
/// Oldest first.
Task<Result<std::vector<PauseEntry>>> pause_entries(pg::Connection& connection, Deadline deadline);

/// Pauses it and writes the row of txstream.audit, in one transaction. False: it is paused already,
/// or there are kPausesMax. The reason is the signature's.
Task<Result<bool>> pause(
    pg::Connection& connection, Pause what, Signature signature, Deadline deadline
);
/// The same the other way. False: it is not paused.
Task<Result<bool>> resume(
    pg::Connection& connection, Pause what, Signature signature, Deadline deadline
);

}  // namespace txstream::outbox
