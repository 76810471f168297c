#pragma once

// For this room's tests only.

#include "domain/order.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>

namespace txstream::domain::test {

/// A file of tests/data/earlier-examples: the calls that the earlier system documents.
inline std::string example(std::string_view name) {
    const auto path = std::string(TXS_SOURCE_DIR "/tests/data/earlier-examples/").append(name);
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file) << path;
    return {std::istreambuf_iterator<char>(file), {}};
}

/// The seed of a property test: TXS_TEST_SEED repeats a failure, whose SCOPED_TRACE prints it.
inline unsigned seed() {
    const char* repeated = std::getenv("TXS_TEST_SEED");
    return repeated ? static_cast<unsigned>(std::strtoul(repeated, nullptr, 10))
                    : std::random_device{}();
}

inline Address an_address() {
    return {
        .street = "Rua Demo",
        .number = "123",
        .complement = "",
        .city = "São Paulo",
        .state = "SP",
        .zip_code = "01234-567",
        .country = "Brasil",
    };
}

/// A request without fault: one item, one piece for 100.00.
inline CreateOrder a_request() {
    return {
        .customer_id = "demo-1",
        .order_number = "ORD-001",
        .items = {{"prod-1", "Produto Demo", 1, Money::from_cents(100'00)}},
        .shipping_address = an_address(),
        .billing_address = an_address(),
    };
}

}  // namespace txstream::domain::test
