#pragma once

#include "app/doctor.hpp"
#include "config/load.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace txstream::app {

struct DoctorQuestion {
    /// relay, api, console: those that are to run with this configuration.
    std::vector<std::string> roles;
    /// For connecting to each server, and for each question to it. All questions to one server
    /// together take three times as long at most.
    std::chrono::milliseconds timeout{};
};

/// Asks PostgreSQL and Kafka. Changes nothing there and blocks. A server that does not answer is
/// what is found; the other one is asked all the same. Where the configuration is wrong neither is:
/// what they say would be about something else.
DoctorFacts gather_facts(const config::Judged& judged, const DoctorQuestion& question);

}  // namespace txstream::app
