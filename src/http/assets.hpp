#pragma once

#include "base/embedded_file.hpp"
#include "http/request.hpp"
#include "http/response.hpp"
#include "http/router.hpp"

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace txstream::http {

/// The files of a page that is in the binary: index.html, and below assets/ what it loads.
///
/// A name in assets/ holds a hash of its content ("assets/index-ab12cd34.js"), so it may be cached
/// forever; index.html is never stored. A file may lie there compressed as well ("….gz", "….br");
/// what Accept-Encoding likes best is sent, and nothing is compressed here.
///
/// The page has one document for all its paths: a GET that no route matches gets index.html, so
/// that a link into the page can be opened. Not below api/ and assets/, and not a file of the root
/// such as /favicon.ico: what is missing there is 404.
///
/// Under a sub-path ("/ops/txstream/") a relative URL of the document would depend on which of the
/// page's paths was opened, and a <base> is what the Content-Security-Policy forbids. So every
/// attribute value of index.html that begins with "./" gets the base path in the place of that; it
/// is the only thing that changes. Scripts and styles refer to each other relatively and know their
/// own place: a script finds the page's root as `new URL("..", import.meta.url)`. A proxy may pass
/// the sub-path on or remove it: Router::set_base_path accepts both.
class Assets {
public:
    using Files = std::span<const base::EmbeddedFile>;

    /// The files outlive it. `base_path` begins and ends with a slash. Without index.html the page
    /// was not built: its paths then answer 503 with the remedy.
    explicit Assets(Files files, std::string_view base_path = "/");

    /// As the fallback of the routes. The object outlives the router.
    void add_to(Router& router) const;

    bool is_built() const noexcept { return !index_.body.empty(); }
    /// Whether the path is one of the page or of its files.
    bool has(const Request& request) const;
    /// Of a path for which has() is true.
    Response answer(const Request& request) const;

private:
    struct Variant {
        std::string_view bytes;
        std::string etag;
    };
    struct Asset {
        std::string_view content_type;
        bool is_hashed = false;
        Variant identity;
        std::optional<Variant> gzip;
        std::optional<Variant> brotli;
    };

    const Asset* find(const Request& request) const;
    static Response answer(const Asset& asset, const Request& request);

    std::map<std::string, Asset, std::less<>> assets_;
    Response index_;
};

}  // namespace txstream::http
