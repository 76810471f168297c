#include "cli/completion.hpp"
#include "cli/usage.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>
#include <string>

namespace txstream::cli {

void add_completion(CLI::App& line, Run& run) {
    auto* command = line.add_subcommand("completion", "Print what completes the line in a shell");
    const auto shell = std::make_shared<std::string>();
    auto* option = command->add_option("shell", *shell, "Which shell");
    option->required();
    allow_words(*option, {"bash", "zsh", "fish"});
    explain(
        *command,
        "  source <(txstream completion bash)\n"
        "  txstream completion zsh > ~/.zfunc/_txstream\n"
        "  txstream completion fish > ~/.config/fish/completions/txstream.fish\n",
        {kOk, kUsage}
    );
    command->callback([&line, &run, shell] {
        run = [&line, shell] {
            const auto text = *shell == "bash"  ? bash_completion(line)
                              : *shell == "zsh" ? zsh_completion(line)
                                                : fish_completion(line);
            fmt::print("{}", text);
            return static_cast<int>(kOk);
        };
    });
    command = line.add_subcommand("man", "Print the manual page");
    explain(
        *command,
        "  txstream man > /usr/local/share/man/man1/txstream.1\n"
        "  txstream man | man -l -\n",
        {kOk}
    );
    command->callback([&line, &run] {
        run = [&line] {
            fmt::print("{}", manual(line));
            return static_cast<int>(kOk);
        };
    });
}

}  // namespace txstream::cli
