#include "cli/usage.hpp"
#include "dev/stack.hpp"
#include "dev/supervisor.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <utility>

namespace txstream::cli {

namespace {

namespace fs = std::filesystem;

/// In $TMPDIR, removed at the end.
class ScratchDirectory {
public:
    static Result<std::unique_ptr<ScratchDirectory>> make() {
        std::error_code error;
        const auto parent = fs::temp_directory_path(error);
        auto path = (parent / "txstream-dev-XXXXXX").string();
        if (error || mkdtemp(path.data()) == nullptr)
            return fail(
                Code::invalid_input,
                "cannot make a directory for the private PostgreSQL; TMPDIR must name a directory "
                "that we may write to"
            );
        // PostgreSQL runs as another user when we are root, and has to pass.
        fs::permissions(path, fs::perms(0711), error);
        return std::unique_ptr<ScratchDirectory>(new ScratchDirectory(path));
    }
    ~ScratchDirectory() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    ScratchDirectory(const ScratchDirectory&) = delete;
    ScratchDirectory& operator=(const ScratchDirectory&) = delete;

    const std::string& path() const noexcept { return path_; }

private:
    explicit ScratchDirectory(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

// A signal may come at any moment, and the second one during the stop ends the service on the spot:
// the directory and PostgreSQL are cleared away by the process that only waits.
int dev(const Globals& globals, dev::DevOptions options) {
    const auto loaded = load_config(globals);
    if (!loaded) return kUsage;
    const dev::Supervisor supervisor;
    std::unique_ptr<ScratchDirectory> scratch;
    options.is_kept = !options.data.empty();
    if (!options.is_kept) {
        auto made = ScratchDirectory::make();
        if (!made) return report(made.error());
        scratch = std::move(*made);
        options.data = scratch->path();
    }
    return supervisor.run([&] {
        const auto done = dev::run_dev(loaded->config, options);
        return done ? static_cast<int>(kOk) : report(done.error());
    });
}

}  // namespace

void add_dev(CLI::App& line, const Globals& globals, Run& run) {
    auto* command = line.add_subcommand(
        "dev",
        "Everything in one process: private PostgreSQL, development broker, API, relay, console"
    );
    const auto options = std::make_shared<dev::DevOptions>();
    command
        ->add_option(
            "--data",
            options->data,
            "Keep PostgreSQL's data in this directory (else it is removed at the end)"
        )
        ->type_name("DIRECTORY");
    auto* orders =
        command->add_option("--orders", options->orders, "How many sample orders to post");
    orders->capture_default_str();
    allow_numbers(*orders, 0, 100'000);
    explain(
        *command,
        "  txstream dev                   ten sample orders, and each event as it arrives\n"
        "  txstream dev --orders 0 --data ~/txstream-dev\n",
        {kOk, kFailed, kUsage, kInterrupted}
    );
    command->callback([&globals, &run, options] {
        run = [&globals, options] { return dev(globals, *options); };
    });
}

}  // namespace txstream::cli
