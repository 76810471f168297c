#include "config/render.hpp"

#include "config/detail/table.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace txstream::config {
namespace {

/// A cell of a markdown table.
std::string cell(std::string text) {
    for (auto at = text.find('|'); at != std::string::npos; at = text.find('|', at + 2))
        text.insert(at, "\\");
    return text;
}

}  // namespace

std::string render_table(const std::vector<Effective>& effective) {
    std::size_t names = 0;
    std::size_t values = 0;
    for (const auto& one : effective) {
        names = std::max(names, one.name.size());
        values = std::max(values, std::min<std::size_t>(one.value.size(), 40));
    }
    std::string out;
    for (const auto& one : effective) {
        out += fmt::format(
            "{:<{}}  {:<{}}  {}\n",
            one.name,
            names,
            one.value.empty() ? "-" : one.value,
            values,
            one.source
        );
    }
    return out;
}

std::string render_json(const std::vector<Effective>& effective) {
    auto all = nlohmann::ordered_json::array();
    for (const auto& one : effective)
        all.push_back({{"name", one.name}, {"value", one.value}, {"source", one.source}});
    // A value may be anything but UTF-8.
    return all.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string render_docs() {
    std::string out =
        "# Configuration\n\n"
        "Made by `txstream config docs`; a test compares. Values come, first wins, from the "
        "environment, the file `.env` of the\n"
        "working directory (or `--env-file`), libpq's `PG*` names in these two, and the defaults "
        "below. All mistakes are reported at once, with\n"
        "exit code 2; a name with one of our prefixes that is not listed here is a mistake. "
        "`txstream config print` shows what\n"
        "counts and where it came from, `txstream config check` only judges.\n\n"
        "Durations are written as `200ms`, `5s`, `1m30s`; sizes as `4MiB` or bytes. A secret can "
        "also be given as a file: the name\n"
        "with `_FILE` behind it. Such a file is read again at each connect and after a refused "
        "login, so a rotation needs no restart.\n\n"
        "Any property of librdkafka can be set as `KAFKA_PROPERTY_` and its name with `__` for "
        "each dot\n"
        "(`KAFKA_PROPERTY_socket__send__buffer__bytes=1000000`), but for those that delivery rests "
        "on or that have a name\nof their own below. `config check` and the relay try them out on "
        "a client that connects to nobody.\n";
    std::string section;
    for (const auto& setting : settings()) {
        if (setting.section != section) {
            section = setting.section;
            out += fmt::format("\n## {}\n\n", section);
            out += setting.is_retired
                       ? "Names of the earlier system that are accepted with a warning.\n\n| name "
                         "| why |\n|---|---|\n"
                       : "| name | default | allowed | meaning |\n|---|---|---|---|\n";
        }
        if (setting.is_retired) {
            out += fmt::format("| `{}` | {} |\n", setting.name, cell(setting.meaning));
            continue;
        }
        auto name = "`" + setting.name + "`";
        for (const auto& alias : setting.aliases) name += ", `" + alias + "`";
        if (setting.is_secret) name += " (secret)";
        out += fmt::format(
            "| {} | {} | {} | {} |\n",
            name,
            setting.standard.empty() ? "–" : "`" + setting.standard + "`",
            cell(setting.kind.allowed),
            cell(setting.meaning)
        );
    }
    return out;
}

std::string render_env_example() {
    std::string out =
        "# Copy to .env, then take away the # before what differs. Every name with its default; "
        "docs/configuration.md\n# explains them.\n";
    std::string section;
    for (const auto& setting : settings()) {
        if (setting.is_retired) continue;
        if (setting.section != section) {
            section = setting.section;
            out += fmt::format("\n# {}\n", section);
        }
        // As a comment: a default that is set wins over DATABASE_URL and PGHOST like any value.
        out += fmt::format("#{}={}\n", setting.name, setting.standard);
    }
    return out;
}

}  // namespace txstream::config
