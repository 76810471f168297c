#include "app/config.hpp"

#include "app/detail/config_table.hpp"
#include "app/detail/database_url.hpp"
#include "app/detail/dotenv.hpp"
#include "app/suggest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <unistd.h>

namespace txstream::app {
namespace {

constexpr std::string_view kFileSuffix = "_FILE";
constexpr std::size_t kFileBytesMax = 64 * 1024;

constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kLibpqNames{{
    {"PGHOST", "DATABASE_HOST"},
    {"PGPORT", "DATABASE_PORT"},
    {"PGUSER", "DATABASE_USER"},
    {"PGPASSWORD", "DATABASE_PASSWORD"},
    {"PGDATABASE", "DATABASE_NAME"},
    {"PGSSLMODE", "DATABASE_SSL_MODE"},
}};

// How the earlier system's compose file and migration tool called them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kMistakenNames{{
    {"DB_HOST", "DATABASE_HOST"},
    {"DB_PORT", "DATABASE_PORT"},
    {"DB_USER", "DATABASE_USER"},
    {"DB_PASSWORD", "DATABASE_PASSWORD"},
    {"DB_NAME", "DATABASE_NAME"},
    {"DB_SSLMODE", "DATABASE_SSL_MODE"},
}};

struct Value {
    std::string text;
    std::string source;
};
using Layer = std::map<std::string, Value>;

class Loader {
public:
    explicit Loader(const Sources& sources) : sources_(sources) {}

    tl::expected<Loaded, Problems> load() {
        add_layer(sources_.command_line, "command line");
        add_layer(sources_.environment, "environment");
        add_dotenv();
        add_libpq();
        for (const auto& setting : settings()) apply(setting);
        apply_properties();
        finish();
        if (!problems_.empty()) return tl::unexpected<Problems>(std::move(problems_));
        return std::move(loaded_);
    }

private:
    void problem(std::string_view name, std::string message) {
        problems_.push_back({std::string(name), std::move(message)});
    }

    // --- where values come from

    void add_layer(const std::map<std::string, std::string>& values, const std::string& source) {
        Layer layer;
        for (const auto& [name, text] : values) {
            if (is_ours(name, source)) layer[name] = {text, source};
        }
        read_secret_files(layer);
        expand_url(layer);
        layers_.push_back(std::move(layer));
    }

    void add_dotenv() {
        auto parsed = parse_dotenv(sources_.dotenv);
        for (auto& complaint : parsed.complaints)
            problem(sources_.dotenv_name, sources_.dotenv_name + ": " + complaint);
        add_layer(parsed.values, sources_.dotenv_name);
    }

    void add_libpq() {
        Layer layer;
        for (const auto& [theirs, ours] : kLibpqNames) {
            const auto found = sources_.environment.find(std::string(theirs));
            if (found == sources_.environment.end() || found->second.empty()) continue;
            layer[std::string(ours)] = {found->second, std::string(theirs)};
        }
        layers_.push_back(std::move(layer));
    }

    // Complains about names that look like ours and are not.
    bool is_ours(const std::string& name, const std::string& source) {
        for (const auto& [mistaken, right] : kMistakenNames) {
            if (name != mistaken) continue;
            problem(name, fmt::format("{} is unknown; did you mean {}? ({})", name, right, source));
            return false;
        }
        const bool has_prefix = std::ranges::any_of(our_prefixes(), [&](const auto& prefix) {
            return name.starts_with(prefix);
        });
        if (!has_prefix) return false;
        if (find_setting(name) || name.starts_with(kPropertyPrefix)) return true;
        if (name.ends_with(kFileSuffix)) {
            const auto* setting = find_setting(name.substr(0, name.size() - kFileSuffix.size()));
            if (setting && setting->is_secret) return true;
        }
        std::vector<std::string> known;
        for (const auto& setting : settings()) {
            known.push_back(setting.name);
            known.insert(known.end(), setting.aliases.begin(), setting.aliases.end());
        }
        const auto near = suggest(name, known);
        problem(
            name,
            near
                ? fmt::format("{} is unknown; did you mean {}? ({})", name, *near, source)
                : fmt::format(
                      "{} is unknown; `txstream config docs` lists what there is ({})", name, source
                  )
        );
        return false;
    }

    void read_secret_files(Layer& layer) {
        for (const auto& setting : settings()) {
            if (!setting.is_secret) continue;
            const auto name = setting.name + std::string(kFileSuffix);
            const auto found = layer.find(name);
            if (found == layer.end()) continue;
            const auto path = found->second.text;
            const auto source = fmt::format("{} ({})", name, found->second.source);
            layer.erase(found);
            if (layer.contains(setting.name)) {
                problem(
                    name, fmt::format("{} and {} are both set; set one of them", setting.name, name)
                );
                continue;
            }
            auto text = sources_.read_file
                            ? sources_.read_file(path)
                            : Result<std::string>(fail(Code::invalid_input, "no files here"));
            if (!text) {
                problem(name, fmt::format("{}={}: {}", name, path, text.error().what()));
                continue;
            }
            while (text->ends_with('\n') || text->ends_with('\r')) text->pop_back();
            layer[setting.name] = {std::move(*text), source};
        }
    }

    void expand_url(Layer& layer) {
        const auto found = layer.find("DATABASE_URL");
        if (found == layer.end() || found->second.text.empty()) return;
        const auto source = "DATABASE_URL (" + found->second.source + ")";
        const auto url = parse_database_url(found->second.text);
        if (!url) {
            problem(
                "DATABASE_URL",
                fmt::format("{} (not shown, it may hold a password) {}", source, url.error())
            );
            return;
        }
        const auto put = [&](const char* name, const std::string& text) {
            if (!text.empty()) layer.try_emplace(name, Value{text, source});
        };
        put("DATABASE_HOST", url->host);
        put("DATABASE_PORT", url->port);
        put("DATABASE_USER", url->user);
        put("DATABASE_PASSWORD", url->password);
        put("DATABASE_NAME", url->name);
        put("DATABASE_SSL_MODE", url->ssl_mode);
        for (const auto& [name, value] : url->parameters)
            loaded_.config.database.parameters.try_emplace(name, value);
    }

    // --- what becomes of them

    std::optional<Value> value_of(const Setting& setting) {
        for (const auto& layer : layers_) {
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

    void apply_properties() {
        std::map<std::string, Value> properties;
        for (const auto& layer : layers_) {
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
            const bool is_secret = property.find("password") != std::string::npos ||
                                   property.find("secret") != std::string::npos ||
                                   property.find("config") != std::string::npos;
            extra_properties_[property] = value.text;
            loaded_.effective.push_back({name, is_secret ? "****" : value.text, value.source});
        }
    }

    void finish() {
        auto& config = loaded_.config;
        auto& kafka = config.kafka;
        kafka.client["bootstrap.servers"] = kafka.brokers;
        kafka.client["client.id"] = "txstream";
        kafka.client["socket.keepalive.enable"] = "true";
        kafka.client["reconnect.backoff.max.ms"] = "2000";
        auto& producer = kafka.producer;
        producer.insert(kafka.client.begin(), kafka.client.end());
        producer["enable.idempotence"] = "true";
        producer["enable.gapless.guarantee"] = "true";
        producer["acks"] = "all";
        producer["partitioner"] = "murmur2_random";
        producer["message.timeout.ms"] = "0";
        producer["batch.size"] = "1000000";
        producer["queue.buffering.max.messages"] = "1000000";
        producer["queue.buffering.max.kbytes"] = "1048576";
        producer["message.max.bytes"] = std::to_string(kafka.message_bytes_max);
        for (const auto& [name, value] : extra_properties_) producer[name] = value;
        if (const auto protocol = kafka.client["security.protocol"];
            protocol.starts_with("sasl") && !kafka.client.contains("sasl.mechanisms")) {
            problem(
                "KAFKA_SASL_MECHANISM",
                "KAFKA_SECURITY_PROTOCOL=" + protocol +
                    " needs KAFKA_SASL_MECHANISM, for example PLAIN"
            );
        }
        if (config.server.port != 0 && config.metrics.enabled &&
            config.server.port == config.metrics.port &&
            config.server.host == config.metrics.host) {
            problem(
                "METRICS_PORT",
                fmt::format(
                    "METRICS_PORT={} is SERVER_PORT too; one of them must change",
                    config.metrics.port
                )
            );
        }
        if (config.relay.poll_min > config.relay.poll_max)
            problem(
                "WORKER_POLL_MIN",
                "WORKER_POLL_MIN is longer than WORKER_INTERVAL; one of them must change"
            );
        if (config.retry.base_delay > config.retry.max_delay)
            problem(
                "KAFKA_BASE_DELAY",
                "KAFKA_BASE_DELAY is longer than KAFKA_MAX_DELAY; one of them must change"
            );
    }

    const Sources& sources_;
    std::vector<Layer> layers_;
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
    std::ifstream file(path, std::ios::binary);
    if (!file) return fail(Code::not_found, "cannot be read");
    std::string text(std::istreambuf_iterator<char>(file), {});
    if (file.bad()) return fail(Code::unavailable, "cannot be read");
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
    return Loader(sources).load();
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
