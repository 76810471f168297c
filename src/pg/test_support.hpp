#pragma once

#include "runtime/task.hpp"
#include "tests/support/pg_fixture.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace txstream::pg {

/// Messages of PostgreSQL's protocol as a server sends them.
namespace wire {

inline std::string big_endian(std::size_t value, int bytes) {
    std::string text;
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        text += static_cast<char>((value >> shift) & 0xff);
    return text;
}

inline std::string message(char type, std::string_view body = {}) {
    return type + big_endian(body.size() + 4, 4) + std::string(body);
}

inline std::string zero_ended(std::string_view text) {
    return std::string(text) + '\0';
}

inline std::string parameter(std::string_view name, std::string_view value) {
    return message('S', zero_ended(name) + zero_ended(value));
}

inline std::string error(std::string_view severity, std::string_view sqlstate) {
    std::string body;
    for (const auto& [field, text] : std::array<std::pair<char, std::string_view>, 4>{
             {{'S', severity}, {'V', severity}, {'C', sqlstate}, {'M', "as the test wants it"}}
         })
        body += field + zero_ended(text);
    return message('E', body + '\0');
}

inline const std::string kReady = message('Z', "I");
inline const std::string kPrepared = message('1');
/// Bound, no columns, one row inserted: what a statement answers before its commit.
inline const std::string kInserted =
    message('2') + message('n') + message('C', zero_ended("INSERT 0 1"));

inline std::string value(std::string_view bytes) {
    return big_endian(bytes.size(), 4) + std::string(bytes);
}

/// The row with which a session begins: the process (the one that the handshake names, which names
/// none), two settings as they should be. What was set is not looked at.
inline const std::string kPinned = [] {
    std::string columns = big_endian(3, 2);
    for (const std::size_t type :
         std::array<std::size_t, 3>{23, 25, 25}) {  // integer, text, text; all in binary
        columns += zero_ended("c") + std::string(6, '\0') + big_endian(type, 4) +
                   std::string(6, '\0') + big_endian(1, 2);
    }
    const auto row =
        big_endian(3, 2) + value(std::string(4, '\0')) + value("origin") + value("off");
    return kPrepared + message('2') + message('T', columns) + message('D', row) +
           message('C', zero_ended("SELECT 1")) + kReady;
}();

/// What a time limit is answered with, before the statement that it is for.
inline const std::string kLimited =
    kPrepared + message('2') + message('n') + message('C', zero_ended("SELECT 1"));

}  // namespace wire

/// A server for one session: lets everybody in, answers the beginning as a session expects it and
/// the n-th exchange after it (a script, or what comes before a sync) with the n-th of `answers`,
/// and then ends the session. Belongs to the test's event loop.
class FakeServer {
public:
    /// `parameters` are further parameters that it reports, see wire::parameter.
    FakeServer(asio::io_context& io, std::vector<std::string> answers, std::string parameters = {})
        : acceptor_(io, {asio::ip::address_v4::loopback(), 0}),
          socket_(io),
          answers_(std::move(answers)),
          // So old that the session does not ask it for client_connection_check_interval.
          greeting_(
              wire::message('R', std::string(4, '\0')) + wire::parameter("server_version", "13.0") +
              parameters + wire::kReady
          ) {
        tests::start(io, serve(), [](const std::exception_ptr&) {});
    }

    std::string port() const { return std::to_string(acceptor_.local_endpoint().port()); }
    std::string conninfo() const {
        return "host=127.0.0.1 user=u dbname=d sslmode=disable gssencmode=disable "
               "target_session_attrs=any port=" +
               port();
    }

private:
    Task<> serve() {
        co_await acceptor_.async_accept(socket_, asio::use_awaitable);
        std::string ignored;
        co_await read_rest(ignored);
        co_await asio::async_write(socket_, asio::buffer(greeting_), asio::use_awaitable);
        co_await answer_exchange(wire::kPinned, {});
        bool is_first = true;
        for (const auto& answer : answers_)
            co_await answer_exchange(answer, std::exchange(is_first, false) ? wire::kLimited : "");
        socket_.close();
    }
    Task<> answer_exchange(std::string answer, std::string before_a_statement) {
        char type = 0;
        while (type != 'S' && type != 'Q') {
            std::string ignored;
            co_await asio::async_read(socket_, asio::buffer(&type, 1), asio::use_awaitable);
            co_await read_rest(ignored);
        }
        if (type == 'S') answer = before_a_statement + answer;
        co_await asio::async_write(socket_, asio::buffer(answer), asio::use_awaitable);
    }
    Task<> read_rest(std::string& into) {
        std::array<unsigned char, 4> size{};
        co_await asio::async_read(socket_, asio::buffer(size), asio::use_awaitable);
        into.resize(
            (std::size_t{size[0]} << 24 | std::size_t{size[1]} << 16 | std::size_t{size[2]} << 8 |
             size[3]) -
            4
        );
        co_await asio::async_read(socket_, asio::buffer(into), asio::use_awaitable);
    }

    asio::ip::tcp::acceptor acceptor_;
    asio::ip::tcp::socket socket_;
    std::vector<std::string> answers_;
    std::string greeting_;
};

}  // namespace txstream::pg
