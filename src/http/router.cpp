#include "http/router.hpp"

#include "base/assert.hpp"
#include "http/problem.hpp"

#include <algorithm>
#include <utility>

namespace txstream::http {

void Router::add(
    Method method, std::string_view route, Handler handler, Role least, Answer answer
) {
    TXS_ASSERT(route.starts_with('/'), "a route begins with '/'");
    TXS_ASSERT(method != Method::other, "a route has a method we know");
    auto found = std::find_if(routes_.begin(), routes_.end(), [route](const Route& known) {
        return known.text == route;
    });
    if (found == routes_.end()) {
        Route added{std::string(route), parse(route), {}};
        const auto place = std::find_if(routes_.begin(), routes_.end(), [&](const Route& known) {
            return more_literal(added, known);
        });
        found = routes_.insert(place, std::move(added));
    }
    TXS_ASSERT(endpoint(*found, method) == nullptr, "a route is added once for each method");
    found->endpoints.push_back({method, std::move(handler), least, answer});
}

void Router::set_fallback(
    std::string_view name, std::function<bool(const Request&)> takes, Handler handler
) {
    fallback_ = Fallback{std::string(name), std::move(takes), std::move(handler)};
}

void Router::set_base_path(std::string_view path) {
    TXS_ASSERT(path.starts_with('/') && path.ends_with('/'), "a base path is a directory");
    base_.clear();
    if (path.size() == 1) return;
    for (auto& segment : parse(path.substr(0, path.size() - 1)))
        base_.push_back(std::move(segment.text));
}

void Router::remove_base(std::vector<std::string>& path) const {
    if (base_.empty() || path.size() < base_.size()) return;
    if (!std::equal(base_.begin(), base_.end(), path.begin())) return;
    path.erase(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(base_.size()));
    // Of "/ops/txstream/" an empty segment is left; "/" itself has none.
    if (path.size() == 1 && path.front().empty()) path.clear();
}

std::vector<Router::Listed> Router::routes() const {
    std::vector<Listed> all;
    for (const auto& route : routes_) {
        for (const auto& known : route.endpoints)
            all.push_back({known.method, route.text, known.least});
    }
    return all;
}

Router::Match Router::find(Request& request) const {
    if (request.method == Method::other) return refuse(501, "this server does not know the method");
    if (request.target == "*")
        return {nullptr, "*", Response(204).with("Allow", allowed_anywhere()), {}, Role::none};
    remove_base(request.segments);
    const auto route = std::find_if(routes_.begin(), routes_.end(), [&](const Route& known) {
        return matches(known, request.segments);
    });
    if (route == routes_.end()) {
        const bool is_read = request.method == Method::get || request.method == Method::head;
        if (!fallback_ || !is_read || !fallback_->takes(request))
            return refuse(404, "no such path");
        return {&fallback_->handler, fallback_->name, Response(), {}, Role::none};
    }
    const Endpoint* found = endpoint(*route, request.method);
    if (found == nullptr && request.method == Method::head) found = endpoint(*route, Method::get);
    if (found == nullptr) {
        Match match = refuse(405, "this path does not take that method");
        if (request.method == Method::options) match.refusal = Response(204);
        match.refusal.with("Allow", allowed(*route));
        match.route = route->text;
        match.least = least_of(*route, request.method);
        return match;
    }
    for (std::size_t i = 0; i < route->segments.size(); ++i) {
        const auto& segment = route->segments[i];
        if (segment.is_param) request.add_param(segment.text, request.segments[i]);
    }
    return {&found->handler, route->text, Response(), {}, found->least, found->answer};
}

Router::Match Router::refuse(int status, std::string_view why) {
    return {nullptr, "unmatched", problem(status, why), why, Role::none};
}

std::vector<Router::Segment> Router::parse(std::string_view route) {
    std::vector<Segment> segments;
    route.remove_prefix(1);
    while (!route.empty()) {
        const auto end = std::min(route.find('/'), route.size());
        const auto text = route.substr(0, end);
        route.remove_prefix(std::min(end + 1, route.size()));
        const bool is_param = text.starts_with('{') && text.ends_with('}');
        segments.push_back(
            {std::string(is_param ? text.substr(1, text.size() - 2) : text), is_param}
        );
    }
    return segments;
}

bool Router::matches(const Route& route, const std::vector<std::string>& path) {
    return std::equal(
        route.segments.begin(),
        route.segments.end(),
        path.begin(),
        path.end(),
        [](const Segment& segment, const std::string& text) {
            return segment.is_param ? !text.empty() : segment.text == text;
        }
    );
}

bool Router::more_literal(const Route& left, const Route& right) {
    return std::lexicographical_compare(
        left.segments.begin(),
        left.segments.end(),
        right.segments.begin(),
        right.segments.end(),
        [](const Segment& a, const Segment& b) { return a.is_param < b.is_param; }
    );
}

const Router::Endpoint* Router::endpoint(const Route& route, Method method) {
    const auto found = std::find_if(
        route.endpoints.begin(),
        route.endpoints.end(),
        [method](const Endpoint& known) { return known.method == method; }
    );
    return found == route.endpoints.end() ? nullptr : &*found;
}

// To ask what a path takes needs what any of its methods needs; a 405 says no more than that.
Role Router::least_of(const Route& route, Method method) {
    if (method != Method::options) return Role::none;
    const auto least = std::min_element(
        route.endpoints.begin(),
        route.endpoints.end(),
        [](const Endpoint& left, const Endpoint& right) { return left.least < right.least; }
    );
    return least->least;
}

// What OPTIONS * asks for.
std::string Router::allowed_anywhere() const {
    Route all;
    for (const auto& route : routes_) {
        for (const auto& known : route.endpoints) {
            if (endpoint(all, known.method) == nullptr)
                all.endpoints.push_back({known.method, {}, known.least, known.answer});
        }
    }
    return allowed(all);
}

std::string Router::allowed(const Route& route) {
    std::string methods;
    for (const auto& known : route.endpoints) {
        methods.append(to_string(known.method)).append(", ");
        if (known.method == Method::get && endpoint(route, Method::head) == nullptr) {
            methods += "HEAD, ";
        }
    }
    return methods += "OPTIONS";
}

}  // namespace txstream::http
