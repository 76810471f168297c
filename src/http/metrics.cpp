#include "http/metrics.hpp"

#include <fmt/format.h>

namespace txstream::http {

using enum telemetry::Reporter;

Metrics::Metrics(telemetry::Registry& registry)
    : duration_(registry.histograms(
          {"txstream_http_request_duration_seconds",
           "From a request's first byte to the answer's last, by route template.",
           every_process,
           "5xx of /api/v1 routes burn the objective of 99.9 %; slow ones are mostly PostgreSQL.",
           R"(sum by (route, status) (rate(txstream_http_request_duration_seconds_count[5m])))"},
          telemetry::kFastBuckets,
          {{"method"}, {"route"}, {"status"}}
      )),
      in_flight_(registry.gauge(
          {"txstream_http_requests_in_flight",
           "Requests being answered right now, the one for this page too.",
           every_process,
           "Rises when PostgreSQL is slow.",
           "max by (instance) (txstream_http_requests_in_flight)"}
      )),
      connections_(registry.gauge(
          {"txstream_http_connections",
           "HTTP connections being served right now.",
           every_process,
           "Near SERVER_CONNECTIONS_MAX: clients that do not close, or too few processes.",
           "max by (instance) (txstream_http_connections)"}
      )),
      refused_(registry.counter(
          {"txstream_http_connections_refused_total",
           "HTTP connections beyond SERVER_CONNECTIONS_MAX, or beyond what descriptors allow.",
           every_process,
           "Above 0: raise the limit, or look for clients that keep connections they do not use.",
           "increase(txstream_http_connections_refused_total[15m])"}
      )),
      timed_out_(registry.counter(
          {"txstream_http_timeouts_total",
           "Requests that came, and answers that were taken, too slowly.",
           every_process,
           "Slow networks or clients; SERVER_READ_TIMEOUT and SERVER_WRITE_TIMEOUT.",
           "increase(txstream_http_timeouts_total[15m])"}
      )),
      buffered_bytes_(registry.gauge(
          {"txstream_http_buffered_bytes",
           "Bodies that are still coming and answers that are still going, beyond 16 KiB of each "
           "connection.",
           every_process,
           "SERVER_BUFFER_BYTES_MAX limits it.",
           "max by (instance) (txstream_http_buffered_bytes)"}
      )),
      broken_off_(registry.counter(
          {"txstream_http_connections_broken_off_total",
           "HTTP connections ended because all together held more than SERVER_BUFFER_BYTES_MAX.",
           every_process,
           "Above 0: large bodies on slow connections; an attack, or a limit that is too low.",
           "increase(txstream_http_connections_broken_off_total[15m])"}
      )),
      streams_(registry.gauge(
          {"txstream_http_streams",
           "Responses being streamed right now, such as the live tails of the console.",
           every_process,
           "Each holds a connection for as long as its client listens; 20 is the limit.",
           "max by (instance) (txstream_http_streams)"}
      )),
      streams_refused_(registry.counter(
          {"txstream_http_streams_refused_total",
           "Streams refused with 429 because 20 were open.",
           every_process,
           "Above 0: close tabs that tail, or look for clients that open streams in a loop.",
           "increase(txstream_http_streams_refused_total[15m])"}
      )),
      tokens_refused_(registry.counter(
          {"txstream_http_tokens_refused_total",
           "Requests refused because their token was wrong, expired, or tried too often.",
           every_process,
           "Above 0: a page that was left open, a token that was replaced, or an attack.",
           "increase(txstream_http_tokens_refused_total[15m])"}
      )),
      handshakes_failed_(registry.counter(
          {"txstream_http_handshakes_failed_total",
           "TLS connections that ended before a request.",
           every_process,
           "Above 0: clients that do not trust the certificate, that speak plain HTTP, or less "
           "than TLS 1.2.",
           "increase(txstream_http_handshakes_failed_total[15m])"}
      )) {
}

void Metrics::answered(const RequestLog& request) const {
    // How long a client listened says nothing about how fast we answer.
    if (request.is_stream) return;
    const auto status = fmt::format_int(request.status);
    // The router knows each method that a request may have, so the label has few values.
    duration_
        .at(
            {to_string(request.method),
             request.route,
             std::string_view(status.data(), status.size())}
        )
        .observe(std::chrono::duration<double>(request.duration).count());
}

void Metrics::count(Counted what, int change) const {
    switch (what) {
        case Counted::connections:
            return connections_.add(change);
        case Counted::requests:
            return in_flight_.add(change);
        case Counted::refused:
            return refused_.add();
        case Counted::timed_out:
            return timed_out_.add();
        case Counted::buffered:
            return buffered_bytes_.add(change);
        case Counted::broken_off:
            return broken_off_.add();
        case Counted::streams:
            return streams_.add(change);
        case Counted::streams_refused:
            return streams_refused_.add();
        case Counted::tokens_refused:
            return tokens_refused_.add();
        case Counted::handshakes_failed:
            return handshakes_failed_.add();
    }
}

}  // namespace txstream::http
