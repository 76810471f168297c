#pragma once

#include "base/error.hpp"
#include "http/role.hpp"
#include "runtime/deadline.hpp"
#include "telemetry/trace_context.hpp"

#include <boost/asio/ip/address.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace txstream::http {

namespace asio = boost::asio;

/// `other` is every method we have no use for; its name never reaches a metric.
enum class Method : std::uint8_t { get, head, post, put, patch, delete_, options, other };

std::string_view to_string(Method method) noexcept;  ///< "GET"; "OTHER"

/// In the order they were sent; names are found without regard to case.
class Headers {
public:
    void add(std::string_view name, std::string_view value);
    /// The first value of that name.
    std::optional<std::string_view> find(std::string_view name) const noexcept;
    std::size_t count(std::string_view name) const noexcept;
    std::size_t size() const noexcept { return fields_.size(); }
    /// Calls `take` with every value of that name, in order.
    template <class Take>
    void each(std::string_view name, Take take) const {
        for (const auto& field : fields_) {
            if (is_named(field, name)) take(value_of(field));
        }
    }

private:
    struct Field {
        std::size_t name_at, name_size, value_at, value_size;
    };
    bool is_named(const Field& field, std::string_view name) const noexcept;
    std::string_view value_of(const Field& field) const noexcept {
        return std::string_view(text_).substr(field.value_at, field.value_size);
    }
    // One text for all fields: a request costs two allocations here and not two for each header.
    std::string text_;
    std::vector<Field> fields_;
};

/// One request, complete and decoded. A value: it is moved into its handler.
class Request {
public:
    /// A request that a socket never saw, for tests of handlers, with 30 s of time.
    static Result<Request> make(Method method, std::string_view target, std::string body = {});

    explicit Request(Deadline until) : deadline(until) {}

    Method method = Method::get;
    std::string target;                 ///< as it was sent
    std::string authority;              ///< of a target "http://host/path"; else empty
    std::vector<std::string> segments;  ///< of the path, percent-decoded after it was split
    Headers headers;
    std::string body;
    std::string id;     ///< X-Request-Id, the client's if it is a sane one, else ours
    Deadline deadline;  ///< when the answer must be on its way
    std::optional<telemetry::Trace> trace;  ///< that it belongs to
    Caller caller;                          ///< known before the handler runs
    asio::ip::address peer;                 ///< of the socket: the client, or a proxy

    /// What stands in the place of `{name}` in the route's template; empty if there is none.
    std::string_view param(std::string_view name) const noexcept;
    /// The first value of that name in the query; names are case-sensitive.
    std::optional<std::string_view> query(std::string_view name) const noexcept;
    /// All of the query as it was sent, for a route that refuses what it does not know.
    const std::vector<std::pair<std::string, std::string>>& query_pairs() const noexcept {
        return query_;
    }
    std::optional<std::string_view> header(std::string_view name) const noexcept {
        return headers.find(name);
    }

    /// Decodes path and query. Code::invalid_input names what is wrong.
    Result<> set_target(std::string_view sent);
    void add_param(std::string_view name, std::string value);

private:
    using Pair = std::pair<std::string, std::string>;

    std::vector<Pair> query_;
    std::vector<Pair> params_;
};

}  // namespace txstream::http
