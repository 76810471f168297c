#include "relay/paused.hpp"

#include <utility>

namespace txstream::relay {

namespace {

// Whoever wants to know more asks for the list.
constexpr std::size_t kTold = 3;

}  // namespace

bool Paused::set(std::vector<outbox::Pause> pauses) {
    if (pauses == all_) return false;
    all_ = std::move(pauses);
    everything_ = false;
    topics_.clear();
    keys_.clear();
    for (const auto& one : all_) {
        switch (one.scope) {
            case outbox::Pause::Scope::everything:
                everything_ = true;
                break;
            case outbox::Pause::Scope::topic:
                topics_.insert(one.name);
                break;
            case outbox::Pause::Scope::key:
                keys_.insert(one.name);
                break;
        }
    }
    return true;
}

std::string Paused::text() const {
    std::string text;
    std::size_t told = 0;
    for (const auto& one : all_) {
        if (told == kTold) {
            text += "; and " + std::to_string(all_.size() - told) + " more";
            break;
        }
        if (told++ > 0) text += "; ";
        switch (one.scope) {
            case outbox::Pause::Scope::everything:
                text += "everything";
                break;
            case outbox::Pause::Scope::topic:
                text += "topic " + one.name;
                break;
            case outbox::Pause::Scope::key:
                text += "a key";
                break;
        }
        text += " (" + one.reason + ")";
    }
    return text;
}

}  // namespace txstream::relay
