#include "cli/line.hpp"
#include "runtime/signals.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace txstream::cli {

namespace {

int run_line(int argc, char** argv) {
    const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
    std::vector<std::string> words(arguments.begin() + (argc > 0 ? 1 : 0), arguments.end());
    return Line().run(std::move(words));
}

/// A file that is opened later must not become standard output, and what we print not end up in it.
void open_standard_files() {
    for (int descriptor = 0; descriptor <= 2; ++descriptor) {
        if (fcntl(descriptor, F_GETFD) < 0) (void)::open("/dev/null", O_RDWR);
    }
}

int lost_output(int error) {
    // `txstream config docs | head -1`: who reads has enough.
    if (error == EPIPE) return kOk;
    fmt::print(stderr, "txstream: cannot write to standard output: {}\n", std::strerror(error));
    return kFailed;
}

}  // namespace

}  // namespace txstream::cli

int main(int argc, char** argv) {
    using namespace txstream;
    cli::open_standard_files();
    runtime::ignore_broken_pipes();
    int code = cli::kFailed;
    try {
        code = cli::run_line(argc, argv);
    } catch (const std::system_error& error) {
        // fmt's, when a full buffer cannot be written.
        if (std::string_view(error.what()).starts_with("cannot write to file"))
            return cli::lost_output(error.code().value());
        fmt::print(stderr, "txstream: {}\n", error.what());
        return cli::kFailed;
    } catch (const std::exception& error) {
        fmt::print(stderr, "txstream: {}\n", error.what());
        return cli::kFailed;
    }
    if (std::fflush(stdout) != 0 && code == cli::kOk) return cli::lost_output(errno);
    return code;
}
