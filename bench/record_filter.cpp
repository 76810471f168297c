// How fast one core matches records against a filter: payloads of 600 bytes, as an order's event
// has.
#include "console/record_filter.hpp"

#include <chrono>
#include <cstdio>
#include <string>

namespace {

using namespace txstream;

kafka::FetchedRecord record() {
    std::string items;
    for (int i = 0; i < 5; ++i)
        items += std::string(i ? "," : "") + R"({"product_id":"prod-)" + std::to_string(i) +
                 R"(","product_name":"Café moído","quantity":2,"unit_price":19.90})";
    return {
        .key = "order-17",
        .value =
            R"({"event_id":"6f1c0f0e-0000-4000-8000-000000000000","aggregate_type":"Order","event_type":"OrderCreated","event_data":{"id":9223372036854775806,"items":[)" +
            items + R"(],"total_amount":199.00,"currency":"BRL"}})",
        .headers = {{"event_type", "OrderCreated"}},
    };
}

void measure(const char* text) {
    const auto filter =
        console::RecordFilter::parse(text, std::chrono::system_clock::now()).value();
    const auto sample = record();
    constexpr int kRounds = 500'000;
    std::size_t matched = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kRounds; ++i) matched += filter.matches(sample);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::printf(
        "%-52s %7.0f k records/s %6.0f MB/s  (%zu bytes, %zu matched)\n",
        text,
        kRounds / took.count() / 1000,
        kRounds * static_cast<double>(sample.value->size()) / took.count() / 1e6,
        sample.value->size(),
        matched
    );
}

}  // namespace

int main() {
    for (const auto* text :
         {"key:order-18",
          "value~\"São Paulo\"",
          "json.event_data.id=9223372036854775807",
          "json.event_data.items[*].unit_price>20",
          "type:OrderCreated json.event_data.total_amount>1000 -value~x"})
        measure(text);
}
