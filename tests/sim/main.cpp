// txs_sim: storms from seeds. A seed that breaks a promise is played again with its schedule.

#include "telemetry/log.hpp"
#include "tests/sim/jobs.hpp"
#include "tests/sim/storm.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string_view>
#include <thread>
#include <unistd.h>

// Where memory came from takes a quarter of the time; whoever needs to know plays the seed again
// with ASAN_OPTIONS=malloc_context_size=30.
extern "C" const char* __asan_default_options();   // NOLINT(bugprone-reserved-identifier)
extern "C" const char* __asan_default_options() {  // NOLINT(bugprone-reserved-identifier)
    return "malloc_context_size=1:max_malloc_fill_size=0";
}

namespace txstream::sim {
namespace {

// Of each its figures are kept until the round is over.
constexpr std::uint64_t kSeedsOfRound = 10'000;
constexpr std::uint64_t kReplays = 10;

struct Arguments {
    std::uint64_t first = 1;
    std::uint64_t seeds = 2000;
    std::uint64_t jobs = 1;  ///< processes; 0: one for each processor
    bool shows_schedule = false;
    bool is_brief = false;   ///< no schedule of a seed that fails
    bool is_silent = false;  ///< nothing at all
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

    void add(const Figures& other) {
        storms += other.storms;
        events += other.events;
        parked += other.parked;
        replayed += other.replayed;
        again += other.again;
        incidents += other.incidents;
        handlers += other.handlers;
        producers += other.producers;
        hand_overs += other.hand_overs;
        longest_wait = std::max(longest_wait, other.longest_wait);
        longest_hand_over = std::max(longest_hand_over, other.longest_hand_over);
    }
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
        figures = {
            .storms = 1,
            .events = totals.events,
            .parked = totals.parked,
            .replayed = totals.replayed,
            .again = totals.again,
            .incidents = totals.incidents,
            .handlers = storm.world().handlers(),
            .producers = storm.producers(),
            .hand_overs = totals.hand_overs,
            .longest_wait = storm.checks().longest_wait(),
            .longest_hand_over = storm.checks().longest_hand_over()
        };
        fingerprint = storm.world().fingerprint();
        if (arguments.shows_schedule) {
            print(storm.world().schedule());
            return storm.world().violations().empty();
        }
        if (storm.world().violations().empty()) return true;
        if (arguments.is_silent) return false;
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
bool replays(std::uint64_t seed, const Arguments& arguments) {
    std::uint64_t fingerprints[2];
    for (auto& fingerprint : fingerprints) {
        Storm storm({.seed = seed, .keeps_schedule = false});
        storm.run();
        fingerprint = storm.world().fingerprint();
    }
    if (fingerprints[0] == fingerprints[1]) return true;
    if (arguments.is_silent) return false;
    std::printf("seed %llu has two schedules\n", static_cast<unsigned long long>(seed));
    return false;
}

// Plays `count` seeds from `first` on, in order as far as can be seen from outside. Returns how
// many are good before the first that is not.
std::uint64_t play_all(
    std::uint64_t first,
    std::uint64_t count,
    const Arguments& arguments,
    const std::function<bool(std::uint64_t seed, const Arguments& arguments)>& is_good
) {
    if (arguments.jobs == 1) {
        std::uint64_t good = 0;
        while (good < count && is_good(first + good, arguments)) ++good;
        return good;
    }
    auto silent = arguments;
    silent.is_silent = true;
    const auto failure =
        share_out(count, static_cast<unsigned>(arguments.jobs), [&](std::uint64_t i) {
            return is_good(first + i, silent);
        });
    if (!failure) return count;
    if (failure->how.empty()) {
        // Once more, for what it has to say.
        (void)is_good(first + failure->task, arguments);
    } else {
        std::printf(
            "seed %llu: its process ended with %s\n",
            static_cast<unsigned long long>(first + failure->task),
            failure->how.c_str()
        );
    }
    return failure->task;
}

int run(Arguments arguments) {
    log::Options quiet;
    quiet.level = log::Level::fatal;
    (void)log::setup(quiet);
    std::signal(SIGABRT, tell_seed);
    if (arguments.jobs == 0) arguments.jobs = std::max(std::thread::hardware_concurrency(), 1U);
    if (arguments.shows_schedule) arguments.jobs = 1;
    const auto begun = std::chrono::steady_clock::now();
    Figures figures;
    bool is_good = true;
    for (std::uint64_t at = 0; at < arguments.seeds && is_good; at += kSeedsOfRound) {
        const auto first = arguments.first + at;
        const auto count = std::min(kSeedsOfRound, arguments.seeds - at);
        const auto of_seeds = shared_array<Figures>(count);
        const auto good = play_all(first, count, arguments, [&](auto seed, const auto& how) {
            return play(seed, how, of_seeds[static_cast<std::ptrdiff_t>(seed - first)]);
        });
        is_good = good == count;
        for (std::uint64_t i = 0; i < std::min(good + 1, count); ++i)
            figures.add(of_seeds[static_cast<std::ptrdiff_t>(i)]);
    }
    if (is_good) {
        const auto count = std::min(kReplays, arguments.seeds);
        is_good = play_all(arguments.first, count, arguments, replays) == count;
    }
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
                                     : name == "--jobs"  ? &arguments.jobs
                                                         : nullptr;
        const char* const text = i + 1 < argc ? argv[++i] : "";
        if (value == nullptr ||
            std::from_chars(text, text + std::strlen(text), *value).ec != std::errc()) {
            std::fprintf(
                stderr,
                "usage: txs_sim [--first SEED] [--seeds COUNT] [--jobs COUNT] [--schedule] "
                "[--brief]\n"
            );
            return 2;
        }
    }
    return txstream::sim::run(arguments);
}
