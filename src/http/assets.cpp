#include "http/assets.hpp"

#include "base/assert.hpp"
#include "base/text.hpp"
#include "http/detail/accept_encoding.hpp"
#include "http/detail/digest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace txstream::http {
namespace {

using detail::Encoding;

constexpr std::string_view kIndex = "index.html";
constexpr std::string_view kDirectory = "assets/";
constexpr std::string_view kNotBuilt =
    "The page is not in this binary: it was built where Node or npm's registry was missing.\n"
    "Run `make build` where npm can reach its registry. The API works without the page.\n";

struct Type {
    std::string_view extension, content_type;
};
constexpr std::array kTypes = {
    Type{".html", "text/html; charset=utf-8"},
    Type{".js", "text/javascript; charset=utf-8"},
    Type{".css", "text/css; charset=utf-8"},
    Type{".json", "application/json"},
    Type{".svg", "image/svg+xml"},
    Type{".png", "image/png"},
    Type{".ico", "image/x-icon"},
    Type{".woff2", "font/woff2"},
    Type{".txt", "text/plain; charset=utf-8"},
    Type{".webmanifest", "application/manifest+json"},
};

std::string_view type_of(std::string_view name) noexcept {
    for (const auto& [extension, type] : kTypes) {
        if (name.ends_with(extension)) return type;
    }
    return "application/octet-stream";
}

// "assets/index-ab12cd34.js": eight characters or more behind the last '-' that precedes them.
bool is_hashed(std::string_view name) noexcept {
    if (!name.starts_with(kDirectory)) return false;
    name = name.substr(0, name.rfind('.'));
    constexpr std::size_t kHashSizeMin = 8;
    return name.size() > kHashSizeMin && name[name.size() - kHashSizeMin - 1] == '-';
}

// A strong one; those of two encodings differ.
std::string etag_of(std::string_view bytes) {
    const auto digest = detail::digest_of(bytes);
    return '"' + to_hex(std::span(digest).first(12)) + '"';
}

// If-None-Match compares weakly: a proxy may have made W/"x" of "x".
bool is_current(const Request& request, std::string_view etag) {
    bool found = false;
    request.headers.each("If-None-Match", [&](std::string_view tags) {
        while (!tags.empty()) {
            const auto end = std::min(tags.find(','), tags.size());
            auto tag = trimmed(tags.substr(0, end));
            tags.remove_prefix(std::min(end + 1, tags.size()));
            if (tag.starts_with("W/")) tag.remove_prefix(2);
            found = found || tag == etag || tag == "*";
        }
    });
    return found;
}

std::string with_base(std::string_view document, std::string_view base_path) {
    constexpr std::string_view kRelative = "=\"./";
    std::string out;
    for (;;) {
        const auto at = document.find(kRelative);
        out += document.substr(0, at);
        if (at == std::string_view::npos) return out;
        out.append("=\"").append(base_path);
        document.remove_prefix(at + kRelative.size());
    }
}

}  // namespace

Assets::Assets(Files files, std::string_view base_path) {
    TXS_ASSERT(
        base_path.starts_with('/') && base_path.ends_with('/'), "a base path is a directory"
    );
    for (const auto& [name, bytes] : files) {
        if (name == kIndex) {
            index_ = Response(200, type_of(name), with_base(bytes, base_path));
            index_.with("Cache-Control", "no-store");
        }
        if (name.starts_with(kIndex)) continue;  // its variants have another base path
        if (name.ends_with(".gz") || name.ends_with(".br")) continue;
        assets_.emplace(
            std::string(name),
            Asset{type_of(name), is_hashed(name), {bytes, etag_of(bytes)}, {}, {}}
        );
    }
    for (const auto& [name, bytes] : files) {
        const auto found = assets_.find(name.substr(0, name.rfind('.')));
        if (found == assets_.end()) continue;
        if (name.ends_with(".gz")) found->second.gzip = Variant{bytes, etag_of(bytes)};
        if (name.ends_with(".br")) found->second.brotli = Variant{bytes, etag_of(bytes)};
    }
}

void Assets::add_to(Router& router) const {
    router.set_fallback(
        "page",
        [this](const Request& request) { return has(request); },
        [this](Request request) -> Task<Response> { co_return answer(request); }
    );
}

bool Assets::has(const Request& request) const {
    if (find(request) != nullptr) return true;
    const auto& path = request.segments;
    if (path.empty()) return true;
    if (path[0] == "api" || path[0] == "assets") return false;
    return path.size() > 1 || path[0].find('.') == std::string::npos || path[0] == kIndex;
}

Response Assets::answer(const Request& request) const {
    if (const auto* const asset = find(request)) return answer(*asset, request);
    if (!is_built())
        return Response(503, "text/plain; charset=utf-8", std::string(kNotBuilt))
            .with("Cache-Control", "no-store");
    return index_;
}

Response Assets::answer(const Asset& asset, const Request& request) {
    Response response(200, asset.content_type, {});
    const Variant* variant = &asset.identity;
    if (asset.gzip || asset.brotli) {
        const detail::AcceptEncoding accepted(request.header("Accept-Encoding").value_or(""));
        switch (accepted.best(asset.gzip.has_value(), asset.brotli.has_value())) {
            case Encoding::identity:
                break;
            case Encoding::gzip:
                variant = &*asset.gzip;
                response.with("Content-Encoding", "gzip");
                break;
            case Encoding::brotli:
                variant = &*asset.brotli;
                response.with("Content-Encoding", "br");
                break;
        }
        response.with("Vary", "Accept-Encoding");
    }
    response.with(
        "Cache-Control", asset.is_hashed ? "public, max-age=31536000, immutable" : "no-cache"
    );
    response.with("ETag", variant->etag);
    if (is_current(request, variant->etag)) {
        response.status = 304;
        return response;
    }
    response.body = variant->bytes;
    return response;
}

const Assets::Asset* Assets::find(const Request& request) const {
    std::string path;
    for (const auto& segment : request.segments) {
        if (!path.empty()) path += '/';
        path += segment;
    }
    const auto found = assets_.find(path);
    return found == assets_.end() ? nullptr : &found->second;
}

}  // namespace txstream::http
