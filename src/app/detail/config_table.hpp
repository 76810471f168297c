#pragma once

#include "app/detail/config_kinds.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace txstream::app {

/// One name that can be set. The table of them is the only place that knows defaults and limits.
struct Setting {
    std::string section;
    std::string name;
    std::vector<std::string> aliases;  ///< names of the earlier system for the same thing
    std::string standard;              ///< the default, as it would be written
    kinds::Kind kind;
    std::string meaning;
    bool is_secret = false;
    /// Accepted so that old files load, and said to have no effect: `meaning` says why.
    bool is_retired = false;
};

const std::vector<Setting>& settings();

/// The setting of that name or alias; none if there is none.
const Setting* find_setting(std::string_view name);

/// Names that begin so are ours (or, like DB_, meant to be); an unknown one among them is a
/// mistake.
const std::vector<std::string>& our_prefixes();

}  // namespace txstream::app
