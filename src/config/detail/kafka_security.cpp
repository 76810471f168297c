#include "config/detail/kafka_security.hpp"

#include "base/text.hpp"
#include "config/detail/kafka_properties.hpp"
#include "config/detail/kinds.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace txstream::config {
namespace {

constexpr std::string_view kOidc = "sasl.oauthbearer.method";
constexpr std::string_view kUnsecure = "enable.sasl.oauthbearer.unsecure.jwt";
constexpr std::array<std::string_view, 4> kOidcNeeds{
    kOidc,
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret"
};

class Judge {
public:
    explicit Judge(const Config::Properties& client)
        : client_(client),
          protocol_(value("security.protocol")),
          has_sasl_(protocol_.starts_with("sasl")),
          has_tls_(protocol_.ends_with("ssl")) {}

    Problems judge() {
        if (!has_sasl_) without_effect(given("sasl."), "sasl_ssl (or sasl_plaintext)");
        if (!has_tls_) without_effect(given("ssl."), has_sasl_ ? "sasl_ssl" : "ssl");
        if (has_sasl_) judge_login();
        if (has_tls_) judge_certificate();
        judge_brokers();
        return std::move(problems_);
    }

private:
    std::string value(std::string_view property) const {
        const auto found = client_.find(std::string(property));
        return found == client_.end() ? std::string() : found->second;
    }
    bool is_set(std::string_view property) const { return !value(property).empty(); }

    void problem(std::string name, std::string message) {
        problems_.push_back({std::move(name), std::move(message)});
    }

    /// The variables of properties with that beginning that are set.
    std::vector<std::string> given(std::string_view prefix) const {
        std::vector<std::string> variables;
        for (const auto& [property, text] : client_) {
            const bool is_default =
                property == "ssl.endpoint.identification.algorithm" && text == "https";
            if (property.starts_with(prefix) && !text.empty() && !is_default)
                variables.push_back(variable_of(property));
        }
        return variables;
    }

    void without_effect(const std::vector<std::string>& variables, std::string_view protocols) {
        if (variables.empty()) return;
        problem(
            variables.front(),
            fmt::format(
                "{} {} no effect with KAFKA_SECURITY_PROTOCOL={}; set that to {}, or remove {}",
                fmt::join(variables, ", "),
                variables.size() == 1 ? "has" : "have",
                protocol_,
                protocols,
                variables.size() == 1 ? "it" : "them"
            )
        );
    }

    void needs(const std::string& what, const std::vector<std::string>& missing) {
        if (missing.empty()) return;
        problem(missing.front(), fmt::format("{} needs {}", what, fmt::join(missing, " and ")));
    }

    void judge_login() {
        const auto mechanism = value("sasl.mechanisms");
        if (mechanism.empty()) {
            problem(
                "KAFKA_SASL_MECHANISM",
                "KAFKA_SECURITY_PROTOCOL=" + protocol_ +
                    " needs KAFKA_SASL_MECHANISM, for example PLAIN"
            );
            return;
        }
        const auto what = "KAFKA_SASL_MECHANISM=" + mechanism;
        if (mechanism == "PLAIN" || mechanism.starts_with("SCRAM-")) {
            for (const char* property : {"sasl.username", "sasl.password"}) {
                if (!is_set(property)) needs(what, {variable_of(property)});
            }
        }
        if (mechanism == "OAUTHBEARER") judge_tokens(what);
    }

    void judge_tokens(const std::string& what) {
        if (value(kUnsecure) == "true") return;
        std::vector<std::string> missing;
        for (const auto property : kOidcNeeds) {
            if (property == kOidc && lowered(value(property)) != "oidc") {
                missing.push_back(variable_of(property) + "=oidc");
            } else if (!is_set(property)) {
                missing.push_back(variable_of(property));
            }
        }
        needs(what, missing);
    }

    void judge_certificate() {
        const bool has_store = is_set("ssl.keystore.location");
        const bool has_certificate =
            is_set("ssl.certificate.location") || is_set("ssl.certificate.pem");
        const bool has_key = is_set("ssl.key.location") || is_set("ssl.key.pem");
        if (has_certificate && !has_key)
            needs("KAFKA_SSL_CERTIFICATE_LOCATION", {"KAFKA_SSL_KEY_LOCATION"});
        if (has_key && !has_certificate && !has_store)
            needs("KAFKA_SSL_KEY_LOCATION", {"KAFKA_SSL_CERTIFICATE_LOCATION"});
        if (is_set("ssl.key.password") && !has_key)
            needs("KAFKA_SSL_KEY_PASSWORD", {"KAFKA_SSL_KEY_LOCATION"});
    }

    // librdkafka passes over a broker whose protocol is not the client's.
    void judge_brokers() {
        for (const auto part : split(client_.at("bootstrap.servers"), ',')) {
            const auto broker = trimmed(part);
            const auto at = broker.find("://");
            if (at == std::string_view::npos || lowered(broker.substr(0, at)) == protocol_)
                continue;
            problem(
                "KAFKA_BROKERS",
                fmt::format(
                    "{} of KAFKA_BROKERS and KAFKA_SECURITY_PROTOCOL={} contradict each other; one "
                    "of them must change",
                    broker,
                    protocol_
                )
            );
        }
    }

    const Config::Properties& client_;
    std::string protocol_;
    bool has_sasl_;
    bool has_tls_;
    Problems problems_;
};

}  // namespace

std::string variable_of(std::string_view property) {
    constexpr std::string_view kSet = "set ";
    const auto refusal = property_refusal(property);
    if (refusal.starts_with(kSet)) return std::string(refusal.substr(kSet.size()));
    std::string name(kPropertyPrefix);
    for (const char c : property) {
        if (c == '.') {
            name += "__";
        } else {
            name += c;
        }
    }
    return name;
}

Problems security_contradictions(const Config::Properties& client) {
    return Judge(client).judge();
}

}  // namespace txstream::config
