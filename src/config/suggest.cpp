#include "config/suggest.hpp"

#include <algorithm>
#include <numeric>
#include <set>

namespace txstream::config {
namespace {

constexpr std::size_t kBeginningMin = 3;  // fewer letters begin too much
constexpr std::size_t kSlipsMax = 2;

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

std::optional<std::string> nearest(
    std::string_view typed, const std::vector<std::string>& known, std::size_t steps_max
) {
    std::optional<std::string> found;
    std::size_t best = steps_max + 1;
    for (const std::string& word : known) {
        const std::size_t steps = distance(typed, word);
        if (steps < best) {
            best = steps;
            found = word;
        }
    }
    return found;
}

std::set<std::string_view> words_of(std::string_view name) {
    std::set<std::string_view> words;
    while (!name.empty()) {
        const auto end = std::min(name.find('_'), name.size());
        words.insert(name.substr(0, end));
        name.remove_prefix(std::min(end + 1, name.size()));
    }
    return words;
}

/// The shortest known name that has all words of the typed one, two at least.
std::optional<std::string> with_all_words(
    std::string_view typed, const std::vector<std::string>& known
) {
    const auto words = words_of(typed);
    std::optional<std::string> found;
    if (words.size() < 2) return found;
    for (const std::string& name : known) {
        const auto theirs = words_of(name);
        if (!std::ranges::includes(theirs, words)) continue;
        if (!found || name.size() < found->size()) found = name;
    }
    return found;
}

}  // namespace

std::optional<std::string> suggest(std::string_view typed, const std::vector<std::string>& known) {
    std::optional<std::string> found;
    for (const std::string& word : known) {
        if (typed.size() < kBeginningMin || !word.starts_with(typed)) continue;
        if (!found || word.size() < found->size()) found = word;
    }
    if (!found) found = nearest(typed, known, kSlipsMax);
    if (!found) found = with_all_words(typed, known);
    // A third of the letters may be wrong; beyond that a suggestion confuses more than it helps.
    if (!found) found = nearest(typed, known, std::max<std::size_t>(1, typed.size() / 3));
    return found;
}

}  // namespace txstream::config
