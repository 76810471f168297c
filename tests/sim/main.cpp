// txs_sim: storms from seeds. A seed that breaks a promise is played again with its schedule.

#include "telemetry/log.hpp"
#include "tests/sim/storm.hpp"

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <unistd.h>

namespace txstream::sim {
namespace {

struct Arguments {
    std::uint64_t first = 1;
    std::uint64_t seeds = 2000;
    bool shows_schedule = false;
    bool is_brief = false;  ///< no schedule of a seed that fails
};

// For a seed that ends in an assertion.
volatile std::sig_atomic_t current_seed = 0;

extern "C" void tell_seed(int) {
    char text[] = "seed 0000000000\n";
    auto rest = static_cast<unsigned long>(current_seed);
    for (std::size_t i = sizeof text - 3; rest > 0 && i >= 5; --i, rest /= 10)
        text[i] = static_cast<char>('0' + rest % 10);
    (void)!::write(STDERR_FILENO, text, sizeof text - 1);
}

struct Figures {
    std::uint64_t storms = 0;
    std::size_t events = 0;
    std::size_t parked = 0;
    std::size_t replayed = 0;
    std::size_t again = 0;
    std::size_t incidents = 0;
    std::uint64_t handlers = 0;
    int producers = 0;
    std::size_t hand_overs = 0;
    Clock::duration longest_wait{};
    Clock::duration longest_hand_over{};
};

void print(const std::vector<std::string>& lines) {
    for (const auto& line : lines) std::printf("%s\n", line.c_str());
}

// False: a promise is broken. Everything of it is printed.
bool play(std::uint64_t seed, const Arguments& arguments, Figures& figures) {
    std::uint64_t fingerprint = 0;
    current_seed = static_cast<std::sig_atomic_t>(seed);
    {
        Storm storm({.seed = seed, .keeps_schedule = arguments.shows_schedule});
        storm.run();
        const auto totals = storm.checks().totals();
        ++figures.storms;
        figures.events += totals.events;
        figures.parked += totals.parked;
        figures.replayed += totals.replayed;
        figures.again += totals.again;
        figures.incidents += totals.incidents;
        figures.handlers += storm.world().handlers();
        figures.producers += storm.producers();
        figures.hand_overs += totals.hand_overs;
        figures.longest_wait = std::max(figures.longest_wait, storm.checks().longest_wait());
        figures.longest_hand_over =
            std::max(figures.longest_hand_over, storm.checks().longest_hand_over());
        fingerprint = storm.world().fingerprint();
        if (arguments.shows_schedule) {
            print(storm.world().schedule());
            return storm.world().violations().empty();
        }
        if (storm.world().violations().empty()) return true;
        std::printf("seed %llu:\n", static_cast<unsigned long long>(seed));
        print(storm.world().violations());
    }
    if (arguments.is_brief) return false;
    std::printf("its schedule:\n");
    Storm again({.seed = seed, .keeps_schedule = true});
    again.run();
    print(again.world().schedule());
    if (again.world().fingerprint() != fingerprint)
        std::printf("(the seed does not replay: the schedule is another one)\n");
    return false;
}

// A seed has one schedule, whatever ran before.
bool replays(std::uint64_t seed) {
    std::uint64_t fingerprints[2];
    for (auto& fingerprint : fingerprints) {
        Storm storm({.seed = seed, .keeps_schedule = false});
        storm.run();
        fingerprint = storm.world().fingerprint();
    }
    if (fingerprints[0] == fingerprints[1]) return true;
    std::printf("seed %llu has two schedules\n", static_cast<unsigned long long>(seed));
    return false;
}

int run(const Arguments& arguments) {
    log::Options quiet;
    quiet.level = log::Level::fatal;
    (void)log::setup(quiet);
    std::signal(SIGABRT, tell_seed);
    const auto begun = std::chrono::steady_clock::now();
    Figures figures;
    bool is_good = true;
    for (std::uint64_t i = 0; i < arguments.seeds && is_good; ++i)
        is_good = play(arguments.first + i, arguments, figures);
    for (std::uint64_t i = 0; i < 10 && i < arguments.seeds && is_good; ++i)
        is_good = replays(arguments.first + i);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    std::printf(
        "%llu storms in %.1f s: %zu events, %zu parked, %zu replayed, %zu sent again, %zu "
        "incidents, %d "
        "producers, "
        "%llu steps; the longest wait for strangers %lld ms; %zu lanes handed over, the longest in "
        "%lld ms\n",
        static_cast<unsigned long long>(figures.storms),
        took.count(),
        figures.events,
        figures.parked,
        figures.replayed,
        figures.again,
        figures.incidents,
        figures.producers,
        static_cast<unsigned long long>(figures.handlers),
        static_cast<long long>(figures.longest_wait / 1ms),
        figures.hand_overs,
        static_cast<long long>(figures.longest_hand_over / 1ms)
    );
    return is_good ? 0 : 1;
}

}  // namespace
}  // namespace txstream::sim

int main(int argc, char** argv) {
    txstream::sim::Arguments arguments;
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (name == "--schedule") {
            arguments.shows_schedule = true;
            continue;
        }
        if (name == "--brief") {
            arguments.is_brief = true;
            continue;
        }
        std::uint64_t* const value = name == "--first"   ? &arguments.first
                                     : name == "--seeds" ? &arguments.seeds
                                                         : nullptr;
        const char* const text = i + 1 < argc ? argv[++i] : "";
        if (value == nullptr ||
            std::from_chars(text, text + std::strlen(text), *value).ec != std::errc()) {
            std::fprintf(
                stderr, "usage: txs_sim [--first SEED] [--seeds COUNT] [--schedule] [--brief]\n"
            );
            return 2;
        }
    }
    return txstream::sim::run(arguments);
}
