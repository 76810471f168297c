#pragma once

#include "console/overview.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

/// What the sentences of the overview are put together from.
namespace txstream::console::words {

using Settings = std::map<std::string, std::string>;

/// Keeps the order of equal ones. For a few: the library's takes memory in a way that clang 19
/// calls deprecated.
template <class T, class Before>
void sort_few(std::vector<T>& all, Before before) {
    for (auto at = all.begin(); at != all.end(); ++at)
        std::rotate(std::upper_bound(all.begin(), at, *at, before), at, std::next(at));
}

std::chrono::milliseconds between(Moment from, Moment to);
/// "1 event", "12,431 events"
std::string counted(std::uint64_t number, std::string_view noun);
/// "41 events of 7 keys wait"
std::string waits(const outbox::Waiting& waiting);
std::string waits(std::uint64_t events, bool is_exact);
/// "Lane 3", "Lanes 3, 9 and 11"; after `word`, which may be empty. Some of many.
std::string lane_list(const std::vector<Blocked::Lane>& lanes, std::string_view word = "Lane");
/// The cause in an error that has our words, then advice, then a library's in brackets, as
/// kafka::connection_error() makes it; empty for any other.
std::string own_words(std::string_view error);
/// "0.8", "42", "1,250"
std::string rate(double value);

Settings settings_of(const outbox::Member& member);
std::string setting(const Settings& settings, const std::string& name, std::string otherwise = "?");
std::string name_of(const outbox::SeenMember& member);
std::vector<std::string> names_of(const std::vector<const outbox::SeenMember*>& members);

std::string sql_name(std::string_view name);

// Remedies.
Remedy log_remedy(std::string_view more);
/// `brokers` where the settings do not say; `error` is why the relay could not make it.
std::string create_topic(
    const Settings& settings,
    const std::string& brokers,
    const std::string& topic,
    std::string_view error
);
/// Which sessions hold a lock on these tables that a relay must wait for.
std::string who_locks(std::string_view tables);

}  // namespace txstream::console::words
