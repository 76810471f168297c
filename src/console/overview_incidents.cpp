#include "console/detail/overview_words.hpp"
#include "console/overview.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace txstream::console {

namespace {

using namespace words;

// Between two slots; longer than another relay takes to report instead.
constexpr std::chrono::seconds kGap{45};
// Dead letters that come closer together are one incident.
constexpr std::chrono::minutes kBurst{5};

struct Kind {
    std::string_view code;
    Severity severity;
    std::string_view text;
};
// The codes are those of relay::Blockage, which is of a room beside this one.
constexpr std::array kKinds{
    Kind{"database_unavailable", Severity::bad, "A relay could not use PostgreSQL"},
    Kind{
        "foreign_instance",
        Severity::bad,
        "The outbox was restored or copied: nothing was published"
    },
    Kind{
        "outbox_unusable",
        Severity::bad,
        "The tables of the outbox, or rights on them, were not as made"
    },
    Kind{"cannot_acknowledge", Severity::bad, "Cursors could not be moved"},
    Kind{
        "cannot_park",
        Severity::warn,
        "An event could not be put among the dead letters; its lane waited"
    },
    Kind{"kafka_unavailable", Severity::bad, "Kafka did not acknowledge"},
    Kind{"topic_missing", Severity::bad, "The topic did not exist and could not be made"},
    Kind{
        "topic_refused",
        Severity::warn,
        "An event's own topic did not exist or refused us; its keys waited"
    },
    Kind{"no_worker", Severity::bad, "No worker of a relay was alive"},
    Kind{"paused", Severity::warn, "An operator had paused delivery"},
    Kind{"stalled", Severity::bad, "Events waited and none was published"},
    Kind{"breaker_open", Severity::warn, "The circuit breaker was open"},
    Kind{"lanes_unowned", Severity::warn, "Lanes had no owner"},
    Kind{"unreported", Severity::bad, "No relay reported"},
};

/// Incidents that go on while the slots are walked through.
class Walk {
public:
    void begin(std::string code, Moment at) { open_.try_emplace(std::move(code), at); }
    void end(const std::string& code, Moment at) {
        const auto found = open_.find(code);
        if (found == open_.end()) return;
        add(code, found->second, at);
        open_.erase(found);
    }
    void end_all_but(const std::set<std::string>& codes, Moment at) {
        std::vector<std::string> over;
        for (const auto& [code, began] : open_)
            if (!codes.contains(code)) over.push_back(code);
        for (const auto& code : over) end(code, at);
    }
    void parked(std::uint64_t more, Moment at) {
        if (burst_ && at - burst_->ended_at.value() <= kBurst) {
            burst_events_ += more;
            burst_->ended_at = at;
        } else {
            end_burst();
            burst_ = Incident{.code = "dead_letters", .began_at = at, .ended_at = at};
            burst_events_ = more;
        }
    }
    std::vector<Incident> finish() {
        end_burst();
        for (const auto& [code, began] : open_) add(code, began, std::nullopt);
        return std::move(all_);
    }

private:
    void end_burst() {
        if (!burst_) return;
        burst_->params["events"] = std::to_string(burst_events_);
        burst_->text = counted(burst_events_, "event") +
                       (burst_events_ == 1 ? " was parked" : " were parked") + " as dead letters";
        all_.push_back(std::move(*burst_));
        burst_.reset();
    }
    void add(const std::string& code, Moment began, std::optional<Moment> ended) {
        const auto kind = std::ranges::find(kKinds, code, &Kind::code);
        Incident incident{
            .code = code,
            .severity = kind == kKinds.end() ? Severity::warn : kind->severity,
            .began_at = began,
            .ended_at = ended,
            .text = kind == kKinds.end() ? code : std::string(kind->text),
            .params = {}
        };
        if (ended) incident.text += " for " + spoken(between(began, *ended));
        all_.push_back(std::move(incident));
    }

    std::map<std::string, Moment> open_;
    std::optional<Incident> burst_;
    std::uint64_t burst_events_ = 0;
    std::vector<Incident> all_;
};

}  // namespace

std::vector<Incident> incidents_of(
    const std::vector<outbox::HistoryChange>& changes, std::int64_t lanes, std::size_t limit
) {
    Walk walk;
    for (const auto& change : changes) {
        const auto& now = change.now;
        std::set<std::string> going_on(now.blockages.begin(), now.blockages.end());
        if (now.breaker == 2) going_on.insert("breaker_open");
        if (now.lanes_owned < lanes && now.relays > 0) going_on.insert("lanes_unowned");
        if (change.before && now.at - change.before->at > kGap) {
            // What was before it may have gone on, or not: it ends where the reports end.
            walk.end_all_but({}, change.before->at);
            walk.begin("unreported", change.before->at);
            walk.end("unreported", now.at);
        }
        walk.end_all_but(going_on, now.at);
        for (const auto& code : going_on) walk.begin(code, now.at);
        if (change.before && now.parked > change.before->parked)
            walk.parked(now.parked - change.before->parked, now.at);
    }
    auto all = walk.finish();
    std::ranges::sort(all, [](const auto& left, const auto& right) {
        return std::tie(left.began_at, left.code) > std::tie(right.began_at, right.code);
    });
    if (all.size() > limit) all.resize(limit);
    return all;
}

}  // namespace txstream::console
