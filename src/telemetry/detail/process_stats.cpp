#include "telemetry/detail/process_stats.hpp"

#include <cstdint>
#include <ctime>
#include <dirent.h>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

namespace txstream::telemetry {
namespace {

struct Stat {
    double cpu_seconds;
    double threads;
    double started_after_boot_seconds;
    double virtual_bytes;
    double resident_bytes;
};

std::optional<Stat> read_stat() {
    std::ifstream file("/proc/self/stat");
    std::string text(std::istreambuf_iterator<char>(file), {});
    // The command name stands in parentheses and may itself hold blanks and parentheses.
    const auto end_of_name = text.rfind(')');
    if (end_of_name == std::string::npos) return std::nullopt;
    std::istringstream rest(text.substr(end_of_name + 1));
    std::vector<std::string> fields{std::istream_iterator<std::string>(rest), {}};
    if (fields.size() < 22) return std::nullopt;
    // fields[0] is the third one of proc(5).
    const auto number = [&](std::size_t nth) {
        return static_cast<double>(std::strtoull(fields[nth - 3].c_str(), nullptr, 10));
    };
    const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
    return Stat{
        (number(14) + number(15)) / ticks,
        number(20),
        number(22) / ticks,
        number(23),
        number(24) * page
    };
}

// Never changes, but an NTP step would seem to move it: read once.
double boot_time() {
    static const double value = [] {
        std::ifstream file("/proc/stat");
        std::string word;
        double seconds = 0;
        while (file >> word) {
            if (word == "btime" && file >> seconds) break;
        }
        return seconds;
    }();
    return value;
}

std::optional<double> open_descriptors() {
    DIR* directory = opendir("/proc/self/fd");
    if (directory == nullptr) return std::nullopt;
    double count = 0;
    while (const dirent* entry = readdir(directory)) {
        if (entry->d_name[0] != '.') ++count;
    }
    closedir(directory);
    return count - 1;  // the one that reads the directory
}

void append(
    std::vector<prometheus::MetricFamily>& families,
    const char* name,
    const char* help,
    prometheus::MetricType type,
    double value
) {
    prometheus::ClientMetric metric;
    if (type == prometheus::MetricType::Counter) {
        metric.counter.value = value;
    } else {
        metric.gauge.value = value;
    }
    families.push_back({name, help, type, {metric}});
}

}  // namespace

void append_process_stats(std::vector<prometheus::MetricFamily>& families) {
    using prometheus::MetricType;
    if (const auto stat = read_stat()) {
        append(
            families,
            "process_cpu_seconds_total",
            "User and system CPU time spent.",
            MetricType::Counter,
            stat->cpu_seconds
        );
        append(
            families,
            "process_resident_memory_bytes",
            "Resident memory.",
            MetricType::Gauge,
            stat->resident_bytes
        );
        append(
            families,
            "process_virtual_memory_bytes",
            "Virtual memory.",
            MetricType::Gauge,
            stat->virtual_bytes
        );
        append(families, "process_threads", "Threads.", MetricType::Gauge, stat->threads);
        append(
            families,
            "process_start_time_seconds",
            "Unix time at which the process started.",
            MetricType::Gauge,
            boot_time() + stat->started_after_boot_seconds
        );
    }
    if (const auto open = open_descriptors()) {
        append(families, "process_open_fds", "Open file descriptors.", MetricType::Gauge, *open);
    }
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        append(
            families,
            "process_max_fds",
            "How many file descriptors may be open.",
            MetricType::Gauge,
            static_cast<double>(limit.rlim_cur)
        );
    }
}

}  // namespace txstream::telemetry
