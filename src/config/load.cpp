#include "config/load.hpp"

#include "config/detail/console.hpp"
#include "config/detail/kafka_properties.hpp"
#include "config/detail/kafka_security.hpp"
#include "config/detail/layers.hpp"
#include "config/detail/table.hpp"
#include "config/detail/tracing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <unistd.h>
#include <utility>

namespace txstream::config {
namespace {

constexpr std::size_t kFileBytesMax = 64 * 1024;
constexpr std::string_view kDatabasePrefix = "DATABASE_";
constexpr std::string_view kKafkaPrefix = "KAFKA_";

class Loader {
public:
    explicit Loader(Layers layers)
        : layers_(std::move(layers)), problems_(std::move(layers_.problems)) {}

    Judged judge() {
        for (const auto& setting : settings()) apply(setting);
        apply_url_parameters();
        apply_properties();
        finish();
        return {std::move(loaded_), std::move(problems_)};
    }

private:
    void problem(std::string_view name, std::string message) {
        problems_.push_back({std::string(name), std::move(message)});
    }

    std::optional<Value> value_of(const Setting& setting) {
        for (const auto& layer : layers_.all) {
            std::optional<Value> chosen;
            std::string chosen_name;
            for (auto names = setting.aliases;
                 const auto& name : (names.insert(names.begin(), setting.name), names)) {
                const auto found = layer.find(name);
                if (found == layer.end()) continue;
                if (chosen && chosen->text != found->second.text) {
                    problem(
                        name,
                        fmt::format(
                            "{} and {} mean the same and differ; set one of them", chosen_name, name
                        )
                    );
                    continue;
                }
                chosen = found->second;
                chosen_name = name;
            }
            if (chosen) return chosen;
        }
        return std::nullopt;
    }

    void apply(const Setting& setting) {
        const auto given = value_of(setting);
        if (setting.is_retired) {
            if (given) {
                loaded_.warnings.push_back(
                    {setting.name,
                     fmt::format(
                         "{} ({}) has no effect: {}", setting.name, given->source, setting.meaning
                     )}
                );
            }
            return;
        }
        const auto text = given ? given->text : setting.standard;
        if (const auto complaint = setting.kind.apply(loaded_.config, text)) {
            const auto what = setting.is_secret ? setting.name : setting.name + "=" + text;
            const auto why = complaint->empty() ? "allowed is " + setting.kind.allowed : *complaint;
            problem(
                setting.name,
                fmt::format(
                    "{} ({}) is not allowed: {}", what, given ? given->source : "default", why
                )
            );
            (void)setting.kind.apply(loaded_.config, setting.standard);
            return;
        }
        const auto shown = setting.is_secret && !text.empty() ? std::string("****") : text;
        loaded_.effective.push_back({setting.name, shown, given ? given->source : "default"});
    }

    void apply_url_parameters() {
        for (const auto& [name, value] : layers_.url_parameters) {
            loaded_.config.database.parameters[name] = value.text;
            const bool is_secret = name.find("password") != std::string::npos;
            loaded_.effective.push_back(
                {"DATABASE_URL?" + name, is_secret ? "****" : value.text, value.source}
            );
        }
    }

    void apply_properties() {
        std::map<std::string, Value> properties;
        for (const auto& layer : layers_.all) {
            for (const auto& [name, value] : layer) {
                if (name.starts_with(kPropertyPrefix)) properties.try_emplace(name, value);
            }
        }
        for (const auto& [name, value] : properties) {
            const auto property = property_of(name);
            if (const auto why = property_refusal(property); !why.empty()) {
                problem(name, fmt::format("{}: {} cannot be set: {}", name, property, why));
                continue;
            }
            extra_properties_[property] = value.text;
            const auto shown = is_secret_property(property) ? "****" : value.text;
            loaded_.effective.push_back({name, shown, value.source});
        }
    }

    /// Of one of these, or of the file of a secret, something is wrong already.
    bool is_known_bad(std::initializer_list<std::string_view> names) const {
        return std::ranges::any_of(problems_, [&](const Problem& problem) {
            return std::ranges::any_of(names, [&](std::string_view name) {
                return problem.name.starts_with(name);
            });
        });
    }

    /// Two settings that cannot both be meant.
    void contradict(std::string_view name, std::string_view other, const std::string& why) {
        if (!is_known_bad({name, other})) problem(name, why + "; one of them must change");
    }

    void finish() {
        finish_kafka();
        finish_database();
        for (auto& one : finish_tracing(loaded_.config.tracing)) {
            if (!is_known_bad({one.name})) problems_.push_back(std::move(one));
        }
        for (auto& one : finish_console(loaded_.config.console)) {
            if (!is_known_bad({one.name})) problems_.push_back(std::move(one));
        }
        const auto& config = loaded_.config;
        const auto is_any = [](const std::string& host) {
            return host == "0.0.0.0" || host == "::" || host == "*";
        };
        struct Door {
            const char* name;
            const std::string& host;
            std::uint16_t port;
            bool is_open;
        };
        const std::array doors{
            Door{"SERVER_PORT", config.server.host, config.server.port, true},
            Door{"METRICS_PORT", config.metrics.host, config.metrics.port, config.metrics.enabled},
            Door{
                "CONSOLE_PORT", config.console.host, config.console.port, config.console.is_enabled
            },
        };
        for (std::size_t i = 0; i < doors.size(); ++i) {
            for (std::size_t j = 0; j < i; ++j) {
                const auto& [name, host, port, is_open] = doors[i];
                const auto& other = doors[j];
                const bool is_same = is_open && other.is_open && port != 0 && port == other.port;
                if (!is_same || (host != other.host && !is_any(host) && !is_any(other.host)))
                    continue;
                contradict(
                    name, other.name, fmt::format("{}={} is {} too", name, port, other.name)
                );
            }
        }
        const auto& relay = config.relay;
        if (relay.poll_min > relay.poll_max)
            contradict(
                "WORKER_POLL_MIN",
                "WORKER_INTERVAL",
                "WORKER_POLL_MIN is longer than WORKER_INTERVAL"
            );
        if (relay.page_bytes_max > relay.in_flight_bytes_max)
            contradict(
                "WORKER_BATCH_BYTES",
                "WORKER_IN_FLIGHT_BYTES",
                "WORKER_BATCH_BYTES is more than WORKER_IN_FLIGHT_BYTES"
            );
        if (config.retry.base_delay > config.retry.max_delay)
            contradict(
                "KAFKA_BASE_DELAY",
                "KAFKA_MAX_DELAY",
                "KAFKA_BASE_DELAY is longer than KAFKA_MAX_DELAY"
            );
    }

    void finish_database() {
        const auto& database = loaded_.config.database;
        const auto hosts = std::ranges::count(database.host, ',') + 1;
        const auto ports = std::ranges::count(database.port, ',') + 1;
        if (ports != 1 && ports != hosts)
            contradict(
                "DATABASE_PORT",
                "DATABASE_HOST",
                fmt::format("DATABASE_PORT has {} ports and DATABASE_HOST {} hosts", ports, hosts)
            );
        for (const auto& [name, value] : database.parameters) {
            if (database.ssl_mode == "disable" && name.starts_with("ssl"))
                contradict(
                    "DATABASE_SSL_MODE",
                    "DATABASE_URL",
                    fmt::format(
                        "{} of DATABASE_URL has no effect with DATABASE_SSL_MODE=disable", name
                    )
                );
        }
    }

    void finish_kafka() {
        auto& kafka = loaded_.config.kafka;
        auto& client = kafka.client;
        client["bootstrap.servers"] = kafka.brokers;
        client["client.id"] = "txstream";
        client["socket.keepalive.enable"] = "true";
        client["reconnect.backoff.max.ms"] = "2000";
        auto& producer = kafka.producer;
        producer.insert(client.begin(), client.end());
        // A small request waits for no acknowledgement of the last one.
        producer["socket.nagle.disable"] = "true";
        // What is on the wire comes twice after a kill: two requests of half a megabyte are as fast
        // as five of a whole one. By the shorter of its names, so that either, set by a user, counts.
        producer["batch.size"] = "500000";
        producer["max.in.flight"] = "2";
        producer["queue.buffering.max.messages"] = "1000000";
        producer["queue.buffering.max.kbytes"] = "1048576";
        // Give up on a missing topic sooner than on an unresponsive broker.
        producer["topic.metadata.propagation.max.ms"] = "5000";
        producer["message.max.bytes"] = std::to_string(kafka.message_bytes_max);
        // To every client: who looks up the topic has to log in like the producer.
        for (const auto& [name, value] : extra_properties_) {
            client[name] = value;
            producer[name] = value;
        }
        if (is_known_bad({"KAFKA_SECURITY_PROTOCOL"})) return;
        for (auto& one : security_contradictions(client)) {
            if (!is_known_bad({one.name})) problems_.push_back(std::move(one));
        }
    }

    Layers layers_;
    Config::Properties extra_properties_;
    Loaded loaded_;
    Problems problems_;
};

Result<std::string> read_small_file(const std::string& path) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error))
        return fail(Code::invalid_input, "is a directory, not a file");
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
        std::fopen(path.c_str(), "rbe"), std::fclose
    );
    if (!file)
        return fail(
            errno == ENOENT ? Code::not_found : Code::invalid_input,
            std::string("cannot be read: ") + std::strerror(errno)
        );
    std::string text(kFileBytesMax + 1, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file.get()));
    if (std::ferror(file.get()) != 0)
        return fail(Code::unavailable, std::string("cannot be read: ") + std::strerror(errno));
    if (text.size() > kFileBytesMax) return fail(Code::invalid_input, "is larger than 64 KiB");
    return text;
}

/// Reads files of secrets. A pipe (`DATABASE_PASSWORD_FILE=<(…)` of a shell) yields its text once:
/// what it held is remembered.
class SecretFiles {
public:
    Result<std::string> operator()(const std::string& path) const {
        std::error_code error;
        const auto kind = std::filesystem::status(path, error).type();
        if (kind != std::filesystem::file_type::fifo && kind != std::filesystem::file_type::socket)
            return read_small_file(path);
        const std::scoped_lock lock(pipes_->mutex);
        if (const auto found = pipes_->texts.find(path); found != pipes_->texts.end())
            return found->second;
        TXS_TRY(auto text, read_small_file(path));
        return pipes_->texts.emplace(path, std::move(text)).first->second;
    }

private:
    struct Pipes {
        std::mutex mutex;
        std::map<std::string, std::string> texts;
    };
    std::shared_ptr<Pipes> pipes_ = std::make_shared<Pipes>();
};

bool has_prefix(const std::vector<std::string>& names, std::string_view prefix) {
    return std::ranges::any_of(names, [&](const auto& name) { return name.starts_with(prefix); });
}

// Files are all that can have changed. What is wrong elsewhere (Kafka's password is being replaced
// while we connect to PostgreSQL) does not matter here.
Result<Config> load_again(const Sources& sources, std::string_view prefix) {
    auto [loaded, problems] = Loader(read_layers(sources)).judge();
    for (const auto& problem : problems) {
        if (problem.name.starts_with(prefix)) return fail(Code::unavailable, problem.message);
    }
    return std::move(loaded.config);
}

}  // namespace

Judged judge(const Sources& sources) {
    auto layers = read_layers(sources);
    const auto files = layers.secret_files;
    auto judged = Loader(std::move(layers)).judge();
    const auto shared = std::make_shared<const Sources>(sources);
    auto& config = judged.loaded.config;
    if (has_prefix(files, kDatabasePrefix)) {
        config.database.renew = [shared]() -> Result<Config::Database> {
            TXS_TRY(auto now, load_again(*shared, kDatabasePrefix));
            return std::move(now.database);
        };
    }
    if (has_prefix(files, kKafkaPrefix)) {
        config.kafka.renew = [shared]() -> Result<Config::Kafka> {
            TXS_TRY(auto now, load_again(*shared, kKafkaPrefix));
            return std::move(now.kafka);
        };
    }
    return judged;
}

tl::expected<Loaded, Problems> load(const Sources& sources) {
    auto judged = judge(sources);
    if (!judged.problems.empty()) return tl::unexpected<Problems>(std::move(judged.problems));
    return std::move(judged.loaded);
}

bool is_setting(std::string_view name) {
    const auto* setting = find_setting(name);
    return setting != nullptr && !setting->is_retired;
}

tl::expected<Sources, Problems> gather(const std::string& dotenv_name) {
    Sources sources;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view both(*entry);
        if (const auto at = both.find('='); at != std::string_view::npos)
            sources.environment[std::string(both.substr(0, at))] = both.substr(at + 1);
    }
    sources.read_file = SecretFiles();
    if (!dotenv_name.empty()) sources.dotenv_name = dotenv_name;
    auto text = read_small_file(sources.dotenv_name);
    if (text) {
        sources.dotenv = std::move(*text);
    } else if (!dotenv_name.empty() || text.error().code() != Code::not_found) {
        return tl::unexpected<Problems>(
            {Problem{sources.dotenv_name, sources.dotenv_name + " " + text.error().what()}}
        );
    }
    return sources;
}

}  // namespace txstream::config
