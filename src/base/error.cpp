#include "base/error.hpp"

#include <utility>

namespace txstream {

std::string_view to_string(Code code) noexcept {
    switch (code) {
        case Code::invalid_input:
            return "invalid_input";
        case Code::not_found:
            return "not_found";
        case Code::conflict:
            return "conflict";
        case Code::unavailable:
            return "unavailable";
        case Code::timed_out:
            return "timed_out";
        case Code::overloaded:
            return "overloaded";
        case Code::rejected:
            return "rejected";
        case Code::corrupt:
            return "corrupt";
        case Code::cancelled:
            return "cancelled";
    }
    return "unknown";
}

Error::Error(Code code, std::string what, std::string origin)
    : code_(code), what_(std::move(what)), origin_(std::move(origin)) {
}

bool Error::retryable() const noexcept {
    switch (code_) {
        case Code::unavailable:
        case Code::timed_out:
        case Code::overloaded:
            return true;
        case Code::invalid_input:
        case Code::not_found:
        case Code::conflict:
        case Code::rejected:
        case Code::corrupt:
        case Code::cancelled:
            return false;
    }
    return false;
}

Error Error::while_doing(std::string_view step) && {
    what_.insert(0, std::string(step) + ": ");
    return std::move(*this);
}

tl::unexpected<Error> fail(Code code, std::string what, std::string origin) {
    return tl::unexpected<Error>(Error(code, std::move(what), std::move(origin)));
}

}  // namespace txstream
