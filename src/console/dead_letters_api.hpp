#pragma once

#include "console/context.hpp"
#include "console/masking.hpp"
#include "http/router.hpp"
#include "outbox/dead_letter_groups.hpp"

namespace txstream::console {

/// Dead letters: by cause, as a list, and as a file.
class DeadLettersApi {
public:
    static constexpr std::chrono::seconds kListTime{6};
    static constexpr std::chrono::minutes kExportTime{10};
    static constexpr std::size_t kExportLetters = 1'000'000;
    /// Of contents that are read together; one is read whatever its size.
    static constexpr std::int64_t kExportBytes = 1 << 20;

    explicit DeadLettersApi(Context& context);
    void add_routes(http::Router& router);

private:
    Task<http::Response> groups(http::Request request);
    Task<http::Response> make_groups(Deadline deadline);
    Task<http::Response> list(http::Request request);
    Task<http::Response> make_list(
        outbox::DeadLetterFilter filter,
        std::optional<EventSeq> before,
        std::size_t rows,
        Deadline deadline
    );
    Task<http::Response> export_(http::Request request);
    Task<> write_export(http::BodyWriter& body, outbox::DeadLetterFilter filter, bool is_masked);
    Task<Result<std::string>> lines(
        std::vector<outbox::DeadLetter> letters, bool is_masked, Deadline deadline
    );

    Context& context_;
    Masks masks_;
};

}  // namespace txstream::console
