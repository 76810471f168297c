#pragma once

#include "config/detail/kinds.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace txstream::config {

/// One name that can be set. The table of them is the only place that knows defaults and limits.
struct Setting {
    std::string name;
    std::string standard = {};  ///< the default, as it would be written
    kinds::Kind kind;
    std::string meaning = {};
    bool is_secret = false;
    std::vector<std::string> aliases = {};  ///< names of the earlier system for the same thing
    /// Accepted so that old files load, and said to have no effect: `meaning` says why.
    bool is_retired = false;
    std::string section = {};
};

/// These, as rows of that section of the table.
std::vector<Setting> section(std::string_view name, std::vector<Setting> rows);

const std::vector<Setting>& settings();

/// The setting of that name or alias; none if there is none.
const Setting* find_setting(std::string_view name);

/// Names that begin so are ours (or, like DB_, meant to be); an unknown one among them is a
/// mistake.
const std::vector<std::string>& our_prefixes();

}  // namespace txstream::config
