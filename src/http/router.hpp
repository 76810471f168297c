#pragma once

#include "http/request.hpp"
#include "http/response.hpp"
#include "runtime/task.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::http {

/// Which handler answers which method and path. Filled at start, then only read.
class Router {
public:
    using Handler = std::function<Task<Response>(Request)>;
    /// A route whose answer may be a stream says so: what a stream has to prove is then asked for
    /// before its handler runs (Admission::refuse_stream).
    enum class Answer : std::uint8_t { whole, stream };

    /// `route` is a template such as "/api/v1/orders/{id}"; a literal segment wins over a
    /// parameter. Adding the same method and route twice is a bug. A caller whose role is less than
    /// `least` is refused before the handler runs: 401 without a role, else 403.
    void add(
        Method method,
        std::string_view route,
        Handler handler,
        Role least = Role::none,
        Answer answer = Answer::whole
    );

    /// Answers GET and HEAD of paths that no route matches, if `takes` says so; any role may.
    /// `name` stands for the route in metrics.
    void set_fallback(
        std::string_view name, std::function<bool(const Request&)> takes, Handler handler
    );
    /// "/ops/txstream/": paths that begin with it are looked up without it, others as they are: a
    /// proxy may pass a sub-path on or remove it.
    void set_base_path(std::string_view path);

    struct Match {
        const Handler* handler;  ///< none: `refusal` is the answer
        std::string_view route;  ///< the template, for metrics; "unmatched" if the path is unknown
        Response refusal;        ///< 404, 405 with Allow, 501, or 204 with Allow for OPTIONS
        std::string_view why = {};  ///< the refusal's text
        Role least = Role::none;    ///< of the handler; for OPTIONS of any handler of the path
        Answer answer = Answer::whole;
    };
    /// Fills in the request's params. HEAD finds the handler of GET.
    Match find(Request& request) const;

    struct Listed {
        Method method;
        std::string_view route;
        Role least;
    };
    /// Everything that was added, so that a test can prove a property of all routes.
    std::vector<Listed> routes() const;

private:
    struct Segment {
        std::string text;  ///< the literal, or the parameter's name
        bool is_param;
    };
    struct Endpoint {
        Method method;
        Handler handler;
        Role least;
        Answer answer;
    };
    struct Route {
        std::string text;
        std::vector<Segment> segments;
        std::vector<Endpoint> endpoints;
    };

    static std::vector<Segment> parse(std::string_view route);
    static bool matches(const Route& route, const std::vector<std::string>& path);
    static bool more_literal(const Route& left, const Route& right);
    static const Endpoint* endpoint(const Route& route, Method method);
    static std::string allowed(const Route& route);
    static Match refuse(int status, std::string_view why);
    static Role least_of(const Route& route, Method method);
    std::string allowed_anywhere() const;

    void remove_base(std::vector<std::string>& path) const;

    struct Fallback {
        std::string name;
        std::function<bool(const Request&)> takes;
        Handler handler;
    };
    std::optional<Fallback> fallback_;
    std::vector<std::string> base_;
    std::vector<Route> routes_;  ///< the more literal one first
};

}  // namespace txstream::http
