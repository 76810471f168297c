#include "http/response.hpp"

namespace txstream::http {

Response& Response::with(std::string_view name, std::string value) & {
    headers.emplace_back(name, std::move(value));
    return *this;
}

Response&& Response::with(std::string_view name, std::string value) && {
    headers.emplace_back(name, std::move(value));
    return std::move(*this);
}

Response json(int status, std::string body) {
    return Response(status, "application/json", std::move(body));
}

}  // namespace txstream::http
