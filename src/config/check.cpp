#include "config/check.hpp"

#include "config/detail/kafka_properties.hpp"
#include "config/detail/kafka_security.hpp"
#include "config/suggest.hpp"
#include "kafka/property_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>
#include <unistd.h>

namespace txstream::config {
namespace {

namespace fs = std::filesystem;

bool is_security(std::string_view property) {
    return property.starts_with("ssl.") || property.starts_with("sasl.") ||
           property.starts_with("security.") || property.starts_with("enable.sasl.");
}

bool names_security(const Problem& problem) {
    return std::ranges::any_of(
        std::array{"_SASL_", "_SSL_", "_SECURITY_", "PROPERTY_ssl", "PROPERTY_sasl"},
        [&](std::string_view part) { return problem.name.find(part) != std::string::npos; }
    );
}

/// Why this process cannot read it; empty when it can.
std::string unreadable(const std::string& path) {
    return access(path.c_str(), R_OK) == 0 ? std::string() : std::strerror(errno);
}

class KafkaCheck {
public:
    KafkaCheck(const Loaded& loaded, const Problems& known)
        : loaded_(loaded),
          left_(loaded.config.kafka.producer),
          is_security_known_(std::ranges::any_of(known, names_security)) {}

    Checked check() {
        for (const auto& one : loaded_.effective) {
            if (one.name.starts_with(kPropertyPrefix)) check_one(one);
        }
        check_mechanism();
        check_files();
        if (is_security_known_ || std::ranges::any_of(found_.problems, names_security))
            std::erase_if(left_, [](const auto& property) { return is_security(property.first); });
        check_together();
        return std::move(found_);
    }

private:
    void problem(std::string name, std::string message) {
        found_.problems.push_back({std::move(name), std::move(message)});
    }

    void refuse(const Effective& one, std::string_view why) {
        problem(
            one.name,
            fmt::format("{}={} ({}) is not allowed: {}", one.name, one.value, one.source, why)
        );
        left_.erase(property_of(one.name));
    }

    void check_one(const Effective& one) {
        const auto property = property_of(one.name);
        const auto good = kafka::check_property(property, left_.at(property));
        if (good) return;
        if (good.error().code() == Code::not_found) {
            const auto near = suggest(property, kafka::property_names());
            refuse(
                one,
                fmt::format(
                    "{}{}",
                    good.error().what(),
                    near ? fmt::format("; did you mean {}?", variable_of(*near)) : ""
                )
            );
        } else {
            // librdkafka quotes the value.
            refuse(
                one,
                is_secret_property(property) ? "the value is not one of its kind"
                                             : good.error().what()
            );
        }
    }

    void check_mechanism() {
        const auto found = left_.find("sasl.mechanisms");
        if (found == left_.end() || is_security_known_) return;
        const auto& mechanism = found->second;
        const bool is_scram = mechanism.starts_with("SCRAM-");
        const std::string feature = is_scram                     ? "sasl_scram"
                                    : mechanism == "PLAIN"       ? "sasl_plain"
                                    : mechanism == "OAUTHBEARER" ? "sasl_oauthbearer"
                                                                 : "sasl_gssapi";
        if (!kafka::has_feature(feature)) {
            problem(
                "KAFKA_SASL_MECHANISM",
                fmt::format(
                    "KAFKA_SASL_MECHANISM={} is not allowed: this librdkafka was built without it",
                    mechanism
                )
            );
        } else if (is_scram && !kafka::has_working_scram()) {
            found_.warnings.push_back(
                {"KAFKA_SASL_MECHANISM",
                 fmt::format(
                     "KAFKA_SASL_MECHANISM={}: this librdkafka can log in so at Kafka 3, but not "
                     "at Kafka 4, which needs librdkafka 2.6.1 or newer",
                     mechanism
                 )}
            );
        }
    }

    void check_files() {
        for (const auto& [property, path] : left_) {
            const bool is_file =
                property.ends_with(".location") || property == "sasl.kerberos.keytab";
            if (!is_file || path.empty() || path == "probe") continue;
            const auto why = unreadable(path);
            if (why.empty()) continue;
            const auto name = variable_of(property);
            problem(name, fmt::format("{}={}: cannot be read: {}", name, path, why));
        }
    }

    Result<> try_left() const { return kafka::check_properties(to_kafka(left_)); }

    // What contradicts each other is found only when a client is made. Which of them is it? Those
    // that were set are taken out, and put back one after the other.
    void check_together() {
        if (try_left()) return;
        std::vector<Effective> given;
        for (const auto& one : loaded_.effective) {
            if (one.name.starts_with(kPropertyPrefix) && left_.erase(property_of(one.name)) > 0)
                given.push_back(one);
        }
        if (const auto base = try_left(); !base) {
            problem(variable_in(base.error().what()), base.error().what());
            std::erase_if(left_, [](const auto& one) { return is_security(one.first); });
            if (!try_left()) return;
        }
        for (const auto& one : given) {
            const auto property = property_of(one.name);
            if (is_security(property)) continue;
            left_[property] = loaded_.config.kafka.producer.at(property);
            if (const auto good = try_left(); !good) refuse(one, good.error().what());
        }
    }

    std::string variable_in(std::string_view reason) const {
        std::string longest;
        for (const auto& [property, value] : left_) {
            if (property.size() > longest.size() && reason.find(property) != std::string_view::npos)
                longest = property;
        }
        return longest.empty() ? "KAFKA_SECURITY_PROTOCOL" : variable_of(longest);
    }

    const Loaded& loaded_;
    Config::Properties left_;  // what has not been found wrong
    bool is_security_known_;
    Checked found_;
};

/// As libpq finds it, when no other is named.
std::string libpq_default(const char* variable, std::string_view file) {
    if (const char* named = std::getenv(variable)) return named;
    const char* home = std::getenv("HOME");
    return home == nullptr ? std::string() : fmt::format("{}/.postgresql/{}", home, file);
}

}  // namespace

Checked check_kafka(const Loaded& loaded, const Problems& known) {
    return KafkaCheck(loaded, known).check();
}

Problems check_database_files(const Config& config) {
    Problems problems;
    const auto& database = config.database;
    for (const auto& [name, path] : database.parameters) {
        const bool is_file = name == "sslrootcert" || name == "sslcert" || name == "sslkey" ||
                             name == "sslcrl" || name == "passfile";
        const bool is_word = name == "sslrootcert" && path == "system";
        if (!is_file || path.empty() || is_word) continue;
        if (const auto why = unreadable(path); !why.empty())
            problems.push_back(
                {"DATABASE_URL",
                 fmt::format("DATABASE_URL: {}={} cannot be read: {}", name, path, why)}
            );
    }
    if (!database.ssl_mode.starts_with("verify-") || database.parameters.contains("sslrootcert"))
        return problems;
    const auto root = libpq_default("PGSSLROOTCERT", "root.crt");
    if (root.empty() || (root != "system" && !unreadable(root).empty())) {
        problems.push_back(
            {"DATABASE_SSL_MODE",
             fmt::format(
                 "DATABASE_SSL_MODE={} needs the CA that signed the server's certificate, and {} "
                 "cannot be read; name one by sslrootcert in DATABASE_URL, or by PGSSLROOTCERT",
                 database.ssl_mode,
                 root.empty() ? "~/.postgresql/root.crt" : root
             )}
        );
    }
    return problems;
}

Problems check_log_file(const Config& config) {
    const auto& path = config.logging.output_path;
    if (path.empty() || path == "stdout" || path == "stderr") return {};
    std::error_code error;
    const auto directory = fs::absolute(path, error).parent_path();
    const bool is_there = fs::exists(path, error);
    const bool is_writable = is_there
                                 ? !fs::is_directory(path, error) && access(path.c_str(), W_OK) == 0
                                 : access(directory.c_str(), W_OK | X_OK) == 0;
    if (is_writable) return {};
    return {
        {"LOGGING_OUTPUT_PATH",
         fmt::format(
             "LOGGING_OUTPUT_PATH={} cannot be written; name a file that can, stdout or stderr",
             path
         )}
    };
}

Checked check_all(const Judged& judged) {
    auto all = check_kafka(judged.loaded, judged.problems);
    auto problems = judged.problems;
    const auto add = [&problems](Problems more) {
        for (auto& one : more) problems.push_back(std::move(one));
    };
    add(std::move(all.problems));
    add(check_database_files(judged.loaded.config));
    add(check_log_file(judged.loaded.config));
    auto warnings = judged.loaded.warnings;
    for (auto& one : all.warnings) warnings.push_back(std::move(one));
    return {std::move(problems), std::move(warnings)};
}

}  // namespace txstream::config
