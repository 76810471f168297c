#include "kafka/property_check.hpp"

#include "kafka/detail/handles.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace txstream::kafka {

namespace {

constexpr std::size_t kReasonBytes = 512;

// The list of properties can only be had as a printed table: "name | C/P | range | …".
std::string printed_table() {
    char* text = nullptr;
    std::size_t size = 0;
    std::FILE* const file = open_memstream(&text, &size);
    if (file == nullptr) return {};
    rd_kafka_conf_properties_show(file);
    (void)std::fclose(file);
    const std::unique_ptr<char, decltype(&std::free)> owned(text, std::free);
    return {text, size};
}

std::vector<std::string> read_names() {
    std::vector<std::string> names;
    const auto table = printed_table();
    for (std::size_t at = 0; at < table.size();) {
        const auto end = std::min(table.find('\n', at), table.size());
        const auto line = std::string_view(table).substr(at, end - at);
        at = end + 1;
        const auto name = line.substr(0, line.find(' '));
        const bool is_row = line.find(" | ") != std::string_view::npos;
        if (is_row && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._") ==
                          std::string_view::npos)
            names.emplace_back(name);
    }
    return names;
}

}  // namespace

Result<> check_property(const std::string& name, const std::string& value) {
    const detail::Conf conf(rd_kafka_conf_new());
    std::array<char, kReasonBytes> reason{};
    switch (rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), reason.data(), reason.size())
    ) {
        case RD_KAFKA_CONF_OK:
            return {};
        case RD_KAFKA_CONF_UNKNOWN:
            return fail(Code::not_found, "librdkafka has no property " + name);
        case RD_KAFKA_CONF_INVALID:
            break;
    }
    std::string_view why(reason.data());
    while (why.ends_with('\n')) why.remove_suffix(1);
    return fail(Code::invalid_input, std::string(why));
}

// Some contradictions (retries=0 with idempotence) are found only when a client is made. Without a
// broker's address it connects to nobody.
Result<> check_properties(const Properties& properties) {
    Properties offline;
    for (const auto& property : properties) {
        if (property.first != "bootstrap.servers") offline.push_back(property);
    }
    offline = with_guarantees(std::move(offline), Producer::Order::gapless);
    TXS_TRY(auto conf, detail::make_conf(offline, nullptr));
    rd_kafka_conf_set_events(conf.get(), RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    TXS_TRY(const auto client, detail::make_client(RD_KAFKA_PRODUCER, std::move(conf)));
    return {};
}

const std::vector<std::string>& property_names() {
    static const auto names = read_names();
    return names;
}

bool has_feature(std::string_view feature) {
    const detail::Conf conf(rd_kafka_conf_new());
    std::array<char, kReasonBytes> all{};
    std::size_t size = all.size();
    if (rd_kafka_conf_get(conf.get(), "builtin.features", all.data(), &size) != RD_KAFKA_CONF_OK)
        return false;
    const auto list = "," + std::string(all.data()) + ",";
    return list.find("," + std::string(feature) + ",") != std::string::npos;
}

std::string library_version() {
    return rd_kafka_version_str();
}

bool has_working_scram() {
    return rd_kafka_version() >= detail::kScramWorksSince;
}

}  // namespace txstream::kafka
