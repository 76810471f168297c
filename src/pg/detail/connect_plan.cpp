#include "pg/detail/connect_plan.hpp"

#include "base/text.hpp"
#include "pg/conn_info.hpp"
#include "pg/detail/name_lookup.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <utility>
#include <vector>

namespace txstream::pg::detail {
namespace {

// Longer than anybody waits, and short enough for every clock.
constexpr std::chrono::duration<double> kTimeoutMax = std::chrono::hours(24);

// What we take from libpq we also look for where it would. The others it finds there by itself, as
// it does with all that stands in a service file only (a host's name then is looked up by libpq,
// blocking).
constexpr std::array<std::pair<const char*, const char*>, 5> kTakenApart{
    {{"host", "PGHOST"},
     {"hostaddr", "PGHOSTADDR"},
     {"port", "PGPORT"},
     {"target_session_attrs", "PGTARGETSESSIONATTRS"},
     {"connect_timeout", "PGCONNECT_TIMEOUT"}}
};

// libpq's rule: one for each host, or none at all, or (ports) one for all.
Result<std::vector<std::string>> for_each_host(
    std::string_view what, const std::string& list, std::size_t hosts, bool one_for_all
) {
    if (list.empty()) return std::vector<std::string>(hosts);
    const auto marked = split(list, ',');
    std::vector<std::string> parts(marked.begin(), marked.end());
    if (parts.size() == 1 && one_for_all) parts.resize(hosts, parts.front());
    if (parts.size() == hosts) return parts;
    return fail(
        Code::invalid_input,
        fmt::format(
            "PostgreSQL's connection string has {} {}, but {} hosts", parts.size(), what, hosts
        )
    );
}

Result<std::deque<Candidate>> hosts_of(
    const std::string& hosts, const std::string& addresses, const std::string& ports
) {
    const auto count = split(hosts.empty() ? addresses : hosts, ',').size();
    TXS_TRY(auto host, for_each_host("names", hosts, count, false));
    TXS_TRY(auto address, for_each_host("addresses", addresses, count, false));
    TXS_TRY(auto port, for_each_host("ports", ports, count, true));
    std::deque<Candidate> candidates;
    for (std::size_t i = 0; i < count; ++i)
        candidates.push_back({std::move(host[i]), std::move(address[i]), std::move(port[i]), {}});
    return candidates;
}

// As libpq has it: none, zero and less are no limit. A fraction is ours.
Result<std::optional<std::chrono::duration<double>>> timeout_of(std::string_view text) {
    using Timeout = std::optional<std::chrono::duration<double>>;
    if (text.empty()) return Timeout();
    double seconds = 0;
    const auto* last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, seconds);
    if (error != std::errc() || end != last)
        return fail(Code::invalid_input, "PostgreSQL's connect_timeout is no number of seconds");
    if (!(seconds > 0)) return Timeout();
    return Timeout(std::min(std::chrono::duration<double>(seconds), kTimeoutMax));
}

}  // namespace

bool Candidate::needs_look_up() const {
    return address.empty() && is_name(host);
}

Result<ConnectPlan> ConnectPlan::of(const std::string& conninfo) {
    auto options = parse_conninfo(conninfo);
    if (!options)
        return fail(
            Code::invalid_input,
            fmt::format(
                "PostgreSQL's connection string (not shown, it may hold a password) {}; write "
                "host=... port=... dbname=... user=... "
                "password='...' with libpq's names, or a postgresql:// URL",
                options.error().what()
            )
        );
    ConnectPlan plan;
    plan.options_ = std::move(*options);
    for (const auto& [option, variable] : kTakenApart) {
        const char* value = std::getenv(variable);
        if (value && *value) plan.options_.try_emplace(option, value);
    }
    const auto take = [&plan](const char* name) {
        auto option = plan.options_.extract(name);
        return option ? std::move(option.mapped()) : std::string();
    };
    TXS_TRY(plan.timeout_, timeout_of(take("connect_timeout")));
    const auto hosts = take("host");
    const auto addresses = take("hostaddr");
    TXS_TRY(plan.hosts_, hosts_of(hosts, addresses, take("port")));
    auto attributes = take("target_session_attrs");
    // A standby among the hosts, or behind their one name, lets us in and refuses every write.
    if (attributes.empty()) attributes = "read-write";
    for (auto& host : plan.hosts_) host.session_attributes = attributes;
    plan.options_["client_encoding"] = "UTF8";
    plan.options_.try_emplace("fallback_application_name", "txstream");
    return plan;
}

std::deque<Candidate> ConnectPlan::candidates() const {
    if (hosts_.front().session_attributes != "prefer-standby") return hosts_;
    // With one host at a time libpq would settle for the first.
    auto standbys = hosts_;
    for (auto& host : standbys) host.session_attributes = "standby";
    auto all = standbys;
    for (auto host : hosts_) {
        host.session_attributes = "any";
        all.push_back(std::move(host));
    }
    return all;
}

Deadline ConnectPlan::attempt_deadline(Deadline whole, std::size_t candidates_left) const {
    auto until = whole;
    if (candidates_left > 1)
        until = Deadline::in(whole.left() / static_cast<int>(candidates_left)).sooner(whole);
    if (!timeout_) return until;
    return until.sooner(Deadline::in(std::chrono::duration_cast<Deadline::Clock::duration>(*timeout_
    )));
}

PgConn ConnectPlan::start(const Candidate& candidate) const {
    std::vector<const char*> names;
    std::vector<const char*> values;
    const auto add = [&](const char* name, const std::string& value) {
        names.push_back(name);
        values.push_back(value.c_str());
    };
    for (const auto& [name, value] : options_) add(name.c_str(), value);
    // The name stays beside the address: certificates and password files are by name.
    add("host", candidate.host);
    add("hostaddr", candidate.address);
    add("port", candidate.port);
    add("target_session_attrs", candidate.session_attributes);
    names.push_back(nullptr);
    values.push_back(nullptr);
    return PgConn(PQconnectStartParams(names.data(), values.data(), 0));
}

}  // namespace txstream::pg::detail
