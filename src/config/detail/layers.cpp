#include "config/detail/layers.hpp"

#include "config/detail/database_url.hpp"
#include "config/detail/dotenv.hpp"
#include "config/detail/kafka_properties.hpp"
#include "config/detail/table.hpp"
#include "config/suggest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

namespace txstream::config {
namespace {

using Names = std::pair<std::string_view, std::string_view>;
using Variables = std::map<std::string, std::string>;

constexpr std::string_view kFileSuffix = "_FILE";
constexpr std::string_view kUrl = "DATABASE_URL";
constexpr std::string_view kOtelPrefix = "OTEL_";

constexpr std::array<Names, 6> kLibpqNames{{
    {"PGHOST", "DATABASE_HOST"},
    {"PGPORT", "DATABASE_PORT"},
    {"PGUSER", "DATABASE_USER"},
    {"PGPASSWORD", "DATABASE_PASSWORD"},
    {"PGDATABASE", "DATABASE_NAME"},
    {"PGSSLMODE", "DATABASE_SSL_MODE"},
}};

// libpq reads these by itself, from the environment only.
constexpr std::array<std::string_view, 18> kLibpqOnlyNames{
    "PGHOSTADDR",
    "PGPASSFILE",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGOPTIONS",
    "PGAPPNAME",
    "PGCHANNELBINDING",
    "PGCONNECT_TIMEOUT",
    "PGREQUIRESSL",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLROOTCERT",
    "PGSSLCRL",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMAXPROTOCOLVERSION",
    "PGREQUIREPEER",
    "PGGSSENCMODE",
    "PGTARGETSESSIONATTRS"
};

// What others call ours, where no likeness of the letters tells it.
constexpr std::array<Names, 11> kMistakenNames{{
    {"DATABASE_SSLMODE", "DATABASE_SSL_MODE"},
    {"DATABASE_USERNAME", "DATABASE_USER"},
    {"DATABASE_DATABASE", "DATABASE_NAME"},
    {"DATABASE_DSN", "DATABASE_URL"},
    {"SERVER_ADDRESS", "SERVER_HOST"},
    {"SERVER_ADDR", "SERVER_HOST"},
    {"METRICS_ADDRESS", "METRICS_HOST"},
    {"KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BROKERS"},
    {"LOGGING_FILE", "LOGGING_OUTPUT_PATH"},
    {"LOGGING_PATH", "LOGGING_OUTPUT_PATH"},
    {"LOGGING_OUTPUT", "LOGGING_OUTPUT_PATH"},
}};

std::optional<std::string> meant_by(std::string name) {
    // As the earlier system's compose file and migration tool had it.
    constexpr std::string_view kShort = "DB_";
    if (name.starts_with(kShort)) name.replace(0, kShort.size(), "DATABASE_");
    if (find_setting(name)) return name;
    const auto* const known =
        std::ranges::find(kMistakenNames, std::string_view(name), &Names::first);
    if (known != kMistakenNames.end()) return std::string(known->second);
    std::vector<std::string> all;
    for (const auto& setting : settings()) {
        if (setting.is_retired) continue;
        all.push_back(setting.name);
        all.insert(all.end(), setting.aliases.begin(), setting.aliases.end());
    }
    return suggest(name, all);
}

class Reader {
public:
    explicit Reader(const Sources& sources) : sources_(sources) {}

    Layers read() {
        add(sources_.command_line, "command line");
        add(sources_.environment, "environment");
        const auto file = parse_dotenv(sources_.dotenv);
        const auto& file_name = sources_.dotenv_name;
        for (const auto& complaint : file.complaints)
            problem(file_name, fmt::format("{}: {}", file_name, complaint));
        add(file.values, file_name);
        add_libpq(sources_.environment, "environment");
        add_libpq(file.values, file_name);
        refuse_libpq_only(file.values, file_name);
        return std::move(layers_);
    }

private:
    void problem(std::string_view name, std::string message) {
        layers_.problems.push_back({std::string(name), std::move(message)});
    }

    void add(const Variables& values, const std::string& source) {
        Layer layer;
        for (const auto& [name, text] : values) {
            // Of OpenTelemetry's variables, an empty one counts as not set.
            const bool is_unset = text.empty() && name.starts_with(kOtelPrefix);
            if (!is_unset && is_ours(name, source)) layer[name] = {text, source};
        }
        read_secret_files(layer);
        expand_url(layer);
        layers_.all.push_back(std::move(layer));
    }

    void add_libpq(const Variables& values, const std::string& source) {
        Layer layer;
        for (const auto& [theirs, ours] : kLibpqNames) {
            const auto found = values.find(std::string(theirs));
            if (found == values.end() || found->second.empty()) continue;
            layer[std::string(ours)] = {found->second, fmt::format("{} ({})", theirs, source)};
        }
        layers_.all.push_back(std::move(layer));
    }

    void refuse_libpq_only(const Variables& values, const std::string& source) {
        for (const auto name : kLibpqOnlyNames) {
            if (!values.contains(std::string(name))) continue;
            problem(
                name,
                fmt::format(
                    "{} is not read from {}: libpq looks for it in the environment; set it there, "
                    "or as a parameter of DATABASE_URL",
                    name,
                    source
                )
            );
        }
    }

    // Complains about names that look like ours and are not.
    bool is_ours(const std::string& name, const std::string& source) {
        if (find_setting(name) || name.starts_with(kPropertyPrefix)) return true;
        if (name.ends_with(kFileSuffix)) {
            const auto* setting = find_setting(name.substr(0, name.size() - kFileSuffix.size()));
            if (setting && setting->is_secret) return true;
        }
        // Others' programs have variables of OpenTelemetry's that are no business of ours.
        const bool has_prefix = std::ranges::any_of(our_prefixes(), [&](const auto& prefix) {
            return name.starts_with(prefix);
        });
        if (!has_prefix) return false;
        const auto meant = meant_by(name);
        const auto remedy = meant ? "did you mean " + *meant + "?"
                                  : std::string("`txstream config docs` lists what there is");
        problem(name, fmt::format("{} is unknown; {} ({})", name, remedy, source));
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
            if (path.empty()) continue;  // as an empty DATABASE_URL: not set
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
            if (text->empty() || text->find('\0') != std::string::npos) {
                problem(
                    name,
                    fmt::format(
                        "{}={}: {}",
                        name,
                        path,
                        text->empty() ? "is empty; it must hold the secret" : "holds a NUL byte"
                    )
                );
                continue;
            }
            layers_.secret_files.push_back(name);
            layer[setting.name] = {std::move(*text), source};
        }
    }

    void expand_url(Layer& layer) {
        const auto found = layer.find(std::string(kUrl));
        if (found == layer.end()) return;
        if (found->second.text.empty() || has_url_) {
            layer.erase(found);
            return;
        }
        has_url_ = true;
        const auto source = fmt::format("{} ({})", kUrl, found->second.source);
        const auto url = parse_database_url(found->second.text);
        if (!url) {
            problem(
                kUrl, fmt::format("{} (not shown, it may hold a password) {}", source, url.error())
            );
            return;
        }
        const std::array<std::pair<const char*, const std::string&>, 6> parts{{
            {"DATABASE_HOST", url->host},
            {"DATABASE_PORT", url->port},
            {"DATABASE_USER", url->user},
            {"DATABASE_PASSWORD", url->password},
            {"DATABASE_NAME", url->name},
            {"DATABASE_SSL_MODE", url->ssl_mode},
        }};
        for (const auto& [name, text] : parts) {
            if (text.empty()) continue;
            auto& value = layer[name];
            if (!value.text.empty() && value.text != text)
                problem(name, fmt::format("{} and {} differ; set one of them", name, source));
            value = {text, source};
        }
        for (const auto& [name, text] : url->parameters)
            layers_.url_parameters[name] = {text, source};
    }

    const Sources& sources_;
    Layers layers_;
    bool has_url_ = false;
};

}  // namespace

Layers read_layers(const Sources& sources) {
    return Reader(sources).read();
}

}  // namespace txstream::config
