#include "http/request.hpp"

#include "base/text.hpp"
#include "base/utf8.hpp"
#include "http/detail/authority.hpp"

#include <algorithm>
#include <array>

namespace txstream::http {
namespace {

template <class Pairs>
auto named(const Pairs& pairs, std::string_view name) noexcept {
    return std::find_if(pairs.begin(), pairs.end(), [name](const auto& pair) {
        return pair.first == name;
    });
}

// Cuts off and returns what precedes the first `separator`; all if there is none.
std::string_view cut(std::string_view& text, char separator) {
    const auto end = std::min(text.find(separator), text.size());
    const auto piece = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return piece;
}

// RFC 3986 without '#', which no client sends. Everything else may be read in two ways, by us and
// by a proxy.
bool is_target_character(char c) noexcept {
    constexpr std::string_view kMarks = "-._~%:/?[]@!$&'()*+,;=";
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kMarks.find(c) != std::string_view::npos;
}

// Nothing where the result is not UTF-8 or has a NUL: no text of ours does, and PostgreSQL would
// refuse it later and less clearly.
std::optional<std::string> decoded(std::string_view text) {
    auto out = percent_decoded(text);
    if (out && (out->find('\0') != std::string::npos || !is_utf8(*out))) return std::nullopt;
    return out;
}

// A plus is a space in a query, not in a path.
std::string spaced(std::string_view text) {
    std::string out(text);
    std::ranges::replace(out, '+', ' ');
    return out;
}

}  // namespace

std::string_view to_string(Method method) noexcept {
    constexpr std::array<std::string_view, 8> kNames = {
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER"
    };
    return kNames[static_cast<std::size_t>(method)];
}

void Headers::add(std::string_view name, std::string_view value) {
    const Field field{text_.size(), name.size(), text_.size() + name.size(), value.size()};
    text_ += name;
    text_ += value;
    fields_.push_back(field);
}

std::optional<std::string_view> Headers::find(std::string_view name) const noexcept {
    for (const auto& field : fields_) {
        if (is_named(field, name)) return value_of(field);
    }
    return std::nullopt;
}

std::size_t Headers::count(std::string_view name) const noexcept {
    return static_cast<std::size_t>(std::count_if(
        fields_.begin(), fields_.end(), [&](const Field& field) { return is_named(field, name); }
    ));
}

bool Headers::is_named(const Field& field, std::string_view name) const noexcept {
    const std::string_view text = text_;
    return same_word(text.substr(field.name_at, field.name_size), name);
}

Result<Request> Request::make(Method method, std::string_view target, std::string body) {
    Request request(Deadline::in(std::chrono::seconds(30)));
    request.method = method;
    request.body = std::move(body);
    TXS_CHECK(request.set_target(target));
    return request;
}

std::string_view Request::param(std::string_view name) const noexcept {
    const auto found = named(params_, name);
    return found == params_.end() ? std::string_view() : std::string_view(found->second);
}

std::optional<std::string_view> Request::query(std::string_view name) const noexcept {
    const auto found = named(query_, name);
    if (found == query_.end()) return std::nullopt;
    return found->second;
}

void Request::add_param(std::string_view name, std::string value) {
    params_.emplace_back(name, std::move(value));
}

Result<> Request::set_target(std::string_view sent) {
    target = sent;
    if (!std::all_of(sent.begin(), sent.end(), is_target_character))
        return fail(Code::invalid_input, "the target has a character that must be percent-encoded");
    if (sent == "*") {
        if (method == Method::options) return {};
        return fail(Code::invalid_input, "only OPTIONS has the target '*'");
    }
    std::string_view rest = sent;
    // Proxies send the absolute form, "http://host/path".
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (!same_word(rest.substr(0, scheme.size()), scheme)) continue;
        rest.remove_prefix(scheme.size());
        authority = rest.substr(0, rest.find_first_of("/?"));
        rest.remove_prefix(authority.size());
        if (!detail::parse_authority(authority))
            return fail(Code::invalid_input, "the target's host is not a host name or address");
        break;
    }
    std::string_view path = cut(rest, '?');
    if (path.empty() && !authority.empty()) path = "/";
    if (!path.starts_with('/')) return fail(Code::invalid_input, "the path must begin with '/'");
    path.remove_prefix(1);
    while (!path.empty()) {
        const bool last = path.find('/') == std::string_view::npos;
        auto segment = decoded(cut(path, '/'));
        if (!segment) {
            return fail(Code::invalid_input, "the path is not percent-encoded UTF-8 text");
        }
        segments.push_back(std::move(*segment));
        // "/orders/" is not "/orders": the slash leaves an empty segment behind.
        if (!last && path.empty()) segments.emplace_back();
    }
    while (!rest.empty()) {
        std::string_view value = cut(rest, '&');
        if (value.empty()) continue;
        auto name = decoded(spaced(cut(value, '=')));
        auto text = decoded(spaced(value));
        if (!name || !text) {
            return fail(Code::invalid_input, "the query is not percent-encoded UTF-8 text");
        }
        query_.emplace_back(std::move(*name), std::move(*text));
    }
    return {};
}

}  // namespace txstream::http
