#include "console/kafka_answers.hpp"

#include "base/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace txstream::console {

namespace {

constexpr std::int64_t kPageMax = 100;
constexpr std::int64_t kPageStandard = 50;

std::string_view to_string(kafka::ConfigSource source) noexcept {
    switch (source) {
        case kafka::ConfigSource::topic:
            return "topic";
        case kafka::ConfigSource::broker:
            return "broker";
        case kafka::ConfigSource::broker_default:
            return "all brokers";
        case kafka::ConfigSource::file:
            return "broker's file";
        case kafka::ConfigSource::built_in:
            return "default";
        case kafka::ConfigSource::other:
            return "unknown";
    }
    return "unknown";
}

}  // namespace

http::Response kafka_problem(const Error& error) {
    switch (kafka::gap_of(error)) {
        case kafka::Gap::unsupported:
            return problem(
                501,
                "not_supported",
                "This broker has no such request (the development broker has few): " + error.what()
            );
        case kafka::Gap::denied:
            return problem(
                403,
                "kafka_forbidden",
                "Kafka does not let this console's user read it: " + error.what() +
                    ". Grant DESCRIBE and DESCRIBE_CONFIGS on cluster, topics and groups."
            );
        case kafka::Gap::unknown:
            return problem(404, "not_found", error.what());
        case kafka::Gap::failed:
            break;
    }
    const bool is_late = error.code() == Code::timed_out;
    if (error.code() == Code::overloaded || error.code() == Code::invalid_input ||
        error.code() == Code::cancelled)
        return problem_of(error);
    auto response =
        problem(is_late ? 504 : 503, is_late ? "timed_out" : "kafka_unavailable", error.what());
    response.failure = error.what();
    return response;
}

std::string_view to_string(kafka::GroupPhase phase) noexcept {
    switch (phase) {
        case kafka::GroupPhase::unknown:
            return "Unknown";
        case kafka::GroupPhase::preparing:
            return "PreparingRebalance";
        case kafka::GroupPhase::completing:
            return "CompletingRebalance";
        case kafka::GroupPhase::stable:
            return "Stable";
        case kafka::GroupPhase::dead:
            return "Dead";
        case kafka::GroupPhase::empty:
            return "Empty";
    }
    return "Unknown";
}

Json to_json(const Warning& warning) {
    auto params = Json::object();
    for (const auto& [name, value] : warning.params) params[name] = value;
    Json remedy = nullptr;
    if (!warning.command.empty()) {
        remedy = Json{{"kind", "command"}, {"text", warning.command}};
    } else if (!warning.advice.empty()) {
        remedy = Json{{"kind", "text"}, {"text", warning.advice}};
    }
    return Json{
        {"code", warning.code},
        {"severity", to_string(warning.severity)},
        {"params", std::move(params)},
        {"text", warning.text},
        {"remedy", std::move(remedy)}
    };
}

Json to_json(const std::vector<Warning>& warnings) {
    auto list = Json::array();
    for (const auto& warning : warnings) list.push_back(to_json(warning));
    return list;
}

Json to_json(const std::vector<kafka::ConfigItem>& config) {
    auto list = Json::array();
    const auto add = [&](bool wanted_default) {
        for (const auto& item : config) {
            const bool is_default = item.source == kafka::ConfigSource::built_in;
            if (is_default != wanted_default) continue;
            list.push_back(Json{
                {"name", item.name},
                {"value", item.value ? Json(*item.value) : Json(nullptr)},
                {"source", to_string(item.source)},
                {"is_default", is_default},
                {"is_sensitive", item.is_sensitive},
                {"is_read_only", item.is_read_only}
            });
        }
    };
    add(false);
    add(true);
    return list;
}

Json partial(
    std::size_t asked, const std::vector<std::string>& silent, std::chrono::milliseconds within
) {
    if (silent.empty()) return nullptr;
    return Json{
        {"text",
         fmt::format(
             "{} of {} brokers answered in {:g} s; {} did not",
             asked - std::min(asked, silent.size()),
             asked,
             static_cast<double>(within.count()) / 1000.0,
             fmt::join(silent, ", ")
         )}
    };
}

Result<std::vector<std::string>> query_list(
    const http::Request& request, std::string_view name, std::size_t most
) {
    const auto text = request.query(name).value_or("");
    std::vector<std::string> items;
    for (std::size_t begin = 0; begin <= text.size();) {
        const auto end = std::min(text.find(',', begin), text.size());
        const auto item = text.substr(begin, end - begin);
        // One that has a percent sign of its own is meant as it is.
        if (!item.empty()) items.push_back(percent_decoded(item).value_or(std::string(item)));
        begin = end + 1;
    }
    std::ranges::sort(items);
    items.erase(std::unique(items.begin(), items.end()), items.end());
    if (items.empty() || items.size() > most) {
        return fail(
            Code::invalid_input,
            fmt::format("{} must name 1 to {} of them, separated by commas", name, most)
        );
    }
    return items;
}

Result<PageQuery> page_query(const http::Request& request, std::string_view standard_sort) {
    PageQuery query;
    TXS_TRY(const auto size, query_number(request, "size", 1, kPageMax, kPageStandard));
    query.size = static_cast<std::size_t>(size);
    query.q = request.query("q").value_or("");
    query.sort = request.query("sort").value_or(standard_sort);
    const auto cursor = request.query("cursor");
    if (!cursor) return query;
    TXS_TRY(const auto position, read_cursor(*cursor));
    const auto name = position.find("name");
    const auto number = position.find("n");
    if (!position.is_object() || name == position.end() || !name->is_string() ||
        position.value("sort", "") != query.sort) {
        return fail(
            Code::invalid_input, "cursor is of another list or order; leave it out to begin"
        );
    }
    query.after = name->get<std::string>();
    if (number != position.end() && number->is_number_integer())
        query.after_number = number->get<std::int64_t>();
    query.has_cursor = true;
    return query;
}

http::Response answer(const Json& body) {
    return http::json(200, body.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void add_cached(
    http::Router& router,
    Cache& cache,
    std::string_view route,
    std::chrono::milliseconds ttl,
    std::function<Task<http::Response>(http::Request)> handler
) {
    router.add(
        http::Method::get,
        fmt::format("/api/console/v1{}", route),
        [&cache, ttl, handler = std::move(handler)](http::Request request) {
            auto key = request.target;
            return cache.answer(std::move(key), ttl, [handler, request = std::move(request)] {
                return handler(request);
            });
        },
        http::Role::viewer
    );
}

}  // namespace txstream::console
