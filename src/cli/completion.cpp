#include "cli/completion.hpp"

#include "base/text.hpp"
#include "base/version.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace txstream::cli {

namespace {

using Texts = std::vector<std::string>;

struct Option {
    Texts names;  ///< "-o", "--output"
    std::string what;
    Texts words;  ///< that its value may be; empty: others, or it has none
    std::string type;
    bool has_value = false;
    bool is_file = false;
};

/// A command, or a verb below one.
struct Command {
    Texts path;  ///< "outbox", "list"; empty: the program
    std::string what;
    std::vector<std::pair<std::string, std::string>> verbs;  ///< name, what
    std::vector<Option> options;                             ///< with those of the commands above
    std::vector<Option> values;                              ///< its arguments
    std::string footer;

    std::string name() const { return fmt::format("{}", fmt::join(path, " ")); }
};

Option option_of(const CLI::Option& given) {
    Option option;
    if (given.get_positional()) option.names.push_back(given.get_single_name());
    for (const auto& name : given.get_snames()) option.names.push_back("-" + name);
    for (const auto& name : given.get_lnames()) option.names.push_back("--" + name);
    option.what = given.get_description();
    option.has_value = given.get_items_expected_max() > 0;
    option.type = option.has_value ? given.get_type_name() : "";
    option.is_file = option.type == "FILE" || option.type == "DIRECTORY";
    // allow_words() makes such a type; one in capitals stands for values.
    if (option.type.find('|') != std::string::npos && lowered(option.type) == option.type)
        for (const auto word : split(option.type, '|')) option.words.emplace_back(word);
    return option;
}

void collect(const CLI::App& app, Command above, std::vector<Command>& all) {
    Command command;
    command.path = std::move(above.path);
    command.what = app.get_description();
    command.options = std::move(above.options);
    // Help is a new option of each command.
    std::erase_if(command.options, [](const Option& one) { return one.names.front() == "-h"; });
    for (const auto* const given : app.get_options()) {
        (given->get_positional() ? command.values : command.options).push_back(option_of(*given));
    }
    const auto verbs = app.get_subcommands([](const CLI::App*) { return true; });
    for (const auto* const verb : verbs)
        command.verbs.emplace_back(verb->get_name(), verb->get_description());
    command.footer = app.get_footer();
    all.push_back(command);
    for (const auto* const verb : verbs) {
        Command below;
        below.path = command.path;
        below.path.push_back(verb->get_name());
        below.options = command.options;
        collect(*verb, std::move(below), all);
    }
}

std::vector<Command> commands_of(const CLI::App& line) {
    std::vector<Command> all;
    collect(line, {}, all);
    return all;
}

/// As a shell takes it for one word.
std::string in_quotes(std::string_view text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

/// Patterns of a case: "'outbox list'|'lanes list'".
std::string patterns(const Texts& texts) {
    Texts all;
    for (const auto& text : texts) all.push_back(in_quotes(text));
    return fmt::format("{}", fmt::join(all, "|"));
}

Texts paths_of(const std::vector<Command>& commands) {
    Texts paths;
    for (const auto& one : commands)
        if (!one.path.empty()) paths.push_back(one.name());
    return paths;
}

/// "outbox list:--output" of each name of an option.
Texts places_of(const Command& command, const Option& option) {
    Texts places;
    for (const auto& name : option.names) places.push_back(command.name() + ":" + name);
    return places;
}

/// The cases of values: for bash and zsh, which differ in what is done.
std::string value_cases(
    const std::vector<Command>& commands, std::string_view words_line, std::string_view files_line
) {
    std::string out;
    for (const auto& command : commands) {
        for (const auto& option : command.options) {
            if (!option.has_value) continue;
            std::string action = ":";
            if (option.is_file) action = files_line;
            if (!option.words.empty())
                action = fmt::format(
                    fmt::runtime(words_line), fmt::arg("words", fmt::join(option.words, " "))
                );
            out += fmt::format(
                "        {}) {}; return ;;\n", patterns(places_of(command, option)), action
            );
        }
    }
    return out;
}

Texts names_of(const Command& command) {
    Texts names;
    for (const auto& option : command.options)
        names.insert(names.end(), option.names.begin(), option.names.end());
    return names;
}

bool is_among(const std::vector<Option>& options, const Option& wanted) {
    return std::ranges::any_of(options, [&](const Option& one) {
        return one.names == wanted.names;
    });
}

/// What is a description for a shell: one line.
std::string described(std::string_view name, std::string_view what) {
    return in_quotes(fmt::format("{}:{}", name, what));
}

std::string roff(std::string_view text) {
    std::string out;
    bool is_first = true;
    for (const char c : text) {
        // A dot or a quote at the beginning of a line would be a request.
        if (is_first && (c == '.' || c == '\'')) out += "\\&";
        is_first = c == '\n';
        if (c == '\\') {
            out += "\\e";
        } else if (c == '-') {
            out += "\\-";
        } else {
            out += c;
        }
    }
    return out;
}

void append_option(std::string& out, const Option& option) {
    Texts names;
    for (const auto& name : option.names) names.push_back("\\fB" + roff(name) + "\\fR");
    out += fmt::format(
        ".TP\n{}{}\n{}\n",
        fmt::join(names, ", "),
        option.type.empty() ? "" : " \\fI" + roff(option.type) + "\\fR",
        roff(option.what)
    );
}

}  // namespace

std::string bash_completion(const CLI::App& line) {
    const auto commands = commands_of(line);
    std::string cases;
    for (const auto& command : commands) {
        Texts words;
        for (const auto& [name, what] : command.verbs) words.push_back(name);
        for (const auto& value : command.values)
            words.insert(words.end(), value.words.begin(), value.words.end());
        for (auto& name : names_of(command)) words.push_back(std::move(name));
        cases += fmt::format(
            "        {}) words={} ;;\n",
            in_quotes(command.name()),
            in_quotes(fmt::format("{}", fmt::join(words, " ")))
        );
    }
    return fmt::format(
        R"(# bash completion of txstream: source <(txstream completion bash)
_txstream() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev= at= word words= i
    ((COMP_CWORD > 0)) && prev=${{COMP_WORDS[COMP_CWORD - 1]}}
    # bash cuts --name=value into three words.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]] && ((COMP_CWORD > 1)); then
        prev=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    for ((i = 1; i < COMP_CWORD; ++i)); do
        word=${{COMP_WORDS[i]}}
        case ${{at:+$at }}$word in
        {}) at=${{at:+$at }}$word ;;
        esac
    done
    COMPREPLY=()
    case $at:$prev in
{}    esac
    case $at in
{}    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -F _txstream txstream
)",
        patterns(paths_of(commands)),
        value_cases(
            commands,
            "COMPREPLY=($(compgen -W '{words}' -- \"$cur\"))",
            "COMPREPLY=($(compgen -f -- \"$cur\"))"
        ),
        cases
    );
}

std::string zsh_completion(const CLI::App& line) {
    const auto commands = commands_of(line);
    std::string cases;
    for (const auto& command : commands) {
        Texts verbs;
        for (const auto& [name, what] : command.verbs) verbs.push_back(described(name, what));
        for (const auto& value : command.values)
            for (const auto& word : value.words) verbs.push_back(described(word, value.what));
        Texts options;
        for (const auto& option : command.options)
            for (const auto& name : option.names) options.push_back(described(name, option.what));
        cases += fmt::format(
            "        {}) verbs=({}); options=({}) ;;\n",
            in_quotes(command.name()),
            fmt::join(verbs, " "),
            fmt::join(options, " ")
        );
    }
    return fmt::format(
        R"(#compdef txstream
# zsh completion of txstream: as a file _txstream in $fpath, or source <(txstream completion zsh)
_txstream() {{
    local at= word
    local -a verbs options
    for word in "${{(@)words[2,CURRENT-1]}}"; do
        case "${{at:+$at }}$word" in
        {}) at="${{at:+$at }}$word" ;;
        esac
    done
    case "$at:${{words[CURRENT-1]}}" in
{}    esac
    case "$at" in
{}    esac
    (( $#verbs )) && _describe command verbs
    _describe -o option options
}}
if [[ "$funcstack[1]" == _txstream ]]; then
    _txstream "$@"
else
    compdef _txstream txstream
fi
)",
        patterns(paths_of(commands)),
        value_cases(commands, "compadd -- {words}", "_files"),
        cases
    );
}

std::string fish_completion(const CLI::App& line) {
    const auto commands = commands_of(line);
    const auto& line_options = commands.front().options;
    std::string out =
        "# fish completion of txstream: txstream completion fish | source\n"
        "complete -c txstream -f\n";
    for (const auto& command : commands) {
        Texts conditions;
        for (const auto& word : command.path)
            conditions.push_back("__fish_seen_subcommand_from " + word);
        Texts verbs;
        for (const auto& [name, what] : command.verbs) verbs.push_back(name);
        const auto condition = fmt::format("{}", fmt::join(conditions, "; and "));
        const auto no_verb = fmt::format(
            "{}{}not __fish_seen_subcommand_from {}",
            condition,
            condition.empty() ? "" : "; and ",
            fmt::join(verbs, " ")
        );
        for (const auto& [name, what] : command.verbs)
            out += fmt::format(
                "complete -c txstream -n {} -a {} -d {}\n",
                in_quotes(no_verb),
                name,
                in_quotes(what)
            );
        for (const auto& option : command.options) {
            // Those of the whole line have no condition, and are offered everywhere.
            if (!condition.empty() && is_among(line_options, option)) continue;
            out += "complete -c txstream";
            if (!condition.empty()) out += " -n " + in_quotes(condition);
            for (const auto& name : option.names)
                out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
            if (option.has_value) out += option.is_file ? " -r -F" : " -x";
            if (!option.words.empty())
                out += " -a " + in_quotes(fmt::format("{}", fmt::join(option.words, " ")));
            out += " -d " + in_quotes(option.what) + "\n";
        }
    }
    return out;
}

std::string manual(const CLI::App& line) {
    std::string out = fmt::format(
        ".TH TXSTREAM 1 \"\" \"txstream {}\" \"TxStream\"\n"
        ".SH NAME\ntxstream \\- events from PostgreSQL to Kafka through a transactional outbox\n"
        ".SH SYNOPSIS\n\\fBtxstream\\fR \\fIcommand\\fR [\\fIoptions\\fR]\n",
        version()
    );
    for (const auto& command : commands_of(line)) {
        const bool is_program = command.path.empty();
        out += is_program ? std::string(".SH DESCRIPTION\n")
                          : fmt::format(".SH \"txstream {}\"\n", roff(command.name()));
        out += roff(command.what) + "\n";
        for (const auto& value : command.values) append_option(out, value);
        for (const auto& [name, what] : command.verbs)
            out += fmt::format(".TP\n\\fB{}\\fR\n{}\n", roff(name), roff(what));
        for (const auto& option : command.options) append_option(out, option);
        out += fmt::format(".PP\n.nf\n{}\n.fi\n", roff(command.footer));
    }
    return out;
}

}  // namespace txstream::cli
