#include "app/config_check.hpp"

#include "app/detail/kafka_properties.hpp"
#include "app/kafka_publisher.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <unistd.h>

namespace txstream::app {

Problems check_kafka(const Loaded& loaded) {
    const auto& all = loaded.config.kafka.producer;
    const auto whole = kafka::check_properties(to_kafka(all));
    if (whole) return {};
    // Which of them? First without those that were added, then with one after the other.
    Problems problems;
    auto tried = all;
    std::erase_if(tried, [&](const auto& property) {
        return std::ranges::any_of(loaded.effective, [&](const Effective& one) {
            return one.name.starts_with(kPropertyPrefix) && property_of(one.name) == property.first;
        });
    });
    const bool is_base_good = kafka::check_properties(to_kafka(tried)).has_value();
    for (const auto& one : loaded.effective) {
        if (!is_base_good || !one.name.starts_with(kPropertyPrefix)) continue;
        const auto property = property_of(one.name);
        tried[property] = all.at(property);
        const auto good = kafka::check_properties(to_kafka(tried));
        if (good) continue;
        tried.erase(property);
        problems.push_back(
            {one.name,
             fmt::format(
                 "{}={} ({}) is not allowed: {}",
                 one.name,
                 one.value,
                 one.source,
                 good.error().what()
             )}
        );
    }
    if (problems.empty())
        problems.push_back(
            {"KAFKA_", "the KAFKA_ settings do not fit together: " + whole.error().what()}
        );
    return problems;
}

Problems check_log_file(const Config& config) {
    namespace fs = std::filesystem;
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

}  // namespace txstream::app
