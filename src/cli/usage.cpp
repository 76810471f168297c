#include "cli/usage.hpp"

#include "config/suggest.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>

namespace txstream::cli {

namespace {

using Words = std::span<const std::string>;

std::vector<std::string> commands_of(const CLI::App& app) {
    std::vector<std::string> names;
    for (const auto* command : app.get_subcommands({})) names.push_back(command->get_name());
    return names;
}

/// "txstream migrate up"
std::string path_of(const CLI::App& app) {
    const auto* parent = app.get_parent();
    return parent == nullptr ? app.get_name() : path_of(*parent) + " " + app.get_name();
}

const CLI::App* command_of(const CLI::App& app, const std::string& name) {
    for (const auto* command : app.get_subcommands({})) {
        if (command->get_name() == name) return command;
    }
    return nullptr;
}

/// Of the command or of those above it, whose options it takes too.
const CLI::Option* option_of(const CLI::App& app, const std::string& name) {
    if (const auto* found = app.get_option_no_throw(name)) return found;
    return app.get_parent() == nullptr ? nullptr : option_of(*app.get_parent(), name);
}

std::vector<std::string> options_of(const CLI::App& app) {
    std::vector<std::string> names;
    for (const auto* option : app.get_options()) {
        for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    }
    if (app.get_parent() != nullptr) {
        for (auto& name : options_of(*app.get_parent())) names.push_back(std::move(name));
    }
    return names;
}

bool takes_words(const CLI::App& app) {
    return !app.get_options([](const CLI::Option* one) { return one->get_positional(); }).empty();
}

std::string see_help(const CLI::App& app) {
    auto path = path_of(app);
    const auto at = path.find(' ');
    return fmt::format(
        "`txstream help{}` shows what there is", at == std::string::npos ? "" : path.substr(at)
    );
}

/// A verb that stands under another command: "txstream up".
std::optional<std::string> under_another(const CLI::App& line, const std::string& typed) {
    for (const auto* group : line.get_subcommands({})) {
        if (command_of(*group, typed) != nullptr) return path_of(*group) + " " + typed;
    }
    return std::nullopt;
}

std::string unknown_command(const CLI::App& app, const std::string& typed) {
    const auto known = commands_of(app);
    std::string remedy = fmt::format("the commands are {}", fmt::join(known, ", "));
    if (app.get_name() == "migrate" &&
        (typed == "down" || typed == "undo" || typed == "rollback")) {
        remedy =
            "migrations are not undone: restore a backup taken before; "
            "`txstream help migrate` shows what there is";
    } else if (const auto near = config::suggest(typed, known)) {
        remedy = fmt::format("did you mean {}?", *near);
    } else if (const auto path = under_another(app, typed); path && app.get_parent() == nullptr) {
        remedy = fmt::format("did you mean {}?", *path);
    }
    return fmt::format("{} has no command {}; {}", path_of(app), typed, remedy);
}

/// A command below this one that has the option: "migrate --only outbox up".
const CLI::App* owner_below(const CLI::App& app, const std::string& option) {
    for (const auto* command : app.get_subcommands({})) {
        if (command->get_option_no_throw(option) != nullptr) return command;
        if (const auto* found = owner_below(*command, option)) return found;
    }
    return nullptr;
}

std::string unknown_option(const CLI::App& app, const std::string& typed) {
    auto variable = typed.substr(typed.find_first_not_of('-'));
    std::ranges::transform(variable, variable.begin(), [](unsigned char c) {
        return c == '-' ? '_' : static_cast<char>(std::toupper(c));
    });
    std::string remedy = see_help(app);
    if (const auto* owner = owner_below(app, typed)) {
        remedy = fmt::format("write it behind the command: {} {}", path_of(*owner), typed);
    } else if (const auto near = config::suggest(typed, options_of(app))) {
        remedy = fmt::format("did you mean {}?", *near);
    } else if (config::is_setting(variable)) {
        remedy = fmt::format("that is a setting: {}=… in the environment or in .env", variable);
    }
    return fmt::format("{} has no option {}; {}", path_of(app), typed, remedy);
}

class Reader {
public:
    Reader(const CLI::App& line, Words words) : app_(&line), words_(words) {}

    std::optional<std::string> read() {
        for (; at_ < words_.size() && !is_done_; ++at_) {
            const auto& word = words_[at_];
            auto wrong = word.size() > 1 && word.front() == '-' && !only_words_ ? take_option(word)
                                                                                : take_word(word);
            if (wrong) return wrong;
        }
        const auto known = commands_of(*app_);
        if (is_done_ || known.empty() || app_->get_parent() == nullptr) return std::nullopt;
        return fmt::format("{} needs a command: {}", path_of(*app_), fmt::join(known, ", "));
    }

private:
    std::optional<std::string> take_word(const std::string& word) {
        if (const auto* command = command_of(*app_, word)) {
            app_ = command;
            return std::nullopt;
        }
        if (!commands_of(*app_).empty()) return unknown_command(*app_, word);
        if (takes_words(*app_)) return std::nullopt;
        return fmt::format(
            "{} takes no argument such as {}; {}", path_of(*app_), word, see_help(*app_)
        );
    }

    std::optional<std::string> take_option(const std::string& word) {
        if (word == "--") {
            only_words_ = true;
            return std::nullopt;
        }
        const bool is_long = word.starts_with("--");
        const auto name = is_long ? word.substr(0, word.find('=')) : word.substr(0, 2);
        const bool has_value = word.size() > name.size();
        const auto* option = option_of(*app_, name);
        if (option == nullptr) return unknown_option(*app_, is_long ? name : word);
        // Help and version are all that is done, whatever else there is.
        if (name == "-h" || name == "--help" || name == "-V" || name == "--version")
            is_done_ = !has_value;
        const bool is_flag = option->get_items_expected_max() == 0;
        if (is_flag) {
            if (!has_value) return std::nullopt;
            return fmt::format("{} takes no value; write {} alone", name, name);
        }
        const bool is_list = option->get_items_expected_max() > 1;
        if (!given_.insert(option).second && !is_list)
            return fmt::format("{} is given twice", name);
        if (has_value && word != name + "=") return std::nullopt;
        const bool has_next = at_ + 1 < words_.size() && !words_[at_ + 1].empty() &&
                              !(words_[at_ + 1].front() == '-' && words_[at_ + 1].size() > 1);
        if (has_value || !has_next)
            return fmt::format("{} needs a value: {}", name, option->get_description());
        ++at_;
        return std::nullopt;
    }

    const CLI::App* app_;
    Words words_;
    std::size_t at_ = 0;
    std::set<const CLI::Option*> given_;
    bool only_words_ = false;
    bool is_done_ = false;
};

std::string allowed_words(const std::vector<std::string>& words) {
    return fmt::format("{}", fmt::join(words, " or "));
}

}  // namespace

std::optional<std::string> complaint(const CLI::App& line, std::span<const std::string> words) {
    return Reader(line, words).read();
}

Help help_of(const CLI::App& line, std::span<const std::string> words) {
    const auto* app = &line;
    for (const auto& word : words) {
        const auto* command = command_of(*app, word);
        if (command == nullptr && commands_of(*app).empty())
            return {fmt::format("{} has no commands", path_of(*app)), false};
        if (command == nullptr) return {unknown_command(*app, word), false};
        app = command;
    }
    return {app->get_formatter()->make_help(app, path_of(*app), CLI::AppFormatMode::Normal), true};
}

void explain(CLI::App& command, std::string_view examples, std::initializer_list<Exit> codes) {
    std::string text = fmt::format("Examples:\n{}\nExit codes:\n", examples);
    for (const auto code : codes)
        text += fmt::format("  {:<3} {}\n", static_cast<int>(code), meaning_of(code));
    text +=
        "\nSettings come from the environment and .env (--env-file FILE: from FILE instead): "
        "txstream config print";
    command.footer(text);
}

CLI::App& group(CLI::App& line, const std::string& name, const std::string& what) {
    const auto found = line.get_subcommands([&](CLI::App* one) { return one->get_name() == name; });
    if (!found.empty()) return *found.front();
    auto& made = *line.add_subcommand(name, what);
    made.require_subcommand(1);
    // Not the one of the line above, which it has taken over.
    made.footer("");
    return made;
}

void explain_groups(CLI::App& line) {
    constexpr std::string_view kBefore = "Examples:\n";
    for (auto* const one : line.get_subcommands([](CLI::App*) { return true; })) {
        const auto verbs = one->get_subcommands([](CLI::App*) { return true; });
        if (!one->get_footer().empty() || verbs.empty()) continue;
        std::string examples;
        for (const auto* const verb : verbs) {
            const auto footer = verb->get_footer();
            const auto at = footer.find(kBefore);
            if (at == std::string::npos) continue;
            const auto begin = at + kBefore.size();
            examples += footer.substr(begin, footer.find('\n', begin) + 1 - begin);
        }
        explain(
            *one,
            examples,
            {kOk, kFailed, kUsage, kNotFound, kRefused, kUnreachable, kPrecondition, kTimedOut}
        );
    }
}

void allow_words(CLI::Option& option, const std::vector<std::string>& words) {
    option.type_name(fmt::format("{}", fmt::join(words, "|")));
    option.check([words](const std::string& text) -> std::string {
        if (std::ranges::find(words, text) != words.end()) return "";
        const auto near = config::suggest(text, words);
        return fmt::format(
            "{} is not allowed; {}",
            text,
            near ? fmt::format("did you mean {}?", *near) : "allowed is " + allowed_words(words)
        );
    });
}

void allow_numbers(CLI::Option& option, int least, int most) {
    option.type_name(fmt::format("{}..{}", least, most));
    option.check([least, most](const std::string& text) -> std::string {
        int number = 0;
        const auto* const last = text.data() + text.size();
        const auto [end, error] = std::from_chars(text.data(), last, number);
        if (error == std::errc() && end == last && number >= least && number <= most) return "";
        return fmt::format(
            "{} is not allowed; allowed is a whole number from {} to {}", text, least, most
        );
    });
}

}  // namespace txstream::cli
