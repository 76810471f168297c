#include "kafka/detail/handles.hpp"

#include <string_view>
#include <utility>

namespace txstream::kafka::detail {

namespace {

constexpr int kSyslogDebug = 7;

// A connection that fails is also an error of the client, which is logged once for each cause, with
// advice; librdkafka's own line comes for each broker, each client and each try.
void forward_log(const rd_kafka_t* client, int level, const char* facility, const char* text) {
    if (client == nullptr) return;
    if (std::string_view(facility) == "FAIL") level = kSyslogDebug;
    auto* log = static_cast<LogCallback*>(rd_kafka_opaque(client));
    if (log != nullptr && *log) (*log)(level, text);
}

}  // namespace

Result<Conf> make_conf(const Properties& properties, LogCallback* log) {
    Conf conf(rd_kafka_conf_new());
    char reason[512];
    for (const auto& [name, value] : properties) {
        if (rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), reason, sizeof reason) !=
            RD_KAFKA_CONF_OK) {
            // librdkafka quotes the value in its reason, which may be a secret: only the name is
            // told.
            return fail(
                Code::invalid_input,
                "Kafka property " + name + " is unknown or has a value that is not allowed"
            );
        }
    }
    rd_kafka_conf_set_opaque(conf.get(), log);
    rd_kafka_conf_set_log_cb(conf.get(), forward_log);
    return conf;
}

Result<Client> make_client(rd_kafka_type_t type, Conf conf) {
    char reason[512];
    rd_kafka_t* client = rd_kafka_new(type, conf.get(), reason, sizeof reason);
    if (client == nullptr) return fail(Code::invalid_input, std::string("Kafka client: ") + reason);
    [[maybe_unused]] const auto* owned_by_the_client = conf.release();
    return Client(client);
}

bool Connections::failed(int code, std::string_view text) {
    auto trouble = connection_error(code, text);
    // After a refusal librdkafka may report a mere "Broken pipe": the refusal is the reason.
    if (trouble_ && trouble.origin() == kDisconnected) return false;
    const bool is_new = !trouble_ || trouble_->origin() != trouble.origin();
    trouble_ = std::move(trouble);
    return is_new;
}

bool Connections::is_login_refused() const {
    return trouble_ && trouble_->origin() == kLoginRefused;
}

}  // namespace txstream::kafka::detail
