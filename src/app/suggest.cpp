#include "app/suggest.hpp"

#include <algorithm>
#include <numeric>

namespace txstream::app {
namespace {

// Levenshtein, with a swap of neighbours as one step: the most frequent slip of a typing hand.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before_last;
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(last.begin(), last.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({replace, last[j] + 1, row[j - 1] + 1});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = std::min(row[j], before_last[j - 2] + 1);
            }
        }
        before_last = last;
        last = row;
    }
    return last[b.size()];
}

}  // namespace

std::optional<std::string> suggest(std::string_view typed, const std::vector<std::string>& known) {
    // A third of the letters may be wrong; beyond that a suggestion confuses more than it helps.
    std::size_t best = std::max<std::size_t>(1, typed.size() / 3) + 1;
    std::optional<std::string> found;
    for (const std::string& word : known) {
        const std::size_t steps = distance(typed, word);
        if (steps < best) {
            best = steps;
            found = word;
        }
    }
    return found;
}

}  // namespace txstream::app
