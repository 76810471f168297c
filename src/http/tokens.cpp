#include "http/tokens.hpp"

#include "http/detail/digest.hpp"
#include "http/detail/token_file.hpp"

#include <sys/stat.h>
#include <utility>

namespace txstream::http {

std::string Tokens::random() {
    return detail::random_token();
}

Tokens::Tokens(Limits limits, Trouble trouble, Random make)
    : limits_(limits), trouble_(std::move(trouble)), make_(std::move(make)) {
}

Result<> Tokens::load(std::string path) {
    path_ = std::move(path);
    version_ = version();
    return read();
}

Tokens::Issued Tokens::issue_link(Caller caller, Clock::time_point now) {
    return issue(links_, limits_.links_max, std::move(caller), now + limits_.link_life);
}

void Tokens::accept_link(std::string_view one_time, Caller caller, Clock::time_point until) {
    if (links_.size() >= limits_.links_max) links_.pop_front();
    links_.push_back({detail::digest_of(one_time), std::move(caller), until, std::nullopt});
}

std::optional<Tokens::Issued> Tokens::exchange(std::string_view one_time, Clock::time_point now) {
    const auto digest = detail::digest_of(one_time);
    std::optional<Caller> caller;
    links_.remove_if([&](Holder& link) {
        const bool is_it = detail::same_digest(link.digest, digest);
        if (is_it && now < link.until) caller = std::move(link.caller);
        return is_it || now >= link.until;
    });
    if (!caller) return std::nullopt;
    return issue(sessions_, limits_.sessions_max, std::move(*caller), now + limits_.session_life);
}

Tokens::Issued Tokens::issue(
    std::list<Holder>& holders, std::size_t max, Caller caller, Clock::time_point until
) {
    // All of a list live equally long, so the first is also the one that would end next.
    if (holders.size() >= max) holders.pop_front();
    auto token = make_();
    holders.push_back({detail::digest_of(token), caller, until, std::nullopt});
    return {std::move(token), std::move(caller), until};
}

Tokens::Holder* Tokens::find(const Digest& digest, Clock::time_point now) {
    renew(now);
    sessions_.remove_if([now](const Holder& session) { return now >= session.until; });
    Holder* found = nullptr;
    for (auto* const holders : {&of_file_, &sessions_}) {
        for (auto& holder : *holders) {
            if (detail::same_digest(holder.digest, digest)) found = &holder;
        }
    }
    return found;
}

Result<> Tokens::read() {
    TXS_TRY(auto file, detail::read_token_file(path_));
    of_file_.clear();
    for (auto& line : file.lines) {
        of_file_.push_back(
            {line.digest, {std::move(line.name), line.role}, Clock::time_point::max(), std::nullopt}
        );
    }
    return {};
}

void Tokens::renew(Clock::time_point now) {
    if (path_.empty() ||
        (looked_at_ != Clock::time_point::min() && now < looked_at_ + limits_.recheck))
        return;
    looked_at_ = now;
    auto current = version();
    if (current == version_) return;
    // Before it is read: what is written meanwhile makes another version.
    version_ = current;
    const auto renewed = read();
    if (!renewed && trouble_) trouble_("the tokens stay as they were: " + renewed.error().what());
}

std::optional<Tokens::Version> Tokens::version() const {
    struct ::stat about{};
    if (::stat(path_.c_str(), &about) != 0) return std::nullopt;
    return Version{
        about.st_dev,
        about.st_ino,
        static_cast<std::uint64_t>(about.st_size),
        about.st_mtim.tv_sec,
        about.st_mtim.tv_nsec
    };
}

}  // namespace txstream::http
