#pragma once

#include "cli/commands.hpp"

#include <memory>
#include <string>
#include <vector>

namespace txstream::cli {

/// The whole command line: its grammar, and the command that was chosen.
class Line {
public:
    Line();
    ~Line();
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    /// Completions and the manual are made of it.
    const CLI::App& grammar() const noexcept { return *grammar_; }
    /// Parses the words behind "txstream" and does what they say, once; returns the exit code.
    int run(std::vector<std::string> words);

private:
    Globals globals_;
    Run run_;
    std::unique_ptr<CLI::App> grammar_;
};

}  // namespace txstream::cli
