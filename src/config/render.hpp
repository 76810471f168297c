#pragma once

#include "config/load.hpp"

#include <string>
#include <vector>

namespace txstream::config {

std::string render_table(const std::vector<Effective>& effective);
std::string render_json(const std::vector<Effective>& effective);
/// docs/configuration.md
std::string render_docs();
/// .env.example
std::string render_env_example();

}  // namespace txstream::config
