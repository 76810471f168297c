#pragma once

#include "relay/replay.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace txstream::relay {

struct Replay::Letter {
    enum class State : std::uint8_t {
        waiting,
        in_flight,
        sent,    ///< Kafka has it
        failed,  ///< it is parked again
        left,    ///< it stays as it is in the table
    };

    std::uint32_t part;
    EventSeq id;
    State state = State::waiting;
    int attempts = 0;  ///< refusals of it alone
    std::string error_class{};
    std::string error{};
    bool waits = false;  ///< for its topic
    bool holds = true;   ///< its key, where it failed

    bool is_settled() const { return state == State::sent || state == State::failed; }
};

/// The letters of one key.
struct Replay::Part {
    Work work;
    Epoch epoch;
    std::size_t first = 0;     ///< of the batch's letters
    std::size_t last = 0;      ///< behind them
    std::size_t next = 0;      ///< none before it is waiting or in flight, on the careful path
    bool is_complete = false;  ///< the table has no more
    bool is_paused = false;    ///< one follows whose topic is paused
    bool stops = false;        ///< one that is parked for its own sake follows
    bool is_clean = false;     ///< nothing of the key was unwritten before they were read
    bool has_failed = false;
    bool is_lost = false;
};

/// What was read in one round.
struct Replay::Batch {
    std::string arena;  // keeps what the records point into
    std::vector<WireEvent> wire;
    std::vector<Letter> letters;  ///< key by key; of each the record at the same place of wire
    std::vector<Part> parts;
    std::size_t open = 0;  ///< waiting or in flight
    std::size_t in_flight = 0;
    std::size_t next = 0;   ///< none before it is waiting, on the fast path
    std::size_t width = 1;  ///< in flight together on the careful path
    bool is_careful = false;
    Clock::time_point in_flight_since{};

    const WireEvent& event_of(const Letter& letter) const {
        return wire[static_cast<std::size_t>(&letter - letters.data())];
    }
    void settle(Letter& letter, Letter::State state) {
        if (letter.state == Letter::State::in_flight) --in_flight;
        if (letter.state == Letter::State::in_flight || letter.state == Letter::State::waiting)
            --open;
        letter.state = state;
    }
    void leave(Letter& letter) {
        if (!letter.is_settled()) settle(letter, Letter::State::left);
    }
    void back(Letter& letter) {
        letter.state = Letter::State::waiting;
        --in_flight;
    }
};

}  // namespace txstream::relay
