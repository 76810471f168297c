#pragma once

#include "app/config.hpp"

#include <string>
#include <vector>

namespace txstream::app {

std::string render_table(const std::vector<Effective>& effective);
std::string render_json(const std::vector<Effective>& effective);
/// docs/configuration.md
std::string render_docs();
/// .env.example
std::string render_env_example();

}  // namespace txstream::app
