#include "config/detail/forms.hpp"

#include "base/text.hpp"
#include "http/admission.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace txstream::config::forms {
namespace {

using kinds::Complaint;
using kinds::Kind;

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool consists_of(std::string_view text, std::string_view marks) {
    return std::ranges::all_of(text, [&](char c) {
        return is_letter_or_digit(c) || marks.find(c) != std::string_view::npos;
    });
}

constexpr std::string_view kTopicForm = "1 … 249 of a-z A-Z 0-9 . _ -";

bool is_topic_name(std::string_view text) {
    return !text.empty() && text.size() <= 249 && text != "." && text != ".." &&
           consists_of(text, "._-");
}

bool is_port(std::string_view text) {
    const auto number = kinds::parse_integer(text);
    return number && *number >= 1 && *number <= 65535;
}

// [protocol://]host[:port], the host maybe an IPv6 address in brackets.
bool is_broker(std::string_view text) {
    if (const auto at = text.find("://"); at != std::string_view::npos) {
        if (!consists_of(text.substr(0, at), "_")) return false;
        text.remove_prefix(at + 3);
    }
    std::string_view host = text;
    std::string_view marks = "._-";
    std::string_view port;
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string_view::npos) return false;
        host = text.substr(1, close - 1);
        marks = ".:%";
        port = text.substr(close + 1);
    } else if (const auto colon = text.find(':'); colon != std::string_view::npos) {
        host = text.substr(0, colon);
        port = text.substr(colon);
    }
    if (!port.empty() && (port.front() != ':' || !is_port(port.substr(1)))) return false;
    return !host.empty() && consists_of(host, marks);
}

}  // namespace

Kind required_acks() {
    return {
        "all (or -1, the same): with less, an event that Kafka has acknowledged can be lost when a "
        "broker fails, and the outbox would call it published",
        [](Config&, std::string_view value) -> Complaint {
            if (lowered(value) == "all" || value == "-1") return std::nullopt;
            return "";
        }
    };
}

Kind topic_name() {
    return {
        fmt::format("a topic name: {}", kTopicForm),
        [](Config& config, std::string_view value) -> Complaint {
            if (!is_topic_name(value)) return "";
            config.kafka.topic = std::string(value);
            return std::nullopt;
        }
    };
}

Kind dead_letter_topic() {
    return {
        fmt::format("empty, or a topic name: {}", kTopicForm),
        [](Config& config, std::string_view value) -> Complaint {
            if (!value.empty() && !is_topic_name(value)) return "";
            config.kafka.dead_letter_topic = std::string(value);
            return std::nullopt;
        }
    };
}

Kind topic_names(kinds::Set<std::vector<std::string>> set) {
    return kinds::list(
        fmt::format("empty, or topic names ({}), separated by commas", kTopicForm),
        [](std::string_view name) { return is_topic_name(name) ? Complaint() : Complaint(""); },
        std::move(set)
    );
}

Kind replication_factor() {
    return {"a number 1 … 32, or -1", [](Config& config, std::string_view value) -> Complaint {
                const auto number = kinds::parse_integer(value);
                if (!number || (*number != -1 && (*number < 1 || *number > 32))) return "";
                config.kafka.topic_replication_factor = static_cast<int>(*number);
                return std::nullopt;
            }};
}

Kind brokers() {
    return {
        "host:port, several separated by commas",
        [](Config& config, std::string_view value) -> Complaint {
            for (const auto broker : split(value, ',')) {
                if (!is_broker(trimmed(broker))) return "";
            }
            config.kafka.brokers = std::string(value);
            return std::nullopt;
        }
    };
}

Kind database_ports() {
    return {
        "a port 1 … 65535, or one for each host, separated by commas",
        [](Config& config, std::string_view value) -> Complaint {
            const auto ports = split(value, ',');
            for (const auto port : ports) {
                // Between commas nothing is the standard port, as libpq has it.
                if (!is_port(port) && !(port.empty() && ports.size() > 1)) return "";
            }
            config.database.port = std::string(value);
            return std::nullopt;
        }
    };
}

Kind hosts(kinds::Set<std::vector<std::string>> set) {
    return kinds::list(
        "empty, or host names or addresses, without scheme and port, separated by commas, or *",
        [](std::string_view host) {
            return http::Admission::is_host(host) ? Complaint() : Complaint("");
        },
        std::move(set)
    );
}

Kind metrics_path() {
    return {
        "a path such as /metrics, of a-z A-Z 0-9 . _ ~ - between the /; /health, /livez, /ready, "
        "/readyz and what is below /api are taken",
        [](Config& config, std::string_view value) -> Complaint {
            constexpr std::array<std::string_view, 5> kTaken{
                "/health", "/livez", "/ready", "/readyz", "/api"
            };
            if (!value.starts_with('/') || value.starts_with("/api/")) return "";
            if (std::ranges::find(kTaken, value) != kTaken.end()) return "";
            for (const auto segment : split(value.substr(1), '/')) {
                if (segment.empty() || segment == "." || segment == "..") return "";
                if (!consists_of(segment, "._~-")) return "";
            }
            config.metrics.path = std::string(value);
            return std::nullopt;
        }
    };
}

}  // namespace txstream::config::forms
