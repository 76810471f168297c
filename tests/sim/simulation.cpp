#include "tests/sim/simulation.hpp"

namespace txstream::sim {

namespace {

constexpr std::size_t kViolationsMax = 20;
// So many handlers of one process in a row at most, so that others come in between.
constexpr std::int64_t kHandlersOfTurn = 4;
// More without any time that passes is a loop that waits for nothing.
constexpr std::uint64_t kHandlersOfInstant = 3000;

class Callback final : public runtime::VirtualTime::Wait {
public:
    explicit Callback(std::function<void()> what) : what_(std::move(what)) {}
    // It belongs to the world, whose events have no executor.
    void end(boost::system::error_code) override { what_(); }

private:
    std::function<void()> what_;
};

}  // namespace

Simulation::Simulation(Options options)
    : random(options.seed), begin_(time_.now()), keeps_schedule_(options.keeps_schedule) {
}

void Simulation::at(Clock::time_point when, std::function<void()> what) {
    time_.arm(std::max(when, now()), std::make_unique<Callback>(std::move(what)));
}

Process& Simulation::start(std::string name) {
    return *processes_.emplace_back(std::make_unique<Process>(std::move(name)));
}

bool Simulation::step() {
    bool has_run = false;
    const auto count = processes_.size();
    const auto first = static_cast<std::size_t>(random.roll(static_cast<std::int64_t>(count)));
    for (std::size_t i = 0; i < count; ++i) {
        auto& process = *processes_[(first + i) % count];
        for (auto left = 1 + random.roll(kHandlersOfTurn); left > 0; --left) {
            if (process.state != Process::State::running || process.loop.poll_one() == 0) break;
            ++handlers_;
            has_run = true;
            if (after_handler) after_handler(process);
        }
    }
    const bool is_circling = handlers_ - handlers_before_ >= kHandlersOfInstant;
    if (has_run && !is_circling) return true;
    if (is_circling) violated("a task asks again and again without waiting");
    const auto next = is_circling ? std::optional(now() + 1ms) : time_.next();
    if (!next) return false;
    // A wait that was to end in the past ends without any time that passes.
    if (*next > now()) handlers_before_ = handlers_;
    time_.advance(*next);
    return true;
}

std::string Simulation::stamp() const {
    const auto micros =
        std::chrono::duration_cast<std::chrono::microseconds>(now() - begin_).count();
    return fmt::format("{:6}.{:03} ms  ", micros / 1000, micros % 1000);
}

void Simulation::keep(std::string line) {
    schedule_.push_back(stamp() + line);
}

void Simulation::report(std::string line) {
    if (violations_.size() >= kViolationsMax) return;
    if (keeps_schedule_) keep("VIOLATED: " + line);
    violations_.push_back(stamp() + line);
}

}  // namespace txstream::sim
