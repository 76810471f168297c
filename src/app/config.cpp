#include "app/config.hpp"

#include "app/detail/config_layers.hpp"
#include "app/detail/config_table.hpp"
#include "app/detail/kafka_properties.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <unistd.h>
#include <utility>

namespace txstream::app {
namespace {

constexpr std::size_t kFileBytesMax = 64 * 1024;

class Loader {
public:
    explicit Loader(Layers layers)
        : layers_(std::move(layers)), problems_(std::move(layers_.problems)) {}

    tl::expected<Loaded, Problems> load() {
        for (const auto& setting : settings()) apply(setting);
        apply_url_parameters();
        apply_properties();
        finish();
        if (!problems_.empty()) return tl::unexpected<Problems>(std::move(problems_));
        return std::move(loaded_);
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

    void finish() {
        finish_kafka();
        const auto& config = loaded_.config;
        const auto differ = [&](const char* name, const std::string& why) {
            problem(name, why + "; one of them must change");
        };
        if (config.server.port != 0 && config.metrics.enabled &&
            config.server.port == config.metrics.port &&
            config.server.host == config.metrics.host) {
            differ(
                "METRICS_PORT",
                fmt::format("METRICS_PORT={} is SERVER_PORT too", config.metrics.port)
            );
        }
        if (config.relay.poll_min > config.relay.poll_max)
            differ("WORKER_POLL_MIN", "WORKER_POLL_MIN is longer than WORKER_INTERVAL");
        if (config.retry.base_delay > config.retry.max_delay)
            differ("KAFKA_BASE_DELAY", "KAFKA_BASE_DELAY is longer than KAFKA_MAX_DELAY");
        const auto hosts = std::ranges::count(config.database.host, ',') + 1;
        const auto ports = std::ranges::count(config.database.port, ',') + 1;
        if (ports != 1 && ports != hosts)
            differ(
                "DATABASE_PORT",
                fmt::format("DATABASE_PORT has {} ports and DATABASE_HOST {} hosts", ports, hosts)
            );
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
        producer["enable.idempotence"] = "true";
        producer["enable.gapless.guarantee"] = "true";
        producer["acks"] = "all";
        producer["partitioner"] = "murmur2_random";
        producer["message.timeout.ms"] = "0";
        producer["batch.size"] = "1000000";
        producer["queue.buffering.max.messages"] = "1000000";
        producer["queue.buffering.max.kbytes"] = "1048576";
        // For a topic that is not there nobody waits as long as for a broker that does not answer.
        producer["topic.metadata.propagation.max.ms"] = "5000";
        producer["message.max.bytes"] = std::to_string(kafka.message_bytes_max);
        // To every client: who looks up the topic has to log in like the producer.
        for (const auto& [name, value] : extra_properties_) {
            client[name] = value;
            producer[name] = value;
        }
        if (const auto protocol = client["security.protocol"];
            protocol.starts_with("sasl") && !client.contains("sasl.mechanisms")) {
            problem(
                "KAFKA_SASL_MECHANISM",
                "KAFKA_SECURITY_PROTOCOL=" + protocol +
                    " needs KAFKA_SASL_MECHANISM, for example PLAIN"
            );
        }
    }

    Layers layers_;
    Config::Properties extra_properties_;
    Loaded loaded_;
    Problems problems_;
};

void append_option(std::string& out, std::string_view name, std::string_view value) {
    if (value.empty()) return;
    if (!out.empty()) out += ' ';
    out.append(name).append("='");
    for (const char c : value) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    out += '\'';
}

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

}  // namespace

std::string Config::Database::conninfo() const {
    std::string out;
    append_option(out, "host", host);
    append_option(out, "port", port);
    append_option(out, "user", user);
    append_option(out, "password", password);
    append_option(out, "dbname", name);
    append_option(out, "sslmode", ssl_mode);
    append_option(
        out,
        "connect_timeout",
        fmt::format("{}", std::chrono::duration<double>(connect_timeout).count())
    );
    for (const auto& [parameter, value] : parameters) append_option(out, parameter, value);
    return out;
}

std::string Config::Database::where() const {
    return fmt::format("{}:{}, database {}, user {}", host, port, name, user);
}

tl::expected<Loaded, Problems> load(const Sources& sources) {
    return Loader(read_layers(sources)).load();
}

tl::expected<Sources, Problems> gather(const std::string& dotenv_name) {
    Sources sources;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view both(*entry);
        if (const auto at = both.find('='); at != std::string_view::npos)
            sources.environment[std::string(both.substr(0, at))] = both.substr(at + 1);
    }
    sources.read_file = read_small_file;
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

}  // namespace txstream::app
