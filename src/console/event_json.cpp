#include "console/event_json.hpp"

#include "console/commands.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace txstream::console {

namespace {

// What a class of errors means, and what repairs it: advice, or a setting of the topic that must be
// as large as the record.
struct Explanation {
    std::string_view text;
    std::string_view advice;
    std::string_view topic_setting;
};

// What the relay writes: its own words, and librdkafka's names of what a broker, or the library,
// will never take.
constexpr std::array kExplanations = {
    std::pair{
        std::string_view("MSG_SIZE_TOO_LARGE"),
        Explanation{
            "The record is larger than its topic takes (max.message.bytes), or than the relay "
            "sends "
            "(KAFKA_MESSAGE_BYTES_MAX).",
            {},
            "max.message.bytes"
        }
    },
    std::pair{
        std::string_view("RECORD_LIST_TOO_LARGE"),
        Explanation{
            "The batch of this one record is larger than the topic's segments (segment.bytes).",
            {},
            "segment.bytes"
        }
    },
    std::pair{
        std::string_view("held"),
        Explanation{
            "An earlier event of the same key is parked. This one waits behind it, so that the key "
            "keeps its order; nothing is wrong with it.",
            "Repair what parked the first event of the key.",
            {}
        }
    },
    std::pair{
        std::string_view("INVALID_RECORD"),
        Explanation{
            "The broker has looked into the record and refuses it: a compacted topic takes no "
            "record "
            "without a key, and a policy of the cluster may refuse others.",
            "Look at the topic's cleanup.policy and at the broker's log.",
            {}
        }
    },
    std::pair{
        std::string_view("_UNKNOWN_TOPIC"),
        Explanation{
            "The event's topic did not exist for WORKER_TOPIC_PATIENCE, and was tried again and "
            "again.",
            "Create the topic, or correct its name where the event is written.",
            {}
        }
    },
    std::pair{
        std::string_view("UNKNOWN_TOPIC_OR_PART"),
        Explanation{
            "The event's topic did not exist for WORKER_TOPIC_PATIENCE, and was tried again and "
            "again.",
            "Create the topic, or correct its name where the event is written.",
            {}
        }
    },
    std::pair{
        std::string_view("TOPIC_AUTHORIZATION_FAILED"),
        Explanation{
            "For WORKER_TOPIC_PATIENCE the relay's user was not allowed to write to the event's "
            "topic.",
            "Grant it WRITE and DESCRIBE on the topic.",
            {}
        }
    },
    std::pair{
        std::string_view("POLICY_VIOLATION"),
        Explanation{
            "For WORKER_TOPIC_PATIENCE a policy of the cluster refused every record of the topic.",
            "Look at the broker's log; the owner of the cluster knows the policy.",
            {}
        }
    },
    std::pair{
        std::string_view("INVALID_TIMESTAMP"),
        Explanation{
            "For WORKER_TOPIC_PATIENCE the broker refused the timestamps of the topic's records, "
            "which "
            "are the relay's own.",
            "Set the clocks of relay and broker, or raise the topic's "
            "message.timestamp.before.max.ms.",
            {}
        }
    },
    std::pair{
        std::string_view("TOPIC_EXCEPTION"),
        Explanation{
            "No topic can have the name that this event gives.",
            "Correct the topic where the event is written.",
            {}
        }
    },
    std::pair{
        std::string_view("INVALID_MSG"),
        Explanation{
            "The record arrived damaged, or in a form that the broker does not know.",
            "Look at the broker's log, and at what lies between relay and broker.",
            {}
        }
    },
    std::pair{
        std::string_view("INVALID_MSG_SIZE"),
        Explanation{
            "The broker cannot read the record's size.",
            "Look at the broker's log, and at what lies between relay and broker.",
            {}
        }
    },
    std::pair{
        std::string_view("_INVALID_ARG"),
        Explanation{
            "The Kafka client cannot make a record of this event: a header or its key is not what "
            "Kafka takes.",
            "The error names what it is; correct it where the event is written.",
            {}
        }
    },
};

const Explanation* explanation_of(std::string_view error_class) noexcept {
    const auto* const found =
        std::ranges::find(kExplanations, error_class, [](const auto& one) { return one.first; });
    return found == kExplanations.end() ? nullptr : &found->second;
}

// Of the event's record, or somewhat more: its envelope and headers name some of its texts again.
std::uint64_t record_bytes_of(const outbox::EventRow& event) {
    constexpr std::uint64_t kUnit = 1024;
    const auto texts =
        event.aggregate_id.size() + event.event_type.size() + event.aggregate_type.size();
    const auto bytes = static_cast<std::uint64_t>(event.size) + 2 * texts + kUnit;
    return (bytes + kUnit - 1) / kUnit * kUnit;
}

Json text_or_null(const std::string& text) {
    return text.empty() ? Json(nullptr) : Json(text);
}

}  // namespace

Json event_row(const outbox::EventRow& event, std::string_view topic) {
    return Json{
        {"ref", outbox::event_ref(event.seq)},
        {"id", number(event.seq.id())},
        {"event_id", event.event_id},
        {"lane", event.lane.value()},
        {"state", outbox::to_string(event.state)},
        {"event_type", event.event_type},
        {"aggregate_type", event.aggregate_type},
        {"aggregate_id", event.aggregate_id},
        {"key", event.key},
        {"topic", event.topic.empty() ? std::string(topic) : event.topic},
        {"created_at", rfc3339(event.created_at)},
        {"published_at", time_or_null(event.published_at)},
        {"attempts", event.attempts},
        {"error_class", text_or_null(event.error_class)},
        {"error", text_or_null(event.error)},
        {"size", number(event.size)},
    };
}

Json dead_letter(const outbox::DeadLetter& letter, std::string_view topic) {
    auto json = event_row(letter.event, topic);
    json.erase("published_at");
    json["error_class"] = letter.event.error_class;
    json["error"] = letter.event.error;
    json["first_attempt_at"] = rfc3339(letter.first_attempt_at);
    json["last_attempt_at"] = rfc3339(letter.last_attempt_at);
    json["holds"] = letter.holds;
    return json;
}

Json payload(std::string_view beginning, std::uint64_t size, const Masks* masks) {
    if (masks == nullptr || masks->empty()) return bytes(beginning, kPayloadShownMax, size);
    const auto masked = beginning.size() == size ? masks->apply(beginning) : std::nullopt;
    auto json = bytes(masked.value_or(""), kPayloadShownMax);
    json["size"] = number(size);
    json["is_masked"] = true;
    json["truncated"] = json["truncated"].get<bool>() || !masked;
    return json;
}

Json explanation_text(std::string_view error_class) {
    const auto* const known = explanation_of(error_class);
    return known ? Json(known->text) : Json(nullptr);
}

Json remedy(const outbox::EventRow& parked, const Settings& settings) {
    const auto* const known = explanation_of(parked.error_class);
    if (!known) return nullptr;
    if (known->topic_setting.empty()) return Json{{"kind", "text"}, {"text", known->advice}};
    const auto bytes = record_bytes_of(parked);
    const auto command = set_topic_command(
        settings.brokers,
        parked.topic.empty() ? settings.topic : parked.topic,
        fmt::format("{}={}", known->topic_setting, bytes)
    );
    if (bytes <= settings.message_bytes_max) return Json{{"kind", "command"}, {"text", command}};
    return Json{
        {"kind", "text"},
        {"text",
         fmt::format(
             "Start relays and API with KAFKA_MESSAGE_BYTES_MAX={} or more (it is {}), and raise "
             "the "
             "topic's limit: {}",
             bytes,
             settings.message_bytes_max,
             command
         )}
    };
}

Json dead_letter_group(const outbox::DeadLetterGroup& group, const Settings& settings) {
    const auto& topic = settings.topic;
    const auto& cause = group.cause;
    return Json{
        {"error_class", cause.error_class},
        {"event_type", cause.event_type},
        {"topic", cause.topic.empty() ? topic : cause.topic},
        {"state", outbox::to_string(cause.state)},
        {"events", count(group.events.value, group.events.is_exact)},
        {"keys", count(group.keys.value, group.keys.is_exact)},
        {"first_at", rfc3339(group.first_at)},
        {"last_at", rfc3339(group.last_at)},
        {"example", dead_letter(group.example, topic)},
        {"explanation", explanation_text(cause.error_class)},
        {"remedy", remedy(group.example.event, settings)},
    };
}

}  // namespace txstream::console
