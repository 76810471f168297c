#include "pg/conn_info.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <memory>

namespace txstream::pg {
namespace {

/// Of libpq's complaint nothing is repeated but the name of a parameter, if it is one: what is
/// quoted there may be a piece of the password.
std::string unknown_parameter(std::string_view complaint) {
    constexpr std::string_view kBefore = "parameter: \"";
    const auto at = complaint.find(kBefore);
    if (at == std::string_view::npos) return {};
    complaint.remove_prefix(at + kBefore.size());
    const auto name = complaint.substr(0, complaint.find('"'));
    const bool is_name = !name.empty() && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || c == '_';
    });
    return is_name ? std::string(name) : std::string();
}

}  // namespace

Result<std::map<std::string, std::string>> parse_conninfo(const std::string& text) {
    char* complaint = nullptr;
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
        PQconninfoParse(text.c_str(), &complaint), PQconninfoFree
    );
    const std::unique_ptr<char, decltype(&PQfreemem)> owned(complaint, PQfreemem);
    if (!options) {
        const auto parameter = unknown_parameter(complaint ? complaint : "");
        if (parameter.empty()) return fail(Code::invalid_input, "is malformed");
        return fail(
            Code::not_found,
            fmt::format("has the parameter {}, which libpq does not know", parameter)
        );
    }
    std::map<std::string, std::string> said;
    for (const auto* option = options.get(); option->keyword; ++option) {
        if (option->val && *option->val) said.emplace(option->keyword, option->val);
    }
    return said;
}

}  // namespace txstream::pg
