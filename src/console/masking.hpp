#pragma once

#include "base/error.hpp"
#include "console/json_path.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::console {

/// What callers without the operator's role do not see of payloads.
///
/// A path is written as JSONPath: `$.shipping_address.*`, `$.items[*].name`, `$..email`. It applies
/// to the payload that a writer gave, and so also below `event_data` of the envelope in which the
/// relay publishes it (docs/wire-format.md): one setting masks the order, its event and its record.
class Masks {
public:
    /// Code::invalid_input names the path, its column and the error.
    static Result<Masks> parse(const std::vector<std::string>& paths);

    /// Every caller sees everything.
    bool empty() const noexcept { return paths_.empty(); }

    /// The payload with each selected value replaced by "•••", and every other byte as it was.
    /// Nothing where the payload is no JSON: what cannot be understood cannot be masked in part, so
    /// the whole of it is to be hidden. Needs no call when empty().
    std::optional<std::string> apply(std::string_view payload) const;

    /// Whether a filter on this path could find out what is masked.
    bool may_reveal(const JsonPath& path) const;

private:
    std::vector<JsonPath> paths_;
};

}  // namespace txstream::console
