#pragma once

#include "http/detail/request_head.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace txstream::http::detail {

/// Decodes a chunked body. Chunk extensions and trailers carry no body, so they are counted:
/// together they have the limits of a head. Trailers are checked and discarded, because they arrive
/// after the decision that they could change.
class ChunkedBody {
public:
    ChunkedBody(const HeadLimits& limits, std::size_t body_bytes_max)
        : limits_(limits), body_bytes_max_(body_bytes_max) {}

    /// Appends to `body` and returns how many bytes it took: all, unless it is finished.
    std::size_t feed(std::string_view bytes, std::string& body);

    bool is_complete() const noexcept { return state_ == State::complete; }
    const std::optional<Refusal>& refusal() const noexcept { return refusal_; }

private:
    enum class State : std::uint8_t {
        size,       ///< digits
        space,      ///< after the digits
        extension,  ///< after a semicolon
        size_lf,
        data,
        data_cr,
        data_lf,
        trailer,
        trailer_lf,
        complete
    };

    void step(char byte, const std::string& body);
    void add_digit(char byte, const std::string& body);
    void end_size();
    void end_trailer();
    void count_overhead();
    void refuse(int status, std::string text);

    HeadLimits limits_;
    std::size_t body_bytes_max_;
    State state_ = State::size;
    std::size_t left_ = 0;      ///< of the chunk
    std::size_t digits_ = 0;    ///< of the chunk's size
    std::size_t overhead_ = 0;  ///< bytes of extensions and trailers
    std::size_t trailers_ = 0;
    std::string line_;  ///< the trailer that has begun
    std::optional<Refusal> refusal_;
};

}  // namespace txstream::http::detail
